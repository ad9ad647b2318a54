"""Leader epochs of one partition, each with the offset where it began.

A follower that comes to a new leader asks where the epoch of its own last record ended; what it holds beyond that was
never committed and is cut (KIP-101, KIP-279). So the list must say exactly what the log says: epochs and starts
strictly increasing, an entry for each epoch that has a record, and at most one without any, the last: a leader's
that has just begun. It is kept in Kafka's `leader-epoch-checkpoint`, and can be rebuilt from the batch headers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple


class EpochEntry(NamedTuple):
    epoch: int
    start: int


class EpochCache:
    """Changing methods say whether anything changed: then the checkpoint must be written again."""

    def __init__(self, entries: Iterable[EpochEntry] | None = None) -> None:
        self.entries: list[EpochEntry] = list(entries or ())

    @property
    def latest(self) -> int:
        """The newest epoch, -1 if there is none."""
        return self.entries[-1].epoch if self.entries else -1

    def assign(self, epoch: int, start: int) -> bool:
        """An epoch begins at `start`. Entries that began there or later were empty and are replaced.

        The same epoch again changes nothing: its first start stands. An older epoch is an error.
        """
        assert min(epoch, start) >= 0, f"epoch {epoch} at {start}"
        if epoch == self.latest:
            return False
        assert epoch > self.latest, f"epoch {epoch} assigned after {self.latest}"
        while self.entries and self.entries[-1].start >= start:
            self.entries.pop()
        self.entries.append(EpochEntry(epoch, start))
        return True

    def end_offset_for(self, epoch: int, log_end: int) -> tuple[int, int]:
        """(largest known epoch not above `epoch`, where it ended), Kafka's OffsetForLeaderEpoch; (-1, -1) if unknown.

        An epoch above the newest is unknown. One below the oldest ended where the oldest began, which is said as
        (epoch, start): nothing of it is left.
        """
        if epoch < 0 or epoch > self.latest:
            return -1, -1
        if epoch == self.latest:
            return epoch, log_end
        after = bisect_right(self.entries, epoch, key=_epoch_of)
        end = self.entries[after].start
        return (self.entries[after - 1].epoch if after else epoch), end

    def epoch_at(self, offset: int) -> int:
        """The epoch of the record at `offset`; -1 if it lies before the oldest entry."""
        entries = self.entries
        if entries and offset >= entries[-1].start:
            return entries[-1].epoch
        after = bisect_right(entries, offset, key=_start_of)
        return entries[after - 1].epoch if after else -1

    def truncate_from_end(self, offset: int) -> bool:
        """The log was cut at `offset`, perhaps its very end: an empty last entry goes too (KAFKA-10706)."""
        before = len(self.entries)
        while self.entries and self.entries[-1].start >= offset:
            self.entries.pop()
        return len(self.entries) != before

    def truncate_from_start(self, offset: int) -> bool:
        """The log now begins at `offset`: the epoch of that offset begins there, older ones are forgotten."""
        after = bisect_right(self.entries, offset, key=_start_of)
        if after == 0 or (after == 1 and self.entries[0].start == offset):
            return False
        self.entries[:after] = [EpochEntry(self.entries[after - 1].epoch, offset)]
        return True

    def encode(self) -> bytes:
        """Kafka's text: version 0, the count, and a line for each entry."""
        lines = ["0", str(len(self.entries)), *(f"{epoch} {start}" for epoch, start in self.entries)]
        return ("\n".join(lines) + "\n").encode()

    @classmethod
    def decode(cls, data: bytes) -> EpochCache:
        """Raises ValueError, in words, for anything that `encode` does not write."""
        if not data.isascii() or not data.endswith(b"\n"):
            raise ValueError("the epoch checkpoint is cut off or not text")
        lines = data.decode("ascii")[:-1].split("\n")
        if lines[0] != "0":
            raise ValueError(f"the epoch checkpoint has version {lines[0][:20]!r}, expected 0")
        if len(lines) < 2 or lines[1] != str(len(lines) - 2):
            raise ValueError("the epoch checkpoint does not have as many lines as it says")
        entries: list[EpochEntry] = []
        for line in lines[2:]:
            words = line.split(" ")
            if len(words) != 2 or not all(_is_number(word) for word in words):
                raise ValueError(f"the epoch checkpoint has the line {line[:60]!r}")
            entry = EpochEntry(int(words[0]), int(words[1]))
            if entries and not (entry.epoch > entries[-1].epoch and entry.start > entries[-1].start):
                raise ValueError(f"in the epoch checkpoint {line} comes after {entries[-1].epoch} {entries[-1].start}")
            entries.append(entry)
        return cls(entries)


def _is_number(word: str) -> bool:
    return word.isdecimal() and len(word) <= 19 and (word == "0" or not word.startswith("0"))


def _epoch_of(entry: EpochEntry) -> int:
    return entry.epoch


def _start_of(entry: EpochEntry) -> int:
    return entry.start
