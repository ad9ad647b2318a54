"""What a broker knows of the cluster, for answers that need nobody's decision.

The door looks at the committed metadata of the broker in its own process: between two inputs of the node it is whole,
and it is what the broker itself acts on. It is read only; whatever is to be changed is asked of an actor.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from functools import lru_cache
from shutil import disk_usage
from typing import NamedTuple, Protocol

from ...actors.messages import Partition, TopicId
from ...actors.metadata import MetadataImage
from ...actors.metadata_state import BrokerState, PartitionState, TopicState
from .wire import NO_UUID


class Knowing(Protocol):
    """The broker, as far as the door looks at it."""

    @property
    def image(self) -> MetadataImage:
        """The committed metadata that it has applied."""
        ...

    @property
    def serving(self) -> bool:
        """Whether that is worth anything yet."""
        ...


class Place(NamedTuple):
    """Where clients of one listener reach a broker."""

    broker: int
    host: str
    port: int
    rack: str | None


class Standing(NamedTuple):
    """Which brokers live, and which of them this listener's clients can reach."""

    alive: frozenset[int]
    reachable: frozenset[int]


class View:
    """The cluster as one broker knows it, for the clients of one listener."""

    def __init__(self, broker: Knowing, broker_id: int, cluster_id: str, listener: str, directory: str = "") -> None:
        self._broker = broker
        self.directory = directory  # where its logs are
        self.broker_id = broker_id
        self.cluster_id = cluster_id
        self.listener = listener

    @property
    def image(self) -> MetadataImage:
        return self._broker.image

    @property
    def serving(self) -> bool:
        return self._broker.serving

    def space(self) -> tuple[int, int]:
        """Bytes of the disk with the logs, and how many are free; -1 and -1 if nobody can say."""
        try:
            usage = disk_usage(self.directory)
        except OSError:
            return -1, -1
        return usage.total, usage.free

    # --- Brokers

    def brokers(self) -> list[Place]:
        """Those that live and can be reached, in the order of their ids."""
        places = (self._place(state) for _, state in sorted(self.image.brokers.items()) if not state.fenced)
        return [place for place in places if place is not None]

    def fenced(self) -> list[Place]:
        """Those that are registered and not in good standing."""
        places = (self._place(state) for _, state in sorted(self.image.brokers.items()) if state.fenced)
        return [place for place in places if place is not None]

    def place(self, broker: int) -> Place | None:
        """Where a broker is reached; None while it is fenced, or if it has no such listener."""
        state = self.image.brokers.get(broker)
        return None if state is None or state.fenced else self._place(state)

    def standing(self) -> Standing:
        """As of now: look once for many partitions."""
        alive = [state for state in self.image.brokers.values() if not state.fenced]
        return Standing(
            frozenset(state.id for state in alive),
            frozenset(state.id for state in alive if self.listener in state.listeners),
        )

    def controller(self) -> int:
        """A broker that takes admin requests: every one does, so the controller's own if it is one, else this one."""
        active = self.image.controller
        return active if self.place(active) is not None else self.broker_id

    def _place(self, state: BrokerState) -> Place | None:
        address = state.listeners.get(self.listener)
        if address is None:
            return None
        host, _, port = address.rpartition(":")
        return Place(state.id, host.strip("[]"), int(port), state.rack or None)

    # --- Topics

    def topic(self, name: str) -> TopicState | None:
        return self.image.topic(name)

    def topic_by_uuid(self, uuid: bytes) -> TopicState | None:
        return self.image.topics.get(topic_id_of(uuid))

    def partitions(self, topic: TopicState) -> list[PartitionState]:
        return [self.image.partitions[Partition(topic.id, index)] for index in range(topic.partitions)]

    def partition(self, topic: TopicState, index: int) -> PartitionState | None:
        return self.image.partitions.get(Partition(topic.id, index))


@lru_cache(4096)
def uuid_of(topic: TopicId) -> bytes:
    """The 16 bytes of a topic id."""
    try:
        uuid = urlsafe_b64decode(f"{topic}==")
    except NotBase64:
        return NO_UUID
    return uuid if len(uuid) == 16 else NO_UUID


@lru_cache(4096)
def topic_id_of(uuid: bytes) -> TopicId:
    """The topic id with these 16 bytes, whether there is such a topic or not."""
    return TopicId(urlsafe_b64encode(uuid).decode().rstrip("="))
