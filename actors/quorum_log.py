"""A voter's metadata log: recovered, trimmed behind a snapshot, or begun anew from one.

The log begins at 0, or exactly where a snapshot ends that stands for what was below (R9). That snapshot is its `base`:
where the log has nothing beyond it, the epoch of its last record is the epoch of the log (or an empty log would lose
elections that it must win, and vote for candidates that lack what it knows).

Trimming moves the start; the log goes on. Loading replaces everything by a snapshot of the leader's that ends beyond
the end: first the recovery point is lowered durably, so that what a loss of power leaves of the old log is taken for a
torn tail and not for damage; then the log is emptied. The snapshot was durable before all this, so whoever finds, at a
start, a snapshot beyond the end of the log died in between, and loads it then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..storage.disk import Disk, Generation
from ..storage.log import Log
from ..storage.recovery import Recovered, RecoverLog
from ..storage.settings import LogSettings
from .kernel import Context, JobDone
from .recovery_point import RecoveryPoint

DIRECTORY = "metadata/__cluster_metadata-0"
METADATA_TOPIC_ID = bytes(15) + b"\x01"


class Base(NamedTuple):
    """Where the log begins: the end of the snapshot that stands for what was there, and the epoch of its last
    record."""

    end: int = 0
    epoch: int = -1


NOTHING = Base()


class QuorumLog:
    """`log` is None until it has been read."""

    def __init__(self, settings: LogSettings) -> None:
        self.log: Log | None = None
        self.base = NOTHING
        self.point = RecoveryPoint()
        self._settings = settings
        self._newest = NOTHING
        self._snapshots: Mapping[int, int] = {}
        self._loading: tuple[Generation, Base] | None = None  # when the recovery point is lowered, and for what

    @property
    def last_epoch(self) -> int:
        """The epoch of the last record, be it one that only a snapshot stands for."""
        assert self.log is not None
        return self.base.epoch if self.log.end == self.base.end else self.log.last_epoch

    @property
    def loading(self) -> bool:
        """Whether the log is about to be emptied: nothing may be added."""
        return self._loading is not None

    # --- Recovery

    def recover(self, newest: Base, snapshots: Mapping[int, int], ctx: Context, *, fresh: bool) -> None:
        """Have the log read. `newest`: the snapshot that the owner has loaded; `snapshots`: all ends, with epochs."""
        self._newest, self._snapshots = newest, snapshots
        known = self.point.read(ctx.disk, fresh=fresh)
        ctx.submit(RecoverLog(DIRECTORY, known, settings=self._settings))

    @staticmethod
    def ours(done: JobDone) -> bool:
        """Whether the job was that of `recover`."""
        return isinstance(done.job, RecoverLog) and done.job.directory == DIRECTORY

    def open(self, done: JobDone, ctx: Context) -> str | None:
        """The log has been read. A sentence if this controller must not vote with it."""
        recovered = done.result
        if not isinstance(recovered, Recovered) or recovered.corrupt is not None:
            why = done.error or (recovered.corrupt if isinstance(recovered, Recovered) else "no result")
            return f"the metadata log is damaged and this controller must not vote with it: {why}"
        if self._newest.end < recovered.start:
            return (
                f"the metadata log begins at {recovered.start}, and no snapshot can be read that reaches it: this "
                "controller has lost what it knew and must not vote"
            )
        self.log = Log.open(ctx.disk, DIRECTORY, METADATA_TOPIC_ID, self._settings, recovered)
        self.base = Base(self.log.start, self._snapshots.get(self.log.start, -1))
        if self._newest.end > self.log.end:  # it died while it loaded this snapshot
            self.load(self._newest, ctx.disk)
        return None

    @property
    def committed(self) -> int:
        """What is known to be committed at a start."""
        assert self.log is not None
        return max(self.log.start, min(self._newest.end, self.log.end))

    # --- Snapshots

    def trim(self, base: Base) -> None:
        """A durable snapshot stands for everything below its end: the log begins there from now on. May raise
        DiskFull."""
        assert self.log is not None
        if self.log.start < base.end:
            self.log.advance_start(base.end)
            self.base = base
            self.log.roll()  # so that what is trimmed next time is in segments of its own
            self.log.delete_segments_before(base.end)

    def load(self, base: Base, disk: Disk) -> None:
        """A durable snapshot from the leader stands for more than this log has: the log begins anew at its end."""
        assert self.log is not None
        assert base.end > self.log.end, f"a snapshot of {base.end} for a log that ends at {self.log.end}"
        after = self.point.lower_to(0, disk)
        self._loading = (after or Generation(0), base)
        if after is None:
            self._empty()

    def _empty(self) -> None:
        assert self.log is not None and self._loading is not None
        (_, base), self._loading = self._loading, None
        self.log.reset_to(base.end)
        self.base = base

    # --- Durability

    def synced(self, generation: Generation) -> tuple[bool, bool]:
        """Whether more of the log is durable, and whether it has just begun anew."""
        assert self.log is not None
        moved = self.log.synced(generation)
        if self._loading is None or generation < self._loading[0]:
            return moved, False
        self._empty()
        return True, True

    def checkpoint(self, disk: Disk) -> None:
        """Persist the recovery point; not while something is about to be cut."""
        if self.log is not None and self._loading is None:
            self.point.raise_to(self.log.recovery_point, disk)
