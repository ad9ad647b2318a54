"""Leader epochs of one partition, each with the offset where it began (API; bodies follow)."""

from __future__ import annotations

from typing import NamedTuple


class EpochEntry(NamedTuple):
    epoch: int
    start: int


class EpochCache:
    def __init__(self, entries: list[EpochEntry] | None = None) -> None:
        self.entries: list[EpochEntry] = list(entries or [])

    @property
    def latest(self) -> int: raise NotImplementedError  # -1 if none
    def assign(self, epoch: int, start: int) -> bool: raise NotImplementedError  # whether anything changed
    def end_offset_for(self, epoch: int, log_end: int) -> tuple[int, int]: raise NotImplementedError  # (-1, -1) unknown
    def epoch_at(self, offset: int) -> int: raise NotImplementedError  # -1 if unknown
    def truncate_from_end(self, offset: int) -> bool: raise NotImplementedError
    def truncate_from_start(self, offset: int) -> bool: raise NotImplementedError
    def encode(self) -> bytes: raise NotImplementedError
    @classmethod
    def decode(cls, data: bytes) -> EpochCache: raise NotImplementedError  # ValueError with a sentence
