"""A client of Kafka's classic group protocol, as small as it can be: it joins, syncs, beats, commits, and starts over.

It reads nothing. What it owns are partitions that the leader of its group dealt out; what it commits there are numbers
that rise, so that a coordinator that forgets, or believes a member that it has put out, can be told from one that does
not. A member that dies leaves no word; one that joins and is then silent is what KAFKA-12890 is about.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...actors.classic_messages import JoinProtocol, SyncAssignment
from ...actors.coordinator_link import CoordinatorLink
from ...actors.errors import ErrorCode
from ...actors.group_messages import COORDINATORS_GRACE, GroupReply
from ...actors.kernel import Actor, Address, Context, Message, Timer
from ...actors.leadership import Leaderships
from ...actors.messages import (
    ClassicHeartbeat,
    ClassicHeartbeatDone,
    CommitOffsets,
    CoordinatorsFound,
    GroupJoined,
    GroupSynced,
    JoinGroup,
    Leadership,
    LeadershipUpdate,
    OffsetsCommitted,
    Partition,
    SyncGroup,
)
from ...actors.offset_messages import NewOffset

PROTOCOL = "dealt"
BEAT_MS = 300
COMMIT_MS = 400
AGAIN_MS = 100

_AGAIN = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
}


class StepDue(Timer, frozen=True):
    """The next request, or the same again."""


class CommitDue(Timer, frozen=True):
    """Time to commit."""


class ClassicMember(Actor):
    """One member of one group. `state`: joining, syncing, beating."""

    def __init__(
        self,
        bootstrap: Sequence[str],
        group: str,
        name: str,
        topics: Sequence[str],
        *,
        session_ms: int,
        rebalance_ms: int,
        instance: str = "",
        weight: int = 0,
    ) -> None:
        """`weight`: bytes that it says of itself beside its topics."""
        self.leaderships = Leaderships(bootstrap)
        self.link = CoordinatorLink(group, self.leaderships)
        self.group = group
        self.name = name
        self.topics = list(topics)
        self.instance = instance
        self.session_ms = session_ms
        self.rebalance_ms = rebalance_ms
        self.weight = weight
        self.silent = False  # it joins, but does not sync, until it is put out
        self.state = "joining"
        self.member = ""
        self.generation = -1
        self.owned: list[Partition] = []
        self._joined: GroupJoined | None = None
        self._request = 0
        self._sequence = 0
        self._count = 0

    # --- Inputs ---

    def on_start(self, ctx: Context) -> None:
        self._request = ctx.random.getrandbits(40)
        self._count = ctx.random.getrandbits(20)
        self.leaderships.start(ctx)
        self.link.start(ctx)
        for topic in self.topics:
            self.leaderships.want(topic, ctx)
        ctx.set_timer(StepDue(), AGAIN_MS)
        ctx.set_timer(CommitDue(), COMMIT_MS)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Leadership() | LeadershipUpdate():
                if self.link.concerns(self.leaderships.on_message(message, ctx)):
                    self._step(ctx)
            case CoordinatorsFound():
                self.link.on_found(message, ctx)
            case GroupJoined() | GroupSynced() | ClassicHeartbeatDone():
                if message.id == self._request:
                    self._answered(message, ctx)
            case OffsetsCommitted():
                pass  # the oracle looks at what became of it
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if self.leaderships.on_timer(timer, ctx):
            return
        match timer:
            case StepDue():
                self._step(ctx)
            case CommitDue():
                self._commit(ctx)
                ctx.set_timer(CommitDue(), COMMIT_MS)
            case _:
                pass

    # --- Speaking ---

    def _step(self, ctx: Context) -> None:
        route = self.link.route()
        if route is None:
            self.link.lost(ctx)
            ctx.set_timer(StepDue(), AGAIN_MS)
            return
        self._request += 1
        match self.state:
            case "joining":
                metadata = msgspec.json.encode(self.topics) + b" " * self.weight
                ctx.send(
                    route.to,
                    JoinGroup(
                        self._request,
                        self.group,
                        route.epoch,
                        self.member,
                        self.session_ms,
                        self.rebalance_ms,
                        "dealing",
                        [JoinProtocol(PROTOCOL, metadata)],
                        self.instance,
                        self.name,
                        needs_id=True,
                        skips=True,
                        grace_ms=COORDINATORS_GRACE,
                    ),
                )
                ctx.set_timer(StepDue(), self.rebalance_ms + 1_000)
            case "syncing":
                ctx.send(
                    route.to,
                    SyncGroup(
                        self._request,
                        self.group,
                        route.epoch,
                        self.member,
                        self.generation,
                        self.instance,
                        assignments=self._deal(),
                    ),
                )
                ctx.set_timer(StepDue(), self.rebalance_ms + 1_000)
            case _:
                beat = ClassicHeartbeat(
                    self._request, self.group, route.epoch, self.member, self.generation, self.instance
                )
                ctx.send(route.to, beat)
                ctx.set_timer(StepDue(), 2 * BEAT_MS)

    def _deal(self) -> list[SyncAssignment]:
        """As the leader: one partition after the other."""
        joined = self._joined
        if joined is None or joined.leader != self.member or joined.skip_assignment:
            return []
        names = [member.member for member in joined.members]
        hands: dict[str, list[Partition]] = {name: [] for name in names}
        known = [self.leaderships.topics[topic] for topic in self.topics if topic in self.leaderships.topics]
        places = [Partition(topic.id, index) for topic in known for index in range(topic.partitions)]
        for number, place in enumerate(places):
            hands[names[number % len(names)]].append(place)
        return [SyncAssignment(name, msgspec.json.encode(hand)) for name, hand in hands.items()]

    def _commit(self, ctx: Context) -> None:
        route = self.link.route()
        if route is None or not self.owned:
            return
        self._sequence += 1
        self._count += 1
        offsets = [
            NewOffset(partition, self._count, -1, f"{self.name}-{self._sequence}-{self._count}")
            for partition in self.owned
        ]
        number = self._sequence
        request = CommitOffsets(
            number, self.group, route.epoch, self.member, self.generation, offsets, self.instance, number
        )
        ctx.send(route.to, request)

    # --- Hearing ---

    def _answered(self, answer: GroupReply, ctx: Context) -> None:
        error = answer.error
        if error in _AGAIN:
            self.link.lost(ctx)
            ctx.set_timer(StepDue(), AGAIN_MS)
            return
        match answer:
            case GroupJoined(error=ErrorCode.MEMBER_ID_REQUIRED):
                self.member = answer.member
            case GroupJoined(error=ErrorCode.NONE):
                self.member, self.generation, self._joined = answer.member, answer.generation, answer
                self.state = "beating" if self.silent else "syncing"
            case GroupSynced(error=ErrorCode.NONE):
                self.owned = msgspec.json.decode(answer.assignment or b"[]", type=list[Partition])
                self.state = "beating"
            case ClassicHeartbeatDone(error=ErrorCode.NONE):
                ctx.set_timer(StepDue(), BEAT_MS)
                return
            case _:
                self._again(error)
        delay = 1_000 if error is ErrorCode.GROUP_MAX_SIZE_REACHED else 0
        if delay:
            ctx.set_timer(StepDue(), delay)
        else:
            self._step(ctx)

    def _again(self, error: ErrorCode) -> None:
        """Join again: as the same member if it still is one."""
        self.state = "joining"
        self.owned = []
        if error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
            self.member = ""
            self.silent = False
