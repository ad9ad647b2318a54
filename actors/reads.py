"""Consumers' conversations: `Consume`, `FindOffsets` and `FindEpochEnds`.

Only committed records are served: below the high watermark of a leader that holds its lease. A leader whose high
watermark has not reached the start of its own epoch does not know yet what is committed beyond it, and says so with
OFFSET_NOT_AVAILABLE instead of a number that might go back later (KIP-207). A read that finds nothing is parked until
records are committed, or its wait is over; what one message commits in many partitions is one answer (`speak`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from ..storage.log import CorruptLog, OffsetOutOfRange
from .bugs import bug
from .errors import ErrorCode
from .kernel import Address, Context, Millis, Payload, Timer
from .messages import (
    EARLIEST,
    LATEST,
    NEWEST,
    Consume,
    Consumed,
    ConsumedPartition,
    ConsumePartition,
    EpochEndsFound,
    EpochQuery,
    FindEpochEnds,
    FindOffsets,
    FoundEpochEnd,
    FoundOffset,
    OffsetQuery,
    OffsetsFound,
    Partition,
)
from .replica import Replica

MAX_READ_BYTES = 8 << 20
"""Records of one answer to a consumer, whatever it asks for."""

MAX_WAIT_MS = 30_000
MAX_PARKED = 10_000
"""Reads parked at one broker; one more is answered at once with what there is."""

Find = Callable[[Partition, int, Context], Replica | ErrorCode]
"""The serving replica of a partition for a request that carries a leader epoch, or why there is none."""

Where = Callable[[Partition], tuple[int, int]]
"""Who leads a partition, and in which epoch; (-1, -1) if nobody is known to."""


class ReadTimer(Timer, frozen=True):
    """A parked read has waited long enough."""

    number: int


class _Parked(msgspec.Struct, frozen=True):
    sender: Address
    request: Consume
    deadline: Millis


class Reads:
    """What consumers ask of one broker."""

    def __init__(self, find: Find, where: Where, damaged: Callable[[Replica, str, Context], None]) -> None:
        self._find = find
        self._where = where
        self._damaged = damaged
        self._parked: OrderedDict[int, _Parked] = OrderedDict()
        self._waiting: dict[Partition, dict[int, None]] = {}
        self._news: dict[int, None] = {}  # parked reads for which something was committed
        self._number = 0

    def consume(self, sender: Address, request: Consume, ctx: Context) -> None:
        """Answer, or park."""
        if not self._answer(sender, request, ctx, anyway=len(self._parked) >= MAX_PARKED or request.max_wait_ms <= 0):
            self._number += 1
            wait = min(request.max_wait_ms, MAX_WAIT_MS)
            self._parked[self._number] = _Parked(sender, request, Millis(ctx.now + wait))
            for part in request.partitions:
                self._waiting.setdefault(part.partition, {})[self._number] = None
            ctx.set_timer(ReadTimer(self._number), wait)

    def committed(self, partition: Partition) -> None:
        """More can be read of a partition, or its role has changed: who waits for it is told by `speak`."""
        self._news.update(self._waiting.get(partition, {}))

    def speak(self, ctx: Context) -> None:
        """Answer those for whom there is enough now."""
        if not self._news:
            return
        news, self._news = self._news, {}
        for number in news:
            parked = self._parked.get(number)
            if parked is not None and self._answer(parked.sender, parked.request, ctx):
                self._forget(number, ctx)

    def on_timer(self, number: int, ctx: Context) -> None:
        """Answer with what there is."""
        parked = self._parked.get(number)
        if parked is not None:
            self._answer(parked.sender, parked.request, ctx, anyway=True)
            self._forget(number, ctx)

    def _forget(self, number: int, ctx: Context) -> None:
        parked = self._parked.pop(number)
        ctx.cancel_timer(ReadTimer(number))
        for part in parked.request.partitions:
            waiting = self._waiting.get(part.partition)
            if waiting is not None:
                waiting.pop(number, None)
                if not waiting:
                    del self._waiting[part.partition]

    def _answer(self, sender: Address, request: Consume, ctx: Context, *, anyway: bool = False) -> bool:
        parts = []
        left = min(request.max_bytes, MAX_READ_BYTES)
        size = 0
        failed = False
        for wanted in request.partitions:
            part = self._read(wanted, left, ctx, first=size == 0)
            parts.append(part)
            failed = failed or part.error is not ErrorCode.NONE
            if part.records is not None:
                size += len(part.records)
                left = max(0, left - len(part.records))
        if not (anyway or failed or (size > 0 and size >= request.min_bytes)):
            return False
        ctx.send(sender, Consumed(request.id, parts))
        return True

    def _read(self, wanted: ConsumePartition, left: int, ctx: Context, *, first: bool) -> ConsumedPartition:
        replica = self._find(wanted.partition, wanted.leader_epoch, ctx)
        if not isinstance(replica, Replica):
            leader, epoch = self._where(wanted.partition)
            return ConsumedPartition(wanted.partition, replica, leader=leader, leader_epoch=epoch)
        hw = replica.readable_hw
        limit = replica.log.end if bug("read-uncommitted") else replica.hw
        size = min(wanted.max_bytes, left)
        records = None
        try:
            if wanted.offset < replica.log.start or wanted.offset > replica.log.end:
                raise OffsetOutOfRange
            if wanted.offset < limit and (size > 0 or first):
                data = replica.log.read(wanted.offset, max(size, 1), limit=limit, min_one=first)
                if len(data):
                    records = Payload(data)
                    replica.bytes_out += len(data)
                    replica.records_out += max(0, replica.log.read_to - wanted.offset)
        except OffsetOutOfRange:
            return self._part(replica, ErrorCode.OFFSET_OUT_OF_RANGE, hw)
        except CorruptLog as error:
            self._damaged(replica, str(error), ctx)
            return self._part(replica, ErrorCode.KAFKA_STORAGE_ERROR, hw)
        return self._part(replica, ErrorCode.NONE, hw, records)

    def _part(self, replica: Replica, error: ErrorCode, hw: int, records: Payload | None = None) -> ConsumedPartition:
        return ConsumedPartition(
            replica.partition, error, hw, replica.log.start, records, replica.leader, replica.leader_epoch, replica.hw
        )

    # --- Offsets ---

    def find_offsets(self, sender: Address, request: FindOffsets, ctx: Context) -> None:
        """Earliest, latest, or by time; latest is the high watermark."""
        ctx.send(sender, OffsetsFound(request.id, [self._offset(query, ctx) for query in request.queries]))

    def _offset(self, query: OffsetQuery, ctx: Context) -> FoundOffset:
        replica = self._find(query.partition, query.leader_epoch, ctx)
        if not isinstance(replica, Replica):
            leader, epoch = self._where(query.partition)
            return FoundOffset(query.partition, replica, leader=leader, leader_epoch=epoch)
        log = replica.log
        where = (replica.leader, replica.leader_epoch)
        if query.timestamp == EARLIEST:
            return FoundOffset(query.partition, ErrorCode.NONE, log.start, -1, *where, log.epochs.epoch_at(log.start))
        hw = replica.readable_hw
        if hw < 0:
            return FoundOffset(query.partition, ErrorCode.OFFSET_NOT_AVAILABLE, -1, -1, *where)
        if query.timestamp == LATEST:
            return FoundOffset(query.partition, ErrorCode.NONE, hw, -1, *where, log.epochs.epoch_at(hw))
        try:
            newest = query.timestamp == NEWEST
            found = log.newest(limit=hw) if newest else log.offset_for_time(query.timestamp, limit=hw)
        except CorruptLog as error:
            self._damaged(replica, str(error), ctx)
            return FoundOffset(query.partition, ErrorCode.KAFKA_STORAGE_ERROR)
        offset, timestamp = (-1, -1) if found is None else found
        epoch = log.epochs.epoch_at(offset) if offset >= 0 else -1
        return FoundOffset(query.partition, ErrorCode.NONE, offset, timestamp, *where, epoch)

    def find_epoch_ends(self, sender: Address, request: FindEpochEnds, ctx: Context) -> None:
        """Where leader epochs ended in this leader's log."""
        ctx.send(sender, EpochEndsFound(request.id, [self._epoch_end(query, ctx) for query in request.queries]))

    def _epoch_end(self, query: EpochQuery, ctx: Context) -> FoundEpochEnd:
        replica = self._find(query.partition, query.leader_epoch, ctx)
        if not isinstance(replica, Replica):
            return FoundEpochEnd(query.partition, replica)
        epoch, end = replica.log.epochs.end_offset_for(query.epoch, replica.log.end)
        return FoundEpochEnd(query.partition, ErrorCode.NONE, epoch, end)
