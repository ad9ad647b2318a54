"""How a log loses its beginning: the start moves, and segments that lie before it are deleted.

The start is in a file of its own (`log-start`) and durable before the first old segment goes, because a power loss may
keep later segments of a log that has lost earlier ones: without the file that would look like damage. Old segments go
one by one, each when the deletion before it and the creation of its successor are durable: what is left is always a
chain, whatever is lost. So `delete_segments_before` only begins; `_retire` goes on with every flush.

Time and size count as in Kafka: a segment is too old when its newest record is, and the oldest segments are too many
when the log is larger than it may be without them. A record that claims to be from the future, or from no time at all,
must not keep its segment for ever: it counts as written when somebody first looked at it. That is remembered in memory
only, so after a restart such a segment begins its time anew.
"""

from __future__ import annotations

from .disk import Disk, Generation
from .epochs import EpochCache
from .reading import Reading
from .recovery import EPOCH_CHECKPOINT, LOG_START, Recovered, encode_start
from .segment import Segment, index_path, snapshot_path, timeindex_path
from .settings import LogSettings


class Trimming(Reading):
    """The part of `Log` that is about its beginning."""

    def __init__(self, disk: Disk, directory: str, settings: LogSettings, recovered: Recovered) -> None:
        super().__init__(disk, directory, settings, recovered)
        self.disk: Disk = disk
        self.producers = recovered.producers
        self._snapshots = list(recovered.snapshots)
        self._retire_to = 0  # segments that end here or before are to be deleted
        self._start_written = Generation(0)  # when `start` was written
        self._durable_start = recovered.start if recovered.clean else 0
        self._retired = Generation(0)  # the last deletion of a segment

    @property
    def recovery_point(self) -> int:
        """What is really durable."""
        raise NotImplementedError

    @property
    def durable_start(self) -> int:
        """A start that would survive the loss of power: records below it are gone for good."""
        return min(self._durable_start, self.start)

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self.segments)

    @property
    def snapshots(self) -> list[int]:
        """The offsets of the producer snapshots that there are."""
        return self._snapshots

    def advance_start(self, offset: int) -> Generation:
        """Records below `offset` are no longer served, for good when the generation is durable. May raise DiskFull."""
        if offset <= self.start:
            return self._start_written
        assert offset <= self.end, f"the start {offset} would be beyond the end {self.end}"
        self._start_written = self._write_start(offset)
        epochs = EpochCache(self.epochs.entries)
        if epochs.truncate_from_start(offset):
            self._write_epochs(epochs)
            self.epochs = epochs
        self.start = offset
        return self._start_written

    def expired_before(self, now_ms: int, retention_ms: int, retention_bytes: int) -> int:
        """The offset before which whole segments are too old, or too many; -1 for either limit means none.

        If even the active segment is too old, that is the end of the log: `roll` it before deleting.
        """
        offset, excess = self.start, self.size_bytes - retention_bytes if retention_bytes >= 0 else 0
        for segment in self.segments:
            old = retention_ms >= 0 and segment.size > 0 and now_ms - segment.newest_ms(now_ms) > retention_ms
            many = excess >= segment.size > 0 and segment is not self.segments[-1]
            if not old and not many:
                break
            excess -= segment.size
            offset = segment.end
        return offset

    def delete_segments_before(self, offset: int) -> int:
        """Move the start to the last sealed segment's end up to `offset`, delete what is before; bytes freed now.

        The caller bounds `offset` by the high watermark. What cannot go yet goes in `synced`, one by one. May raise
        DiskFull, before anything is changed.
        """
        ends = [segment.end for segment in self.segments[:-1] if segment.end <= min(offset, self.recovery_point)]
        if ends:
            for end in ends:
                self._know_producers(end)
            self.advance_start(ends[-1])
            self._retire_to = max(self._retire_to, ends[-1])
        self._retire_to = max(self._retire_to, min(self.start, offset))
        return self._retire()

    def _know_producers(self, offset: int) -> None:
        """Once a segment is gone only a snapshot says who wrote it. It may have found no room when it was due."""
        if offset not in self._snapshots and self.producers.states:
            known = self.producers.before(offset, len(self.producers.states))
            self.disk.replace(snapshot_path(self.directory, offset), known.encode(offset))
            self._snapshots.append(offset)

    @property
    def _retiring(self) -> bool:
        """Whether a segment waits for its deletion, or a start for its flush."""
        return len(self.segments) > 1 and self.segments[0].end <= min(self._retire_to, self.start)

    def _start_synced(self, generation: Generation) -> bool:
        """Everything up to `generation` is durable; whether `durable_start` moved."""
        if self._durable_start >= self.start or generation < self._start_written:
            return False
        self._durable_start = self.start
        return True

    def _retire(self) -> int:
        freed = 0
        while self._retiring:
            if not self._survives(self.segments[1]) or max(self._retired, self._start_written) > self.disk.synced:
                break
            base = self._bases[0]  # its snapshot stays, in case that the segment comes back
            freed += self.segments[0].size
            self._delete_segment(0)
            self._retired = self.disk.written
            for taken in [taken for taken in self._snapshots if taken < base]:
                self._drop_snapshot(taken)
        return freed

    def _survives(self, segment: Segment) -> bool:
        """Whether the segment's file outlives the loss of power; a lazy write's generation does not say so."""
        if segment.created is None or segment.created > self.disk.synced:
            return False
        return not (self.settings.durability == "os" and segment.size) or self.recovery_point > segment.base

    def _delete_segment(self, number: int) -> None:
        segment = self.segments.pop(number)
        del self._bases[number]
        for path in (
            segment.path,
            index_path(self.directory, segment.base),
            timeindex_path(self.directory, segment.base),
        ):
            self.disk.delete(path)
        self._cursors.clear()

    def _drop_snapshot(self, offset: int) -> None:
        self._snapshots.remove(offset)
        self.disk.delete(snapshot_path(self.directory, offset))

    def _write_start(self, offset: int) -> Generation:
        return self.disk.replace(f"{self.directory}/{LOG_START}", encode_start(offset))

    def _write_epochs(self, epochs: EpochCache) -> Generation:
        return self.disk.replace(f"{self.directory}/{EPOCH_CHECKPOINT}", epochs.encode())
