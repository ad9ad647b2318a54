"""Workloads that have a topic of their own: producers, a reader that starts over when it must, an admin, a last look.

`topic` and `configs` say what it is about, `draw_put` what is written. The reader reads from the beginning; where its
position is gone it goes on with what is there. After the healing a last reader reads everything, into `final`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import TYPE_CHECKING, ClassVar

from ...actors.admin import AdminActor
from ...actors.client_commands import Assign, Assignment, Failure, LookUp, MakeTopic, SendRecords, Start, Took, Why
from ...actors.consumer import ConsumerActor
from ...actors.consumer_outlet import Chunk, ConsumerSettings, Reset
from ...actors.errors import ErrorCode
from ...actors.kernel import Message, Millis
from ...actors.messages import EARLIEST, LATEST, TOPIC_LEADERSHIP, Described, TopicId
from ...actors.producer import ProducerActor
from ...actors.producer_outlet import ProducerSettings
from ...cluster.world import Micros
from ...storage.records import Record
from ..invariants.lives import LivesChecker
from ..workload import Settings, Workload

if TYPE_CHECKING:
    from ..run import Simulation

MAX_OUTSTANDING = 40


def some_producers(random: Random) -> Settings | None:
    """In three seeds of ten, and how many."""
    if random.random() < 0.7:
        return None
    return {
        "partitions": random.choice((1, 1, 2)),
        "producers": random.choice((1, 2)),
        "every_ms": random.choice((30, 60, 120)),
    }


class _Producer:
    """A producer's outlet."""

    def __init__(self, workload: OneTopic, process: str) -> None:
        self._workload = workload
        self.waiting: set[object] = set()

    def acknowledged(
        self, tokens: Sequence[object], topic: str, partition: int, base_offset: int, timestamp: Millis
    ) -> None:
        self.waiting.difference_update(tokens)
        self._workload.acknowledged(partition, base_offset + len(tokens))

    def failed(self, tokens: Sequence[object], failure: Failure) -> None:
        self.waiting.difference_update(tokens)
        failures = self._workload.failures
        failures[failure.why.value] = failures.get(failure.why.value, 0) + len(tokens)

    def flushed(self, token: object) -> None:
        """Nobody asks for it."""

    def closed(self) -> None:
        """Nobody asks for it."""


class _Reader:
    """A consumer's outlet. All it has of a partition is of one generation: what is assigned anew is read anew.

    A consumer that nobody has answered in time says so and tries on, so it may read before it is assigned anew.
    """

    def __init__(self, workload: OneTopic, process: str) -> None:
        self._workload = workload
        self._process = process
        self.read: dict[int, list[Record]] = {}
        self.positions: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self.asking = False
        self.generations: dict[int, int] = {}

    def fetched(self, chunk: Chunk) -> None:
        world, records = self._workload.world, chunk.records()
        self._start_over(chunk.partition, chunk.generation)
        before = self.positions.get(chunk.partition, 0)
        if records and records[0].offset < before:
            self._workload.complaints.append(f"{self._process} read {records[0].offset} after {before}")
        self.read[chunk.partition].extend(records)
        self.positions[chunk.partition] = chunk.next
        world.at(0, lambda: world.tell(self._process, "consumer", Took(chunk.size)))

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        self._start_over(partition, generation)
        self.positions[partition] = max(position, self.positions.get(partition, 0))

    def _start_over(self, partition: int, generation: int) -> None:
        if self.generations.get(partition) != generation:
            self.generations[partition] = generation
            self.read[partition] = []
            self.positions[partition] = 0

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        if failure.why is not Why.NO_BROKERS:
            self._workload.complaints.append(f"{self._process} cannot read {topic}-{partition}: {failure.sentence}")
        self._workload.world.at(500_000, lambda: self._workload.assign(self._process))

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        self.asking = False
        self.ends = {partition: offset for (_, partition), (offset, _) in found.items()}

    def lookup_failed(self, token: object, failure: Failure) -> None:
        self.asking = False

    def closed(self) -> None:
        """Nobody asks for it."""


class OneTopic(Workload):
    """See the module's essay."""

    topic: ClassVar[str]

    def __init__(self, run: Simulation, settings: Settings) -> None:
        super().__init__(run, settings)
        self.made = False
        self.partitions = int(settings["partitions"])
        self.ends = dict.fromkeys(range(self.partitions), 0)  # as acknowledged
        self.number = 0
        brokers = run.machines.brokers
        self.admin, self.reader, self.last = (f"{self.topic}-{role}" for role in ("admin", "reader", "last"))
        self.producers = [f"{self.topic}-p{number}" for number in range(int(settings["producers"]))]
        self._producers = {name: _Producer(self, name) for name in self.producers}
        self._readers = {name: _Reader(self, name) for name in (self.reader, self.last)}
        for name in self.producers:
            producer = ProducerActor(brokers, self._producers[name], ProducerSettings(delivery_timeout_ms=30_000))
            self.host(name, "producer", producer, [TOPIC_LEADERSHIP])
        self.host(self.admin, "admin", AdminActor(brokers, self), [TOPIC_LEADERSHIP])
        consuming = ConsumerSettings(reset=Reset.EARLIEST, max_wait_ms=300)
        for name, outlet in self._readers.items():
            self.host(name, "consumer", ConsumerActor(brokers, outlet, consuming), [TOPIC_LEADERSHIP])
        self.clients = [self.admin, self.reader, *self.producers]

    @property
    def lives(self) -> LivesChecker:
        """Who knows what was committed."""
        return next(checker for checker in self.run.oracle.checkers if isinstance(checker, LivesChecker))

    def configs(self) -> dict[str, str]:
        """Of the topic."""
        raise NotImplementedError

    def draw_put(self, process: str) -> None:
        """Ask a producer to write something."""
        raise NotImplementedError

    def look(self, index: int, records: list[Record], end: int) -> None:
        """What the last reader has read of a partition that ends at `end`."""
        raise NotImplementedError

    # --- Phases ---

    def begin(self) -> None:
        super().begin()
        self.make()
        for name in self.producers:
            self.every(self._pause, partial(self._draw, name))

    @property
    def ready(self) -> bool:
        return self.made

    def settled(self) -> bool:
        return self.made and not any(outlet.waiting for outlet in self._producers.values())

    def give_up(self) -> None:
        for outlet in self._producers.values():
            outlet.waiting.clear()

    def conclude(self) -> None:
        self.world.start(self.last)
        self.assign(self.last)
        self._ask_ends()

    def concluded(self) -> bool:
        outlet = self._readers[self.last]
        if len(outlet.ends) < self.partitions:
            if not outlet.asking:
                self._ask_ends()
            return False
        if any(outlet.positions.get(index, -1) < end for index, end in outlet.ends.items()):
            return False
        for index, end in sorted(outlet.ends.items()):
            self.look(index, outlet.read.get(index, []), end)
        return True

    # --- What is asked ---

    def make(self) -> None:
        """Create the topic; again and again, until it is there."""
        shape = self.run.swarm.shape
        configs = {"min.insync.replicas": str(shape.min_insync), "durability": shape.durability, **self.configs()}
        command = MakeTopic("make", self.topic, self.partitions, shape.replication, configs, timeout_ms=20_000)
        self.world.tell(self.admin, "admin", command)

    def assign(self, name: str) -> None:
        """Read everything from the beginning."""
        wanted = [Assignment(self.topic, index, Start(EARLIEST), self.world.now) for index in range(self.partitions)]
        self.world.tell(name, "consumer", Assign(wanted))

    def takes(self, process: str) -> bool:
        """Whether `put` does something."""
        return self.made and len(self._producers[process].waiting) <= MAX_OUTSTANDING

    def put(self, process: str, index: int, records: Sequence[Record]) -> None:
        """Write records, unless too much is unanswered."""
        if not self.takes(process):
            return
        outlet = self._producers[process]
        tokens: list[object] = []
        for _ in records:
            self.number += 1
            tokens.append(self.number)
        outlet.waiting.update(tokens)
        self.world.tell(process, "producer", SendRecords(self.topic, records, tokens, index))

    def acknowledged(self, index: int, end: int) -> None:
        """A partition is known to reach `end`."""
        self.ends[index] = max(self.ends[index], end)

    def _draw(self, name: str) -> None:
        if self.takes(name):
            self.draw_put(name)

    def _pause(self) -> Micros:
        every = int(self.settings["every_ms"]) * 1000
        return self.chance.randint(every // 2, every * 3 // 2)

    def _ask_ends(self) -> None:
        self._readers[self.last].asking = True
        queries = [(self.topic, index, LATEST) for index in range(self.partitions)]
        self.world.tell(self.last, "consumer", LookUp("ends", queries, timeout_ms=5_000))

    # --- The admin's outlet ---

    def done(self, token: object, topic_id: TopicId) -> None:
        self._made()

    def failed(self, token: object, failure: Failure) -> None:
        if token != "make":
            return
        if failure.error is ErrorCode.TOPIC_ALREADY_EXISTS:  # by a request whose answer was lost
            self._made()
        else:
            self.world.at(100_000, self.make)

    def _made(self) -> None:
        if not self.made:
            self.made = True
            self.world.at(0, lambda: self.assign(self.reader))

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        """Records were deleted."""

    def described(self, token: object, picture: Described) -> None:
        """Nobody asks for it."""

    def answered(self, token: object, answer: Message) -> None:
        """Nobody asks for it."""

    def closed(self) -> None:
        """Nobody asks for it."""
