"""The controller as a whole, in front of a quorum of one: who is answered what, when, and what is never said early."""

from __future__ import annotations

from itertools import pairwise

import pytest
from controller_scene import Scene

from barnabas.actors.controller import BroadcastTimer, Controller
from barnabas.actors.errors import ErrorCode
from barnabas.actors.events import (
    ControllerElected,
    ControllerResigned,
    IsrChanged,
    PartitionLeaderChanged,
    TopicCreatedEvent,
)
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import (
    AdminDone,
    AlterPartition,
    BrokerHeartbeat,
    CreateTopic,
    DeleteTopic,
    Describe,
    Described,
    FetchLeadership,
    FetchMetadata,
    HeartbeatReply,
    IsrChange,
    Leadership,
    LeadershipUpdate,
    MetadataRange,
    MetadataSnapshot,
    MetadataUpdate,
    PartitionsAltered,
    PeerGone,
    ProducerIdsReserved,
    Register,
    Registered,
    ReserveProducerIds,
)
from barnabas.actors.metadata import ImpossibleRecord, MetadataImage, load_latest
from barnabas.actors.metadata_codec import decode_batches, encode_records
from barnabas.actors.metadata_records import BrokerFenced, LeaderChanged


def test_a_controller_is_active_only_once_it_has_applied_the_first_record_of_its_epoch() -> None:
    scene = Scene(manual=True, lead=False)
    scene.raft.win(scene.ctx)
    scene.controller.on_synced(scene.ctx.disk.written, scene.ctx)
    assert not scene.active
    scene.raft.commit()
    scene.controller.on_synced(scene.ctx.disk.written, scene.ctx)
    assert scene.active
    assert [event.sentence() for event in scene.ctx.events if isinstance(event, ControllerElected)]


def test_the_first_active_controller_fixes_the_defaults() -> None:
    scene = Scene()
    assert scene.image.defaults is not None
    assert (scene.image.defaults.partitions, scene.image.defaults.replication) == (3, 3)


def test_a_standby_answers_requests_with_the_leader() -> None:
    scene = Scene(lead=False)
    scene.raft.leader = 3
    assert scene.register(1).leader == 3
    scene.say(CreateTopic(4, Incarnation(5), "orders"))
    [done] = scene.ctx.take(AdminDone)
    assert (done.id, done.error, done.leader) == (4, ErrorCode.NOT_CONTROLLER, 3)


def test_nothing_is_said_before_it_is_committed() -> None:
    scene = Scene(manual=True)
    scene.ctx.take(MetadataUpdate)
    register = Register(1, "cluster", 1, Incarnation(101), "d1", "b1", "", [], True, -1)
    scene.say(register)
    assert not scene.ctx.take(Registered)
    assert not scene.ctx.take(MetadataUpdate)
    assert scene.image.brokers == {}
    scene.settle()
    assert scene.ctx.take(Registered)[0].broker_epoch == scene.image.brokers[1].epoch
    assert scene.ctx.take(MetadataUpdate)


def test_one_decision_waits_for_the_other_and_sees_it() -> None:
    scene = Scene(manual=True)
    register = Register(1, "cluster", 1, Incarnation(101), "d1", "b1", "", [], True, -1)
    scene.say(register)
    end = scene.raft.log_end
    scene.say(register)
    assert scene.raft.log_end == end
    scene.settle()
    first, second = scene.ctx.take(Registered)
    assert first.broker_epoch == second.broker_epoch


def test_a_topic_has_its_leaders_spread_over_the_brokers() -> None:
    scene = Scene().up(1, 2, 3)
    done = scene.create()
    assert (done.error, done.topic_id) == (ErrorCode.NONE, scene.image.topic_ids["orders"])
    assert sorted(state.leader for state in scene.image.partitions.values()) == [1, 2, 3]
    [event] = [event for event in scene.ctx.events if isinstance(event, TopicCreatedEvent)]
    assert event.sentence() == "topic 'orders' was created: 3 partitions, replication 3"


def test_asking_again_gets_the_same_answer_even_from_the_next_controller() -> None:
    scene = Scene().up(1, 2, 3)
    first = scene.create()
    assert scene.create() == first
    scene.raft.lose()
    scene.settle()
    scene.raft.win(scene.ctx)
    scene.settle()
    assert scene.create() == first
    assert scene.create(request=2).error is ErrorCode.TOPIC_ALREADY_EXISTS


def test_lost_leadership_is_said_to_all_who_wait_and_nothing_of_it_remains() -> None:
    scene = Scene(manual=True)
    hash_before = scene.image.state_hash()
    for request in range(3):
        scene.say(Register(request, "cluster", 1, Incarnation(101), "d1", "b1", "", [], True, -1))
    scene.raft.lose(leader=2)
    scene.controller.on_synced(scene.ctx.disk.written, scene.ctx)
    replies = scene.ctx.take(Registered)
    assert [(reply.id, reply.error, reply.leader) for reply in replies] == [
        (request, ErrorCode.NOT_CONTROLLER, 2) for request in range(3)
    ]
    assert scene.image.state_hash() == hash_before
    assert scene.ctx.timers == {}
    [event] = [event for event in scene.ctx.events if isinstance(event, ControllerResigned)]
    assert event.dropped == 3


def test_a_silent_broker_is_fenced_when_its_session_ends_and_its_partitions_move() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    scene.keep_alive(2750, 2, 3)
    assert not scene.fenced(1)
    scene.keep_alive(500, 2, 3)
    assert scene.fenced(1)
    assert all(state.leader in {2, 3} and 1 not in state.isr for state in scene.image.partitions.values())
    assert scene.image.violations() == []
    moved = [event for event in scene.ctx.events if isinstance(event, PartitionLeaderChanged)]
    assert moved[-1].cause == "b1: no heartbeat for 3000 ms"
    assert [event for event in scene.ctx.events if isinstance(event, IsrChanged)]


def test_three_sessions_that_end_at_once_leave_each_partition_someone_eligible() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    scene.ctx.sleep(4000, scene.controller)
    assert all(state.fenced for state in scene.image.brokers.values())
    assert all(state.isr == () and len(state.elr) == 2 for state in scene.image.partitions.values())
    assert scene.image.violations() == []
    for broker in (1, 2, 3):
        scene.beat(broker)
    assert all(state.leader != -1 for state in scene.image.partitions.values())


def test_a_controller_that_was_paused_first_hears_what_has_queued_up() -> None:
    scene = Scene().up(1, 2, 3)
    scene.ctx.sleep(10_000)  # no timer fires: the process stood still
    scene.ctx.sleep(0, scene.controller)
    assert not scene.fenced(1)
    scene.beat(1)
    scene.ctx.sleep(300, scene.controller)
    assert [scene.fenced(broker) for broker in (1, 2, 3)] == [False, True, True]


def test_a_standby_remembers_heartbeats_and_inherits_the_sessions() -> None:
    scene = Scene().up(1, 2)
    scene.raft.lose()
    scene.settle()
    scene.ctx.sleep(2000, scene.controller)
    scene.beat_unanswered(2)
    scene.raft.win(scene.ctx)
    scene.settle()
    scene.ctx.sleep(1500, scene.controller)
    assert scene.fenced(1)
    assert not scene.fenced(2)


def test_a_refused_connection_fences_at_once_and_a_heartbeat_takes_it_back() -> None:
    scene = Scene().up(1, 2, 3)
    scene.say(PeerGone("b1", Incarnation(101)))
    assert scene.fenced(1)
    scene.ctx.sleep(200, scene.controller)
    scene.beat(1)
    assert not scene.fenced(1)
    scene.say(PeerGone("b1", Incarnation(101)))
    assert not scene.fenced(1), "after a false hint, hints are ignored"
    scene.keep_alive(30_000, 1, 2, 3)
    scene.say(PeerGone("b1", Incarnation(101)))
    assert scene.fenced(1)


def test_a_new_controller_fences_whoever_died_with_the_old_one() -> None:
    scene = Scene().up(1, 2, 3)
    scene.raft.lose()
    scene.settle()
    scene.say(PeerGone("b1", Incarnation(101), disconnected_at=scene.ctx.now))
    scene.say(PeerGone("b2", Incarnation(102), disconnected_at=scene.ctx.now))
    scene.ctx.sleep(50, scene.controller)
    scene.beat_unanswered(2)
    scene.raft.win(scene.ctx)
    scene.settle()
    assert scene.fenced(1), "the hint came before anybody was active, and counts all the same"
    assert not scene.fenced(2), "it was heard from after the hint"


def test_isr_proposals_are_decided_and_answered_with_the_committed_state() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create(partitions=1)
    state = scene.image.partitions[scene.partition()]
    leader = scene.image.brokers[state.leader]
    isr = [(leader.id, leader.epoch)]
    scene.say(AlterPartition(1, leader.id, leader.epoch, [IsrChange(state.partition, 0, 0, isr)]))
    [altered] = scene.ctx.take(PartitionsAltered)
    assert [(r.error, r.isr, r.partition_epoch) for r in altered.results] == [(ErrorCode.NONE, [leader.id], 1)]


def test_a_proposal_that_comes_after_a_later_one_is_not_heard() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create(partitions=1)
    state = scene.image.partitions[scene.partition()]
    epoch = scene.image.brokers[state.leader].epoch
    change = IsrChange(state.partition, state.leader_epoch, state.partition_epoch, [(state.leader, epoch)])
    scene.say(AlterPartition(2, state.leader, epoch, []))
    scene.say(AlterPartition(1, state.leader, epoch, [change]))
    assert scene.image.partitions[state.partition].isr == state.isr, "its leader may have given it up by now"
    scene.say(AlterPartition(3, state.leader, epoch, [change]))
    assert scene.image.partitions[state.partition].isr == (state.leader,)


def test_producer_ids_come_in_blocks_that_never_overlap() -> None:
    scene = Scene().up(1)
    for request in (1, 2):
        scene.say(ReserveProducerIds(request, 1, scene.image.brokers[1].epoch))
    blocks = scene.ctx.take(ProducerIdsReserved)
    assert [(block.first, block.count) for block in blocks] == [(0, 1000), (1000, 1000)]


def test_the_queue_is_bounded_and_says_so() -> None:
    scene = Scene(manual=True)
    scene.controller.decisions._limit = 2
    for request in range(5):
        scene.say(Register(request, "cluster", 1, Incarnation(101), "d1", "b1", "", [], True, -1))
    refused = scene.ctx.take(Registered)
    assert [(reply.id, reply.error) for reply in refused] == [
        (request, ErrorCode.THROTTLING_QUOTA_EXCEEDED) for request in (3, 4)
    ]


def test_the_broadcast_is_a_chain_and_its_heartbeats_move_nothing() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    scene.ctx.sleep(600, scene.controller)
    updates = scene.ctx.take(MetadataUpdate)
    for before, after in pairwise(updates):
        assert after.previous == before.offset
        assert (after.records is None) == (after.previous == after.offset)
    assert updates[-1].offset == scene.image.end
    digests = scene.ctx.take(LeadershipUpdate)
    for one, other in pairwise(digests):
        assert other.previous == one.offset
    [created] = [digest for digest in digests if digest.topics]
    assert len(created.leaders) == 3
    assert {place.broker for place in created.brokers} == {1, 2, 3}


def test_a_replica_of_the_broadcast_is_equal_to_the_image() -> None:
    scene = Scene()
    base = scene.image.end
    follower = MetadataImage()
    for first, _, records in decode_batches(scene.raft.read(0, 1 << 20)):
        follower.apply(records, first)
    assert follower.end == base
    scene.up(1, 2, 3).create()
    scene.say(DeleteTopic(9, Incarnation(5), "orders"))
    for update in scene.ctx.take(MetadataUpdate):
        if update.records is not None and update.previous >= base:
            for first, _, records in decode_batches(update.records.data):
                follower.apply(records, first)
    assert follower.state_hash() == scene.image.state_hash()


def test_metadata_is_fetched_as_a_range_or_as_a_snapshot_below_the_start_of_the_log() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    scene.say(FetchMetadata(1, "cluster", 0))
    [found] = scene.ctx.take(MetadataRange)
    assert (found.error, found.end, found.committed) == (ErrorCode.NONE, scene.image.end, scene.image.end)
    scene.raft.log_start = 5
    scene.say(FetchMetadata(2, "cluster", 0))
    [snapshot] = scene.ctx.take(MetadataSnapshot)
    copy = MetadataImage.from_snapshot(bytes(snapshot.data.data))
    assert (snapshot.end, copy.state_hash()) == (scene.image.end, scene.image.state_hash())
    scene.say(FetchMetadata(3, "other", 0))
    assert scene.ctx.take(MetadataRange)[0].error is ErrorCode.INCONSISTENT_CLUSTER_ID


def test_clients_may_ask_a_controller_for_leaders_and_for_the_picture() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    scene.say(FetchLeadership(1, ["orders", "none"]))
    [digest] = scene.ctx.take(Leadership)
    assert ([topic.name for topic in digest.topics], len(digest.leaders)) == (["orders"], 3)
    assert digest.broadcasts == ["tcp://c1:9"]
    scene.say(Describe(2))
    [picture] = scene.ctx.take(Described)
    assert picture.topics[0].configs["durability"] == "fsync"
    assert [broker.broker for broker in picture.brokers] == [1, 2, 3]


def test_a_snapshot_is_written_every_so_many_records_and_loaded_at_the_start() -> None:
    scene = Scene(snapshot_records=10).up(1, 2, 3)
    for request in range(12):
        scene.create(f"topic-{request}", request)
        scene.settle()
    loaded, refused = load_latest(scene.ctx.disk)
    assert refused == []
    assert 0 < scene.image.end - loaded.end < 10
    assert len(scene.ctx.disk.list("snapshots")) == 3
    assert 0 < scene.raft.log_start < loaded.end
    scene.raft.lose()
    again = Controller(scene.config, scene.raft)
    again.on_start(scene.ctx)
    assert again.image.state_hash() == scene.image.state_hash()


def test_a_committed_record_that_cannot_be_applied_ends_a_standby_too() -> None:
    scene = Scene(lead=False)
    scene.raft.replicated(encode_records([LeaderChanged(1, 2, [1, 2])]))
    scene.controller.on_synced(scene.ctx.disk.written, scene.ctx)
    scene.raft.replicated(encode_records([BrokerFenced(8, 8)]))
    with pytest.raises(ImpossibleRecord, match="b8 is unknown"):
        scene.controller.on_synced(scene.ctx.disk.written, scene.ctx)


def test_a_heartbeat_of_a_broker_registered_with_a_newer_controller_gets_no_verdict() -> None:
    scene = Scene().up(1)
    scene.say(BrokerHeartbeat(99, 1, scene.image.end + 5, Incarnation(109), 0, False))
    assert scene.ctx.take(HeartbeatReply)[0].error is ErrorCode.NOT_CONTROLLER


def test_the_heartbeat_of_the_chains_ends_with_the_leadership() -> None:
    scene = Scene()
    assert BroadcastTimer() in scene.ctx.timers
    scene.raft.resign(scene.ctx)
    scene.settle()
    assert BroadcastTimer() not in scene.ctx.timers
    assert not scene.active
