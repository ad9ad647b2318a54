"""Which brokers keep a new partition: consistent hashing with bounded loads, by rack; and who leads it by preference.

A partition prefers brokers in the order in which its name meets them on the `ring`. Hashing alone loads brokers
unevenly, so a broker that is full is passed over (Mirrokni et al. 2016): in the cluster at 1.25 times the mean (or one
more, where the members of a set must differ and too few others are left), within the topic at the mean, as a topic is
what people look at. Racks come first, since a lost rack is worse than an uneven load: no two replicas share a rack
while another rack has none.

The preferred leader is the set's member with the fewest preferred leaders of that topic, then of the cluster, ties by
ring order. Going through partitions one by one can paint itself into a corner, so leaderships are passed on along
chains of sets afterwards (`even_out`), until the leaders of a topic differ by at most one wherever the sets allow it.

Pure functions of their arguments, computed once and recorded; what changes later is `rebalancing`'s business.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from .ring import name_of, ring_of

LOAD_BOUND = (5, 4)  # 1.25 times the mean


class Candidate(msgspec.Struct, frozen=True):
    """A broker that may be given replicas, with what it has of them now. An empty rack is no rack."""

    broker: int
    rack: str = ""
    replicas: int = 0
    leaders: int = 0  # partitions that prefer it as their leader
    down: bool = False  # it keeps what it has, and in a plan it is given more only if nobody else is left


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
    sets = [chosen.replicas(name_of(topic_id, index), replication) for index in indexes]
    return _prefer(sets, {c.broker: c.leaders for c in candidates}, dict(topic_leaders or {}))


def load_bound(replicas: int, brokers: int) -> int:
    """The most that any of so many brokers should have of so many replicas."""
    return -(-replicas * LOAD_BOUND[0] // (brokers * LOAD_BOUND[1]))


class _Choice:
    """The ring, and what each broker has been given so far."""

    def __init__(self, candidates: Sequence[Candidate], new: int) -> None:
        self._ring = ring_of(tuple(sorted(candidate.broker for candidate in candidates)))
        self._racks = {candidate.broker: candidate.rack for candidate in candidates}
        self._load = {candidate.broker: candidate.replicas for candidate in candidates}
        self._topic = dict.fromkeys(self._load, 0)
        self._bound = load_bound(sum(self._load.values()) + new, len(self._load))
        self._topic_bound = -(-new // len(self._load))

    def replicas(self, name: str, count: int) -> list[int]:
        """The replica set of one partition, in ring order."""
        walk = self._ring.walk(name)
        met: list[int] = []
        taken: list[int] = []
        while len(taken) < count:
            best = self._next(walk, met, taken)
            taken.append(best)
            self._load[best] += 1
            self._topic[best] += 1
        return taken

    def _next(self, walk: Iterator[int], met: list[int], taken: list[int]) -> int:
        """The first on the way that nothing speaks against; without one, the first of those with least against it."""
        racks = {self._racks[broker] for broker in taken} - {""}
        best, least = -1, (True, True, 1 << 62)
        at = 0
        while True:
            if at == len(met):
                broker = next(walk, None)
                if broker is None:
                    return best
                met.append(broker)
            broker = met[at]
            at += 1
            if broker in taken:
                continue
            over = max(0, self._topic[broker] + 1 - self._topic_bound)
            against = (self._racks[broker] in racks, self._load[broker] >= self._bound, over)
            if against == (False, False, 0):
                return broker
            if best == -1 or against < least:
                best, least = broker, against


def _prefer(sets: Sequence[Sequence[int]], cluster: dict[int, int], topic: dict[int, int]) -> list[tuple[int, ...]]:
    leaders = []
    for members in sets:
        leader = min(members, key=lambda b: (topic.get(b, 0), cluster.get(b, 0)))
        topic[leader] = topic.get(leader, 0) + 1
        cluster[leader] = cluster.get(leader, 0) + 1
        leaders.append(leader)
    even_out(sets, leaders, topic)
    return [led_by(leader, members) for leader, members in zip(leaders, sets, strict=True)]


def led_by(leader: int, members: Sequence[int]) -> tuple[int, ...]:
    """The set with its preferred leader first."""
    return (leader, *(broker for broker in members if broker != leader))


def even_out(sets: Sequence[Sequence[int]], leaders: list[int], counts: dict[int, int]) -> None:
    """Pass leaderships on until they differ by at most one wherever the sets allow. Changes `leaders` and `counts`.

    One that has at least two more than another hands one over, directly or along a chain: a takes from b, b from c.
    """
    handed: dict[int, dict[int, dict[int, None]]] = {}  # leader -> who else could lead -> which partitions

    def lead(at: int, leader: int) -> None:
        leaders[at] = leader
        for other in sets[at]:
            if other != leader:
                handed.setdefault(leader, {}).setdefault(other, {})[at] = None

    for at, leader in enumerate(leaders):
        lead(at, leader)
    members = {broker for each in sets for broker in each}
    while True:
        least = min((counts.get(broker, 0) for broker in members), default=0)
        rich = [broker for broker in handed if counts.get(broker, 0) >= least + 2]
        chains = (_chain(handed, counts, source) for source in sorted(rich, key=lambda b: (-counts[b], b)))
        chain = next((found for found in chains if found), None)
        if chain is None:
            return
        for giver, taker in itertools.pairwise(chain):
            at = next(iter(handed[giver][taker]))
            for other in sets[at]:
                if other != giver:
                    del handed[giver][other][at]
            lead(at, taker)
        counts[chain[0]] -= 1
        counts[chain[-1]] = counts.get(chain[-1], 0) + 1


def _chain(handed: Mapping[int, Mapping[int, Mapping[int, None]]], counts: Mapping[int, int], source: int) -> list[int]:
    """From one with too many to one with at least two less, each able to take from the one before; empty if none."""
    came = {source: source}
    queue = deque([source])
    while queue:
        giver = queue.popleft()
        for taker in sorted(handed.get(giver, {})):
            if taker in came or not handed[giver][taker]:
                continue
            came[taker] = giver
            if counts.get(taker, 0) + 2 <= counts[source]:
                chain = [taker]
                while chain[-1] != source:
                    chain.append(came[chain[-1]])
                return chain[::-1]
            queue.append(taker)
    return []
