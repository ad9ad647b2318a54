"""A member's commits, one at a time, each until there is a verdict.

They go in the order in which they were said: if two were on their way, the older one could be repeated after the newer
one and take the group back. A refusal because the member epoch has just changed is no verdict: the next heartbeat's
answer brings the new one, and the commit is said again under it. What was not answered in time may have been kept.

A commit may be the last word about partitions that the member gives up: then they are given up after it, whatever
comes of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from .client_commands import Failure, Why
from .coordinator_link import CoordinatorLink
from .errors import ErrorCode
from .group_member import GroupMember
from .kernel import Context, Millis, Timer
from .leadership import backoff_ms
from .messages import OffsetsCommitted, Partition
from .offset_messages import NewOffset

ANSWER_MS = 1_500
"""A commit that has not been answered for so long is said again."""

Positions = dict[Partition, tuple[int, str]]
"""Per partition the offset of the next record to read, and what the application wants to keep beside it."""


class CommitDue(Timer, frozen=True):
    """The commit at the head of the queue is to be said (again), or its time is over."""


class _Commit:
    """A commit that has no verdict."""

    def __init__(self, token: object, offsets: Positions, deadline: Millis, then: Sequence[Partition]) -> None:
        self.token = token  # None: nobody wants to know
        self.offsets = offsets
        self.deadline = deadline
        self.then = then  # to be given up after it
        self.number = 0  # of the request that is out; 0: none
        self.attempt = 0


class GroupCommits:
    """The commits of one member. `verdict` tells what became of each that has a token: None, or why not."""

    def __init__(
        self,
        member: GroupMember,
        link: CoordinatorLink,
        name: Callable[[Partition], tuple[str, int]],
        verdict: Callable[[object, Failure | None], None],
    ) -> None:
        self._member = member
        self._link = link
        self._name = name
        self._verdict = verdict
        self._waiting: deque[_Commit] = deque()
        self._number = 0
        self._again_at = Millis(0)  # when the one that is out is said again

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, ctx: Context) -> None:
        """Begin."""
        self._number = ctx.random.getrandbits(40)

    def add(
        self, token: object, offsets: Positions, timeout_ms: int, ctx: Context, then: Sequence[Partition] = ()
    ) -> None:
        """One more."""
        self._waiting.append(_Commit(token, offsets, Millis(ctx.now + timeout_ms), then))
        self.pump(ctx)

    def drop(self, failure: Failure) -> None:
        """None of them can be made any more."""
        for commit in self._waiting:
            self._tell(commit, failure)
        self._waiting.clear()

    def moved(self, ctx: Context) -> None:
        """There is another coordinator: say it there at once, and soon again if it is still reading."""
        if self._waiting:
            self._waiting[0].attempt = 0
        self.pump(ctx)

    def pump(self, ctx: Context) -> None:
        """Say what is due."""
        while self._waiting and ctx.now >= self._waiting[0].deadline:
            self._settle(Failure(Why.UNKNOWN_OUTCOME, "the coordinator did not answer the commit in time"), ctx)
        if not self._waiting:
            ctx.cancel_timer(CommitDue())
            return
        commit = self._waiting[0]
        if commit.attempt and ctx.now < self._again_at:
            return
        self._number += 1
        offsets = [NewOffset(partition, offset, -1, note) for partition, (offset, note) in commit.offsets.items()]
        sent = self._member.commit(self._number, offsets, ctx)
        commit.number = self._number if sent else 0
        commit.attempt += 1
        self._wait(ANSWER_MS if sent else backoff_ms(commit.attempt, ctx), ctx)

    def on_answer(self, answer: OffsetsCommitted, ctx: Context) -> None:
        """The coordinator's answer to one of them."""
        if not self._waiting or self._waiting[0].number != answer.id:
            return
        commit = self._waiting[0]
        if answer.error is ErrorCode.NONE:
            self._settle(self._partial(answer), ctx)
        elif answer.error.retriable or answer.error is ErrorCode.STALE_MEMBER_EPOCH:
            if answer.error not in {ErrorCode.STALE_MEMBER_EPOCH, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS}:
                self._link.lost(ctx)
            commit.number = 0
            self._wait(backoff_ms(commit.attempt, ctx), ctx)
            return
        else:
            sentence = answer.reason or f"the commit was refused: {answer.error.name}"
            self._settle(Failure(Why.REFUSED, sentence, answer.error), ctx)
        self.pump(ctx)

    def _partial(self, answer: OffsetsCommitted) -> Failure | None:
        for part in answer.partitions:
            if part.error is not ErrorCode.NONE:
                topic, index = self._name(part.partition)
                sentence = f"the offset of {topic}-{index} was not committed: {part.error.name}"
                return Failure(Why.REFUSED, sentence, part.error)
        return None

    def _wait(self, delay_ms: int, ctx: Context) -> None:
        left = max(0, self._waiting[0].deadline - ctx.now)
        self._again_at = Millis(ctx.now + delay_ms)
        ctx.set_timer(CommitDue(), min(delay_ms, left))

    def _settle(self, failure: Failure | None, ctx: Context) -> None:
        commit = self._waiting.popleft()
        self._tell(commit, failure)
        if commit.then:
            self._member.released(commit.then, ctx)

    def _tell(self, commit: _Commit, failure: Failure | None) -> None:
        if commit.token is not None:
            self._verdict(commit.token, failure)
