"""A quorum of voters in a hostile world, with records appended by whoever leads.

Around `Raft` stands the least actor that can carry it. The workload tells every node that leads to append the next
numbered record, so an old leader that does not know better appends too, and its records must vanish. The oracle
checks R1 to R8 after every event. In the end everything is healed, and within ten seconds all voters must agree
on a log that grows.
"""

from __future__ import annotations

import msgspec

from barnabas.actors.kernel import Actor, Address, Context, JobDone, Message, Timer
from barnabas.actors.raft import Raft, RaftConfig, Voter
from barnabas.cluster.world import Boot, World
from barnabas.simulation.invariants.quorum import QuorumChecker
from barnabas.simulation.nemesis import Nemesis
from barnabas.simulation.network import HostileNetwork
from barnabas.simulation.oracle import Oracle, Violation
from barnabas.simulation.swarm import Shape, Swarm, draw
from barnabas.simulation.views import raft_of
from barnabas.storage.disk import Generation
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, encode_batch
from barnabas.storage.settings import LogSettings


class Append(Message, frozen=True):
    """Told to a voter by the test: append this number if you lead."""

    number: int


class VoterActor(Actor):
    """Forwards everything to its `Raft`."""

    def __init__(self, config: RaftConfig) -> None:
        self.raft = Raft(config)

    def on_start(self, ctx: Context) -> None:
        self.raft.start(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if isinstance(message, Append):
            if self.raft.leading:
                self.raft.append(encode_batch([Record(None, b"%d" % message.number, (), ctx.wall)]), ctx)
            return
        self.raft.on_message(sender, message, ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        self.raft.on_timer(timer, ctx)

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        self.raft.on_synced(generation, ctx)

    def on_job(self, done: JobDone, ctx: Context) -> None:
        self.raft.on_job(done, ctx)


class Outcome(msgspec.Struct, kw_only=True):
    """What a run came to."""

    swarm: Swarm
    violation: str | None
    trace: str
    steps: int
    seconds: float
    committed: int
    epochs: int
    premises: dict[str, int]
    faults: list[str]


class RaftWorld:
    """`run` is the whole story; the parts are there for directed tests."""

    def __init__(self, seed: int, voters: int = 3, *, append_every_us: int = 15_000) -> None:
        self.world = World(seed)
        self.names = [f"b{number}" for number in range(1, voters + 1)]
        self.swarm = draw(seed, self.world, Shape(controllers=voters, brokers=voters))
        self.network = HostileNetwork(self.swarm.network, self.world)
        self.world.network = self.network
        self.quorum = QuorumChecker()
        self.oracle = Oracle([self.quorum])
        self.world.observers.append(self.oracle)
        self.nemesis = Nemesis(self.world, self.network, self.swarm, self.names)
        self._every = append_every_us
        self._number = 0
        members = {number: Voter(name, f"dir-{name}") for number, name in enumerate(self.names, 1)}
        settings = LogSettings(segment_bytes=self.swarm.shape.segment_bytes)
        for number, name in enumerate(self.names, 1):
            config = RaftConfig(number, "cluster", f"dir-{name}", members, settings=settings)

            def factory(boot: Boot, config: RaftConfig = config) -> dict[str, Actor]:
                return {"controller": VoterActor(config)}

            self.world.add(name, factory, MemoryDisk(self.world.random(f"disk/{name}")))

    def start(self) -> None:
        """All nodes, and the workload."""
        for name in self.names:
            self.world.start(name)
        self.world.at(0, self._append)

    def run(self, seconds: float) -> Outcome:
        """Safety phase, heal, convergence. Never raises a violation: it is part of the outcome."""
        violation: str | None = None
        try:
            self.start()
            self.nemesis.begin()
            self.world.run_until(int(seconds * 1e6))
            self.nemesis.heal()
            violation = self.converge()
        except Violation as found:
            violation = str(found)
        except AssertionError as failed:
            violation = f"assertion at {self.world.now / 1e6:.6f} s: {failed}"
        return Outcome(
            swarm=self.swarm,
            violation=violation,
            trace=self.world.trace_hash(),
            steps=self.world.steps,
            seconds=self.world.now / 1e6,
            committed=self.quorum.true_hw,
            epochs=max(self.quorum.leaders, default=0),
            premises=dict(sorted(self.oracle.premises.items())),
            faults=[str(fault) for fault in self.nemesis.log],
        )

    def converge(self, limit_us: int = 10_000_000) -> str | None:
        """After healing: one leader, new records committed everywhere. A sentence if it does not come to that."""
        goal = self.quorum.true_hw + 20
        if self.world.run_while(lambda: not self._agreed(goal), limit_us):
            return None
        rafts = {name: raft_of(self.world.hosts[name]) for name in self.names}
        state = {name: raft and (raft.epoch, raft.leader, raft.hw) for name, raft in rafts.items()}
        return f"L1: no agreement on {goal} records within {limit_us / 1e6:.0f} s of healing: {state}"

    def _agreed(self, goal: int) -> bool:
        rafts = [raft_of(self.world.hosts[name]) for name in self.names]
        return all(raft is not None and raft.hw >= goal for raft in rafts) and (
            len({(raft.epoch, raft.leader) for raft in rafts if raft is not None}) == 1
        )

    def _append(self) -> None:
        self._number += 1
        for name in self.names:
            raft = raft_of(self.world.hosts[name])
            if raft is not None and raft.leading and self.world.now >= self.world.hosts[name].paused_until:
                self.world.tell(name, "controller", Append(self._number))
        self.world.at(self._every, self._append)
