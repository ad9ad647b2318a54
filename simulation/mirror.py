"""What the checkers remember of one replica's log: a line per batch, and a rolling chain over all of them.

A mirror is brought up to date after each event at the cost of the batches that changed. It trusts nothing: it reads the
last batch that it knows again, and if the log does not have it any more, goes back to the newest batch that both have.
That is how a truncation is noticed, also one that was followed at once by other records.

The chain of a batch covers it and everything before it, so two logs agree up to a batch if and only if the chains there
are equal: comparing prefixes costs one lookup. Where a log begins in the middle (retention, a follower reset to
its leader's start) the chain goes on from the `anchors`, which every mirror of that partition shares.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..storage.records import BatchHeader

_MODULUS = (1 << 61) - 1
_FACTOR = 0x9E3779B97F4A7C15


class Line(NamedTuple):
    """One batch."""

    base: int
    end: int  # offset after its last record
    epoch: int
    crc: int
    chain: int  # over this batch and all before it
    producer: tuple[int, int] = (-1, -1)  # producer id and epoch
    sequence: int = -1


class LogView(Protocol):
    """What a mirror needs of `storage.log.Log`."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...

    def batches_from(self, offset: int) -> Iterator[BatchHeader]: ...


class Change(NamedTuple):
    """What an update found: the log was cut to `cut` (None: it was not), lost `removed`, and got `added`."""

    cut: int | None
    removed: tuple[Line, ...]
    added: tuple[Line, ...]
    gone: tuple[Line, ...] = ()  # the log begins after them now


def link(chain: int, header: BatchHeader) -> int:
    """The chain after one more batch. Integers only, so it is the same in every process."""
    mixed = header.crc + (header.leader_epoch << 32) + header.base_offset * 1_000_003 + header.next_offset
    return (chain * _FACTOR + mixed) % _MODULUS


class Mirror:
    """One replica's log as last seen. It outlives the process of the replica."""

    def __init__(self, anchors: dict[int, int]) -> None:
        self.anchors = anchors  # offset -> chain of everything below, for logs that begin there
        self.start = 0
        self.begin = 0  # where the first line begins: at the start, or where the batch ends that the start lies in
        self.end = 0
        self.lines: list[Line] = []
        self._bases: list[int] = []
        self._log: LogView | None = None

    def update(self, log: LogView) -> Change:
        """Look at the log again."""
        gone: tuple[Line, ...] = ()
        if log.start > self.start:
            gone = self._forget_below(log.start)
        elif log.start < self.start:  # a start that was not durable, or a leader's whose log begins before
            self.start = self.begin = self.end = log.start
            self.lines, self._bases, self._log = [], [], None
        if log is self._log and log.end == self.end:
            return Change(None, (), (), gone)  # nobody cuts and appends to the same end within one input
        self._log = log
        had = self.end
        headers = self._continuing(log)
        removed: tuple[Line, ...] = ()
        if headers is None:
            kept = self._common(log)
            removed = tuple(self.lines[kept:])
            del self.lines[kept:], self._bases[kept:]
        at = self.lines[-1].end if self.lines else log.start
        if at == log.end:
            self.end = at
            return Change(at if removed or had > at else None, removed, (), gone)
        chain = self.lines[-1].chain if self.lines else self.anchors.get(at, 0)
        added: list[Line] = []
        if not self.lines:
            self.begin = at
        for header in log.batches_from(at) if headers is None else headers:
            if header.base_offset < at < header.next_offset and not self.lines and not added:
                chain, self.begin = link(chain, header), header.next_offset
                self.anchors.setdefault(self.begin, chain)
            if header.base_offset < at:
                continue
            chain = link(chain, header)
            added.append(
                Line(
                    header.base_offset,
                    header.next_offset,
                    header.leader_epoch,
                    header.crc,
                    chain,
                    (header.producer_id, header.producer_epoch),
                    header.base_sequence,
                )
            )
        self.lines += added
        self._bases += [line.base for line in added]
        self.end = added[-1].end if added else max(at, self.begin if not self.lines else at)
        return Change(at if removed else None, removed, tuple(added), gone)

    def line_at(self, offset: int) -> Line | None:
        """The batch that holds an offset."""
        index = bisect_right(self._bases, offset) - 1
        if index < 0 or self.lines[index].end <= offset:
            return None
        return self.lines[index]

    def chain_below(self, offset: int) -> int | None:
        """The chain of all whole batches below an offset; None if the log does not reach back or up to there."""
        if offset > self.end or offset < self.start:
            return None
        index = bisect_right(self._bases, offset - 1) - 1
        if index >= 0 and self.lines[index].end > offset:
            index -= 1
        if index < 0:
            if offset == self.start:
                return self.anchors.get(offset, 0)
            return self.anchors.get(self.begin, 0) if offset >= self.begin else None
        return self.lines[index].chain

    def last_below(self, offset: int) -> Line | None:
        """The newest batch that lies wholly below an offset."""
        index = bisect_right(self._bases, offset - 1) - 1
        if index >= 0 and self.lines[index].end > offset:
            index -= 1
        return self.lines[index] if index >= 0 else None

    def _continuing(self, log: LogView) -> Iterator[BatchHeader] | None:
        """The batches after the last known one, if the log still has that one and more; None otherwise."""
        if not self.lines or log.end <= self.lines[-1].end or self.lines[-1].base < log.start:
            return None
        line = self.lines[-1]
        headers = log.batches_from(line.base)
        first = next(headers, None)
        if first is None or (first.base_offset, first.next_offset, first.leader_epoch, first.crc) != line[:4]:
            return None
        return headers

    def _common(self, log: LogView) -> int:
        """How many of the known lines the log still has."""
        lines = self.lines
        kept = len(lines)
        while kept and lines[kept - 1].end > log.end:
            kept -= 1
        if kept and self._has(log, lines[kept - 1]):
            return kept
        low, high = 0, max(0, kept - 1)  # the logs agree below `low`, and not from `high` on
        while low < high:
            middle = (low + high + 1) // 2
            if self._has(log, lines[middle - 1]):
                low = middle
            else:
                high = middle - 1
        return low

    def _has(self, log: LogView, line: Line) -> bool:
        if line.base < log.start:
            return False
        for header in log.batches_from(line.base):
            return (header.base_offset, header.next_offset, header.leader_epoch, header.crc) == line[:4]
        return False

    def _forget_below(self, start: int) -> tuple[Line, ...]:
        """The log begins later now. What is kept of the old chain goes on from there. Returns what is not kept."""
        chain = self.chain_below(start)
        if chain is not None:
            self.anchors.setdefault(start, chain)
        index = bisect_right(self._bases, start - 1)
        self.begin = max(start, self.lines[index - 1].end if index else start)
        if index and self.begin > start:
            self.anchors.setdefault(self.begin, self.lines[index - 1].chain)
        gone = tuple(self.lines[:index])
        del self.lines[:index], self._bases[:index]
        self.start = start
        if not self.lines:
            self.end = self.begin
        return gone
