"""Records that wait to be sent: one queue of batches per partition.

A batch takes records until it is full, and is due when its linger is over, when it is full, or when someone flushes.
A batch that is due and cannot go yet (five are in flight, nobody leads) goes on taking records, as in Kafka: the
slower the cluster, the larger the batches.

Records are encoded as they come, not when their batch leaves: whoever sends at a steady rate waits for the whole of a
cycle's batches otherwise, every time, and so do the brokers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate

from ..storage.plain import PlainEncoder
from ..storage.records import NO_COMPRESSION, encode_batch, encode_plain_batch
from .client_commands import Failure
from .kernel import Millis
from .messages import Partition
from .rows import Odd, Rows, records_of

BATCH_OVERHEAD = 61
MAX_RECORDS = 8_192  # so that encoding one batch stays far below 20 ms
NOW = Millis(-1)  # due since ever


class Batch:
    """Records of one partition that share a fate. First it waits, then it flies; it gets exactly one outcome."""

    __slots__ = (
        "attempts",
        "base_sequence",
        "complaint",
        "deadline",
        "done",
        "due",
        "encoded",
        "hold",
        "keys",
        "odd",
        "partition",
        "plain",
        "refusal",
        "refusals",
        "request",
        "requests",
        "retired",
        "sent_as_head",
        "serial",
        "size",
        "timestamp",
        "tokens",
        "values",
    )

    def __init__(self, serial: int, partition: Partition, due: Millis, deadline: Millis, timestamp: Millis) -> None:
        self.serial = serial  # unique in one producer
        self.partition = partition
        self.due = due
        self.deadline = deadline
        self.timestamp = timestamp  # of the records that bring none
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.odd: dict[int, Odd] = {}
        self.plain: PlainEncoder | None = PlainEncoder()  # as long as the records are plain
        self.tokens: list[object] = []
        self.size = BATCH_OVERHEAD
        # While it flies:
        self.base_sequence = -1
        self.encoded: bytes | None = None
        self.attempts = 0
        self.request: int | None = None  # the attempt that is under way; None: to be sent (again)
        self.requests: list[int] = []  # every attempt: an answer to any of them may say that it is written
        self.retired = 0  # so many of them were under an earlier identity: no answer to those counts
        self.sent_as_head = False  # all before it were acknowledged when the present attempt was sent
        self.hold = False  # out of order: wait until all before it are acknowledged
        self.done = False  # acknowledged
        self.complaint: Failure | None = None  # why the last attempt that was answered did not write it
        self.refusals = 0  # so many attempts were answered so, and certainly wrote nothing
        self.refusal: Failure | None = None  # the cluster refused it: to be told once it is the head

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, rows: Rows) -> int:
        """More records, at least one: how many bytes they take."""
        keys, values, tokens, sizes, odd = rows
        if self.plain is not None and (odd or not self.plain.add(keys, values)):
            self.plain = None
        if odd:
            self.odd |= {len(self) + place: odd[place] for place in odd}
        self.keys += keys
        self.values += values
        self.tokens += tokens
        size = sum(sizes)
        self.size += size
        return size

    def encode(self, producer_id: int, producer_epoch: int, compression: int = NO_COMPRESSION) -> bytes:
        """The bytes to send, under this identity and the batch's sequence.

        What compression would only make larger goes as it is: a batch that was let in is never too large to be sent.
        """
        sequence = self.base_sequence if producer_id >= 0 else -1
        plain, self.plain = self.plain, None
        if plain is not None:
            writer = (producer_id, producer_epoch, sequence)
            self.encoded = encode_plain_batch(
                plain.body(), len(self), timestamp=self.timestamp, writer=writer, compression=compression
            )
        else:
            self.encoded = encode_batch(
                records_of(self.keys, self.values, self.odd),
                timestamp=self.timestamp,
                producer_id=producer_id,
                producer_epoch=producer_epoch,
                base_sequence=sequence,
                compression=compression,
            )
        if compression != NO_COMPRESSION and len(self.encoded) > self.size:
            return self.encode(producer_id, producer_epoch)
        return self.encoded

    def land(self) -> None:
        """Back to waiting, without a sequence: it will fly again under another identity."""
        self.base_sequence = -1
        self.encoded = None
        self.request = None
        self.retired = len(self.requests)
        self.hold = self.sent_as_head = False
        self.due = NOW


class Accumulator:
    """The waiting batches of one partition, in order. The last one takes more records while it has room."""

    __slots__ = ("batch_bytes", "partition", "waiting")

    def __init__(self, partition: Partition, batch_bytes: int) -> None:
        self.partition = partition
        self.batch_bytes = batch_bytes
        self.waiting: deque[Batch] = deque()

    def with_room(self, size: int) -> Batch | None:
        """The batch at hand, if a record of this size fits into it."""
        if not self.waiting:
            return None
        last = self.waiting[-1]
        fits = last.base_sequence < 0 and last.size + size <= self.batch_bytes and len(last) < MAX_RECORDS
        return last if fits else None

    def open(self, batch: Batch) -> None:
        """The batch at hand is full: it is due, and this one follows."""
        if self.waiting:
            self.waiting[-1].due = NOW
        self.waiting.append(batch)

    def room_at_hand(self, sizes: Sequence[int]) -> int:
        """How many of the next records fit into the batch at hand, or into an empty one if the first does not fit."""
        batch = self.with_room(sizes[0])
        count, size = (0, BATCH_OVERHEAD) if batch is None else (len(batch), batch.size)
        most = min(len(sizes), MAX_RECORDS - count)
        left = self.batch_bytes - size
        if most == len(sizes) and sum(sizes) <= left:
            return most
        return max(1, bisect_right(list(accumulate(sizes[:most])), left))

    def is_full(self) -> bool:
        """Whether the first batch takes no more, or somebody flushes it."""
        first = self.waiting[0]
        return first.due == NOW or first.size >= self.batch_bytes or len(first) >= MAX_RECORDS

    def flush(self) -> None:
        """Nothing lingers any more."""
        for batch in self.waiting:
            batch.due = NOW
