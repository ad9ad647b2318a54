"""Producers' conversation: `Produce`.

A batch is checked (one batch, its CRC, its size, its producer's sequence; on a compacted topic, its keys), appended,
and acknowledged as its producer wishes: acks=0 not at all, acks=1 once written, acks=all once the high watermark has
passed it. The producer's state changes only after the append has succeeded (KAFKA-6683). A duplicate is acknowledged
with its original offset, and no earlier than the original would be.
"""

from __future__ import annotations

from collections.abc import Callable

from ..storage.disk import DiskFull
from ..storage.keys import keyless
from ..storage.log import Log
from ..storage.producers import Check
from ..storage.records import BatchHeader, InvalidBatch, check_incoming, parse_header
from .bugs import bug
from .errors import ErrorCode
from .internal_topics import INTERNAL_TOPICS
from .kernel import Address, Context, Millis, Timer
from .messages import Partition, Produce, ProduceBatch, Produced, ProducedBatch
from .parked import ParkedAcks
from .reads import Find, Where
from .replica import Replica

RESERVE_BYTES = 64 << 20
"""Kept free on the data directory for metadata and offsets; below it, user writes are refused in words."""

MAX_PARKED_ACKS = 100_000
"""Batches that wait for their acknowledgement at one broker; one more is refused with THROTTLING_QUOTA_EXCEEDED."""

EXPIRY_STEP_MS = 100

Told = Callable[[Replica, Context], None]


class AckTimer(Timer, frozen=True):
    """Look for acknowledgements that have waited as long as their producers allow."""


_REFUSALS = {
    "bad_crc": ErrorCode.CORRUPT_MESSAGE,
    "bad_magic": ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    "too_large": ErrorCode.MESSAGE_TOO_LARGE,
}


class Writes:
    """What producers ask of one broker. `advance` is told of replicas whose acknowledgements may be due at once."""

    def __init__(self, find: Find, where: Where, appended: Told, advance: Told) -> None:
        self._find = find
        self._where = where
        self._appended = appended
        self._advance = advance
        self.acks = ParkedAcks()
        self._expiring = False

    def produce(self, sender: Address, request: Produce, ctx: Context) -> None:
        """Append every batch, and answer those that need not wait."""
        done: list[ProducedBatch] = []
        touched: dict[Partition, Replica] = {}
        repeated: list[Replica] = []
        full = ctx.disk.free() < RESERVE_BYTES
        for batch in request.batches:
            answer = self._append(sender, request, batch, full, touched, repeated, ctx)
            if answer is not None:
                done.append(answer)
        if done and request.acks != 0:
            ctx.send(sender, Produced(request.id, done))
        for replica in touched.values():
            self._appended(replica, ctx)
        for replica in repeated:
            self._advance(replica, ctx)  # it may be committed already
        if len(self.acks) and not self._expiring:
            self._expiring = True
            ctx.set_timer(AckTimer(), EXPIRY_STEP_MS)

    def on_timer(self, ctx: Context) -> None:
        """Expire what has waited too long."""
        self.acks.expire(ctx.now)
        self._expiring = len(self.acks) > 0
        if self._expiring:
            ctx.set_timer(AckTimer(), EXPIRY_STEP_MS)

    def _append(
        self,
        sender: Address,
        request: Produce,
        batch: ProduceBatch,
        full: bool,
        touched: dict[Partition, Replica],
        repeated: list[Replica],
        ctx: Context,
    ) -> ProducedBatch | None:
        """The answer, or None if it waits for the high watermark."""
        partition = batch.partition
        replica = self._find(partition, batch.leader_epoch, ctx)
        if not isinstance(replica, Replica):
            leader, epoch = self._where(partition)
            return ProducedBatch(partition, replica, leader=leader, leader_epoch=epoch)
        leading = replica.leading
        assert leading is not None
        if replica.topic in INTERNAL_TOPICS:
            reason = f"{replica.topic} is the cluster's own topic: coordinators alone write to it"
            return ProducedBatch(partition, ErrorCode.INVALID_TOPIC_EXCEPTION, reason=reason)
        if request.acks not in (-1, 0, 1):
            return ProducedBatch(partition, ErrorCode.INVALID_REQUIRED_ACKS)
        if request.acks == -1 and not leading.enough:
            return ProducedBatch(
                partition,
                ErrorCode.NOT_ENOUGH_REPLICAS,
                reason=f"{len(leading.isr)} replicas are in sync, acks=all needs {leading.min_insync}",
            )
        if full:
            if bug("sequences-before-append"):
                replica.log.producers.apply(parse_header(batch.batch.data)._replace(base_offset=replica.log.end))
            return ProducedBatch(
                partition, ErrorCode.KAFKA_STORAGE_ERROR, reason=f"the broker's disk has under {RESERVE_BYTES} B left"
            )
        data = bytearray(batch.batch.data)
        try:
            header = check_incoming(data, replica.max_message_bytes)
        except InvalidBatch as error:
            code = _REFUSALS.get(error.code, ErrorCode.INVALID_RECORD)
            return ProducedBatch(partition, code, reason=str(error))
        if replica.log.settings.compacted:
            keys = _not_compactable(data, header)
            if keys is not None:
                return ProducedBatch(partition, ErrorCode.INVALID_RECORD, reason=keys)
        base = self._known(replica.log, header, partition)
        if isinstance(base, ProducedBatch):
            return base
        end = base + header.last_offset_delta + 1
        again = base >= 0
        if not again:
            if request.acks == -1 and len(self.acks) >= MAX_PARKED_ACKS:
                return ProducedBatch(
                    partition,
                    ErrorCode.THROTTLING_QUOTA_EXCEEDED,
                    reason=f"{MAX_PARKED_ACKS} batches wait for their acknowledgement already",
                )
            try:
                appended = replica.log.append(data, replica.leader_epoch, ctx.wall)
            except DiskFull as error:
                return ProducedBatch(partition, ErrorCode.KAFKA_STORAGE_ERROR, reason=str(error))
            touched[partition] = replica
            base, end = appended.base_offset, appended.last_offset + 1
        if request.acks != -1 or (bug("ack-before-replication") and leading.enough):
            return ProducedBatch(partition, ErrorCode.NONE, base, replica.log.start)
        deadline = Millis(ctx.now + max(1, request.timeout_ms))
        self.acks.park(partition, end, replica.leader_epoch, sender, request.id, base, deadline)
        if again:
            repeated.append(replica)
        return None

    def _known(self, log: Log, header: BatchHeader, partition: Partition) -> int | ProducedBatch:
        """-1 for a new batch, the original base offset of a duplicate, or the refusal."""
        if header.producer_id < 0:
            return -1
        verdict = log.producers.check(header, log.start)
        match verdict.check:
            case Check.NEW:
                return -1
            case Check.DUPLICATE:
                return -1 if bug("forget-sequences") else verdict.base_offset
            case Check.FENCED:
                return ProducedBatch(partition, ErrorCode.INVALID_PRODUCER_EPOCH, reason=verdict.sentence)
            case _:
                return ProducedBatch(partition, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, reason=verdict.sentence)


def _not_compactable(data: bytearray, header: BatchHeader) -> str | None:
    """Why a compacted topic cannot take this batch: every record there needs a key."""
    try:
        delta = keyless(data, header)
    except InvalidBatch as error:
        return str(error)
    return None if delta is None else f"record {delta} of the batch has no key: a compacted topic needs keys"
