"""The cluster's picture for people and tools: `Describe` and its answer. Part of `messages`."""

from __future__ import annotations

from .envelope import Part, TopicId
from .errors import ErrorCode
from .kernel import Message


class Describe(Message, frozen=True):
    """A picture of the cluster from any broker: brokers, topics, partitions (names: None for all topics)."""

    id: int
    names: list[str] | None = None


class BrokerPicture(Part, frozen=True):
    """A registered broker."""

    broker: int
    endpoint: str
    rack: str
    epoch: int
    fenced: bool
    stopping: bool
    listeners: dict[str, str] = {}
    draining: bool = False


class PartitionPicture(Part, frozen=True):
    """A partition as the metadata has it."""

    index: int
    replicas: list[int]
    isr: list[int]
    elr: list[int]
    leader: int
    leader_epoch: int
    partition_epoch: int
    target: list[int] = []  # where it moves to, empty if it does not
    adding: list[int] = []


class TopicPicture(Part, frozen=True):
    """A topic as the metadata has it; `configs` with every default filled in. `internal`: the cluster's own."""

    id: TopicId
    name: str
    configs: dict[str, str]
    partitions: list[PartitionPicture]
    internal: bool = False


class Described(Message, frozen=True):
    """The answer to `Describe`, as of metadata offset `offset`."""

    id: int
    error: ErrorCode
    cluster_id: str = ""
    offset: int = -1
    controller: int = -1
    controller_epoch: int = -1
    brokers: list[BrokerPicture] = []
    topics: list[TopicPicture] = []
