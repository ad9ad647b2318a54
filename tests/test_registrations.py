"""Brokers come, go silent, come back and stop, in front of an active controller."""

from __future__ import annotations

from controller_scene import Scene

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import BrokerHeartbeat, HeartbeatReply, PeerGone, Register, Registered, ReportDamage


def test_a_broker_is_fenced_until_it_knows_the_metadata_of_its_registration() -> None:
    scene = Scene()
    epoch = scene.register(1).broker_epoch
    assert scene.beat(1, offset=epoch).fenced
    assert scene.fenced(1)
    scene.beat(1, offset=epoch + 1)
    assert not scene.fenced(1)
    assert not scene.beat(1).fenced


def test_the_same_incarnation_gets_the_same_epoch() -> None:
    scene = Scene()
    first = scene.register(1)
    end = scene.image.end
    assert scene.register(1) == first
    assert scene.image.end == end


def test_a_new_incarnation_with_the_same_directory_replaces_the_old_at_once() -> None:
    scene = Scene().up(1)
    old = scene.image.brokers[1].epoch
    assert scene.register(1, life=2).broker_epoch > old
    assert scene.fenced(1)


def test_another_directory_waits_for_the_session_to_end() -> None:
    scene = Scene().up(1)
    refused = scene.register(1, life=2, directory="other")
    assert refused.error is ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert "its session has not ended" in refused.reason
    scene.ctx.sleep(3000, scene.controller)
    assert scene.register(1, life=2, directory="other").error is ErrorCode.NONE


def test_a_registration_that_was_overtaken_by_a_later_life_is_refused() -> None:
    scene = Scene()
    scene.register(1, life=1)
    scene.register(1, life=2)
    late = scene.register(1, life=1)
    assert late.error is ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert scene.image.brokers[1].incarnation == 102


def test_a_late_registration_of_a_life_that_never_was_a_member_is_refused() -> None:
    scene = Scene().up(1)
    epoch = scene.register(2, life=3, count=3).broker_epoch
    scene.beat(2, life=3)
    late = scene.register(2, life=2, count=2)
    assert late.error is ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert late.reason == "A later life of b2 has registered since."
    assert scene.image.brokers[2].epoch == epoch


def test_an_older_copy_of_a_data_directory_joins_when_the_session_has_ended_and_proves_nothing() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create(partitions=1, replication=3)
    scene.register(2, life=5, count=5)
    scene.beat(2, life=5)
    scene.keep_alive(4_000, 1, 3)
    assert scene.register(2, life=6, count=1).error is ErrorCode.NONE
    state = scene.image.partitions[scene.partition()]
    assert 2 not in state.isr
    assert 2 not in state.elr


def test_a_broker_of_another_cluster_is_refused() -> None:
    scene = Scene()
    scene.say(Register(1, "other", 1, Incarnation(101), "d1", "b1", "", [], True, -1))
    [refused] = scene.ctx.take(Registered)
    assert refused.error is ErrorCode.INCONSISTENT_CLUSTER_ID


def test_a_heartbeat_of_an_earlier_life_is_stale() -> None:
    scene = Scene().up(1)
    old = scene.image.brokers[1].epoch
    scene.register(1, life=2)
    scene.say(BrokerHeartbeat(9, 1, old, Incarnation(101), scene.image.end, False))
    assert scene.ctx.take(HeartbeatReply)[0].error is ErrorCode.STALE_BROKER_EPOCH


def test_an_unknown_broker_is_told_to_register() -> None:
    scene = Scene()
    scene.say(BrokerHeartbeat(1, 1, 0, Incarnation(101), 0, False))
    assert scene.ctx.take(HeartbeatReply)[0].error is ErrorCode.BROKER_ID_NOT_REGISTERED


def test_a_copy_of_an_old_heartbeat_keeps_nobody_alive() -> None:
    scene = Scene().up(1, 2)
    copy = BrokerHeartbeat(scene.beats + 1, 1, scene.image.brokers[1].epoch, Incarnation(101), scene.image.end, False)
    for _ in range(14):
        scene.say(copy)
        scene.keep_alive(250, 2)
    assert scene.fenced(1)
    scene.say(copy)
    assert scene.fenced(1)


def test_a_broker_that_was_fenced_for_silence_comes_back_with_a_heartbeat_and_its_epoch() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    epoch = scene.image.brokers[1].epoch
    scene.keep_alive(3500, 2, 3)
    assert scene.fenced(1)
    scene.beat(1)
    assert not scene.fenced(1)
    assert scene.image.brokers[1].epoch == epoch


def test_a_heartbeat_since_the_connection_dropped_disproves_the_hint() -> None:
    scene = Scene().up(1)
    dropped = scene.ctx.now - 10
    scene.say(PeerGone("b1", Incarnation(101), dropped))
    assert not scene.fenced(1)
    scene.ctx.sleep(10, scene.controller)
    scene.say(PeerGone("b1", Incarnation(101), scene.ctx.now))
    assert scene.fenced(1)


def test_a_hint_about_an_earlier_life_is_ignored() -> None:
    scene = Scene().up(1)
    scene.register(1, life=2)
    scene.beat(1, life=2)
    scene.say(PeerGone("b1", Incarnation(101)))
    assert not scene.fenced(1)


def test_a_heartbeat_that_was_on_its_way_when_its_sender_died_takes_nothing_back() -> None:
    scene = Scene().up(1)
    scene.say(PeerGone("b1", Incarnation(101)))
    scene.ctx.sleep(20, scene.controller)
    scene.beat(1)
    assert scene.fenced(1)
    scene.ctx.sleep(250, scene.controller)
    scene.beat(1)
    assert not scene.fenced(1)


def test_a_restart_after_a_clean_stop_keeps_its_place_and_a_wiped_one_does_not() -> None:
    for directory, elr in (("d1", (1,)), ("wiped", ())):
        scene = Scene().up(1)
        scene.create(partitions=1, replication=1)
        scene.ctx.sleep(4000, scene.controller)
        scene.register(1, life=2, directory=directory)
        assert scene.image.partitions[scene.partition()].elr == elr
        scene.beat(1, life=2)
        assert (scene.image.partitions[scene.partition()].leader == 1) == bool(elr)


def test_a_broker_may_stop_once_all_who_live_know_that_it_leads_nothing() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    assert not scene.beat(1, stop=True).may_stop
    assert scene.image.brokers[1].stopping
    assert all(state.leader != 1 and 1 not in state.isr for state in scene.image.partitions.values())
    assert not scene.beat(1, stop=True).may_stop
    scene.beat(2)
    assert not scene.beat(1, stop=True).may_stop
    scene.beat(3, offset=scene.image.end - 1)
    assert not scene.beat(1, stop=True).may_stop
    scene.beat(3)
    assert scene.beat(1, stop=True).may_stop


def test_a_broker_that_stops_alone_may_stop() -> None:
    scene = Scene().up(1)
    scene.beat(1, stop=True)
    assert scene.beat(1, stop=True).may_stop


def test_a_broker_whose_log_is_damaged_loses_its_place_there() -> None:
    scene = Scene().up(1, 2, 3)
    scene.create()
    partition = scene.partition(0)
    epoch = scene.image.partitions[partition].leader_epoch
    scene.say(ReportDamage(1, scene.image.brokers[1].epoch, partition, epoch))
    assert 1 not in scene.image.partitions[scene.partition(0)].isr
    assert 1 in scene.image.partitions[scene.partition(1)].isr
