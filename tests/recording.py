"""A context that writes down what an actor asks for, and a quorum of one whose commits are made by hand.

For tests of one actor by itself. Conversations between actors belong in a world.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TypeVar

from barnabas.actors.kernel import Actor, Address, Context, Event, Incarnation, JobDone, Message, Millis, Timer
from barnabas.actors.metadata_codec import encode_records
from barnabas.actors.metadata_records import LeaderChanged
from barnabas.actors.quorum_log import Base
from barnabas.storage.disk import Disk, Generation, JobId
from barnabas.storage.jobs import Job
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import iter_headers, patch

M = TypeVar("M")


class Recording(Context):
    """Lists instead of effects. Time stands still until `sleep`, which fires an actor's timers when they are due."""

    def __init__(self, me: str = "n1/actor", seed: int = 0) -> None:
        self._me, self._random, self._disk = Address(me), Random(seed), MemoryDisk(Random(seed))
        self._now, self._wall = Millis(1_000), Millis(1_700_000_000_000)
        self.sent: list[tuple[Address, Message]] = []
        self.published: list[tuple[str, Message]] = []
        self.timers: dict[Timer, Millis] = {}
        self.events: list[Event] = []
        self.jobs: list[Job] = []
        self.stopped: str | None = None

    @property
    def me(self) -> Address:
        return self._me

    @property
    def incarnation(self) -> Incarnation:
        return Incarnation(1)

    @property
    def now(self) -> Millis:
        return self._now

    @property
    def wall(self) -> Millis:
        return self._wall

    @property
    def random(self) -> Random:
        return self._random

    @property
    def disk(self) -> Disk:
        return self._disk

    def send(self, to: Address, message: Message, after: Generation | None = None) -> None:
        self.sent.append((to, message))

    def publish(self, topic: str, message: Message) -> None:
        self.published.append((topic, message))

    def set_timer(self, timer: Timer, delay_ms: int) -> None:
        assert delay_ms >= 0, f"{timer!r} in {delay_ms} ms"
        self.timers.pop(timer, None)
        self.timers[timer] = Millis(self._now + delay_ms)

    def cancel_timer(self, timer: Timer) -> None:
        self.timers.pop(timer, None)

    def submit(self, job: Job) -> JobId:
        self.jobs.append(job)
        return JobId(len(self.jobs))

    def emit(self, event: Event) -> None:
        assert event.sentence(), f"{event!r} says nothing"
        self.events.append(event)

    def stop(self, reason: str) -> None:
        self.stopped = reason

    def sleep(self, ms: int, actor: Actor | None = None) -> None:
        """Time passes; an actor's timers fire in order. Without an actor they stay set."""
        end = self._now + ms
        while actor is not None and self.timers:
            timer, due = min(self.timers.items(), key=lambda item: item[1])
            if due > end:
                break
            self._to(max(due, self._now))
            del self.timers[timer]
            actor.on_timer(timer, self)
        self._to(end)

    def _to(self, now: int) -> None:
        self._wall = Millis(self._wall + now - self._now)
        self._now = Millis(now)

    def take(self, kind: type[M]) -> list[M]:
        """Every message of this kind that was sent or published since the last take."""
        found: list[M] = [message for _, message in [*self.sent, *self.published] if isinstance(message, kind)]
        self.sent = [item for item in self.sent if not isinstance(item[1], kind)]
        self.published = [item for item in self.published if not isinstance(item[1], kind)]
        return found


class OneVoter:
    """The face of Raft without the others: appends are committed at once, or, if `manual`, by `commit`."""

    def __init__(self, voter: int = 1, *, manual: bool = False) -> None:
        self.voter = voter
        self.manual = manual
        self.epoch, self.leader, self.epoch_start, self.hw = 0, -1, -1, 0
        self.leading = False
        self.log_start, self.log_end = 0, 0
        self.resigned = self.wants_snapshot = False
        self._batches: list[tuple[int, int, bytes]] = []  # base, next, bytes

    def win(self, ctx: Context, epoch: int | None = None) -> None:
        """Lead in the next epoch (or a later one)."""
        self.epoch = self.epoch + 1 if epoch is None else epoch
        self.leader, self.leading, self.epoch_start = self.voter, True, self.log_end
        self.append(encode_records([LeaderChanged(self.epoch, self.voter, [1])]), ctx)

    def lose(self, leader: int = 2) -> None:
        """Another one leads; what was not committed is gone."""
        self.epoch += 1
        self.leader, self.leading, self.epoch_start = leader, False, -1
        self._batches = [batch for batch in self._batches if batch[1] <= self.hw]
        self.log_end = self.hw

    def commit(self) -> None:
        """Everything appended is committed."""
        self.hw = self.log_end

    def replicated(self, batch: bytes) -> None:
        """A committed batch from another leader."""
        self._add(batch)
        self.commit()

    def read(self, offset: int, max_bytes: int) -> bytes:
        assert offset >= self.log_start, f"read at {offset}, log starts at {self.log_start}"
        data = b""
        for base, following, batch in self._batches:
            if base >= offset and following <= self.hw and (not data or len(data) + len(batch) <= max_bytes):
                data += batch
        return data

    def append(self, batch: bytes, ctx: Context) -> int:
        assert self.leading, "only the leader appends"
        self._add(batch)
        if not self.manual:
            self.commit()
        return self.log_end

    def _add(self, batch: bytes) -> None:
        data = bytearray(batch)
        patch(data, self.log_end, self.epoch)
        [(_, header)] = iter_headers(data)
        self._batches.append((self.log_end, header.next_offset, bytes(data)))
        self.log_end = header.next_offset

    def resign(self, ctx: Context) -> None:
        self.resigned = True
        self.lose(leader=-1)

    def trim(self, base: Base) -> None:
        self.log_start = base.end
        self._batches = [batch for batch in self._batches if batch[0] >= base.end]

    def load(self, base: Base, ctx: Context) -> None:
        self.log_start = self.log_end = self.hw = base.end
        self._batches, self.wants_snapshot = [], False

    def start(self, ctx: Context, newest: Base, snapshots: Mapping[int, int]) -> None:
        """Nothing to recover."""

    def on_job(self, done: JobDone, ctx: Context) -> bool:
        return False

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        """Nobody else votes."""

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        return False

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        """Commits are made by hand."""
