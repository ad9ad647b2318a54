"""Looking at the keys of records, and at as little else as possible.

Brokers do not look inside of batches, with two exceptions, both of compacted topics: a record without a key is refused
there when it is produced, and the cleaner needs to know which record is the last one of its key. Both walk over the
records and parse what precedes the value. What a span says of a record is where it lies, so that the cleaner can copy
it as it is.

A key in the map of a cleaner is itself if it is short, and its digest if it is long. The two cannot meet: keys that are
kept as they are have fewer bytes than a digest, so nobody can make a key that passes for another's digest.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from .disk import Buffer
from .records import HEADER_SIZE, BatchHeader, InvalidBatch, decompress, long_varint

DIGEST = 24  # bytes; a collision of 192 bits does not happen


class Span(NamedTuple):
    """One record within the body of its batch."""

    start: int  # of its length
    rest: int  # after its attributes and timestamp
    end: int
    timestamp: int  # delta to the batch's
    delta: int  # of its offset
    key: bytes | None
    tombstone: bool  # it has no value


def name_of(key: bytes) -> bytes:
    """What stands for a key in a map."""
    return key if len(key) < DIGEST else blake2b(key, digest_size=DIGEST).digest()


def body_of(data: Buffer, header: BatchHeader) -> bytes:
    """The records of a batch, not compressed. Raises InvalidBatch."""
    body = bytes(memoryview(data)[HEADER_SIZE : header.size])
    return decompress(body, header.compression) if header.compression else body


def spans(body: bytes, count: int) -> list[Span]:
    """Every record of a batch's body. Raises InvalidBatch."""
    found: list[Span] = []
    make, new = found.append, tuple.__new__
    position, size = 0, len(body)
    try:
        for _ in range(count):  # one-byte varints are read in place: a call would cost more than all else
            start = position
            byte = body[position]
            if byte < 128:
                length, position = (byte >> 1) ^ -(byte & 1), position + 1
            else:
                length, position = long_varint(body, position)
            end = position + length
            if length <= 0 or end > size:
                raise InvalidBatch("malformed", f"a record of {length} bytes does not fit in its batch")
            byte = body[position + 1]  # after the attributes, which are unused
            if byte < 128:
                timestamp, position = (byte >> 1) ^ -(byte & 1), position + 2
            else:
                timestamp, position = long_varint(body, position + 1)
            rest = position
            byte = body[position]
            if byte < 128:
                delta, position = (byte >> 1) ^ -(byte & 1), position + 1
            else:
                delta, position = long_varint(body, position)
            byte = body[position]
            if byte < 128:
                length, position = (byte >> 1) ^ -(byte & 1), position + 1
            else:
                length, position = long_varint(body, position)
            key: bytes | None = None
            if length >= 0:
                key = body[position : position + length]
                position += length
            tombstone = body[position] == 1  # a length of -1
            if position >= end:
                raise InvalidBatch("malformed", "a key goes beyond the end of its record")
            position = end
            make(new(Span, (start, rest, end, timestamp, delta, key, tombstone)))
    except IndexError:
        raise InvalidBatch("malformed", "a record goes beyond the end of its batch") from None
    if position != size:
        raise InvalidBatch("bad_count", f"{size - position} bytes are left after {count} records")
    return found


def keyless(data: Buffer, header: BatchHeader) -> int | None:
    """The offset delta of the first record without a key; None if all have one. Raises InvalidBatch."""
    return next((span.delta for span in spans(body_of(data, header), header.count) if span.key is None), None)
