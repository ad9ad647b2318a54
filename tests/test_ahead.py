"""Requests that know more than the broker: they wait up to 100 ms for the metadata (D1)."""

from __future__ import annotations

from logs import P0
from recording import Recording

from barnabas.actors import ahead
from barnabas.actors.ahead import Ahead, AheadTimer
from barnabas.actors.kernel import Address, Incarnation, Payload
from barnabas.actors.messages import (
    Consume,
    ConsumePartition,
    FindOffsets,
    OffsetQuery,
    Partition,
    Produce,
    ProduceBatch,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import BrokerRegistered, PartitionCreated, TopicCreated

ASKER = Address("@c/client")


def image() -> MetadataImage:
    """One partition in leader epoch 0."""
    found = MetadataImage()
    topic = TopicCreated(P0.topic, "orders")
    found.apply([BrokerRegistered(1, Incarnation(1), "d", "b1", ""), topic, PartitionCreated(P0, [1], [1], 1)], 0)
    return found


def consume(epoch: int, partition: Partition = P0) -> Consume:
    return Consume(1, 0, 1, 1, [ConsumePartition(partition, epoch, 0, 1)])


def test_a_request_of_the_present_epoch_does_not_wait() -> None:
    assert not Ahead().park(ASKER, consume(0), image(), Recording())


def test_nor_does_one_without_an_epoch() -> None:
    assert not Ahead().park(ASKER, consume(-1), image(), Recording())


def test_one_of_a_newer_epoch_waits() -> None:
    ctx = Recording()
    assert Ahead().park(ASKER, consume(1), image(), ctx)
    assert ctx.timers == {AheadTimer(1): ctx.now + ahead.WAIT_MS}


def test_so_does_one_for_a_partition_that_is_not_known_yet() -> None:
    assert Ahead().park(ASKER, consume(0, Partition(P0.topic, 9)), image(), Recording())


def test_one_partition_that_is_ahead_is_enough() -> None:
    batches = [ProduceBatch(P0, epoch, Payload(b"")) for epoch in (0, 1)]
    assert Ahead().park(ASKER, Produce(1, 1, 1, batches), image(), Recording())


def test_questions_for_offsets_wait_too() -> None:
    assert Ahead().park(ASKER, FindOffsets(1, [OffsetQuery(P0, 3, -1)]), image(), Recording())


def test_all_are_taken_in_order_when_the_metadata_moves() -> None:
    ctx, waiting = Recording(), Ahead()
    requests = [consume(1), consume(2)]
    for request in requests:
        waiting.park(ASKER, request, image(), ctx)
    assert waiting.take(None, ctx) == [(ASKER, request) for request in requests]
    assert ctx.timers == {}
    assert waiting.take(None, ctx) == []


def test_one_is_taken_when_its_time_is_over() -> None:
    ctx, waiting = Recording(), Ahead()
    waiting.park(ASKER, consume(1), image(), ctx)
    waiting.park(ASKER, consume(2), image(), ctx)
    assert waiting.take(1, ctx) == [(ASKER, consume(1))]
    assert waiting.take(1, ctx) == []


def test_only_so_many_wait() -> None:
    ctx, waiting = Recording(), Ahead()
    for _ in range(ahead.MAX_WAITING):
        assert waiting.park(ASKER, consume(1), image(), ctx)
    assert not waiting.park(ASKER, consume(1), image(), ctx)
