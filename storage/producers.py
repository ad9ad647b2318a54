"""What the log knows of its idempotent producers, a pure function of the log (API; bodies follow)."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from .records import BatchHeader


class Check(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out of order"
    FENCED = "fenced"


class Verdict(NamedTuple):
    check: Check
    base_offset: int = -1  # of the original batch, for a duplicate
    last_offset: int = -1
    timestamp: int = -1
    sentence: str = ""  # why, for a refusal


class ProducerStates:
    def check(self, header: BatchHeader) -> Verdict: raise NotImplementedError
    def apply(self, header: BatchHeader) -> None: raise NotImplementedError  # header with its final base offset
    def encode(self, offset: int) -> bytes: raise NotImplementedError
    @classmethod
    def decode(cls, data: bytes) -> tuple[int, ProducerStates]: raise NotImplementedError  # (offset, states); ValueError
