"""Conversations of the producer with a cluster that does what a test says."""

from __future__ import annotations

from client_world import LOCAL, ClientWorld
from test_producer_under_loss import Outcomes

from barnabas.actors.client_commands import Close, Flush, SendRecords, Why
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Message, Payload
from barnabas.actors.messages import (
    FetchLeadership,
    GiveProducerId,
    Leadership,
    Partition,
    PeerBack,
    PeerGone,
    Produce,
    Produced,
    ProducedBatch,
)
from barnabas.actors.partitioner import partition_of
from barnabas.actors.producer import ProducerActor
from barnabas.actors.producer_outlet import ProducerSettings
from barnabas.storage.records import Record, parse_header


def ready(partitions: int = 1, **options: int) -> tuple[ClientWorld, Outcomes, ProducerActor]:
    """A producer that knows the cluster, the topic "t" and its own id."""
    world, outcomes = ClientWorld(), Outcomes()
    world.create("t", partitions)
    producer = ProducerActor(["b1", "b2", "b3"], outcomes, ProducerSettings(**options))  # type: ignore[arg-type]
    world.start(producer)
    producer.leaderships.want("t", world.ctx)
    world.run(50)
    return world, outcomes, producer


def send(world: ClientWorld, *tokens: int, partition: int = 0, size: int = 1) -> None:
    records = [Record(None, str(token).encode().rjust(size, b"0")) for token in tokens]
    world.tell(SendRecords("t", records, list(tokens), partition))


def headers(world: ClientWorld) -> list[tuple[str, int, int, int]]:
    """(to, producer epoch, base sequence, count) of every batch that was sent."""
    found = []
    for to, message in world.requests(Produce):
        for batch in message.batches:
            header = parse_header(batch.batch.data)
            found.append((str(to), header.producer_epoch, header.base_sequence, header.count))
    return found


def silence(message: Message) -> Message | None:
    """Swallow what is produced: an answer to nothing."""
    return Produced(-1, []) if isinstance(message, Produce) else None


def test_records_that_come_within_the_linger_share_a_batch() -> None:
    world, outcomes, _ = ready(linger_ms=5)
    send(world, 0)
    world.run(4)
    send(world, 1, 2)
    assert headers(world) == []
    world.run(20)
    assert headers(world) == [("b1/broker", 0, 0, 3)]
    assert outcomes.acked == {0: (0, 0), 1: (0, 1), 2: (0, 2)}


def test_a_full_batch_does_not_linger() -> None:
    world, _, _ = ready(linger_ms=10_000, batch_bytes=300)
    send(world, 0, 1, 2, 3, 4, size=50)
    assert headers(world) == [("b1/broker", 0, 0, 3)]


def test_flush_sends_at_once_and_tells_when_all_is_done() -> None:
    world, outcomes, _ = ready(linger_ms=10_000)
    send(world, 0)
    world.tell(Flush("f"))
    assert outcomes.flushes == []
    world.run(5)
    assert outcomes.acked == {0: (0, 0)}
    assert outcomes.flushes == ["f"]


def test_one_request_carries_the_batches_of_all_partitions_of_a_leader() -> None:
    world, _, _ = ready(6)
    for index in range(6):
        send(world, index, partition=index)
    world.run(20)
    assert [len(message.batches) for _, message in world.requests(Produce)] == [2, 2, 2]


def test_the_first_batch_flies_alone_and_then_five_fly_at_most() -> None:
    world, _, _ = ready(batch_bytes=100, linger_ms=0)
    world.refuse = silence
    for token in range(8):
        send(world, token, size=60)
    assert len(headers(world)) == 1
    (_, request), *_ = world.requests(Produce)
    first = ProducedBatch(request.batches[0].partition, ErrorCode.NONE, 0)
    world.actor.on_message(LOCAL, Produced(request.id, [first]), world.ctx)
    assert [header[2] for header in headers(world)] == [0, 1, 2, 3, 4, 5]


def test_a_retry_carries_the_very_same_bytes() -> None:
    world, outcomes, _ = ready(request_timeout_ms=200)
    world.refuse = silence
    send(world, 0, 1)
    world.run(300)
    world.refuse = lambda message: None
    world.run(300)
    first, second, *_ = [message.batches[0].batch for _, message in world.requests(Produce)]
    assert first == second
    assert outcomes.acked == {0: (0, 0), 1: (0, 1)}


def test_what_flies_is_sent_to_a_new_leader_at_once() -> None:
    world, outcomes, _ = ready(request_timeout_ms=10_000)
    world.down = {"b1"}
    send(world, 0)
    world.run(50)
    assert not outcomes.acked
    world.lead("t", 0, 2)
    world.run(5)
    assert [header[0] for header in headers(world)] == ["b1/broker", "b2/broker"]
    assert outcomes.acked == {0: (0, 0)}


def test_a_hint_in_a_refusal_is_followed_at_once_and_a_lower_epoch_is_not() -> None:
    world, _, producer = ready(request_timeout_ms=10_000)
    world.refuse = silence
    send(world, 0)
    world.run(10)
    (_, request), *_ = world.requests(Produce)
    partition = request.batches[0].partition

    def refusal(leader: int, epoch: int) -> None:
        (_, last) = world.requests(Produce)[-1]
        answer = ProducedBatch(partition, ErrorCode.NOT_LEADER_OR_FOLLOWER, leader=leader, leader_epoch=epoch)
        world.actor.on_message(LOCAL, Produced(last.id, [answer]), world.ctx)

    refusal(3, 7)
    assert headers(world)[-1][0] == "b3/broker"
    refusal(2, 6)
    world.run(100)
    assert headers(world)[-1][0] == "b3/broker"
    assert producer.leaderships.leaders[partition].epoch == 7


def test_a_success_of_an_earlier_attempt_counts() -> None:
    world, outcomes, _ = ready(request_timeout_ms=100)
    world.refuse = silence
    send(world, 0)
    world.run(250)
    (_, first), *rest = world.requests(Produce)
    assert rest
    done = ProducedBatch(first.batches[0].partition, ErrorCode.NONE, 41)
    world.actor.on_message(LOCAL, Produced(first.id, [done]), world.ctx)
    world.actor.on_message(LOCAL, Produced(first.id, [done]), world.ctx)
    assert outcomes.acked == {0: (0, 41)}


def test_records_that_were_never_sent_fail_for_sure_when_their_time_is_over() -> None:
    world, outcomes, _ = ready(delivery_timeout_ms=500)
    world.lead("t", 0, -1)
    world.run(5)
    send(world, 0)
    world.run(1_000)
    assert outcomes.failures[0].why is Why.TIMED_OUT
    assert headers(world) == []


def test_after_an_unknown_outcome_the_producer_goes_on_under_a_new_epoch_from_zero() -> None:
    world, outcomes, _ = ready(delivery_timeout_ms=500, request_timeout_ms=200)
    world.refuse = silence
    send(world, 0)
    world.run(600)
    assert outcomes.failures[0].why is Why.UNKNOWN_OUTCOME
    world.refuse = lambda message: None
    send(world, 1)
    world.run(50)
    assert headers(world)[-1] == ("b1/broker", 1, 0, 1)
    assert outcomes.acked == {1: (0, 0)}


def test_an_answer_for_a_later_batch_proves_the_earlier_one() -> None:
    world, outcomes, _ = ready(delivery_timeout_ms=500, request_timeout_ms=10_000, batch_bytes=100, linger_ms=0)
    send(world, 0)
    world.run(10)
    world.refuse = silence
    send(world, 1, size=60)
    send(world, 2, size=60)
    _, _, (_, third) = world.requests(Produce)
    done = ProducedBatch(third.batches[0].partition, ErrorCode.NONE, 7)
    world.actor.on_message(LOCAL, Produced(third.id, [done]), world.ctx)
    world.run(600)
    assert outcomes.acked == {0: (0, 0), 1: (0, -1), 2: (0, 7)}
    assert not outcomes.failures


def test_a_refused_batch_fails_and_those_behind_it_fly_again_in_order() -> None:
    world, outcomes, _ = ready(batch_bytes=100, linger_ms=0)
    send(world, 0)
    world.run(10)
    bad = b"1".rjust(60, b"0")

    def refuse(message: Message) -> Message | None:
        if isinstance(message, Produce) and bad in bytes(message.batches[0].batch.data):
            return Produced(
                message.id, [ProducedBatch(message.batches[0].partition, ErrorCode.INVALID_RECORD, reason="no")]
            )
        return None

    world.refuse = refuse
    for token in (1, 2, 3):
        send(world, token, size=60)
    world.run(1_000)
    assert outcomes.failures[1].error is ErrorCode.INVALID_RECORD
    assert [int(value or b"") for value in world.topics["t"].values(0)] == [0, 2, 3]
    assert sorted(outcomes.acked) == [0, 2, 3]


def test_too_few_replicas_is_tried_again_in_place() -> None:
    world, outcomes, _ = ready()
    seen = 0

    def refuse(message: Message) -> Message | None:
        nonlocal seen
        if isinstance(message, Produce) and seen < 3:
            seen += 1
            return Produced(message.id, [ProducedBatch(message.batches[0].partition, ErrorCode.NOT_ENOUGH_REPLICAS)])
        return None

    world.refuse = refuse
    send(world, 0)
    world.run(500)
    assert len(headers(world)) == 4
    assert outcomes.acked == {0: (0, 0)}


def test_acks_0_is_acknowledged_when_it_is_sent() -> None:
    world, outcomes, _ = ready(acks=0, batch_bytes=100)
    world.refuse = silence
    send(world, 0, 1, 2, size=60)
    world.run(20)
    assert outcomes.acked == {0: (0, -1), 1: (0, -1), 2: (0, -1)}
    assert all(header[2] == -1 for header in headers(world))


def test_without_idempotence_one_batch_flies_at_a_time() -> None:
    world, outcomes, _ = ready(acks=1, idempotent=False, batch_bytes=100)
    send(world, 0, 1, 2, size=60)
    world.run(1)
    assert len(headers(world)) == 1
    world.run(20)
    assert len(headers(world)) == 3
    assert len(outcomes.acked) == 3


def test_a_full_buffer_refuses() -> None:
    world, outcomes, _ = ready(buffer_bytes=200, linger_ms=10_000)
    send(world, 0, 1, 2, size=60)
    assert outcomes.failures[2].why is Why.BUFFER_FULL
    world.tell(Flush("f"))
    world.run(10)
    send(world, 3, size=60)
    world.tell(Close(1_000))
    world.run(10)
    assert sorted(outcomes.acked) == [0, 1, 3]  # type: ignore[type-var]
    assert outcomes.is_closed


def test_a_record_beyond_a_mebibyte_is_refused() -> None:
    world, outcomes, _ = ready()
    send(world, 0, size=1 << 20)
    assert outcomes.failures[0].why is Why.TOO_LARGE


def test_a_topic_that_is_created_late_is_found() -> None:
    world, outcomes, _ = ready()
    world.tell(SendRecords("late", [Record(b"k", b"v")], ["r"]))
    world.tell(Flush("f"))
    world.run(3_000)
    assert not outcomes.acked
    world.create("late", 3)
    world.run(1_000)
    assert outcomes.acked == {"r": (partition_of(b"k", 3), 0)}
    assert outcomes.flushes == ["f"]


def test_a_topic_that_never_comes_fails_its_records() -> None:
    world, outcomes, _ = ready()
    world.tell(SendRecords("never", [Record(None, b"v")], ["r"]))
    world.run(11_000)
    assert outcomes.failures["r"].why is Why.UNKNOWN_TOPIC


def test_without_brokers_the_failure_names_the_places_that_were_asked() -> None:
    world, outcomes = ClientWorld(), Outcomes()
    world.down = {"b1", "b2", "b3"}
    world.start(ProducerActor(["b1", "b2"], outcomes))
    world.tell(SendRecords("t", [Record(None, b"v")], ["r"]))
    world.run(11_000)
    assert outcomes.failures["r"].why is Why.NO_BROKERS
    assert "b1, b2" in outcomes.failures["r"].sentence


def test_that_a_topic_is_not_there_is_said_only_if_somebody_was_asked_about_it_and_answered() -> None:
    world, outcomes, _ = ready()
    world.down = {"b1", "b2", "b3"}  # they answered before, about other topics
    world.tell(SendRecords("other", [Record(None, b"v")], ["r"]))
    world.run(11_000)
    assert outcomes.failures["r"].why is Why.NO_BROKERS


def test_a_deleted_topic_fails_what_waits_for_it() -> None:
    world, outcomes, _ = ready()
    world.refuse = silence
    send(world, 0)
    world.run(10)
    world.delete("t")
    world.run(10)
    assert outcomes.failures[0].why is Why.UNKNOWN_OUTCOME


def test_keyless_records_stay_with_one_partition_until_its_batch_is_gone() -> None:
    world, outcomes, _ = ready(3)
    for token in range(4):
        send(world, token, partition=-1)
    world.run(20)
    first = {outcomes.acked[token][0] for token in range(4)}
    send(world, 4, partition=-1)
    world.run(20)
    assert len(first) == 1
    assert outcomes.acked[4][0] not in first


def test_a_peer_that_is_gone_is_not_waited_for() -> None:
    world, outcomes, _ = ready(request_timeout_ms=60_000)
    world.down = {"b1"}
    send(world, 0)
    world.run(10)
    world.down = set()
    world.tell(PeerGone("b1", 1))  # type: ignore[arg-type]
    world.run(10)
    assert outcomes.acked == {0: (0, 0)}


def test_what_was_on_its_way_when_a_connection_dropped_is_sent_again_when_it_is_back() -> None:
    world, outcomes, _ = ready(request_timeout_ms=60_000)
    world.down = {"b1"}
    send(world, 0)
    world.run(10)
    world.down = set()
    world.run(200)
    assert outcomes.acked == {}
    world.tell(PeerBack("b1"))
    world.run(10)
    assert outcomes.acked == {0: (0, 0)}


def test_a_lost_frame_is_fetched_and_a_late_frame_changes_nothing() -> None:
    world, _, producer = ready()
    partition = Partition(world.topics["t"].id, 0)
    world.lead("t", 0, 2, tell=False)
    world.lead("t", 0, 3)
    world.run(5)
    assert producer.leaderships.leaders[partition].broker == 3
    asked = len(world.requests(FetchLeadership))
    world.run(100)
    assert len(world.requests(FetchLeadership)) == asked + 1
    assert producer.leaderships.offset == world.offset


def test_silence_is_a_gap() -> None:
    world, _, _ = ready()
    world.heartbeats = False
    asked = len(world.requests(FetchLeadership))
    world.run(700)
    assert len(world.requests(FetchLeadership)) > asked


def test_a_deleted_topic_does_not_come_back_from_a_broker_that_is_behind() -> None:
    world, _, producer = ready()
    old: Leadership = world.digest(1, ["t"])
    world.delete("t")
    world.run(10)
    producer.on_message(LOCAL, old, world.ctx)
    assert "t" not in producer.leaderships.topics
    assert isinstance(Payload(b""), Payload)


def test_an_identity_that_is_given_late_is_taken_and_the_others_are_not() -> None:
    """Otherwise brokers that are slower than the next question are asked for ever."""
    world, outcomes = ClientWorld(delay=(300, 300)), Outcomes()
    world.create("t", 1)
    world.start(ProducerActor(["b1", "b2", "b3"], outcomes, ProducerSettings()))
    send(world, 0)
    world.run(2_000)
    assert outcomes.acked == {0: (0, 0)}
    asked = len(world.requests(GiveProducerId))
    assert asked > 1
    world.run(2_000)
    send(world, 1)
    world.run(1_000)
    assert outcomes.acked[1] == (0, 1)
    assert len(world.requests(GiveProducerId)) == asked
    batches = [parse_header(batch.batch.data) for _, message in world.requests(Produce) for batch in message.batches]
    assert len({batch.producer_id for batch in batches}) == 1
