"""The producer, without the waiting.

Handing over costs a lock, a record and a future: records go into an `intake` that the I/O thread empties. `send_many`
takes the lock once per 500 records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

from ..actors.client_commands import Flush, SendFrom
from ..actors.producer import ProducerActor
from ..actors.producer_outlet import ProducerSettings
from ..actors.rows import RECORD_OVERHEAD, Odd, RecordHeaders, Rows, size_of
from ..storage.records import COMPRESSIONS
from .core import ClientCore, Reply
from .errors import BufferFull, Closed
from .intake import NO_ROOM, WAKE, Intake
from .outcomes import FailedRecord, OnError, Outcomes, SendFuture
from .runtime import Guard, Runtime, as_bytes, endpoints

Headers = Sequence[tuple[str, bytes | None]] | Mapping[str, bytes | None]

MANY = 500  # records of `send_many` that are handed over together
FEW = 16  # the first ones, before it is known how large they are
_ACKS = {"all": -1, -1: -1, "1": 1, 1: 1, "0": 0, 0: 0}


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
        self._max_block = max_block_ms / 1000
        self._keep = on_error is not None
        self._intake = intake = Intake(buffer_bytes)
        self._wake = SendFrom(intake)
        guard = Guard("producer")
        intercepted = None if on_error is None else self._intercepted_by(on_error)
        self._outcomes = outcomes = Outcomes(guard, intake, intercepted)
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
    ) -> tuple[bytes | None, bytes | None, Odd | None, int]:
        """Key, value, what else there is, and the bytes of the buffer that it takes. Raises what is wrong with it."""
        self._guard.check()
        if type(value) is not bytes:
            value = as_bytes("value", value)
        if key is not None and type(key) is not bytes:
            key = as_bytes("key", key)
        if partition is not None and partition < 0:
            raise ValueError(f"a partition is 0 or more, not {partition}")
        if headers or timestamp is not None:
            pairs = _pairs(headers)
            odd = pairs, -1 if timestamp is None else timestamp
            return key, value, odd, size_of(key, value, pairs)
        return key, value, None, RECORD_OVERHEAD + len(value or b"") + len(key or b"")

    def _reserve(self, size: int) -> bool:
        """Take room in the buffer, if there is so much."""
        return self._intake.reserve(size)

    def _offer(
        self,
        topic: str,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        odd: Odd | None,
        future: SendFuture,
    ) -> bool:
        """Hand a record over if there is room for it. Raises Closed."""
        index = -1 if partition is None else partition
        if self._keep:
            future.kept = (topic, index, key, value, odd)
        put = self._intake.put(topic, index, key, value, future, future.size, odd)
        if put is WAKE:
            self._runtime.tell(self._wake)
        return put is not NO_ROOM

    def _offer_all(self, topic: str, partition: int | None, rows: Rows, *, reserved: bool = False) -> bool:
        """Hand records over, with futures as tokens, if there is room for all of them, or was taken. Raises Closed."""
        index = -1 if partition is None else partition
        if self._keep:
            futures = cast(Sequence[SendFuture], rows.tokens)
            for place, (key, value, future) in enumerate(zip(rows.keys, rows.values, futures, strict=True)):
                future.kept = (topic, index, key, value, rows.odd.get(place))
        try:
            put = self._intake.put_all(topic, index, rows, reserved=reserved)
        except Closed:
            if reserved:
                self._intake.give_back(sum(rows.sizes))
                with self._changed:
                    self._changed.notify_all()
            raise
        if put is WAKE:
            self._runtime.tell(self._wake)
        return put is not NO_ROOM

    def _record_many(
        self, pairs: Iterator[tuple[bytes | str | None, bytes | str | None]], most: int
    ) -> tuple[Rows, list[SendFuture]]:
        """The next records, up to so many, and their futures. Raises what is wrong with one of them."""
        self._guard.check()
        chunk = list(islice(pairs, most))
        for key, value in chunk:
            if type(value) is not bytes or (key is not None and type(key) is not bytes):
                chunk = [(as_bytes("key", key), as_bytes("value", value)) for key, value in chunk]
                break
        outcomes = self._outcomes
        raw = cast(list[tuple[bytes | None, bytes | None]], chunk)
        sizes = [RECORD_OVERHEAD + len(value or b"") + len(key or b"") for key, value in raw]
        futures = [SendFuture(outcomes, -1, size) for size in sizes]
        return Rows([key for key, _ in raw], [value for _, value in raw], futures, sizes), futures

    def _next_many(self, sizes: Sequence[int]) -> int:
        """How many records to take next, after these: no more than a quarter of the buffer, if they are alike."""
        return max(1, min(MANY, self._intake.limit // 4 * len(sizes) // sum(sizes)))

    def _no_room(self) -> BufferFull:
        return BufferFull(
            f"{self._intake.pending} of {self._intake.limit} bytes wait to be sent, and no room came within "
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


def _pairs(headers: Headers) -> RecordHeaders:
    items = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((str(name), as_bytes("header", value)) for name, value in items)
