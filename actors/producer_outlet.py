"""What a producer is told at birth, and what it tells: settings, outcomes, a picture of itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..storage.records import NO_COMPRESSION, ZSTD
from .client_commands import Failure
from .kernel import Millis

MAX_REQUEST = 1 << 20
"""Bytes of one `Produce`, and the most that one batch may have."""


class ProducerSettings(msgspec.Struct, frozen=True):
    """Kafka's names where Kafka has one."""

    acks: int = -1  # -1: all in-sync replicas, 1: the leader, 0: nobody
    idempotent: bool = True  # has no meaning with acks=0
    linger_ms: int = 5
    batch_bytes: int = 256 << 10
    buffer_bytes: int = 32 << 20
    delivery_timeout_ms: int = 120_000
    request_timeout_ms: int = 3_000
    topic_timeout_ms: int = 10_000  # how long a topic may stay unknown
    compression: int = NO_COMPRESSION  # by its number in a batch's attributes: see `storage.records`

    @property
    def numbered(self) -> bool:
        """Whether batches carry a producer id and sequences."""
        return self.idempotent and self.acks != 0

    def __post_init__(self) -> None:
        if self.acks not in (-1, 0, 1):
            raise ValueError(f"acks is -1 (all), 1 or 0, not {self.acks}")
        if not 1 <= self.batch_bytes <= MAX_REQUEST:
            raise ValueError(f"batch_bytes is 1 to {MAX_REQUEST}, not {self.batch_bytes}")
        if not NO_COMPRESSION <= self.compression <= ZSTD:
            raise ValueError(f"compression is {NO_COMPRESSION} to {ZSTD}, not {self.compression}")


class ProducerOutlet(Protocol):
    """Where outcomes go. Each token gets exactly one, and none of these calls may raise."""

    def acknowledged(
        self, tokens: Sequence[object], topic: str, partition: int, base_offset: int, timestamp: Millis
    ) -> None:
        """Written, the first one at `base_offset`, the others behind it (-1: the offset is not known).

        `timestamp` is that of the records that came without one.
        """
        ...

    def failed(self, tokens: Sequence[object], failure: Failure) -> None:
        """Not written, or nobody knows (`Why.UNKNOWN_OUTCOME`)."""
        ...

    def flushed(self, token: object) -> None:
        """All that was accepted before this `Flush` has had its outcome."""
        ...

    def closed(self) -> None:
        """Nothing more will be said."""
        ...


class ProducerPicture(msgspec.Struct, frozen=True):
    """For dashboards and checkers."""

    producer_id: int
    buffered_bytes: int
    requests: int
    waiting_batches: int
    flying_batches: int
