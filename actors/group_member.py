"""A member of a consumer group: the client's half of the heartbeat protocol (KIP-848's shape).

What it owns changes in three ways only. An answer has something new: it is the member's from that moment on. An answer
lacks something: the application is told to give it up, and once it has (`released`) the next heartbeat says so; nobody
else gets it before. An answer says that this is no member any more: everything is lost at once, somebody else may own
it already, and the member joins anew.

One heartbeat is out at a time. It waits at the coordinator until there is something to learn, so the next one goes out
as soon as it is answered; one that is not answered in time, or whose coordinator is none any more, is said again.
Each has a number, and only the answer to the newest counts: whatever is late is of the past. What a member says of
itself (what it reads, what it owns) is repeated until an answer shows that it was heard.

A member that was not heard of for its session may have been put out without knowing it: after a pause, or behind a link
that is cut. So each answer says until when it counts as a member for sure (`heard`); the application is given nothing
after that moment until another one has come. What a zombie still does is fenced: it cannot commit.

The owner passes on messages and timers, tells of leaderships that moved, and hears through the outlet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from .client_commands import Failure, Why
from .coordinator_link import CoordinatorLink
from .errors import ErrorCode
from .group_messages import COORDINATORS_GRACE, JOINING, LEAVING, LEAVING_FOR_A_WHILE, UNIFORM, Plan, PlanTask
from .group_records import grouped
from .kernel import Context, Millis, Timer
from .leadership import backoff_ms
from .messages import CommitOffsets, GroupHeartbeat, GroupHeartbeatDone, Partition, TopicId
from .offset_messages import NewOffset

WAIT_MS = 1_000
ANSWER_MS = 2_000
"""How long beyond its wait a heartbeat may be unanswered before it is said again."""

UNRELEASED_MS = 15_000
"""How long one coordinator may say that the predecessor of a static member is still there: its session ends within that
time. Another coordinator, or one that was none for a while, gives everybody a whole session again."""

BRISK_MS = 100
"""Between two heartbeats when the first was answered at once with nothing new."""

_LATER = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.FENCED_LEADER_EPOCH,
    ErrorCode.UNKNOWN_LEADER_EPOCH,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    ErrorCode.THROTTLING_QUOTA_EXCEEDED,
    ErrorCode.REQUEST_TIMED_OUT,
}


class MemberSettings(msgspec.Struct, frozen=True):
    """How a member takes part. Times in milliseconds."""

    group: str
    instance: str = ""  # the name of a static member
    client_id: str = ""
    host: str = ""
    rack: str = ""
    assignor: str = UNIFORM
    rebalance_timeout_ms: int = 60_000  # how long the application may take to give up partitions
    grace_ms: int | None = COORDINATORS_GRACE
    wait_ms: int = WAIT_MS
    metadata: bytes = b""


class MemberOutlet(Protocol):
    """What happens to a member. None of these calls may call the member back."""

    def assigned(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """These are the member's from now on. `GroupMember.names` has the names of their topics."""
        ...

    def heard(self, lease_ms: int, ctx: Context) -> None:
        """The coordinator counts it as a member for at least so long from now, whatever becomes of it."""
        ...

    def revoke(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """Give these up, then say `released`."""
        ...

    def lost(self, partitions: Sequence[Partition], reason: str, ctx: Context) -> None:
        """These are the member's no more: nothing can be committed."""
        ...

    def refused(self, failure: Failure, ctx: Context) -> None:
        """The group does not take this member; it is out until it subscribes again."""
        ...

    def left(self, ctx: Context) -> None:
        """The coordinator knows that the member has left, or cannot be told."""
        ...


class HeartbeatDue(Timer, frozen=True):
    """The next heartbeat, or the same again."""


class GroupMember:
    """One member, from `subscribe` to `leave`."""

    def __init__(
        self,
        settings: MemberSettings,
        link: CoordinatorLink,
        outlet: MemberOutlet,
        planner: Callable[[PlanTask], Plan] | None = None,
    ) -> None:
        self.settings = settings
        self.link = link
        self.member = ""  # made up when it first joins
        self.epoch = JOINING
        self.owned: dict[Partition, None] = {}  # given, and not given up
        self.names: dict[TopicId, str] = {}  # of topics that were assigned, by id
        self._outlet = outlet
        self._planner = planner
        self._in = False  # takes part, or is about to
        self._leaving_until: Millis | None = None  # None: it does not leave
        self._topics: list[str] = []
        self._pattern = ""
        self._target: dict[Partition, None] = {}  # what the coordinator wants it to own
        self._releasing: dict[Partition, None] = {}  # owned, and the application is giving it up
        self._sequence = 0
        self._beat = 0  # the number of the newest heartbeat
        self._out = False  # and whether it may still be answered
        self._heard = -1  # the number of the newest heartbeat whose answer was taken
        self._said_at = Millis(0)
        self._waits = False  # whether it lets the coordinator wait
        self._news = True  # what the member says of itself has changed since an answer showed that it was heard
        self._plan: Plan | None = None  # to be said until it is heard
        self._attempt = 0
        self._unreleased: tuple[int, Millis] | None = None  # the term and since when somebody else has our static name

    # --- What the owner asks ---

    @property
    def taking_part(self) -> bool:
        """Whether the coordinator counts it as a member, as far as is known here."""
        return self._in and self.epoch > JOINING

    def subscribe(self, topics: Sequence[str], pattern: str, ctx: Context) -> None:
        """Read these topics, and those that match the regular expression ("": none); join if it is not in the group."""
        self._topics, self._pattern = sorted(set(topics)), pattern
        if not self.member:
            self.member = f"{ctx.random.getrandbits(128):032x}"
            self.link.start(ctx)
        self._in = True
        self._leaving_until = None
        self._news = True
        self._say(ctx)

    def released(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """The application has given these up."""
        for partition in partitions:
            if self._releasing.pop(partition, False) is None:
                del self.owned[partition]
                self._news = True
        if self._in and not self._releasing and self._news:
            self._reconcile(ctx)  # what came back meanwhile
            self._say(ctx)

    def leave(self, timeout_ms: int, ctx: Context) -> None:
        """Leave at once; `left` is said when that is known there, or after so many milliseconds.

        What is owned is owned no more. A static member keeps its name for as long as its session, so that it may come
        back.
        """
        self.owned.clear()
        self._target.clear()
        self._releasing.clear()
        if not self._in or (self.epoch == JOINING and self._beat == 0):
            self._in = False
            self._outlet.left(ctx)
            return
        self._leaving_until = Millis(ctx.now + timeout_ms)
        self._say(ctx)

    def commit(self, number: int, offsets: list[NewOffset], ctx: Context) -> bool:
        """Send a commit of the member as it is now; false if there is nobody to send it to. It may get lost."""
        route = self.link.route()
        if route is None or not self.taking_part:
            self.link.lost(ctx)
            return False
        self._sequence += 1
        instance = self.settings.instance
        request = CommitOffsets(
            number, self.link.group, route.epoch, self.member, self.epoch, offsets, instance, self._sequence
        )
        ctx.send(route.to, request)
        return True

    def poke(self, ctx: Context) -> None:
        """The coordinator may be another one now: speak to it at once, and soon again if it is still reading."""
        if self._in:
            self._attempt = 0
            self._say(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        """Whether the timer was one of ours."""
        if not isinstance(timer, HeartbeatDue):
            return False
        if self._in:
            if self._out:  # not answered in time
                self._attempt += 1
                self.link.lost(ctx)
            self._say(ctx)
        return True

    # --- Saying ---

    def _say(self, ctx: Context) -> None:
        if self._leaving_until is not None and ctx.now >= self._leaving_until:
            self._gone(ctx)
            return
        route = self.link.route()
        if route is None:
            self.link.lost(ctx)
            self._out = False
            self._say_in(backoff_ms(self._attempt, ctx), ctx)
            self._attempt += 1
            return
        settings, leaving = self.settings, self._leaving_until is not None
        # An answer that is lost may have told of another epoch: then only who says what it owns is believed.
        whole = self._news or self.epoch == JOINING or self._heard != self._beat
        self._sequence += 1
        self._beat, self._out, self._said_at = self._sequence, True, ctx.now
        epoch, wait = self.epoch, settings.wait_ms
        if leaving:
            epoch, wait = (LEAVING_FOR_A_WHILE if settings.instance else LEAVING), 0
        elif whole or self._plan is not None:
            wait = 0  # the answer shows that it was heard
        self._waits = wait > 0
        message = GroupHeartbeat(
            id=self._sequence,
            group=self.link.group,
            leader_epoch=route.epoch,
            member=self.member,
            member_epoch=epoch,
            sequence=self._sequence,
            wait_ms=wait,
            topics=self._topics if whole else None,
            pattern=self._pattern if whole else None,
            owned=grouped(self.owned) if whole else None,
            instance=settings.instance,
            rack=settings.rack,
            rebalance_timeout_ms=settings.rebalance_timeout_ms if whole else -1,
            assignor=settings.assignor if whole else None,
            client_id=settings.client_id,
            host=settings.host,
            grace_ms=settings.grace_ms,
            metadata=settings.metadata if whole else b"",
            plan=self._plan,
            heard=self._heard,
        )
        ctx.send(route.to, message)
        self._say_in(wait + (ANSWER_MS if not leaving else ANSWER_MS // 4), ctx)

    def _say_in(self, delay_ms: int, ctx: Context) -> None:
        if self._leaving_until is not None:
            delay_ms = min(delay_ms, max(0, self._leaving_until - ctx.now))
        ctx.set_timer(HeartbeatDue(), delay_ms)

    # --- Answers ---

    def on_answer(self, answer: GroupHeartbeatDone, ctx: Context) -> None:
        """The coordinator's answer to a heartbeat."""
        if not self._in or not self._out or answer.sequence != self._beat or answer.member != self.member:
            return
        self._out = False
        if answer.error in _LATER:
            self._try_later(answer.error, ctx)
        elif self._leaving_until is not None:
            self._gone(ctx)
        elif answer.error is ErrorCode.NONE:
            self._heard = self._beat
            self._attempt = 0
            self._unreleased = None
            self._take(answer, ctx)
        elif answer.error in {ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID}:
            self._expelled(answer, ctx)
        elif answer.error is ErrorCode.UNRELEASED_INSTANCE_ID and self._may_wait(ctx):
            self._say_in(backoff_ms(self._attempt, ctx), ctx)
            self._attempt += 1
        else:
            self._in = False
            ctx.cancel_timer(HeartbeatDue())
            self._lose(answer.reason, ctx)
            sentence = answer.reason or f"group {self.link.group} refused this member: {answer.error.name}"
            self._outlet.refused(Failure(Why.REFUSED, sentence, answer.error), ctx)

    def _try_later(self, error: ErrorCode, ctx: Context) -> None:
        self._unreleased = None  # who does not coordinate lets nobody's session end
        if error not in {ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_ENOUGH_REPLICAS}:
            self.link.lost(ctx)
        self._say_in(backoff_ms(self._attempt, ctx), ctx)
        self._attempt += 1

    def _may_wait(self, ctx: Context) -> bool:
        route = self.link.route()
        term = route.epoch if route is not None else -1
        if self._unreleased is None or self._unreleased[0] != term:
            self._unreleased = (term, ctx.now)
        return ctx.now - self._unreleased[1] < UNRELEASED_MS

    def _take(self, answer: GroupHeartbeatDone, ctx: Context) -> None:
        news = answer.member_epoch != self.epoch or answer.assigned is not None or answer.task is not None
        self._news, self._plan = False, None  # it was heard
        if (
            answer.session_ms > 0
        ):  # it counts from when the coordinator heard the heartbeat, which was after it was said
            self._outlet.heard(answer.session_ms - (ctx.now - self._said_at), ctx)
        self.epoch = answer.member_epoch
        self.names.update((name.id, name.name) for name in answer.topics)
        if answer.task is not None and self._planner is not None:
            self._plan = self._planner(answer.task)
        if answer.assigned is not None:
            self._target = {Partition(of.topic, index): None for of in answer.assigned for index in of.partitions}
            self._reconcile(ctx)
        hasty = self._waits and ctx.now - self._said_at < BRISK_MS
        if self._news or self._plan is not None or news or not hasty:
            self._say(ctx)
        else:
            self._say_in(BRISK_MS, ctx)

    def _reconcile(self, ctx: Context) -> None:
        """Take what is new, and have the application give up what is not to be owned any more."""
        gained = [partition for partition in self._target if partition not in self.owned]
        spare = [partition for partition in self.owned if partition not in self._target | self._releasing]
        if gained:
            self.owned.update(dict.fromkeys(gained))
            self._news = True
            self._outlet.assigned(gained, ctx)
        if spare:
            self._releasing.update(dict.fromkeys(spare))
            self._outlet.revoke(spare, ctx)

    def _expelled(self, answer: GroupHeartbeatDone, ctx: Context) -> None:
        """It is no member any more. It joins anew, under the same id."""
        self.epoch = JOINING
        self._news = True
        self._plan = None
        self._lose(answer.reason or answer.error.name, ctx)
        self._say(ctx)

    def _lose(self, reason: str, ctx: Context) -> None:
        owned = [*self.owned]
        self.owned.clear()
        self._target.clear()
        self._releasing.clear()
        self.epoch = JOINING
        if owned:
            self._outlet.lost(owned, reason, ctx)

    def _gone(self, ctx: Context) -> None:
        self._in = False
        self._out = False
        self._leaving_until = None
        self.epoch = JOINING
        ctx.cancel_timer(HeartbeatDue())
        self._outlet.left(ctx)
