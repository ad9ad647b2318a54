"""Record batches: round trips, a second encoder written from the format's description, and arbitrary bytes."""

from __future__ import annotations

import contextlib
import struct

import cramjam
import pytest
from crc32c import crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.storage.records import (
    GZIP,
    HEADER_SIZE,
    LZ4,
    MAX_BATCH,
    MAX_SEQUENCE,
    NO_COMPRESSION,
    SNAPPY,
    ZSTD,
    InvalidBatch,
    Record,
    check_incoming,
    decode_batch,
    encode_batch,
    iter_headers,
    parse_header,
    patch,
)

FIELD = st.none() | st.binary(max_size=200)
HEADERS = st.lists(st.tuples(st.text(max_size=10), FIELD), max_size=3).map(tuple)
TIMES = st.sampled_from([-1, 0, 1_700_000_000_000]) | st.integers(0, 2**43)
RECORDS = st.lists(st.builds(Record, FIELD, FIELD, HEADERS, TIMES), min_size=1, max_size=20)
SAME_TIME = st.lists(st.builds(Record, FIELD, FIELD, st.just(()), st.just(5)), min_size=1, max_size=20)
FRAMED = st.binary(max_size=60).map(b"\x82SNAPPY\x00\0\0\0\1\0\0\0\1".__add__)
KEYLESS = st.lists(
    st.builds(Record, st.none(), st.binary(max_size=200), st.just(()), st.just(5)), min_size=1, max_size=90
)


def varint(value: int) -> bytes:
    unsigned = value * 2 if value >= 0 else -value * 2 - 1
    out = b""
    while unsigned >= 128:
        out += bytes([unsigned % 128 + 128])
        unsigned //= 128
    return out + bytes([unsigned])


def field(value: bytes | None) -> bytes:
    return varint(-1) if value is None else varint(len(value)) + value


def plain_encode(records: list[Record], offset: int, epoch: int, pid: int, pid_epoch: int, sequence: int) -> bytes:
    """As the protocol guide says, one field after the other."""
    body = b""
    for delta, record in enumerate(records):
        content = b"\0" + varint(record.timestamp - records[0].timestamp) + varint(delta)
        content += field(record.key) + field(record.value) + varint(len(record.headers))
        for name, value in record.headers:
            content += field(name.encode()) + field(value)
        body += varint(len(content)) + content
    newest = max(record.timestamp for record in records)
    covered = struct.pack(">hi", 0, len(records) - 1) + struct.pack(">qq", records[0].timestamp, newest)
    covered += struct.pack(">qhii", pid, pid_epoch, sequence, len(records)) + body
    return struct.pack(">qiibI", offset, len(covered) + 9, epoch, 2, crc32c(covered)) + covered


@given(RECORDS | SAME_TIME | KEYLESS, st.integers(0, 2**40), st.integers(-1, 2**31 - 1))
def test_every_encoding_is_the_one_the_guide_describes(records: list[Record], offset: int, epoch: int) -> None:
    encoded = encode_batch(
        records, base_offset=offset, leader_epoch=epoch, producer_id=7, producer_epoch=2, base_sequence=11
    )
    assert encoded == plain_encode(records, offset, epoch, 7, 2, 11)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 8192, 8193])
def test_an_offset_delta_takes_as_many_bytes_as_it_needs(count: int) -> None:
    records = [Record(b"k" * (i % 3), b"%d" % i, (), 5) for i in range(count)]
    encoded = encode_batch(records, producer_id=7, producer_epoch=2, base_sequence=11)
    assert encoded == plain_encode(records, 0, -1, 7, 2, 11)


@given(RECORDS | SAME_TIME, st.sampled_from([NO_COMPRESSION, GZIP, SNAPPY, LZ4, ZSTD]))
def test_what_is_encoded_is_decoded(records: list[Record], compression: int) -> None:
    encoded = encode_batch(records, base_offset=100, compression=compression)
    expected = [record._replace(offset=100 + delta) for delta, record in enumerate(records)]
    assert decode_batch(encoded) == expected
    assert decode_batch(memoryview(encoded)) == expected
    header = check_incoming(encoded)
    assert (header.count, header.compression, header.size) == (len(records), compression, len(encoded))


@pytest.mark.parametrize("size", [0, 1, 63, 64, 8191, 8192, 15990, 16010, 1 << 20])
def test_values_of_every_size_class(size: int) -> None:
    for record in (Record(None, bytes(size)), Record(bytes(size), None), Record(b"k", bytes(size))):
        assert decode_batch(encode_batch([record])) == [record._replace(offset=0)]


def test_a_batch_of_many_records() -> None:
    for count in (1023, 1024, 1025, 20_000):
        records = [Record(None, b"v%d" % number) for number in range(count)]
        assert [record.value for record in decode_batch(encode_batch(records))] == [record.value for record in records]


def test_a_patch_leaves_the_crc_alone() -> None:
    data = bytearray(encode_batch([Record(b"k", b"v")]))
    patch(data, 2**40, 17)
    header = parse_header(data)
    assert (header.base_offset, header.leader_epoch, header.next_offset) == (2**40, 17, 2**40 + 1)
    assert decode_batch(data)[0].offset == 2**40


def test_sequences_wrap_to_zero() -> None:
    batch = encode_batch([Record(None, b"")] * 3, producer_id=1, producer_epoch=0, base_sequence=MAX_SEQUENCE - 1)
    assert parse_header(batch).last_sequence == 0
    assert parse_header(encode_batch([Record(None, b"")])).last_sequence == -1


@pytest.mark.parametrize(
    ("position", "value", "code"),
    [(16, 1, "bad_magic"), (11, 0, "bad_length"), (26, 9, "bad_count"), (60, 0, "bad_count"), (22, 0x20, "control"),
     (22, 7, "malformed"), (20, 0, "bad_crc"), (70, 0, "bad_crc")],
)  # fmt: skip
def test_what_a_client_sent_is_refused_with_a_code(position: int, value: int, code: str) -> None:
    data = bytearray(encode_batch([Record(b"key", b"some value"), Record(b"key", b"another value")]))
    data[position] = value if data[position] != value else value + 1
    with pytest.raises(InvalidBatch) as refused:
        check_incoming(data)
    assert refused.value.code == code


def test_exactly_one_batch_may_come() -> None:
    one = encode_batch([Record(None, b"v")])
    for data, code in (
        (one + one, "bad_length"),
        (one[:-1], "bad_length"),
        (b"", "too_short"),
        (one[:60], "too_short"),
    ):
        with pytest.raises(InvalidBatch) as refused:
            check_incoming(data)
        assert refused.value.code == code
    with pytest.raises(InvalidBatch, match="larger"):
        check_incoming(one, max_bytes=len(one) - 1)


def test_headers_of_contiguous_batches() -> None:
    first, second = encode_batch([Record(None, b"v")] * 2), encode_batch([Record(None, b"w")], base_offset=2)
    assert [(at, header.base_offset) for at, header in iter_headers(first + second)] == [(0, 0), (len(first), 2)]
    with pytest.raises(InvalidBatch):
        list(iter_headers(first + second[:-1]))


def with_body(compression: int, body: bytes, count: int = 1) -> bytes:
    covered = struct.pack(">hiqqqhii", compression, count - 1, 0, 0, -1, -1, -1, count) + body
    return struct.pack(">qiibI", 0, len(covered) + 9, -1, 2, crc32c(covered)) + covered


def test_snappy_without_a_frame_is_read_too() -> None:
    records = encode_batch([Record(b"k", b"v")])[HEADER_SIZE:]
    assert decode_batch(with_body(SNAPPY, bytes(cramjam.snappy.compress_raw(records))))[0].value == b"v"


@pytest.mark.parametrize("compression", [GZIP, SNAPPY, LZ4, ZSTD])
def test_what_grows_beyond_the_cap_is_refused(compression: int) -> None:
    huge = encode_batch([Record(None, bytes(MAX_BATCH))], compression=compression)
    with pytest.raises(InvalidBatch):
        decode_batch(huge)
    assert len(decode_batch(encode_batch([Record(None, bytes(MAX_BATCH - 100))], compression=compression))) == 1


@settings(max_examples=500)
@given(st.integers(0, 8), st.binary(max_size=200) | FRAMED,
       st.integers(1, 5))  # fmt: skip
def test_no_records_raise_anything_else(compression: int, body: bytes, count: int) -> None:
    with contextlib.suppress(InvalidBatch):
        assert len(decode_batch(with_body(compression, body, count))) == count


@settings(max_examples=300)
@given(RECORDS, st.sampled_from([NO_COMPRESSION, GZIP, SNAPPY, LZ4, ZSTD]), st.data())
def test_damaged_records_with_a_right_crc_raise_nothing_else(
    records: list[Record], compression: int, data: st.DataObject
) -> None:
    body = bytearray(encode_batch(records, compression=compression)[HEADER_SIZE:])
    for _ in range(3):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidBatch):
        assert len(decode_batch(with_body(compression, bytes(body), len(records)))) == len(records)


@given(st.binary(min_size=1, max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for read in (decode_batch, check_incoming, lambda data: list(iter_headers(data))):
        with pytest.raises(InvalidBatch):
            read(data)


def test_every_flipped_bit_of_what_the_crc_covers_is_found() -> None:
    good = encode_batch([Record(b"k", b"value", (("h", b"x"),), 5)])
    for position in range(8, len(good)):
        if position in range(12, 16):
            continue  # the leader epoch: the log knows which it is
        bad = bytearray(good)
        bad[position] ^= 0x10
        with pytest.raises(InvalidBatch):
            decode_batch(bad)


def test_blocks_of_lz4_do_not_refer_to_each_other() -> None:
    """Kafka's Java clients and tools refuse them else ("Dependent block stream is unsupported")."""
    records = [Record(b"k", bytes(100_000), (), 1), Record(b"k", b"v" * 100_000, (), 1)]
    data = encode_batch(records, compression=LZ4)
    magic, flags = data[61:65], data[65]
    assert (magic, flags & 0x20, flags >> 6) == (b"\x04\x22\x4d\x18", 0x20, 1)
    assert [record.value for record in decode_batch(data)] == [record.value for record in records]
