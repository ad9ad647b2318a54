"""Deleting records on request (Kafka's DeleteRecords): of a partition's leader, up to an offset."""

from __future__ import annotations

from .envelope import Part, Partition
from .errors import ErrorCode
from .kernel import Message


class DeletePartition(Part, frozen=True):
    """Everything below `offset`; -1 means the high watermark. A leader epoch of -1 is not checked."""

    partition: Partition
    leader_epoch: int
    offset: int


class DeleteRecords(Message, frozen=True):
    """Answered for each partition once every replica that is up has moved its log start, or after `timeout_ms`."""

    id: int
    timeout_ms: int
    partitions: list[DeletePartition]


class DeletedPartition(Part, frozen=True):
    """`log_start`: where the log begins now. REQUEST_TIMED_OUT: it begins there at the leader, not yet everywhere."""

    partition: Partition
    error: ErrorCode
    log_start: int = -1
    leader: int = -1
    leader_epoch: int = -1
    reason: str = ""


class RecordsDeleted(Message, frozen=True):
    """Partitions of one request may be answered in several of these."""

    id: int
    partitions: list[DeletedPartition]
