"""Many deadlines, one timer: who is due, and when the next one is.

A coordinator has a deadline for each member of each group, and moves it with each heartbeat. Moving one is a store in a
dict; the heap is corrected when a deadline comes up that has moved meanwhile, so a heartbeat costs nothing there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from heapq import heappop, heappush
from typing import Generic, TypeVar

from .kernel import Millis

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """At most one deadline per key. Keys with the same deadline are due in the order in which they were set."""

    def __init__(self) -> None:
        self._at: dict[K, Millis] = {}
        self._listed: dict[K, Millis] = {}  # where in the heap the valid entry of a key is
        self._heap: list[tuple[Millis, int, K]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._at)

    def keys(self) -> Iterable[K]:
        """All that have a deadline."""
        return self._at.keys()

    def at(self, key: K) -> Millis | None:
        """When this key is due; None if it has no deadline."""
        return self._at.get(key)

    def set(self, key: K, at: Millis) -> None:
        """Set a deadline, or move it."""
        self._at[key] = at
        listed = self._listed.get(key)
        if listed is None or at < listed:
            self._list(key, at)

    def drop(self, key: K) -> None:
        """No deadline any more."""
        self._at.pop(key, None)
        self._listed.pop(key, None)

    def next(self) -> Millis | None:
        """The earliest deadline; None if there is none."""
        while self._heap:
            listed, _, key = self._heap[0]
            at = self._at.get(key)
            if at is None or self._listed.get(key) != listed:
                heappop(self._heap)
            elif at > listed:
                heappop(self._heap)
                self._list(key, at)
            else:
                return at
        return None

    def due(self, now: Millis) -> list[K]:
        """Take the keys whose deadline has come: they have none any more."""
        keys = []
        while (at := self.next()) is not None and at <= now:
            _, _, key = heappop(self._heap)
            self.drop(key)
            keys.append(key)
        return keys

    def _list(self, key: K, at: Millis) -> None:
        self._sequence += 1
        self._listed[key] = at
        heappush(self._heap, (at, self._sequence, key))
