"""Records that the I/O thread has not taken yet, and the room that all records take until they have an outcome.

The application's threads put, the I/O thread takes; one plain lock, held for a few appends. To wake a thread costs as
much as a hundred records do: a write into a pipe, a switch of threads, a turn of the loop. While records flow the I/O
thread comes by itself every millisecond or two (`take(again=True)`), so it is woken only for the first record of
a burst, and when a burst is so large that it should not wait.

Room is counted with two numbers that only grow: `_used` belongs to those who put, `freed` to the I/O thread. So neither
waits for the other to count.
"""

from __future__ import annotations

import threading
from enum import Enum

from ..actors.client_commands import SendRows
from ..actors.rows import Odd, Rows
from .errors import Closed

RUN = 4_096  # records that one turn of the I/O thread takes, or a few more


class Put(Enum):
    """What became of records that were put."""

    NO_ROOM = "no room"
    TAKEN = "taken"
    WAKE = "taken, and the I/O thread must be woken"


NO_ROOM, TAKEN, WAKE = Put.NO_ROOM, Put.TAKEN, Put.WAKE  # to ask an enumeration costs a tenth of a send


class _Run:
    """Records of one topic and partition, in the order of the calls."""

    __slots__ = ("index", "keys", "odd", "sizes", "tokens", "topic", "values")

    def __init__(self, topic: str, index: int) -> None:
        self.topic = topic
        self.index = index
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.tokens: list[object] = []
        self.sizes: list[int] = []
        self.odd: dict[int, Odd] = {}

    @property
    def rows(self) -> Rows:
        return Rows(self.keys, self.values, self.tokens, self.sizes, self.odd)


class Intake:
    """See the essay above. `limit`: bytes that may be without an outcome; a single larger record is let in alone."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.freed = 0  # bytes that have their outcome; only the I/O thread counts
        self._used = 0  # bytes that were ever let in
        self._lock = threading.Lock()
        self._runs: list[_Run] = []
        self._count = 0  # records since the last `take`
        self._watched = False  # the I/O thread comes by itself, or has been woken
        self._hurried = False  # and again since, because there is so much
        self._closed = False

    @property
    def pending(self) -> int:
        """Bytes without an outcome."""
        return self._used - self.freed

    def reserve(self, size: int) -> bool:
        """Take room, if there is so much, for records that are put later."""
        with self._lock:
            return self._take_room(size)

    def give_back(self, size: int) -> None:
        """Room that was reserved and is not needed."""
        with self._lock:
            self._used -= size

    def put(
        self,
        topic: str,
        index: int,
        key: bytes | None,
        value: bytes | None,
        token: object,
        size: int,
        odd: Odd | None = None,
    ) -> Put:
        """One record, which takes its own room. Raises Closed."""
        with self._lock:
            if self._closed:
                raise Closed("this producer is closed")
            pending = self._used - self.freed
            if pending and pending + size > self.limit:
                return NO_ROOM
            self._used += size
            run = self._run(topic, index)
            if odd is not None:
                run.odd[len(run.sizes)] = odd
            run.keys.append(key)
            run.values.append(value)
            run.tokens.append(token)
            run.sizes.append(size)
            self._count += 1
            if self._watched and self._count < RUN:
                return TAKEN
            return self._call()

    def put_all(self, topic: str, index: int, rows: Rows, *, reserved: bool = False) -> Put:
        """Many records, all or none. `reserved`: room was taken for them before. Raises Closed."""
        with self._lock:
            if self._closed:
                raise Closed("this producer is closed")
            if not reserved and not self._take_room(sum(rows.sizes)):
                return NO_ROOM
            run = self._run(topic, index)
            before = len(run.sizes)
            for place, odd in rows.odd.items():
                run.odd[before + place] = odd
            run.keys += rows.keys
            run.values += rows.values
            run.tokens += rows.tokens
            run.sizes += rows.sizes
            self._count += len(rows.sizes)
            return self._call()

    def take(self, *, again: bool) -> list[SendRows]:
        """The next ones, about as many as one turn should handle. `again`: if there are any, the caller looks again."""
        with self._lock:
            runs, self._runs, taken = self._runs, [], 0
            for number, run in enumerate(runs, 1):
                taken += len(run.sizes)
                if taken >= RUN:
                    self._runs = runs[number:]
                    del runs[number:]
                    break
            self._count = sum(len(run.sizes) for run in self._runs)
            self._watched = again and bool(runs)
            self._hurried = False
        return [SendRows(run.topic, run.rows, run.index) for run in runs]

    def close(self) -> None:
        """What comes now comes too late."""
        with self._lock:
            self._closed = True

    # --- With the lock ---

    def _take_room(self, size: int) -> bool:
        pending = self._used - self.freed
        if pending and pending + size > self.limit:
            return False
        self._used += size
        return True

    def _run(self, topic: str, index: int) -> _Run:
        runs = self._runs
        if runs:
            run = runs[-1]
            if run.topic == topic and run.index == index and len(run.sizes) < RUN:
                return run
        run = _Run(topic, index)
        runs.append(run)
        return run

    def _call(self) -> Put:
        """Whether somebody must wake the I/O thread for what was just put."""
        if not self._watched:
            self._watched = True
            return WAKE
        if self._count >= RUN and not self._hurried:
            self._hurried = True
            return WAKE
        return TAKEN
