"""The log of one partition (API; bodies follow)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from .disk import Buffer, Disk, Generation
from .epochs import EpochCache
from .producers import ProducerStates
from .records import BatchHeader

if TYPE_CHECKING:
    from .recovery import Recovered


class LogSettings(msgspec.Struct, frozen=True):
    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3600 * 1000
    index_interval: int = 4096
    max_batch_bytes: int = 16 << 20
    durability: Literal["fsync", "os"] = "fsync"
    verify_reads: bool = True
    tail_cache_bytes: int = 1 << 20
    compacted: bool = False


class OffsetOutOfRange(ValueError):
    """An offset below the log's start or beyond its end."""


class CorruptLog(Exception):
    """Bytes on disk are not what was written. Nothing of it was served: quarantine this replica."""

    def __init__(self, offset: int, sentence: str) -> None:
        super().__init__(sentence)
        self.offset = offset


class Appended(msgspec.Struct, frozen=True):
    base_offset: int
    last_offset: int
    generation: Generation
    size: int


class Log:
    directory: str
    start: int
    end: int
    durable_end: int
    epochs: EpochCache
    producers: ProducerStates

    @classmethod
    def open(cls, disk: Disk, directory: str, topic_id: bytes, settings: LogSettings, recovered: Recovered | None) -> Log:
        raise NotImplementedError  # ValueError if recovered.corrupt or if the topic id differs

    @property
    def size_bytes(self) -> int: raise NotImplementedError
    @property
    def last_epoch(self) -> int: raise NotImplementedError
    @property
    def recovery_point(self) -> int: raise NotImplementedError  # what may be checkpointed now
    def append(self, batch: bytearray | bytes, epoch: int, now_ms: int) -> Appended: raise NotImplementedError
    def append_replica(self, data: Buffer) -> Appended: raise NotImplementedError
    def read(self, offset: int, max_bytes: int, *, limit: int, min_one: bool = True) -> bytes | memoryview:
        raise NotImplementedError
    def assign_epoch(self, epoch: int) -> Generation | None: raise NotImplementedError
    def truncate_to(self, offset: int) -> Generation: raise NotImplementedError
    def reset_to(self, offset: int) -> Generation: raise NotImplementedError
    def synced(self, generation: Generation) -> bool: raise NotImplementedError
    def flush(self) -> Generation: raise NotImplementedError  # asks for what was written lazily; wait for it
    def roll(self) -> None: raise NotImplementedError
    def offset_for_time(self, timestamp: int, *, limit: int) -> tuple[int, int] | None: raise NotImplementedError
    def expired_before(self, now_ms: int, retention_ms: int, retention_bytes: int) -> int: raise NotImplementedError
    def delete_segments_before(self, offset: int) -> int: raise NotImplementedError  # bytes freed
    def advance_start(self, offset: int) -> None: raise NotImplementedError  # checkpoint `start` afterwards
    def batches_from(self, offset: int) -> Iterator[BatchHeader]: raise NotImplementedError
    def close_clean(self) -> Generation: raise NotImplementedError
