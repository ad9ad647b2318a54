"""The heartbeat protocol of consumer groups (KIP-848's shape). Part of `messages`.

One request does it all: a member's heartbeat says what it wants to read and what it owns, and the answer what it shall
own. A member that has less than it owns in an answer gives up the rest first and says so in its next heartbeat; only
then does somebody else get it. What is new in an answer belongs to the member from that moment on.

A native heartbeat waits at the coordinator (`wait_ms`) and is answered at once when there is something to learn. A
later one of the same member takes its place; the earlier one is then not answered. Kafka's clients do not wait.

`leader_epoch` names the term of the coordinator that the sender means, or -1: any. `sequence` counts what a member
sends, so that nothing old is taken for new; -1: it does not count. Both together let no message of yesterday do harm.
A member takes no answer but that to its newest heartbeat, and lists as owned also what it is about to take up: so what
it does not list it neither has nor will have, unless an answer to that heartbeat says so.
"""

from __future__ import annotations

from .envelope import Part, TopicId, TopicName
from .errors import ErrorCode
from .kernel import Message

JOINING = 0
LEAVING = -1
LEAVING_FOR_A_WHILE = -2
"""Member epochs that say something else: the last one is a static member's, which may come back within its session."""

UNIFORM = "uniform"
RANGE = "range"
AT_LEADER = "leader"
"""The assignors: two at the coordinator, and the group's leader, which is its oldest member."""

COORDINATORS_GRACE = -1
"""As a member's grace: what the coordinator's configuration says."""


class GroupRequest(Message, frozen=True):
    """Base of what is said to the coordinator of one group. A leader epoch of -1 is not checked."""

    id: int
    group: str
    leader_epoch: int


class GroupReply(Message, frozen=True):
    """Base of its answers; `reason` is a sentence for people."""

    id: int
    error: ErrorCode
    reason: str


class TopicPartitions(Part, frozen=True):
    """Some partitions of a topic, ascending."""

    topic: TopicId
    partitions: list[int]


class PlanMember(Part, frozen=True):
    """A member as the leader sees it: what it may get, what it has, and what it says of itself."""

    member: str
    instance: str
    rack: str
    topics: list[TopicId]
    owned: list[TopicPartitions]
    metadata: bytes


class PlanTask(Part, frozen=True):
    """To the leader: please assign every partition of what the members subscribe to. First come, first listed."""

    group_epoch: int
    members: list[PlanMember]
    topics: list[TopicName]


class PlanShare(Part, frozen=True):
    """What the leader gives to one member."""

    member: str
    partitions: list[TopicPartitions]


class Plan(Part, frozen=True):
    """The leader's answer to the task of that group epoch: each partition exactly once."""

    group_epoch: int
    shares: list[PlanShare]


class GroupHeartbeat(GroupRequest, frozen=True):
    """A member lives, joins (epoch 0) or leaves (-1, -2). None: as said before.

    `member` is made up by the client, and new for each consumer; "" lets the coordinator make it up. `owned`: what the
    member has and has not given up. `instance`: the name of a static member, or "". `pattern`: a regular expression
    (RE2) for topics, "" for none. `grace_ms`: how soon after the end of its connection the member counts as dead; None:
    the end of a connection means nothing. `metadata` and `plan` are for the assignor at the leader. `heard`: the
    sequence of the newest heartbeat whose answer has come, so that one that was lost is given again at once.
    """

    member: str
    member_epoch: int
    sequence: int = -1
    wait_ms: int = 0
    topics: list[str] | None = None
    pattern: str | None = None
    owned: list[TopicPartitions] | None = None
    instance: str = ""
    rack: str = ""
    rebalance_timeout_ms: int = -1
    assignor: str | None = None
    client_id: str = ""
    host: str = ""
    grace_ms: int | None = None
    metadata: bytes = b""
    plan: Plan | None = None
    heard: int = -1


class GroupHeartbeatDone(GroupReply, frozen=True):
    """What the member is now. `assigned` None: nothing has changed; `topics` has the names of what is assigned.

    COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE: ask again; NOT_COORDINATOR: look who it is first.
    FENCED_MEMBER_EPOCH, UNKNOWN_MEMBER_ID: the member owns nothing any more, and may join anew. UNRELEASED_INSTANCE_ID:
    another one lives under the same static name. All others are for people.
    """

    member: str = ""
    member_epoch: int = -1
    heartbeat_ms: int = 0
    session_ms: int = 0
    assigned: list[TopicPartitions] | None = None
    topics: list[TopicName] = []
    task: PlanTask | None = None
    sequence: int = -1
