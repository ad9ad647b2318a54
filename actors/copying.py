"""The follower's half of replication: take what the leader answers, in the only safe order.

A divergence is dealt with before anything else: the log is cut to the smaller of the leader's end of that epoch and
one's own, and nothing of that answer touches the high watermark (KAFKA-14704). Cutting below the recovery point first
lowers the recovery point durably: a log that ends below its recovery point would look damaged after a crash. Until
that is done the copy is *cutting*: it neither fetches nor takes records.
"""

from __future__ import annotations

from collections.abc import Callable

from ..storage.disk import Generation
from ..storage.log import Log
from ..storage.producers import ProducerStates
from .bugs import bug
from .messages import FetchedPartition, FetchPartition, Partition


class Copying:
    """One log that follows a leader. `hw` is the high watermark as the leader told it, within one's own log."""

    def __init__(
        self, partition: Partition, log: Log, epoch: int, hw: int, lower: Callable[[int], Generation | None]
    ) -> None:
        self.partition = partition
        self.log = log
        self.epoch = epoch
        self.hw = min(hw, log.end)
        self._lower = lower  # lower the durable recovery point; None if it is low enough already
        self.cutting: tuple[Generation, int, bool] | None = None  # (when, where, reset) of the cut that waits
        self.idle = False  # the last answer brought no records
        self._purged = -1  # by the leader, when it told us to begin anew
        self._producers: ProducerStates | None = None  # and what it knew of those who wrote before
        self.truncated = 0  # records given up by the last cut, for events

    def wanted(self) -> FetchPartition | None:
        """What to ask the leader for; None while cutting, or while what was dropped could come back with a crash."""
        log = self.log
        if self.cutting is not None or log.resetting:
            return None
        return FetchPartition(
            self.partition,
            self.epoch,
            log.end,
            -1 if self.idle and bug("empty-answer-forgets-epoch") else log.last_epoch,
            log.durable_end,
            self.hw,
            log.durable_start,
            log.purged,
        )

    def diverged(self, epoch: int, end: int) -> None:
        """The leader says where its log and ours part."""
        own_epoch, own_end = self.log.epochs.end_offset_for(epoch, self.log.end)
        target = max(self.log.start, min(end, own_end) if own_epoch >= 0 else min(end, self.log.start))
        self.cut(target)

    def cut(self, offset: int) -> None:
        """Truncate, after the recovery point is durably below the cut (which falls on the start of a batch)."""
        self.truncated = self.log.end - offset
        self._prepare(self.log.truncation_end(offset), offset, reset=False)

    def must_begin_anew(self, log_start: int, purged: int) -> bool:
        """Whether the leader means this log. It may mean what it was when it asked, before it began anew."""
        log = self.log
        return log.end <= log_start or log.purged < purged > log.end

    def reset(self, offset: int, purged: int = -1, producers: ProducerStates | None = None) -> None:
        """What is here cannot be gone on with: begin at the leader's log start (KAFKA-9491: the high watermark too)."""
        self._purged, self._producers = purged, producers
        self.truncated = max(0, self.log.end - offset)
        self._prepare(0, offset, reset=True)

    def _prepare(self, point: int, offset: int, *, reset: bool) -> None:
        generation = self._lower(point)
        if generation is None:
            self._cut(offset, reset=reset)
        else:
            self.cutting = (generation, offset, reset)

    def take(self, answer: FetchedPartition) -> int:
        """Append the records of a good answer and adopt its high watermark. Returns the bytes appended.

        Raises InvalidBatch, before anything is written, if the records are not the continuation of this log. Records
        from below its end are none either, but no fault: two requests were out (`Fetcher`), and what the first one was
        answered with was not known when the second was sent. Such an answer says nothing that is not known.
        """
        size = 0
        self.idle = answer.records is None
        records = b"" if answer.records is None else answer.records.data
        if len(records) and self.log.start < self.log.end and int.from_bytes(records[:8]) < self.log.end:
            return 0  # (an empty log may begin in the middle of a batch)
        self.log.compact(answer.purged)
        if len(records):
            size = len(records)
            self.log.append_replica(records)
        self.hw = max(self.hw, min(answer.hw, self.log.end))
        return size

    def synced(self, generation: Generation) -> bool:
        """Returns whether a cut that waited has been made: fetch on."""
        if self.cutting is None or self.cutting[0] > generation:
            return False
        _, offset, reset = self.cutting
        self.cutting = None
        self._cut(offset, reset=reset)
        return True

    def _cut(self, offset: int, *, reset: bool) -> None:
        if reset:
            self.log.reset_to(offset, self._purged, self._producers)
            self.hw = offset
            return
        if offset < self.log.end or not bug("keep-cache-at-end"):
            self.log.truncate_to(offset)  # an epoch that began at the end goes too (KAFKA-10706)
        self.hw = min(self.hw, self.log.end)
