"""A ring of brokers: consistent hashing (Karger et al. 1997).

Each broker sits at 64 points of a circle, a name at one; the brokers in the order in which one meets them going
clockwise from a name are the ones that the name prefers. Whoever joins comes between others for some names only, and
whoever leaves is missed by those names alone that preferred it: that is why a plan that follows the ring moves little.

Pure functions of their arguments, the same on every machine: blake2b, never `hash()`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

VIRTUAL_NODES = 64


def point(name: str) -> int:
    """Where a name is on the ring."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


class Ring:
    """The points of some brokers."""

    def __init__(self, brokers: Iterable[int]) -> None:
        self.brokers = tuple(sorted(brokers))
        at = sorted((point(f"{broker}#{copy}"), broker) for broker in self.brokers for copy in range(VIRTUAL_NODES))
        self._points = [place for place, _ in at]
        self._owners = [owner for _, owner in at]

    def walk(self, name: str) -> Iterator[int]:
        """Every broker once, clockwise from the name's point."""
        owners, met = self._owners, set[int]()
        start = bisect_left(self._points, point(name))
        for at in range(start - len(owners), start):
            owner = owners[at]
            if owner not in met:
                met.add(owner)
                yield owner
                if len(met) == len(self.brokers):
                    return


@lru_cache(maxsize=8)
def ring_of(brokers: tuple[int, ...]) -> Ring:
    """The ring of these brokers, which are sorted. Built once for clusters that stay as they are."""
    return Ring(brokers)


def name_of(topic_id: str, index: int) -> str:
    """What a partition is called on the ring."""
    return f"{topic_id}/{index}"
