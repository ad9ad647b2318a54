"""What arrives at a consumer: records, and the outlet through which the I/O thread tells of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ..actors.client_commands import Failure
from ..actors.consumer_outlet import Chunk
from .core import Reply
from .errors import BarnabasError, error_of


class TopicPartition(NamedTuple):
    """One partition, by the name of its topic."""

    topic: str
    partition: int


class ConsumerRecord(NamedTuple):
    """A record, and where it is. The timestamp is in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Place:
    """What this side knows of one partition."""

    def __init__(self) -> None:
        self.generation = 0
        self.position = -1  # of the next record that the application gets; -1: not known yet
        self.reached = -1  # by the actor, where that goes beyond the records
        self.hw = -1


class Arrivals:
    """The outlet of a consumer. `changed` guards all of it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.places: dict[TopicPartition, Place] = {}
        self.chunks: deque[Chunk] = deque()
        self.at_hand: TopicPartition | None = None  # the application is taking a chunk of this partition
        self.errors: deque[BarnabasError] = deque()
        self.listener: Callable[[], None] | None = None  # told whenever `changed` is, for those who cannot wait on it
        self.end = Reply()

    def place(self, topic: str, partition: int) -> Place:
        return self.places.setdefault(TopicPartition(topic, partition), Place())

    def find(self, topic: str, partition: int, generation: int) -> Place:
        """The place that something of this generation is about. With the lock."""
        return self.place(topic, partition)

    def fetched(self, chunk: Chunk) -> None:
        with self.changed:
            place = self.find(chunk.topic, chunk.partition, chunk.generation)
            place.hw = max(place.hw, chunk.hw)
            if place.position < 0:
                place.position = chunk.first
            self.chunks.append(chunk)
            self.tell()

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        with self.changed:
            place = self.find(topic, partition, generation)
            place.hw = max(place.hw, hw)
            if generation == place.generation:
                place.reached = position
                # Chunks that the application has not taken come before this position.
                if not self.waits(TopicPartition(topic, partition)):
                    place.position = position
            self.tell()

    def waits(self, place: TopicPartition) -> bool:
        """Whether there are records of this partition that the application has not taken."""
        return place == self.at_hand or any((chunk.topic, chunk.partition) == place for chunk in self.chunks)

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        with self.changed:
            if partition < 0 or generation == self.find(topic, partition, generation).generation:
                self.errors.append(error_of(failure))
                self.tell()

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        assert isinstance(token, Reply)
        token.set(found)

    def lookup_failed(self, token: object, failure: Failure) -> None:
        assert isinstance(token, Reply)
        token.set(error=error_of(failure))

    def closed(self) -> None:
        self.end.set()

    def tell(self) -> None:
        """Wake whoever waits. With the lock."""
        self.changed.notify_all()
        if self.listener is not None:
            self.listener()
