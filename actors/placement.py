"""Which brokers keep a partition: consistent hashing with bounded loads, by rack; and who leads it by preference.

Each broker sits at many points of a ring; a partition begins at its own point and walks clockwise (Karger et al.
1997). Hashing alone loads brokers unevenly, so a broker that is full is passed over (Mirrokni et al. 2016): in the
cluster at 1.25 times the mean (or one more, where the members of a set must differ and too few others are left),
within the topic at the mean, as a topic is what people look at. Racks come first, since a lost rack is worse than an
uneven load: no two replicas share a rack while another rack has none.

The preferred leader is the set's member with the fewest preferred leaders of that topic, then of the cluster, ties by
ring order. Going through partitions one by one can paint itself into a corner, so leaderships are passed on along
chains of sets afterwards, until the leaders of a topic differ by at most one wherever the sets allow it.

Pure functions of their arguments, the same on every machine: blake2b, never `hash()`. Computed once and recorded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import msgspec

VIRTUAL_NODES = 64
LOAD_BOUND = (5, 4)  # 1.25 times the mean


class Candidate(msgspec.Struct, frozen=True):
    """A broker that may be given replicas, with what it has of them now. An empty rack is no rack."""

    broker: int
    rack: str = ""
    replicas: int = 0
    leaders: int = 0  # partitions that prefer it as their leader


def place(
    topic_id: str,
    indexes: Sequence[int],
    replication: int,
    candidates: Sequence[Candidate],
    topic_leaders: Mapping[int, int] | None = None,
) -> list[tuple[int, ...]]:
    """A replica set for each index, its preferred leader first. `topic_leaders`: what earlier partitions prefer."""
    assert 1 <= replication <= len(candidates), f"{replication} replicas on {len(candidates)} brokers"
    chosen = _Choice(candidates, replication * len(indexes))
    rings = [chosen.replicas(f"{topic_id}/{index}", replication) for index in indexes]
    return _prefer(rings, {c.broker: c.leaders for c in candidates}, dict(topic_leaders or {}))


def point(name: str) -> int:
    """Where a name is on the ring."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


class _Choice:
    """The ring, and what each broker has been given so far."""

    def __init__(self, candidates: Sequence[Candidate], new: int) -> None:
        self._racks = {candidate.broker: candidate.rack for candidate in candidates}
        self._load = {candidate.broker: candidate.replicas for candidate in candidates}
        self._topic = dict.fromkeys(self._load, 0)
        self._bound = _ceiling((sum(self._load.values()) + new) * LOAD_BOUND[0], len(self._load) * LOAD_BOUND[1])
        self._topic_bound = _ceiling(new, len(self._load))
        self._ring = sorted(
            (point(f"{broker}#{copy}"), broker) for broker in self._load for copy in range(VIRTUAL_NODES)
        )

    def walk(self, name: str) -> list[int]:
        """Every broker once, clockwise from the name's point."""
        start = bisect_left(self._ring, (point(name), -1))
        around: dict[int, None] = {}
        for at in range(start - len(self._ring), start):
            around[self._ring[at][1]] = None
            if len(around) == len(self._load):
                break
        return list(around)

    def replicas(self, name: str, count: int) -> list[int]:
        """The replica set of one partition, in ring order."""
        around = self.walk(name)
        taken: list[int] = []
        while len(taken) < count:
            racks = {self._racks[broker] for broker in taken} - {""}
            best = min((broker for broker in around if broker not in taken), key=lambda b: self._reluctance(b, racks))
            taken.append(best)
            self._load[best] += 1
            self._topic[best] += 1
        return taken

    def _reluctance(self, broker: int, racks: set[str]) -> tuple[bool, bool, int]:
        """The least reluctant takes the replica: the first of equals, or who has least of the topic."""
        over = max(0, self._topic[broker] + 1 - self._topic_bound)
        return self._racks[broker] in racks, self._load[broker] >= self._bound, over


def _prefer(sets: list[list[int]], cluster: dict[int, int], topic: dict[int, int]) -> list[tuple[int, ...]]:
    leaders = []
    for members in sets:
        leader = min(members, key=lambda b: (topic.get(b, 0), cluster.get(b, 0)))
        topic[leader] = topic.get(leader, 0) + 1
        cluster[leader] = cluster.get(leader, 0) + 1
        leaders.append(leader)
    while _pass_on(sets, leaders, topic):
        pass
    return [(leader, *(b for b in members if b != leader)) for members, leader in zip(sets, leaders, strict=True)]


def _pass_on(sets: list[list[int]], leaders: list[int], topic: dict[int, int]) -> bool:
    """Move one leadership from a broker with too many, by way of others, to one with at least two less. Or say no."""
    led: dict[int, list[int]] = {}
    for at, leader in enumerate(leaders):
        led.setdefault(leader, []).append(at)
    for source in sorted(led, key=lambda b: (-topic[b], b)):
        came: dict[int, int] = {source: -1}  # broker -> the partition whose leadership it would take
        queue = deque([source])
        while queue:
            giver = queue.popleft()
            for at in led.get(giver, ()):
                for taker in sets[at]:
                    if taker in came:
                        continue
                    came[taker] = at
                    if topic.get(taker, 0) + 2 <= topic[source]:
                        topic[source] -= 1
                        topic[taker] = topic.get(taker, 0) + 1
                        _hand_over(taker, source, came, leaders)
                        return True
                    queue.append(taker)
    return False


def _hand_over(taker: int, source: int, came: Mapping[int, int], leaders: list[int]) -> None:
    while taker != source:
        at = came[taker]
        leaders[at], taker = taker, leaders[at]


def _ceiling(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
