"""The cleaner: one log of this broker at a time is compacted, beside everything else.

Once a second it looks at some of the partitions whose topics want compaction, and takes the one with the largest share
of dirty bytes (since its last cleaning), if that share is worth the work (`min.cleanable.dirty.ratio`), or one whose
oldest dirty record has waited long enough (`max.compaction.lag.ms`). Every replica cleans its own log, whoever leads:
the result is a matter of the log alone, not of the moment.

What is cleaned ends at the smallest of: the high watermark (KAFKA-13194), what is durable here, the active segment, and
the first segment with a record younger than `min.compaction.lag.ms`. So neither a truncation nor a crash can meet it.

The work is done by jobs, a slice at a time (`storage/cleaning`). After each the cleaner rests three times as long as
the slice took: one quarter of a thread at most, and less when the machine is busy, since then slices take longer. A
handler only appends what a slice gave. Until a tombstone may go, see `purging`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..storage.cleaning import Cleaning, CleaningJob, Plan, Stage
from ..storage.compaction import Cleaned, CleanSegment, MapKeys, Mapped, Replayed, ReplayProducers
from ..storage.log import Log
from . import broker_events as events
from .bugs import bug
from .kernel import Context, JobDone, Millis, Timer
from .messages import Partition
from .metadata import MetadataImage
from .purging import purge_below
from .replica import Replica
from .topic_configs import TopicConfigs
from .writes import RESERVE_BYTES

LOOK_MS = 1_000
PARTITIONS_PER_LOOK = 500
REST_MIN_MS = 5
REST_SHARE = 3  # rest so many times as long as a slice took
RETRY_MS = 15_000  # after a cleaning that failed
MAP_BYTES = 32 << 20  # of keys in memory, about 186,000


class CleanerTimer(Timer, frozen=True):
    """Time for the next slice, or to look for work."""


class _Choice(NamedTuple):
    """A log that may be cleaned; the largest is the most urgent."""

    overdue: bool
    ratio: float
    partition: Partition
    limit: int


class Cleaner:
    """What is compacted at one broker. `damaged` is told of logs that cannot be used any more."""

    def __init__(
        self,
        me: int,
        replicas: dict[Partition, Replica],
        image: Callable[[], MetadataImage],
        touched: Callable[[Replica], None],
        damaged: Callable[[Replica, str, Context], None],
        slice_bytes: int = 256 << 10,
    ) -> None:
        self._me = me
        self._replicas = replicas
        self._image = image
        self._touched = touched  # told of replicas whose log waits for a flush
        self._damaged = damaged
        self._slice_bytes = slice_bytes
        self._replica: Replica | None = None  # the one that is being cleaned
        self._cleaning: Cleaning | None = None
        self._began = Millis(0)  # the job that is out
        self._after = 0  # place of the next partition in the round
        self._resting: dict[Partition, Millis] = {}  # until then, after a failure

    @property
    def busy(self) -> bool:
        """Whether a log is being cleaned."""
        return self._cleaning is not None

    def start(self, ctx: Context) -> None:
        """Begin to look for work."""
        ctx.set_timer(CleanerTimer(), LOOK_MS)

    def on_timer(self, ctx: Context) -> None:
        """Go on with what is being cleaned, or look for something."""
        if self._cleaning is None:
            self._look(ctx)
        self._go_on(ctx)

    def on_job(self, done: JobDone, ctx: Context) -> bool:
        """A slice is done. Returns whether the job was ours."""
        if not isinstance(done.job, ReplayProducers | MapKeys | CleanSegment):
            return False
        cleaning, replica = self._cleaning, self._replica
        if cleaning is None or replica is None:
            return True
        assert isinstance(done.result, Replayed | Mapped | Cleaned | None), "what slices find"
        cleaning.take(done.job, done.result, done.error)
        self._touched(replica)
        rest = max(REST_MIN_MS, REST_SHARE * (ctx.now - self._began))
        ctx.set_timer(CleanerTimer(), rest)
        return True

    def synced(self, ctx: Context) -> None:
        """A flush has ended: a group of segments may have been replaced."""
        if self._cleaning is not None and self._cleaning.synced():
            ctx.set_timer(CleanerTimer(), REST_MIN_MS)

    # --- Going on ---

    def _go_on(self, ctx: Context) -> None:
        cleaning, replica = self._cleaning, self._replica
        if cleaning is None or replica is None:
            ctx.set_timer(CleanerTimer(), LOOK_MS)
            return
        if self._replicas.get(replica.partition) is not replica or replica.damaged:
            self._cleaning = self._replica = None  # its directory is not ours any more
            ctx.set_timer(CleanerTimer(), LOOK_MS)
            return
        if not cleaning.over and ctx.disk.free() < RESERVE_BYTES:
            cleaning.abandon(f"the broker's disk has under {RESERVE_BYTES} B left")
        if cleaning.over:
            self._over(cleaning, replica, ctx)
            ctx.set_timer(CleanerTimer(), REST_MIN_MS)
            return
        job: CleaningJob | None = cleaning.job()
        if job is not None:
            self._began = ctx.now
            ctx.submit(job)
        elif cleaning.stage is Stage.SWAPPING:
            self._touched(replica)

    def _over(self, cleaning: Cleaning, replica: Replica, ctx: Context) -> None:
        self._cleaning = self._replica = None
        name = self._image().name(replica.partition)
        if cleaning.stage is Stage.DONE:
            replica.log.cleaned = cleaning.cleaned_to
            ctx.emit(
                events.LogCompacted(
                    broker=self._me,
                    partition=name,
                    offset=cleaning.cleaned_to,
                    records_before=cleaning.records_before,
                    records_after=cleaning.records_after,
                    bytes_before=cleaning.bytes_before,
                    bytes_after=cleaning.bytes_after,
                    cause="enough of it had changed",
                )
            )
            return
        self._resting[replica.partition] = Millis(ctx.now + RETRY_MS)
        if cleaning.damage:
            self._damaged(replica, cleaning.damage, ctx)
        else:
            ctx.emit(events.CompactionFailed(broker=self._me, partition=name, cause=cleaning.why))

    # --- Choosing ---

    def _look(self, ctx: Context) -> None:
        partitions = sorted(self._replicas)
        first = self._after if self._after < len(partitions) else 0
        self._after = first + PARTITIONS_PER_LOOK
        choices = []
        for partition in partitions[first : self._after]:
            choice = self._choice(self._replicas[partition], ctx)
            if choice is not None:
                choices.append(choice)
        if not choices or ctx.disk.free() < RESERVE_BYTES:
            return
        chosen = max(choices)
        replica = self._replicas[chosen.partition]
        configs = self._image().configs(chosen.partition.topic)
        plan = Plan(
            dirty=max(replica.log.cleaned, replica.log.start),
            limit=chosen.limit,
            now_ms=ctx.wall,
            delete_retention_ms=configs.delete_retention_ms,
            purge_below=purge_below(replica, self._image(), self._me),
            slice_bytes=self._slice_bytes,
            map_bytes=MAP_BYTES,
        )
        self._replica, self._cleaning = replica, Cleaning(replica.log, plan)

    def _choice(self, replica: Replica, ctx: Context) -> _Choice | None:
        """Whether this log is worth cleaning. Its active segment is closed when its records have waited too long."""
        partition, log, image = replica.partition, replica.log, self._image()
        if replica.damaged or not log.segments or log.swapping or partition.topic not in image.topics:
            return None
        if self._resting.get(partition, Millis(0)) > ctx.now:
            return None
        self._resting.pop(partition, None)
        configs = image.configs(partition.topic)
        if not configs.compacts:
            return None
        active = log.segments[-1]
        if active.size and ctx.wall - active.first_timestamp > configs.max_compaction_lag_ms:
            log.roll()
            self._touched(replica)
        limit = cleanable_to(log, replica.hw, ctx.wall, configs)
        clean = dirty = 0
        oldest: int | None = None
        for segment in log.segments[:-1]:
            if segment.end > limit:
                break
            if segment.end <= log.cleaned:
                clean += segment.size
            else:
                dirty += segment.size
                oldest = segment.first_timestamp if oldest is None else oldest
        if oldest is None or not dirty:
            return None
        overdue = ctx.wall - oldest > configs.max_compaction_lag_ms
        ratio = dirty / (clean + dirty)
        if not overdue and ratio < configs.min_cleanable_dirty_ratio:
            return None
        return _Choice(overdue, ratio, partition, limit)


def cleanable_to(log: Log, hw: int, now_ms: int, configs: TopicConfigs) -> int:
    """Everything below may be compacted, as far as segments reach."""
    committed = log.end if bug("clean-beyond-hw") else hw
    limit = min(committed, log.recovery_point, log.segments[-1].base)
    lag = configs.min_compaction_lag_ms
    if lag > 0:
        young = (segment.base for segment in log.segments if now_ms - segment.newest_ms(now_ms) < lag)
        limit = min(limit, next(young, limit))
    return limit
