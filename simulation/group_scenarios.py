"""Directed scenarios for groups: three members read three partitions, and meet the misfortune that a bug needs.

As in `scenarios`, each is harmless to right coordinators. A `GroupStage` waits until its group is stable; `partition`
is the partition of `__consumer_offsets` that holds it, and `leader` its coordinator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from ..actors.messages import CommitOffsets, Envelope, Partition
from ..cluster.world import Onlooker, World
from ..transport.codec import Codec
from .invariants.groups import GroupsChecker
from .network import NEVER
from .run import Options
from .scenarios import APART, Stage
from .views import coordinator_of
from .workload import Settings
from .workloads.classic_members import ClassicMember
from .workloads.group_application import GROUP
from .workloads.groups import ASKER, CLASSIC, GroupsWorkload

SHAPE = replace(APART, topics=1, partitions=3, producers=1, unsafe_producers=0, consumers=1, produce_every_ms=40)

CALM: Settings = {
    "members": 3,
    "classic": 0,
    "weight": 0,
    "silent": 0.0,
    "churns": False,
    "assignor": "uniform",
    "static": 0.0,
    "churn_us": NEVER,
    "keep_us": 200_000,
    "session_ms": 2_000,
    "grace_ms": 1_000,
    "rebalance_ms": 3_000,
    "slow_us": 0,
    "releases": True,
    "spoils": 0.0,
    "empty_us": NEVER,
    "retention_ms": 0,
    "max_members": 1_000,
}
"""Members that come and stay."""


class _Commits(Onlooker):
    """An observer that keeps all commits that clients have sent."""

    def __init__(self) -> None:
        self.seen: list[Envelope] = []

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        if type(envelope.body) is CommitOffsets:
            self.seen.append(envelope)


class GroupStage(Stage):
    """A healthy cluster with groups; `figures` are what is other than `CALM`."""

    def __init__(self, seed: int = 1, figures: Settings | None = None) -> None:
        settings = {**CALM, **(figures or {})}
        options = Options(shape=SHAPE, faults=False, workloads=("groups",), figures={"groups": settings}, converge_s=15)
        super().__init__(seed, options)
        groups = self.workloads["groups"]
        assert isinstance(groups, GroupsWorkload)
        self.groups = groups
        self.checker = next(checker for checker in self.oracle.checkers if isinstance(checker, GroupsChecker))
        self.commits = _Commits()
        self.world.observers.append(self.commits)
        self._partition: Partition | None = None

    def open(self) -> None:
        super().open()
        most = self.groups.figure("max_members")
        self.until(lambda: self.stable(GROUP, min(most, len(self.groups.members))))
        if self.groups.classic:
            self.until(lambda: self.stable(CLASSIC, len(self.groups.classic)))
        found = coordinator_of(self.world, GROUP)
        assert found is not None
        self._partition = found.shard.log.partition
        self.until(lambda: self.checker.acknowledged(GROUP) > 0)

    @property
    def partition(self) -> Partition:
        return self._partition or super().partition

    @property
    def members(self) -> list[str]:
        return self.groups.members

    def stable(self, group: str, members: int) -> bool:
        """Whether the group is, with so many members."""
        found = coordinator_of(self.world, group)
        return found is not None and found.picture(group) == ("Stable", members)

    def servers(self, *but: str) -> list[str]:
        """All servers but these."""
        return [*self.others(*but), *self.controllers]

    def another_coordinator(self) -> str:
        """The host of the coordinator that follows this one, when there is one that the controllers have chosen."""
        old = self.leader
        self.until(lambda: self.leader not in (old, "b-1"))
        return self.leader

    def repeat(self, commit: Envelope) -> None:
        """The network delivers an old copy of this request to the coordinator now."""
        frames = [bytes(frame) for frame in Codec().encode(commit)]
        source = commit.sender.partition("/")[0]
        self.world.receive(self.world.hosts[self.leader], frames, f"@{source}#0")


def stage(figures: Settings) -> Callable[[int], GroupStage]:
    """A maker of such stages."""
    return partial(GroupStage, figures=figures)


# --- The scenarios ---


def a_coordinator_alone_with_its_members(stage: GroupStage) -> None:
    """The coordinator hears no other server. Members commit on it until another one has taken its place."""
    old = stage.leader
    stage.cut([old], stage.servers(old))
    stage.another_coordinator()
    stage.mend()
    stage.wait(3)


def a_coordinator_that_has_read_half(stage: GroupStage) -> None:
    """A coordinator dies as soon as a commit is acknowledged. Its successor has it, but cannot tell yet whether it is
    committed: it hears no follower.
    """
    old = stage.leader
    left, right = stage.others(old)

    def behind() -> bool:
        return max(stage.copy(left).hw, stage.copy(right).hw) < stage.checker.acknowledged(GROUP)

    stage.until(behind)
    stage.world.crash(old)
    stage.cut([left], [right])
    stage.another_coordinator()
    stage.wait(2)
    stage.mend()
    stage.world.start(old)
    stage.wait(1)


def an_old_coordinator_and_its_listener(stage: GroupStage) -> None:
    """A coordinator sees nobody any more but one client, which sees nobody else. It must not tell it old news."""
    old = stage.leader
    stage.cut([old, ASKER], stage.members)
    stage.wait(0.2)  # what they have committed is: nothing waits for it
    stage.cut([old, ASKER], stage.servers(old))
    stage.wait(9)


def a_member_that_slept(stage: GroupStage) -> None:
    """A member does nothing for so long that its partitions are given to others. Then it commits what it had."""
    stage.world.pause("m1", 5_000_000)
    stage.wait(7)


def a_member_that_lets_go_late(stage: GroupStage) -> None:
    """A member comes. What it shall get the others give up only a while after they were asked to."""
    stage.groups.die("m3")
    stage.until(lambda: stage.stable(GROUP, 2))
    stage.groups.arrive("m3")
    stage.wait(3)


def a_group_that_commits_seldom(stage: GroupStage) -> None:
    """Its offsets get older than they may be, and it has members."""
    stage.wait(5)


def a_member_too_many(stage: GroupStage) -> None:
    """One more member wants to join than there may be."""
    stage.wait(2)


def a_leader_that_does_not_sync(stage: GroupStage) -> None:
    """In the classic protocol the leader of a round never says who gets what. It lives, and its heart beats."""
    for name in stage.groups.classic[1:]:
        stage.groups.die(name)
    stage.until(lambda: stage.stable(CLASSIC, 1))
    node = stage.world.hosts[stage.groups.classic[0]].node
    assert node is not None
    leader = node.actors["classic"]
    assert isinstance(leader, ClassicMember)
    leader.silent = True
    for name in stage.groups.classic[1:]:
        stage.groups.arrive(name)
    stage.wait(2)


def a_group_larger_than_a_read(stage: GroupStage) -> None:
    """What the members of a classic group say of themselves is more than is read at a time. The coordinator dies."""
    found = coordinator_of(stage.world, CLASSIC)
    assert found is not None
    stage.world.crash(found.host.name)
    stage.wait(3)
    stage.world.start(found.host.name)
    stage.wait(2)


def a_commit_that_comes_again(stage: GroupStage) -> None:
    """The network delivers a commit once more, after later ones of the same member."""
    first = stage.commits.seen[-1]
    acknowledged = stage.checker.acknowledged(GROUP)
    stage.until(lambda: stage.checker.acknowledged(GROUP) > acknowledged + 9)
    stage.repeat(first)
    stage.wait(0.05)
    stage.groups.ask_committed(GROUP)
    stage.wait(1)
