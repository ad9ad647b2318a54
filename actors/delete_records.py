"""Deleting records on request: the leader's half of the conversation.

Whoever asks names an offset; what lies below it is given up. The leader moves its log start there at once, so nobody
reads those records any more, and deletes whole segments as retention does. It never goes beyond the high watermark.

The answer means that the deletion is for good: the new start is durable at the leader and at every replica whose
broker is up. Followers learn the start with their next answer and report the one that is durable with their next fetch.
Who is fenced is not waited for (Kafka waits for live replicas too); should it ever lead, its records from before are
there again. An answer that does not come in time is REQUEST_TIMED_OUT, and asking again is harmless.

A topic that is compacted and nothing else keeps the last value of each key for ever, so deleting is refused there.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..storage.disk import DiskFull
from . import broker_events as events
from .errors import ErrorCode
from .kernel import Address, Context, Timer
from .messages import DeletedPartition, DeletePartition, DeleteRecords, Partition, RecordsDeleted
from .metadata import MetadataImage
from .reads import Find, Where
from .replica import Replica
from .retention import trim

HIGH_WATERMARK = -1
MAX_WAITING = 10_000
"""Deletions that wait at one broker; one more is refused with THROTTLING_QUOTA_EXCEEDED."""


class DeletionTimer(Timer, frozen=True):
    """A deletion has waited long enough for its followers."""

    number: int


class _Waiting(msgspec.Struct, frozen=True):
    sender: Address
    request: int
    partition: Partition
    offset: int


class RecordDeletion:
    """Deletions at one broker. `moved` is called when a leader's start has moved."""

    def __init__(
        self,
        me: int,
        find: Find,
        where: Where,
        image: Callable[[], MetadataImage],
        moved: Callable[[Replica, Context], None],
    ) -> None:
        self._me = me
        self._find = find
        self._where = where
        self._image = image
        self._moved = moved
        self._waiting: dict[int, _Waiting] = {}
        self._of: dict[Partition, dict[int, None]] = {}
        self._number = 0

    def delete(self, sender: Address, request: DeleteRecords, ctx: Context) -> None:
        """Move the starts, answer what is refused, let the others wait."""
        refused: list[DeletedPartition] = []
        for wanted in request.partitions:
            replica = self._find(wanted.partition, wanted.leader_epoch, ctx)
            if not isinstance(replica, Replica):
                leader, epoch = self._where(wanted.partition)
                refused.append(DeletedPartition(wanted.partition, replica, leader=leader, leader_epoch=epoch))
                continue
            offset = self._delete(replica, wanted, ctx)
            if isinstance(offset, DeletedPartition):
                refused.append(offset)
                continue
            self._number += 1
            self._waiting[self._number] = _Waiting(sender, request.id, wanted.partition, offset)
            self._of.setdefault(wanted.partition, {})[self._number] = None
            ctx.set_timer(DeletionTimer(self._number), max(1, request.timeout_ms))
            self.progressed(replica, ctx)
        if refused:
            ctx.send(sender, RecordsDeleted(request.id, refused))

    def progressed(self, replica: Replica, ctx: Context) -> None:
        """A start may have become durable, here or at a follower."""
        waiting = self._of.get(replica.partition)
        if waiting is None or replica.leading is None:
            return
        everywhere = self._durable_everywhere(replica)
        for number in [number for number in waiting if self._waiting[number].offset <= everywhere]:
            answer = DeletedPartition(replica.partition, ErrorCode.NONE, replica.log.start)
            self._answer(number, answer, ctx)

    def refuse(self, partition: Partition, ctx: Context) -> None:
        """This broker does not lead the partition any more: somebody else must be asked."""
        leader, epoch = self._where(partition)
        for number in list(self._of.get(partition, ())):
            error = ErrorCode.NOT_LEADER_OR_FOLLOWER
            self._answer(number, DeletedPartition(partition, error, leader=leader, leader_epoch=epoch), ctx)

    def on_timer(self, timer: DeletionTimer, ctx: Context) -> None:
        """It took too long."""
        waiting = self._waiting.get(timer.number)
        if waiting is not None:
            reason = f"the log begins at {waiting.offset} at its leader, but not yet at every replica: ask again"
            answer = DeletedPartition(waiting.partition, ErrorCode.REQUEST_TIMED_OUT, waiting.offset, reason=reason)
            self._answer(timer.number, answer, ctx)

    def _delete(self, replica: Replica, wanted: DeletePartition, ctx: Context) -> int | DeletedPartition:
        """Move the start of one log; the offset that must be durable everywhere, or the refusal."""
        partition, log, image = replica.partition, replica.log, self._image()
        configs = image.configs(partition.topic)
        name = image.name(partition)
        if configs.compacts and not configs.deletes:
            reason = f"{name} is compacted: it keeps the last record of every key, so its records cannot be deleted"
            return DeletedPartition(partition, ErrorCode.POLICY_VIOLATION, log.start, reason=reason)
        if replica.readable_hw < 0:
            return DeletedPartition(partition, ErrorCode.OFFSET_NOT_AVAILABLE, log.start)
        offset = replica.hw if wanted.offset == HIGH_WATERMARK else wanted.offset
        if not 0 <= offset <= replica.hw:
            reason = f"{name} has committed records up to {replica.hw}, so they cannot be deleted up to {offset}"
            return DeletedPartition(partition, ErrorCode.OFFSET_OUT_OF_RANGE, log.start, reason=reason)
        if len(self._waiting) >= MAX_WAITING:
            reason = f"{MAX_WAITING} deletions wait at this broker already"
            return DeletedPartition(partition, ErrorCode.THROTTLING_QUOTA_EXCEEDED, log.start, reason=reason)
        before = log.start
        if offset > before:
            try:
                log.advance_start(offset)
            except DiskFull as error:
                return DeletedPartition(partition, ErrorCode.KAFKA_STORAGE_ERROR, before, reason=str(error))
            trim(log, offset)
            cause = f"a client deleted records up to {offset}"
            ctx.emit(events.LogStartMoved(broker=self._me, partition=name, start=offset, before=before, cause=cause))
            self._moved(replica, ctx)
        return offset

    def _durable_everywhere(self, replica: Replica) -> int:
        """The smallest start that is durable at this leader and at every replica whose broker is up."""
        image, leading = self._image(), replica.leading
        state = image.partitions.get(replica.partition)
        starts = [replica.log.durable_start]
        if state is not None and leading is not None:
            up = [b for b in state.replicas if b != self._me and b in image.brokers and not image.brokers[b].fenced]
            starts += [leading.durable_start(broker) for broker in up]
        return min(starts)

    def _answer(self, number: int, answer: DeletedPartition, ctx: Context) -> None:
        waiting = self._waiting.pop(number)
        numbers = self._of[waiting.partition]
        del numbers[number]
        if not numbers:
            del self._of[waiting.partition]
        ctx.cancel_timer(DeletionTimer(number))
        ctx.send(waiting.sender, RecordsDeleted(waiting.request, [answer]))
