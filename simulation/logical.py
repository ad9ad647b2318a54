"""A compacted log as it was before: what mirrors look at, so that they need not know of compaction.

Each replica compacts by itself, and a follower may copy what its leader has compacted already. Byte by byte such logs
differ, and still they are the same log: of committed batches some have fewer records, and some are missing. So this
view tells for each batch below the cleaned part what was committed there, if it has the same place and epoch, and
fills holes with the committed batches that were there. What is in no committed history stays a hole, or stays as it
is, and is found. Whether the right records are missing is judged by their contents (`invariants/lives`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from ..storage.records import BatchHeader
from .mirror import Line, LogView


class Logical:
    """`LogView` of a log, by the help of the committed batches of its partition in the order of offsets."""

    def __init__(self, log: LogView, committed: list[Line]) -> None:
        self._log = log
        self._committed = committed

    @property
    def start(self) -> int:
        return self._log.start

    @property
    def end(self) -> int:
        return self._log.end

    def batches_from(self, offset: int) -> Iterator[BatchHeader]:
        """As `Log.batches_from`, with the holes filled."""
        committed = self._committed
        place = max(0, bisect_right(committed, offset, key=_base) - 1)
        if place < len(committed) and committed[place].end <= offset:
            place += 1
        at = -1
        for header in self._log.batches_from(offset):
            while place < len(committed) and committed[place].end <= header.base_offset:
                if committed[place].base >= at:  # else there is no hole, but something that was never committed
                    yield _header(committed[place])
                place += 1
            at = header.next_offset
            line = committed[place] if place < len(committed) else None
            if line is not None and line[:3] == (header.base_offset, header.next_offset, header.leader_epoch):
                yield _header(line)
                place += 1
            else:
                yield header


def _header(line: Line) -> BatchHeader:
    """What a mirror looks at in a header."""
    last, (producer, epoch) = line.end - line.base - 1, line.producer
    return BatchHeader(line.base, 0, line.epoch, 2, line.crc, 0, last, -1, -1, producer, epoch, line.sequence, last + 1)


def _base(line: Line) -> int:
    return line.base
