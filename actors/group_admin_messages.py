"""Groups for people and tools: list, describe, delete. Part of `messages`.

A coordinator knows the groups of the partitions that it leads, so `ListGroups` goes to every broker.
"""

from __future__ import annotations

from .envelope import Part
from .errors import ErrorCode
from .group_messages import GroupReply, GroupRequest, TopicPartitions
from .kernel import Message

CONSUMER = "consumer"
CLASSIC = "classic"


class ListGroups(Message, frozen=True):
    """The groups that this broker coordinates; only those in these states, of these kinds (empty: of all)."""

    id: int
    states: list[str] = []
    kinds: list[str] = []


class GroupListing(Part, frozen=True):
    """`kind`: CONSUMER for the heartbeat protocol, CLASSIC for the classic one and for offsets without any members."""

    group: str
    kind: str
    state: str
    protocol_type: str


class GroupsListed(Message, frozen=True):
    """COORDINATOR_LOAD_IN_PROGRESS: some are still being read, ask again."""

    id: int
    error: ErrorCode
    groups: list[GroupListing] = []
    reason: str = ""


class DescribeGroup(GroupRequest, frozen=True):
    """Everything about one group, except its offsets."""


class MemberPicture(Part, frozen=True):
    """A member. Assignments as partitions in a consumer group, as the leader's bytes in a classic one."""

    member: str
    instance: str
    client_id: str
    host: str
    epoch: int
    state: str = ""
    rack: str = ""
    topics: list[str] = []
    pattern: str = ""
    assigned: list[TopicPartitions] = []
    target: list[TopicPartitions] = []
    metadata: bytes = b""
    assignment: bytes = b""


class GroupPicture(Part, frozen=True):
    """A group. `epoch`: group epoch or generation; `protocol`: the assignor, or the classic protocol in use."""

    group: str
    kind: str
    state: str
    protocol_type: str
    protocol: str
    epoch: int
    assignment_epoch: int
    leader: str  # the oldest member; "" if there is none
    members: list[MemberPicture]


class GroupDescribed(GroupReply, frozen=True):
    """GROUP_ID_NOT_FOUND: there is no such group, and the picture is None."""

    picture: GroupPicture | None = None


class DeleteGroup(GroupRequest, frozen=True):
    """Forget a group with its offsets. NON_EMPTY_GROUP while it has members."""


class GroupDeleted(GroupReply, frozen=True):
    """Done, or why not."""
