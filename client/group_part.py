"""The application's side of a group: rebalances that wait to be handled, callbacks, commits.

The I/O thread tells what the group gives and takes; the application learns of it when it comes for records (`poll`, or
the next turn of a loop), on its own thread, before it gets any more: so a callback never interrupts it, and what it has
been given of a partition before it has to give that up is done by then.

    assigned   read from now on; `on_assigned`
    revoked    `on_revoked`, while positions may still be committed; then what waits of it is dropped, its position is
               committed (with auto_commit), and only then may somebody else get it
    lost       somebody else may have it already: dropped, nothing is committed, `on_lost`

After a pause that was longer than its session a consumer may have been put out without knowing it. It is given nothing
then (`suspended`) until the coordinator has answered: that it goes on, or that everything is lost.

With auto_commit the positions that are committed are those that the application has reached when it comes back: what an
earlier `poll` gave counts as done, what the present one gives does not.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import NamedTuple

from ..actors.client_commands import Failure
from ..actors.group_reading import Given
from ..actors.kernel import Message
from .arrivals import Arrivals, Place, TopicPartition
from .core import Reply
from .errors import error_of

RebalanceCallback = Callable[[list[TopicPartition]], Awaitable[None] | None]
"""Gets the partitions that it is about. Of an asyncio consumer it may be a coroutine function."""

POLLED_EVERY = 1.0
"""Seconds between two words to the I/O thread that the application still comes for its records."""


class Change(Enum):
    """What a rebalance does to partitions."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"


class Rebalance(NamedTuple):
    """Something that the application has to learn. `generations`: of the readings that it is about, 0 if none began."""

    change: Change
    places: list[TopicPartition]
    generations: dict[TopicPartition, int]
    reason: str = ""


class GroupArrivals(Arrivals):
    """The outlet of a consumer in a group. Partitions that were just assigned are kept apart until that is handled."""

    def __init__(self) -> None:
        super().__init__()
        self.rebalances: deque[Rebalance] = deque()
        self._lease_until = math.inf  # of `time.monotonic`: until then it counts as a member for sure
        self._coming: dict[int, Place] = {}  # by generation
        self._given: dict[TopicPartition, int] = {}  # the generation that each was last assigned in

    def place(self, topic: str, partition: int) -> Place:
        return self.places.get(TopicPartition(topic, partition)) or Place()

    def find(self, topic: str, partition: int, generation: int) -> Place:
        return self._coming.get(generation) or self.place(topic, partition)

    def assigned(self, given: Sequence[Given]) -> None:
        with self.changed:
            generations = {}
            for new in given:
                place = Place()
                place.generation = new.generation
                place.position = new.start.offset if new.start.offset >= 0 else -1
                self._coming[new.generation] = place
                at = TopicPartition(new.topic, new.partition)
                generations[at] = self._given[at] = new.generation
            self._add(Change.ASSIGNED, generations)

    def alive_for(self, lease_ms: int) -> None:
        with self.changed:
            silent = self.suspended
            self._lease_until = time.monotonic() + lease_ms / 1000
            if silent:
                self.tell()

    @property
    def suspended(self) -> bool:
        """Whether others may read what was assigned here: nothing is given until the coordinator has answered."""
        return time.monotonic() > self._lease_until

    def revoking(self, places: Sequence[tuple[str, int]]) -> None:
        with self.changed:
            self._add(Change.REVOKED, self._taken(places))

    def lost(self, places: Sequence[tuple[str, int]], reason: str) -> None:
        with self.changed:
            self._add(Change.LOST, self._taken(places), reason)

    def _taken(self, places: Sequence[tuple[str, int]]) -> dict[TopicPartition, int]:
        return {TopicPartition(*at): self._given.pop(TopicPartition(*at), 0) for at in places}

    def _add(self, change: Change, generations: dict[TopicPartition, int], reason: str = "") -> None:
        self.rebalances.append(Rebalance(change, sorted(generations), generations, reason))
        self.tell()

    def install(self, rebalance: Rebalance) -> None:
        """The application handles an assignment: the partitions are its own from now on. With the lock."""
        for at, generation in rebalance.generations.items():
            place = self._coming.pop(generation, None)
            if place is not None:
                self.places[at] = place

    def group_failed(self, failure: Failure) -> None:
        with self.changed:
            self.errors.append(error_of(failure))
            self.tell()

    def committed(self, token: object, failure: Failure | None) -> None:
        assert isinstance(token, Reply)
        token.set(error=None if failure is None else error_of(failure))

    def answered(self, token: object, answer: Message) -> None:
        assert isinstance(token, Reply)
        token.set(answer)

    def offsets_committed(self, token: object, found: dict[tuple[str, int], tuple[int, str]]) -> None:
        assert isinstance(token, Reply)
        token.set(found)


class GroupPart:
    """What an application chose about its group, and when it last spoke of it."""

    def __init__(
        self,
        *,
        auto_commit: bool,
        auto_commit_interval: float,
        on_assigned: RebalanceCallback | None,
        on_revoked: RebalanceCallback | None,
        on_lost: RebalanceCallback | None,
    ) -> None:
        if auto_commit_interval < 0:
            raise ValueError(f"auto_commit_interval is 0 seconds or more, not {auto_commit_interval:g}")
        self.auto_commit = auto_commit
        self._interval = auto_commit_interval
        self.callbacks = {Change.ASSIGNED: on_assigned, Change.REVOKED: on_revoked, Change.LOST: on_lost}
        self.handling = False  # a callback of the application runs
        self._polled_at = 0.0
        self._commit_at = time.monotonic() + auto_commit_interval
        self.committed: dict[TopicPartition, int] = {}  # what was last told to be committed

    def polled(self) -> bool:
        """The application came for records: whether the I/O thread is to be told."""
        now = time.monotonic()
        if now - self._polled_at < POLLED_EVERY:
            return False
        self._polled_at = now
        return True

    def commit_is_due(self) -> bool:
        """Whether it is time for an automatic commit; it counts as made."""
        now = time.monotonic()
        if not self.auto_commit or now < self._commit_at:
            return False
        self._commit_at = now + self._interval
        return True
