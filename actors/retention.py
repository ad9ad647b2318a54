"""Retention: what a topic lets expire, by time and by size.

The leader alone decides. Once a second it looks at some of the partitions that it leads, and at one that has grown by
an eighth of a segment at once, because with size alone a second may be much. What is too old or too much goes in whole
segments, and never beyond the high watermark: a record that is not committed may still be needed by whoever leads
next (P9, KAFKA-5634). If even the active segment has expired it is rolled first, so that the last record of a topic
that nobody writes to any more expires too.

Followers follow: every answer to a fetch names the leader's log start, and they move theirs there, as far as their own
high watermark (`follow`). So all replicas begin at the same offset, although their segments are cut differently.

Moving the start is one small write; deleting goes on segment by segment behind flushes (`storage/trimming`). A crash at
any step leaves a log that begins at the old start or at the new one.
"""

from __future__ import annotations

from collections.abc import Callable

from ..storage.disk import DiskFull
from ..storage.log import Log
from . import broker_events as events
from .bugs import bug
from .kernel import Context
from .messages import Partition
from .metadata import MetadataImage
from .replica import Replica
from .rounds import Round

LOOKS_PER_SEGMENT = 8
"""A log that may have so many bytes never has two segments more: the oldest goes as soon as the rest is enough."""

PARTITIONS_PER_TICK = 500
"""Partitions looked at in a second; with more, each gets its turn later. One look takes about 5 us."""


class Retention:
    """The log starts of one broker. `moved` is called when a leader's start has moved."""

    def __init__(
        self,
        me: int,
        replicas: dict[Partition, Replica],
        image: Callable[[], MetadataImage],
        moved: Callable[[Replica, Context], None],
    ) -> None:
        self._me = me
        self._replicas = replicas
        self._image = image
        self._moved = moved
        self._seen: dict[Partition, tuple[int, int]] = {}  # the active segment when last looked at: base, next size
        self._round = Round(replicas, PARTITIONS_PER_TICK)

    def tick(self, ctx: Context) -> None:
        """A second has passed."""
        replicas, over = self._round.next()
        for replica in replicas:
            self.look(replica, ctx)
        if over:
            self._seen = {partition: seen for partition, seen in self._seen.items() if partition in self._replicas}

    def appended(self, replica: Replica, ctx: Context) -> None:
        """The log has grown: there may be too much of it now."""
        active = replica.log.segments[-1]
        base, size = self._seen.get(replica.partition, (-1, 0))
        if base != active.base or active.size >= size:
            self.look(replica, ctx)

    def look(self, replica: Replica, ctx: Context) -> None:
        """Let go of what has expired in one partition."""
        log, partition = replica.log, replica.partition
        if replica.leading is None or replica.damaged or not log.segments:
            return
        active = log.segments[-1]
        self._seen[partition] = (active.base, active.size + log.settings.segment_bytes // LOOKS_PER_SEGMENT)
        image = self._image()
        if partition.topic not in image.topics:
            return
        configs = image.configs(partition.topic)
        if not configs.deletes:
            return
        before = log.start
        expired = log.expired_before(ctx.wall, configs.retention_ms, configs.retention_bytes)
        limit = log.end if expired > replica.hw and bug("expire-beyond-hw") else replica.hw
        if expired > before and trim(log, min(expired, limit)) and log.start > before:
            limits = f"retention.ms {configs.retention_ms}, retention.bytes {configs.retention_bytes}"
            ctx.emit(
                events.LogStartMoved(
                    broker=self._me, partition=image.name(partition), start=log.start, before=before, cause=limits
                )
            )
            self._moved(replica, ctx)


def trim(log: Log, offset: int) -> bool:
    """Delete whole segments before `offset`; False if the disk has no room for even that, and nothing has changed."""
    try:
        if offset >= log.end and log.segments[-1].size:
            log.roll()
        log.delete_segments_before(offset)
    except DiskFull:
        return False
    return True


def follow(replica: Replica, leader_start: int) -> None:
    """As a follower: begin where the leader's log begins, as far as is known to be committed."""
    log = replica.log
    target = min(leader_start, replica.hw)
    if target <= log.start:
        return
    try:
        log.advance_start(target)
    except DiskFull:
        return  # the next answer says it again
    trim(log, target)
