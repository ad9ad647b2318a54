"""A compacted topic: few keys, values that are replaced all the time, and keys that are deleted.

Segments are tiny and the cleaner has no patience, so logs are cleaned again and again while everything breaks. A reader
that begins at the beginning must end with the last value of each key, whatever was cleaned meanwhile, and whoever
leads (`invariants/lives`). With a `turnover` each key is forgotten after so many records: then who missed that one was
deleted does not hear of it again.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, ClassVar

from ...cluster.world import EPOCH_WALL_MS
from ...storage.records import Record
from ..workload import Command, Settings, Workload
from .one_topic import OneTopic, some_producers

if TYPE_CHECKING:
    from ..swarm import Shape


class Set(Command, frozen=True):
    """A value for each of these keys; `deleted` are tombstones instead."""

    of: ClassVar[str] = "table"
    process: str
    index: int
    number: int
    keys: list[int]
    deleted: list[int]

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, TableWorkload)
        at, size = EPOCH_WALL_MS + workload.world.now // 1000, int(workload.settings["value_bytes"])
        records = []
        for place, key in enumerate(self.keys):
            value = f"{self.process}-{self.number + place}".ljust(size, ".").encode()
            records.append(Record(f"k{key}".encode(), None if place in self.deleted else value, (), at))
        workload.put(self.process, self.index, records)


class TableWorkload(OneTopic):
    """See the module's essay."""

    name = "table"
    topic = "table"

    @classmethod
    def draw(cls, random: Random, shape: Shape) -> Settings | None:
        if (drawn := some_producers(random)) is None:
            return None
        return drawn | {
            "value_bytes": random.choice((10, 60, 300)),
            "keys": random.choice((2, 5, 20)),
            "deletes": random.choice((0.0, 0.1, 0.4)),
            "segment_bytes": random.choice((500, 1500, 4000)),
            "delete_retention_ms": random.choice((0, 500, 3000)),
            "min_compaction_lag_ms": random.choice((0, 0, 1000)),
            "dirty_ratio": random.choice((0.0, 0.3)),
            "retention_bytes": random.choice((-1, -1, 6000)),
        }

    def configs(self) -> dict[str, str]:
        settings = self.settings
        expires = int(settings["retention_bytes"]) >= 0
        return {
            "cleanup.policy": "compact,delete" if expires else "compact",
            "retention.bytes": str(settings["retention_bytes"]),
            "retention.ms": "-1",
            "segment.bytes": str(settings["segment_bytes"]),
            "delete.retention.ms": str(settings["delete_retention_ms"]),
            "min.compaction.lag.ms": str(settings["min_compaction_lag_ms"]),
            "min.cleanable.dirty.ratio": str(settings["dirty_ratio"]),
        }

    def draw_put(self, process: str) -> None:
        index, count = self.chance.randrange(self.partitions), self.chance.randint(1, 4)
        turns = self.number // int(self.settings.get("turnover", 0) or self.number + 1)
        keys = [turns + self.chance.randrange(int(self.settings["keys"])) for _ in range(count)]
        deleted = [place for place in range(count) if self.chance.random() < float(self.settings["deletes"])]
        self.ask(Set(process, index, self.number, keys, deleted))

    def look(self, index: int, records: list[Record], end: int) -> None:
        """The last value of each key, and none that was deleted."""
        contents = self.lives.contents_of(self.topic, index)
        last = {record.key or b"": record for record in records}
        first = records[0].offset if records else end
        for key in sorted(contents.offsets):
            expected, found = contents.last(key, end), last.get(key)
            if expected is None or (expected.offset < first and int(self.settings["retention_bytes"]) >= 0):
                continue
            if found != expected and not (found is None and expected.value is None):
                self.complaints.append(f"{self.topic}-{index} was read up to {found}, the last one was {expected}")
