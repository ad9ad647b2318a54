"""Which lane a record takes: the partitions of the topics that a producer writes to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, cast

from .in_flight import Lane
from .kernel import Context
from .leadership import Leaderships
from .messages import Partition, TopicName
from .partitioner import positive_hash
from .producer_outlet import ProducerSettings
from .rows import Rows


class Share(NamedTuple):
    """Consecutive records of one lane. To be put into batches before the next share is asked for."""

    lane: Lane
    rows: Rows


class Lanes:
    """All lanes of one producer, by partition and by topic."""

    def __init__(self, leaderships: Leaderships, settings: ProducerSettings) -> None:
        self.by_partition: dict[Partition, Lane] = {}
        self._leaderships = leaderships
        self._settings = settings
        self._topics: dict[str, tuple[TopicName, list[Lane]]] = {}
        self._sticky: dict[str, int] = {}

    def of(self, topic: str, ctx: Context) -> list[Lane] | None:
        """The lanes of a topic by partition; None while it is not known."""
        name = self._leaderships.topics.get(topic)
        if name is None:
            return None
        known = self._topics.get(topic)
        if known is not None and known[0] == name:
            return known[1]
        self._leaderships.want(topic, ctx)
        lanes = [self._lane(topic, Partition(name.id, i)) for i in range(name.partitions)]
        self._topics[topic] = (name, lanes)
        return lanes

    def shares(self, topic: str, rows: Rows, ctx: Context) -> Iterator[Share]:
        """Which records go where: by key, or without one where the batch at hand is. The topic is known."""
        _, lanes = self._topics[topic]
        start = 0
        for keyed, run in groupby([key is not None for key in rows.keys]):
            stop = start + len(list(run))
            part = rows.part(start, stop)
            yield from _by_key(part, lanes) if keyed else self._without_key(topic, part, lanes, ctx)
            start = stop

    def _without_key(self, topic: str, rows: Rows, lanes: list[Lane], ctx: Context) -> Iterator[Share]:
        start, sizes = 0, rows.sizes
        while start < len(sizes):
            lane = self._choose(topic, sizes[start], lanes, ctx)
            stop = start + lane.queue.room_at_hand(sizes[start:])
            yield Share(lane, rows.part(start, stop))
            start = stop

    def _choose(self, topic: str, size: int, lanes: list[Lane], ctx: Context) -> Lane:
        """Without a key: the same partition until its batch is full or gone, then another that somebody leads."""
        chosen = self._sticky.get(topic, -1)
        if 0 <= chosen < len(lanes) and lanes[chosen].queue.with_room(size) is not None:
            return lanes[chosen]
        led = [i for i, lane in enumerate(lanes) if self._leaderships.route(lane.partition)] or list(range(len(lanes)))
        others = [i for i in led if i != chosen] or led
        chosen = self._sticky[topic] = ctx.random.choice(others)
        return lanes[chosen]

    def forget(self, lane: Lane) -> None:
        """The topic was deleted."""
        del self.by_partition[lane.partition]
        self._topics.pop(lane.topic, None)
        self._sticky.pop(lane.topic, None)
        self._leaderships.unwant(lane.topic)

    def _lane(self, topic: str, partition: Partition) -> Lane:
        lane = self.by_partition.get(partition)
        if lane is None:
            settings = self._settings
            lane = Lane(topic, partition, settings.batch_bytes, idempotent=settings.numbered, acks=settings.acks)
            self.by_partition[partition] = lane
        return lane


def _by_key(rows: Rows, lanes: list[Lane]) -> Iterator[Share]:
    """One share per lane, in the order in which lanes first appear."""
    count = len(lanes)
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(map(positive_hash, cast(Sequence[bytes], rows.keys))):
        places[number % count].append(place)
    for index, chosen in places.items():
        yield Share(lanes[index], rows.pick(chosen))
