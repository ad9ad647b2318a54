"""What a broker and the coordinators in its own node say to each other. Local: never encoded, never lost.

A coordinator is a client of the log that its state is kept in, with two privileges: it is told what leadership does to
it, and it learns where its records are as soon as they are written. All of it happens within one process, in order.

    broker -> coordinator   TermBegan, Committed ..., TermEnded; LeaseRenewed; TopicsMoved
    coordinator -> broker   AppendRecords, answered at once by RecordsAppended; and `Consume`, to read what is there

Nothing here may come from another process, so none of it is listed in `messages`.
"""

from __future__ import annotations

from .envelope import Partition, TopicId
from .errors import ErrorCode
from .kernel import Message, Millis, Payload
from .messages import TopicName


class TermBegan(Message, frozen=True):
    """This broker leads a partition of an internal topic. What lies below `end` was written in earlier terms."""

    topic: str
    partition: Partition
    leader_epoch: int
    start: int
    end: int


class TermEnded(Message, frozen=True):
    """It leads it no longer: everything that was not committed may be gone, and so may be what was."""

    partition: Partition
    leader_epoch: int


class Committed(Message, frozen=True):
    """The high watermark of such a partition has moved."""

    partition: Partition
    leader_epoch: int
    hw: int


class LeaseRenewed(Message, frozen=True):
    """This broker may serve until then (monotonic time of the node), and not a moment longer without being told."""

    until: Millis


class TopicsMoved(Message, frozen=True):
    """Topics were made or have grown, and topics were deleted, as of metadata offset `end`. `whole`: these are all."""

    end: int
    whole: bool
    topics: list[TopicName]
    deleted: list[TopicId]


class AppendRecords(Message, frozen=True):
    """Write this batch, in exactly this leader epoch."""

    id: int
    partition: Partition
    leader_epoch: int
    batch: Payload


class RecordsAppended(Message, frozen=True):
    """It lies in the log from `base` on, and is committed once the high watermark reaches `end`. Or nothing was done.

    NOT_LEADER_OR_FOLLOWER and the epochs' errors: the term is over, or the lease. NOT_ENOUGH_REPLICAS,
    KAFKA_STORAGE_ERROR, MESSAGE_TOO_LARGE: it cannot be written now, or at all; the term goes on.
    """

    id: int
    partition: Partition
    leader_epoch: int
    error: ErrorCode
    base: int = -1
    end: int = -1
    reason: str = ""
