"""What becomes of records: futures, and the outlet through which the I/O thread tells.

All futures of a producer share one condition, and its waiters are woken per batch, not per record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from itertools import repeat
from typing import NamedTuple, cast

import msgspec

from ..actors.client_commands import Failure
from ..actors.kernel import Millis
from ..actors.rows import Odd
from .core import Reply, call_back
from .errors import BarnabasError, OperationTimeout, delivery_error
from .intake import Intake
from .runtime import Guard


class RecordMetadata(NamedTuple):
    """Where a record is. The offset is -1 with acks=0, and where a batch is known to be written, but not where.

    The timestamp is in milliseconds since 1970.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int


class FailedRecord(NamedTuple):
    """A record that was not delivered, as it was given to `send`, and why. `partition` is -1 if none was asked for.

    If `error` is an UnknownOutcome, it may have been written all the same.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp: int
    error: BarnabasError


OnError = Callable[[FailedRecord], object]


class SendFuture(msgspec.Struct, gc=False, eq=False):
    """The outcome of one `send`.

    Hundreds of thousands of these are alive at a time, so the garbage collector is not to look at them; nothing of a
    future that is done refers back to it.
    """

    _outcomes: Outcomes
    _timestamp: int
    size: int
    _place: tuple[str, int, int] | None = None  # topic, partition, and the timestamp of the batch
    _base: int = -1
    _error: BarnabasError | None = None
    _then: list[Callable[[SendFuture], object]] | None = None
    kept: tuple[str, int, bytes | None, bytes | None, Odd | None] | None = None  # what an interceptor may want

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._place is not None or self._error is not None

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Wait for the outcome, up to so many seconds (None: as long as it takes).

        Raises what `exception` returns, or OperationTimeout: then it may still be written.
        """
        error = self.exception(timeout)
        if error is not None:
            # The frames of a traceback refer to this future: raised itself, the error would keep it alive for ever.
            raise copy(error)
        assert self._place is not None, "an outcome without error has a place"
        topic, partition, timestamp = self._place
        return RecordMetadata(topic, partition, self._base, self._timestamp if self._timestamp >= 0 else timestamp)

    def exception(self, timeout: float | None = None) -> BarnabasError | None:
        """Wait for the outcome: None if the record is written. Raises OperationTimeout or ForkedClient."""
        if not self.done():
            self._outcomes.guard.check_process()  # what a parent waits for never comes to its child
            with self._outcomes.changed:
                if not self._outcomes.changed.wait_for(self.done, timeout):
                    raise OperationTimeout(f"the record has no outcome after {timeout} s: it may still be written")
        return self._error

    def add_done_callback(self, call: Callable[[SendFuture], object]) -> None:
        """Call with this future once it is done: at once, or on the I/O thread.

        It must not block, nor wait for other outcomes. What it raises is logged (by `concurrent.futures`).
        """
        with self._outcomes.changed:
            if not self.done():
                self._then = [*(self._then or ()), call]
                return
        call_back([partial(call, self)])


class Outcomes:
    """The outlet of a producer. `changed` guards all of it."""

    def __init__(self, guard: Guard, intake: Intake, on_error: OnError | None) -> None:
        self.guard = guard
        self.changed = threading.Condition()
        self.end = Reply()
        self.listener: Callable[[Sequence[object]], None] | None = None  # told of futures that are done, by the batch
        self._intake = intake
        self._on_error = on_error

    def acknowledged(
        self, tokens: Sequence[object], topic: str, partition: int, base_offset: int, timestamp: Millis
    ) -> None:
        place = (topic, partition, timestamp)
        step = base_offset >= 0
        offset = base_offset
        freed = 0
        calls: list[Callable[[], object]] = []
        with self.changed:  # a callback is either in the list by now, or its caller sees that the future is done
            for token in cast(Sequence[SendFuture], tokens):
                token._base = offset
                offset += step
                token._place = place
                freed += token.size
                if token._then is not None:
                    calls += map(partial, token._then, repeat(token))
                    token._then = None
            if self._on_error is not None:
                for token in cast(Sequence[SendFuture], tokens):
                    token.kept = None
            self._free(freed)
        self._tell(tokens, calls)

    def failed(self, tokens: Sequence[object], failure: Failure) -> None:
        calls: list[Callable[[], object]] = []
        with self.changed:
            for token in cast(Sequence[SendFuture], tokens):
                token._error = error = delivery_error(failure)
                if self._on_error is not None and token.kept is not None:
                    topic, partition, key, value, odd = token.kept
                    what = FailedRecord(topic, partition, key, value, *(odd or ((), -1)), error)
                    calls.append(partial(self._on_error, what))
                token.kept = None
                if token._then is not None:
                    calls += map(partial, token._then, repeat(token))
                    token._then = None
            self._free(sum(token.size for token in cast(Sequence[SendFuture], tokens)))
        self._tell(tokens, calls)

    def flushed(self, token: object) -> None:
        assert isinstance(token, Reply)
        token.set()

    def closed(self) -> None:
        self.end.set()

    def _free(self, size: int) -> None:
        self._intake.freed += size
        self.changed.notify_all()

    def _tell(self, tokens: Sequence[object], calls: Sequence[Callable[[], object]]) -> None:
        if calls:
            call_back(calls)
        if self.listener is not None:
            self.listener(tokens)
