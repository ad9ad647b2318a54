"""The blocking producer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Self

from .errors import BufferFull, OperationTimeout
from .outcomes import FailedRecord as FailedRecord
from .outcomes import RecordMetadata as RecordMetadata
from .outcomes import SendFuture as SendFuture
from .producer_core import FEW, Headers, ProducerCore


class Producer(ProducerCore):
    """Sends records; `ProducerCore` tells the options. Safe to use from several threads; not after a fork.

    Keys and values are bytes; text is sent as UTF-8. The records of a partition are in the order of the calls.
    """

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
        timestamp (milliseconds since 1970) it gets that of its batch. Blocks up to `max_block_ms` while the buffer is
        full. Raises BufferFull, Closed, ForkedClient, TypeError or ValueError; all else is told by the future.
        """
        raw_key, raw_value, odd, size = self._record(value, key, headers, timestamp, partition)
        future = SendFuture(self._outcomes, -1 if odd is None else odd[1], size)
        if not self._offer(topic, partition, raw_key, raw_value, odd, future):
            self._when_there_is_room(lambda: self._offer(topic, partition, raw_key, raw_value, odd, future))
        return future

    def send_many(self, topic: str, pairs: Iterable[tuple[bytes | str | None, bytes | str | None]]) -> list[SendFuture]:
        """Hand over many (key, value); one future each. Blocks and raises as `send` does.

        Those before the one that had no room are delivered all the same: their futures are in `BufferFull.handed`.
        """
        futures: list[SendFuture] = []
        rest = iter(pairs)
        most = FEW
        while True:
            rows, handed = self._record_many(rest, most)
            if not handed:
                return futures
            if not self._offer_all(topic, None, rows):
                try:
                    self._when_there_is_room(partial(self._offer_all, topic, None, rows))
                except BufferFull as full:
                    full.handed = futures
                    raise
            futures += handed
            most = self._next_many(rows.sizes)

    def flush(self, timeout: float | None = None) -> None:
        """Wait until all that was sent before has an outcome. Failures are told by the futures, not here.

        Raises OperationTimeout after so many seconds (None: never); what was sent goes on being delivered.
        """
        if not self._begin_flush().wait(timeout):
            raise OperationTimeout(f"records are still on their way after {timeout} s")

    def close(self, timeout: float = 30.0) -> None:
        """Send what waits, for up to that many seconds; what is left then fails. A second call does nothing."""
        self._close_and_wait(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _when_there_is_room(self, offer: Callable[[], bool]) -> None:
        end = time.monotonic() + self._max_block
        with self._changed:
            while not offer():
                left = end - time.monotonic()
                if left <= 0:
                    raise self._no_room()
                self._changed.wait(left)
