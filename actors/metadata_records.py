"""The records of the metadata log: all that the cluster has decided.

A decision is one record batch, applied whole. Values are msgpack of tagged array-like structs. `LEVEL` is the format's
level, said by each `LeaderChanged`; a node that reads a higher one refuses to go on rather than guess.
"""

from __future__ import annotations

import msgspec

from .admin_messages import PartitionOutcome
from .kernel import Incarnation
from .messages import Partition, TopicId
from .metadata_state import Claim

LEVEL = 1


class MetadataRecord(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of what the metadata log can say."""


class LeaderChanged(MetadataRecord, frozen=True):
    """The first record of each epoch of the quorum."""

    epoch: int
    leader: int
    voters: list[int]
    level: int = LEVEL


class ClusterDefaults(MetadataRecord, frozen=True):
    """The topic defaults, fixed by the first active controller: partitions, replication, and topic configs."""

    partitions: int
    replication: int
    configs: dict[str, str]


class BrokerRegistered(MetadataRecord, frozen=True):
    """A broker's new incarnation, fenced until its first good heartbeat. This record's offset is its broker epoch."""

    broker: int
    incarnation: Incarnation
    directory_id: str
    endpoint: str
    rack: str
    life: int = 0
    listeners: dict[str, str] = {}


class BrokerFenced(MetadataRecord, frozen=True):
    """The broker is not to lead or be in sync until it is unfenced."""

    broker: int
    broker_epoch: int
    reason: str = ""


class BrokerUnfenced(MetadataRecord, frozen=True):
    """The broker has caught up with the metadata and may lead."""

    broker: int
    broker_epoch: int


class BrokerStopping(MetadataRecord, frozen=True):
    """Controlled shutdown has begun: no leadership, no in-sync membership (KIP-841)."""

    broker: int
    broker_epoch: int


class TopicCreated(MetadataRecord, frozen=True):
    """A topic with its own configs (defaults are not repeated)."""

    id: TopicId
    name: str
    configs: dict[str, str] = {}


class TopicDeleted(MetadataRecord, frozen=True):
    """The topic and all its partitions are gone."""

    id: TopicId


class PartitionCreated(MetadataRecord, frozen=True):
    """A new partition: leader epoch 0, partition epoch 0, all unfenced replicas in sync."""

    partition: Partition
    replicas: list[int]
    isr: list[int]
    leader: int


class PartitionChanged(MetadataRecord, frozen=True):
    """The whole changeable state after the change: partition epoch +1; leader epoch as said (KIP-966 for ELR).

    Empty `replicas` are the ones that there were. While it moves (KIP-455) they are those before and those after;
    `target` are those after, in their order, and `adding` those of them that were none before. `claims` are those that
    come with this change; earlier ones hold while their broker is in the ELR.
    """

    partition: Partition
    leader: int
    leader_epoch: int
    partition_epoch: int
    isr: list[int]
    elr: list[int] = []
    last_known_elr: list[int] = []
    unclean: bool = False
    replicas: list[int] = []
    target: list[int] = []
    adding: list[int] = []
    claims: list[Claim] = []


class ProducerIdsTaken(MetadataRecord, frozen=True):
    """Producer ids below `next` are given out."""

    broker: int
    next: int


class RequestDone(MetadataRecord, frozen=True):
    """The answer to an admin request, remembered for 10 minutes by (client, request): written with its effect."""

    client: Incarnation
    request: int
    error: int
    reason: str
    topic_id: TopicId
    wall: int
    outcomes: list[PartitionOutcome] = []


class TopicConfigured(MetadataRecord, frozen=True):
    """All configs that are a topic's own, after the change."""

    id: TopicId
    configs: dict[str, str]


class BrokerDraining(MetadataRecord, frozen=True):
    """A broker is to be emptied and gets nothing new; or not any more."""

    broker: int
    draining: bool


class BrokerRemoved(MetadataRecord, frozen=True):
    """A broker that keeps nothing is forgotten."""

    broker: int
    broker_epoch: int


class BrokersConfigured(MetadataRecord, frozen=True):
    """All configs that are set for one broker, or for all of them (-1), after the change."""

    broker: int
    configs: dict[str, str]
