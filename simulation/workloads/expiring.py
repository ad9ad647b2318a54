"""A topic that keeps little: its records expire by size and time, and somebody deletes some now and then.

Timestamps are what producers say, so some are from the future and some from long ago; clocks of brokers jump. What is
left must be a whole tail of what was committed, the same at every replica (`invariants/lives`).
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, ClassVar

from ...actors.client_commands import Failure, RemoveRecords
from ...actors.messages import LATEST
from ...cluster.world import EPOCH_WALL_MS
from ...storage.records import Record
from ..workload import Command, Settings, Workload
from .one_topic import OneTopic, some_producers

if TYPE_CHECKING:
    from ..run import Simulation
    from ..swarm import Shape

YEAR_MS = 365 * 24 * 3600 * 1000


class Put(Command, frozen=True):
    """So many records, `ahead_ms` off the world's clock."""

    of: ClassVar[str] = "expiring"
    process: str
    index: int
    number: int
    count: int
    ahead_ms: int

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ExpiringWorkload)
        at = EPOCH_WALL_MS + workload.world.now // 1000 + self.ahead_ms
        size = int(workload.settings["value_bytes"])
        values = (f"{self.process}-{self.number + n}".ljust(size, ".") for n in range(self.count))
        workload.put(self.process, self.index, [Record(None, value.encode(), (), at) for value in values])


class Trim(Command, frozen=True):
    """Delete the records below this offset; LATEST: all that are committed."""

    of: ClassVar[str] = "expiring"
    index: int
    offset: int

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ExpiringWorkload)
        workload.trim(self.index, self.offset)


class ExpiringWorkload(OneTopic):
    """See the module's essay."""

    name = "expiring"
    topic = "expiring"

    @classmethod
    def draw(cls, random: Random, shape: Shape) -> Settings | None:
        if (drawn := some_producers(random)) is None:
            return None
        return drawn | {
            "value_bytes": random.choice((20, 100, 400)),
            "segment_bytes": random.choice((500, 1000, 4000)),
            "retention_bytes": random.choice((-1, 0, 2000, 8000)),
            "retention_ms": random.choice((-1, 1500, 5000)),
            "trim_ms": random.choice((400, 1500, 5000)),
        }

    def __init__(self, run: Simulation, settings: Settings) -> None:
        super().__init__(run, settings)
        self._trims = 0  # without an outcome

    def configs(self) -> dict[str, str]:
        names = ("segment_bytes", "retention_bytes", "retention_ms")
        return {name.replace("_", "."): str(self.settings[name]) for name in names}

    def begin(self) -> None:
        super().begin()
        every = int(self.settings["trim_ms"]) * 1000
        self.every(lambda: int(self.chance.expovariate(1 / every)) + 20_000, self._draw_trim)

    def settled(self) -> bool:
        return super().settled() and not self._trims

    def draw_put(self, process: str) -> None:
        index, count = self.chance.randrange(self.partitions), self.chance.randint(1, 4)
        ahead = self.chance.choice((0, 0, 0, 0, 0, -3_000, -YEAR_MS, YEAR_MS))
        self.ask(Put(process, index, self.number, count, ahead))

    def _draw_trim(self) -> None:
        index = self.chance.randrange(self.partitions)
        end = self.ends[index]
        offset = self.chance.choice((LATEST, end, self.chance.randint(0, end), self.chance.randint(0, end), end + 3))
        if self.made:
            self.ask(Trim(index, offset))

    def trim(self, index: int, offset: int) -> None:
        """Have records deleted."""
        self._trims += 1
        self.world.tell(self.admin, "admin", RemoveRecords("trim", self.topic, {index: offset}, timeout_ms=15_000))

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        self._trims -= 1

    def failed(self, token: object, failure: Failure) -> None:
        if token == "trim":
            self._trims -= 1
        super().failed(token, failure)

    def look(self, index: int, records: list[Record], end: int) -> None:
        """All that is left, to the very end."""
        contents = self.lives.contents_of(self.topic, index).records
        left = [record for _, record in sorted(contents.items()) if records and record.offset >= records[0].offset]
        if records and records != left:
            self.complaints.append(f"{self.topic}-{index} was read as {records[:3]}..., committed is {left[:3]}...")
        if not records and contents and max(contents) + 1 < end:
            self.complaints.append(f"{self.topic}-{index} ends at {end} and nothing could be read")
