"""One segment of a log: a file of batches, named by its first offset, and two indexes into it.

    %020d.log        whole record batches, one after the other
    %020d.index      (int32 relative offset, int32 position): the batch that ends with this offset begins there
    %020d.timeindex  (int64 timestamp, int32 relative offset): no record up to this offset is newer

These are Kafka's layouts and Kafka's habits: an entry for every 4,096 bytes or so, and for a sealed segment a last time
entry with its newest timestamp. Indexes are hints. They are written late, in groups, and not made durable on their
own; whatever they say is checked against the header that they point at, and what they lack is found by walking headers.
"""

from __future__ import annotations

import re
import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from .disk import Generation, Reader
from .records import HEADER, HEADER_SIZE, BatchHeader, check_crc, header_fault

SEGMENT_NAME = re.compile(r"(\d{20})\.log")
SWAP_NAME = re.compile(r"(\d{20})-(\d{20})\.swap")
CLEANED_NAME = re.compile(r"\d{20}\.cleaned")
MAX_RELATIVE = 2**31 - 1
WINDOW = 64 << 10  # bytes read at a time when walking headers

_TIME_ENTRY = struct.Struct(">qi")


class BadBatch(Exception):
    """Walking a segment met something that is not the next batch."""

    def __init__(self, position: int, offset: int, sentence: str) -> None:
        super().__init__(sentence)
        self.position = position  # where the good batches end
        self.offset = offset  # the offset that was expected there
        self.sentence = sentence


def log_path(directory: str, base: int) -> str:
    return f"{directory}/{base:020d}.log"


def index_path(directory: str, base: int) -> str:
    return f"{directory}/{base:020d}.index"


def timeindex_path(directory: str, base: int) -> str:
    return f"{directory}/{base:020d}.timeindex"


def snapshot_path(directory: str, offset: int) -> str:
    return f"{directory}/{offset:020d}.snapshot"


def cleaned_path(directory: str, base: int) -> str:
    """A segment that is being written and may replace others (`swapping`)."""
    return f"{directory}/{base:020d}.cleaned"


def swap_path(directory: str, base: int, end: int) -> str:
    """A segment that replaces all others that begin within [base, end)."""
    return f"{directory}/{base:020d}-{end:020d}.swap"


def segments_in(directory: str, names: Iterable[str]) -> tuple[dict[int, str], list[str]]:
    """(the path of each segment by its base, in order; paths of what is left of segments that were replaced)."""
    logs: dict[int, str] = {}
    swaps: list[tuple[int, int, str]] = []
    left: list[str] = []
    for name in sorted(names):
        path = f"{directory}/{name}"
        if match := SEGMENT_NAME.fullmatch(name):
            logs[int(match[1])] = path
        elif match := SWAP_NAME.fullmatch(name):
            swaps.append((int(match[1]), int(match[2]), path))
        elif CLEANED_NAME.fullmatch(name):
            left.append(path)
    for base, end, path in swaps:
        left += [logs.pop(known) for known in sorted(logs) if base <= known < end]
        logs[base] = path
    return dict(sorted(logs.items())), left


def batch_fault(header: BatchHeader, expected: int, epoch: int, compacted: bool) -> str | None:
    """Why this header cannot be the next one, after a batch of `epoch` that ended before `expected`; None if it can."""
    return header_fault(header) or chain_fault(header, expected, epoch, compacted)


def chain_fault(header: BatchHeader, expected: int, epoch: int, compacted: bool) -> str | None:
    """The same of a header that is possible by itself (`header_fault`)."""
    if header.base_offset != expected and not (compacted and header.base_offset > expected):
        return f"expected a batch at offset {expected}, found {header.base_offset}"
    if header.count != header.last_offset_delta + 1 and not compacted:
        return f"{header.count} records do not fill {header.last_offset_delta + 1} offsets"
    if header.leader_epoch < max(epoch, 0):
        return f"leader epoch {header.leader_epoch} comes after {epoch}"
    return None


def walk(
    reader: Reader,
    path: str,
    *,
    position: int,
    expected: int,
    stop: int,
    epoch: int = -1,
    crc_from: int | None = None,
    compacted: bool = False,
) -> Iterator[tuple[int, BatchHeader]]:
    """(position, header) of every batch from `position` to exactly `stop`; raises BadBatch at what is not the next one.

    The CRC is checked of batches that reach beyond the offset `crc_from`; None checks none.
    """
    window, window_at = b"", position
    while position < stop:
        at = position - window_at
        if at + HEADER_SIZE > len(window):
            window, window_at, at = reader.read(path, position, min(WINDOW, stop - position)), position, 0
            if len(window) < HEADER_SIZE:
                raise BadBatch(position, expected, f"{len(window)} bytes are left where a batch should begin")
        header = BatchHeader._make(HEADER.unpack_from(window, at))
        fault = batch_fault(header, expected, epoch, compacted)
        if fault:
            raise BadBatch(position, expected, fault)
        size = header.size
        if position + size > stop:
            raise BadBatch(position, expected, f"a batch of {size} bytes is cut off after {stop - position}")
        if crc_from is not None and header.next_offset > crc_from:
            if at + size > len(window):
                length = min(max(size, 16 * WINDOW), stop - position)
                window, window_at, at = reader.read(path, position, length), position, 0
            if len(window) - at < size:
                raise BadBatch(position, expected, f"a batch of {size} bytes is cut off after {len(window) - at}")
            if not check_crc(window, header, at):
                raise BadBatch(position, expected, f"the CRC of the batch is not {header.crc:#010x}")
        yield position, header
        position += size
        expected, epoch = header.next_offset, header.leader_epoch


class OffsetIndex:
    """Entries of a `.index` file."""

    def __init__(self) -> None:
        self.offsets = array("i")
        self.positions = array("i")

    def __len__(self) -> int:
        return len(self.offsets)

    def add(self, relative: int, position: int) -> None:
        self.offsets.append(relative)
        self.positions.append(position)

    def cut(self, count: int) -> None:
        del self.offsets[count:], self.positions[count:]

    def encode(self, start: int = 0) -> bytes:
        both = array("i", bytes(8 * (len(self) - start)))
        both[0::2], both[1::2] = self.offsets[start:], self.positions[start:]
        if sys.byteorder == "little":
            both.byteswap()
        return both.tobytes()

    @classmethod
    def decode(cls, data: bytes, span: int, size: int) -> OffsetIndex:
        """As many entries as make sense: both columns strictly increasing, within the segment."""
        index = cls()
        both = array("i", data[: len(data) & ~7])
        if sys.byteorder == "little":
            both.byteswap()
        offset, position = -1, 0
        for next_offset, next_position in zip(both[0::2], both[1::2], strict=True):
            if not (offset < next_offset < span and position < next_position < size):
                break
            index.add(next_offset, next_position)
            offset, position = next_offset, next_position
        return index


class TimeIndex:
    """Entries of a `.timeindex` file."""

    def __init__(self) -> None:
        self.timestamps = array("q")
        self.offsets = array("i")

    def __len__(self) -> int:
        return len(self.offsets)

    def maybe_add(self, timestamp: int, relative: int) -> None:
        """Only a newer timestamp says something."""
        if timestamp > (self.timestamps[-1] if self.timestamps else -1):
            self.timestamps.append(timestamp)
            self.offsets.append(relative)

    def cut(self, count: int) -> None:
        del self.timestamps[count:], self.offsets[count:]

    def encode(self, start: int = 0) -> bytes:
        return b"".join(
            _TIME_ENTRY.pack(*entry) for entry in zip(self.timestamps[start:], self.offsets[start:], strict=True)
        )

    @classmethod
    def decode(cls, data: bytes, span: int) -> TimeIndex:
        """As many entries as make sense: timestamps strictly increasing, offsets increasing and within the segment."""
        index = cls()
        newest, last = -1, -1
        for timestamp, offset in _TIME_ENTRY.iter_unpack(data[: len(data) // 12 * 12]):
            if not (timestamp > newest and last <= offset < span and offset >= 0):
                break
            index.timestamps.append(timestamp)
            index.offsets.append(offset)
            newest, last = timestamp, offset
        return index


class Segment:
    """What is known of one segment. The file is the log's to write; this notes what was written where.

    A sealed segment's indexes are loaded when needed (`index` is None until then).
    """

    __slots__ = (
        "base", "created", "directory", "end", "first_timestamp", "index", "index_saved", "interval", "max_timestamp",
        "max_timestamp_offset", "path", "seen_ms", "since_index", "size", "times", "times_saved",
    )  # fmt: skip

    def __init__(self, directory: str, base: int, interval: int) -> None:
        self.directory = directory
        self.base = base
        self.path = log_path(directory, base)  # or another name, while it replaces other segments (`swapping`)
        self.interval = interval
        self.created: Generation | None = None  # None: there is no file yet
        self.size = 0
        self.end = base
        self.first_timestamp = -1
        self.max_timestamp = -1
        self.max_timestamp_offset = base
        self.seen_ms: int | None = None  # when somebody first saw that its newest timestamp cannot be true
        self.since_index = 0
        self.index: OffsetIndex | None = OffsetIndex()
        self.times: TimeIndex | None = TimeIndex()
        self.index_saved = 0  # entries that are in the file
        self.times_saved = 0

    def note(self, header: BatchHeader) -> None:
        """A batch was written at the end."""
        newest, size, last = header.max_timestamp, header.size, header.last_offset
        if self.size == 0:
            self.first_timestamp = newest
        if newest > self.max_timestamp:
            self.max_timestamp, self.max_timestamp_offset = newest, last
        self.seen_ms = None
        if self.since_index > self.interval and self.index is not None and self.times is not None:
            self.index.add(last - self.base, self.size)
            self.times.maybe_add(self.max_timestamp, self.max_timestamp_offset - self.base)
            self.since_index = 0
        self.since_index += size
        self.size += size
        self.end = last + 1

    def newest_ms(self, now_ms: int) -> int:
        """When its newest record was written, as far as that can be believed: not later than when it was first seen."""
        if 0 <= self.max_timestamp <= now_ms:
            return self.max_timestamp
        if self.seen_ms is None:
            self.seen_ms = now_ms
        return self.seen_ms

    def unload(self) -> None:
        """Forget the indexes: the files have them."""
        self.index = self.times = None

    def seal(self) -> None:
        """No more batches come: the last time entry names the newest timestamp."""
        assert self.times is not None
        self.times.maybe_add(self.max_timestamp, self.max_timestamp_offset - self.base)

    def load(self, reader: Reader) -> None:
        """Read the indexes of this segment, whose size and end are known; missing entries are missing."""
        span = self.end - self.base
        index, times = self._stored(reader, span, self.size)
        self.index, self.times = index, times
        self.index_saved, self.times_saved = len(index), len(times)

    def _stored(self, reader: Reader, span: int, size: int) -> tuple[OffsetIndex, TimeIndex]:
        """The index entries that the files have."""
        path, time_path = index_path(self.directory, self.base), timeindex_path(self.directory, self.base)
        length, time_length = reader.size(path), reader.size(time_path)
        index = OffsetIndex.decode(reader.read(path, 0, length), span, size) if length else OffsetIndex()
        times = TimeIndex.decode(reader.read(time_path, 0, time_length), span) if time_length else TimeIndex()
        return index, times

    def lookup(self, offset: int) -> tuple[int, int | None]:
        """(position, last offset of the batch there) to begin walking for `offset`; (0, None) is the beginning."""
        assert self.index is not None
        entry = bisect_right(self.index.offsets, offset - self.base) - 1
        if entry < 0:
            return 0, None
        return self.index.positions[entry], self.base + self.index.offsets[entry]

    def lookup_time(self, timestamp: int) -> int:
        """An offset up to which no record is as new as `timestamp`: begin walking there."""
        assert self.times is not None
        entry = bisect_left(self.times.timestamps, timestamp) - 1
        return self.base if entry < 0 else self.base + self.times.offsets[entry]

    def newest_before(self, offset: int) -> tuple[int, int]:
        """(timestamp, place): no record up to the place, which is below `offset`, is newer. Begin walking there."""
        assert self.times is not None
        entry = bisect_left(self.times.offsets, offset - self.base) - 1
        return (-1, self.base) if entry < 0 else (self.times.timestamps[entry], self.base + self.times.offsets[entry])

    def resume(self, reader: Reader, offset: int, limit: int, compacted: bool = False) -> int:
        """Make everything say what the file has below `offset`, and return the position of the batch that holds it.

        Index entries below are believed if the newest of them points at the batch it names; the batches between it and
        `offset` are noted again. `limit` is the file's size. Raises BadBatch if the headers below are not a chain.
        """
        if self.index is not None and self.times is not None:
            index, times = self.index, self.times
        else:
            index, times = self._stored(reader, MAX_RELATIVE, limit)
            self.index_saved, self.times_saved = len(index), len(times)
        span = max(0, offset - self.base)
        entry = bisect_left(index.offsets, span)
        anchor: BatchHeader | None = None
        if entry:
            anchor = self._anchor(reader, index.positions[entry - 1], index.offsets[entry - 1], limit)
            if anchor is None:
                entry = 0
        index.cut(entry)
        position, expected, epoch = 0, self.base, -1
        if anchor is not None:
            position, expected, epoch = index.positions[entry - 1], anchor.base_offset, anchor.leader_epoch
            times.cut(bisect_right(times.offsets, index.offsets[entry - 1]))
        else:
            times.cut(0)
        self.index, self.times = index, times
        self.index_saved, self.times_saved = min(self.index_saved, len(index)), min(self.times_saved, len(times))
        self.size, self.end, self.since_index = position, expected, 0
        self.first_timestamp = self._first_timestamp(reader) if position else -1
        self.max_timestamp, self.max_timestamp_offset = -1, self.base
        if len(times):
            self.max_timestamp, self.max_timestamp_offset = times.timestamps[-1], self.base + times.offsets[-1]
        if span == 0:
            return 0
        for at, header in walk(
            reader, self.path, position=position, expected=expected, stop=limit, epoch=epoch, compacted=compacted
        ):
            if header.next_offset > offset:
                return at
            self.note(header)
        return self.size

    def _anchor(self, reader: Reader, position: int, relative: int, limit: int) -> BatchHeader | None:
        """The header that an index entry points at, if it is the one that the entry means."""
        data = reader.read(self.path, position, HEADER_SIZE) if position < limit else b""
        if len(data) < HEADER_SIZE:
            return None
        header = BatchHeader._make(HEADER.unpack(data))
        if header_fault(header) or header.last_offset != self.base + relative or header.base_offset < self.base:
            return None
        return header

    def _first_timestamp(self, reader: Reader) -> int:
        data = reader.read(self.path, 0, HEADER_SIZE)
        return BatchHeader._make(HEADER.unpack(data)).max_timestamp if len(data) == HEADER_SIZE else -1
