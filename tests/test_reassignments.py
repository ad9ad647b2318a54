"""Partitions move: they grow, catch up and shrink, and never have less in sync than they need."""

from __future__ import annotations

import pytest
from administered import CLIENT, Administered

from barnabas.actors.admin_messages import MAX_PER_REQUEST, PartitionTarget
from barnabas.actors.errors import ErrorCode
from barnabas.actors.messages import (
    CreateTopic,
    ListReassignments,
    PartitionsDone,
    Reassign,
)
from barnabas.actors.reassignments import list_reassignments


class Scene(Administered):
    """Five brokers; orders-0 on b1, b2 and b3, all in sync."""

    def __init__(self, replicas: tuple[int, ...] = (1, 2, 3), min_insync: int = 2) -> None:
        super().__init__(brokers=5)
        self.requests = 1
        configs = {"min.insync.replicas": str(min_insync)}
        self.done(CreateTopic(1, CLIENT, "orders", configs=configs, assignments=[[*replicas], [*replicas]]))

    def move(self, *replicas: int, index: int = 0, topic: str = "orders") -> tuple[ErrorCode, str]:
        return self._ask(PartitionTarget(topic, index, list(replicas)))

    def cancel(self) -> tuple[ErrorCode, str]:
        return self._ask(PartitionTarget("orders", 0, None))

    def _ask(self, target: PartitionTarget) -> tuple[ErrorCode, str]:
        self.requests += 1
        [outcome] = self.outcomes(Reassign(self.requests, CLIENT, [target]))
        return outcome

    @property
    def min_insync(self) -> int:
        return self.image.min_insync(self.state("orders"))


def test_it_grows_first_and_nobody_new_counts() -> None:
    scene = Scene()
    assert scene.move(4, 5, 1)[0] is ErrorCode.NONE
    state = scene.state("orders")
    assert (state.replicas, state.adding, state.removing) == ((1, 2, 3, 4, 5), (4, 5), (2, 3))
    assert (state.isr, state.leader, state.leader_epoch, scene.min_insync) == ((1, 2, 3), 1, 0, 2)


def test_it_shrinks_only_when_all_of_the_target_are_in_sync() -> None:
    scene = Scene()
    scene.move(4, 5, 1)
    scene.in_sync("orders", 1, 2, 3, 4)
    assert scene.state("orders").moving
    scene.in_sync("orders", 1, 4, 5)
    state = scene.state("orders")
    assert (state.replicas, state.isr, state.moving) == ((4, 5, 1), (4, 5, 1), False)


def test_a_leader_that_is_to_go_hands_over_when_it_goes() -> None:
    scene = Scene()
    scene.move(4, 5)
    assert scene.state("orders").leader == 1
    scene.in_sync("orders", 1, 2, 3, 4, 5)
    state = scene.state("orders")
    assert (state.replicas, state.leader, state.leader_epoch) == ((4, 5), 4, 1)


def test_the_leader_epoch_rises_when_a_replica_is_taken_away_so_that_nothing_it_proved_counts_later() -> None:
    scene = Scene()
    scene.move(1, 2, 4)
    assert scene.state("orders").leader_epoch == 0
    scene.in_sync("orders", 1, 2, 3, 4)
    state = scene.state("orders")
    assert (state.leader, state.leader_epoch) == (1, 1)
    scene.move(1, 2, 3, 4)
    scene.cancel()
    assert scene.state("orders").leader_epoch == 2


def test_another_order_of_the_same_replicas_is_there_at_once() -> None:
    scene = Scene()
    scene.move(3, 1, 2)
    state = scene.state("orders")
    assert (state.replicas, state.moving, state.leader, state.leader_epoch) == ((3, 1, 2), False, 1, 0)


def test_fewer_of_the_same_replicas_are_there_at_once_if_they_are_in_sync() -> None:
    scene = Scene()
    scene.move(2, 3)
    state = scene.state("orders")
    assert (state.replicas, state.isr, state.leader, state.moving) == ((2, 3), (2, 3), 2, False)
    scene = Scene()
    scene.fence(3)
    scene.move(2, 3)
    assert scene.state("orders").moving
    assert scene.state("orders").isr == (1, 2)


def test_cancelling_takes_back_what_was_added() -> None:
    scene = Scene()
    scene.move(4, 5, 1)
    scene.in_sync("orders", 1, 2, 3, 4)
    assert scene.cancel()[0] is ErrorCode.NONE
    state = scene.state("orders")
    assert (state.replicas, state.isr, state.moving) == ((1, 2, 3), (1, 2, 3), False)
    assert scene.cancel() == (
        ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
        "orders-0 does not move: there is nothing to cancel.",
    )


def test_cancelling_is_refused_while_too_few_of_the_original_replicas_are_in_sync() -> None:
    scene = Scene()
    scene.move(4, 5, 1)
    scene.in_sync("orders", 1, 2, 3, 4)
    scene.fence(2)
    scene.fence(3)
    assert scene.state("orders").isr == (1, 4)
    error, sentence = scene.cancel()
    assert error is ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert "left with 1 in sync of the 2 that it needs" in sentence
    scene.unfence(2)
    scene.in_sync("orders", 1, 2, 4)
    assert scene.cancel()[0] is ErrorCode.NONE
    assert scene.state("orders").isr == (1, 2)


def test_another_target_replaces_the_first() -> None:
    scene = Scene()
    scene.move(4, 2, 3)
    scene.move(1, 2, 5)
    state = scene.state("orders")
    assert (state.replicas, state.adding, state.original) == ((1, 2, 3, 5), (5,), (1, 2, 3))
    scene.in_sync("orders", 1, 2, 3, 5)
    assert scene.state("orders").replicas == (1, 2, 5)


def test_a_move_outlives_the_death_of_whoever_takes_part() -> None:
    scene = Scene()
    scene.move(4, 5, 2)
    scene.in_sync("orders", 1, 2, 3, 4)
    scene.fence(1)  # the leader
    scene.fence(4)  # who was added
    state = scene.state("orders")
    assert state.moving
    assert (state.leader, state.isr) == (2, (2, 3))
    scene.unfence(1)
    scene.unfence(4)
    scene.in_sync("orders", 2, 3, 4, 5)
    state = scene.state("orders")
    assert (state.replicas, state.leader, state.moving) == ((4, 5, 2), 2, False)


def test_min_insync_counts_as_before_while_a_partition_of_one_replica_grows() -> None:
    scene = Scene(replicas=(1,))
    assert scene.min_insync == 1
    scene.move(1, 2, 3)
    assert scene.min_insync == 1
    scene.in_sync("orders", 1, 2, 3)
    assert scene.min_insync == 2


def test_a_partition_that_is_left_with_one_replica_needs_one() -> None:
    scene = Scene()
    scene.move(4)
    assert scene.min_insync == 2
    scene.in_sync("orders", 1, 4)
    assert (scene.state("orders").replicas, scene.min_insync) == ((4,), 1)


def test_who_asks_again_is_told_the_same() -> None:
    scene = Scene()
    request = Reassign(50, CLIENT, [PartitionTarget("orders", 0, [4, 5, 1]), PartitionTarget("orders", 7, [1])])
    first = scene.ask(request)
    scene.cancel()
    assert scene.ask(request) == first
    assert not scene.state("orders").moving


def test_a_request_that_changed_nothing_changes_nothing_when_it_comes_again_later() -> None:
    """The network delivers it twice, the second time after another move (seed 119): it must not undo that."""
    scene = Scene()
    there = Reassign(50, CLIENT, [PartitionTarget("orders", 0, [1, 2, 3])])
    cancel = Reassign(51, CLIENT, [PartitionTarget("orders", 0, None)])
    scene.ask(there)
    scene.ask(cancel)
    scene.move(4, 5, 1)
    scene.ask(there)
    scene.ask(cancel)
    assert scene.state("orders").target == (4, 5, 1)


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (PartitionTarget("nothing", 0, [1]), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no topic 'nothing'"),
        (PartitionTarget("orders", 9, [1]), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no partition 9"),
        (PartitionTarget("orders", 0, []), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "at least one replica"),
        (PartitionTarget("orders", 0, [1, 1]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "b1 is named twice"),
        (PartitionTarget("orders", 0, [1, 9]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "b9 is not registered"),
        (PartitionTarget("orders", 0, None), ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, "does not move"),
    ],
)
def test_what_is_refused_does_not_hold_up_the_rest(target: PartitionTarget, error: ErrorCode, words: str) -> None:
    scene = Scene()
    refused, granted = scene.outcomes(Reassign(9, CLIENT, [target, PartitionTarget("orders", 1, [5, 4, 3])]))
    assert refused[0] is error
    assert words in refused[1]
    assert granted == (ErrorCode.NONE, "")
    assert scene.state("orders", 1).moving


def test_too_many_at_once_are_refused_in_words() -> None:
    scene = Scene()
    reply = scene.ask(Reassign(9, CLIENT, [PartitionTarget("orders", 0, [1])] * (MAX_PER_REQUEST + 1)))
    assert isinstance(reply, PartitionsDone)
    assert reply.error is ErrorCode.INVALID_REQUEST
    assert "ask in parts" in reply.reason


def test_moves_are_listed() -> None:
    scene = Scene()
    scene.move(4, 5, 1)
    [move] = list_reassignments(scene.image, ListReassignments(1)).reassignments
    assert (move.topic, move.index, move.adding, move.removing) == ("orders", 0, [4, 5], [2, 3])
    asked = ListReassignments(1, [("orders", 1), ("nothing", 0), ("orders", 0)])
    assert [(move.topic, move.index) for move in list_reassignments(scene.image, asked).reassignments] == [
        ("orders", 0)
    ]
