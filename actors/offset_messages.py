"""Committed offsets of a group: how far it has read. Part of `messages`."""

from __future__ import annotations

from .envelope import Part, Partition
from .errors import ErrorCode
from .group_messages import GroupReply, GroupRequest

MAX_OFFSET_METADATA = 4096
"""Characters that may be kept beside an offset (Kafka's offset.metadata.max.bytes)."""


class NewOffset(Part, frozen=True):
    """The next record to read, the epoch of the last one read (-1: not known), and what the client wants to keep.

    `forget`: there shall be no offset any more. Kafka's clients say that with a negative one.
    """

    partition: Partition
    offset: int
    leader_epoch: int = -1
    metadata: str = ""
    forget: bool = False


class CommitOffsets(GroupRequest, frozen=True):
    """From a member of the group, by its member epoch or generation; or, with "" and -1, from outside of a group that
    has no members: simple consumers, and whoever resets. `sequence` as in `GroupHeartbeat`.
    """

    member: str
    epoch: int
    offsets: list[NewOffset]
    instance: str = ""
    sequence: int = -1


class OffsetOutcome(Part, frozen=True):
    """What became of one partition of a request; `reason` is a sentence for people."""

    partition: Partition
    error: ErrorCode = ErrorCode.NONE
    reason: str = ""


class OffsetsCommitted(GroupReply, frozen=True):
    """With an error nothing was committed; without, what `partitions` says. Kept at every in-sync replica by now.

    STALE_MEMBER_EPOCH, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID: others may own it now.
    """

    partitions: list[OffsetOutcome] = []


class FetchOffsets(GroupRequest, frozen=True):
    """The committed offsets of these partitions; None: of all that there are. A member may say its epoch."""

    partitions: list[Partition] | None = None
    member: str = ""
    epoch: int = -1
    require_stable: bool = False  # not while a transaction may still change it


class CommittedOffset(Part, frozen=True):
    """`offset` -1: nothing is committed there."""

    partition: Partition
    error: ErrorCode = ErrorCode.NONE
    offset: int = -1
    leader_epoch: int = -1
    metadata: str = ""


class OffsetsFetched(GroupReply, frozen=True):
    """A group that nobody knows has no offsets, which is no error."""

    offsets: list[CommittedOffset] = []


class DeleteOffsets(GroupRequest, frozen=True):
    """Forget these. Refused (GROUP_SUBSCRIBED_TO_TOPIC) while a member reads the topic."""

    partitions: list[Partition]


class OffsetsDeleted(GroupReply, frozen=True):
    """One outcome per partition, unless there is an error."""

    partitions: list[OffsetOutcome] = []
