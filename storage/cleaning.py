"""Compaction of one log, from beginning to end: of each key the last record stays.

A cleaning is driven from outside: whoever owns the log asks for the next `job`, runs it where it likes and as soon as
it likes, and hands the result back (`take`). In between everything else goes on: appends, reads, retention. So a
cleaning is as slow as its owner wants, a slice of a segment at a time, and what it has in memory is a map of keys
within a budget, and one slice.

    replaying  the producers as they were where the cleaning ends
    mapping    the keys of what is dirty, which begins where the last cleaning ended, until there is no more, or no room
    cleaning   all segments from the first one on, in groups that fit into one segment: what stays goes to a new file
    swapping   the new segment takes the place of its group (`swapping`); then the next group

Only sealed segments below `limit` are touched: they are committed everywhere and durable here, so no truncation will
ever come near (P25, KAFKA-13194). Groups are replaced in order: a tombstone is only ever marked for removal when all
that it deletes is durably gone. If the log loses any of the segments meanwhile, the cleaning has failed, and nothing is
lost but work.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

import msgspec

from .compaction import Cleaned, CleanSegment, MapKeys, Mapped, Replayed, ReplayProducers, Rules, Slice
from .disk import DiskFull
from .log import Log
from .offset_map import OffsetMap
from .producers import ProducerStates
from .segment import MAX_RELATIVE, Segment, cleaned_path

CleaningJob = ReplayProducers | MapKeys | CleanSegment
Found = Replayed | Mapped | Cleaned


class Plan(msgspec.Struct, frozen=True):
    """What is to be cleaned, and how."""

    dirty: int  # everything below was cleaned before
    limit: int  # segments that reach beyond are left alone
    now_ms: int
    delete_retention_ms: int
    purge_below: int  # tombstones from here on stay, whatever their age
    slice_bytes: int = 256 << 10
    map_bytes: int = 32 << 20


class Stage(Enum):
    REPLAYING = "replaying"
    MAPPING = "mapping"
    CLEANING = "cleaning"
    SWAPPING = "swapping"
    DONE = "done"
    FAILED = "failed"


class Cleaning:
    """One cleaning of one log. Ask `job()`; None means that it waits for a flush (`synced`) or is over (`stage`)."""

    def __init__(self, log: Log, plan: Plan) -> None:
        self.log = log
        self.plan = plan
        self.stage = Stage.REPLAYING
        self.why = ""  # it failed
        self.damage = ""  # why the log must not be used any more
        self.records_before = self.records_after = self.bytes_before = self.bytes_after = 0
        self._segments = [segment for segment in log.segments[:-1] if segment.end <= plan.limit]
        self._producers = ProducerStates()  # as of the end of the segments
        self._map = OffsetMap(plan.map_bytes)
        self._mapped_to = plan.dirty
        self._to_map = deque(segment for segment in self._segments if segment.end > plan.dirty)
        self._position = self._offset = 0  # in the segment at hand
        self._rules: Rules | None = None  # known once all is mapped
        self._groups: deque[list[Segment]] = deque()
        self._to_clean: deque[Segment] = deque()  # of the group at hand
        self._new: Segment | None = None
        self._changed = False  # anything of the group at hand
        self._epoch = -1
        self._purged = 0
        self._out: CleaningJob | None = None
        if not self._to_map:
            self._fail("there is nothing to clean")

    @property
    def over(self) -> bool:
        return self.stage in (Stage.DONE, Stage.FAILED)

    @property
    def cleaned_to(self) -> int:
        """Once done: where the next cleaning begins."""
        return self._mapped_to

    def job(self) -> CleaningJob | None:
        """The next job, unless one is out."""
        if self._out is None and self.stage is Stage.REPLAYING:
            segments = tuple((one.path, one.base, one.end, one.size) for one in self._segments)
            limit, snapshots = self._segments[-1].end, tuple(self.log.snapshots)
            self._out = ReplayProducers(self.log.directory, limit, snapshots, segments)
        elif self._out is None and self.stage is Stage.MAPPING:
            self._out = MapKeys(self._slice(self._to_map[0]), self.plan.dirty, self._map.room)
        elif self._out is None and self.stage is Stage.CLEANING:
            assert self._rules is not None, "rules come with the end of mapping"
            part = self._slice(self._to_clean[0])
            self._out = CleanSegment(part, self._groups[0][-1].end, self._epoch, self._rules)
        else:
            return None
        return self._out

    def take(self, job: CleaningJob, result: Found | None, error: str | None = None) -> None:
        """What became of a job. A log that has changed meanwhile makes all of it worthless."""
        if job is not self._out:
            return
        self._out = None
        if not self._intact():
            self._fail("the log has lost some of what was being cleaned")
        elif result is None:
            self._fail(error or "a segment could not be read")
        elif result.damage is not None:
            self.damage = result.damage
            self._fail(result.damage)
        elif isinstance(result, Replayed):
            self._producers = result.states
            self.stage = Stage.MAPPING
        elif isinstance(result, Mapped):
            self._mapped(result)
        else:
            try:
                self._cleaned(result)
            except DiskFull as full:
                self._fail(str(full))

    def synced(self) -> bool:
        """A flush has ended: whether a group has been replaced, or cannot be, so that it goes on."""
        if self.stage is not Stage.SWAPPING or self.log.swapping:
            return False
        if self._new in self.log.segments:
            self._next_group()
        else:
            self._fail("the log has lost some of what was being cleaned")
        return True

    def abandon(self, why: str) -> None:
        """It cannot go on now. A replacement that is under way is finished by the log."""
        self._fail(why)

    def _slice(self, segment: Segment) -> Slice:
        offset = segment.base if self._position == 0 else self._offset
        epochs, most = tuple(self.log.epochs.entries), self.plan.slice_bytes
        return Slice(segment.path, self._position, segment.size, offset, segment.end, epochs, most)

    # --- Mapping ---

    def _mapped(self, found: Mapped) -> None:
        self._map.add(found.latest)
        self._position, self._offset = found.position, found.offset
        self._mapped_to = max(self._mapped_to, found.offset)
        if self._position >= self._to_map[0].size:
            self._mapped_to = max(self._mapped_to, self._to_map.popleft().end)
            self._position = 0
        if self._map.room and self._to_map:
            return
        states = self._producers.states
        self._rules = Rules(
            latest=self._map.latest,
            mapped_to=self._mapped_to,
            repeatable=frozenset(batch.base_offset for state in states.values() for batch in state.batches),
            last_sequences={pid: (state.epoch, state.last_sequence) for pid, state in states.items()},
            now_ms=self.plan.now_ms,
            delete_retention_ms=self.plan.delete_retention_ms,
            purge_below=self.plan.purge_below,
        )
        self._groups = deque(self._grouped([one for one in self._segments if one.base < self._mapped_to]))
        self.bytes_before = sum(segment.size for group in self._groups for segment in group)
        self._begin_group()

    def _grouped(self, segments: list[Segment]) -> list[list[Segment]]:
        """Consecutive segments that fit into one."""
        groups: list[list[Segment]] = []
        size = 0
        for segment in segments:
            fits = (
                groups
                and size + segment.size <= self.log.settings.segment_bytes
                and segment.end - groups[-1][0].base <= MAX_RELATIVE
            )
            if fits:
                groups[-1].append(segment)
                size += segment.size
            else:
                groups.append([segment])
                size = segment.size
        return groups

    # --- Cleaning ---

    def _begin_group(self) -> None:
        group = self._groups[0]
        self.stage, self._position, self._to_clean, self._changed = Stage.CLEANING, 0, deque(group), False
        self._new = Segment(self.log.directory, group[0].base, self.log.settings.index_interval)
        self._new.path = cleaned_path(self.log.directory, group[0].base)

    def _cleaned(self, found: Cleaned) -> None:
        new = self._new
        assert new is not None, "a group is at hand"
        if found.data:
            generation = self.log.disk.append(new.path, found.data)
            new.created = new.created or generation
            for header in found.headers:
                new.note(header)
        self._position, self._offset, self._epoch = found.position, found.offset, found.epoch
        self._purged, self._changed = max(self._purged, found.purged), self._changed or found.changed
        self.records_before += found.records_before
        self.records_after += found.records_after
        if self._position >= self._to_clean[0].size:
            self._to_clean.popleft()
            self._position = 0
        if self._to_clean:
            return
        group = self._groups[0]
        self.bytes_after += new.size
        if len(group) == 1 and not self._changed:
            self.log.disk.delete(new.path)
            self._next_group()
            return
        new.seal()
        self.log.replace_group(group, new, self._purged)
        self.stage = Stage.SWAPPING

    def _next_group(self) -> None:
        self._new = None
        self._groups.popleft()
        if self._groups:
            self._begin_group()
        else:
            self.stage = Stage.DONE

    # --- The end ---

    def _intact(self) -> bool:
        """Whether the log still has every segment that is left to clean."""
        left = [segment for group in self._groups for segment in group] if self._groups else self._segments
        have = set(map(id, self.log.segments))
        return all(id(segment) in have for segment in left)

    def _fail(self, why: str) -> None:
        if self.over:
            return
        if self._new is not None and self.stage is Stage.CLEANING:
            self.log.disk.delete(self._new.path)
        self.stage, self.why, self._out = Stage.FAILED, why, None
