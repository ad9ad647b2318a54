"""Kafka's classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. Part of `messages`.

The members decide among themselves: all join, the coordinator chooses one of them as leader and a protocol that all
know, the leader assigns, and all fetch their part with `SyncGroup`. What members and leader say to each other are bytes
that nobody else reads. Fields and errors are Kafka's, so that the Kafka door only translates.
"""

from __future__ import annotations

from .envelope import Part
from .errors import ErrorCode
from .group_messages import GroupReply, GroupRequest


class JoinProtocol(Part, frozen=True):
    """A way to assign that a member knows, and what it wants to say to a leader that uses it."""

    name: str
    metadata: bytes


class JoinGroup(GroupRequest, frozen=True):
    """Answered when all known members have joined, or the rebalance timeout is over.

    `needs_id`: whoever comes without a member id gets one with MEMBER_ID_REQUIRED, and comes again (KIP-394). `skips`:
    the client knows of `skip_assignment` (KIP-814). `protocols` in the order of preference.
    """

    member: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: list[JoinProtocol]
    instance: str = ""
    client_id: str = ""
    host: str = ""
    reason: str = ""
    needs_id: bool = False
    skips: bool = False
    grace_ms: int | None = None


class JoinedMember(Part, frozen=True):
    """What the leader gets of each member: its metadata for the chosen protocol."""

    member: str
    instance: str
    metadata: bytes


class GroupJoined(GroupReply, frozen=True):
    """The new generation. Only the leader gets `members`, and must assign unless `skip_assignment`."""

    member: str = ""
    generation: int = -1
    protocol_type: str = ""
    protocol: str = ""
    leader: str = ""
    members: list[JoinedMember] = []
    skip_assignment: bool = False


class SyncAssignment(Part, frozen=True):
    """What the leader gives to one member."""

    member: str
    assignment: bytes


class SyncGroup(GroupRequest, frozen=True):
    """The leader brings all assignments, the others nothing; each is answered with its own."""

    member: str
    generation: int
    instance: str = ""
    protocol_type: str = ""  # "": not checked
    protocol: str = ""
    assignments: list[SyncAssignment] = []


class GroupSynced(GroupReply, frozen=True):
    """The member's assignment of this generation. REBALANCE_IN_PROGRESS: join again."""

    protocol_type: str = ""
    protocol: str = ""
    assignment: bytes = b""


class ClassicHeartbeat(GroupRequest, frozen=True):
    """A member of a generation lives."""

    member: str
    generation: int
    instance: str = ""


class ClassicHeartbeatDone(GroupReply, frozen=True):
    """REBALANCE_IN_PROGRESS: join again; UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID: it is no member."""


class LeavingMember(Part, frozen=True):
    """A member by its id, or a static one by its instance and "" as id."""

    member: str
    instance: str = ""
    reason: str = ""


class LeaveGroup(GroupRequest, frozen=True):
    """These members go."""

    members: list[LeavingMember]


class MemberLeft(Part, frozen=True):
    """What became of one of them."""

    member: str
    instance: str
    error: ErrorCode


class GroupLeft(GroupReply, frozen=True):
    """One outcome per member, in the same order."""

    members: list[MemberLeft] = []
