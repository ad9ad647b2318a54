"""Plain records, the quick way in and out: without headers, with one timestamp, and without gaps in their offsets.

That is what producers send unless they are asked for more. What such a record has around its key and its value depends
on two lengths and its place in the batch. So it is not computed byte by byte: writing looks it up, and reading looks it
up too, by the lengths of the record before, and sees whether it is there. Where it is not (the lengths differ, mostly)
the lengths are read; and whatever is not plain is left to `records`, which reads and judges everything.
"""

from __future__ import annotations

from collections.abc import Sequence

RawRecord = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...], int, int]
"""A `Record` as a plain tuple, which is what many of them had better be: the garbage collector forgets plain tuples of
plain values at its first look, and looks at every other object again and again."""

MAX_SHAPES = 4_096  # pairs of lengths that are remembered: about 1 MB
MOST = 8_192  # records of a batch; more have offset deltas of three bytes, and are not plain


def _zigzag(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_VARINTS = [bytes((2 * i,)) for i in range(64)] + [bytes((i << 1 & 127 | 128, i >> 6)) for i in range(64, MOST)]


def varint(value: int) -> bytes:
    """The zigzag varint of a number."""
    return _VARINTS[value] if 0 <= value < MOST else _zigzag(value)


class _Shapes(dict[tuple[int, int], tuple[bytes, bytes, bytes]]):
    """By the lengths of key and value (-1: None): what precedes the offset delta, the key, and the value.

    The first begins with the byte that ends the record before. `width`: bytes of the offset delta.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def __missing__(self, shape: tuple[int, int]) -> tuple[bytes, bytes, bytes]:
        if len(self) >= MAX_SHAPES:
            self.clear()
        key, value = map(varint, shape)
        size = 3 + self._width + len(key) + max(0, shape[0]) + len(value) + max(0, shape[1])
        known = self[shape] = (b"\0" + varint(size) + b"\0\0", key, value)
        return known


_NARROW = (64, _Shapes(1))  # so many offset deltas take one byte
_WIDE = (MOST, _Shapes(2))


class PlainEncoder:
    """Plain records as they stand in a batch, put together as they come: nothing is left to do when it has to go."""

    __slots__ = ("_count", "_out")

    def __init__(self) -> None:
        self._count = 0
        self._out: list[bytes] = []

    def add(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> bool:
        """The next ones, without headers, and of one timestamp. False: there are too many, and it is of no more use."""
        count, out = self._count, self._out
        total = self._count = count + len(keys)
        if total > MOST:
            return False
        start = 0
        for limit, shapes in (_NARROW, _WIDE):
            stop = min(limit, total) - count
            if stop <= start:
                continue
            offsets = _VARINTS[count + start : count + stop]
            for key, value, offset in zip(keys[start:stop], values[start:stop], offsets, strict=True):
                size = -1 if key is None else len(key), -1 if value is None else len(value)
                before, key_size, value_size = shapes[size]
                out += (before, offset, key_size, key or b"", value_size, value or b"")
            start = stop
        return True

    def body(self) -> bytes:
        """All of them, of which there is at least one. To be called once."""
        out = self._out
        out[0] = out[0][1:]
        out.append(b"\0")
        return b"".join(out)


def encode_plain(records: Sequence[RawRecord], timestamp: int) -> bytes | None:
    """The records as they stand in a batch; None if they are not plain, or have another timestamp than this."""
    if any(headers or own != timestamp for _, _, headers, own, _ in records):
        return None
    encoder = PlainEncoder()
    plain = encoder.add([record[0] for record in records], [record[1] for record in records])
    return encoder.body() if plain else None


Columns = tuple[list[bytes | None], list[bytes | None]]
"""The keys and the values of a batch."""


def decode_plain(body: bytes, count: int) -> Columns | None:
    """Keys and values of the `count` records that fill `body`, behind a zero byte, as if a record ended there.

    None if they are not plain, or something is wrong.
    """
    if not 0 < count <= MOST:
        return None
    keys: list[bytes | None] = []
    values: list[bytes | None] = []
    position = start = surprises = 0
    for limit, shapes in (_NARROW, _WIDE):
        stop = min(limit, count)
        key, value, before, key_size, value_size = -1, -1, b"?", b"", b""  # of the record before
        for offset in _VARINTS[start:stop]:
            prefix = before + offset + key_size
            if not body.startswith(prefix, position):
                surprises += 1
                key, value = _shape_at(body, position)
                if key < -1 or value < -1 or surprises > 16 + len(keys) // 2:
                    return None  # if lengths differ all the time it is quicker to read them in passing
                before, key_size, value_size = shapes[key, value]
                prefix = before + offset + key_size
                if not body.startswith(prefix, position):
                    return None
            position += len(prefix)
            if key < 0:
                keys.append(None)
            else:
                end = position + key
                keys.append(body[position:end])
                position = end
            if not body.startswith(value_size, position):
                return None
            position += len(value_size)
            if value < 0:
                values.append(None)
            else:
                end = position + value
                values.append(body[position:end])
                position = end
        start = stop
    return (keys, values) if position == len(body) - 1 and body[position] == 0 else None


def _shape_at(body: bytes, position: int) -> tuple[int, int]:
    """The lengths of key and value of the record after the one that ends here; -2 or less: there is none."""
    _, position = _number(body, position + 1)
    _, position = _number(body, position + 2)  # attributes and timestamp are compared later
    key, position = _number(body, position)
    value, _ = _number(body, position + max(0, key))
    return key, value if value < len(body) else -2


def _number(body: bytes, position: int) -> tuple[int, int]:
    """A varint of up to five bytes, and where it ends; -2 if there is none."""
    value = shift = 0
    for byte in body[position : position + 5]:
        value |= (byte & 127) << shift
        position += 1
        if byte < 128:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
    return -2, position
