"""Somebody who changes the cluster while it is being broken: moves partitions, adds some, alters configs, elects.

The operator is the real admin client in a host of its own; what stands here decides by chance what it asks for: what
is possible mostly, and what is not now and then, since a refusal is an outcome like any other. Targets have two
replicas at least, so the nemesis stays within what a partition is entitled to survive.

Whatever was begun must end by itself after the healing: nobody helps it, and the operator asks for nothing then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from ...actors.admin import AdminActor
from ...actors.admin_messages import AdminRequest, ConfigChange, ConfigOperation, PartitionTarget
from ...actors.broker_configs import LEADER_BALANCE_EVERY, LEADER_IMBALANCE
from ...actors.client_commands import Change, Failure, Why
from ...actors.errors import ErrorCode
from ...actors.kernel import Incarnation, Message
from ...actors.messages import (
    TOPIC_LEADERSHIP,
    AlterConfigs,
    CreatePartitions,
    Described,
    DrainBroker,
    ElectLeaders,
    Partition,
    PartitionsDone,
    Reassign,
    TopicId,
)
from ...actors.metadata import MetadataImage
from ...cluster.world import Micros
from ..swarm import Shape
from ..views import images_of
from ..workload import Command, Settings, Workload

if TYPE_CHECKING:
    from ..run import Simulation

Place = tuple[str, int]

HOST = "operator"
MOST_PARTITIONS = 6
TIMEOUT_MS = 15_000


class MovePartitions(Command, frozen=True):
    """To these replicas each, or, without any, back."""

    of: ClassVar[str] = "changes"
    targets: list[tuple[str, int, list[int]]]

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ChangesWorkload)
        targets = [PartitionTarget(topic, index, replicas or None) for topic, index, replicas in self.targets]
        workload.change("move", lambda n, me: Reassign(n, me, targets), targets=targets)


class Elect(Command, frozen=True):
    """Preferred leaders of these partitions; None: wherever they may lead."""

    of: ClassVar[str] = "changes"
    partitions: list[tuple[str, int]] | None

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ChangesWorkload)
        workload.change("elect", lambda n, me: ElectLeaders(n, me, self.partitions))


class Alter(Command, frozen=True):
    """One config of a topic."""

    of: ClassVar[str] = "changes"
    topic: str
    config: str
    operation: ConfigOperation
    value: str

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ChangesWorkload)
        change = ConfigChange(self.config, self.operation, self.value)
        workload.change("alter", lambda n, me: AlterConfigs(n, me, "topic", self.topic, [change]))


class AlterBrokers(Command, frozen=True):
    """One config of all brokers."""

    of: ClassVar[str] = "changes"
    config: str
    value: str

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ChangesWorkload)
        change = ConfigChange(self.config, "set", self.value)
        workload.change("alter brokers", lambda n, me: AlterConfigs(n, me, "broker", "", [change]))


class Drain(Command, frozen=True):
    """A broker is to go, or stays after all."""

    of: ClassVar[str] = "changes"
    broker: int
    cancel: bool

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ChangesWorkload)
        workload.change("drain", lambda n, me: DrainBroker(n, me, self.broker, self.cancel))


class Grow(Command, frozen=True):
    """A topic has so many partitions."""

    of: ClassVar[str] = "changes"
    topic: str
    total: int

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, ChangesWorkload)
        if not workload.run.budget.may_grow():
            return
        workload.change("grow", lambda n, me: CreatePartitions(n, me, self.topic, self.total), self.topic, self.total)


class Asked(NamedTuple):
    """A token: what was asked for."""

    kind: str
    number: int
    topic: str
    partitions: int
    targets: tuple[PartitionTarget, ...]


class ChangesWorkload(Workload):
    """See the module's essay."""

    name = "changes"

    @classmethod
    def draw(cls, random: Random, shape: Shape) -> Settings | None:
        if random.random() < 0.5:
            return None
        return {"every_us": random.randint(300_000, 3_000_000), "drains": random.random() < 0.4}

    def __init__(self, run: Simulation, settings: Settings) -> None:
        super().__init__(run, settings)
        self.brokers = list(range(1, run.swarm.shape.brokers + 1))
        self.outcomes: Counter[str] = Counter()  # what became of what was asked for
        self.parts: Counter[str] = Counter()  # and of each partition in it
        self._number = 0
        self._asked: dict[int, Asked] = {}  # without an outcome yet
        self._crossed: set[int] = set()  # those out at the same time as others for the same partition
        self._unsure: set[Place] = set()  # a request for it has no known outcome, and may be decided at any time
        self._intended: dict[Place, list[int] | None] = {}  # where a partition was sent last; None: nobody knows
        self.host(HOST, "admin", AdminActor(run.machines.brokers, self), [TOPIC_LEADERSHIP])
        self.clients = [HOST]

    # --- Phases ---

    def begin(self) -> None:
        super().begin()
        self.every(self._pause, self._draw_change)

    def heal(self) -> None:
        """Nothing is changed any more: what was begun must end by itself."""
        super().heal()
        self.finished = True

    @property
    def growing(self) -> bool:
        return any(asked.kind == "grow" for asked in self._asked.values())

    def settled(self) -> bool:
        return not self._asked

    def give_up(self) -> None:
        self._asked = {}

    def converged(self) -> str | None:
        states = self.run.metadata.partitions.values()
        moving = [state for state in states if getattr(state, "target", None)]
        if moving:
            return f"{len(moving)} partitions move, {moving[0]}"
        brokers = self.run.metadata.brokers.items()
        going = {number for number, broker in brokers if getattr(broker, "draining", False)}
        most = len(self.brokers) - len(going)
        kept = [state for state in states if not going.isdisjoint(state.replicas) and len(state.replicas) <= most]
        return f"{sorted(going)} are to go, and keep {kept[0]}" if kept else None

    def conclude(self) -> None:
        """Every partition is where it was sent last, if nobody else sent it elsewhere."""
        if self.settings["drains"]:
            return
        hosts = self.world.hosts.values()
        images = [image for host in hosts for actor, image in images_of(host) if actor == "controller"]
        image = max(images, key=lambda image: image.end)  # who lost its disk for good knows nothing any more
        assert isinstance(image, MetadataImage)
        for (topic, index), replicas in sorted(self._intended.items()):
            state = image.partitions[Partition(image.topic_ids[topic], index)]
            if replicas is not None and state.replicas != tuple(replicas):
                self.complaints.append(f"L7: {topic}-{index} was sent to {replicas}, and is {state}")

    # --- What is asked ---

    def change(
        self,
        kind: str,
        request: Callable[[int, Incarnation], AdminRequest],
        topic: str = "",
        partitions: int = 0,
        targets: Sequence[PartitionTarget] = (),
    ) -> None:
        """Have the controller do it."""
        self._number += 1
        asked = Asked(kind, self._number, topic, partitions, tuple(targets))
        for other in self._asked.values():
            if not {(t.topic, t.index) for t in asked.targets}.isdisjoint((t.topic, t.index) for t in other.targets):
                self._crossed |= {asked.number, other.number}
        self._asked[asked.number] = asked
        self.world.tell(HOST, "admin", Change(asked, topic or kind, request, TIMEOUT_MS, partitions))

    def _pause(self) -> Micros:
        every = self.settings["every_us"]
        assert isinstance(every, int)
        return int(self.chance.expovariate(1 / every)) + 50_000

    def _draw_change(self) -> None:
        if self.run.workload.topics:
            moves = (self._move, self._move, self._move, self._cancel)
            drains = (self._drain,) if self.settings["drains"] else ()
            self.ask(self.chance.choice((*moves, *drains, self._elect, self._balance, self._alter, self._grow))())

    def _place(self) -> tuple[str, int]:
        return self.chance.choice(self.run.workload.places())

    def _move(self) -> Command:
        """One partition, or some, to any brokers; now and then to one that there is not."""
        places = sorted({self._place() for _ in range(self.chance.choice((1, 1, 2, 4)))})
        targets = []
        for topic, index in places:
            count = self.chance.randint(min(2, len(self.brokers)), len(self.brokers))
            replicas = self.chance.sample(self.brokers, count)
            if self.chance.random() < 0.05:
                replicas[0] = 99
            targets.append((topic, index, replicas))
        return MovePartitions(targets)

    def _cancel(self) -> Command:
        topic, index = self._place()
        return MovePartitions([(topic, index, [])])

    def _elect(self) -> Command:
        return Elect(None if self.chance.random() < 0.5 else [self._place()])

    def _drain(self) -> Command:
        """Those that stay are as many as any set has members, mostly: else it is refused."""
        return Drain(self.chance.choice(self.brokers), self.chance.random() < 0.5)

    def _balance(self) -> Command:
        """Leaders are looked after every second or so, or as usual."""
        if self.chance.random() < 0.3:
            return AlterBrokers(LEADER_IMBALANCE, str(self.chance.choice((0, 10, 50))))
        return AlterBrokers(LEADER_BALANCE_EVERY, str(self.chance.choice((1, 1, 3, 300))))

    def _alter(self) -> Command:
        """Figures that the other workloads do not depend on; min.insync never below what the seed has drawn."""
        topic = self.chance.choice(sorted(self.run.workload.topics))
        shape = self.run.swarm.shape
        match self.chance.randrange(4):
            case 0:
                value = self.chance.randint(shape.min_insync, shape.replication)
                return Alter(topic, "min.insync.replicas", "set", str(value))
            case 1:
                return Alter(topic, "segment.bytes", "set", str(self.chance.choice((4096, 16384, 65536))))
            case 2:
                return Alter(topic, "max.message.bytes", "set", str(self.chance.choice((65536, 1 << 20))))
            case _:
                return Alter(topic, "min.insync.replicas", "append", "2")

    def _grow(self) -> Command:
        topic = self.chance.choice(sorted(self.run.workload.topics))
        return Grow(topic, min(MOST_PARTITIONS, self.run.workload.partitions_of(topic) + 1))

    # --- Outlet ---

    def answered(self, token: object, answer: Message) -> None:
        assert isinstance(token, Asked)
        granted: set[Place] = set()
        if isinstance(answer, PartitionsDone):
            for outcome in answer.outcomes:
                self.parts[f"{token.kind}: {outcome.error.name}"] += 1
                if outcome.error is ErrorCode.NONE:
                    granted.add((outcome.topic, outcome.index))
        self._over(token, "done")
        for target in token.targets:
            if (target.topic, target.index) in granted:
                self._sent(token, target, target.replicas)

    def failed(self, token: object, failure: Failure) -> None:
        assert isinstance(token, Asked)
        self._over(token, "unknown" if failure.why is Why.UNKNOWN_OUTCOME else failure.error.name)
        for target in token.targets:
            if failure.why is Why.UNKNOWN_OUTCOME:
                self._unsure.add((target.topic, target.index))
            self._sent(token, target, None)

    def _sent(self, asked: Asked, target: PartitionTarget, replicas: list[int] | None) -> None:
        """Unless another request for it was out meanwhile: nobody knows in which order they were decided. The answer
        to the first may be lost, and come again after the others'.
        """
        place = (target.topic, target.index)
        sure = asked.number not in self._crossed and place not in self._unsure
        self._intended[place] = replicas if sure else None

    def _over(self, asked: Asked, outcome: str) -> None:
        self._asked.pop(asked.number, None)
        self.outcomes[f"{asked.kind}: {outcome}"] += 1
        if asked.kind == "grow" and outcome in ("done", "INVALID_PARTITIONS"):  # or it was made by an earlier request
            self.run.workload.grown(asked.topic, asked.partitions)

    def done(self, token: object, topic_id: TopicId) -> None:
        """Nobody asks for it."""

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        """Nobody asks for it."""

    def described(self, token: object, picture: Described) -> None:
        """Nobody asks for it."""

    def closed(self) -> None:
        """Nobody asks for it."""
