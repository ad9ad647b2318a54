"""What a consumer is told at birth, and what it tells: settings, chunks of records, failures."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import msgspec

from ..storage.disk import Buffer
from ..storage.records import Record, decode_batch
from .client_commands import Failure
from .lookups import LookupOutlet


class Reset(Enum):
    """Where to go on when the position is not in the log any more."""

    EARLIEST = "earliest"
    LATEST = "latest"
    ERROR = "error"


class ConsumerSettings(msgspec.Struct, frozen=True):
    """Kafka's names where Kafka has one."""

    reset: Reset = Reset.ERROR
    prefetch_bytes: int = 8 << 20
    max_wait_ms: int = 500
    min_bytes: int = 1
    fetch_max_bytes: int = 1 << 20  # of one answer: no heartbeat waits behind more
    request_timeout_ms: int = 3_000
    topic_timeout_ms: int = 10_000


class Chunk:
    """Consecutive batches of one partition, checked but not yet parsed: whoever wants the records parses them."""

    __slots__ = ("batches", "first", "generation", "hw", "next", "partition", "size", "topic")

    def __init__(self, topic: str, partition: int, generation: int, first: int, hw: int) -> None:
        self.topic = topic
        self.partition = partition
        self.generation = generation
        self.first = first  # nothing before this offset was asked for
        self.next = first  # where the next chunk begins
        self.hw = hw
        self.size = 0  # to be given back with `Took`
        self.batches: list[Buffer] = []

    def records(self) -> list[Record]:
        """The records. Raises `InvalidBatch` when the producer wrote what is no record, below a right checksum."""
        records: list[Record] = []
        for data in self.batches:
            records += decode_batch(data)
        if records and records[0].offset < self.first:
            records = [record for record in records if record.offset >= self.first]
        return records


class ConsumerOutlet(LookupOutlet, Protocol):
    """Where records go. None of these calls may raise. Chunks of a partition come in order, each record once."""

    def fetched(self, chunk: Chunk) -> None:
        """Records. `Took(chunk.size)` gives their room back."""
        ...

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        """The position was found, or moved over what is not for applications; or the high watermark moved."""
        ...

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        """This partition is not read any more, until `Seek` or `Assign`. Partition -1: the whole topic is unknown."""
        ...

    def closed(self) -> None:
        """Nothing more will be said."""
        ...


class ConsumerPicture(msgspec.Struct, frozen=True):
    """For dashboards and checkers: (topic, partition, position or -1, high watermark)."""

    buffered_bytes: int
    requests: int
    positions: list[tuple[str, int, int, int]]
