"""The producer of applications that await: `Producer`, on the loop."""

# A timeout is told to the cluster too, which `asyncio.timeout` around a call would not do.
# ruff: noqa: ASYNC109

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Self

from .asyncio_bridge import Bridge, OnLoop
from .errors import OperationTimeout
from .outcomes import FailedRecord, OnError, RecordMetadata, SendFuture
from .producer_core import Headers, ProducerCore


class AsyncProducer(ProducerCore, OnLoop):
    """Sends records, as `Producer` does; `ProducerCore` tells the options. `on_error` is called on the loop.

    Belongs to the loop that first used it; not after a fork. Records of a partition are in the order of the calls,
    also between tasks.
    """

    _turn: asyncio.Lock | None = None  # None: not used yet

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
        record, size = self._record(value, key, headers, timestamp, partition)
        bridge = self._bridge
        if self._turn is None:
            self._turn = asyncio.Lock()
        async with self._turn:  # whoever waits for room keeps its place
            if not self._reserve(size):
                await self._await_room(size)
            sent = self._hand_over(topic, partition, record, size)
        outcome: asyncio.Future[RecordMetadata] = bridge.loop.create_future()
        sent.add_done_callback(lambda done: bridge.post(partial(self._settle, bridge, outcome, done)))
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
        """Hand over many (key, value); one future each. Waits and raises as `send` does."""
        return [await self.send(topic, value, key) for key, value in pairs]

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
        def room() -> bool:
            self._guard.check()
            return self._reserve(size)

        if not await self._bridge.until(room, self._max_block):
            raise self._no_room()

    def _settle(self, bridge: Bridge, outcome: asyncio.Future[RecordMetadata], sent: SendFuture) -> None:
        """On the loop: the outcome is known."""
        bridge.look()  # there is more room
        if outcome.done():
            return  # cancelled
        error = sent.exception()
        if error is None:
            outcome.set_result(sent.result())
            return
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
