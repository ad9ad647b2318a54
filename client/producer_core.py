"""The producer, without the waiting.

Handing over costs two locks, a record and a future: records go into an intake that the I/O thread empties, and it is
woken once per burst, not once per record. `send_many` takes the locks once per 500 records: with two threads at work
that is most of what a record costs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..actors.client_commands import Flush, SendFrom, SendRecords
from ..actors.producer import ProducerActor
from ..actors.producer_outlet import ProducerSettings
from ..storage.records import COMPRESSIONS, RawRecord
from .core import ClientCore, Reply
from .errors import BufferFull, Closed
from .outcomes import FailedRecord, OnError, Outcomes, SendFuture
from .runtime import Guard, Runtime, as_bytes, endpoints

Headers = Sequence[tuple[str, bytes | None]] | Mapping[str, bytes | None]

_OVERHEAD = 64  # bytes that a record is counted for beyond its key and value
MANY = 500  # records of `send_many` that are handed over together
RUN = 4_096  # records that one turn of the I/O thread takes, or a few more
_ACKS = {"all": -1, -1: -1, "1": 1, 1: 1, "0": 0, 0: 0}


class _Intake:
    """Records that the I/O thread has not taken yet, in the order of the calls: runs of one topic and partition."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runs: list[tuple[tuple[str, int], list[RawRecord], list[object]]] = []
        self.closed = False

    def put(self, topic: str, index: int, records: list[RawRecord], futures: list[SendFuture]) -> bool:
        """Whether the I/O thread must be woken for these. Raises Closed."""
        with self.lock:
            if self.closed:
                raise Closed("this producer is closed")
            runs = self.runs
            first = not runs
            if first or runs[-1][0] != (topic, index) or len(runs[-1][1]) >= RUN:
                runs.append(((topic, index), [*records], [*futures]))
            else:
                run = runs[-1]
                run[1].extend(records)
                run[2].extend(futures)
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


class ProducerCore(ClientCore):
    """Options, and everything but waiting.

    bootstrap            brokers to begin with: "host:port,host:port", or a sequence of these
    acks                 who must have a record before it counts: "all" in-sync replicas, the leader (1), nobody (0)
    idempotent           each record is written once and in order, whatever is repeated (no meaning with acks=0)
    linger_ms            how long a batch waits to become fuller, in milliseconds
    batch_bytes          the size of a full batch, before compression; at most 1 MiB
    buffer_bytes         what may wait for its outcome before `send` waits for room
    delivery_timeout_ms  a record has its outcome after so many milliseconds, whatever happens
    request_timeout_ms   a broker that has not answered for so long is asked again
    topic_timeout_ms     how long a topic may stay unknown before its records fail
    max_block_ms         how long `send` waits for room, before it raises BufferFull
    compression          of whole batches: "none", "gzip", "snappy", "lz4" or "zstd"
    on_error             is called with a `FailedRecord` for each record that was not delivered, besides its future.
                         It must not block; what it raises is logged. What `send` itself raises it does not see
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
        on_error: Callable[[FailedRecord], object] | None = None,
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
        self._buffer_bytes = buffer_bytes
        self._max_block = max_block_ms / 1000
        self._keep = on_error is not None
        self._intake = _Intake()
        self._wake = SendFrom(self._intake)
        guard = Guard("producer")
        self._outcomes = outcomes = Outcomes(guard, None if on_error is None else self._intercepted_by(on_error))
        self._changed = outcomes.changed
        self._open(guard, runtime, outcomes.end, lambda: ProducerActor(places, outcomes, settings))

    def _intercepted_by(self, on_error: OnError) -> OnError:
        """The interceptor, as the I/O thread may call it."""
        return on_error

    def _record(
        self,
        value: bytes | str | None,
        key: bytes | str | None,
        headers: Headers,
        timestamp: int | None,
        partition: int | None,
    ) -> tuple[RawRecord, int]:
        """What is to be sent, and how many bytes of the buffer it takes. Raises what is wrong with it."""
        self._guard.check()
        if type(value) is not bytes:
            value = as_bytes("value", value)
        if key is not None and type(key) is not bytes:
            key = as_bytes("key", key)
        if partition is not None and partition < 0:
            raise ValueError(f"a partition is 0 or more, not {partition}")
        pairs = _pairs(headers) if headers else ()
        size = _OVERHEAD + (len(value) if value else 0) + (len(key) if key else 0)
        return (key, value, pairs, -1 if timestamp is None else timestamp, -1), size

    def _reserve(self, size: int) -> bool:
        """Take room in the buffer, if there is so much."""
        outcomes = self._outcomes
        with self._changed:
            pending = outcomes.pending_bytes
            if pending and pending + size > self._buffer_bytes:
                return False
            outcomes.pending_bytes = pending + size
        return True

    def _hand_over(
        self, topic: str, partition: int | None, records: list[RawRecord], futures: list[SendFuture]
    ) -> None:
        """Those for which room was reserved go to the actor. Raises Closed."""
        index = -1 if partition is None else partition
        if self._keep:
            for record, future in zip(records, futures, strict=True):
                future.kept = (topic, index, record)
        try:
            first = self._intake.put(topic, index, records, futures)
        except Closed:
            with self._changed:
                self._outcomes.pending_bytes -= sum(future.size for future in futures)
                self._changed.notify_all()
            raise
        if first:
            self._runtime.tell(self._wake)

    def _record_many(
        self, pairs: Iterator[tuple[bytes | str | None, bytes | str | None]]
    ) -> tuple[list[RawRecord], list[SendFuture], int]:
        """The next up to 500 records, or a quarter of the buffer, and how much of it they take in all.

        Raises what is wrong with one of them.
        """
        self._guard.check()
        outcomes = self._outcomes
        records: list[RawRecord] = []
        futures: list[SendFuture] = []
        total = 0
        enough = self._buffer_bytes // 4
        for key, value in pairs:
            if type(value) is not bytes:
                value = as_bytes("value", value)
            if key is not None and type(key) is not bytes:
                key = as_bytes("key", key)
            size = _OVERHEAD + (len(value) if value else 0) + (len(key) if key else 0)
            total += size
            records.append((key, value, (), -1, -1))
            futures.append(SendFuture(outcomes, -1, size))
            if len(records) >= MANY or total >= enough:
                break
        return records, futures, total

    def _no_room(self) -> BufferFull:
        return BufferFull(
            f"{self._outcomes.pending_bytes} of {self._buffer_bytes} bytes wait to be sent, and no room came within "
            f"{self._max_block:g} s: is the cluster reachable? Send slower, or raise buffer_bytes"
        )

    def _begin_flush(self) -> Reply:
        self._guard.check()
        reply = Reply()
        self._runtime.tell(self._wake)
        self._runtime.tell(Flush(reply))
        return reply

    def _last_words(self) -> None:
        self._intake.close()
        with self._changed:
            self._changed.notify_all()
        self._runtime.tell(self._wake)


def _pairs(headers: Headers) -> tuple[tuple[str, bytes | None], ...]:
    items = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((str(name), as_bytes("header", value)) for name, value in items)
