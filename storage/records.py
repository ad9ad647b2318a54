"""Record batches, version 2: the bytes that Kafka producers make, brokers keep and consumers read.

    offset  0  base offset   int64   \\
            8  length        int32    | outside the CRC: brokers set base offset and leader epoch in place
           12  leader epoch  int32    |
           16  magic         int8    /  (2)
           17  CRC-32C       uint32     over everything from byte 21 on
           21  attributes    int16      compression 0-2, log append time 3, transactional 4, control 5, delete horizon 6
           23  last offset delta int32, base timestamp int64, max timestamp int64,
               producer id int64, producer epoch int16, base sequence int32, count int32
           61  the records, compressed as a whole

Brokers read the header only; clients encode and decode records. Whatever the bytes, the only exception that leaves
this file is `InvalidBatch`. The usual case has a quicker way in and out (`plain.py`).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

import cramjam
from crc32c import crc32c

from .disk import Buffer
from .plain import RawRecord as RawRecord
from .plain import decode_plain, encode_plain
from .plain import varint as varint

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE = HEADER.size
CRC_FROM = 21  # first byte that the CRC covers
MAX_BATCH = 16 << 20  # bytes of one batch, compressed or not
MAX_SEQUENCE = 2**31 - 1
NO_COMPRESSION, GZIP, SNAPPY, LZ4, ZSTD = range(5)
COMPRESSIONS = {"none": NO_COMPRESSION, "gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}

_BASE_OFFSET = struct.Struct(">q")
_LEADER_EPOCH = struct.Struct(">i")
_PREFIX = struct.Struct(">qiibI")
_COVERED = struct.Struct(">hiqqqhii")
_SMALLEST_RECORD = 7
_COMPRESSION, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
DELETE_HORIZON = 0x40  # KIP-534: the base timestamp says when the tombstones of this batch may go

InvalidCode = Literal[
    "too_short", "bad_length", "bad_magic", "bad_count", "bad_crc", "control", "too_large", "malformed"
]


class InvalidBatch(ValueError):
    """Bytes that are not the batch they should be; the sentence says what was expected and what was found."""

    def __init__(self, code: InvalidCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code: InvalidCode = code


class Record(NamedTuple):
    """One event. `offset` is set on decoding only; timestamps are milliseconds, -1 for none."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int = -1
    offset: int = -1


class BatchHeader(NamedTuple):
    """The first 61 bytes of a batch."""

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
    count: int  # type: ignore[assignment]  # tuples have a method of this name

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return 12 + self.length

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """Sequence of the last record; numbers go from 2^31-1 on to 0. -1 if the producer numbers nothing."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) & MAX_SEQUENCE

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & _CONTROL)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def compression(self) -> int:
        return self.attributes & _COMPRESSION

    @property
    def append_time(self) -> bool:
        """Whether all records have the newest timestamp, that of their append."""
        return bool(self.attributes & _LOG_APPEND_TIME)

    @property
    def delete_horizon(self) -> int | None:
        """When the tombstones of this batch may go, in milliseconds since 1970; None if no cleaner has met it yet."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON else None


_new: Callable[[type[BatchHeader], tuple[int, ...]], BatchHeader] = tuple.__new__  # `_make` without a look at the count


def parse_header(data: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`; only that it is long enough is checked."""
    if position < 0 or len(data) - position < HEADER_SIZE:
        raise InvalidBatch("too_short", f"a batch header has {HEADER_SIZE} bytes, found {max(0, len(data) - position)}")
    return _new(BatchHeader, HEADER.unpack_from(data, position))


def header_fault(header: BatchHeader, max_bytes: int = MAX_BATCH) -> str | None:
    """What cannot be in any batch header, in words; None if it is possible."""
    if header.magic != 2:
        return f"expected magic 2, found {header.magic}"
    if not HEADER_SIZE - 12 <= header.length <= max_bytes - 12:
        return f"a batch of {header.length + 12} bytes is not between {HEADER_SIZE} and {max_bytes}"
    if not 0 <= header.last_offset_delta <= MAX_SEQUENCE or not 0 <= header.count <= header.last_offset_delta + 1:
        return f"{header.count} records do not fit in {header.last_offset_delta + 1} offsets"
    if header.base_offset < 0 or header.next_offset > 2**63 - 1:
        return f"base offset {header.base_offset} is impossible"
    return None


def check_crc(data: Buffer, header: BatchHeader, position: int = 0) -> bool:
    """Whether the CRC of the whole batch at `position` is the one that its header names."""
    end = position + header.size
    if end > len(data):
        return False  # a length that is too large must not pass because what is there happens to be all
    return crc32c(memoryview(data)[position + CRC_FROM : end]) == header.crc


def check_incoming(buf: Buffer, max_bytes: int = MAX_BATCH) -> BatchHeader:
    """Check what a client wants appended: exactly one whole batch, of records only. Raises InvalidBatch."""
    header = parse_header(buf)
    if header.magic != 2:
        raise InvalidBatch("bad_magic", f"expected magic 2, found {header.magic}")
    if len(buf) > max_bytes:
        raise InvalidBatch("too_large", f"a batch of {len(buf)} bytes is larger than {max_bytes}")
    if header.size != len(buf):
        raise InvalidBatch("bad_length", f"the batch says it has {header.size} bytes, found {len(buf)}")
    if header.count < 1 or header.count != header.last_offset_delta + 1:
        raise InvalidBatch("bad_count", f"{header.count} records do not fill {header.last_offset_delta + 1} offsets")
    if header.is_control:
        raise InvalidBatch("control", "control batches are written by brokers only")
    if header.compression > ZSTD:
        raise InvalidBatch("malformed", f"compression {header.compression} is not known")
    if not check_crc(buf, header):
        raise InvalidBatch("bad_crc", f"the CRC of the batch is not {header.crc:#010x}")
    return header


def patch(buf: bytearray | memoryview, base_offset: int, leader_epoch: int) -> None:
    """Give a batch its place in the log. Both fields lie outside the CRC."""
    _BASE_OFFSET.pack_into(buf, 0, base_offset)
    _LEADER_EPOCH.pack_into(buf, 12, leader_epoch)


def iter_headers(data: Buffer) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of each of the whole batches that fill `data`. Raises InvalidBatch at what is not one."""
    position = 0
    while position < len(data):
        header = parse_header(data, position)
        fault = header_fault(header)
        if fault:
            raise InvalidBatch("bad_magic" if header.magic != 2 else "malformed", f"at byte {position}: {fault}")
        if position + header.size > len(data):
            raise InvalidBatch(
                "bad_length", f"at byte {position}: {header.size} bytes expected, {len(data) - position} left"
            )
        yield position, header
        position += header.size


# Encoding


def _encode_any(records: Sequence[RawRecord], base_timestamp: int, default: int) -> bytes:
    out: list[bytes] = []
    for delta, (key, value, headers, timestamp, _) in enumerate(records):
        own = timestamp if timestamp >= 0 else default
        parts = [b"\0", varint(own - base_timestamp), varint(delta)]
        for field in (key, value):
            parts += (b"\x01",) if field is None else (varint(len(field)), field)
        parts.append(varint(len(headers)))
        for name, content in headers:
            encoded = name.encode()
            parts += (varint(len(encoded)), encoded)
            parts += (b"\x01",) if content is None else (varint(len(content)), content)
        record = b"".join(parts)
        out += (varint(len(record)), record)
    return b"".join(out)


def _encode_records(records: Sequence[RawRecord], default: int) -> tuple[bytes, int, int]:
    """The records' bytes, and their first and largest timestamps."""
    timestamp = records[0][3]
    base = timestamp if timestamp >= 0 else default
    body = encode_plain(records, timestamp)
    if body is None:
        largest = max(default if other[3] < 0 else other[3] for other in records)
        return _encode_any(records, base, default), base, largest
    return body, base, base


def encode_batch(
    records: Sequence[RawRecord],
    *,
    timestamp: int = -1,
    base_offset: int = 0,
    leader_epoch: int = -1,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    compression: int = NO_COMPRESSION,
    transactional: bool = False,
    control: bool = False,
) -> bytes:
    """One batch of at least one record, with consecutive offsets from `base_offset` (the records' own are ignored).

    Records without a timestamp of their own (-1) get `timestamp`.
    """
    if not records:
        raise ValueError("a batch has at least one record")
    attributes = compression | (_TRANSACTIONAL if transactional else 0) | (_CONTROL if control else 0)
    body, first, largest = _encode_records(records, timestamp)
    writer = (producer_id, producer_epoch, base_sequence)
    return _sealed(body, len(records), attributes, (first, largest), writer, base_offset, leader_epoch)


def encode_plain_batch(
    body: bytes, count: int, *, timestamp: int, writer: tuple[int, int, int] = (-1, -1, -1), compression: int = 0
) -> bytes:
    """A batch of so many plain records that are encoded already (`PlainEncoder`), all with this timestamp.

    `writer`: producer id, producer epoch and base sequence.
    """
    return _sealed(body, count, compression, (timestamp, timestamp), writer)


def _sealed(
    body: bytes,
    count: int,
    attributes: int,
    timestamps: tuple[int, int],
    writer: tuple[int, int, int],
    base_offset: int = 0,
    leader_epoch: int = -1,
) -> bytes:
    if attributes & _COMPRESSION:
        body = compress(body, attributes & _COMPRESSION)
    covered = _COVERED.pack(attributes, count - 1, *timestamps, *writer, count)
    crc = crc32c(body, crc32c(covered))
    return b"".join((_PREFIX.pack(base_offset, len(covered) + len(body) + 9, leader_epoch, 2, crc), covered, body))


def rebuild(header: BatchHeader, records: bytes, count: int) -> bytes:
    """A batch in the same place with other records, as they are to be stored; without any it is a header."""
    attributes = header.attributes if count else header.attributes & ~(_COMPRESSION | DELETE_HORIZON)
    covered = _COVERED.pack(attributes, header.last_offset_delta, *header[7:12], count)
    crc = crc32c(records, crc32c(covered))
    prefix = _PREFIX.pack(header.base_offset, len(covered) + len(records) + 9, header.leader_epoch, 2, crc)
    return b"".join((prefix, covered, records))


# Decoding


class Columns(NamedTuple):
    """The fields of a batch's records, one after the other: whoever makes many objects of them zips them."""

    keys: Iterable[bytes | None]
    values: Iterable[bytes | None]
    headers: Iterable[tuple[tuple[str, bytes | None], ...]]
    timestamps: Iterable[int]
    offsets: Iterable[int]


def decode_columns(data: Buffer) -> Columns:
    """The records of exactly one batch, its CRC and counts checked. Raises InvalidBatch and nothing else.

    Zip them; some of the columns have no end of their own.
    """
    header = parse_header(data)
    fault = header_fault(header)
    if fault:
        raise InvalidBatch("bad_magic" if header.magic != 2 else "malformed", fault)
    if header.size != len(data):
        raise InvalidBatch("bad_length", f"the batch says it has {header.size} bytes, found {len(data)}")
    if not check_crc(data, header):
        raise InvalidBatch("bad_crc", f"the CRC of the batch is not {header.crc:#010x}")
    packed = memoryview(data)[HEADER_SIZE:]
    body = b"\0" + (decompress(bytes(packed), header.compression) if header.compression else packed)
    if header.count * _SMALLEST_RECORD > len(body) - 1:
        raise InvalidBatch("bad_count", f"{header.count} records cannot be in {len(body) - 1} bytes")
    plain = decode_plain(body, header.count)
    if plain is not None:
        time = header.max_timestamp if header.append_time else header.base_timestamp
        return Columns(*plain, itertools.repeat(()), itertools.repeat(time), itertools.count(header.base_offset))
    try:
        records = _decode_records(body[1:], header)
    except IndexError:
        raise InvalidBatch("malformed", "a record goes beyond the end of its batch") from None
    return Columns(*zip(*records, strict=True)) if records else Columns((), (), (), (), ())


def decode_batch(data: Buffer) -> list[Record]:
    """The same as a list."""
    return list(map(partial(_new_record, Record), zip(*decode_columns(data), strict=False)))


_new_record: Callable[[type[Record], Iterable[object]], Record] = tuple.__new__


def long_varint(body: bytes, position: int) -> tuple[int, int]:
    """The zigzag varint at a position, and where it ends. Raises IndexError at the end, InvalidBatch if too long."""
    shift = value = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
        if shift > 63:
            raise InvalidBatch("malformed", "a varint has more than ten bytes")


def _bytes_at(body: bytes, position: int) -> tuple[bytes | None, int]:
    length, position = long_varint(body, position)
    if length == -1:
        return None, position
    if length < 0 or position + length > len(body):
        raise InvalidBatch("malformed", f"a field of {length} bytes goes beyond the end of its batch")
    return body[position : position + length], position + length


def _decode_headers(body: bytes, position: int, count: int) -> tuple[tuple[tuple[str, bytes | None], ...], int]:
    if not 0 <= count <= len(body) // 2:
        raise InvalidBatch("malformed", f"a record cannot have {count} headers")
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        name, position = _bytes_at(body, position)
        value, position = _bytes_at(body, position)
        if name is None:
            raise InvalidBatch("malformed", "a header has no name")
        try:
            headers.append((name.decode(), value))
        except UnicodeDecodeError:
            raise InvalidBatch("malformed", "the name of a header is not UTF-8") from None
    return tuple(headers), position


def _decode_records(body: bytes, header: BatchHeader) -> list[RawRecord]:
    records: list[RawRecord] = []
    position, size, previous, last_delta = 0, len(body), -1, header.last_offset_delta
    base_offset, base_timestamp = header.base_offset, header.base_timestamp
    append_time = header.max_timestamp if header.attributes & _LOG_APPEND_TIME else None
    key: bytes | None
    value: bytes | None
    make = records.append
    for _ in range(header.count):  # one-byte varints are read in place: a call would cost more than all else
        byte = body[position]
        if byte < 128:
            length, position = (byte >> 1) ^ -(byte & 1), position + 1
        else:
            length, position = long_varint(body, position)
        end = position + length
        if length < _SMALLEST_RECORD - 1 or end > size:
            raise InvalidBatch("malformed", f"a record of {length} bytes does not fit in its batch")
        byte = body[position + 1]  # after the attributes, which are unused
        if byte < 128:
            timestamp, position = (byte >> 1) ^ -(byte & 1), position + 2
        else:
            timestamp, position = long_varint(body, position + 1)
        byte = body[position]
        if byte < 128:
            delta, position = (byte >> 1) ^ -(byte & 1), position + 1
        else:
            delta, position = long_varint(body, position)
        if not previous < delta <= last_delta:
            raise InvalidBatch("malformed", f"offset delta {delta} after {previous} of {last_delta}")
        previous = delta
        key = value = None
        byte = body[position]
        if byte < 128 and not byte & 1:
            start = position + 1
            position = start + (byte >> 1)
            key = body[start:position]
        elif byte == 1:
            position += 1
        else:
            key, position = _bytes_at(body, position)
        byte = body[position]
        if byte < 128 and not byte & 1:
            start = position + 1
            position = start + (byte >> 1)
            value = body[start:position]
        elif byte == 1:
            position += 1
        else:
            value, position = _bytes_at(body, position)
        headers: tuple[tuple[str, bytes | None], ...] = ()
        if body[position] == 0:
            position += 1
        else:
            count, position = long_varint(body, position)
            headers, position = _decode_headers(body, position, count)
        if position != end:
            raise InvalidBatch("malformed", f"a record of {length} bytes ends {position - end} bytes off")
        time = base_timestamp + timestamp if append_time is None else append_time
        make((key, value, headers, time, base_offset + delta))
    if position != size:
        raise InvalidBatch("bad_count", f"{size - position} bytes are left after {header.count} records")
    return records


# Compression. Kafka's snappy is framed as Xerial's Java library does it; some clients send one raw block.

_XERIAL = b"\x82SNAPPY\x00"


def _independent_blocks(body: bytes) -> object:
    """An LZ4 frame as Kafka's Java clients can read it: they refuse blocks that refer to the one before."""
    compressor = cramjam.lz4.Compressor(content_checksum=False, block_linked=False)
    compressor.compress(body)
    return compressor.finish()


_CODECS: dict[int, tuple[Callable[[bytes], object], Callable[[bytes, bytearray], int]]] = {
    GZIP: (cramjam.gzip.compress, cramjam.gzip.decompress_into),
    LZ4: (_independent_blocks, cramjam.lz4.decompress_into),
    ZSTD: (cramjam.zstd.compress, cramjam.zstd.decompress_into),
}


def compress(body: bytes, compression: int) -> bytes:
    """The records of a batch, compressed. ValueError for a codec that is not known."""
    if compression == SNAPPY:
        parts = [_XERIAL, struct.pack(">ii", 1, 1)]
        for start in range(0, len(body), 32 << 10):
            block = bytes(cramjam.snappy.compress_raw(body[start : start + (32 << 10)]))
            parts += (struct.pack(">i", len(block)), block)
        return b"".join(parts)
    if compression not in _CODECS:
        raise ValueError(f"compression {compression} is not known")
    return bytes(memoryview(_CODECS[compression][0](body)))  # type: ignore[arg-type]


def decompress(body: bytes, compression: int) -> bytes:
    """The reverse, up to MAX_BATCH bytes. Raises InvalidBatch."""
    try:
        if compression == SNAPPY:
            return _decompress_snappy(body)
        if compression not in _CODECS:
            raise InvalidBatch("malformed", f"compression {compression} is not known")
        return _decompress_into(_CODECS[compression][1], body)
    except cramjam.DecompressionError as error:
        sentence = f"the batch does not decompress, or to more than {MAX_BATCH} bytes: {error}"
        raise InvalidBatch("malformed", sentence) from None


def _decompress_into(into: Callable[[bytes, bytearray], int], body: bytes) -> bytes:
    """Guess the size, then try the cap: a buffer that is too small is told apart by trying, not by words."""
    guess = min(MAX_BATCH, 65536 + 8 * len(body))
    out = bytearray(guess)
    try:
        return bytes(memoryview(out)[: into(body, out)])
    except cramjam.DecompressionError:
        if guess == MAX_BATCH:
            raise
    out = bytearray(MAX_BATCH)
    return bytes(memoryview(out)[: into(body, out)])


def _decompress_snappy(body: bytes) -> bytes:
    if not body.startswith(_XERIAL):
        return _snappy_block(body, MAX_BATCH)
    parts: list[bytes] = []
    position, room = 16, MAX_BATCH
    while position < len(body):
        if len(body) - position < 4:
            raise InvalidBatch("malformed", "a snappy block has no length")
        (length,) = struct.unpack_from(">i", body, position)
        position += 4
        if not 0 < length <= len(body) - position:
            raise InvalidBatch("malformed", f"a snappy block of {length} bytes does not fit in its batch")
        parts.append(_snappy_block(body[position : position + length], room))
        room -= len(parts[-1])
        position += length
    return b"".join(parts)


def _snappy_block(block: bytes, room: int) -> bytes:
    size = int(cramjam.snappy.decompress_raw_len(block))
    if size > room:
        raise InvalidBatch("too_large", f"a batch decompresses to more than {MAX_BATCH} bytes")
    return bytes(memoryview(cramjam.snappy.decompress_raw(block)))
