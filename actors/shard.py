"""One partition of a coordinator's topic, for one term: it is read once, and from then on written and remembered.

The broker in the same node tells of the term (`coordinator_logs`). Everything that earlier terms wrote lies below the
end of the log at that moment, so the partition is read up to there, committed records only, in pieces that leave other
inputs their turn; until then whoever asks is told to come again. A coordinator that answered from less would forget
offsets that were acknowledged (KAFKA-5600). What is read are the records that are there: compaction leaves holes, even
an end without any record (KAFKA-9065, KAFKA-7286).

Then: decide, append, apply, reply. A decision is written at once, and since the broker answers at once whether it was,
it is applied at once too; the next decision sees it. But nothing of it is said before it is committed: each answer is
parked until the high watermark has passed all that it may rest on. Within a term nothing that was appended is taken
back, so the state is always that of a prefix of the log; and if the term ends before the commit, everything is dropped,
the state and the answers, which become NOT_COORDINATOR: nobody knows, ask whoever leads now.

An answer that waits for longer than `PATIENCE_MS` says COORDINATOR_NOT_AVAILABLE: too few replicas are in sync, and it
may yet be committed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..storage.records import iter_headers
from .bugs import bug
from .coordinator_log_messages import AppendRecords, RecordsAppended, TermBegan
from .errors import ErrorCode
from .kernel import Address, Context, Event, Message, Millis, Payload, Timer, address, node_of
from .messages import Consume, Consumed, ConsumePartition, Partition

LOAD_BYTES = 64 << 10
"""Read at a time: some hundred records, which are applied within a few milliseconds."""

LOAD_WAIT_MS = 500
RETRY_MS = 100
PATIENCE_MS = 5_000


class LoadTimer(Timer, frozen=True):
    """The next piece is to be read."""

    partition: Partition
    leader_epoch: int


class State(Protocol):
    """What the records add up to."""

    def load(self, data: memoryview) -> None:
        """Apply whole batches that were read. Raises `Unreadable`."""
        ...


class Parked(NamedTuple):
    """An answer that waits for the high watermark; or, to nobody, an event."""

    end: int
    deadline: Millis
    to: Address | None
    what: Message | Event


Appended = Callable[[ErrorCode, str, Context], None]
"""What is to be done when the broker has answered: with NONE apply, else refuse, with a sentence."""


class Shard:
    """See the module's essay. `loaded` says whether the state may be used."""

    def __init__(self, term: TermBegan, state: State) -> None:
        self.partition = term.partition
        self.leader_epoch = term.leader_epoch
        self.hw = -1  # as far as it is committed; -1: not known in this term yet
        self.end = term.end  # of all that is applied
        self.loaded = False
        self._state = state
        self._goal = term.end
        self._position = term.start
        self._question = -1  # the read that is out
        self._parked: deque[Parked] = deque()
        self._writing: tuple[int, Appended] | None = None  # until the broker answers, which it does in the same turn
        self._waiting: deque[Callable[[Context], None]] = deque()  # what came in between
        self._number = 0

    # --- Reading ---

    def begin(self, ctx: Context) -> None:
        """Begin to read; if there is nothing to read it is loaded as soon as the high watermark is known."""
        if self._position < self._goal:
            self._read(ctx)

    def on_timer(self, ctx: Context) -> None:
        """Read on."""
        if not self.loaded:
            self._read(ctx)

    def on_consumed(self, answer: Consumed, ctx: Context) -> None:
        """A piece. Afterwards see whether it is `loaded`. Raises `Unreadable`."""
        if self.loaded or answer.id != self._question:
            return
        self._question = -1
        part = answer.partitions[0]
        if part.error is ErrorCode.OFFSET_OUT_OF_RANGE and part.log_start > self._position:
            self._position = part.log_start
        elif part.error is not ErrorCode.NONE:
            ctx.set_timer(LoadTimer(self.partition, self.leader_epoch), RETRY_MS)
            return
        elif part.records is not None:
            data = memoryview(part.records.data)
            if len(data) > LOAD_BYTES and bug("load-waits-for-records"):
                ctx.set_timer(LoadTimer(self.partition, self.leader_epoch), RETRY_MS)
                return
            self._state.load(data)
            for _, header in iter_headers(data):
                self._position = header.next_offset
        elif part.hw > self._position and not bug("load-waits-for-records"):
            self._position = part.hw  # there is nothing up to there: compaction took it
        elif bug("serve-half-loaded"):
            self._goal = self._position
        self.committed(part.hw)
        if not self.loaded:
            ctx.set_timer(LoadTimer(self.partition, self.leader_epoch), 0)

    def _read(self, ctx: Context) -> None:
        self._number += 1
        self._question = self._number
        wanted = ConsumePartition(self.partition, self.leader_epoch, self._position, LOAD_BYTES)
        ctx.send(self._broker(ctx), Consume(self._number, LOAD_WAIT_MS, 1, LOAD_BYTES, [wanted]))

    # --- Writing ---

    @property
    def writing(self) -> bool:
        """Whether a decision is on its way to the log: nothing may be decided before it is applied."""
        return self._writing is not None

    def later(self, action: Callable[[Context], None]) -> None:
        """Do this as soon as nothing is being written."""
        self._waiting.append(action)

    def append(self, batch: bytes, done: Appended, ctx: Context) -> None:
        """Have a batch written. `done` hears of it within this turn of the node, before any other input."""
        assert self._writing is None, "one decision after the other"
        self._number += 1
        self._writing = (self._number, done)
        request = AppendRecords(self._number, self.partition, self.leader_epoch, Payload(batch))
        ctx.send(self._broker(ctx), request)

    def on_appended(self, answer: RecordsAppended, ctx: Context) -> None:
        """The broker has answered."""
        if self._writing is None or self._writing[0] != answer.id:
            return
        done = self._writing[1]
        self._writing = None
        if answer.error is ErrorCode.NONE:
            assert answer.base == self.end, f"records at {answer.base}, applied up to {self.end}"
            self.end = answer.end
        done(answer.error, answer.reason, ctx)
        while self._waiting and self._writing is None:
            self._waiting.popleft()(ctx)

    # --- Answering ---

    @property
    def parked(self) -> int:
        """How many answers wait."""
        return len(self._parked)

    @property
    def patience(self) -> Millis | None:
        """When the first answer will have waited for too long; None if none waits."""
        return self._parked[0].deadline if self._parked else None

    def answer(self, to: Address, answer: Message, ctx: Context) -> None:
        """Say this once everything that is applied now is committed."""
        if self.end <= self.hw or bug("reply-before-commit"):
            ctx.send(to, answer)
        else:
            self._parked.append(Parked(self.end, Millis(ctx.now + PATIENCE_MS), to, answer))

    def tell(self, event: Event, ctx: Context) -> None:
        """Emit this once everything that is applied now is committed."""
        self._parked.append(Parked(self.end, Millis(ctx.now + PATIENCE_MS), None, event))

    def committed(self, hw: int) -> list[Parked]:
        """The high watermark is (at least) that. Take the answers that it has passed, and see whether it is loaded."""
        self.hw = max(self.hw, hw)
        self.loaded = self.loaded or (self._position >= self._goal and self.hw >= self._goal)
        return self._take(lambda parked: parked.end <= self.hw)

    def impatient(self, now: Millis) -> list[Parked]:
        """Take the answers that have waited for too long."""
        return self._take(lambda parked: parked.deadline <= now)

    def drop(self) -> list[Parked]:
        """The term is over. Take all answers."""
        return self._take(lambda parked: True)

    def _take(self, wanted: Callable[[Parked], bool]) -> list[Parked]:
        """From the front: ends and deadlines rise."""
        taken = []
        while self._parked and wanted(self._parked[0]):
            taken.append(self._parked.popleft())
        return taken

    @staticmethod
    def _broker(ctx: Context) -> Address:
        return address(node_of(ctx.me), "broker")
