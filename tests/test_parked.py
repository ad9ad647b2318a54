"""Acknowledgements that wait for the high watermark: each leaves once, in the order of offsets."""

from __future__ import annotations

import pytest
from logs import P0
from recording import Recording

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Address, Millis
from barnabas.actors.messages import Partition, Produced
from barnabas.actors.parked import ParkedAcks

P1 = Partition(P0.topic, 1)
ASKER = Address("@c/producer")


def parked(*ends: int, deadline: int = 5_000) -> ParkedAcks:
    """One batch of one record per end; request ids are the ends."""
    acks = ParkedAcks()
    for end in ends:
        acks.park(P0, end, 3, ASKER, end, end - 1, Millis(deadline))
    return acks


def answers(ctx: Recording, acks: ParkedAcks) -> list[tuple[int, ErrorCode, int]]:
    acks.speak(ctx)
    return [(answer.id, part.error, part.base_offset) for answer in ctx.take(Produced) for part in answer.batches]


def test_what_the_high_watermark_has_passed_is_acknowledged_in_order() -> None:
    ctx, acks = Recording(), parked(1, 2, 3)
    acks.release(P0, 2, 3, 0)
    assert answers(ctx, acks) == [(1, ErrorCode.NONE, 0), (2, ErrorCode.NONE, 1)]
    assert len(acks) == 1


def test_each_leaves_exactly_once() -> None:
    ctx, acks = Recording(), parked(1)
    acks.release(P0, 1, 3, 0)
    acks.release(P0, 1, 3, 0)
    acks.refuse(P0, ErrorCode.NOT_LEADER_OR_FOLLOWER)
    assert len(answers(ctx, acks)) == 1
    assert len(acks) == 0


def test_a_batch_that_the_high_watermark_only_touches_waits() -> None:
    ctx, acks = Recording(), parked(3)
    acks.release(P0, 2, 3, 0)
    assert answers(ctx, acks) == []


def test_a_duplicate_of_something_that_waits_takes_its_place_in_order() -> None:
    ctx, acks = Recording(), parked(1, 2, 3)
    acks.park(P0, 1, 3, ASKER, 99, 0, Millis(5_000))
    acks.release(P0, 1, 3, 0)
    assert [number for number, _, _ in answers(ctx, acks)] == [1, 99]


def test_partitions_wait_for_themselves() -> None:
    ctx, acks = Recording(), parked(1)
    acks.park(P1, 1, 3, ASKER, 7, 0, Millis(5_000))
    acks.release(P1, 1, 3, 0)
    assert [number for number, _, _ in answers(ctx, acks)] == [7]


def test_a_lost_leadership_refuses_all_and_names_the_leader() -> None:
    ctx, acks = Recording(), parked(1, 2)
    acks.refuse(P0, ErrorCode.NOT_LEADER_OR_FOLLOWER, leader=2, epoch=4)
    acks.speak(ctx)
    told = [part for answer in ctx.take(Produced) for part in answer.batches]
    assert [(part.error, part.leader, part.leader_epoch) for part in told] == [
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, 2, 4)
    ] * 2


def test_an_acknowledgement_of_another_epoch_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="of epoch 3 in epoch 4"):
        parked(1).release(P0, 1, 4, 0)


def test_who_has_waited_as_long_as_he_allowed_is_told_so() -> None:
    ctx, acks = Recording(), parked(1, deadline=1_100)
    acks.park(P0, 2, 3, ASKER, 2, 1, Millis(9_000))
    ctx.sleep(99)
    acks.expire(ctx.now)
    assert answers(ctx, acks) == []
    ctx.sleep(1)
    acks.expire(ctx.now)
    assert answers(ctx, acks) == [(1, ErrorCode.REQUEST_TIMED_OUT, -1)]
    assert len(acks) == 1


def test_all_that_leaves_at_once_is_one_answer_per_request() -> None:
    ctx, acks = Recording(), ParkedAcks()
    for partition in (P0, P1):
        acks.park(partition, 1, 3, ASKER, 7, 0, Millis(5_000))
        acks.park(partition, 2, 3, ASKER, 8, 1, Millis(5_000))
    for partition in (P0, P1):
        acks.release(partition, 2, 3, 0)
    acks.speak(ctx)
    told = [(answer.id, [part.partition for part in answer.batches]) for answer in ctx.take(Produced)]
    assert told == [(7, [P0, P1]), (8, [P0, P1])]
    acks.speak(ctx)
    assert ctx.take(Produced) == []
