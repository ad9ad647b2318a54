"""Controllers in a hostile world, with brokers that only keep up appearances: they register, send heartbeats, follow
the metadata, propose ISRs by chance (as a leader would: with the epochs they know), and now and then wish to stop.

Around them stand the checkers of the quorum and of the metadata (R1 to R11, R15, P19). In the end all is healed, and
within fifteen seconds every controller and broker must have one and the same state, with every broker unfenced and a
leader for each partition.
"""

from __future__ import annotations

from barnabas.actors.controller import Controller, ControllerConfig
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Actor, Address, Context, Incarnation, Message, Timer, address
from barnabas.actors.messages import (
    TOPIC_METADATA,
    AlterPartition,
    BrokerHeartbeat,
    CreateTopic,
    DeleteTopic,
    HeartbeatReply,
    IsrChange,
    MetadataRange,
    MetadataSnapshot,
    MetadataUpdate,
    Register,
    Registered,
    ReserveProducerIds,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_follower import MetadataFollower
from barnabas.actors.raft import Raft, RaftConfig, Voter
from barnabas.cluster.world import Boot, World
from barnabas.simulation.invariants.metadata import MetadataChecker
from barnabas.simulation.invariants.quorum import QuorumChecker
from barnabas.simulation.nemesis import Nemesis
from barnabas.simulation.network import HostileNetwork
from barnabas.simulation.oracle import Oracle, Violation
from barnabas.simulation.swarm import Shape, draw
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.settings import LogSettings


class Beat(Timer, frozen=True):
    """Time for a heartbeat, or a registration."""


class Whim(Timer, frozen=True):
    """Time to ask for something by chance."""


class Appearances(Actor):
    """A broker to its controllers, with nothing behind it."""

    def __init__(self, number: int, controllers: dict[int, str]) -> None:
        self.number = number
        self.controllers = controllers
        self.metadata = MetadataFollower("cluster", controllers)
        self.epoch = -1
        self.sequence = 0
        self.quiet = False  # no whims: the world is healing

    @property
    def image(self) -> MetadataImage:
        return self.metadata.image

    def on_start(self, ctx: Context) -> None:
        self.metadata.start(ctx)
        ctx.set_timer(Beat(), 50)
        ctx.set_timer(Whim(), 200)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case MetadataUpdate():
                self.metadata.on_update(message, ctx)
            case MetadataRange():
                self.metadata.on_range(message, ctx)
            case MetadataSnapshot():
                self.metadata.on_snapshot(message, ctx)
            case Registered(error=ErrorCode.NONE, broker_epoch=epoch):
                self.epoch = max(self.epoch, epoch)
            case HeartbeatReply():
                assert message.error is not ErrorCode.STALE_BROKER_EPOCH or self.epoch < self.metadata.known_end
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if isinstance(timer, Beat):
            self.sequence += 1
            for _, controller in sorted(self.controllers.items()):
                ctx.send(address(controller, "controller"), self._beat(ctx))
            ctx.set_timer(Beat(), 250)
        elif isinstance(timer, Whim):
            if not self.quiet and self.epoch >= 0:
                self._whim(ctx)
            ctx.set_timer(Whim(), ctx.random.randint(20, 200))
        else:
            self.metadata.on_timer(timer, ctx)

    def _beat(self, ctx: Context) -> Message:
        if self.epoch < 0:
            name = f"b{self.number}"
            return Register(1, "cluster", self.number, ctx.incarnation, f"d-{name}", name, "", [], True, -1)
        end = self.image.end
        return BrokerHeartbeat(self.sequence, self.number, self.epoch, ctx.incarnation, end, False)

    def _whim(self, ctx: Context) -> None:
        controller = address(self.controllers[ctx.random.choice(sorted(self.controllers))], "controller")
        name = f"t{ctx.random.randrange(4)}"
        request = ctx.random.randrange(1 << 30)
        led = [state for _, state in sorted(self.image.partitions.items()) if state.leader == self.number]
        match ctx.random.randrange(8):
            case 0:
                ctx.send(controller, CreateTopic(request, Incarnation(self.number), name, 2, 3))
            case 1 if ctx.random.randrange(6) == 0:
                ctx.send(controller, DeleteTopic(request, Incarnation(self.number), name))
            case 2:
                ctx.send(controller, ReserveProducerIds(request, self.number, self.epoch))
            case _ if led:
                state = ctx.random.choice(led)
                isr = [b for b in state.replicas if b == self.number or ctx.random.randrange(3)]
                members = [(b, self.image.brokers[b].epoch) for b in isr if b in self.image.brokers]
                change = IsrChange(state.partition, state.leader_epoch, state.partition_epoch, members)
                ctx.send(controller, AlterPartition(request, self.number, self.epoch, [change]))
            case _:
                pass


LEAST_WORK = 20
"""Records of metadata: a run that decides less has tried nothing."""


class ControllerWorld:
    """Three nodes, each a controller and a broker in appearance."""

    def __init__(self, seed: int, nodes: int = 3) -> None:
        self.world = World(seed)
        self.names = {number: f"b{number}" for number in range(1, nodes + 1)}
        self.swarm = draw(seed, self.world, Shape(controllers=nodes, brokers=nodes))
        self.network = HostileNetwork(self.swarm.network, self.world)
        self.world.network = self.network
        self.quorum = QuorumChecker()
        self.metadata = MetadataChecker(self.quorum)
        self.oracle = Oracle([self.quorum, self.metadata])
        self.world.observers.append(self.oracle)
        self.nemesis = Nemesis(self.world, self.network, self.swarm, list(self.names.values()))
        for name in self.names.values():
            self.world.add(
                name, self._actors, MemoryDisk(self.world.random(f"disk/{name}")), [TOPIC_METADATA], "broker"
            )

    def _actors(self, boot: Boot) -> dict[str, Actor]:
        number = int(boot.name[1:])
        voters = {n: Voter(name, f"dir-{name}") for n, name in self.names.items()}
        settings = LogSettings(segment_bytes=self.swarm.shape.segment_bytes)
        raft = Raft(RaftConfig(number, "cluster", f"dir-{boot.name}", voters, settings=settings))
        config = ControllerConfig(number, "cluster", self.names, self.names, snapshot_records=50, default_replication=3)
        return {"controller": Controller(config, raft), "broker": Appearances(number, self.names)}

    def run(self, seconds: float) -> str | None:
        """Safety, heal, convergence: what went wrong, or None."""
        try:
            for name in self.names.values():
                self.world.start(name)
            self.nemesis.begin()
            self.world.run_until(int(seconds * 1e6))
            self.world.run_while(lambda: self.metadata.end < LEAST_WORK, int(seconds * 1e6))  # some need twice the time
            self.nemesis.heal()
            if self.world.run_while(lambda: not self._agreed(), 15_000_000):
                return None
            return "no agreement within 15 s of healing: " + "; ".join(self._report())
        except Violation as found:
            return str(found)
        except AssertionError as failed:
            return f"assertion at {self.world.now / 1e6:.6f} s: {failed}"

    def _images(self) -> list[MetadataImage]:
        images = []
        for name in self.names.values():
            node = self.world.hosts[name].node
            if node is not None:
                broker, controller = node.actors["broker"], node.actors["controller"]
                assert isinstance(broker, Appearances)
                assert isinstance(controller, Controller)
                broker.quiet = True
                images += [broker.image, controller.image]
        return images

    def _agreed(self) -> bool:
        images = self._images()
        if len(images) < 2 * len(self.names) or len({image.end for image in images}) > 1:
            return False
        image = images[0]
        return (
            len({each.state_hash() for each in images}) == 1
            and len(image.brokers) == len(self.names)
            and not any(broker.fenced for broker in image.brokers.values())
            and all(state.leader != -1 for state in image.partitions.values())
            and image.violations() == []
        )

    def _report(self) -> list[str]:
        return [
            f"end {image.end}, fenced {[b.id for b in image.brokers.values() if b.fenced]}, leaderless "
            f"{[image.name(state.partition) for state in image.partitions.values() if state.leader == -1]}"
            for image in self._images()
        ]
