"""What the cluster is asked to do while it is being broken: clients in hosts of their own, and what they leave behind.

Each producer sends unique values to partitions that it names, several at a time; some are *unsafe* (acks 0 or 1) and
may lose them. Consumers read every partition from its beginning and go on; now and then they ask where the end is. The
clients are the real client actors; what stands here is only the application on top of them. After the healing one
more consumer reads everything from the beginning to the end: what was acknowledged must be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ...actors.admin import AdminActor
from ...actors.admin_messages import ElectLeaders
from ...actors.client_commands import (
    Assign,
    Assignment,
    Change,
    Failure,
    LookUp,
    MakeTopic,
    SendRecords,
    Start,
    Took,
    Why,
)
from ...actors.consumer import ConsumerActor
from ...actors.consumer_outlet import Chunk, ConsumerSettings
from ...actors.errors import ErrorCode
from ...actors.kernel import Incarnation, Message, Millis
from ...actors.messages import EARLIEST, LATEST, TOPIC_LEADERSHIP, Described, TopicId
from ...actors.producer import ProducerActor
from ...actors.producer_outlet import ProducerSettings
from ...cluster.world import Micros
from ...storage.records import Record
from ..history import Op, Outcome
from ..workload import Command, Settings, Workload

if TYPE_CHECKING:
    from ..run import Simulation

MAX_OUTSTANDING = 60
LATEST_EVERY_US = 700_000
ELECTION = object()
"""The token of an unclean election."""


class Send(Command, frozen=True):
    """So many records, numbered from `number` on, by a producer to a partition."""

    of: ClassVar[str] = "log"
    process: str
    topic: str
    index: int
    number: int
    count: int

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, LogWorkload)
        workload.send(self)


class AskEnds(Command, frozen=True):
    """Where does each partition end?"""

    of: ClassVar[str] = "log"

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, LogWorkload)
        workload.ask_ends()


class Sent(NamedTuple):
    """A producer's token: what the application knows of one record."""

    host: str
    process: str  # each life of a host is another one
    key: str
    value: str
    called: Micros
    safe: bool


class _ProducerOutlet:
    """Writes outcomes into the history."""

    def __init__(self, workload: LogWorkload) -> None:
        self._workload = workload

    def acknowledged(
        self, tokens: Sequence[object], topic: str, partition: int, base_offset: int, timestamp: Millis
    ) -> None:
        for place, token in enumerate(tokens):
            self._workload.over(token, "ok", base_offset + place if base_offset >= 0 else -1)

    def failed(self, tokens: Sequence[object], failure: Failure) -> None:
        for token in tokens:
            self._workload.failures[failure.why.value] = self._workload.failures.get(failure.why.value, 0) + 1
            self._workload.over(token, "info" if failure.why is Why.UNKNOWN_OUTCOME else "fail", -1)

    def flushed(self, token: object) -> None:
        pass

    def closed(self) -> None:
        pass


class _ConsumerOutlet:
    """Writes what was read into the history."""

    def __init__(self, workload: LogWorkload, process: str, *, final: bool) -> None:
        self._workload = workload
        self._process = process
        self._final = final
        self.positions: dict[tuple[str, int], int] = {}
        self._asked: dict[object, Micros] = {}
        self._beginning_again = False
        self.ends: dict[tuple[str, int], int] = {}

    @property
    def asking(self) -> bool:
        """Whether a question is unanswered."""
        return bool(self._asked)

    def ask(self, token: object) -> None:
        """A question for the ends is about to be asked."""
        self._asked[token] = self._workload.world.now

    def fetched(self, chunk: Chunk) -> None:
        workload = self._workload
        read = [(record.offset, (record.value or b"").decode()) for record in chunk.records()]
        now = workload.world.now
        workload.history.append(
            Op(self._process, "poll", f"{chunk.topic}-{chunk.partition}", now, now, read=read, final=self._final)
        )
        self.positions[chunk.topic, chunk.partition] = chunk.next
        workload.world.at(0, lambda: workload.world.tell(self._process, "consumer", Took(chunk.size)))

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        self.positions[topic, partition] = max(position, self.positions.get((topic, partition), 0))

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        """Logs are not trimmed, topics not deleted: it may only be that nobody could be reached at the beginning, or
        that a topic (-1) or a partition is so new that this client does not know of it.
        """
        workload = self._workload
        new = failure.why is Why.UNKNOWN_TOPIC and not 0 <= partition < workload.shape.partitions
        if failure.why is not Why.NO_BROKERS and not new:
            workload.complaints.append(f"{self._process} cannot read {topic}-{partition}: {failure.sentence}")
        if not self._beginning_again:  # once for all of them: else each of several makes as many more
            self._beginning_again = True
            workload.world.at(500_000, self._begin_again)

    def _begin_again(self) -> None:
        self._beginning_again = False
        self._workload.assign(self._process)

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        called = self._asked.pop(token, self._workload.world.now)
        for (topic, partition), (offset, _) in sorted(found.items()):
            self.ends[topic, partition] = offset
            now = self._workload.world.now
            self._workload.history.append(
                Op(self._process, "latest", f"{topic}-{partition}", called, now, offset=offset)
            )

    def lookup_failed(self, token: object, failure: Failure) -> None:
        self._asked.pop(token, None)

    def closed(self) -> None:
        pass


class _AdminOutlet:
    """Topics that exist."""

    def __init__(self, workload: LogWorkload) -> None:
        self._workload = workload

    def done(self, token: object, topic_id: TopicId) -> None:
        self._workload.made(str(token))

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        pass

    def described(self, token: object, picture: Described) -> None:
        pass

    def answered(self, token: object, answer: Message) -> None:
        pass

    def failed(self, token: object, failure: Failure) -> None:
        if failure.error is ErrorCode.TOPIC_ALREADY_EXISTS:  # made by a request whose answer was lost
            self._workload.made(str(token))
            return
        self._workload.failures[f"admin {failure.why.value}"] = 1
        if token == ELECTION:
            return
        self._workload.world.at(100_000, lambda: self._workload.make(str(token)))

    def closed(self) -> None:
        pass


class LogWorkload(Workload):
    """Producers, consumers, and somebody who asks for the ends."""

    name = "log"

    def __init__(self, run: Simulation, settings: Settings) -> None:
        super().__init__(run, settings)
        shape = self.shape = run.swarm.shape
        self.bootstrap = run.machines.brokers
        self.topics: list[str] = []  # those that exist
        self._grown: dict[str, int] = {}  # topics that have more partitions than the shape says
        self.acknowledged = 0  # sends that must not be lost
        self._number = 0
        self._resting: set[tuple[str, int]] = set()  # partitions that are not written to now
        self._question = 0
        self._generation = 0
        self._waiting: dict[str, dict[str, Sent]] = {}  # process -> value -> token
        self._outlets: dict[str, _ConsumerOutlet] = {}
        self.producers = [f"p{number}" for number in range(1, shape.producers + shape.unsafe_producers + 1)]
        self.consumers = [f"r{number}" for number in range(1, shape.consumers + 1)]
        self._lives: Counter[str] = Counter()  # how often each client has died
        self._acknowledged: dict[str, int] = {}  # the last offset of each partition, of as much of the history as:
        self._counted = 0
        self.host("admin", "admin", AdminActor(self.bootstrap, _AdminOutlet(self)), [TOPIC_LEADERSHIP])
        for place, name in enumerate(self.producers):
            acks = -1 if place < shape.producers else (place + 1) % 2
            producer = ProducerSettings(acks=acks, idempotent=acks == -1, delivery_timeout_ms=30_000)
            self._waiting[name] = {}
            make = partial(ProducerActor, self.bootstrap, _ProducerOutlet(self), producer)
            self.mortal_host(name, "producer", make, [TOPIC_LEADERSHIP])
        for name in [*self.consumers, "asker"]:
            self._consumer(name, final=False)
        self.mortal = [*self.producers, *self.consumers]
        self.clients = ["admin", "asker", *self.mortal]

    # --- Phases ---

    def begin(self) -> None:
        """Everything begins with the creation of topics."""
        super().begin()
        for number in range(self.shape.topics):
            self.make(f"t{number}")
        for producer in self.producers:
            self.every(self._pause, partial(self._draw_send, producer))
        self.every(lambda: LATEST_EVERY_US, lambda: self.ask(AskEnds()))
        if self.shape.rests_ms:
            self.every(lambda: self.shape.rests_ms * 1000, self._draw_rest)

    def heal(self) -> None:
        super().heal()
        self._resting.clear()

    def died(self, host: str) -> None:
        self._lives[host] += 1
        if host in self._waiting:
            for token in list(self._waiting[host].values()):
                self.over(token, "info", -1)
        else:
            self.history.append(Op(host, "crash", "", self.world.now, self.world.now))

    def settled(self) -> bool:
        return not any(self._waiting.values())

    def give_up(self) -> None:
        for waiting in self._waiting.values():
            for token in list(waiting.values()):
                self.over(token, "info", -1)

    def conclude(self) -> None:
        """One more consumer reads everything."""
        self._consumer("final", final=True)
        self.world.start("final")
        self.assign("final")
        self._outlets["asker"].ends.clear()
        self.ask_ends()

    def concluded(self) -> bool:
        """Whether the last consumer has reached the end of every partition, as told to it and as acknowledged."""
        ends, positions = self._outlets["asker"].ends, self._outlets["final"].positions
        if any(place not in ends for place in self.places()):
            if not self._outlets["asker"].asking:
                self.ask_ends()
            return False
        known = self._acknowledged
        for op in self.history[self._counted :]:  # this is asked often, and the history of a fast cluster is long
            if op.kind == "send" and op.safe:
                known[op.key] = max(known.get(op.key, -1), op.offset)
        self._counted = len(self.history)
        return all(
            positions.get((topic, index), 0) >= max(ends[topic, index], known.get(f"{topic}-{index}", -1) + 1)
            for topic, index in self.places()
        )

    def places(self) -> list[tuple[str, int]]:
        """All partitions of the topics that exist."""
        return [(topic, index) for topic in sorted(self.topics) for index in range(self.partitions_of(topic))]

    def partitions_of(self, topic: str) -> int:
        """How many partitions of a topic are used."""
        return self._grown.get(topic, self.shape.partitions)

    def grown(self, topic: str, partitions: int) -> None:
        """A topic has more partitions: they are used from now on."""
        if partitions > self.partitions_of(topic):
            self._grown[topic] = partitions
            self.world.at(0, self._assign_all)

    # --- What outlets call ---

    def make(self, name: str) -> None:
        """Create a topic; again and again, until it is there."""
        shape = self.shape
        configs = {
            "min.insync.replicas": str(shape.min_insync),
            "durability": shape.durability,
            "segment.bytes": str(shape.segment_bytes),
            "retention.ms": "-1",  # clocks jump by years here
        }
        command = MakeTopic(name, name, shape.partitions, shape.replication, configs, timeout_ms=20_000)
        self.world.tell("admin", "admin", command)

    def let_lead(self, partitions: list[tuple[str, int]]) -> None:
        """Whoever is up may lead these, which nobody leads, and gives up the records that it lacks."""

        def request(number: int, me: Incarnation) -> ElectLeaders:
            return ElectLeaders(number, me, partitions, unclean=True)

        self.world.tell("admin", "admin", Change(ELECTION, "partitions", request, timeout_ms=10_000))

    def made(self, name: str) -> None:
        """The topic is there: everybody uses it."""
        if name not in self.topics:
            self.topics.append(name)
            self.world.at(0, self._assign_all)

    def over(self, token: object, outcome: Outcome, offset: int) -> None:
        """A send has its outcome."""
        assert isinstance(token, Sent)
        if self._waiting[token.host].pop(token.value, None) is None:
            return
        self.acknowledged += outcome == "ok" and token.safe
        self.history.append(
            Op(
                token.process,
                "send",
                token.key,
                token.called,
                self.world.now,
                outcome,
                token.value,
                offset,
                safe=token.safe,
            )
        )

    def assign(self, name: str) -> None:
        """Read everything from the beginning."""
        self._generation += 1
        for topic, index in self.places():
            self.history.append(Op(name, "assign", f"{topic}-{index}", self.world.now, self.world.now))
        start = Start(EARLIEST)
        wanted = [Assignment(topic, index, start, self._generation) for topic, index in self.places()]
        self.world.tell(name, "consumer", Assign(wanted))

    # --- What is asked ---

    def send(self, command: Send) -> None:
        """Unless topic or process are not there (yet, or any more), or too much is unanswered."""
        name = command.process
        waiting = self._waiting.get(name)
        if waiting is None or command.index >= self.shape.partitions or self.world.hosts[name].node is None:
            return
        if command.topic not in self.topics or len(waiting) > MAX_OUTSTANDING:
            return
        safe = self.producers.index(name) < self.shape.producers
        process = f"{name}/{self._lives[name]}" if self._lives[name] else name
        tokens: list[object] = []
        records = []
        for number in range(command.number, command.number + command.count):
            value = f"{name}-{number}".ljust(self.shape.value_bytes, ".")
            token = Sent(name, process, f"{command.topic}-{command.index}", value, self.world.now, safe)
            waiting[value] = token
            tokens.append(token)
            records.append(Record(None, value.encode()))
        self._number = max(self._number, command.number + command.count)
        self.world.tell(name, "producer", SendRecords(command.topic, records, tokens, command.index))

    def ask_ends(self) -> None:
        """Of all partitions."""
        if self.topics:
            self._question += 1
            self._outlets["asker"].ask(self._question)
            queries = [(topic, index, LATEST) for topic, index in self.places()]
            self.world.tell("asker", "consumer", LookUp(self._question, queries, timeout_ms=5_000))

    def _draw_send(self, name: str) -> None:
        if self.topics and len(self._waiting[name]) <= MAX_OUTSTANDING:
            topic, index = self.chance.choice(self.places())
            count = self.chance.randint(1, self.shape.batch_records)
            if (topic, index) not in self._resting:
                self.ask(Send(name, topic, index, self._number, count))

    def _draw_rest(self) -> None:
        """Leaders come and go also where nothing is written."""
        healed = self.run.nemesis.healed
        self._resting = set() if healed else {place for place in self.places() if self.chance.random() < 0.5}

    def _pause(self) -> Micros:
        every = self.shape.produce_every_ms * 1000
        return self.chance.randint(every // 2, every * 3 // 2)

    def _assign_all(self) -> None:
        for consumer in self.consumers:
            self.assign(consumer)

    def _consumer(self, name: str, *, final: bool) -> None:
        """It begins anew at each start of its process, and reads everything that there is."""

        def make() -> ConsumerActor:
            outlet = self._outlets[name] = _ConsumerOutlet(self, name, final=final)
            if name in self.consumers:
                self.world.at(0, lambda: self.assign(name))
            return ConsumerActor(self.bootstrap, outlet, ConsumerSettings(max_wait_ms=300))

        self.mortal_host(name, "consumer", make, [TOPIC_LEADERSHIP])
