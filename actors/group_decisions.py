"""What a coordinator decides: what is written about a group, and what is said once it is committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from .errors import ErrorCode
from .group_messages import GroupReply, GroupRequest
from .group_records import Entry
from .group_state import Group
from .group_topics import Topics
from .kernel import Address, Context, Event
from .messages import (
    ClassicHeartbeat,
    ClassicHeartbeatDone,
    CommitOffsets,
    DeleteGroup,
    DeleteOffsets,
    DescribeGroup,
    FetchOffsets,
    GroupDeleted,
    GroupDescribed,
    GroupHeartbeat,
    GroupHeartbeatDone,
    GroupJoined,
    GroupLeft,
    GroupSynced,
    JoinGroup,
    LeaveGroup,
    OffsetsCommitted,
    OffsetsDeleted,
    OffsetsFetched,
    SyncGroup,
)

MAX_GROUP_NAME = 255
"""Characters of a group's name."""

REPLIES: dict[type[GroupRequest], type[GroupReply]] = {
    ClassicHeartbeat: ClassicHeartbeatDone,
    CommitOffsets: OffsetsCommitted,
    DeleteGroup: GroupDeleted,
    DeleteOffsets: OffsetsDeleted,
    DescribeGroup: GroupDescribed,
    FetchOffsets: OffsetsFetched,
    GroupHeartbeat: GroupHeartbeatDone,
    JoinGroup: GroupJoined,
    LeaveGroup: GroupLeft,
    SyncGroup: GroupSynced,
}


class Refused(Exception):
    """A request that cannot be granted: a function of the request and the state, so it becomes a reply."""

    def __init__(self, error: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.error, self.reason = error, reason


class Decision(NamedTuple):
    """Nothing of `replies` and `events` is said before `entries` are written, no reply before they are committed."""

    entries: Sequence[Entry] = ()
    replies: Sequence[tuple[Address, GroupReply]] = ()
    events: Sequence[Event] = ()


def refusal(request: GroupRequest, error: ErrorCode, reason: str) -> GroupReply:
    """The reply that says no, and why."""
    reply = REPLIES[type(request)](request.id, error, reason)
    if isinstance(request, GroupHeartbeat) and isinstance(reply, GroupHeartbeatDone):
        return GroupHeartbeatDone(request.id, error, reason, request.member, sequence=request.sequence)
    if isinstance(request, JoinGroup) and isinstance(reply, GroupJoined):
        return GroupJoined(request.id, error, reason, request.member)
    return reply


def no_longer(reply: GroupReply, error: ErrorCode, reason: str) -> GroupReply:
    """A reply that may not be said any more, as the refusal that is said instead."""
    if isinstance(reply, GroupHeartbeatDone):
        return GroupHeartbeatDone(reply.id, error, reason, reply.member, sequence=reply.sequence)
    if isinstance(reply, GroupJoined):
        return GroupJoined(reply.id, error, reason, reply.member)
    return type(reply)(reply.id, error, reason)


def check_name(group: str) -> None:
    """Raises Refused for what cannot be the name of a group."""
    if not group:
        raise Refused(ErrorCode.INVALID_GROUP_ID, "A group needs a name.")
    if len(group) > MAX_GROUP_NAME:
        reason = f"The name of a group has at most {MAX_GROUP_NAME} characters, this one has {len(group)}."
        raise Refused(ErrorCode.INVALID_GROUP_ID, reason)


class Desk(Protocol):
    """Where the conversations of one partition's groups are written up, for one term (`group_shard`)."""

    topics: Topics

    @property
    def groups(self) -> Mapping[str, Group]:
        """The groups as they are now."""
        ...

    def members(self, group: str) -> int:
        """How many members a group has now, also those that nothing is written of yet."""
        ...

    def when_free(self, action: Callable[[Context], None], ctx: Context) -> None:
        """Decide something as soon as nothing is on its way to the log, so that it is decided on what is then so."""
        ...

    def look_later(self, group: str, ctx: Context) -> None:
        """What was to be done about its topics could not be written: do it later."""
        ...

    def write(self, group: str, decision: Decision, ctx: Context, refused: Callable[[Context], None] | None) -> None:
        """Write a decision that was made just now. `refused` is called if it could not be written."""
        ...
