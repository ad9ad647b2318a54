"""The follower's half of replication at a broker: one conversation per leader, and what to do with the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..storage.disk import DiskFull
from ..storage.log import CorruptLog
from ..storage.producers import ProducerStates
from ..storage.records import InvalidBatch
from . import broker_events as events
from .bugs import bug
from .copying import Copying
from .errors import ErrorCode
from .fetcher import Fetcher, FetcherTimer, RestTimer
from .kernel import Address, Context, Millis, address
from .messages import Fetched, FetchedPartition, Partition
from .metadata import MetadataImage
from .move_quota import MoveQuota
from .replica import Replica
from .retention import follow

_NONE = ErrorCode.NONE  # to ask an enumeration costs more than most of what is done with a partition


class Fetchers:
    """All conversations of this broker with leaders. Answers with what became of which partition."""

    def __init__(
        self,
        me: int,
        directory_id: str,
        replicas: Mapping[Partition, Replica],
        image: Callable[[], MetadataImage],
        wait_ms: int,
        retry_ms: int,
    ) -> None:
        self._me = me
        self._directory_id = directory_id
        self._replicas = replicas
        self._image = image
        self._wait_ms = wait_ms
        self._retry_ms = retry_ms
        self._by_leader: dict[int, Fetcher] = {}
        self._request = 0
        self._quota = MoveQuota(me, image)

    def follow(self, leader: int, copying: Copying) -> None:
        """Begin to copy a partition from this leader; `poll` sends."""
        fetcher = self._by_leader.get(leader)
        if fetcher is None:
            fetcher = Fetcher(self._me, self._directory_id, leader, self._wait_ms, self._retry_ms)
            self._by_leader[leader] = fetcher
        fetcher.add(copying)

    def leave(self, leader: int, partition: Partition) -> None:
        """Stop copying a partition from this leader."""
        fetcher = self._by_leader.get(leader)
        if fetcher is not None:
            fetcher.remove(partition)

    def poll(self, broker_epoch: int, ctx: Context) -> None:
        """Send what may be sent to every leader; forget leaders that nothing is copied from."""
        for leader in sorted(self._by_leader):
            fetcher = self._by_leader[leader]
            if fetcher.copies:
                self._poll(fetcher, broker_epoch, ctx)
            else:
                del self._by_leader[leader]

    def on_timer(self, timer: FetcherTimer | RestTimer, broker_epoch: int, ctx: Context) -> None:
        """An answer is overdue, or a rest is over."""
        fetcher = self._by_leader.get(timer.leader)
        if fetcher is not None:
            fetcher.on_timer(timer, ctx)
            self._poll(fetcher, broker_epoch, ctx)

    def synced(self, moved: Mapping[int, list[Partition]], broker_epoch: int, ctx: Context) -> None:
        """Durable ends have moved, by leader."""
        for leader in sorted(moved):
            fetcher = self._by_leader.get(leader)
            if fetcher is not None:
                fetcher.tell_synced(self._at(leader), broker_epoch, moved[leader], ctx)
                self._poll(fetcher, broker_epoch, ctx)

    def answered(self, sender: Address, answer: Fetched, broker_epoch: int, ctx: Context) -> list[Partition]:
        """Take in an answer and ask on. Returns the partitions that may have changed on disk."""
        touched: list[Partition] = []
        for leader in sorted(self._by_leader):
            if self._at(leader) == sender:
                fetcher = self._by_leader[leader]
                for part in fetcher.answered(answer, ctx):
                    self._take(fetcher, part, ctx)
                    touched.append(part.partition)
                self._poll(fetcher, broker_epoch, ctx)
        return touched

    def _at(self, broker: int) -> Address:
        return address(self._image().brokers[broker].endpoint, "broker")

    def _poll(self, fetcher: Fetcher, broker_epoch: int, ctx: Context) -> None:
        self._request += 1
        fetcher.poll(self._at(fetcher.leader), broker_epoch, self._request, ctx)

    def _take(self, fetcher: Fetcher, part: FetchedPartition, ctx: Context) -> None:
        """One partition of an answer: divergence before anything else (D7)."""
        replica = self._replicas.get(part.partition)
        copying = None if replica is None else replica.copying
        if replica is None or copying is None or copying.cutting is not None:
            return
        if part.leader_epoch != copying.epoch and not bug("answers-of-other-epochs"):
            fetcher.dropped(part.partition, ctx, rest=True)  # asked before an election, or answered after one
            return
        if part.error is _NONE and part.diverging is None:
            self._append(fetcher, replica, copying, part, ctx)
        elif part.error is ErrorCode.OFFSET_OUT_OF_RANGE:
            if not copying.log.resetting and copying.must_begin_anew(part.log_start, part.purged):
                self._tell_reset(part, copying, ctx)
                copying.reset(part.log_start, part.purged, _producers(part))
            fetcher.dropped(part.partition, ctx, rest=False)
        elif part.diverging is None:
            fetcher.dropped(part.partition, ctx, rest=True)
        else:
            if bug("hw-before-truncation"):
                copying.hw = max(copying.hw, min(part.hw, copying.log.end))
            try:
                copying.diverged(*part.diverging)
            except CorruptLog as error:
                self._tell_bad(part.partition, fetcher.leader, str(error), ctx)
            self._tell_truncation(replica, copying, ctx)
            fetcher.dropped(part.partition, ctx, rest=False)

    def _append(
        self, fetcher: Fetcher, replica: Replica, copying: Copying, part: FetchedPartition, ctx: Context
    ) -> None:
        """Take records and the high watermark."""
        try:
            size = copying.take(part)
        except (InvalidBatch, DiskFull) as error:
            # The leader must forget what it was told last: each further answer would be refused, and prolong the rest.
            self._tell_bad(part.partition, fetcher.leader, str(error), ctx)
            fetcher.pause(part.partition, Millis(ctx.now + fetcher.retry_ms))
            return
        follow(replica, part.log_start)
        fetcher.change(part.partition)
        rest_ms = self._quota.rest_ms(part.partition, size, ctx.now)
        if rest_ms:
            fetcher.pause(part.partition, Millis(ctx.now + rest_ms))

    def _tell_bad(self, partition: Partition, leader: int, why: str, ctx: Context) -> None:
        name = self._image().name(partition)
        ctx.emit(events.BadRecords(broker=self._me, partition=name, leader=leader, cause=why))

    def _tell_reset(self, part: FetchedPartition, copying: Copying, ctx: Context) -> None:
        name = self._image().name(part.partition)
        cause = f"its leader's log begins at {part.log_start}, beyond what this one has"
        if part.purged > copying.log.end >= part.log_start:
            cause = f"its leader has removed tombstones up to {part.purged}, which this one has not seen"
        ctx.emit(events.LogBegunAnew(broker=self._me, partition=name, start=part.log_start, cause=cause))

    def _tell_truncation(self, replica: Replica, copying: Copying, ctx: Context) -> None:
        if copying.truncated > 0:
            cause = f"its log parts from that of b{replica.leader}, the leader of epoch {copying.epoch}"
            name = self._image().name(replica.partition)
            ctx.emit(events.Truncated(broker=self._me, partition=name, records=copying.truncated, cause=cause))


def _producers(part: FetchedPartition) -> ProducerStates | None:
    """What the leader knows of those who wrote below its log start."""
    if part.producers is None:
        return None
    try:
        return ProducerStates.decode(bytes(part.producers.data))[1]
    except ValueError:
        return None  # it is a help, no more: without it a repetition of what is deleted may be taken for new
