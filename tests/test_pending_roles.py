"""Work on thousands of partitions is done in slices: roles that wait for their turn, and rounds over all replicas."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from logs import ORDERS

from barnabas.actors.messages import Partition
from barnabas.actors.pending_roles import PendingRoles
from barnabas.actors.rounds import Round


def partitions(*indexes: int) -> list[Partition]:
    return [Partition(ORDERS, index) for index in indexes]


def image(**led_by: int) -> Any:  # noqa: ANN401  as much of the metadata as is looked at
    """Partitions `p0`, `p1`, ... with their leader; the replicas are brokers 1 and 2, or 2 and 3 if 3 leads."""
    states = {
        Partition(ORDERS, int(name[1:])): SimpleNamespace(replicas=(2, 3) if leader == 3 else (1, 2), leader=leader)
        for name, leader in led_by.items()
    }
    return SimpleNamespace(partitions=states)


def test_what_goes_comes_first_then_what_is_led_then_the_rest_in_slices() -> None:
    pending = PendingRoles(1, 2)
    pending.add(partitions(0, 1, 2, 3, 4), image(p0=2, p1=1, p2=3, p4=1))
    assert [pending.take() for _ in range(3)] == [partitions(2, 3), partitions(1, 4), partitions(0)]
    assert not pending
    assert pending.take() == []


def test_a_role_that_changes_again_waits_once_and_in_the_new_place() -> None:
    pending = PendingRoles(1, 10)
    pending.add(partitions(0, 1), image(p0=2, p1=2))
    pending.add(partitions(1), image(p0=2, p1=1))
    assert pending.take() == partitions(1, 0)


def test_a_role_that_is_asked_for_waits_no_longer() -> None:
    pending = PendingRoles(1, 10)
    pending.add(partitions(0, 1), image(p0=1, p1=1))
    assert pending.settle(partitions(0)[0])
    assert not pending.settle(partitions(0)[0])
    assert pending.take() == partitions(1)


def test_a_round_takes_everybody_once_and_says_when_it_is_over() -> None:
    replicas = cast(Any, {partition: partition.index for partition in partitions(4, 0, 2, 1, 3)})
    turns = Round(replicas, 2)
    assert [turns.next() for _ in range(4)] == [([0, 1], False), ([2, 3], False), ([4], True), ([0, 1], False)]
    del replicas[partitions(2)[0]]
    replicas[partitions(9)[0]] = 9
    assert [turns.next() for _ in range(2)] == [([3], False), ([4], True)]  # who went has no turn, who came one later
    assert [turns.next() for _ in range(3)] == [([0, 1], False), ([3, 4], False), ([9], True)]
    assert Round({}, 2).next() == ([], True)
