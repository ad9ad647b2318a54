"""Record batches, version 2: the bytes that Kafka producers make, brokers keep and consumers read (API; bodies follow)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from .disk import Buffer

InvalidCode = Literal["too_short", "bad_length", "bad_magic", "bad_count", "bad_crc", "control", "too_large", "malformed"]


class InvalidBatch(ValueError):
    """Bytes that are not the batch they should be; the sentence says what was expected and what was found."""

    def __init__(self, code: InvalidCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code: InvalidCode = code


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = -1
    offset: int = -1


class BatchHeader(NamedTuple):
    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int

    @property
    def size(self) -> int: return 12 + self.length
    @property
    def last_offset(self) -> int: return self.base_offset + self.last_offset_delta
    @property
    def next_offset(self) -> int: return self.base_offset + self.last_offset_delta + 1
    @property
    def last_sequence(self) -> int: raise NotImplementedError  # wraps from 2^31-1 to 0; -1 without a producer id
    @property
    def is_control(self) -> bool: return bool(self.attributes & 0x20)
    @property
    def is_transactional(self) -> bool: return bool(self.attributes & 0x10)
    @property
    def compression(self) -> int: return self.attributes & 0x07


def parse_header(data: Buffer, position: int = 0) -> BatchHeader: raise NotImplementedError
def encode_batch(
    records: Sequence[Record], *, base_offset: int = 0, leader_epoch: int = -1, producer_id: int = -1,
    producer_epoch: int = -1, base_sequence: int = -1, compression: int = 0, transactional: bool = False, control: bool = False,
) -> bytes: raise NotImplementedError
def decode_batch(data: Buffer) -> list[Record]: raise NotImplementedError
def check_incoming(buf: Buffer, max_bytes: int = 16 << 20) -> BatchHeader: raise NotImplementedError
def check_crc(data: Buffer, header: BatchHeader, position: int = 0) -> bool: raise NotImplementedError
def patch(buf: bytearray | memoryview, base_offset: int, leader_epoch: int) -> None: raise NotImplementedError
def iter_headers(data: Buffer) -> Iterator[tuple[int, BatchHeader]]: raise NotImplementedError  # (position, header)
