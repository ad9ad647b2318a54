"""What the checkers look at: the parts of actors' state that the invariants speak of, and the truth on a disk.

Protocols, so that a checker can be tested with a forged state and the actors need not know that they are watched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast

from ..actors.group_shard import GroupShard
from ..actors.group_topics import Topics
from ..actors.groups import Groups
from ..actors.internal_topics import partition_of
from ..actors.messages import Partition, TopicId
from ..actors.quorum_state import QuorumState
from ..actors.quorum_state import read as read_quorum_state
from ..cluster.world import Host, World
from ..storage.epochs import EpochCache
from ..storage.memory import MemoryDisk
from ..storage.memory_tree import Directory, File
from .mirror import LogView


class EpochLogView(LogView, Protocol):
    """A log with its durable end and its epochs."""

    epochs: EpochCache

    @property
    def durable_end(self) -> int: ...
    @property
    def recovery_point(self) -> int: ...


class VoterView(Protocol):
    """`actors.raft.Voter`."""

    @property
    def endpoint(self) -> str: ...
    @property
    def directory_id(self) -> str: ...


class RaftView(Protocol):
    """`actors.raft.Raft`."""

    id: int
    epoch: int
    voted_for: int
    leader: int
    hw: int
    epoch_start: int

    @property
    def leading(self) -> bool: ...
    @property
    def log(self) -> EpochLogView | None: ...
    @property
    def voters(self) -> Mapping[int, VoterView]: ...


class PartitionStateView(Protocol):
    """`actors.metadata.PartitionState`."""

    @property
    def partition(self) -> Partition: ...
    @property
    def replicas(self) -> tuple[int, ...] | list[int]: ...
    @property
    def isr(self) -> tuple[int, ...] | list[int]: ...
    @property
    def elr(self) -> tuple[int, ...] | list[int]: ...
    @property
    def leader(self) -> int: ...
    @property
    def leader_epoch(self) -> int: ...
    @property
    def partition_epoch(self) -> int: ...
    @property
    def pristine(self) -> bool: ...


class BrokerStateView(Protocol):
    """`actors.metadata.BrokerState`."""

    @property
    def endpoint(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def fenced(self) -> bool: ...
    @property
    def stopping(self) -> bool: ...


class TopicStateView(Protocol):
    """`actors.metadata.TopicState`."""

    @property
    def name(self) -> str: ...


class ImageView(Protocol):
    """`actors.metadata.MetadataImage`."""

    @property
    def end(self) -> int: ...
    @property
    def brokers(self) -> Mapping[int, BrokerStateView]: ...
    @property
    def partitions(self) -> Mapping[Partition, PartitionStateView]: ...
    @property
    def topics(self) -> Mapping[TopicId, TopicStateView]: ...
    def state_hash(self) -> object: ...


class ProgressView(Protocol):
    """`actors.leading.Progress`."""

    end: int
    durable: int
    broker_epoch: int


class ProposalView(Protocol):
    """`actors.messages.IsrChange`."""

    @property
    def isr(self) -> list[tuple[int, int]]: ...


class LeadingView(Protocol):
    """`actors.replica.PartitionLeading`."""

    epoch: int
    start: int
    isr: tuple[int, ...]
    partition_epoch: int
    min_insync: int
    followers: dict[int, ProgressView]

    @property
    def maximal_isr(self) -> tuple[int, ...]: ...
    @property
    def proposal(self) -> ProposalView | None: ...


class ReplicaView(Protocol):
    """`actors.replica.Replica`."""

    @property
    def log(self) -> EpochLogView: ...
    @property
    def hw(self) -> int: ...
    @property
    def leader_epoch(self) -> int: ...
    @property
    def role(self) -> object: ...


def raft_of(host: Host) -> RaftView | None:
    """The voter of a host's living controller, if it has one."""
    node = host.node
    actor = node.actors.get("controller") if node is not None else None
    return cast("RaftView | None", getattr(actor, "raft", None))


def images_of(host: Host) -> list[tuple[str, ImageView]]:
    """The metadata images of a host's living actors, by actor."""
    found: list[tuple[str, ImageView]] = []
    if host.node is None:
        return found
    actors = host.node.actors
    for name in ("controller", "broker"):
        image = getattr(actors.get(name), "image", None)
        if image is not None:
            found.append((name, cast("ImageView", image)))
    return found


def replicas_of(host: Host) -> Mapping[Partition, ReplicaView]:
    """The open replicas of a host's living broker."""
    broker = host.node.actors.get("broker") if host.node is not None else None
    replicas = getattr(broker, "replicas", None)
    return cast("Mapping[Partition, ReplicaView]", getattr(replicas, "open", replicas) or {})


def broker_epoch_of(host: Host) -> int:
    """The broker epoch that a host's living broker believes it has; -1 if none."""
    broker = host.node.actors.get("broker") if host.node is not None else None
    return cast("int", getattr(broker, "broker_epoch", -1))


def leading_of(replica: ReplicaView) -> LeadingView | None:
    """The term of a replica that leads."""
    role = replica.role
    return cast("LeadingView", role) if hasattr(type(role), "maximal_isr") else None  # without asking for it


class DurableReader:
    """The part of a memory disk that a loss of power could not take: the truth that no actor can see."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    def size(self, path: str) -> int | None:
        data = self._data(path)
        return None if data is None else len(data)

    def read(self, path: str, offset: int, length: int) -> bytes:
        data = self._data(path)
        assert data is not None, f"{path} is not durable"
        return data[offset : offset + length]

    def list(self, directory: str) -> list[str]:
        node = self._node(directory)
        assert isinstance(node, Directory), f"{directory} is not durable"
        return sorted(node.durable)

    def _node(self, path: str) -> Directory | File | None:
        node: Directory | File | None = self._disk._root
        for name in path.split("/") if path else ():
            if not isinstance(node, Directory):
                return None
            node = node.durable.get(name)
        return node

    def _data(self, path: str) -> bytes | None:
        node = self._node(path)
        if not isinstance(node, File):
            return None
        return bytes(node.data[: node.durable.stable]) + node.durable.tail


def durable_quorum_state(host: Host) -> QuorumState:
    """The epoch and vote that this host's voter would find after a loss of power now."""
    assert isinstance(host.disk, MemoryDisk)
    return read_quorum_state(DurableReader(host.disk)) or QuorumState()


# --- Coordinators of groups ---


class CoordinatorView:
    """The coordinator of one group, at the broker that leads in the newest epoch and has read everything."""

    def __init__(self, host: Host, shard: GroupShard) -> None:
        self.host = host
        self.shard = shard

    @property
    def topics(self) -> Topics:
        return self.shard.topics

    def picture(self, group: str) -> tuple[str, int]:
        """The state of a group, and how many members it has."""
        found = next((listed for listed in self.shard.listings() if listed.group == group), None)
        return ("Empty" if found is None else found.state), self.shard.members(group)

    def committed(self, group: str, place: tuple[str, int]) -> int:
        """The offset that is committed there; -1: none."""
        known, topic = self.shard.groups.get(group), self.topics.by_name.get(place[0])
        value = None if known is None or topic is None else known.offsets.get(Partition(topic.id, place[1]))
        return -1 if value is None else value.offset


def shards_of(host: Host) -> Mapping[Partition, GroupShard]:
    """The partitions of groups that a host's living broker coordinates."""
    actor = host.node.actors.get("groups") if host.node is not None else None
    return cast("Mapping[Partition, GroupShard]", getattr(actor, "shards", {}))


def looking_at(host: Host, partition: Partition) -> set[str]:
    """The groups that a coordinator is about to look at because topics have moved."""
    actor = host.node.actors.get("groups") if host.node is not None else None
    return actor.looking_at(partition) if isinstance(actor, Groups) else set()


def coordinator_of(world: World, group: str) -> CoordinatorView | None:
    """Whoever coordinates a group in the newest epoch; None if nobody who has read everything does."""
    found = None
    newest = -1
    for host in world.hosts.values():
        for partition, shard in shards_of(host).items():
            topic = shard.topics.by_id.get(partition.topic)
            mine = topic is not None and partition_of(group, topic.partitions) == partition.index
            if mine and shard.log.leader_epoch > newest:
                newest = shard.log.leader_epoch
                found = CoordinatorView(host, shard) if shard.log.loaded else None
    return found
