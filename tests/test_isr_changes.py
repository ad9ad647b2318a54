"""Proposals of leaders: which are refused with what, and which are so already."""

from __future__ import annotations

import pytest

from barnabas.actors.errors import ErrorCode
from barnabas.actors.isr_changes import alter
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import AlteredPartition, AlterPartition, IsrChange, Partition, PartitionsAltered, TopicId
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerStopping,
    BrokerUnfenced,
    PartitionChanged,
    PartitionCreated,
    TopicCreated,
)

T = TopicId("T" * 22)
P = Partition(T, 0)


@pytest.fixture
def image() -> MetadataImage:
    """Brokers 1 to 4 (epochs 0 to 3); partition 0 on 1, 2, 3, with 1 and 2 in sync in leader epoch 1, version 1."""
    image = MetadataImage()
    image.apply([BrokerRegistered(b, Incarnation(b), f"d{b}", f"b{b}", "") for b in (1, 2, 3, 4)], 0)
    image.apply([BrokerUnfenced(b, b - 1) for b in (1, 2, 3, 4)], 4)
    image.apply([TopicCreated(T, "orders"), PartitionCreated(P, [1, 2, 3], [1, 2, 3], 2)], 8)
    image.apply([PartitionChanged(P, 1, 1, 1, [1, 2])], 10)
    return image


def isr(*brokers: int) -> list[tuple[int, int]]:
    return [(broker, broker - 1) for broker in brokers]


def propose(image: MetadataImage, change: IsrChange, broker: int = 1, epoch: int | None = None) -> PartitionsAltered:
    """Decide, commit, answer."""
    decision = alter(image, AlterPartition(7, broker, broker - 1 if epoch is None else epoch, [change]))
    if decision.records:
        image.apply(decision.records, image.end)
        assert image.violations() == []
    reply = decision.reply()
    assert isinstance(reply, PartitionsAltered)
    return reply


def verdict(image: MetadataImage, change: IsrChange, broker: int = 1) -> AlteredPartition:
    [result] = propose(image, change, broker).results
    return result


def test_a_caught_up_replica_joins(image: MetadataImage) -> None:
    assert verdict(image, IsrChange(P, 1, 1, isr(3, 2, 1))) == AlteredPartition(P, ErrorCode.NONE, 1, 2, [1, 2, 3])


def test_a_replica_that_lags_leaves_and_stays_eligible_if_too_few_are_left(image: MetadataImage) -> None:
    assert verdict(image, IsrChange(P, 1, 1, isr(1))) == AlteredPartition(P, ErrorCode.NONE, 1, 2, [1])
    assert image.partitions[P].elr == (2,)
    assert image.partitions[P].leader_epoch == 1, "a change of the ISR alone is no election"


def test_the_same_proposal_again_is_so_already(image: MetadataImage) -> None:
    change = IsrChange(P, 1, 1, isr(1, 2, 3))
    first = verdict(image, change)
    end = image.end
    assert verdict(image, change) == first
    assert image.end == end


def test_one_message_may_hold_good_and_bad_proposals(image: MetadataImage) -> None:
    changes = [IsrChange(Partition(T, 5), 0, 0, isr(1)), IsrChange(P, 1, 1, isr(1))]
    reply = alter(image, AlterPartition(7, 1, 0, changes)).reply()
    assert isinstance(reply, PartitionsAltered)
    assert [result.error for result in reply.results] == [ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.NONE]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (IsrChange(P, 0, 1, isr(1)), ErrorCode.FENCED_LEADER_EPOCH),
        (IsrChange(P, 2, 1, isr(1)), ErrorCode.NOT_CONTROLLER),
        (IsrChange(P, 1, 2, isr(1)), ErrorCode.NOT_CONTROLLER),
        (IsrChange(P, 1, 0, isr(1)), ErrorCode.INVALID_UPDATE_VERSION),
        (IsrChange(P, 1, 1, isr(2, 3)), ErrorCode.INVALID_REQUEST),
        (IsrChange(P, 1, 1, []), ErrorCode.INVALID_REQUEST),
        (IsrChange(P, 1, 1, isr(1, 2, 4)), ErrorCode.INVALID_REQUEST),
        (IsrChange(P, 1, 1, isr(1, 1)), ErrorCode.INVALID_REQUEST),
        (IsrChange(P, 1, 1, [(1, 0), (2, 1), (3, 99)]), ErrorCode.INELIGIBLE_REPLICA),
        (IsrChange(P, 1, 1, [(1, 0), (2, 1), (3, -1)]), ErrorCode.INELIGIBLE_REPLICA),
    ],
)
def test_a_proposal_is_refused(image: MetadataImage, change: IsrChange, error: ErrorCode) -> None:
    before = image.state_hash()
    assert verdict(image, change) == AlteredPartition(P, error, 1, 1, [1, 2])
    assert image.state_hash() == before


def test_only_the_leader_proposes(image: MetadataImage) -> None:
    assert verdict(image, IsrChange(P, 1, 1, isr(2)), broker=2).error is ErrorCode.INVALID_REQUEST


def test_a_fenced_broker_does_not_join(image: MetadataImage) -> None:
    image.apply([BrokerFenced(3, 2)], image.end)
    assert verdict(image, IsrChange(P, 1, 1, isr(1, 2, 3))).error is ErrorCode.INELIGIBLE_REPLICA


def test_a_stopping_broker_does_not_join(image: MetadataImage) -> None:
    image.apply([BrokerStopping(3, 2)], image.end)
    assert verdict(image, IsrChange(P, 1, 1, isr(1, 2, 3))).error is ErrorCode.INELIGIBLE_REPLICA


def test_a_stopping_leader_may_let_its_heir_in(image: MetadataImage) -> None:
    image.apply([BrokerStopping(1, 0)], image.end)
    assert verdict(image, IsrChange(P, 1, 1, isr(1, 2, 3))).error is ErrorCode.NONE


def test_a_member_that_restarted_meanwhile_is_named_with_an_old_epoch(image: MetadataImage) -> None:
    image.apply([BrokerRegistered(3, Incarnation(33), "d3", "b3", ""), BrokerUnfenced(3, image.end)], image.end)
    assert verdict(image, IsrChange(P, 1, 1, isr(1, 2, 3))).error is ErrorCode.INELIGIBLE_REPLICA


@pytest.mark.parametrize(
    ("broker", "epoch", "error"),
    [
        (1, -1, ErrorCode.STALE_BROKER_EPOCH),
        (1, 1, ErrorCode.NOT_CONTROLLER),
        (1, 999, ErrorCode.NOT_CONTROLLER),
        (9, 3, ErrorCode.BROKER_ID_NOT_REGISTERED),
    ],
)
def test_the_sender_is_who_it_says(image: MetadataImage, broker: int, epoch: int, error: ErrorCode) -> None:
    reply = propose(image, IsrChange(P, 1, 1, isr(1)), broker, epoch)
    assert (reply.error, reply.results) == (error, [])
