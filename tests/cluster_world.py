"""Three nodes with the real actors, a real producer and a real consumer, in a world where nothing goes wrong by itself.

`Cluster.acked` is what the producer was told, `Cluster.read_all` what a new consumer gets: the first must always be in
the second, at the same offsets (`lost`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from barnabas.actors.admin import AdminActor
from barnabas.actors.broker import Broker
from barnabas.actors.client_commands import Assign, Assignment, Failure, MakeTopic, SendRecords, Start, Took
from barnabas.actors.consumer import ConsumerActor
from barnabas.actors.consumer_outlet import Chunk
from barnabas.actors.controller import Controller
from barnabas.actors.kernel import Actor, Address, Event, Message, Millis
from barnabas.actors.messages import EARLIEST, TOPIC_LEADERSHIP, Described, TopicId
from barnabas.actors.producer import ProducerActor
from barnabas.actors.replica import Replica
from barnabas.cluster.world import Host, Onlooker, World
from barnabas.simulation.machines import Machines
from barnabas.simulation.swarm import Shape
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record

MS = 1000
NODES = ["b1", "b2", "b3"]


class Cluster(Onlooker):
    """Three combined nodes and clients. It is also the outlet of the admin and the producer, and watches events."""

    def __init__(
        self, seed: int = 1, *, durability: str = "fsync", shape: Shape | None = None, min_insync: int = 2
    ) -> None:
        self.world = World(seed, observers=[self])
        self.machines = Machines(self.world, shape or Shape(durability=durability))
        self.durability = durability
        self.min_insync = min_insync
        self.acked: dict[str, int] = {}  # value -> offset
        self.acked_at: dict[str, int] = {}  # value -> when, in µs
        self.failures: list[Failure] = []
        self.events: list[Event] = []
        self.readers = 0
        self.number = 0
        self.made = False
        for name, role, actor in (
            ("admin", "admin", AdminActor(NODES, self)),
            ("p", "producer", ProducerActor(NODES, self)),
        ):
            self.client(name, role, actor)

    def client(self, name: str, role: str, actor: Actor) -> None:
        disk = MemoryDisk(self.world.random(f"disk/{name}"))
        self.world.add(name, lambda boot: {role: actor}, disk, [TOPIC_LEADERSHIP], role)

    def begin(self) -> Self:
        """All up, a topic with one partition on all three, everything in sync."""
        self.machines.start()
        for name in ("admin", "p"):
            self.world.start(name)
        configs = {"min.insync.replicas": str(self.min_insync), "durability": self.durability}
        self.world.tell("admin", "admin", MakeTopic("t", "orders", 1, 3, configs))
        self.until(lambda: self.made and self.whole(), 10_000)
        return self

    def until(self, condition: Callable[[], bool], limit_ms: int = 5_000) -> int:
        """Run until it holds; how long that took, in ms."""
        began = self.world.now
        held = self.world.run_while(lambda: not condition(), limit_ms * MS)
        assert held, f"not within {limit_ms} ms"
        return (self.world.now - began) // MS

    def run(self, ms: int) -> None:
        self.world.run_until(self.world.now + ms * MS)

    def produce(self, count: int = 1) -> list[str]:
        """Send records, without waiting."""
        values = [f"v{self.number + number}" for number in range(count)]
        self.number += count
        records = [Record(None, value.encode()) for value in values]
        self.world.tell("p", "producer", SendRecords("orders", records, values, 0))
        return values

    def produced(self, count: int = 1, limit_ms: int = 5_000) -> int:
        """Send records one by one until all are acknowledged; how long that took."""
        began = self.world.now
        for _ in range(count):
            [value] = self.produce()
            self.until(lambda value=value: value in self.acked, limit_ms)  # type: ignore[misc]
        return (self.world.now - began) // MS

    # --- What is so ---

    def broker(self, name: str) -> Broker | None:
        node = self.world.hosts[name].node
        broker = None if node is None else node.actors["broker"]
        assert broker is None or isinstance(broker, Broker)
        return broker

    def replica(self, name: str) -> Replica | None:
        broker = self.broker(name)
        found = [] if broker is None else list(broker.replicas.values())
        return found[0] if found else None

    def leader(self) -> str:
        """Who leads in the newest epoch that any living broker knows."""
        living = [replica for replica in map(self.replica, self.machines.brokers) if replica is not None]
        newest = max(living, key=lambda replica: replica.leader_epoch)
        return f"b{newest.leader}" if newest.leader > 0 else "nobody"

    def active(self) -> str:
        """Where the active controller is."""
        for name in NODES:
            node = self.world.hosts[name].node
            controller = None if node is None else node.actors["controller"]
            if isinstance(controller, Controller) and controller.active:
                return name
        return "nowhere"

    def lead_from(self, name: str) -> None:
        """Make `name` lead: the third node leaves the ISR, and the leader dies before that one is back in it."""
        leader = self.leader()
        if leader == name:
            return
        [third] = [other for other in NODES if other not in (leader, name)]
        self.world.crash(third)
        self.until(lambda: int(third[1:]) not in self.isr(leader), 10_000)
        self.world.start(third)
        self.world.crash(leader)
        self.until(lambda: self.leader() == name, 10_000)
        self.world.start(leader)
        self.until(self.whole, 20_000)

    def isr(self, leader: str) -> tuple[int, ...]:
        """The ISR as its leader knows it."""
        replica = self.replica(leader)
        return () if replica is None or replica.leading is None else replica.leading.isr

    def followers(self) -> list[str]:
        return [name for name in NODES if name != self.leader()]

    def whole(self) -> bool:
        """Whether everybody is up and in sync."""
        for name in NODES:
            replica = self.replica(name)
            if replica is not None and replica.leading is not None and sorted(replica.leading.isr) == [1, 2, 3]:
                return all(self.replica(other) is not None for other in NODES)
        return False

    def disk(self, name: str) -> MemoryDisk:
        disk = self.world.hosts[name].disk
        assert isinstance(disk, MemoryDisk)
        return disk

    def logs(self) -> set[bytes]:
        """The different contents of the three logs."""
        path = f"orders-0/{0:020d}.log"
        return {self.disk(name).read(path, 0, self.disk(name).size(path) or 0) for name in NODES}

    def read_all(self, limit_ms: int = 10_000) -> dict[str, int]:
        """What a new consumer reads from the beginning to the high watermark: value -> offset."""
        self.readers += 1
        reader = Reader(self, f"r{self.readers}")
        self.until(lambda: reader.done, limit_ms)
        return reader.read

    # --- Outlets ---

    def acknowledged(
        self, tokens: Sequence[object], topic: str, partition: int, base_offset: int, timestamp: Millis
    ) -> None:
        for place, token in enumerate(tokens):
            self.acked[str(token)] = base_offset + place
            self.acked_at[str(token)] = self.world.now

    def failed(self, tokens: object, failure: Failure) -> None:
        self.failures.append(failure)

    def flushed(self, token: object) -> None:
        """Nobody asks for it."""

    def closed(self) -> None:
        """Nobody asks for it."""

    def done(self, token: object, topic_id: TopicId) -> None:
        self.made = True

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        pass

    def described(self, token: object, picture: Described) -> None:
        """Nobody asks for it."""

    def answered(self, token: object, answer: Message) -> None:
        """Nobody asks for it."""

    # --- Observer ---

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        self.events.append(event)


class Reader:
    """A consumer in a host of its own."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.read: dict[str, int] = {}
        self.done = False
        cluster.client(name, "consumer", ConsumerActor(NODES, self))
        cluster.world.start(name)
        cluster.world.tell(name, "consumer", Assign([Assignment("orders", 0, Start(EARLIEST))]))

    def fetched(self, chunk: Chunk) -> None:
        for record in chunk.records():
            self.read[(record.value or b"").decode()] = record.offset
        self.done = chunk.next >= chunk.hw
        self.cluster.world.at(0, lambda: self.cluster.world.tell(self.name, "consumer", Took(chunk.size)))

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        self.done = position >= hw >= 0

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        raise AssertionError(failure.sentence)

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        """Nobody asks for it."""

    def lookup_failed(self, token: object, failure: Failure) -> None:
        """Nobody asks for it."""

    def closed(self) -> None:
        """Nobody asks for it."""


def lost(cluster: Cluster) -> list[str]:
    """What was acknowledged and cannot be read, or not where it was said to be."""
    read = cluster.read_all()
    return [value for value, offset in cluster.acked.items() if read.get(value) != offset]
