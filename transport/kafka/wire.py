"""The alphabet of Kafka's wire protocol: integers, strings, arrays, tagged fields, in their two spellings.

Until a message became "flexible" lengths were fixed integers; since then they are varints (KIP-482), and every
structure ends with tagged fields. `Reader` and `Writer` spell the old way, `CompactReader` and `CompactWriter` the new
one; the generated files in `messages/` say which fields there are, and need not know how they are spelled.

Whatever bytes come, a reader raises `Malformed` and nothing else, and it believes no length before it has compared it
with what is there: an array of n elements that take at least k bytes each needs n * k bytes, or no list is made. What
a message can make of its bytes is bounded too, see `MAX_ELEMENTS`. Records are slices of the frame, never copied.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from ...storage.disk import Buffer

MAX_ELEMENTS = 200_000
"""Elements of all arrays of one message together. Half a megabyte of bytes could be half a million objects otherwise;
a full fetch of 10,000 partitions has 10,000."""

MAX_STRING = 32_767
"""Bytes of one string, as in Kafka."""

INLINE = 16 << 10
"""Records of up to so many bytes are copied into the reply; beyond, a buffer of its own is cheaper."""

NO_UUID = bytes(16)

_INT16 = struct.Struct(">h")
_UINT16 = struct.Struct(">H")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")
_FLOAT64 = struct.Struct(">d")


T = TypeVar("T")


class Malformed(ValueError):
    """Bytes that are not the message they should be: what was expected, and what was found."""


class Schema(msgspec.Struct, gc=False):
    """Base of all that the generated files define. Fields that a version does not have are left out when written."""


class Reader:
    """Reads one message, the old way. `end` is where it must stop."""

    __slots__ = ("_left", "data", "end", "position")

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self.data = data
        self.position = position
        self.end = len(data)
        self._left = [MAX_ELEMENTS]  # elements that may still come; shared with the readers of tagged fields

    # --- Fixed sizes ---

    def _take(self, size: int) -> int:
        """Where the next `size` bytes begin."""
        position = self.position
        if size > self.end - position:
            raise Malformed(f"{size} bytes expected at byte {position}, {self.end - position} left")
        self.position = position + size
        return position

    def int8(self) -> int:
        value = self.data[self._take(1)]
        return value - 256 if value > 127 else value

    def boolean(self) -> bool:
        return self.data[self._take(1)] != 0

    def int16(self) -> int:
        value: int = _INT16.unpack_from(self.data, self._take(2))[0]
        return value

    def uint16(self) -> int:
        value: int = _UINT16.unpack_from(self.data, self._take(2))[0]
        return value

    def int32(self) -> int:
        value: int = _INT32.unpack_from(self.data, self._take(4))[0]
        return value

    def int64(self) -> int:
        value: int = _INT64.unpack_from(self.data, self._take(8))[0]
        return value

    def float64(self) -> float:
        value: float = _FLOAT64.unpack_from(self.data, self._take(8))[0]
        return value

    def uuid(self) -> bytes:
        position = self._take(16)
        return bytes(self.data[position : position + 16])

    def present(self) -> bool:
        """Whether a structure that may be null follows."""
        return self.int8() >= 0

    # --- With a length; -1 is null ---

    def _string_length(self) -> int:
        return self.int16()

    def _length(self) -> int:
        return self.int32()

    def string(self) -> str:
        value = self.nullable_string()
        if value is None:
            raise Malformed(f"the string at byte {self.position} must not be null")
        return value

    def nullable_string(self) -> str | None:
        length = self._string_length()
        if length < 0:
            return None
        if length > MAX_STRING:
            raise Malformed(f"a string of {length} bytes is longer than {MAX_STRING}")
        position = self._take(length)
        try:
            return str(self.data[position : position + length], "utf-8")
        except UnicodeDecodeError:
            raise Malformed(f"the string at byte {position} is not UTF-8") from None

    def binary(self) -> bytes:
        return bytes(self.records())

    def nullable_binary(self) -> bytes | None:
        value = self.nullable_records()
        return None if value is None else bytes(value)

    def records(self) -> Buffer:
        value = self.nullable_records()
        if value is None:
            raise Malformed(f"the bytes at byte {self.position} must not be null")
        return value

    def nullable_records(self) -> Buffer | None:
        length = self._length()
        if length < 0:
            return None
        position = self._take(length)
        return self.data[position : position + length]

    def array(self, least: int, read: Callable[[Reader, int], T], version: int) -> list[T]:
        """Structures of at least `least` bytes each."""
        return [read(self, version) for _ in range(self._not_null(self._elements(least)))]

    def nullable_array(self, least: int, read: Callable[[Reader, int], T], version: int) -> list[T] | None:
        count = self._elements(least)
        return None if count < 0 else [read(self, version) for _ in range(count)]

    def values(self, least: int, read: Callable[[Reader], T]) -> list[T]:
        """An array of what is no structure."""
        return [read(self) for _ in range(self._not_null(self._elements(least)))]

    def nullable_values(self, least: int, read: Callable[[Reader], T]) -> list[T] | None:
        count = self._elements(least)
        return None if count < 0 else [read(self) for _ in range(count)]

    def _elements(self, least: int) -> int:
        count = self._length()
        if count < 0:
            return -1
        if count * least > self.end - self.position:
            raise Malformed(f"{count} elements cannot be in the {self.end - self.position} bytes that are left")
        self._count(count)
        return count

    def _not_null(self, count: int) -> int:
        if count < 0:
            raise Malformed(f"the array at byte {self.position} must not be null")
        return count

    def _count(self, elements: int) -> None:
        self._left[0] -= elements
        if self._left[0] < 0:
            raise Malformed(f"a message has at most {MAX_ELEMENTS} elements")

    # --- The end of a structure ---

    def tags(self) -> Sequence[tuple[int, Reader]]:
        """The tagged fields: their numbers, and readers of their values. Unknown ones are for nobody."""
        return ()


class CompactReader(Reader):
    """Reads one message, the flexible way."""

    __slots__ = ()

    def varint(self) -> int:
        """An unsigned varint of 32 bits."""
        value = self.data[self._take(1)]
        if value < 128:
            return value
        value &= 127
        for shift in (7, 14, 21, 28):
            byte = self.data[self._take(1)]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise Malformed(f"the varint at byte {self.position} has more than five bytes")

    def _string_length(self) -> int:
        return self.varint() - 1

    def _length(self) -> int:
        return self.varint() - 1

    def tags(self) -> Sequence[tuple[int, Reader]]:
        count = self.varint()
        if not count:
            return ()
        if count * 2 > self.end - self.position:
            raise Malformed(f"{count} tagged fields cannot be in {self.end - self.position} bytes")
        self._count(count)
        found: list[tuple[int, Reader]] = []
        last = -1
        for _ in range(count):
            tag = self.varint()
            if tag <= last:
                raise Malformed(f"tagged field {tag} comes after {last}")
            last = tag
            size = self.varint()
            found.append((tag, self._part(size)))
        return found

    def _part(self, size: int) -> CompactReader:
        """A reader of the next `size` bytes only."""
        position = self._take(size)
        part = CompactReader(self.data, position)
        part.end = position + size
        part._left = self._left
        return part


class Writer:
    """Writes one message, the old way."""

    __slots__ = ("_buffer", "_parts")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._parts: list[Buffer] = []

    def parts(self) -> list[Buffer]:
        """What was written, as buffers to be sent one after the other."""
        return [*self._parts, self._buffer] if self._buffer or not self._parts else self._parts

    # --- Fixed sizes ---

    def int8(self, value: int) -> None:
        self._buffer.append(value & 255)

    def boolean(self, value: bool) -> None:
        self._buffer.append(value)

    def int16(self, value: int) -> None:
        self._buffer += _INT16.pack(value)

    def uint16(self, value: int) -> None:
        self._buffer += _UINT16.pack(value)

    def int32(self, value: int) -> None:
        self._buffer += _INT32.pack(value)

    def int64(self, value: int) -> None:
        self._buffer += _INT64.pack(value)

    def float64(self, value: float) -> None:
        self._buffer += _FLOAT64.pack(value)

    def uuid(self, value: bytes) -> None:
        assert len(value) == 16, f"a UUID has 16 bytes, not {len(value)}"
        self._buffer += value

    def present(self, value: object) -> None:
        """Say whether a structure follows: it does unless `value` is None."""
        self._buffer.append(255 if value is None else 1)

    # --- With a length; -1 is null ---

    def _string_length(self, length: int) -> None:
        self._buffer += _INT16.pack(length)

    def _length(self, length: int) -> None:
        self._buffer += _INT32.pack(length)

    def string(self, value: str) -> None:
        encoded = value.encode()
        self._string_length(len(encoded))
        self._buffer += encoded

    def nullable_string(self, value: str | None) -> None:
        if value is None:
            self._string_length(-1)
        else:
            self.string(value)

    def binary(self, value: Buffer) -> None:
        self._length(len(value))
        self._buffer += value

    def nullable_binary(self, value: Buffer | None) -> None:
        if value is None:
            self._length(-1)
        else:
            self.binary(value)

    def records(self, value: Buffer) -> None:
        """Bytes that are passed on as they are."""
        if len(value) <= INLINE:
            self.binary(value)
            return
        self._length(len(value))
        self._parts += (self._buffer, value)
        self._buffer = bytearray()

    def nullable_records(self, value: Buffer | None) -> None:
        if value is None:
            self._length(-1)
        else:
            self.records(value)

    def array(self, values: Sequence[T], write: Callable[[Writer, T, int], None], version: int) -> None:
        """Structures."""
        self._length(len(values))
        for value in values:
            write(self, value, version)

    def nullable_array(self, values: Sequence[T] | None, write: Callable[[Writer, T, int], None], version: int) -> None:
        if values is None:
            self._length(-1)
        else:
            self.array(values, write, version)

    def values(self, values: Sequence[T], write: Callable[[Writer, T], None]) -> None:
        """What is no structure."""
        self._length(len(values))
        for value in values:
            write(self, value)

    def nullable_values(self, values: Sequence[T] | None, write: Callable[[Writer, T], None]) -> None:
        if values is None:
            self._length(-1)
        else:
            self.values(values, write)

    # --- The end of a structure ---

    def field(self) -> Writer:
        """For the value of a tagged field."""
        return type(self)()

    def tags(self, fields: Sequence[tuple[int, Writer]] = ()) -> None:
        """The tagged fields, in the order of their numbers."""


class CompactWriter(Writer):
    """Writes one message, the flexible way."""

    __slots__ = ()

    def varint(self, value: int) -> None:
        """An unsigned varint."""
        while value > 127:
            self._buffer.append(value & 127 | 128)
            value >>= 7
        self._buffer.append(value)

    def _string_length(self, length: int) -> None:
        self.varint(length + 1)

    def _length(self, length: int) -> None:
        self.varint(length + 1)

    def tags(self, fields: Sequence[tuple[int, Writer]] = ()) -> None:
        self.varint(len(fields))
        for tag, field in fields:
            value = b"".join(field.parts())
            self.varint(tag)
            self.varint(len(value))
            self._buffer += value
