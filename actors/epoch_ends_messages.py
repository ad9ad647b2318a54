"""Where leader epochs ended: what a consumer asks to find out whether it has read what was never committed (KIP-320).

Part of `messages`.
"""

from __future__ import annotations

from .envelope import Part, Partition
from .errors import ErrorCode
from .kernel import Message


class EpochQuery(Part, frozen=True):
    """Where did `epoch` end? `leader_epoch` is the one that the asker believes in; -1: it is not checked."""

    partition: Partition
    leader_epoch: int
    epoch: int


class FindEpochEnds(Message, frozen=True):
    """Kafka's OffsetForLeaderEpoch, to the partitions' leader."""

    id: int
    queries: list[EpochQuery]


class FoundEpochEnd(Part, frozen=True):
    """The largest epoch not above the one asked for, and the offset after its last record; -1 and -1 if unknown."""

    partition: Partition
    error: ErrorCode
    epoch: int = -1
    end: int = -1


class EpochEndsFound(Message, frozen=True):
    """The answer to `FindEpochEnds`: one per query, in their order."""

    id: int
    ends: list[FoundEpochEnd]
