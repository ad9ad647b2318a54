"""How one partition's log is kept."""

from __future__ import annotations

from typing import Literal

import msgspec


class LogSettings(msgspec.Struct, frozen=True):
    """Defaults are Kafka's, except for durability."""

    segment_bytes: int = 1 << 30
    segment_ms: int = 7 * 24 * 3600 * 1000
    index_interval: int = 4096
    max_batch_bytes: int = 16 << 20
    durability: Literal["fsync", "os"] = "fsync"
    verify_reads: bool = True  # check headers and CRC of what is read from disk before it is served
    tail_cache_bytes: int = 1 << 20
    compacted: bool = False  # offsets may be missing between batches
    snapshot_interval: int = 64 << 20  # bytes between producer snapshots: bounds the headers walked after a crash
