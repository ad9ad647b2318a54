"""Recovery: what a partition's log is, found out by reading only.

The recovery point says below which offset everything was once durable. So what is wrong with a batch depends on where
it is (D19):

- at or above the recovery point it is a torn tail, never acknowledged as durable: cut it, zeros and gaps included;
- below, the disk has lost or changed what it had: corruption. Nothing is cut and nothing served; the replica is
  quarantined and refetched. `Recovered.corrupt` is the sentence that says so.

Batches above the recovery point are read whole (CRC). Below, only headers, and only from the newest producer snapshot
that was durable with all that it rests on: one *below* the recovery point (or at it, after a clean stop). Sealed
segments before that are checked at both ends. A snapshot, an epoch entry or an index entry from above the recovery
point may stem from a history that was cut; none is believed.

But for the snapshot where the first segment begins, if the log starts there or later: nothing else says who wrote what
has been deleted, and without it a write that is repeated would be taken for a new one. The recovery point here is what
was checkpointed last; segments are deleted below the real one, which is ahead of it, and after their successor and its
snapshot are durable (`trimming`). So is the snapshot that a reset writes before it writes its start.

Where the log starts is kept in `log-start`, made durable before any old segment goes. So segments that begin later than
that, above the recovery point, are what a power loss left of a log whose beginning was lost: they are dropped, as is
what follows a gap between segments (a deletion or reset that was only partly durable). Segments before the start are
kept: `Log` goes on deleting them in order.

Reading is all that happens here; `Log.open` does what `Recovered` asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from crc32c import crc32c

from .disk import Reader
from .epochs import EpochCache, EpochEntry
from .producers import ProducerStates
from .records import HEADER, HEADER_SIZE, BatchHeader
from .segment import BadBatch, Segment, batch_fault, segments_in, timeindex_path, walk
from .settings import LogSettings

EPOCH_CHECKPOINT = "leader-epoch-checkpoint"
METADATA = "partition.metadata"
NAMED = re.compile(rb"version: 0\ntopic_id: ([A-Za-z0-9_-]{22})\s*")
"""All that such a file holds. One that reads otherwise has rotted, also where its id is whole: it names nothing."""
LOG_START = "log-start"
COMPACTION = "compaction"
_SUFFIXES = (".log", ".index", ".timeindex", ".snapshot")


def encode_start(offset: int) -> bytes:
    """The content of `log-start`."""
    return f"{offset} {crc32c(str(offset).encode()):08x}\n".encode()


def read_start(reader: Reader, directory: str) -> int | None:
    """Where the log was made to start, 0 if never; None if the file is damaged."""
    return _read_offset(reader, f"{directory}/{LOG_START}", 0)


def read_purged(reader: Reader, directory: str) -> int | None:
    """Up to where tombstones may be gone, -1 if the log was never compacted; None if the file is damaged."""
    return _read_offset(reader, f"{directory}/{COMPACTION}", -1)


def _read_offset(reader: Reader, path: str, otherwise: int) -> int | None:
    size = reader.size(path)
    if size is None:
        return otherwise
    data = reader.read(path, 0, size)
    digits = data.partition(b" ")[0]
    return int(digits) if digits.isdigit() and len(digits) < 20 and encode_start(int(digits)) == data else None


class Recovered(msgspec.Struct, frozen=True):
    """What `RecoverLog` found. If `corrupt` is not None the rest describes only what is good before the damage."""

    directory: str
    start: int
    end: int
    epochs: tuple[EpochEntry, ...] = ()
    corrupt: str | None = None
    truncated_bytes: int = 0  # of torn tail, which `Log.open` will cut
    segments: tuple[Segment, ...] = ()
    producers: ProducerStates = msgspec.field(default_factory=ProducerStates)
    snapshots: tuple[int, ...] = ()  # offsets of usable producer snapshots
    doomed: tuple[str, ...] = ()  # files to delete
    durable: int = 0  # below this nothing needs to be made durable again
    clean: bool = False  # after a clean stop: the files say all of this, and durably
    missing: tuple[tuple[int, bytes], ...] = ()  # producer snapshots to be written: segments without a usable one
    purged: int = -1  # tombstones below may be gone; -1: the log was never compacted, and has no holes
    last_epoch: int = -1  # in which the log came to its end, also if all its records have been deleted; -1: unknown


class RecoverLog(msgspec.Struct, frozen=True):
    """A Job. `run` only reads; hand its result to `Log.open`."""

    directory: str
    recovery_point: int | None = None  # None: unknown, everything is scanned and damage is cut like a torn tail
    clean: bool = False  # this boot follows a clean stop; believed only if the log ends at the recovery point
    log_start: int = 0  # from `log-start-offset-checkpoint`: counts only if `log-start` is damaged
    settings: LogSettings = LogSettings()
    thorough: bool = False  # scan below the recovery point too

    @property
    def name(self) -> str:
        return f"recover {self.directory}"

    def run(self, reader: Reader) -> Recovered:
        if self.clean and self.recovery_point is not None and not self.thorough:
            recovered = _Recovery(self, reader, clean=True).run()
            if recovered.corrupt is None and recovered.end == self.recovery_point and not recovered.truncated_bytes:
                return recovered
        return _Recovery(self, reader, clean=False).run()


class _Corrupt(Exception):
    pass


class _Recovery:
    def __init__(self, job: RecoverLog, reader: Reader, *, clean: bool) -> None:
        self.job, self.reader, self.clean = job, reader, clean
        self.directory = job.directory
        self.purged = -1
        self.paths: dict[int, str] = {}  # of segments, by base
        self.known = job.recovery_point or 0  # the recovery point, 0 if unknown
        self.segments: list[Segment] = []
        self.doomed: list[str] = []
        self.truncated = 0
        self.log_start = 0
        self.deleted = 0  # below this records are gone on purpose, for certain
        self.epochs = EpochCache()
        self.stored: tuple[EpochEntry, ...] = ()  # the epochs as in the checkpoint
        self.missing: dict[int, bytes] = {}
        self.usable: list[int] = []  # offsets of producer snapshots that may be believed
        self.checkpointed = False  # whether the epochs below the recovery point come from the checkpoint
        self.producers = ProducerStates()
        self.replayed = 0  # the offset up to which `producers` knows the log

    def run(self) -> Recovered:
        names = self.reader.list(self.directory)
        self.paths, left = segments_in(self.directory, names)
        self.doomed += left
        bases = list(self.paths)
        corrupt: str | None = None
        purged = read_purged(self.reader, self.directory)
        self.purged = 0 if purged is None else purged
        stored = read_start(self.reader, self.directory)
        self.deleted = stored or 0
        self.log_start = max(self.job.log_start, bases[0] if bases else 0) if stored is None else stored
        if bases and bases[0] > max(self.log_start, self.known):
            self._drop(bases)
            bases = []
        walk_from = self._begin(names, bases)
        self.end = bases[0] if bases else self.log_start
        try:
            if bases and bases[0] > self.log_start:
                raise _Corrupt(f"the first segment begins at {bases[0]}, but the log starts at {self.log_start}")
            if purged is None:
                raise _Corrupt(f"{COMPACTION} is damaged, so nobody knows what is missing on purpose")
            self._segments(bases, walk_from)
            if self.end < self.known:
                raise _Corrupt(f"the log ends at {self.end}, but was durable up to {self.known}")
        except _Corrupt as damage:
            corrupt = f"{self.directory}: {damage}"
        if corrupt is None and self.end < self.log_start:  # all that there is was deleted
            self._drop([segment.base for segment in self.segments])
            self.segments, self.producers, self.epochs = [], ProducerStates(), EpochCache()
            self.usable, self.end = [], self.log_start
        start = min(self.log_start, self.end)
        self.epochs.truncate_from_end(self.end)
        self.epochs.truncate_from_start(start)
        kept = {segment.base for segment in self.segments}
        self.doomed += self._strays(names, kept)
        return Recovered(
            directory=self.directory,
            start=start,
            end=self.end,
            epochs=tuple(self.epochs.entries),
            corrupt=corrupt,
            truncated_bytes=self.truncated,
            segments=tuple(self.segments),
            producers=self.producers,
            snapshots=tuple(offset for offset in self.usable if offset <= self.end),
            doomed=tuple(self.doomed),
            durable=min(self.known, self.end),
            clean=self.clean,
            missing=tuple((base, snapshot) for base, snapshot in self.missing.items() if base in kept),
            purged=self.purged,
            last_epoch=self._emptied_in() if start == self.end else self.epochs.latest,
        )

    def _emptied_in(self) -> int:
        """The epoch of the last record, or of a leader that began at the end: no record says so any more."""
        return max((entry.epoch for entry in self.stored if entry.start <= self.end), default=-1)

    @property
    def compacted(self) -> bool:
        """Whether offsets may be missing."""
        return self.purged >= 0

    # Before the walk: what may be believed

    def _begin(self, names: Iterable[str], bases: list[int]) -> int:
        """Load the newest snapshot and the epochs that may be believed; the offset from which headers are walked."""
        names = set(names)
        first = bases[0] if bases else self.log_start
        limit = self.known + 1 if self.clean else self.known
        if not self.job.thorough:
            offsets = sorted(int(name[:20]) for name in names if name.endswith(".snapshot") and name[:20].isdecimal())
            known = max(self.known, self.deleted)
            self.usable = [offset for offset in offsets if first <= offset < limit or offset == first <= known]
        walk_from = first
        for offset in reversed(self.usable):
            states = self._snapshot(offset)
            if states is not None:
                self.producers, self.replayed = states, offset
                walk_from = offset
                break
            self.usable.remove(offset)
        path = f"{self.directory}/{EPOCH_CHECKPOINT}"
        size = self.reader.size(path)
        try:
            cache = EpochCache.decode(self.reader.read(path, 0, size) if size else b"")
        except ValueError:
            return first
        self.stored = tuple(cache.entries)
        cache.truncate_from_end(self.known)
        if self.known > first and cache.epoch_at(max(first, self.log_start)) < 0:
            return first  # older segments came back, or it is damaged: the log itself says what its epochs are
        self.epochs, self.checkpointed = cache, self.known > first
        return walk_from

    def _snapshot(self, offset: int) -> ProducerStates | None:
        path = f"{self.directory}/{offset:020d}.snapshot"
        try:
            at, states = ProducerStates.decode(self.reader.read(path, 0, self.reader.size(path) or 0))
        except ValueError:
            return None
        return states if at == offset else None

    # The walk

    def _segments(self, bases: list[int], walk_from: int) -> None:
        for number, base in enumerate(bases):
            if base != self.end:
                if self.end < self.known:
                    raise _Corrupt(f"a segment ends at {self.end}, the next one begins at {base}")
                self._drop(bases[number:])
                return
            self.end = base
            segment = Segment(self.directory, base, self.job.settings.index_interval)
            if segment.path == self.paths[base]:
                segment.unload()
            segment.path = self.paths[base]  # if it is a swap file its indexes may be those of what it replaces
            next_base = bases[number + 1] if number + 1 < len(bases) else None
            size = self.reader.size(segment.path) or 0
            self.segments.append(segment)
            if next_base is not None and next_base <= walk_from:
                self._check_sealed(segment, size, next_base)
                segment.seal()
                continue
            if base > bases[0] and base not in self.usable and base >= self.replayed:
                self.missing[base] = self.producers.encode(base)
            if not self._walk(segment, size, walk_from):
                self._drop(bases[number + 1 :])
                return
            if next_base is not None:
                segment.seal()

    def _check_sealed(self, segment: Segment, size: int, next_base: int) -> None:
        """A sealed segment below all that is walked: look at its first batch and its last ones."""
        data = self.reader.read(segment.path, 0, HEADER_SIZE)
        if len(data) < HEADER_SIZE:
            raise _Corrupt(f"segment {segment.base} has {size} bytes, but was durable up to {next_base}")
        header = BatchHeader._make(HEADER.unpack(data))
        fault = batch_fault(header, segment.base, -1, self.compacted)
        expected = self.epochs.epoch_at(max(header.base_offset, self.log_start))
        if fault is None and header.next_offset > self.log_start and header.leader_epoch != expected:
            fault = f"leader epoch {header.leader_epoch} where the epoch checkpoint has {expected}"
        if fault:
            raise _Corrupt(f"segment {segment.base}: {fault}")
        time_size = self.reader.size(timeindex_path(self.directory, segment.base)) or 0
        if time_size == 0 or time_size % 12:
            fresh = Segment(self.directory, segment.base, segment.interval)
            segment.index, segment.times = fresh.index, fresh.times
        try:
            segment.resume(self.reader, next_base, size, self.compacted)
        except BadBatch as bad:
            raise _Corrupt(f"segment {segment.base}, byte {bad.position}: {bad.sentence}") from None
        if segment.size != size or segment.end != next_base:
            raise _Corrupt(f"segment {segment.base} ends at {segment.end}, the next one begins at {next_base}")
        self.end = next_base

    def _walk(self, segment: Segment, size: int, walk_from: int) -> bool:
        """Walk a segment from `walk_from`; False if it ends in a torn tail."""
        crc_from = 0 if self.job.thorough or self.job.recovery_point is None else self.known
        position, expected = 0, segment.base
        try:
            if walk_from > segment.base:
                position = segment.resume(self.reader, walk_from, size, self.compacted)
                expected = segment.end
                if expected != walk_from and not self.compacted:
                    raise BadBatch(position, expected, f"no batch begins at {walk_from}")
            else:
                segment.resume(self.reader, segment.base, size, self.compacted)
            self.end = expected
            for _, header in walk(
                self.reader, segment.path, position=position, expected=expected, stop=size,
                epoch=self.epochs.epoch_at(expected - 1), crc_from=crc_from, compacted=self.compacted,
            ):  # fmt: skip
                self._take(segment, header)
        except BadBatch as bad:
            if bad.offset < self.known:
                raise _Corrupt(f"segment {segment.base}, byte {bad.position}: {bad.sentence}") from None
            self.truncated += size - bad.position
            return False
        return True

    def _take(self, segment: Segment, header: BatchHeader) -> None:
        expected = self.epochs.epoch_at(max(header.base_offset, self.log_start))
        checkable = self.checkpointed and header.base_offset < self.known and header.next_offset > self.log_start
        if checkable and header.leader_epoch != expected:
            raise _Corrupt(
                f"offset {header.base_offset}: leader epoch {header.leader_epoch}, the epoch checkpoint has {expected}"
            )
        if header.leader_epoch > self.epochs.latest:
            self.epochs.assign(header.leader_epoch, self._began(header.base_offset))
        segment.note(header)
        if header.base_offset >= self.replayed:
            self.producers.apply(header)
        self.end = header.next_offset

    def _began(self, offset: int) -> int:
        """Where the epoch of a batch at `offset` began: what follows a hole at the beginning began with the log."""
        return offset if self.epochs.entries else min(offset, self.log_start)

    # What goes

    def _drop(self, bases: list[int]) -> None:
        for base in bases:
            self.truncated += self.reader.size(self.paths[base]) or 0
            self._doom(base)

    def _doom(self, base: int) -> None:
        self.doomed.append(self.paths[base])

    def _strays(self, names: Iterable[str], kept: set[int]) -> list[str]:
        """Indexes without a segment, snapshots that are not believed, and what a crash left of a replaced file."""
        strays: list[str] = []
        for name in names:
            stem, dot, suffix = name.partition(".")
            if len(stem) != 20 or not stem.isdecimal() or dot + suffix not in _SUFFIXES or suffix == "log":
                continue
            offset = int(stem)
            if offset not in (self.usable if suffix == "snapshot" else kept):
                strays.append(f"{self.directory}/{name}")
        return strays
