"""Plain records: whatever the quick way reads, the thorough one reads too, and nothing else gets through."""

from __future__ import annotations

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from barnabas.storage import plain, records
from barnabas.storage.plain import PlainEncoder, decode_plain, encode_plain
from barnabas.storage.records import HEADER_SIZE, InvalidBatch, RawRecord, decode_batch, encode_batch, parse_header

FIELD = st.none() | st.binary(max_size=200)
PAIRS = st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=200)


def raw(pairs: list[tuple[bytes | None, bytes | None]], timestamp: int = 7) -> list[RawRecord]:
    return [(key, value, (), timestamp, -1) for key, value in pairs]


def columns(records: list[RawRecord]) -> tuple[list[bytes | None], list[bytes | None]]:
    return [record[0] for record in records], [record[1] for record in records]


def body_of(batch: bytes) -> bytes:
    """As `decode_plain` wants it."""
    return b"\0" + batch[HEADER_SIZE:]


def thorough(batch: bytes) -> list[tuple[bytes | None, bytes | None]]:
    """What the other decoder says of a batch."""
    return [(key, value) for key, value, *_ in records._decode_records(batch[HEADER_SIZE:], parse_header(batch))]


def with_body(batch: bytes, body: bytes) -> bytes:
    """The batch with other records, and a CRC and a length that are right."""
    data = bytearray(batch[:HEADER_SIZE] + body)
    data[8:12] = (len(data) - 12).to_bytes(4, "big")
    data[17:21] = crc32c(bytes(data[21:])).to_bytes(4, "big")
    return bytes(data)


@given(PAIRS)
def test_what_goes_in_comes_out(pairs: list[tuple[bytes | None, bytes | None]]) -> None:
    batch = encode_batch(raw(pairs), timestamp=7, base_offset=5)
    assert [(record.key, record.value) for record in decode_batch(batch)] == pairs
    found = decode_plain(body_of(batch), len(pairs))
    assert found is None or list(zip(*found, strict=True)) == pairs == thorough(batch)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1_000, plain.MOST])
@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 20_000])
def test_records_that_are_alike_are_read_the_quick_way(count: int, size: int) -> None:
    count = min(count, 2_000_000 // (size + 1))
    pairs: list[tuple[bytes | None, bytes | None]] = [(b"%d" % i, bytes(size)) for i in range(count)]
    body = encode_plain(raw(pairs), 7)
    assert body is not None
    found = decode_plain(b"\0" + body, count)
    assert found is not None
    assert list(zip(*found, strict=True)) == pairs


@given(PAIRS, st.lists(st.integers(0, 80), max_size=8))
def test_records_that_come_in_pieces_are_encoded_as_if_they_came_at_once(
    pairs: list[tuple[bytes | None, bytes | None]], cuts: list[int]
) -> None:
    records, encoder, start = raw(pairs), PlainEncoder(), 0
    for stop in [*(cut for cut in sorted(cuts) if cut < len(pairs)), len(pairs)]:
        assert encoder.add(*columns(records[start:stop]))
        start = stop
    assert encoder.body() == encode_plain(records, 7)


@pytest.mark.parametrize("before", [1, 63, 64, 65, 100, plain.MOST - 1])
def test_pieces_may_end_where_offsets_grow_longer(before: int) -> None:
    records, encoder = raw([(b"%d" % i, b"v") for i in range(plain.MOST)]), PlainEncoder()
    assert encoder.add(*columns(records[:before]))
    assert encoder.add(*columns(records[before:]))
    assert encoder.body() == encode_plain(records, 7)
    assert not encoder.add(*columns(records[:1]))


def test_what_is_not_plain_is_left_to_others() -> None:
    assert encode_plain([(b"k", b"v", (("h", b"1"),), 7, -1)], 7) is None
    assert encode_plain(raw([(b"k", b"v")], 8), 7) is None
    assert encode_plain(raw([(b"k", b"v")] * (plain.MOST + 1)), 7) is None
    for odd in (("h", b"1"),), (("h", None), ("i", b"")):
        batch = encode_batch([(b"k", b"v", (), 7, -1), (b"k", b"v", odd, 7, -1)])
        assert decode_plain(body_of(batch), 2) is None
    later = encode_batch([(b"k", b"v", (), 7, -1), (b"k", b"v", (), 8, -1)])
    assert decode_plain(body_of(later), 2) is None
    assert [record.timestamp for record in decode_batch(later)] == [7, 8]


@given(PAIRS, st.data())
def test_a_wrong_byte_is_never_read_otherwise_than_by_the_thorough_decoder(
    pairs: list[tuple[bytes | None, bytes | None]], data: st.DataObject
) -> None:
    batch = encode_batch(raw(pairs), timestamp=7)
    body = bytearray(batch[HEADER_SIZE:])
    for _ in range(data.draw(st.integers(1, 3))):
        how = data.draw(st.sampled_from(["change", "cut", "add"]))
        place = data.draw(st.integers(0, max(0, len(body) - 1)))
        if how == "change" and body:
            body[place] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del body[place]
        else:
            body.insert(place, data.draw(st.integers(0, 255)))
    broken = with_body(batch, bytes(body))
    found = decode_plain(body_of(broken), len(pairs))
    try:
        expected = thorough(broken)
    except (InvalidBatch, IndexError):
        assert found is None
        with pytest.raises(InvalidBatch):
            decode_batch(broken)
        return
    assert found is None or list(zip(*found, strict=True)) == expected
    assert [(record.key, record.value) for record in decode_batch(broken)] == expected


@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_bytes_raise(body: bytes, count: int) -> None:
    found = decode_plain(b"\0" + body, count)
    assert found is None or len(found[0]) == len(found[1]) == count


def test_lengths_are_remembered_within_bounds() -> None:
    for size in range(plain.MAX_SHAPES + 10):
        encode_plain(raw([(None, bytes(size))]), 7)
    assert len(plain._NARROW[1]) <= plain.MAX_SHAPES
