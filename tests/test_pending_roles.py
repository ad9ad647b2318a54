"""Work on thousands of partitions is done in slices: roles that wait for their turn, and rounds over all replicas.

A partition whose turn has not come is where it would be if the metadata had come later.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from logs import ORDERS, WALL_MS, batch, values
from script_world import TOPIC, Letter, ScriptWorld

from barnabas.actors.coordinator_log_messages import AppendRecords, RecordsAppended
from barnabas.actors.errors import ErrorCode
from barnabas.actors.internal_topics import GROUP_OFFSETS
from barnabas.actors.kernel import Address, Incarnation, Message, Millis, Payload
from barnabas.actors.messages import (
    LATEST,
    PROTOCOL_VERSION,
    Consume,
    Consumed,
    ConsumePartition,
    DeletePartition,
    DeleteRecords,
    Envelope,
    EpochQuery,
    FindEpochEnds,
    FindOffsets,
    OffsetQuery,
    Partition,
    Produce,
    ProduceBatch,
    TopicId,
)
from barnabas.actors.metadata_records import PartitionChanged
from barnabas.actors.pending_roles import PendingRoles
from barnabas.actors.rounds import Round


def partitions(*indexes: int) -> list[Partition]:
    return [Partition(ORDERS, index) for index in indexes]


GROUPS = TopicId(7)


def image(**led_by: int) -> Any:  # noqa: ANN401  as much of the metadata as is looked at
    """Partitions `p0`, `p1`, ... (`g0`: of groups) with their leader; replicas are 1 and 2, or 2 and 3 if 3 leads."""
    states = {
        Partition(GROUPS if name[0] == "g" else ORDERS, int(name[1:])): SimpleNamespace(
            replicas=(2, 3) if leader == 3 else (1, 2), leader=leader
        )
        for name, leader in led_by.items()
    }
    topics = {ORDERS: SimpleNamespace(name="orders"), GROUPS: SimpleNamespace(name=GROUP_OFFSETS)}
    return SimpleNamespace(partitions=states, topics=topics)


WAITS = Partition(TOPIC, 1)


class Deposed:
    """b1 led two partitions, and knows by now that b2 does: it has taken on the first of its new roles, one at a time.

    Of the second, whose turn has not come, it has a record that b2 is about to prove, and a reader waits for that.
    """

    def __init__(self) -> None:
        self.world = ScriptWorld(2, roles_at_once=1)
        for name in self.world.machines:
            self.world.start(name)
        self.world.create([1, 2], [1, 2], 1, 2, {"durability": "os", "min.insync.replicas": "1"})
        for name in self.world.machines:
            self.world.tick(name, 5)
            self.world.sync(name)
        while self.world.queue:
            self.world.arrive(self.world.queue.pop(0))
        self.ask(Consume(1, 10_000, 1, 1 << 20, [ConsumePartition(WAITS, 0, 0, 1 << 20)]))
        self.ask(Produce(2, 0, 1_000, [ProduceBatch(WAITS, 0, Payload(bytes(batch("a"))))]))
        while self.world.queue[0].target == "b2":
            self.world.arrive(self.world.queue.pop(0))
        [self.proof] = self.world.queue
        self.world.controller.decide(
            *(PartitionChanged(Partition(TOPIC, index), 2, 1, 1, [1, 2], []) for index in range(2))
        )
        self.world.metadata("b1")
        assert [self.replica(index).leader_epoch for index in range(2)] == [1, 0]
        self.world.told.clear()

    def replica(self, index: int = 1) -> Any:  # noqa: ANN401
        return self.world.machines["b1"].broker.replicas[Partition(TOPIC, index)]

    def ask(self, message: Message) -> None:
        self.world.ask("b1", message)

    def append(self, message: AppendRecords) -> Message:
        """As a coordinator would, which lives in the same node: neither this nor the answer has a form on the wire."""
        node = self.world.machines["b1"].node
        assert node is not None
        header = (PROTOCOL_VERSION, Address("client/groups"), Incarnation(999), "broker", node.incarnation)
        node.deliver(Envelope(*header, message), "@client#1", Millis(2_000), Millis(WALL_MS))
        return next(envelope.body for _, envelope in node.flush().outgoing if envelope.to == "groups")

    def answers(self) -> list[Any]:
        told = [letter for letter in self.world.told if isinstance(letter, Letter) and letter.target == "client"]
        return [letter.envelope.body for letter in told]


def test_who_moves_a_high_watermark_as_leader_leads_until_the_end_of_that_input() -> None:
    deposed = Deposed()
    deposed.world.arrive(deposed.proof)
    [told] = deposed.answers()
    assert isinstance(told, Consumed)
    assert (told.partitions[0].error, told.partitions[0].leader_epoch) == (ErrorCode.NONE, 0)
    assert told.partitions[0].records is not None
    assert values(told.partitions[0].records.data) == "a"
    assert deposed.replica().leading is not None
    assert deposed.replica().hw == 1
    deposed.world.tick("b1", 1)
    assert (deposed.replica().leader, deposed.replica().leader_epoch, deposed.replica().hw) == (2, 1, 1)


def test_a_reader_that_waits_is_told_who_leads_when_the_turn_of_the_role_comes() -> None:
    deposed = Deposed()
    deposed.world.tick("b1", 1)
    [told] = deposed.answers()
    assert (told.partitions[0].error, told.partitions[0].leader) == (ErrorCode.FENCED_LEADER_EPOCH, 2)


def test_a_coordinator_writes_in_the_term_that_it_was_told_of() -> None:
    deposed = Deposed()
    told = deposed.append(AppendRecords(3, WAITS, 0, Payload(bytes(batch("b")))))
    assert isinstance(told, RecordsAppended)
    assert (told.error, told.end) == (ErrorCode.NONE, 2)
    assert deposed.replica().leading is not None


@pytest.mark.parametrize(
    "request_",
    [
        Produce(3, -1, 1_000, [ProduceBatch(WAITS, 0, Payload(bytes(batch("b"))))]),
        Consume(3, 0, 1, 1, [ConsumePartition(WAITS, 0, 0, 1)]),
        FindOffsets(3, [OffsetQuery(WAITS, 0, LATEST)]),
        FindEpochEnds(3, [EpochQuery(WAITS, 0, 0)]),
        DeleteRecords(3, 1_000, [DeletePartition(WAITS, 0, 1)]),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_request_that_comes_is_answered_in_the_new_role_at_once(request_: Message) -> None:
    deposed = Deposed()
    deposed.ask(request_)
    [told] = [answer for answer in deposed.answers() if answer.id == 3]
    [part] = next(
        parts for parts in (getattr(told, name) for name in told.__struct_fields__) if isinstance(parts, list)
    )
    assert part.error is ErrorCode.FENCED_LEADER_EPOCH
    assert deposed.replica().leader_epoch == 1


def test_what_goes_comes_first_then_what_is_led_then_the_rest_in_slices() -> None:
    pending = PendingRoles(1, 2)
    pending.add(partitions(0, 1, 2, 3, 4), image(p0=2, p1=1, p2=3, p4=1))
    assert [pending.take() for _ in range(3)] == [partitions(2, 3), partitions(1, 4), partitions(0)]
    assert not pending
    assert pending.take() == []


def test_the_clusters_own_topics_come_before_all_others_led_here_or_not() -> None:
    """Groups wait for their coordinators, and these for their followers, without whom nothing is committed."""
    pending = PendingRoles(1, 2)
    own = [Partition(GROUPS, 0), Partition(GROUPS, 1)]
    pending.add([*partitions(0, 1, 2), *own], image(p0=1, p1=1, p2=3, g0=1, g1=2))
    assert [pending.take() for _ in range(3)] == [
        [Partition(ORDERS, 2), Partition(GROUPS, 0)],
        [Partition(GROUPS, 1), Partition(ORDERS, 0)],
        [Partition(ORDERS, 1)],
    ]
    assert not pending


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
