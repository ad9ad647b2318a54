"""The log of one partition: a chain of segments in Kafka's own format, and what is known about it.

    <topic>-<partition>/
        partition.metadata          the topic's id: a directory of a deleted topic is never mistaken for its successor's
        leader-epoch-checkpoint     see `epochs`
        log-start                   the first offset, once it is not 0
        %020d.log .index .timeindex see `segment`; there is none before the first record
        %020d.snapshot              see `producers`; written at each roll and every 64 MiB

Writing goes to the disk at once and is durable later: every change returns a generation, and `synced` moves
`durable_end`. The order of writes within one flush is not known, so nothing here rests on it:

- the epoch checkpoint is written before the first record of an epoch, and not believed above the recovery point;
- a producer snapshot is believed only below the recovery point, when everything written before it is durable too;
- after a truncation old bytes may come back. The caller lowers the recovery point durably *first*, so they are found
  by the scan and are either the old log again or a torn tail;
- old segments are deleted one by one (`trimming`): what is left is always a chain.

Memory changes after the disk has taken the bytes, so a refused write (`DiskFull`) leaves everything as it was. Indexes
and snapshots can be derived: if there is no room for them, they are missing. Nothing read from disk leaves this file
unless its header fits the chain, the epoch the checkpoint, and the CRC the bytes.
"""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections import deque

import msgspec

from .disk import Buffer, Disk, DiskFull, Generation
from .epochs import EpochCache
from .producers import ProducerStates
from .reading import CorruptLog, OffsetOutOfRange
from .records import (
    BatchHeader,
    InvalidBatch,
    check_crc,
    iter_headers,
    parse_header,
    patch,
)
from .recovery import METADATA, Recovered
from .segment import (
    MAX_RELATIVE,
    BadBatch,
    Segment,
    chain_fault,
    index_path,
    log_path,
    snapshot_path,
    timeindex_path,
)
from .settings import LogSettings
from .swapping import Swapping

__all__ = ["Appended", "CorruptLog", "Log", "LogSettings", "OffsetOutOfRange", "encode_metadata", "format_topic_id"]

LAZY_ENTRIES = 64  # index entries written at a time


class Appended(msgspec.Struct, frozen=True):
    """The records are readable now, and durable when `generation` is."""

    base_offset: int
    last_offset: int
    generation: Generation
    size: int


def format_topic_id(topic_id: bytes) -> str:
    """As Kafka prints a Uuid: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(topic_id).decode().rstrip("=")


def encode_metadata(topic_id: bytes) -> bytes:
    """The content of `partition.metadata`."""
    return f"version: 0\ntopic_id: {format_topic_id(topic_id)}".encode()


class Log(Swapping):
    """See the essay above. Made by `Log.open`; owned by one actor."""

    def __init__(
        self, disk: Disk, directory: str, topic_id: bytes, settings: LogSettings, recovered: Recovered
    ) -> None:
        super().__init__(disk, directory, settings, recovered)
        self.topic_id = topic_id
        self.lazy = settings.durability == "os"  # what is written counts at once, and no flush is asked for it
        self.bytes_in = 0  # written since it was opened
        self._since_snapshot = 0
        self._safe_end = recovered.end  # everything below survives the loss of power
        self._unsynced: deque[tuple[Generation, int]] = deque()  # (generation, what `_safe_end` becomes with it)
        self._reset: Generation | None = None  # a reset that is not durable yet
        self._purged_then = -1  # what `purged` becomes with it

    @classmethod
    def open(
        cls, disk: Disk, directory: str, topic_id: bytes, settings: LogSettings, recovered: Recovered | None
    ) -> Log:
        """Open what `RecoverLog` found, or a brand new log (None). ValueError if it is corrupt or another topic's."""
        assert len(topic_id) == 16, f"a topic id has 16 bytes, found {len(topic_id)}"
        if recovered is None:
            if any(name.endswith(".log") for name in disk.list(directory)):
                raise ValueError(f"{directory} has segments: it must be recovered")
            recovered = Recovered(directory=directory, start=0, end=0)
        if recovered.corrupt is not None:
            raise ValueError(recovered.corrupt)
        path, metadata = f"{directory}/{METADATA}", encode_metadata(topic_id)
        size = disk.size(path)
        found = None if size is None else disk.read(path, 0, size)
        if found is not None and found.strip() != metadata:
            raise ValueError(f"{path}: expected topic id {format_topic_id(topic_id)}, found {found[:80]!r}")
        log = cls(disk, directory, topic_id, settings, recovered)
        if found is None:
            named = disk.replace(path, metadata)
            if log.lazy:  # without its name a log is nobody's, whatever else a crash has left of it
                log._reset = named
        if settings.compacted:
            log.compact(0)
        log._repair(recovered)
        return log

    def _repair(self, recovered: Recovered) -> None:
        """Make the files what recovery says they are, and durably so: nobody knows what a dead process left unflushed.

        That may also be a truncation, so a segment that ends at the recovery point is flushed too.
        """
        for path in recovered.doomed:
            self.disk.delete(path)
        self._safe_end = min(recovered.durable, self.end)
        for number, segment in enumerate(self.segments):
            segment.created = Generation(0)
            if not recovered.clean and segment.end >= self._safe_end:
                segment.created = self.disk.truncate(segment.path, segment.size)
            self._cut_index(segment)
            if number < len(self.segments) - 1:
                self._save_index(segment, lazy=False)
                segment.unload()
            if segment.path != log_path(self.directory, segment.base):
                self._unnamed.append((segment, self.disk.written))
        if recovered.clean or not (self.segments or self.start):
            return
        for offset, snapshot in recovered.missing:
            self.disk.replace(snapshot_path(self.directory, offset), snapshot)
            self._snapshots.append(offset)
        self._write_epochs(self.epochs)
        if self.start:
            self._start_written = self._write_start(self.start)
            self._retire_to = self.start
        self._unsynced.append((self.disk.flush_lazy(self.directory), self.end))

    def configure(self, settings: LogSettings) -> None:
        """The topic was altered: from now on it is kept like this."""
        was_lazy = self.lazy
        self.settings = settings
        if settings.compacted:
            self.compact(0)
        self.lazy = self.settings.durability == "os"
        if was_lazy and not self.lazy:
            self._unsynced.append((self.disk.flush_lazy(self.directory), self.end))

    # What is known

    @property
    def resetting(self) -> bool:
        """Whether a reset, or the name, is not durable yet: a crash may undo it, so nobody may count on this log."""
        return self._reset is not None

    @property
    def name(self) -> str:
        return self.directory

    @property
    def settled(self) -> bool:
        """Whether no flush has anything to tell this log: `synced` need not be called."""
        waits = self._unsynced or self._reset is not None or self._retiring or self.swapping
        return not waits and self._durable_start >= self.start

    @property
    def durable_end(self) -> int:
        """What counts as durable: with durability "os" everything that was written."""
        if self._reset is not None:
            return 0
        safe, end = self._safe_end, self.end
        return end if self.lazy or safe > end else safe

    @property
    def recovery_point(self) -> int:
        """What may be checkpointed now: all below is really durable. 0 while a reset is not."""
        if self._reset is not None:
            return 0
        return min(self._safe_end, self.end)

    @property
    def last_epoch(self) -> int:
        """The newest epoch of the cache; only a leader's may be newer than the last batch's."""
        return self.epochs.latest

    # Writing

    def append(self, batch: bytearray | bytes, epoch: int, now_ms: int) -> Appended:
        """As leader: give one checked batch (`check_incoming`, `producers.check`) its place. Keeps a bytearray."""
        data = batch if isinstance(batch, bytearray) else bytearray(batch)
        patch(data, self.end, epoch)
        header = parse_header(data)
        assert header.size == len(data), f"a batch of {header.size} bytes expected, {len(data)} bytes found"
        assert len(data) <= self.settings.max_batch_bytes, f"a batch of {header.size} bytes was let in"
        if epoch != self.epochs.latest:
            self.assign_epoch(epoch)
        return self._write(data, [header], now_ms)

    def append_replica(self, data: Buffer) -> Appended:
        """As follower: batches as the leader sent them. All are checked before any is written; raises InvalidBatch.

        A log that is empty may begin inside of a batch: records were deleted up to an offset within it.
        """
        content = data if isinstance(data, bytes) else bytes(data)
        headers: list[BatchHeader] = []
        expected, epoch, most = self.end, self.epochs.epoch_at(self.end - 1), self.settings.max_batch_bytes
        for position, header in iter_headers(content):
            if not headers and not self.segments and header.base_offset < self.start == expected < header.next_offset:
                expected = header.base_offset
            fault = chain_fault(header, expected, epoch, self.compacted)
            if fault:
                raise InvalidBatch("malformed", f"{self.directory} cannot take what follows {expected - 1}: {fault}")
            if header.size > most:
                raise InvalidBatch("too_large", f"a batch of {header.size} bytes, at most {most}")
            if not check_crc(content, header, position):
                raise InvalidBatch("bad_crc", f"the CRC of the batch at offset {expected} is not {header.crc:#010x}")
            headers.append(header)
            expected, epoch = header.next_offset, header.leader_epoch
        if not headers:
            raise InvalidBatch("too_short", "there is no batch to append")
        epochs = self.epochs
        if not headers[0].leader_epoch == headers[-1].leader_epoch == epochs.latest:
            epochs = self._epochs_with(headers)
            self._write_epochs(epochs)
        appended = self._write(content, headers, headers[-1].max_timestamp)
        self.epochs = epochs
        return appended

    def _epochs_with(self, headers: list[BatchHeader]) -> EpochCache:
        """The cache once these are appended. An empty epoch of a former leadership gives way to what followed."""
        epochs = EpochCache(self.epochs.entries)
        if epochs.latest != headers[0].leader_epoch:
            epochs.truncate_from_end(self.end)
        for header in headers:
            # Behind a hole at the beginning too early is safe: followers cut more than they must, and never less.
            epochs.assign(header.leader_epoch, header.base_offset if epochs.entries else self.start)
        return epochs

    def _write(self, data: bytes | bytearray, headers: list[BatchHeader], now_ms: int) -> Appended:
        size = len(data)
        segment = self._segment_for(headers, size, now_ms)
        generation = self.disk.append(segment.path, data, lazy=self.lazy)
        if segment.created is None:
            segment.created = generation
        position, single, last = 0, len(headers) == 1, -1
        for header in headers:
            segment.note(header)
            self.producers.apply(header)
            last = header.last_offset
            self._tail.add(header.base_offset, last, data if single else data[position : position + header.size])
            position += header.size
        self.end = last + 1
        self._since_snapshot += size
        self.bytes_in += size
        if not self.lazy:
            self._unsynced.append((generation, last + 1))
        if segment.index is not None and len(segment.index.offsets) - segment.index_saved >= LAZY_ENTRIES:
            self._save_index(segment, lazy=True)
        return Appended(headers[0].base_offset, last, generation, size)

    def assign_epoch(self, epoch: int) -> Generation | None:
        """As leader: `epoch` begins at the end of the log. None if it has begun already."""
        epochs = EpochCache(self.epochs.entries)
        if not epochs.assign(epoch, self.end):
            return None
        generation = self._write_epochs(epochs)
        self.epochs = epochs
        return generation

    # Segments and what belongs to them

    def _segment_for(self, headers: list[BatchHeader], size: int, now_ms: int) -> Segment:
        """The segment for the next batches, rolled if it is full, old or out of relative offsets."""
        if self.segments:
            active, last = self.segments[-1], headers[-1]
            age = max(last.max_timestamp, now_ms) - active.first_timestamp if active.first_timestamp >= 0 else 0
            if active.size and (
                active.size + size > self.settings.segment_bytes
                or age > self.settings.segment_ms
                or last.last_offset - active.base > MAX_RELATIVE
            ):
                self._seal(active)
            elif self._since_snapshot >= self.settings.snapshot_interval:
                self._snapshot(active)
        if not self.segments or (self.segments[-1].size and self.segments[-1].index is None):
            base = min(self.end, headers[0].base_offset)
            if not self.segments and base < self.end and self._snapshots:
                self._first_snapshot(base)  # it begins inside of a batch, but can be read from its beginning only
            self._add_segment(base)
        return self.segments[-1]

    def roll(self) -> None:
        """Seal the active segment, so that all its records can be deleted when their time has come."""
        if self.segments and self.segments[-1].size:
            self._seal(self.segments[-1])
            active = self._add_segment(self.end)
            active.created = self.disk.append(active.path, b"")
            if not self.lazy:
                self._unsynced.append((active.created, self.end))

    def _add_segment(self, base: int) -> Segment:
        segment = Segment(self.directory, base, self.settings.index_interval)
        self.segments.append(segment)
        self._bases.append(base)
        return segment

    def _seal(self, segment: Segment) -> None:
        segment.seal()
        self._snapshot(segment)
        if self.lazy:
            self._unsynced.append((self.disk.flush_lazy(segment.path), self.end))
        segment.unload()

    def _snapshot(self, segment: Segment) -> None:
        """A producer snapshot at the end, believed after a crash together with the indexes below it."""
        self._since_snapshot = 0
        if not self._save_index(segment, lazy=False) or self.end == 0:
            return
        self.disk.flush_lazy(index_path(self.directory, segment.base))
        self.disk.flush_lazy(timeindex_path(self.directory, segment.base))
        try:
            self.disk.replace(snapshot_path(self.directory, self.end), self.producers.encode(self.end))
        except DiskFull:
            return
        if self.end not in self._snapshots:
            self._snapshots.append(self.end)
        bases = {*self._bases, self.end}
        between = [offset for offset in self._snapshots if offset not in bases]
        for offset in between[:-2]:
            self._drop_snapshot(offset)

    def _save_index(self, segment: Segment, *, lazy: bool) -> bool:
        """Write the entries that the files lack; False if there is no room, which costs time later and nothing else."""
        assert segment.index is not None
        assert segment.times is not None
        try:
            path = index_path(self.directory, segment.base)
            missing = not lazy and not segment.index_saved and self.disk.size(path) is None  # Kafka's tools want a file
            if len(segment.index) > segment.index_saved or missing:
                data = segment.index.encode(segment.index_saved)
                self.disk.append(path, data, lazy=lazy)
                segment.index_saved = len(segment.index)
            if len(segment.times) > segment.times_saved:
                data = segment.times.encode(segment.times_saved)
                self.disk.append(timeindex_path(self.directory, segment.base), data, lazy=lazy)
                segment.times_saved = len(segment.times)
        except DiskFull:
            return False
        return True

    def _cut_index(self, segment: Segment) -> None:
        """Cut the index files to the entries that are known to be saved."""
        for path, size in (
            (index_path(self.directory, segment.base), 8 * segment.index_saved),
            (timeindex_path(self.directory, segment.base), 12 * segment.times_saved),
        ):
            if (self.disk.size(path) or 0) > size:
                self.disk.truncate(path, size)

    # Cutting

    def truncation_end(self, offset: int) -> int:
        """Where the log would end after `truncate_to(offset)`: where the last batch ends that lies wholly below."""
        if offset >= self.end:
            return self.end
        if not self.compacted:
            return min(offset, next(self.batches_from(offset)).base_offset)
        segment = self.segments[max(0, bisect_left(self._bases, offset) - 1)]
        ends = [header.next_offset for _, header in self._walk(segment, segment.base)]
        return max((end for end in ends if end <= offset), default=min(offset, segment.base))

    def truncate_to(self, offset: int) -> Generation:
        """Remove every batch that reaches `offset` or beyond; the log then ends at `truncation_end(offset)`.

        The caller has lowered the recovery point durably to that first.
        """
        assert offset >= self.start, f"truncation to {offset} of a log that begins at {self.start}"
        epochs = EpochCache(self.epochs.entries)
        if offset < self.end:
            self._truncate(offset)
        if epochs.truncate_from_end(self.end):
            self._write_epochs(epochs)
            self.epochs = epochs
        return self.disk.flush_lazy(self.directory)

    def _truncate(self, offset: int) -> None:
        if self._swap is not None and self._swap.segment.end > offset:
            self._abandon_swap()
        self._safe_end = min(self._safe_end, offset)  # no more is promised from here on, however far this gets
        while len(self.segments) > 1 and self.segments[-1].base >= offset:
            self._delete_segment(len(self.segments) - 1)
        segment = self.segments[-1]
        size, self.end = segment.size, min(segment.end, offset)
        self._loaded = deque(loaded for loaded in self._loaded if loaded is not segment)
        self._resume(segment, offset, size)
        if segment.created is not None and segment.size < size:
            self.disk.truncate(segment.path, segment.size)
        self._cut_index(segment)
        self.end = min(segment.end, self.end)
        self.cleaned = min(self.cleaned, self.end)
        self._cursors.clear()
        self._tail.cut(self.end)
        self._safe_end = min(self._safe_end, self.end)
        self._unsynced = deque((generation, min(end, self.end)) for generation, end in self._unsynced)
        self._since_snapshot = 0
        for taken in [taken for taken in self._snapshots if taken > self.end]:
            self._drop_snapshot(taken)
        self._replay()

    def _resume(self, segment: Segment, offset: int, size: int) -> None:
        try:
            segment.resume(self.disk, offset, size, self.compacted)
        except BadBatch as bad:
            raise self._corrupt(bad.offset, bad.sentence) from None

    def _replay(self) -> None:
        """Producer states from the newest snapshot that can be read, and the headers after it."""
        start, self.producers = self.start, ProducerStates()
        for offset in sorted(self._snapshots, reverse=True):
            path = snapshot_path(self.directory, offset)
            try:
                start, self.producers = ProducerStates.decode(self.disk.read(path, 0, self.disk.size(path) or 0))
                break
            except ValueError:
                self._drop_snapshot(offset)
        for header in self.batches_from(start):
            self.producers.apply(header)

    def reset_to(self, offset: int, purged: int = -1, producers: ProducerStates | None = None) -> Generation:
        """Drop everything; the next record gets `offset`. The caller has made the recovery point 0 durably first.

        `producers`: what the leader knows of those who wrote below, and might repeat it.

        `purged`: what the leader has purged. Once nothing of the old log can come back this one has no value whose
        tombstone lies below, whatever it copies from now on.
        """
        self._abandon_swap()
        self._purged_then = max(purged, self.purged)
        self._safe_end = 0
        while self.segments:
            self._delete_segment(len(self.segments) - 1)
        for taken in list(self._snapshots):
            self._drop_snapshot(taken)
        self.start = self.end = self._safe_end = offset
        self.cleaned = 0
        self._retire_to = 0
        self._unsynced.clear()
        self._cursors.clear()
        self._tail.clear()
        self.producers, self.epochs = producers or ProducerStates(), EpochCache()
        self._write_epochs(self.epochs)
        if self.producers.states:
            self._first_snapshot(offset)
        self._reset = self._start_written = self._write_start(offset)
        return self._reset

    def _first_snapshot(self, offset: int) -> None:
        """What is known of producers where a log begins that has lost what was before."""
        for taken in list(self._snapshots):
            self._drop_snapshot(taken)
        self.disk.replace(snapshot_path(self.directory, offset), self.producers.encode(offset))
        self._snapshots.append(offset)

    # Durability

    def flush(self) -> Generation:
        """Ask for what was written lazily; the generation to wait for before `recovery_point` is everything."""
        if not self.lazy:
            return self._unsynced[-1][0] if self._unsynced else self.disk.flush_lazy(self.directory)
        generation = self.disk.flush_lazy(self.directory)
        self._unsynced.append((generation, self.end))
        return generation

    def synced(self, generation: Generation) -> bool:
        """Everything up to `generation` is durable; whether `durable_end` or `durable_start` moved, or a reset is."""
        before, reset = self.durable_end, self._reset
        if self._reset is not None and generation >= self._reset:
            self._reset = None
            if self._purged_then > self.purged:
                self.compact(self._purged_then)
        while self._unsynced and self._unsynced[0][0] <= generation:
            self._safe_end = max(self._safe_end, self._unsynced.popleft()[1])
        self._swap_synced(generation)
        began = self._start_synced(generation)
        if self._retire_to:
            self._retire()
        return began or self.durable_end != before or self._reset is not reset

    def close_clean(self) -> Generation:
        """Write what makes the next start quick. When the generation is durable, checkpoint `end` as recovery point."""
        if self.segments and self.segments[-1].index is not None:
            self._snapshot(self.segments[-1])
        generation = self.disk.flush_lazy(self.directory)
        self._unsynced.append((generation, self.end))
        return generation
