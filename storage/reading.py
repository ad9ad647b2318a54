"""The reading half of a log: batches by offset and by time.

Reading must not be quadratic: what was just written comes from memory (`tail`), a reader that goes on finds where it
stopped (`_cursors`), and everyone else begins at an index entry, at most 4 KiB and a batch before what he wants.

Nothing from disk is given out unless its header fits the chain, its epoch the checkpoint, and its CRC the bytes: a
replica whose disk lies must say so, and not spread it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator

from .disk import Reader
from .epochs import EpochCache
from .records import HEADER, HEADER_SIZE, BatchHeader, InvalidBatch, check_crc, decode_batch, parse_header
from .recovery import Recovered
from .segment import BadBatch, Segment, batch_fault, walk
from .settings import LogSettings
from .tail import Tail

LOADED_INDEXES = 8  # sealed segments whose indexes are in memory
READ_AHEAD = 8 << 10


class OffsetOutOfRange(ValueError):
    """An offset below the log's start or beyond its end."""


class CorruptLog(Exception):
    """Bytes on disk are not what was written. Nothing of it was served: quarantine this replica."""

    def __init__(self, offset: int, sentence: str) -> None:
        super().__init__(sentence)
        self.offset = offset


class Reading:
    """What `Log` reads from; `Log` keeps it up to date."""

    def __init__(self, disk: Reader, directory: str, settings: LogSettings, recovered: Recovered) -> None:
        self.disk = disk
        self.directory = directory
        self.settings = settings
        self.start = recovered.start
        self.end = recovered.end
        self.epochs = EpochCache(recovered.epochs)
        self.segments: list[Segment] = list(recovered.segments)
        self._bases = [segment.base for segment in self.segments]
        self._tail = Tail(settings.tail_cache_bytes)
        self._cursors: dict[int, tuple[int, int]] = {}  # where reads ended: offset -> (segment base, position)
        self._loaded: deque[Segment] = deque()
        self.read_to = self.start  # the offset after the last batch that a read has given

    @property
    def compacted(self) -> bool:
        """Whether offsets may be missing between batches."""
        raise NotImplementedError

    def read(self, offset: int, max_bytes: int, *, limit: int, min_one: bool = True) -> bytes | memoryview:
        """Whole batches from the one that contains `offset`, up to `max_bytes`, none that reaches `limit` or beyond.

        The first is given whatever its size, unless `min_one` is False. Empty if there is nothing to give. Raises
        OffsetOutOfRange, and CorruptLog, after which this replica must not be used.
        """
        if not self.start <= offset <= self.end:
            raise OffsetOutOfRange(f"{self.directory} has offsets {self.start} to {self.end}, asked for {offset}")
        limit = min(limit, self.end)
        if offset >= limit:
            return b""
        if self._tail.covers(offset):
            data, self.read_to = self._tail.read(offset, max_bytes, limit, min_one)
            return data
        number = max(0, bisect_right(self._bases, offset) - 1)
        while self.segments[number].end <= offset or not self.segments[number].size:
            number += 1
        found = self._read_segment(self.segments[number], offset, max_bytes, limit, min_one)
        if not found and self.compacted and self.segments[number].end < limit:
            return self.read(self.segments[number].end, max_bytes, limit=limit, min_one=min_one)
        return found

    def _read_segment(
        self, segment: Segment, offset: int, max_bytes: int, limit: int, min_one: bool
    ) -> bytes | memoryview:
        position, expected = self._find(segment, offset)
        want = max(max_bytes, 0) + READ_AHEAD
        first: int | None = None  # where the batches to give begin
        window, at = memoryview(self.disk.read(segment.path, position, min(want, segment.size - position))), 0
        while position + at < segment.size:
            if len(window) - at < HEADER_SIZE:
                if first is not None:
                    break
                position, at = position + at, 0
                window = memoryview(self.disk.read(segment.path, position, min(want, segment.size - position)))
            header = self._checked_header(segment, position + at, window, at, expected)
            if header.last_offset >= offset:
                if header.last_offset >= limit:
                    break
                if at + header.size - (at if first is None else first) > max_bytes and (
                    first is not None or not min_one
                ):
                    break
                if len(window) - at < header.size:
                    if first is not None:
                        break
                    position, at = position + at, 0
                    length = max(header.size, min(want, segment.size - position))
                    window = memoryview(self.disk.read(segment.path, position, length))
                if self.settings.verify_reads and not check_crc(window, header, at):
                    raise self._corrupt(header.base_offset, f"the CRC is not {header.crc:#010x}")
                if first is None:
                    first = at
            at += header.size
            if at > len(window):
                position, at = position + at, 0
                window = memoryview(b"")
            expected = header.next_offset
        if first is None:
            return b""
        if position + at < segment.size:
            if len(self._cursors) >= 64:
                self._cursors.pop(next(iter(self._cursors)))
            self._cursors[expected] = (segment.base, position + at)
        self.read_to = expected
        return window[first:at]

    def _checked_header(
        self, segment: Segment, position: int, window: memoryview, at: int, expected: int
    ) -> BatchHeader:
        if len(window) - at < HEADER_SIZE:
            raise self._corrupt(expected, f"segment {segment.base} is shorter than the {segment.size} bytes it had")
        header = BatchHeader._make(HEADER.unpack_from(window, at))
        epoch = self.epochs.epoch_at(max(header.base_offset, self.start))
        fault = batch_fault(header, expected, -1, self.compacted)
        if fault is None and header.leader_epoch != epoch and header.last_offset >= self.start:
            fault = f"leader epoch {header.leader_epoch}, expected {epoch}"
        if fault is None and header.next_offset > segment.end:
            fault = f"the batch ends at {header.next_offset}, its segment at {segment.end}"
        if fault is None and position + header.size > segment.size:
            fault = f"a batch of {header.size} bytes is beyond the end of its segment"
        if fault:
            raise self._corrupt(expected, fault)
        return header

    def _find(self, segment: Segment, offset: int) -> tuple[int, int]:
        """(position, base offset) of a batch at or before `offset` to begin with."""
        cursor = self._cursors.pop(offset, None)
        if cursor is not None and cursor[0] == segment.base:
            return cursor[1], offset
        self._index(segment)
        position, last = segment.lookup(offset)
        if last is not None:
            data = self.disk.read(segment.path, position, HEADER_SIZE)
            header = BatchHeader._make(HEADER.unpack(data)) if len(data) == HEADER_SIZE else None
            if header is not None and header.last_offset == last and segment.base <= header.base_offset <= last:
                return position, header.base_offset
        if self.compacted and segment.size >= HEADER_SIZE:
            return 0, max(segment.base, parse_header(self.disk.read(segment.path, 0, HEADER_SIZE)).base_offset)
        return 0, segment.base

    def _corrupt(self, offset: int, sentence: str) -> CorruptLog:
        return CorruptLog(offset, f"{self.directory}, offset {offset}: {sentence}")

    def batches_from(self, offset: int) -> Iterator[BatchHeader]:
        """The headers from the batch that contains `offset` on, for replay. Raises CorruptLog."""
        for segment in self.segments[max(0, bisect_right(self._bases, offset) - 1) :]:
            if segment.end <= offset or not segment.size:
                continue
            for _, header in self._walk(segment, offset):
                if header.last_offset >= offset:
                    yield header

    def _walk(self, segment: Segment, offset: int) -> Iterator[tuple[int, BatchHeader]]:
        position, expected = self._find(segment, offset)
        compacted = self.compacted
        try:
            yield from walk(
                self.disk, segment.path, position=position, expected=expected, stop=segment.size, compacted=compacted
            )
        except BadBatch as bad:
            raise self._corrupt(bad.offset, bad.sentence) from None

    def offset_for_time(self, timestamp: int, *, limit: int) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record at least as new as `timestamp`, below `limit`. Decodes one batch."""
        for segment in self.segments:
            if segment.max_timestamp < timestamp or not segment.size or segment.end <= self.start:
                continue
            self._index(segment)
            for position, header in self._walk(segment, max(segment.lookup_time(timestamp), self.start)):
                if header.base_offset >= limit:
                    return None
                if header.max_timestamp < timestamp or header.last_offset < self.start:
                    continue
                found = self._record_at(segment, position, header, timestamp)
                if found is not None:
                    return found if found[0] < limit else None
        return None

    def newest(self, *, limit: int) -> tuple[int, int] | None:
        """(offset, timestamp) of the first record with the largest timestamp below `limit`. Decodes one batch."""
        largest = -1
        for segment in self.segments:
            if segment.base >= limit or not segment.size or segment.end <= self.start:
                continue
            if segment.max_timestamp <= largest or segment.max_timestamp_offset < limit:
                largest = max(largest, segment.max_timestamp)
                continue
            self._index(segment)
            timestamp, offset = segment.newest_before(limit)
            largest = max(largest, timestamp)
            for _, header in self._walk(segment, max(offset, self.start)):
                if header.last_offset >= limit:
                    break
                largest = max(largest, header.max_timestamp)
        return None if largest < 0 else self.offset_for_time(largest, limit=limit)

    def _record_at(
        self, segment: Segment, position: int, header: BatchHeader, timestamp: int
    ) -> tuple[int, int] | None:
        data = self.disk.read(segment.path, position, header.size)
        if len(data) < header.size or not check_crc(data, header):
            raise self._corrupt(header.base_offset, f"the CRC is not {header.crc:#010x}")
        try:
            records = decode_batch(data)
        except InvalidBatch:  # brokers do not look inside batches: what a client put there is for its consumers
            return header.base_offset, header.max_timestamp
        for record in records:
            if record.timestamp >= timestamp and record.offset >= self.start:
                return record.offset, record.timestamp
        return None

    def _index(self, segment: Segment) -> None:
        """Load a sealed segment's indexes; the oldest ones loaded are forgotten."""
        if segment.index is None:
            segment.load(self.disk)
            self._loaded.append(segment)
            if len(self._loaded) > LOADED_INDEXES:
                oldest = self._loaded.popleft()
                if oldest is not self.segments[-1]:
                    oldest.unload()
