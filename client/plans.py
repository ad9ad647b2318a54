"""Plans for where partitions should be, from a picture of the cluster: `Admin.reassign` carries one out.

    picture = admin.describe_cluster()
    plan = plan_of(picture)                       # {(topic, partition): replicas}: only what should change
    refused = admin.reassign(plan)

A plan moves no more than it must (`actors.rebalancing`). Made again when half of it is done, it is the other half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ..actors.messages import Described, PartitionPicture
from ..actors.placement import Candidate
from ..actors.rebalancing import rebalanced
from .errors import Refused

Place = tuple[str, int]
Plan = dict[Place, tuple[int, ...]]


def plan_of(picture: Described, brokers: Collection[int] | None = None, topics: Collection[str] | None = None) -> Plan:
    """What should change so that these brokers (None: all that are not to go) keep everything evenly.

    Without `topics` all are planned; with some, only those, and loads are theirs. Raises Refused if there are too few
    brokers, or one of them is not registered.
    """
    known = {broker.broker: broker for broker in picture.brokers}
    chosen = [number for number in known if not known[number].draining] if brokers is None else list(brokers)
    for number in chosen:
        if number not in known:
            there_are = ", ".join(str(broker) for broker in sorted(known)) or "none"
            raise Refused(f"there is no broker {number} in the cluster: there are {there_are}")
    placed = {
        (topic.name, partition.index): _replicas(partition)
        for topic in picture.topics
        if topics is None or topic.name in topics
        for partition in topic.partitions
    }
    most = max(map(len, placed.values()), default=0)
    if most > len(chosen):
        largest = next(f"{name}-{index}" for (name, index), replicas in placed.items() if len(replicas) == most)
        raise Refused(f"{largest} has {most} replicas, which {len(chosen)} brokers cannot keep: name more brokers")
    candidates = [Candidate(number, known[number].rack, down=known[number].fenced) for number in sorted(chosen)]
    ids = {topic.name: topic.id for topic in picture.topics}
    names = {topic_id: name for name, topic_id in ids.items()}
    plan = rebalanced({(ids[name], index): replicas for (name, index), replicas in placed.items()}, candidates)
    return {(names[topic_id], index): replicas for (topic_id, index), replicas in sorted(plan.items())}


class Effect(NamedTuple):
    """What a plan does: how many replicas are copied, of how many, and what each broker has before and after."""

    moved: int
    replicas: int
    before: Mapping[int, int]
    after: Mapping[int, int]

    @property
    def share(self) -> float:
        """Of all replicas, how many are copied to another broker."""
        return self.moved / self.replicas if self.replicas else 0.0


def effect_of(picture: Described, plan: Mapping[Place, Iterable[int]]) -> Effect:
    """What would come of it."""
    before: Counter[int] = Counter({broker.broker: 0 for broker in picture.brokers})
    after: Counter[int] = Counter({broker.broker: 0 for broker in picture.brokers})
    moved = 0
    for topic in picture.topics:
        for partition in topic.partitions:
            now = _replicas(partition)
            then = tuple(plan.get((topic.name, partition.index), now))
            before.update(now)
            after.update(then)
            moved += len(set(then) - set(now))
    return Effect(moved, before.total(), dict(sorted(before.items())), dict(sorted(after.items())))


def _replicas(partition: PartitionPicture) -> tuple[int, ...]:
    """Where it is, or where it is on its way to."""
    return tuple(partition.target or partition.replicas)
