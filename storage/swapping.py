"""How cleaned segments take the place of others, so that a crash at any step leaves a whole log.

A cleaned segment replaces a *group*: consecutive sealed segments, whose offsets it has, from the base of the first to
the end of the last. Each step begins when the one before is durable, and the names of files alone tell how far it came:

    written   `<base>.cleaned` has all that stays of the group. A start deletes it.
    decided   it is called `<base>-<end>.swap`. From here on the group is replaced, whatever happens: a start finds that
              name, deletes every segment that begins within it, and goes on below.
    emptied   the group's own files are gone; the log reads the swap file.
    named     the swap file has the name of a segment, which has been free durably: no older file can come back there.

The `compaction` file says that a log has holes, and below which offset tombstones are gone. It is durable before the
first hole is: a hole in a log without it is damage. What it says of tombstones is durable before the first is removed,
and only ever rises, since whoever copies from this log must know it (`purged`, see `actors/purging`).

One replacement is under way at a time. Nothing is deleted from the beginning of the log between decided and emptied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from .disk import Disk, Generation
from .recovery import COMPACTION, Recovered, encode_start
from .segment import Segment, index_path, log_path, swap_path, timeindex_path
from .settings import LogSettings
from .trimming import Trimming


class _Swap(msgspec.Struct):
    """A replacement that is written or decided."""

    group: list[Segment]
    segment: Segment
    generation: Generation  # when this step is durable
    decided: bool = False


class Swapping(Trimming):
    """The part of `Log` that replaces segments."""

    def __init__(self, disk: Disk, directory: str, settings: LogSettings, recovered: Recovered) -> None:
        super().__init__(disk, directory, settings, recovered)
        self.purged = recovered.purged  # tombstones below may be gone; -1: the log has no holes
        self.cleaned = 0  # the cleaner has been through everything below
        self._swap: _Swap | None = None
        self._unnamed: list[tuple[Segment, Generation]] = []  # called .swap until the group is durably gone
        self._named = Generation(0)  # when the last replacement was finished

    @property
    def compacted(self) -> bool:
        """Whether there may be holes."""
        return self.purged >= 0

    @property
    def swapping(self) -> bool:
        """Whether a replacement is under way; `synced` goes on with it."""
        return self._swap is not None or bool(self._unnamed) or self._named > self.disk.synced

    def compact(self, purged: int) -> None:
        """Holes are allowed from now on, and tombstones below `purged` may be missing."""
        if purged > self.purged:
            self.disk.replace(f"{self.directory}/{COMPACTION}", encode_start(purged))
            self.purged = purged

    def replace_group(self, group: Sequence[Segment], cleaned: Segment, purged: int) -> None:
        """Begin to replace a group by a segment that is completely written (its path ends with .cleaned).

        Nothing comes of it if the log loses any of the group before that is decided.
        """
        assert not self.swapping, "one replacement at a time"
        assert (cleaned.base, cleaned.end) == (group[0].base, group[-1].end), "it has other offsets than the group"
        self.compact(max(purged, self.purged, 0))
        self._swap = _Swap(list(group), cleaned, self.disk.written)

    @property
    def _retiring(self) -> bool:
        return super()._retiring and not (self._swap is not None and self._swap.decided)

    def _swap_synced(self, generation: Generation) -> None:
        """Everything up to `generation` is durable: the next step."""
        swap = self._swap
        if swap is not None and swap.generation <= generation:
            if not swap.decided:
                self._decide(swap)
            else:
                self._swap = None
                self._install(swap)
        waiting = self._unnamed
        self._unnamed = [(segment, emptied) for segment, emptied in waiting if emptied > generation]
        for segment, emptied in waiting:
            if emptied <= generation and segment in self.segments:
                name = log_path(self.directory, segment.base)
                self._named = self.disk.rename(segment.path, name)
                segment.path = name

    def _decide(self, swap: _Swap) -> None:
        if not self._has(swap.group):
            self._abandon_swap()
            return
        segment = swap.segment
        path = swap_path(self.directory, segment.base, segment.end)
        self.disk.rename(segment.path, path)
        segment.path, swap.decided = path, True
        for old in swap.group:  # the indexes of the old segment must not pass for those of the new one
            for index in (index_path(self.directory, old.base), timeindex_path(self.directory, old.base)):
                self.disk.delete(index)
            old.unload()
            old.index_saved = old.times_saved = 0
        self._loaded = deque(segment for segment in self._loaded if segment not in swap.group)
        self._cursors.clear()
        swap.generation = self.disk.written

    def _install(self, swap: _Swap) -> None:
        """The new segment is read from now on. The old ones' snapshots stay: what they say is still true."""
        assert self._has(swap.group), "nothing is taken from a group that is being replaced"
        place, count = self.segments.index(swap.group[0]), len(swap.group)
        self.segments[place : place + count] = [swap.segment]
        self._bases[place : place + count] = [swap.segment.base]
        self._cursors.clear()
        self._tail.forget_below(swap.segment.end)
        self._save_index(swap.segment, lazy=False)
        swap.segment.unload()
        for old in swap.group:
            self.disk.delete(old.path)
        self._unnamed.append((swap.segment, self.disk.written))

    def _has(self, group: Sequence[Segment]) -> bool:
        """Whether these are still consecutive sealed segments of this log."""
        if group[0] not in self.segments[:-1]:
            return False
        place = self.segments.index(group[0])
        return self.segments[place : min(place + len(group), len(self.segments) - 1)] == list(group)

    def _abandon_swap(self) -> None:
        """The log has changed under a replacement that is not installed: it is not wanted any more."""
        if self._swap is not None:
            self.disk.delete(self._swap.segment.path)
            self._swap = None

    def _save_index(self, segment: Segment, *, lazy: bool) -> bool:
        raise NotImplementedError
