"""Administration: what people and tools ask of the cluster, and what becomes of it. Part of `messages`.

Whatever changes something is an `AdminRequest`. It goes to the active controller, which remembers it for 10 minutes by
(client incarnation, id): asking again with the same id is harmless, and a lost answer costs a repetition. One request
speaks of one topic or broker, or of up to `MAX_PER_REQUEST` partitions; who wants more asks several times. Questions
(`DescribeConfigs`, `ListReassignments`) change nothing and go to any broker or controller.

Names of configs, their types and the numbers of their sources are Kafka's, so that the Kafka door need not translate.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from .envelope import Part, Partition, TopicId
from .errors import ErrorCode
from .kernel import Incarnation, Message

MAX_PER_REQUEST = 1_000
"""Partitions of one request: more would take the controller longer than a handler may."""


class AdminRequest(Message, frozen=True):
    """Base of what changes something."""

    id: int
    client: Incarnation


class AdminDone(Message, frozen=True):
    """What became of an admin request, once committed. `reason` is a sentence for people."""

    id: int
    error: ErrorCode
    reason: str = ""
    topic_id: TopicId = TopicId("")
    leader: int = -1
    offset: int = -1  # a broker that has applied the metadata up to here knows of it


class PartitionOutcome(Part, frozen=True):
    """What became of one partition of a request: an error, and a sentence for people."""

    topic: str
    index: int
    error: ErrorCode = ErrorCode.NONE
    reason: str = ""


class PartitionsDone(Message, frozen=True):
    """The answer to a request about partitions: `error` if nothing was looked at, else one outcome per partition.

    A request that names no partition (all of them) is answered with those that something was to be said of.
    """

    id: int
    error: ErrorCode
    reason: str = ""
    outcomes: list[PartitionOutcome] = []
    leader: int = -1
    offset: int = -1


# --- Topics ----------------------------------------------------------------------------------------------------------


class CreateTopic(AdminRequest, frozen=True):
    """-1 for partitions or replication takes the cluster's default. Answered with `AdminDone`.

    `assignments` gives the replicas of each partition by hand, the preferred leader first; then both figures are -1.
    """

    name: str
    partitions: int = -1
    replication: int = -1
    configs: dict[str, str] = {}
    assignments: list[list[int]] = []
    validate_only: bool = False  # say what would be answered, and change nothing


class DeleteTopic(AdminRequest, frozen=True):
    """By name, or by id if the name is empty. Answered with `AdminDone`."""

    name: str
    topic_id: TopicId = TopicId("")


class CreatePartitions(AdminRequest, frozen=True):
    """Let a topic have `total` partitions, more than it has. Answered with `AdminDone`.

    `assignments` gives the replicas of each new partition by hand; empty: as the ring says.
    """

    name: str
    total: int
    assignments: list[list[int]] = []
    validate_only: bool = False


# --- Configs ---------------------------------------------------------------------------------------------------------

ConfigKind = Literal["topic", "broker"]
ConfigOperation = Literal["set", "delete", "append", "subtract"]


class ConfigSource(IntEnum):
    """Where a value comes from, strongest first. Kafka's numbers."""

    TOPIC = 1  # set for this topic
    BROKER = 2  # set for this broker
    CLUSTER = 3  # set for all brokers
    FILE = 4  # the cluster file, when the cluster was made
    DEFAULT = 5


class ConfigChange(Part, frozen=True):
    """`append` and `subtract` are for lists. `delete` takes back what was set: the next source holds again."""

    name: str
    operation: ConfigOperation
    value: str = ""


class AlterConfigs(AdminRequest, frozen=True):
    """Change configs of one topic, of one broker (by number), or of all brokers (an empty name).

    All changes or none. `replace` takes back whatever was set and is not named here (Kafka's older AlterConfigs).
    Answered with `AdminDone`.
    """

    kind: ConfigKind
    name: str
    changes: list[ConfigChange]
    replace: bool = False
    validate_only: bool = False


class ConfigResource(Part, frozen=True):
    """A topic, a broker (by number), or all brokers (an empty name). `keys`: None for every config."""

    kind: ConfigKind
    name: str
    keys: list[str] | None = None


class DescribeConfigs(Message, frozen=True):
    """The configs in force, with their sources. Answered with `ConfigsDescribed`."""

    id: int
    resources: list[ConfigResource]


class ConfigSynonym(Part, frozen=True):
    """A value that a config has or would have, by one source; `name` is what it is called there."""

    name: str
    value: str
    source: ConfigSource


class ConfigEntry(Part, frozen=True):
    """One config. `type` is Kafka's word ; `synonyms` has all sources, strongest first."""

    name: str
    value: str
    default: str
    source: ConfigSource
    type: str
    doc: str
    read_only: bool = False
    synonyms: list[ConfigSynonym] = []


class ConfigPicture(Part, frozen=True):
    """The configs of one resource, sorted by name; or why there are none."""

    kind: ConfigKind
    name: str
    error: ErrorCode = ErrorCode.NONE
    reason: str = ""
    entries: list[ConfigEntry] = []


class ConfigsDescribed(Message, frozen=True):
    """The answer to `DescribeConfigs`, as of metadata offset `offset`; one picture per resource, in their order."""

    id: int
    error: ErrorCode
    offset: int = -1
    resources: list[ConfigPicture] = []


# --- Where partitions are ---------------------------------------------------------------------------------------------


class PartitionTarget(Part, frozen=True):
    """Where a partition shall be: its replicas, the preferred leader first. None: cancel what is under way."""

    topic: str
    index: int
    replicas: list[int] | None = None


class Reassign(AdminRequest, frozen=True):
    """Move partitions (KIP-455): each grows, catches up, and shrinks to its target. Answered with `PartitionsDone`.

    NONE means that the move has begun (or was cancelled). A second target for a partition that moves replaces the
    first; one that is reached already ends the move.
    """

    targets: list[PartitionTarget]


class ListReassignments(Message, frozen=True):
    """Which partitions move; None: all that do. Answered with `ReassignmentsListed`."""

    id: int
    partitions: list[tuple[str, int]] | None = None


class Reassignment(Part, frozen=True):
    """A partition that moves: `adding` become replicas, `removing` will not be any more. Both are among `replicas`."""

    topic: str
    index: int
    replicas: list[int]
    adding: list[int]
    removing: list[int]
    isr: list[int] = []


class ReassignmentsListed(Message, frozen=True):
    """The answer to `ListReassignments`, as of metadata offset `offset`."""

    id: int
    error: ErrorCode
    offset: int = -1
    reassignments: list[Reassignment] = []


class ElectLeaders(AdminRequest, frozen=True):
    """Let preferred leaders lead (None: everywhere), or, `unclean`, whoever is left. Answered with `PartitionsDone`.

    An unclean election gives up what only the replicas that are away have; it is for partitions without a leader, named
    one by one. `leaders` says who shall lead, as (topic, partition, broker): see `DescribeLogs` for who has most.
    """

    partitions: list[tuple[str, int]] | None = None
    unclean: bool = False
    leaders: list[tuple[str, int, int]] = []


class DrainBroker(AdminRequest, frozen=True):
    """A broker is to go: what it has moves to others, and it gets nothing new; `cancel`: it stays. See `AdminDone`."""

    broker: int
    cancel: bool = False


class RemoveBroker(AdminRequest, frozen=True):
    """Forget a broker that keeps nothing and does not run (Kafka's UnregisterBroker). Answered with `AdminDone`."""

    broker: int


class DescribeLogs(Message, frozen=True):
    """What one broker has of these partitions (None: of all it has), asked of that broker. See `LogsDescribed`."""

    id: int
    partitions: list[Partition] | None = None


class LogPicture(Part, frozen=True):
    """One copy of a partition.

    `durable` is the end of what survives a loss of power; `hw` the high watermark as this broker knows it; `last_epoch`
    the leader epoch of the last record, -1 without any; `size` counts bytes.
    """

    partition: Partition
    start: int
    end: int
    durable: int
    hw: int
    last_epoch: int
    leader_epoch: int
    size: int


class LogsDescribed(Message, frozen=True):
    """The answer to `DescribeLogs`: a partition that was asked for and is not listed is not there."""

    id: int
    error: ErrorCode
    broker: int = -1
    logs: list[LogPicture] = []
