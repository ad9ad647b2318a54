"""Deleting records: the admin's half of the conversation.

Each partition is asked of its leader until that answers, whoever it is by then. Deleting below an offset twice is the
same as once, so repeating costs nothing. "All there is" is first turned into an offset, by asking for the end: asked
for twice it would otherwise delete what was written in between.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from .client_commands import Failure, RemoveRecords, Why
from .errors import ErrorCode
from .kernel import Address, Context, Millis, Timer
from .leadership import Leaderships, backoff_ms
from .messages import LATEST, DeletedPartition, DeletePartition, DeleteRecords, Partition, RecordsDeleted
from .offset_lookup import Answer, OffsetLookup, Query

ANSWER_MS = 5_000
"""How long a leader may wait for its followers before it answers, and is asked again."""

UNKNOWN_MS = 3_000
"""How long a topic may be unknown before it counts as missing."""


class DeletionDue(Timer, frozen=True):
    """A leader is to be asked again, or the time of a command is over."""


class DeletionOutlet(Protocol):
    """Where outcomes go."""

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        """Where each partition begins now."""
        ...

    def failed(self, token: object, failure: Failure) -> None:
        """Some partitions may have been trimmed nevertheless."""
        ...


class _Command:
    """A command that has no outcome."""

    def __init__(self, command: RemoveRecords, now: Millis) -> None:
        self.command = command
        self.deadline = Millis(now + command.timeout_ms)
        self.unknown_at = Millis(now + min(UNKNOWN_MS, command.timeout_ms))
        self.starts: dict[int, int] = {}


class _Wanted:
    """One partition that is to be trimmed."""

    def __init__(self, owner: _Command, index: int, offset: int) -> None:
        self.owner = owner
        self.index = index
        self.offset = offset  # LATEST: the end is being asked for
        self.partition: Partition | None = None  # as last asked
        self.next_at = Millis(0)  # when to ask (again)
        self.attempt = 0


class Deletions:
    """All deletions of one admin."""

    def __init__(
        self,
        leaderships: Leaderships,
        lookup: OffsetLookup,
        outlet: DeletionOutlet,
    ) -> None:
        self._leaderships = leaderships
        self._outlet = outlet
        self._lookup = lookup  # shared with others; its owner pumps it after every input
        self._wanted: list[_Wanted] = []
        self._flights: dict[int, list[_Wanted]] = {}
        self._next_id = 0

    def start(self, ctx: Context) -> None:
        """Begin."""
        self._next_id = ctx.random.getrandbits(40)

    def delete(self, command: RemoveRecords, ctx: Context) -> None:
        """One more command."""
        owner = _Command(command, ctx.now)
        self._leaderships.want(command.topic, ctx)
        if not command.offsets:
            self._outlet.deleted(command.token, {})
        for index, offset in sorted(command.offsets.items()):
            wanted = _Wanted(owner, index, offset)
            self._wanted.append(wanted)
            if offset == LATEST:
                self._lookup.ask(Query(wanted, command.topic, index, LATEST, None), ctx)
        self.pump(ctx)

    def moved(self, ctx: Context) -> None:
        """Somebody else leads, or a topic has become known."""
        for wanted in self._wanted:
            wanted.next_at = Millis(0)
        self.pump(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        """Whether the timer was one of ours."""
        if isinstance(timer, DeletionDue):
            self.pump(ctx)
            return True
        return False

    def close(self, failure: Failure) -> None:
        """Nothing more will be asked."""
        for owner in self._owners():
            self._fail(owner, failure)

    # --- Asking ---

    def pump(self, ctx: Context) -> None:
        """Ask what is due: a request per leader, and no partition twice in one, or answers could not be told apart."""
        for owner in self._owners():
            failure = self._hopeless(owner, ctx)
            if failure is not None:
                self._fail(owner, failure)
        requests: dict[tuple[Address, int], list[tuple[_Wanted, DeletePartition]]] = {}
        before: Counter[Partition] = Counter()
        for wanted in self._wanted:
            name = self._leaderships.topics.get(wanted.owner.command.topic)
            if wanted.offset == LATEST or wanted.next_at > ctx.now or name is None:
                continue
            wanted.next_at = Millis(ctx.now + backoff_ms(wanted.attempt, ctx))
            partition = Partition(name.id, wanted.index)
            route = self._leaderships.route(partition)
            if route is None:
                wanted.attempt += 1
                self._leaderships.refresh(ctx)
                continue
            wanted.partition = partition
            wanted.next_at = Millis(ctx.now + ANSWER_MS + 1_000)
            asked = DeletePartition(partition, route.epoch, wanted.offset)
            requests.setdefault((route.to, before[partition]), []).append((wanted, asked))
            before[partition] += 1
        for (to, _), asked_of in requests.items():
            self._next_id += 1
            self._flights[self._next_id] = [wanted for wanted, _ in asked_of]
            ctx.send(to, DeleteRecords(self._next_id, ANSWER_MS, [asked for _, asked in asked_of]))
        self._set_timer(ctx)

    def _set_timer(self, ctx: Context) -> None:
        times = [wanted.next_at for wanted in self._wanted if wanted.next_at > ctx.now]
        for owner in self._owners():
            times += [owner.deadline, *([owner.unknown_at] if owner.unknown_at > ctx.now else ())]
        if times:
            ctx.set_timer(DeletionDue(), max(1, min(times) - ctx.now))
        else:
            self._flights.clear()
            ctx.cancel_timer(DeletionDue())

    def _owners(self) -> list[_Command]:
        return list(dict.fromkeys(wanted.owner for wanted in self._wanted))

    # --- Answers ---

    def take(self, answer: Answer, ctx: Context) -> None:
        """Where a partition ends."""
        wanted = answer.query.owner
        assert isinstance(wanted, _Wanted), "nobody else asks so"
        if answer.found is not None:
            wanted.offset = answer.found.offset
        elif wanted in self._wanted:
            self._fail(wanted.owner, answer.failure or Failure(Why.REFUSED, "its end is not known"))
        self.pump(ctx)

    def on_deleted(self, message: RecordsDeleted, ctx: Context) -> None:
        """Verdicts on some partitions of a request."""
        flight = self._flights.get(message.id, [])
        for answer in message.partitions:
            for wanted in [one for one in flight if one.partition == answer.partition and one in self._wanted]:
                self._take(wanted, answer, ctx)
        self.pump(ctx)

    def _take(self, wanted: _Wanted, answer: DeletedPartition, ctx: Context) -> None:
        owner, command = wanted.owner, wanted.owner.command
        if answer.error is ErrorCode.NONE:
            owner.starts[wanted.index] = answer.log_start
            self._wanted.remove(wanted)
            if len(owner.starts) == len(command.offsets):
                self._outlet.deleted(command.token, dict(sorted(owner.starts.items())))
        elif answer.error.retriable:
            wanted.attempt += 1
            wanted.next_at = Millis(ctx.now + backoff_ms(wanted.attempt, ctx))
            if self._leaderships.hint(answer.partition, answer.leader, answer.leader_epoch):
                wanted.next_at = ctx.now
            elif answer.error not in (ErrorCode.OFFSET_NOT_AVAILABLE, ErrorCode.REQUEST_TIMED_OUT):
                self._leaderships.refresh(ctx)
        else:
            sentence = answer.reason or f"{command.topic}-{wanted.index}: {answer.error.name}"
            self._fail(owner, Failure(Why.REFUSED, sentence, answer.error))

    def _hopeless(self, owner: _Command, ctx: Context) -> Failure | None:
        """Why a command will come to nothing, if it will."""
        command = owner.command
        name = self._leaderships.topics.get(command.topic)
        if name is not None:
            beyond = [index for index in sorted(command.offsets) if not 0 <= index < name.partitions]
            if beyond:
                sentence = f"{command.topic} has {name.partitions} partitions, there is no partition {beyond[0]}"
                return Failure(Why.UNKNOWN_TOPIC, sentence)
        elif self._leaderships.answered_about(command.topic) and ctx.now >= owner.unknown_at:
            return Failure(Why.UNKNOWN_TOPIC, f"there is no topic {command.topic}: check its name")
        if ctx.now < owner.deadline:
            return None
        if not self._leaderships.answered_about(command.topic):
            places = ", ".join(self._leaderships.bootstrap)
            return Failure(Why.NO_BROKERS, f"nobody answers at {places}: is the cluster up?")
        left = ", ".join(str(index) for index in sorted(command.offsets) if index not in owner.starts)
        sentence = f"the records of {command.topic} were not deleted everywhere in time (partitions {left}): ask again"
        return Failure(Why.UNKNOWN_OUTCOME, sentence)

    def _fail(self, owner: _Command, failure: Failure) -> None:
        for wanted in [wanted for wanted in self._wanted if wanted.owner is owner]:
            self._lookup.cancel(wanted)
            self._wanted.remove(wanted)
        self._outlet.failed(owner.command.token, failure)
