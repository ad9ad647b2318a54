"""Every checker of groups fires: each test forges what it forbids, behind the back of a small calm cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_records import Member, MemberState, OffsetValue
from barnabas.actors.group_shard import GroupShard
from barnabas.actors.kernel import Incarnation, Message
from barnabas.actors.messages import (
    CommitOffsets,
    Envelope,
    FetchOffsets,
    GroupHeartbeatDone,
    OffsetsCommitted,
    OffsetsFetched,
    Partition,
)
from barnabas.actors.offset_messages import CommittedOffset, NewOffset, OffsetOutcome
from barnabas.cluster.world import Host
from barnabas.simulation.group_scenarios import GroupStage
from barnabas.simulation.invariants.groups import _Commit
from barnabas.simulation.oracle import Violation
from barnabas.simulation.views import coordinator_of
from barnabas.simulation.workloads.group_application import GROUP


class Calm:
    """A stable group of three, and short names for its parts."""

    def __init__(self) -> None:
        self.stage = GroupStage(1)
        self.stage.open()
        self.stage.until(self.owned)  # the group is stable before its members have heard so
        found = coordinator_of(self.stage.world, GROUP)
        assert found is not None
        self.host: Host = found.host
        self.shard: GroupShard = found.shard
        group = self.shard.groups[GROUP]
        assert group.consumer is not None
        self.consumer = group.consumer
        self.offsets = group.offsets
        self.first, self.second, *_ = self.consumer.members

    def owned(self) -> bool:
        """Whether each member knows what is its own."""
        return all(self.client(name).reading.member.owned for name in self.stage.members)

    def member(self, name: str) -> Member:
        return self.consumer.members[name]

    def put(self, name: str, **changes: object) -> None:
        self.consumer.members[name] = replace(self.member(name), **changes)

    def partition(self) -> Partition:
        """One that has an acknowledged commit."""
        return next(iter(self.stage.checker._acked[GROUP]))

    def look(self) -> None:
        self.stage.checker._looked[self.host.name, self.shard.log.partition, self.shard.log.leader_epoch] = (-1, True)
        self.stage.oracle.look(self.stage.world, self.host)

    def client(self, name: str) -> Any:  # noqa: ANN401
        node = self.stage.world.hosts[name].node
        assert node is not None
        return node.actors["consumer"]

    def hears(self, body: Message) -> None:
        """The coordinator hears this of the client `x`."""
        envelope = Envelope(1, "x/y", Incarnation(1), "groups", Incarnation(1), body)
        self.stage.oracle.delivered(self.stage.world, self.host.name, envelope)

    def says(self, body: Message) -> None:
        """And says this to it."""
        envelope = Envelope(1, f"{self.host.name}/groups", Incarnation(1), "y", Incarnation(1), body)
        self.stage.oracle.sent(self.stage.world, self.host.name, "@x#1", envelope)


def g1(calm: Calm) -> None:
    calm.put(calm.first, revoking=calm.member(calm.second).assigned, state=MemberState.UNREVOKED)
    calm.look()


def g2(calm: Calm) -> None:
    mine, others = calm.client("m1"), calm.client("m2")
    mine.reading.member.owned.update(dict.fromkeys(others.reading.member.owned))
    calm.stage.oracle.look(calm.stage.world, calm.stage.world.hosts["m1"])


def g3_twice(calm: Calm) -> None:
    both = calm.member(calm.first).target | calm.member(calm.second).target
    calm.put(calm.first, target=both, state=MemberState.UNRELEASED)
    calm.look()


def g3_nobody(calm: Calm) -> None:
    calm.put(calm.first, target=frozenset(), assigned=frozenset())
    calm.look()


def g3_unwanted(calm: Calm) -> None:
    calm.put(calm.first, topics=("another",))
    calm.look()


def g4_reached(calm: Calm) -> None:
    other = calm.member(calm.second).assigned
    calm.put(calm.second, assigned=frozenset())
    calm.put(calm.first, assigned=calm.member(calm.first).assigned | other)
    calm.look()


def g4_told(calm: Calm) -> None:
    for epoch in (5, 4):
        calm.says(GroupHeartbeatDone(1, ErrorCode.NONE, "", "a member", epoch))


def g4_believed(calm: Calm) -> None:
    calm.client("m1").reading.member.epoch -= 1
    calm.stage.oracle.look(calm.stage.world, calm.stage.world.hosts["m1"])


def _commit(calm: Calm, member: str, epoch: int) -> None:
    partition = calm.partition()
    calm.hears(CommitOffsets(1, GROUP, -1, member, epoch, [NewOffset(partition, 3, -1, "forged")]))
    calm.says(OffsetsCommitted(1, ErrorCode.NONE, "", [OffsetOutcome(partition)]))


def g5_stranger(calm: Calm) -> None:
    _commit(calm, "stranger", 3)


def g5_late(calm: Calm) -> None:
    _commit(calm, calm.first, calm.member(calm.first).epoch - 1)


def g5_outsider(calm: Calm) -> None:
    _commit(calm, "", -1)


def g6_not_written(calm: Calm) -> None:
    _commit(calm, calm.first, calm.member(calm.first).epoch)


def _told(calm: Calm, offset: int) -> None:
    partition = calm.partition()
    calm.hears(FetchOffsets(1, GROUP, 1 << 30, [partition]))
    calm.says(OffsetsFetched(1, ErrorCode.NONE, "", [CommittedOffset(partition, offset=offset)]))


def g6_forgotten(calm: Calm) -> None:
    _told(calm, -1)


def g6_another(calm: Calm) -> None:
    _told(calm, 0)


def _noted(calm: Calm) -> OffsetValue:
    """The first of several commits of an application, each with a note. What a consumer commits by itself has none."""
    commits = calm.stage.checker._commits[GROUP, calm.partition()]

    def noted() -> list[OffsetValue]:
        return [each.value for each in commits if each.value.metadata]

    calm.stage.until(lambda: len(noted()) > 2)
    return noted()[0]


def g6_again(calm: Calm) -> None:
    calm.offsets[calm.partition()] = replace(_noted(calm), stamp=1)
    calm.look()


def g7(calm: Calm) -> None:
    calm.offsets.clear()
    calm.look()


def g8_members(calm: Calm) -> None:
    calm.shard.settings = replace(calm.shard.settings, max_members=2)
    calm.look()


def g8_words(calm: Calm) -> None:
    calm.put(calm.first, metadata=b"x" * 70_000)
    calm.look()


def g9(calm: Calm) -> None:
    calm.offsets[calm.partition()] = OffsetValue(10**6, -1, "", 1)
    calm.look()


def gl2(calm: Calm) -> None:
    calm.shard.log.loaded = False
    calm.stage.oracle.at_rest(calm.stage.world)


FORGERIES: tuple[Callable[[Calm], None], ...] = (
    g1, g2, g3_twice, g3_nobody, g3_unwanted, g4_reached, g4_told, g4_believed, g5_stranger, g5_late, g5_outsider,
    g6_not_written, g6_forgotten, g6_another, g6_again, g7, g8_members, g8_words, g9, gl2,
)  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forged_violation_is_found(forge: Callable[[Calm], None]) -> None:
    with pytest.raises(Violation) as found:
        forge(Calm())
    assert found.value.invariant == forge.__name__.partition("_")[0].upper()


def test_calm_groups_break_no_promise_and_test_most() -> None:
    stage = GroupStage(2, {"max_members": 3, "classic": 2})
    stage.open()
    stage.wait(3)
    assert {"G1", "G2", "G3", "G4", "G8", "G9"} <= {name for name, count in stage.oracle.premises.items() if count}


def test_of_commits_with_one_value_that_which_is_committed_is_acknowledged_and_not_a_later_copy() -> None:
    calm = Calm()
    checker, log = calm.stage.checker, calm.shard.log
    value = OffsetValue(3, -1, "forged", 1)
    commits = checker._commits[GROUP, calm.partition()]
    commits += [_Commit(end, log.leader_epoch, value) for end in (log.hw, log.hw + 5)]
    _commit(calm, calm.first, calm.member(calm.first).epoch)
    assert checker._acked[GROUP][calm.partition()][-1].end == log.hw


def test_a_commit_that_a_coordinator_writes_whose_term_is_over_takes_no_group_back() -> None:
    """Seed 413: one that was paused came back within its lease, and took a commit that its successor had long had."""
    calm = Calm()
    log, noted = calm.shard.log, _noted(calm)
    calm.stage.checker._terms[log.partition] = log.leader_epoch + 1
    known = len(calm.stage.checker._commits[GROUP, calm.partition()])
    calm.offsets[calm.partition()] = replace(noted, stamp=1)
    calm.look()
    assert len(calm.stage.checker._commits[GROUP, calm.partition()]) == known
