"""Where partitions should be after brokers have come, or are to go: a plan that moves no more than it must.

Placing everything anew would even out the last replica, and move half of the data for it. A plan begins with what is
there instead, and moves a replica for one of four reasons only, in this order:

    its broker is to go                 to the first on the ring who has room
    its rack has another of the set     to the first on the ring of a rack that has none, while there is one
    a broker is new, or has too little  it takes, from those with most, partitions that meet it early on the ring,
                                        until it has the mean
    a broker has more than its bound    to the first on the ring with less than the mean

So one more broker beside N takes about 1/(N+1) of the replicas and nothing moves between the others; one less gives
away its own and nothing else moves; and nobody has more than 1.25 times the mean, unless racks or sets leave no
choice.

Whoever takes a replica takes its place in the set, as the preferred leader too, so a new broker leads its share. Then
leaders are evened out topic by topic, which moves nothing.

Pure: the same cluster gives the same plan, so a plan can be shown, thought over, and made again when half of it is
done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Generic, TypeVar

from .placement import Candidate, even_out, led_by, load_bound
from .ring import name_of, ring_of

Key = TypeVar("Key", bound=tuple[str, int])
"""A partition: the id of its topic, and its index."""

_FULL = 1 << 40
LITTLE = (4, 5)  # of the mean: who has less is filled up


def rebalanced(
    replicas: Mapping[Key, Sequence[int]], candidates: Sequence[Candidate], *, leaders: bool = True
) -> dict[Key, tuple[int, ...]]:
    """The partitions that should change, each with its new replicas, the preferred leader first.

    `candidates` are the brokers that may keep replicas; what others have moves to them. There must be as many as the
    largest set has members. Without `leaders`, only what must move is in the plan.
    """
    plan = _Plan(replicas, candidates)
    for key in plan.order:
        plan.vacate(key)
    for key in plan.order:
        plan.spread_over_racks(key)
    plan.fill()
    plan.relieve()
    if leaders:
        plan.even_out_leaders()
    return {key: tuple(members) for key, members in plan.sets.items() if tuple(members) != tuple(replicas[key])}


def vacated(
    replicas: Mapping[Key, Sequence[int]], keys: Sequence[Key], candidates: Sequence[Candidate]
) -> dict[Key, tuple[int, ...]]:
    """Only these partitions, and only what is kept by others than the candidates: where it should go."""
    plan = _Plan(replicas, candidates, keys)
    for key in keys:
        plan.vacate(key)
    return {key: tuple(plan.sets[key]) for key in keys}


class _Plan(Generic[Key]):
    """The sets as they would be, and the load that would be."""

    def __init__(
        self, replicas: Mapping[Key, Sequence[int]], candidates: Sequence[Candidate], keys: Sequence[Key] | None = None
    ) -> None:
        self.order = sorted(replicas) if keys is None else list(keys)
        self.sets = {key: list(replicas[key]) for key in self.order}
        self._racks = {candidate.broker: candidate.rack for candidate in candidates}
        self._ring = ring_of(tuple(sorted(self._racks)))
        held = Counter(chain.from_iterable(replicas.values()))
        total = held.total()
        self._mean = total / len(self._racks)
        self._goal = int(self._mean)
        self._bound = load_bound(total, len(self._racks))
        self._load = {each.broker: held[each.broker] + (_FULL if each.down else 0) for each in candidates}

    # --- The four reasons

    def vacate(self, key: Key) -> None:
        """Whoever is no candidate gives its place to somebody who is."""
        for broker in list(self.sets[key]):
            if broker not in self._racks:
                taker = self._first(key, broker, self._goal + 1)
                assert taker is not None, f"{len(self._racks)} brokers cannot keep {self.sets[key]} of {key}"
                self._give(key, broker, taker)

    def spread_over_racks(self, key: Key) -> None:
        """No two of a set share a rack while another has none."""
        for broker in self.sets[key][1:]:
            rack = self._racks[broker]
            others = {self._racks[other] for other in self.sets[key] if other != broker}
            if rack and rack in others:
                taker = self._first(key, broker, self._bound)
                if taker is not None and self._racks[taker] not in others:
                    self._give(key, broker, taker)

    def fill(self) -> None:
        """Brokers with too little take what meets them early on the ring: from those with more than the mean first, and
        then, where racks leave no other, from whoever has more than they have.
        """
        poor = {broker for broker in self._load if self._has_little(broker)}
        near = self._by_nearness(poor) if poor else []
        for key, broker in near:
            self._take(key, broker, least=self._goal)
        for key, broker in near:
            self._take(key, broker, least=self._load[broker] + 1)

    def relieve(self) -> None:
        """Brokers with more than their bound give away what would rather be elsewhere."""
        for key in self.order:
            for broker in list(self.sets[key]):
                if self._bound < self._load[broker] < _FULL:
                    taker = self._first(key, broker, self._goal + 1)
                    lighter = taker is not None and self._load[taker] < self._load[broker] - 1
                    if taker is not None and lighter and self._fits(key, broker, taker):
                        self._give(key, broker, taker)

    def even_out_leaders(self) -> None:
        """Per topic: only the order within sets changes."""
        topics: dict[str, list[Key]] = {}
        for key in self.order:
            topics.setdefault(key[0], []).append(key)
        for keys in topics.values():
            sets = [self.sets[key] for key in keys]
            leaders = [members[0] for members in sets]
            even_out(sets, leaders, Counter(leaders))
            for key, leader in zip(keys, leaders, strict=True):
                self.sets[key] = list(led_by(leader, self.sets[key]))

    # --- What they are made of

    def _has_little(self, broker: int) -> bool:
        """Of the mean of all, or of what its rack may have: one replica of each partition."""
        rack = self._racks[broker]
        fellows = sum(other == rack for other in self._racks.values())
        share = min(self._mean, len(self.sets) / fellows) if rack else self._mean
        return self._load[broker] * LITTLE[1] < share * LITTLE[0]

    def _take(self, key: Key, taker: int, least: int) -> None:
        """From the member with most, if that is more than `least`, and the taker has room."""
        if self._load[taker] < self._goal and taker not in self.sets[key]:
            giver = self._richest(key, taker)
            if giver is not None and self._load[giver] % _FULL > least:
                self._give(key, giver, taker)

    def _give(self, key: Key, giver: int, taker: int) -> None:
        members = self.sets[key]
        members[members.index(giver)] = taker
        if giver in self._load:
            self._load[giver] -= 1
        self._load[taker] += 1

    def _first(self, key: Key, instead_of: int, room: int) -> int | None:
        """The first on the ring with nothing against it (a rack of its own, less than `room`), or with least. None if
        all are in the set already.
        """
        stay = [broker for broker in self.sets[key] if broker != instead_of]
        racks = {self._racks.get(broker, "") for broker in stay} - {""}
        best, least = None, (True, True, 0)
        for broker in self._ring.walk(name_of(*key)):
            if broker in self.sets[key]:
                continue
            full = self._load[broker] >= room
            against = (self._racks[broker] in racks, full, self._load[broker] if full else 0)
            if best is None or against < least:
                best, least = broker, against
            if against == (False, False, 0):
                break
        return best

    def _richest(self, key: Key, taker: int) -> int | None:
        """The member with most that may be replaced by `taker` without two in one rack; None if none may."""
        givers = [broker for broker in self.sets[key] if self._fits(key, broker, taker)]
        return max(givers, key=lambda broker: (self._load[broker] % _FULL, -broker), default=None)

    def _fits(self, key: Key, giver: int, taker: int) -> bool:
        """Whether the set is over as many racks as before."""
        rack = self._racks[taker]
        stay = {self._racks[broker] for broker in self.sets[key] if broker != giver}
        return not rack or rack not in stay or self._racks[giver] in stay

    def _by_nearness(self, brokers: set[int]) -> list[tuple[Key, int]]:
        """Partitions with the brokers that they meet on the ring, those that meet them first coming first."""
        met: list[tuple[int, Key, int]] = []
        for key in self.order:
            left = len(brokers)
            for place, broker in enumerate(self._ring.walk(name_of(*key))):
                if broker in brokers:
                    met.append((place, key, broker))
                    left -= 1
                    if not left:
                        break
        return [(key, broker) for _, key, broker in sorted(met)]
