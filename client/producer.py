"""The blocking producer.

`send` costs a lock, a record and a future: records go into an intake that the I/O thread empties, and it is
woken once per burst, not once per record. All futures of a producer share one condition, and its waiters are woken per
batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from ..actors.client_commands import Close, Failure, Flush, SendFrom, SendRecords
from ..actors.kernel import Millis
from ..actors.producer import ProducerActor
from ..actors.producer_outlet import ProducerSettings
from ..storage.records import COMPRESSIONS, Record
from .errors import BarnabasError, BufferFull, Closed, OperationTimeout, delivery_error
from .runtime import Guard, Reply, Runtime, as_bytes, endpoints, new_runtime

Headers = Sequence[tuple[str, bytes | None]] | Mapping[str, bytes | None]

_OVERHEAD = 64  # bytes that a record is counted for beyond its key and value
RUN = 4_096  # records that one turn of the I/O thread takes, or a few more
_ACKS = {"all": -1, -1: -1, "1": 1, 1: 1, "0": 0, 0: 0}


class RecordMetadata(NamedTuple):
    """Where a record is. The offset is -1 with acks=0, and where a batch is known to be written, but not where."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class SendFuture:
    """The outcome of one `send`."""

    __slots__ = ("_base", "_changed", "_error", "_place", "_then", "_timestamp", "size")

    def __init__(self, changed: threading.Condition, timestamp: int, size: int) -> None:
        self._changed = changed
        self._timestamp = timestamp
        self._place: tuple[str, int] | None = None
        self._base = -1
        self._error: BarnabasError | None = None
        self._then: list[Callable[[SendFuture], object]] | None = None
        self.size = size

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._place is not None or self._error is not None

    def result(self, timeout: float | None = None) -> RecordMetadata:
        """Wait for the outcome. Raises what `exception` returns, or OperationTimeout: then it may still be written."""
        error = self.exception(timeout)
        if error is not None:
            raise error
        assert self._place is not None, "an outcome without error has a place"
        return RecordMetadata(*self._place, self._base, self._timestamp)

    def exception(self, timeout: float | None = None) -> BarnabasError | None:
        """Wait for the outcome: None if the record is written."""
        if not self.done():
            with self._changed:
                if not self._changed.wait_for(self.done, timeout):
                    raise OperationTimeout(f"the record has no outcome after {timeout} s: it may still be written")
        return self._error

    def add_done_callback(self, call: Callable[[SendFuture], object]) -> None:
        """Call with this future once it is done: at once, or on the I/O thread. It must not block."""
        with self._changed:
            if not self.done():
                self._then = [*(self._then or ()), call]
                return
        call(self)


class _Intake:
    """Records that the I/O thread has not taken yet, in the order of the calls: runs of one topic and partition."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runs: list[tuple[tuple[str, int], list[Record], list[object]]] = []
        self.closed = False

    def put(self, topic: str, index: int, record: Record, future: SendFuture) -> bool:
        """Whether the I/O thread must be woken for it. Raises Closed."""
        with self.lock:
            if self.closed:
                raise Closed("this producer is closed")
            runs = self.runs
            first = not runs
            if first or runs[-1][0] != (topic, index) or len(runs[-1][1]) >= RUN:
                runs.append(((topic, index), [record], [future]))
            else:
                run = runs[-1]
                run[1].append(record)
                run[2].append(future)
        return first

    def take(self) -> list[SendRecords]:
        with self.lock:
            runs, left, taken = self.runs, self.runs, 0
            for i, run in enumerate(runs):
                taken += len(run[1])
                if taken >= RUN:
                    runs, left = runs[: i + 1], runs[i + 1 :]
                    break
            else:
                left = []
            self.runs = left
        return [SendRecords(topic, records, tokens, index) for (topic, index), records, tokens in runs]

    def close(self) -> None:
        """What comes now comes too late."""
        with self.lock:
            self.closed = True


class _Outlet:
    """Outcomes, from the I/O thread."""

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.pending_bytes = 0
        self.end = Reply()

    def acknowledged(
        self, tokens: Sequence[object], topic: str, partition: int, base_offset: int, timestamp: Millis
    ) -> None:
        place = (topic, partition)
        step = base_offset >= 0
        offset = base_offset
        freed = 0
        for token in tokens:
            assert isinstance(token, SendFuture)
            token._base = offset
            offset += step
            if token._timestamp < 0:
                token._timestamp = timestamp
            token._place = place
            freed += token.size
        self._tell(freed, tokens)

    def failed(self, tokens: Sequence[object], failure: Failure) -> None:
        freed = 0
        for token in tokens:
            assert isinstance(token, SendFuture)
            token._error = delivery_error(failure)
            freed += token.size
        self._tell(freed, tokens)

    def flushed(self, token: object) -> None:
        assert isinstance(token, Reply)
        token.set()

    def closed(self) -> None:
        self.end.set()

    def _tell(self, freed: int, tokens: Sequence[object]) -> None:
        with self.changed:
            self.pending_bytes -= freed
            self.changed.notify_all()
            # With the lock: a callback is either in the list by now, or its caller sees that the future is done.
            calls = [(call, f) for f in tokens if isinstance(f, SendFuture) and f._then for call in f._then]
        for call, future in calls:
            call(future)


class Producer:
    """Sends records. Safe to use from several threads; not after a fork.

    Keys and values are bytes; text is sent as UTF-8. The records of a partition are in the order of the calls.
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str],
        *,
        acks: int | str = "all",
        idempotent: bool = True,
        linger_ms: int = 5,
        batch_bytes: int = 256 << 10,
        buffer_bytes: int = 32 << 20,
        delivery_timeout_ms: int = 120_000,
        request_timeout_ms: int = 3_000,
        topic_timeout_ms: int = 10_000,
        max_block_ms: int = 60_000,
        compression: str = "none",
        runtime: Runtime | None = None,
    ) -> None:
        if acks not in _ACKS:
            raise ValueError(f"acks is 'all', 1 or 0, not {acks!r}")
        if compression not in COMPRESSIONS:
            raise ValueError(f"compression is one of {', '.join(COMPRESSIONS)}, not {compression!r}")
        settings = ProducerSettings(
            acks=_ACKS[acks],
            idempotent=idempotent,
            linger_ms=linger_ms,
            batch_bytes=batch_bytes,
            # The bound that callers feel is the one in `send`; the actor's only catches what that cannot see.
            buffer_bytes=2 * buffer_bytes + batch_bytes,
            delivery_timeout_ms=delivery_timeout_ms,
            request_timeout_ms=request_timeout_ms,
            topic_timeout_ms=topic_timeout_ms,
            compression=COMPRESSIONS[compression],
        )
        places = endpoints(bootstrap)
        self._guard = Guard("producer")
        self._buffer_bytes = buffer_bytes
        self._max_block = max_block_ms / 1000
        self._changed = threading.Condition()
        self._intake = _Intake()
        self._outlet = outlet = _Outlet(self._changed)
        self._wake = SendFrom(self._intake)
        self._runtime = runtime or new_runtime()
        self._runtime.start(lambda: ProducerActor(places, outlet, settings))

    def send(
        self,
        topic: str,
        value: bytes | str | None = None,
        key: bytes | str | None = None,
        *,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int | None = None,
    ) -> SendFuture:
        """Hand one record over; its future tells the outcome.

        Without a partition the key chooses it, as in Kafka's clients; without a key, batches take turns. Without a
        timestamp (milliseconds since 1970) it gets that of its batch. Blocks up to `max_block_ms` while
        the buffer is full, then raises BufferFull.
        """
        self._guard.check()
        if type(value) is not bytes:
            value = as_bytes("value", value)
        if key is not None and type(key) is not bytes:
            key = as_bytes("key", key)
        pairs = _pairs(headers) if headers else ()
        size = _OVERHEAD + (len(value) if value else 0) + (len(key) if key else 0)
        stamp = -1 if timestamp is None else timestamp
        future = SendFuture(self._changed, stamp, size)
        index = -1 if partition is None else partition
        if index < -1 or (partition is not None and partition < 0):
            raise ValueError(f"a partition is 0 or more, not {partition}")
        self._reserve(size)
        try:
            first = self._intake.put(topic, index, Record(key, value, pairs, stamp), future)
        except Closed:
            self._release(size)
            raise
        if first:
            self._runtime.tell(self._wake)
        return future

    def send_many(self, topic: str, pairs: Iterable[tuple[bytes | str | None, bytes | str | None]]) -> list[SendFuture]:
        """Hand over many (key, value); one future each."""
        return [self.send(topic, value, key) for key, value in pairs]

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all that was sent before has an outcome. Failures are told by the futures, not here."""
        self._guard.check()
        reply = Reply()
        self._runtime.tell(self._wake)
        self._runtime.tell(Flush(reply))
        if not reply.wait(timeout):
            raise OperationTimeout(f"records are still on their way after {timeout} s")

    def close(self, timeout: float = 30.0) -> None:
        """Send what waits, for up to that many seconds; what is left then fails. A second call does nothing."""
        if self._guard.closed or self._guard.forked:
            return
        self._guard.closed = True
        self._intake.close()
        with self._changed:
            self._changed.notify_all()
        self._runtime.tell(self._wake)
        self._runtime.tell(Close(int(timeout * 1000)))
        self._outlet.end.wait(timeout + 5.0)
        self._runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _reserve(self, size: int) -> None:
        """Room in the buffer, as soon as there is some."""
        outlet = self._outlet
        with self._changed:
            if outlet.pending_bytes + size > self._buffer_bytes and outlet.pending_bytes > 0:
                self._wait_for_room(size)
            outlet.pending_bytes += size

    def _release(self, size: int) -> None:
        with self._changed:
            self._outlet.pending_bytes -= size
            self._changed.notify_all()

    def _wait_for_room(self, size: int) -> None:
        outlet, end = self._outlet, time.monotonic() + self._max_block
        while outlet.pending_bytes + size > self._buffer_bytes and outlet.pending_bytes > 0:
            if self._guard.closed:
                raise Closed("the producer was closed while this call waited for room")
            left = end - time.monotonic()
            if left <= 0:
                raise BufferFull(
                    f"{outlet.pending_bytes} of {self._buffer_bytes} bytes wait to be sent, and no room came within "
                    f"{self._max_block:g} s: is the cluster reachable? Send slower, or raise buffer_bytes"
                )
            self._changed.wait(left)


def _pairs(headers: Headers) -> tuple[tuple[str, bytes | None], ...]:
    items = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((str(name), as_bytes("header", value)) for name, value in items)
