"""The leader's half of replication: what each follower has, proven.

A follower asks for records with `Fetch` and says which record it has last. The leader first looks whether that record
is one of its own (KIP-595): the end of the follower's last epoch in the leader's log must not lie below the follower's
offset. If it does, the answer is the point of divergence and nothing else, and the fetch is no progress (KAFKA-13141).
A fetch that passes proves that the follower holds exactly the leader's log up to its offset, in this leader epoch; that
is the only thing that ever counts towards a high watermark (KIP-320). A later `Synced` can only say how much of the
proven part is durable.

A follower that was away may have values whose tombstones are gone here. It would keep them for ever, so it begins anew,
like one that is below the log start. How that is prevented for those that are not away is told in `purging`.

Used by partition leaders and by the leader of the metadata quorum alike; they differ in the rule for the high
watermark (all of the in-sync replicas, or a majority of the voters).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..storage.log import Log
from .bugs import bug
from .errors import ErrorCode
from .kernel import Millis
from .messages import FetchPartition


class Progress(msgspec.Struct):
    """What one follower has proven to this leader, in this leader epoch."""

    end: int = -1  # the end of its log as of its last good fetch; -1: none yet in this epoch
    durable: int = -1  # of which this much would survive a loss of power
    start: int = -1  # where its log begins, durably; -1: it has not said
    broker_epoch: int = -1
    fetched_at: Millis = Millis(0)
    caught_up_at: Millis = Millis(0)  # when it last had everything that the leader had
    last_end: int = -1  # the leader's end when this follower last listed the partition
    last_at: Millis = Millis(0)


class Diverging(msgspec.Struct, frozen=True):
    """The end of the follower's last epoch (or the nearest below) in the leader's log."""

    epoch: int
    end: int


class Leading:
    """A leader's term: its epoch, where it began, and the followers' progress."""

    def __init__(self, log: Log, epoch: int, now: Millis) -> None:
        self.log = log
        self.epoch = epoch
        self.start = log.end  # offset at which this leader epoch begins
        self.since = now
        self._known_end = log.end
        self.followers: dict[int, Progress] = {}
        self.suspects: set[int] = set()  # followers whose disks have less than they once claimed

    def check(self, wanted: FetchPartition) -> Diverging | ErrorCode | None:
        """Whether the follower's log is a prefix of this one; None if it is."""
        log, offset = self.log, wanted.offset
        if wanted.last_epoch == log.epochs.latest and log.start <= offset <= log.end and log.purged <= offset:
            return None  # as nearly always
        if wanted.last_epoch >= 0:
            epoch, end = log.epochs.end_offset_for(wanted.last_epoch, log.end)
            unknown = epoch != wanted.last_epoch and not bug("unknown-epoch-passes")
            if not bug("ignore-divergence") and (unknown or end < wanted.offset):
                if epoch < 0:
                    return Diverging(-1, log.start) if wanted.offset > log.start else ErrorCode.OFFSET_OUT_OF_RANGE
                return Diverging(epoch, end)
        missed = wanted.purged < log.purged > wanted.offset and not bug("miss-tombstones")
        if wanted.offset < log.start or missed:
            return ErrorCode.OFFSET_OUT_OF_RANGE  # what it lacks was deleted here: it must begin anew
        if wanted.offset > log.end:
            return Diverging(log.last_epoch, log.end)
        return None

    def fetched(self, replica: int, broker_epoch: int, wanted: FetchPartition, now: Millis) -> bool:
        """Record a fetch that `check` passed: whether that moves what counts. A new life starts anew."""
        progress = self.followers.get(replica)
        before = None if progress is None else (self._position(progress), progress.start, progress.broker_epoch)
        if progress is None or progress.broker_epoch != broker_epoch:
            if progress is not None and not self.log.lazy and wanted.offset < progress.durable:
                self.suspects.add(replica)  # it said that more than it has was durable: its disk has lost something
            progress = self.followers[replica] = Progress(broker_epoch=broker_epoch, caught_up_at=Millis(0))
        progress.end = wanted.offset
        progress.durable = min(wanted.durable, wanted.offset)
        progress.start = wanted.log_start
        position = self._position(progress)
        self._note_caught_up(progress, position, now)
        progress.last_end, progress.last_at = self.log.end, now
        progress.fetched_at = now
        return before != (position, progress.start, broker_epoch)

    def grew(self, now: Millis) -> None:
        """The leader has appended: whoever had everything before was caught up until now.

        An incremental fetch does not list a partition in which nothing happens, so this is where idle time ends.
        """
        lazy, known = self.log.lazy, self._known_end
        for progress in self.followers.values():
            if (progress.end if lazy else progress.durable) >= known:
                progress.caught_up_at = now
        self._known_end = self.log.end

    def synced(self, replica: int, broker_epoch: int, durable: int, now: Millis) -> bool:
        """Record that more of what a fetch has proven is durable. False if it says nothing new."""
        progress = self.followers.get(replica)
        if progress is None or progress.broker_epoch != broker_epoch or progress.end < 0:
            return False
        durable = min(durable, progress.end)
        if durable <= progress.durable:
            return False
        progress.durable = durable
        self._note_caught_up(progress, durable, now)
        return True

    def durable(self, replica: int) -> int:
        """How much of this leader's log is durable at a follower; -1 if nothing is proven in this epoch."""
        progress = self.followers.get(replica)
        return -1 if progress is None else progress.durable

    def durable_start(self, replica: int) -> int:
        """Where a follower's log begins, durably; -1 if it has not said so in this epoch."""
        progress = self.followers.get(replica)
        return -1 if progress is None else progress.start

    def counted(self, replica: int) -> int:
        """How much of a follower's log counts towards the high watermark, by the topic's durability."""
        progress = self.followers.get(replica)
        return -1 if progress is None else self._position(progress)

    def _note_caught_up(self, progress: Progress, position: int, now: Millis) -> None:
        """Whoever has what the leader had when it last fetched was caught up then (Kafka's replica lag time)."""
        if position >= self.log.end:
            progress.caught_up_at = now
        elif progress.last_end >= 0 and position >= progress.last_end:
            progress.caught_up_at = max(progress.caught_up_at, progress.last_at)

    def _position(self, progress: Progress) -> int:
        return progress.end if self.log.lazy else progress.durable


def majority(ends: Iterable[int]) -> int:
    """The highest offset that more than half of the voters have reached (one entry per voter)."""
    ordered = sorted(ends, reverse=True)
    return ordered[len(ordered) // 2]
