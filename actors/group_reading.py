"""A consumer in a group: from what a member owns to what is read, and back to what is committed.

A partition that the member was given is read from the group's committed offset, or from where the application chose if
nothing is committed. One that it has to give up is not read any more from that moment; the application is told, takes
nothing of it any more, and answers with `Release`: its last positions are committed first, and only then is the
partition given up, so whoever gets it goes on exactly there. What is lost cannot be committed: somebody else may have
it.

An application that does not come for its records for too long leaves its group (Kafka's max.poll.interval.ms): it may
hang, while this actor's thread still sends heartbeats. When it comes back, it joins again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from .client_commands import (
    AskCoordinator,
    Assignment,
    CommitPositions,
    Failure,
    LookUpCommitted,
    Release,
    Start,
    Subscribe,
    Why,
)
from .coordinator_link import CoordinatorLink
from .errors import ErrorCode
from .group_asking import GroupAsking
from .group_commits import CommitDue, GroupCommits
from .group_member import GroupMember, MemberSettings
from .group_messages import GroupReply, Plan, PlanTask
from .kernel import Context, Message, Timer, node_of
from .leadership import Leaderships
from .messages import CoordinatorsFound, FetchOffsets, GroupHeartbeatDone, OffsetsCommitted, OffsetsFetched, Partition

RELEASE_MS = 10_000
"""How long the last commit of a partition may take before it is given up without."""


LEAVE_MS = 2_000
"""How long the coordinator is told that a member left which does not come for its records."""


class GroupSettings(msgspec.Struct, frozen=True):
    """How a consumer takes part. `start`: where to begin when nothing is committed."""

    member: MemberSettings
    start: Start
    max_poll_ms: int = 300_000


class Given(NamedTuple):
    """A partition that was assigned, and where its reading begins; chunks of it name the generation."""

    topic: str
    partition: int
    start: Start
    generation: int


class GroupReadingOutlet(Protocol):
    """What an application learns of its group, besides records."""

    def assigned(self, given: Sequence[Given]) -> None:
        """These are read from now on."""
        ...

    def alive_for(self, lease_ms: int) -> None:
        """For so long it counts as a member for sure: give nothing to the application after that, until told again."""
        ...

    def revoking(self, places: Sequence[tuple[str, int]]) -> None:
        """Take nothing more of these; say `Release`."""
        ...

    def lost(self, places: Sequence[tuple[str, int]], reason: str) -> None:
        """These are somebody else's, or nobody's. Positions in them cannot be committed any more."""
        ...

    def committed(self, token: object, failure: Failure | None) -> None:
        """None: the positions of a `CommitPositions` are kept at every in-sync replica. Or why not, or nobody knows."""
        ...

    def offsets_committed(self, token: object, found: dict[tuple[str, int], tuple[int, str]]) -> None:
        """The answer to `LookUpCommitted`: (offset, metadata) of each; -1 where nothing is committed."""
        ...

    def lookup_failed(self, token: object, failure: Failure) -> None:
        """It was refused, or not answered in time."""
        ...

    def group_failed(self, failure: Failure) -> None:
        """The group does not take this consumer."""
        ...


class PollDue(Timer, frozen=True):
    """The application has not come for its records for too long."""


class LeaveDue(Timer, frozen=True):
    """Commits have delayed leaving long enough."""


class _Starts(NamedTuple):
    """The token of a question for the offsets at which partitions begin."""

    partitions: tuple[Partition, ...]


class _Wanted(NamedTuple):
    """The token of a question of the application for committed offsets."""

    token: object
    places: dict[Partition, tuple[str, int]]


class GroupReading:
    """One consumer's part in one group. `read` has the consumer read exactly these partitions."""

    def __init__(
        self,
        settings: GroupSettings,
        leaderships: Leaderships,
        outlet: GroupReadingOutlet,
        read: Callable[[Sequence[Assignment], Context], None],
        planner: Callable[[PlanTask], Plan] | None = None,
    ) -> None:
        self.settings = settings
        link = CoordinatorLink(settings.member.group, leaderships)
        self.member = GroupMember(settings.member, link, self, planner)
        self._leaderships = leaderships
        self._link = link
        self._asking = GroupAsking(leaderships, self)
        self._outlet = outlet
        self._read = read
        self._subscription: Subscribe | None = None  # None: the application has not said what it wants
        self._places: dict[Partition, Assignment | None] = {}  # owned and read; None: where to begin is not known yet
        self._told: dict[tuple[str, int], Partition] = {}  # what the application knows as its own
        self._commits = GroupCommits(self.member, link, self._name, outlet.committed)
        self._generation = 0
        self._idle = False  # it left because the application did not come
        self._leaving: int | None = None  # milliseconds for it, once all commits have a verdict; None: it stays
        self._said_leave = False
        self._starts: deque[tuple[tuple[Partition, ...], OffsetsFetched | None]] = deque()  # answers, None: no answer
        self.over = False  # it has left, at the application's wish

    def start(self, ctx: Context) -> None:
        """Begin."""
        self._commits.start(ctx)
        self._asking.start(ctx)

    # --- What the application says ---

    def subscribe(self, command: Subscribe, ctx: Context) -> None:
        """What is to be read; join, if it has not."""
        self._subscription = command
        self.polled(ctx)
        if not self._idle:
            self.member.subscribe(command.topics, command.pattern, ctx)

    def polled(self, ctx: Context) -> None:
        """The application came for records."""
        ctx.set_timer(PollDue(), self.settings.max_poll_ms)
        if self._idle and self._subscription is not None:
            self._idle = False
            self.member.subscribe(self._subscription.topics, self._subscription.pattern, ctx)

    def release(self, command: Release, ctx: Context) -> None:
        """The application takes nothing more of these: commit where it is, then give them up."""
        partitions = [self._told.pop(place) for place in command.places if place in self._told]
        named = {partition: self._name(partition) for partition in partitions}
        offsets = {partition: (command.offsets[at], "") for partition, at in named.items() if at in command.offsets}
        if not offsets:
            self.member.released(partitions, ctx)
            return
        self._commits.add(None, offsets, RELEASE_MS, ctx, partitions)

    def commit(self, command: CommitPositions, ctx: Context) -> None:
        """Keep how far the application has read."""
        offsets: dict[Partition, tuple[int, str]] = {}
        for place, position in command.offsets.items():
            partition = self._told.get(place)
            if partition is None:
                sentence = f"{place[0]}-{place[1]} is not assigned to this consumer: it cannot commit an offset there"
                self._committed(command.token, Failure(Why.REFUSED, sentence, ErrorCode.STALE_MEMBER_EPOCH))
                return
            offsets[partition] = position
        if offsets:
            self._commits.add(command.token, offsets, command.timeout_ms, ctx)
        else:
            self._committed(command.token, None)

    def _committed(self, token: object, failure: Failure | None) -> None:
        if token is not None:
            self._outlet.committed(token, failure)

    def sought(self, topic: str, index: int, start: Start, generation: int) -> None:
        """The application reads one of its partitions from somewhere else now."""
        partition = self._told.get((topic, index))
        if partition is not None and partition in self._places:
            self._places[partition] = Assignment(topic, index, start, generation)

    def look_up(self, command: LookUpCommitted, ctx: Context) -> None:
        """Where the group is, as far as it has committed."""
        asked: dict[Partition, tuple[str, int]] = {}
        for topic, index in command.places:
            known = self._leaderships.topics.get(topic)
            if known is None or index >= known.partitions:
                sentence = f"there is no {topic}-{index} that this consumer knows of"
                self._outlet.lookup_failed(command.token, Failure(Why.UNKNOWN_TOPIC, sentence))
                return
            asked[Partition(known.id, index)] = (topic, index)
        question = FetchOffsets(0, self._link.group, -1, [*asked])
        self._asking.ask(AskCoordinator(_Wanted(command.token, asked), question, command.timeout_ms), ctx)

    def leave(self, timeout_ms: int, ctx: Context) -> None:
        """Leave, after the commits that were said; `over` is true when that is done."""
        self._places.clear()
        self._read([], ctx)
        self._leaving = timeout_ms
        ctx.set_timer(LeaveDue(), timeout_ms)

    def settle(self, ctx: Context) -> None:
        """The end of every input: begin what was answered, and leave once all commits have their verdict."""
        while self._starts:
            self._begin(*self._starts.popleft(), ctx)
        if self._leaving is not None and not self._commits and not self._said_leave:
            self._said_leave = True
            self.member.leave(self._leaving, ctx)

    # --- What arrives ---

    def on_message(self, message: Message, ctx: Context) -> bool:
        """Whether the message was for the group's part."""
        match message:
            case GroupHeartbeatDone():
                self.member.on_answer(message, ctx)
                self._commits.pump(ctx)
            case OffsetsCommitted():
                self._commits.on_answer(message, ctx)
            case GroupReply():
                self._asking.on_reply(message, ctx)
            case _:
                return False
        return True

    def moved(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """Leaderships are news: there may be another coordinator, or at last one."""
        self._asking.moved(partitions, ctx)
        if self._link.concerns(partitions):
            self._speak(ctx)

    def found(self, message: CoordinatorsFound, ctx: Context) -> None:
        """Somebody told who the coordinator is."""
        self._asking.on_found(message, ctx)
        if self._link.on_found(message, ctx):
            self._speak(ctx)

    def gone(self, node: str, ctx: Context) -> None:
        """Whoever was asked there will not answer."""
        self._asking.gone(node, ctx)
        route = self._link.route()
        if route is not None and node_of(route.to) == node:
            self._speak(ctx)  # a process that was reborn hears it; a dead one does not, and leadership will move

    def _speak(self, ctx: Context) -> None:
        self.member.poke(ctx)
        self._commits.moved(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        """Whether the timer was one of ours."""
        match timer:
            case CommitDue():
                self._commits.pump(ctx)
            case PollDue():
                self._stalled(ctx)
            case LeaveDue():
                self._commits.drop(Failure(Why.CLOSED, "the consumer was closed before the commit was answered"))
            case _:
                return self.member.on_timer(timer, ctx) or self._asking.on_timer(timer, ctx)
        return True

    def _stalled(self, ctx: Context) -> None:
        if not self._told and not self._places:
            return  # it has nothing that others could want
        self._idle = True
        seconds = self.settings.max_poll_ms // 1000
        self.lost(
            [*{**dict.fromkeys(self._told.values()), **self._places}],
            f"the application did not poll for {seconds} s",
            ctx,
        )
        self.member.leave(LEAVE_MS, ctx)

    # --- The member's outlet ---

    def assigned(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """Ask where to begin."""
        self._places.update(dict.fromkeys(partitions))
        self._ask_starts(partitions, ctx)

    def heard(self, lease_ms: int, ctx: Context) -> None:
        """It is a member."""
        self._outlet.alive_for(lease_ms)

    def revoke(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """Read no more of these, and let the application finish."""
        self._drop(partitions, ctx)
        for partition in partitions:
            self._told[self._name(partition)] = partition
        self._outlet.revoking([self._name(partition) for partition in partitions])

    def lost(self, partitions: Sequence[Partition], reason: str, ctx: Context) -> None:
        """They are gone."""
        self._drop(partitions, ctx)
        places = [place for place, partition in self._told.items() if partition in set(partitions)]
        for place in places:
            del self._told[place]
        sentence = f"the group gave these partitions to others: {reason}"
        failure = Failure(Why.REFUSED, sentence, ErrorCode.STALE_MEMBER_EPOCH)
        self._commits.drop(failure)
        self._outlet.lost([self._name(partition) for partition in partitions], reason)

    def refused(self, failure: Failure, ctx: Context) -> None:
        """The application must know."""
        self._outlet.group_failed(failure)

    def left(self, ctx: Context) -> None:
        """The end, if the application wanted it."""
        if self._leaving is not None:
            self.over = True

    # --- Where to begin ---

    def _ask_starts(self, partitions: Sequence[Partition], ctx: Context) -> None:
        question = FetchOffsets(0, self._link.group, -1, list(partitions))
        self._asking.ask(AskCoordinator(_Starts(tuple(partitions)), question), ctx)

    def answered(self, token: object, answer: Message) -> None:
        """The coordinator has answered a question: ours, or the application's."""
        assert isinstance(answer, OffsetsFetched), "nothing else is asked"
        if isinstance(token, _Starts):
            self._starts.append((token.partitions, answer))
        elif isinstance(token, _Wanted):
            found = {token.places[kept.partition]: (kept.offset, kept.metadata) for kept in answer.offsets}
            self._outlet.offsets_committed(token.token, found)

    def failed(self, token: object, failure: Failure) -> None:
        """A question of ours is asked for as long as its answer matters."""
        if isinstance(token, _Starts):
            self._starts.append((token.partitions, None))
        elif isinstance(token, _Wanted):
            self._outlet.lookup_failed(token.token, failure)

    def _begin(self, partitions: Sequence[Partition], answer: OffsetsFetched | None, ctx: Context) -> None:
        kept = [] if answer is None else [part for part in answer.offsets if part.error is ErrorCode.NONE]
        committed = {part.partition: part.offset for part in kept}
        unknown = [partition for partition in partitions if self._waits(partition) and partition not in committed]
        given: list[Given] = []
        for partition in partitions:
            if not self._waits(partition) or partition not in committed:
                continue
            offset = committed[partition]
            start = Start(offset) if offset >= 0 else self.settings.start
            self._generation -= 1  # the application's own count upwards
            topic, index = self._name(partition)
            self._places[partition] = Assignment(topic, index, start, self._generation)
            self._told[topic, index] = partition
            given.append(Given(topic, index, start, self._generation))
        if given:
            self._outlet.assigned(given)
            self._read([place for place in self._places.values() if place is not None], ctx)
        if unknown:
            self._ask_starts(unknown, ctx)

    def _waits(self, partition: Partition) -> bool:
        return partition in self._places and self._places[partition] is None

    def _drop(self, partitions: Sequence[Partition], ctx: Context) -> None:
        for partition in partitions:
            self._places.pop(partition, None)
        self._read([place for place in self._places.values() if place is not None], ctx)

    # --- Names ---

    def _name(self, partition: Partition) -> tuple[str, int]:
        return self.member.names[partition.topic], partition.index
