"""The producer of applications that await: `Producer`, on the loop."""

# A timeout is told to the cluster too, which `asyncio.timeout` around a call would not do.
# ruff: noqa: ASYNC109

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from ..actors.rows import Rows
from .asyncio_bridge import Bridge, OnLoop
from .errors import BufferFull, OperationTimeout
from .outcomes import FailedRecord, OnError, RecordMetadata, SendFuture
from .producer_core import Headers, ProducerCore

RUN = 256  # records that one task may hand over without a pause


class _Awaited(SendFuture, gc=False, eq=False, kw_only=True):
    """The outcome of one `send`, and the future that tells it on the loop."""

    outcome: asyncio.Future[RecordMetadata]


class AsyncProducer(ProducerCore, OnLoop):
    """Sends records, as `Producer` does; `ProducerCore` tells the options. `on_error` is called on the loop.

    Belongs to the loop that first used it; not after a fork. Records of a partition are in the order of the calls,
    also between tasks.
    """

    _queue: asyncio.Lock | None = None  # of those who wait for room; None: nobody ever did
    _queued = 0
    _since = 0  # records handed over since other tasks had their turn

    async def send(
        self,
        topic: str,
        value: bytes | str | None = None,
        key: bytes | str | None = None,
        *,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int | None = None,
    ) -> asyncio.Future[RecordMetadata]:
        """Hand one record over, as soon as the buffer has room, and return the future of its outcome.

            sent = await producer.send("orders", b"book")      # handed over: other records may follow
            place = await sent                                 # written: topic, partition, offset, timestamp

        Raises BufferFull after `max_block_ms` without room, Closed, ForkedClient, TypeError or ValueError. All else is
        raised by the future. To cancel that forgets the outcome, not the record.
        """
        raw_key, raw_value, odd, size = self._record(value, key, headers, timestamp, partition)
        bridge = self._bridge
        if self._queued or not self._reserve(size):
            await self._await_room(size)
        outcome: asyncio.Future[RecordMetadata] = bridge.loop.create_future()
        awaited = _Awaited(self._outcomes, -1 if odd is None else odd[1], size, outcome=outcome)
        rows = Rows([raw_key], [raw_value], [awaited], [size], {} if odd is None else {0: odd})
        self._offer_all(topic, partition, rows, reserved=True)
        self._since += 1
        if self._since >= RUN:
            self._since = 0
            await asyncio.sleep(0)  # other tasks have their turn, however much room there is
        return outcome

    async def send_and_wait(
        self,
        topic: str,
        value: bytes | str | None = None,
        key: bytes | str | None = None,
        *,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int | None = None,
    ) -> RecordMetadata:
        """Send one record and wait until it is written. Raises what went wrong, as `SendFuture.result` does."""
        sent = await self.send(topic, value, key, headers=headers, timestamp=timestamp, partition=partition)
        return await sent

    async def send_many(
        self, topic: str, pairs: Iterable[tuple[bytes | str | None, bytes | str | None]]
    ) -> list[asyncio.Future[RecordMetadata]]:
        """Hand over many (key, value); one future each. Waits and raises as `send` does.

        Those before the one that had no room are delivered all the same: their futures are in `BufferFull.handed`.
        """
        futures: list[asyncio.Future[RecordMetadata]] = []
        try:
            for key, value in pairs:
                futures.append(await self.send(topic, value, key))
        except BufferFull as full:
            full.handed = futures
            raise
        return futures

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until all that was sent before has an outcome. Failures are told by the futures, not here.

        Raises OperationTimeout after so many seconds (None: never); what was sent goes on being delivered.
        """
        reply = self._begin_flush()
        reply.then(self._bridge.wake)
        if not await self._bridge.until(reply.done, timeout):
            raise OperationTimeout(f"records are still on their way after {timeout} s")

    async def close(self, timeout: float = 30.0) -> None:
        """Send what waits, for up to that many seconds; what is left then fails. A second call does nothing."""
        await self._close_and_await(timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    # --- Within ---

    async def _await_room(self, size: int) -> None:
        """Room, in the order of the calls."""

        def room() -> bool:
            self._guard.check()
            return self._reserve(size)

        if self._queue is None:
            self._queue = asyncio.Lock()
        bridge = self._bridge
        end = bridge.loop.time() + self._max_block
        self._queued += 1
        try:
            async with self._queue:
                if not await bridge.until(room, max(0.0, end - bridge.loop.time())):
                    raise self._no_room()
        finally:
            self._queued -= 1

    def _bridged(self, bridge: Bridge) -> None:
        self._outcomes.listener = lambda tokens: bridge.post(partial(self._settle, bridge, tokens))

    def _settle(self, bridge: Bridge, tokens: Sequence[object]) -> None:
        """On the loop: these outcomes are known."""
        bridge.look()  # there is more room
        for sent in tokens:
            assert isinstance(sent, _Awaited)
            outcome = sent.outcome
            if outcome.done():
                continue  # cancelled
            error = sent.exception()
            if error is None:
                outcome.set_result(sent.result())
                continue
            outcome.set_exception(error)
            if self._keep:
                outcome.exception()  # the interceptor has it: it needs no future that is asked

    def _intercepted_by(self, on_error: OnError) -> OnError:
        def intercepted(failed: FailedRecord) -> None:
            bridge = self._bridge_made
            assert bridge is not None, "what fails was sent over it"
            bridge.post(partial(bridge.loop.call_soon, on_error, failed))

        return intercepted

    def _last_words(self) -> None:
        super()._last_words()
        if self._bridge_made is not None:
            self._bridge_made.wake()
