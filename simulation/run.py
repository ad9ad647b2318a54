"""One run: draw the world of a seed, break it for a while, heal it, and judge what is left.

    safety      the workload runs, the nemesis breaks things, the oracle checks after every event
    healing     everything works again, and so must the clients; whatever was sent must get its outcome
    liveness    one active controller, all brokers in, every partition led, all replicas in sync
    judgement   a last consumer reads everything; histories, logs and promises are compared

`simulate` never raises for what the cluster does: it reports. A run that finishes no work is a failure too: it has
tested nothing.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

import msgspec

from .history import Op, analyse
from .invariants.clients import ClientsChecker
from .invariants.contact import ContactChecker
from .invariants.copies import CopiesChecker
from .invariants.leaders import LeadersChecker
from .invariants.metadata import MetadataChecker
from .invariants.quorum import QuorumChecker
from .limits import SLOWEST, BoundedWorld, TooSlow, Watchdog
from .machines import Machines
from .nemesis import Nemesis
from .network import HostileNetwork
from .oracle import Oracle, Violation
from .swarm import Shape, Swarm, draw
from .workload import Workload

LEAST_WORK = 50
"""Acknowledged writes without which a run has proven nothing."""

FAULT_EVERY_S = 3.0
"""Simulated seconds in which there is at least one fault, on average: a calm run proves little."""


STALE_US = 4_000_000
"""How old the answer of a replaced leader may be: a lease, and while a replaced controller may go on renewing it."""


class Options(msgspec.Struct, frozen=True):
    """What a person may ask for beside the seed."""

    shape: Shape | None = None  # None: three nodes; topics, clients and the rest are drawn
    clusters: bool = False  # the number of brokers and controllers is drawn too
    faults: bool = True
    weights: dict[str, float] | None = None  # replaces the drawn faults
    converge_s: float = 60.0
    slowest: float = SLOWEST  # wall seconds for a simulated second before the run is given up
    on_start: Callable[[Simulation], None] = lambda simulation: None  # told before anything happens


class Report(msgspec.Struct, kw_only=True):
    """What a run came to. `violations` is empty if every promise was kept."""

    seed: int
    swarm: Swarm
    log: list[str]  # what the nemesis did, and what came of it
    faults: dict[str, int] = {}  # by kind
    network: dict[str, int] = {}  # messages by what became of them
    acknowledged: int = 0
    failures: dict[str, int] = {}
    counts: dict[str, int] = {}
    events: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    trace: str = ""
    premises: dict[str, int] = {}
    violations: list[str] = []
    history: list[Op] = []

    @property
    def ok(self) -> bool:
        return not self.violations

    def sentence(self) -> str:
        """One line for people."""
        speed = self.simulated_s / self.cpu_s if self.cpu_s else 0.0
        verdict = "ok" if self.ok else f"FAIL {self.violations[0]}"
        return (
            f"seed {self.seed}: {self.acknowledged} writes acknowledged, {sum(self.faults.values())} faults,"
            f" {self.events} events in {self.simulated_s:.0f} s ({speed:.1f}x real time): {verdict}"
        )


class Simulation:
    """The parts of a run, for tests that direct it themselves."""

    def __init__(self, seed: int, options: Options | None = None) -> None:
        self.options = options or Options()
        self.world = BoundedWorld(seed)
        swarm = draw(seed, self.world, self.options.shape, clusters=self.options.clusters)
        if self.options.weights is not None:
            swarm = msgspec.structs.replace(swarm, weights=self.options.weights)
        self.swarm = swarm
        self.network = HostileNetwork(swarm.network, self.world)
        self.world.network = self.network
        self.quorum = QuorumChecker()
        self.metadata = MetadataChecker(self.quorum)
        self.copies = CopiesChecker(self.metadata)
        self.leaders = LeadersChecker(self.metadata, self.copies)
        self.judge = ClientsChecker(self.metadata, self.copies, fsync=swarm.shape.durability == "fsync")
        checkers = [self.quorum, ContactChecker(), self.metadata, self.copies, self.leaders, self.judge]
        self.oracle = Oracle(checkers)
        self.world.observers.append(self.oracle)
        self.machines = Machines(self.world, swarm.shape)
        self.workload = Workload(self.world, swarm.shape, self.machines.brokers)
        self.nemesis = Nemesis(
            self.world,
            self.network,
            swarm,
            self.machines.names,
            self.workload.clients,
            damaged=self.oracle.lossy.add,
            powerless=self._powerless,
            may_lose_power=self._may_lose_power,
        )
        self._unproven: tuple[str, int] | None = None  # broker that lost power, and its epoch then

    def start(self) -> None:
        """Machines and clients."""
        self.machines.start()
        self.workload.begin()

    def run(self, seconds: float) -> list[str]:
        """All four phases. Returns what went wrong."""
        self.start()
        if self.options.faults:
            self.nemesis.begin()
        self.world.run_until(int(seconds * 1e6))
        wrong = []
        faults = self.nemesis.faults.total()
        if self.options.faults and faults * FAULT_EVERY_S < seconds - FAULT_EVERY_S:
            wrong.append(f"too few faults: {faults} in {seconds:g} s")
        return wrong + self.settle()

    def settle(self) -> list[str]:
        """Heal everything, wait until all is well again, read and judge. Returns what went wrong."""
        self.nemesis.heal()
        wrong = []
        goal = self.judge.acknowledged + LEAST_WORK
        if not self._until(lambda: self.judge.acknowledged >= goal):
            wrong.append(self._late("L5: writes are not acknowledged"))
        self.workload.finish()
        if not self._until(self.workload.settled, seldom=True):
            wrong.append(self._late("L5: some sends have no outcome"))
            self.workload.give_up()
        if not self._until(self._converged, seldom=True):
            wrong.append(self._late(f"L2, L6: not converged: {self._state()}"))
        self.workload.read_all()
        if not self._until(self.workload.all_read, seldom=True):
            wrong.append(self._late("L8: not everything can be read"))
        if not wrong:
            self.oracle.at_rest(self.world)
        return wrong + self.workload.complaints

    def _until(self, condition: Callable[[], bool], *, seldom: bool = False) -> bool:
        """Run until it is true, within the time to converge. `seldom`: it is expensive, look now and then."""
        limit = int(self.options.converge_s * 1e6)
        return self.world.run_while(lambda: bool(seldom and self.world.steps % 50) or not condition(), limit)

    def _late(self, what: str) -> str:
        return f"{what}, {self.options.converge_s:g} s after all was healed ({self.moment()})"

    def moment(self) -> str:
        """When it is now, for messages."""
        return f"{self.world.now / 1e6:.6f} s, event {self.world.steps}"

    def _powerless(self, name: str) -> None:
        self.machines.reboot(name)
        if name in self.machines.brokers:
            known = self.metadata.brokers.get(int(name[1:]))
            self._unproven = (name, known.epoch if known is not None else -1)

    def _may_lose_power(self, name: str) -> bool:
        """With durability "os" only one broker at a time may, until it has registered and all is in sync."""
        shape = self.swarm.shape
        if shape.durability == "fsync" or name not in self.machines.brokers:
            return True
        if shape.min_insync < 2 or len(self.metadata.partitions) < shape.topics * shape.partitions:
            return False  # a topic that is made while somebody is away may have nobody else
        if self._unproven is not None:
            unproven, epoch = self._unproven
            broker = self.metadata.brokers.get(int(unproven[1:]))
            if broker is None or broker.epoch == epoch:
                return name == unproven
        return all(set(state.isr) == set(state.replicas) for state in self.metadata.partitions.values())

    def _converged(self) -> bool:
        metadata = self.metadata
        if len(metadata.brokers) < len(self.machines.brokers) or any(b.fenced for b in metadata.brokers.values()):
            return False
        for partition, state in metadata.partitions.items():
            if state.leader < 0 or set(state.isr) != set(state.replicas):
                return False
            copies = [self.copies.member(number, partition) for number in state.replicas]
            if any(copy is None or copy.log is None for copy in copies):
                return False
            if len({(copy.mirror.end, copy.hw) for copy in copies if copy is not None}) != 1:
                return False
        return True

    def _state(self) -> str:
        parts = [f"{number}: {broker}" for number, broker in sorted(self.metadata.brokers.items())]
        for partition, state in sorted(self.metadata.partitions.items()):
            copies = [self.copies.member(number, partition) for number in state.replicas]
            ends = [(copy.host, copy.mirror.end, copy.hw) for copy in copies if copy is not None]
            parts.append(f"{state} {ends}")
        return "; ".join(parts)


def simulate(seed: int, seconds: float = 30.0, options: Options | None = None) -> Report:
    """Run one seed to its end and say what came of it."""
    simulation = Simulation(seed, options)
    simulation.options.on_start(simulation)
    return measured(simulation, lambda: simulation.run(seconds))


def measured(simulation: Simulation, body: Callable[[], list[str]]) -> Report:
    """Run the body of a simulation, however it ends, and report."""
    wall, cpu = time.perf_counter(), time.process_time()
    wrong = _guarded(simulation, body)
    return _report(simulation, wrong, time.perf_counter() - wall, time.process_time() - cpu)


def _guarded(simulation: Simulation, body: Callable[[], list[str]]) -> list[str]:
    """Whatever the body says is wrong, and whatever ends it early."""
    try:
        with Watchdog(simulation.world, simulation.options.slowest):
            return body()
    except Violation as violation:
        return [str(violation)]
    except TooSlow:
        limit = simulation.options.slowest
        return [f"watchdog at {simulation.moment()}: more than {limit:g} s for one simulated second"]
    except Exception as failed:  # noqa: BLE001  # a bug in an actor is what we are looking for
        at = traceback.extract_tb(failed.__traceback__)[-1]
        where = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        return [f"{type(failed).__name__} at {simulation.moment()}, {where}: {failed}"]


def _report(simulation: Simulation, wrong: list[str], wall_s: float, cpu_s: float) -> Report:
    """What a run came to, its history judged."""
    simulation.workload.give_up()
    verdict = analyse(simulation.workload.history, STALE_US)
    violations = wrong + [f"{anomaly.kind}: {anomaly.sentence}" for anomaly in verdict.anomalies]
    acknowledged = verdict.counts.get("acknowledged", 0)
    if acknowledged < LEAST_WORK and not violations:
        violations.append(f"no work: only {acknowledged} writes were acknowledged")
    network = simulation.network
    return Report(
        seed=simulation.swarm.seed,
        swarm=simulation.swarm,
        log=[str(fault) for fault in simulation.nemesis.log],
        faults=dict(sorted(simulation.nemesis.faults.items())),
        network={
            "sent": network.sent,
            "lost": network.lost,
            "duplicated": network.duplicated,
            "reordered": network.reordered,
        },
        acknowledged=acknowledged,
        failures=dict(sorted(simulation.workload.failures.items())),
        counts=verdict.counts,
        events=simulation.world.steps,
        simulated_s=simulation.world.now / 1e6,
        wall_s=wall_s,
        cpu_s=cpu_s,
        trace=simulation.world.trace_hash(),
        premises=dict(sorted(simulation.oracle.premises.items())),
        violations=violations,
        history=simulation.workload.history,
    )
