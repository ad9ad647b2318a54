"""One run: draw the world of a seed, break it for a while, heal it, and judge what is left.

    safety      the workloads run, the nemesis breaks things, the oracle checks after every event
    healing     everything works again, and so must the clients; whatever was asked must get its outcome
    liveness    one active controller, all brokers in, every partition led, all replicas in sync
    judgement   last looks at everything; histories, logs and promises are compared

What is drawn before the healing, faults and commands, is kept as a `Schedule`; `replay` plays one instead of drawing.
What a run is made of beside the cluster stands in `parts`: workloads, invariants, faults.

`simulate` never raises for what the cluster does: it reports. A run that finishes no work is a failure too: it has
tested nothing.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from . import beyond
from .analysis import analyse
from .beyond import BeyondChecker
from .budget import LEAST_WORK, ClusterBudget
from .convergence import L1_S, L2_S, L3_S, Convergence, leavers, somebody_leaves
from .fault import Fault
from .history import Op
from .invariants.clients import ClientsChecker
from .invariants.contact import ContactChecker
from .invariants.copies import CopiesChecker
from .invariants.leaders import LeadersChecker
from .invariants.metadata import MetadataChecker
from .invariants.quorum import QuorumChecker
from .invariants.reopened import ReopenedChecker
from .limits import SLOWEST, BoundedWorld, TooSlow, Watchdog
from .machines import Machines
from .nemesis import Nemesis
from .network import HostileNetwork
from .oracle import Oracle, Violation
from .parts import WORKLOADS, families
from .report import Report
from .schedule import Schedule, Step
from .swarm import Shape, Swarm, draw
from .workload import Command, Settings
from .workloads.log import LogWorkload

FAULT_EVERY_S = 3.0
"""Simulated seconds in which there is at least one fault, on average: a calm run proves little. An intense run may be
about a single one that lasts."""


STALE_US = 4_000_000
"""How old the answer of a replaced leader may be: a lease, and while a replaced controller may go on renewing it."""


INTENSE = (
    ("groups",),
    ("groups",),
    ("groups",),
    ("groups",),
    ("changes",),
    ("changes",),
    ("table", "expiring"),
    ("table", "expiring"),
    ("table", "expiring"),
    (),
)
"""Of an intense run: some of these beside the first workload, or none, so that there is time for many runs."""


class Options(msgspec.Struct, frozen=True):
    """What a person may ask for beside the seed."""

    shape: Shape | None = None  # None: three nodes; topics, clients and the rest are drawn
    clusters: bool = False  # the number of brokers and controllers is drawn too
    intense: bool = False  # a small cluster under constant load, and plots above all other faults
    beyond: bool = False  # a share of the seeds goes beyond what must be survived
    faults: bool = True
    weights: dict[str, float] | None = None  # replaces the drawn faults
    workloads: Collection[str] | None = None  # replaces those that are drawn beside the first
    figures: dict[str, Settings] = {}  # by workload: settings that replace drawn ones
    converge_s: float = 60.0
    slowest: float = SLOWEST  # processor seconds for a simulated second before the run is given up
    on_start: Callable[[Simulation], None] = lambda simulation: None  # told before anything happens
    schedule: Schedule | None = None  # is played, instead of anything that a seed draws
    settle: bool = True  # else the run ends without healing, and only what was broken before is told


class Simulation:
    """The parts of a run, for tests that direct it themselves."""

    def __init__(self, seed: int, options: Options | None = None) -> None:
        self.options = options or Options()
        self.schedule = self.options.schedule
        self.world = BoundedWorld(seed)
        swarm = self.swarm = self.schedule.swarm if self.schedule is not None else self._draw(seed)
        assert swarm.seed == seed, f"a schedule of seed {swarm.seed} is played with it, not with {seed}"
        self.steps: list[Step] = []
        self.history: list[Op] = []
        self.network = self.world.network = HostileNetwork(swarm.network, self.world)
        self.quorum = QuorumChecker()
        self.metadata = MetadataChecker(self.quorum)
        self.copies = CopiesChecker(self.metadata)
        self.leaders = LeadersChecker(self.metadata, self.copies)
        self.judge = ClientsChecker(self.metadata, self.copies, fsync=swarm.shape.durability == "fsync")
        checkers = [
            self.quorum,
            ContactChecker(),
            self.metadata,
            self.copies,
            self.leaders,
            self.judge,
            ReopenedChecker(),
        ]
        self.beyond = BeyondChecker()
        self.oracle = Oracle([self.beyond] if swarm.beyond else [*checkers, *families(self)])
        if swarm.beyond:
            self.world.lets_die = (Exception,)
        self.world.observers.append(self.oracle)
        self.machines = Machines(self.world, swarm.shape)
        self.workload = LogWorkload(self, {})
        others = [WORKLOADS[name](self, settings) for name, settings in swarm.workloads.items()]
        self.workloads = {workload.name: workload for workload in [self.workload, *others]}
        clients = [name for workload in self.workloads.values() for name in workload.clients]
        self.budget = ClusterBudget(self)
        self.nemesis = Nemesis(self.world, self.network, swarm, self.machines.names, clients, self.budget, self._record)
        self.nemesis.mortal = [name for workload in self.workloads.values() for name in workload.mortal]

    def _draw(self, seed: int) -> Swarm:
        """What the seed means, but for what the options say."""
        options = self.options
        swarm = draw(
            seed,
            self.world,
            options.shape,
            clusters=options.clusters,
            beyond=options.beyond,
            intense=options.intense,
        )
        if options.weights is not None:
            swarm = msgspec.structs.replace(swarm, weights=options.weights)
        wanted: Collection[str] | None = options.workloads
        if wanted is None and options.intense:
            wanted = self.world.random("swarm/workload").choice(INTENSE)
        drawn = {}
        if swarm.beyond:
            return swarm
        for name, workload in list(WORKLOADS.items())[1:]:
            if wanted is not None and name not in wanted:
                continue
            random = self.world.random(f"swarm/workload/{name}")
            settings = workload.draw(random, swarm.shape)
            while settings is None and wanted is not None:
                settings = workload.draw(random, swarm.shape)
            if settings is not None:
                drawn[name] = {**settings, **options.figures.get(name, {})}
        return msgspec.structs.replace(swarm, workloads=drawn)

    # --- Steps ---

    def perform(self, command: Command) -> None:
        """An application asks for something now."""
        workload = self.workloads.get(command.of)
        if workload is not None:  # a schedule may have been shortened
            self._record(command)
            command.perform(workload)

    def _record(self, action: Fault | Command) -> None:
        if not self.nemesis.healed:
            self.steps.append(Step(self.world.now, action))

    def _play(self, schedule: Schedule) -> None:
        for step in schedule.steps:
            action = step.action
            if isinstance(action, Fault):
                self.world.at(step.at_us, partial(self.nemesis.strike, action), first=True)
            else:
                self.world.at(step.at_us, partial(self.perform, action), first=True)

    # --- Phases ---

    def start(self) -> None:
        """Machines and clients."""
        if self.schedule is not None:
            self._play(self.schedule)
        self.machines.start()
        for workload in self.workloads.values():
            workload.begin()

    def run(self, seconds: float) -> list[str]:
        """All four phases. Returns what went wrong."""
        self.start()
        if self.options.faults:
            self.nemesis.begin(draw=self.schedule is None)
        self.world.run_until(int(seconds * 1e6))
        wrong: list[str] = []
        faults = self.nemesis.faults.total()
        drawn = self.options.faults and self.schedule is None
        if not self.options.settle:
            return wrong
        least = 1 if self.options.intense else seconds / FAULT_EVERY_S - 1
        if drawn and faults < least:
            wrong.append(f"too few faults: {faults} in {seconds:g} s")
        return wrong + self.settle()

    def settle(self) -> list[str]:
        """Heal, wait until all is well again, look and judge. Returns what went wrong."""
        if self.swarm.beyond:
            return beyond.settle(self, self.beyond)
        workloads = list(self.workloads.values())
        self.nemesis.heal()
        for workload in workloads:
            workload.heal()
        well = Convergence(self)
        wrong = self._works(well)
        random = self.world.random("core")
        if self.options.faults and not wrong and somebody_leaves(self, random):
            if not self._until(well.in_sync, seldom=True):
                wrong.append(self._late(f"L6: not converged: {well.state()}"))
            well = Convergence(self, leavers(self, random))
            self.nemesis.leave(sorted(well.dead))
            wrong += self._works(well)
        for workload in workloads:
            workload.finish()
        if not self._until(lambda: all(workload.settled() for workload in workloads), seldom=True):
            wrong.append(self._late("L5: some requests have no outcome"))
            self._give_up()
        if not self._until(well.in_sync, seldom=True):
            waiting = [words for workload in workloads if (words := workload.converged())]
            only = bool(waiting) and well.replicated()
            wrong.append(self._late(waiting[0] if only else f"L6: not converged: {well.state()}"))
        for workload in workloads:
            workload.conclude()
        if not self._until(lambda: all(workload.concluded() for workload in workloads), seldom=True):
            wrong.append(self._late("L8: not everything can be read"))
        if not wrong:
            self.world.at_rest = True
            self.oracle.at_rest(self.world)
        return wrong + [complaint for workload in workloads for complaint in workload.complaints]

    def _works(self, well: Convergence) -> list[str]:
        """Whether whoever is left is governed, in and informed, and goes on working."""
        wrong = []
        goal = self.workload.acknowledged + LEAST_WORK  # other workloads' writes prove nothing of its topics
        for name, condition, limit_s in (
            ("L1: no controller is active", well.governed, L1_S),
            ("L2: not all brokers are in", well.manned, L2_S),
            ("L3: not everybody knows what was decided", well.informed, L3_S),
        ):
            if not self._until(condition, limit_s, seldom=True):
                wrong.append(self._late(f"{name}: {well.quorum()}; {well.state()}", limit_s))
        if not self._until(lambda: self.workload.acknowledged >= goal):
            wrong.append(self._late(f"L5, L10: writes are not acknowledged: {well.state()}"))
        return wrong

    def _give_up(self) -> None:
        for workload in self.workloads.values():
            workload.give_up()

    def _until(self, condition: Callable[[], bool], limit_s: float = 0.0, *, seldom: bool = False) -> bool:
        """Run until it is true, within the time to converge. `seldom`: it is expensive, look now and then."""
        limit = int((limit_s or self.options.converge_s) * 1e6)
        return self.world.run_while(lambda: bool(seldom and self.world.steps % 50) or not condition(), limit)

    def _late(self, what: str, limit_s: float = 0.0) -> str:
        return f"{what}, {limit_s or self.options.converge_s:g} s after all was healed ({self.moment()})"

    def moment(self) -> str:
        """When it is now, for messages."""
        return f"{self.world.now / 1e6:.6f} s, event {self.world.steps}"


def simulate(seed: int, seconds: float = 30.0, options: Options | None = None) -> Report:
    """Run one seed to its end and say what came of it."""
    simulation = Simulation(seed, options)
    simulation.options.on_start(simulation)
    return measured(simulation, lambda: simulation.run(seconds), seconds)


def replay(schedule: Schedule, options: Options | None = None) -> Report:
    """Play a schedule to its end and say what came of it. Of the options only times and `on_start` matter."""
    options = msgspec.structs.replace(options or Options(), schedule=schedule)
    return simulate(schedule.swarm.seed, schedule.seconds, options)


def measured(simulation: Simulation, body: Callable[[], list[str]], seconds: float = 0.0) -> Report:
    """Run the body of a simulation, however it ends, and report."""
    wall, cpu = time.perf_counter(), time.process_time()
    with _uncollected():
        wrong, at_us = _guarded(simulation, body)
        report = _report(simulation, wrong, time.perf_counter() - wall, time.process_time() - cpu, seconds)
    report.broken_at_us = at_us
    return report


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for cycles meanwhile: a run keeps what it makes, and is soon over."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _guarded(simulation: Simulation, body: Callable[[], list[str]]) -> tuple[list[str], int | None]:
    """Whatever the body says is wrong, and whatever ends it early; and then when."""
    try:
        with Watchdog(simulation.world, simulation.options.slowest):
            return body(), None
    except Violation as violation:
        return [str(violation)], simulation.world.now
    except TooSlow:
        limit = simulation.options.slowest
        return [f"watchdog at {simulation.moment()}: more than {limit:g} s for one simulated second"], None
    except Exception as failed:  # noqa: BLE001  # a bug in an actor is what we are looking for
        at = traceback.extract_tb(failed.__traceback__)[-1]
        where = f"{at.filename.rpartition('/')[2]}:{at.lineno}"
        return [f"{type(failed).__name__} at {simulation.moment()}, {where}: {failed}"], simulation.world.now


def _report(simulation: Simulation, wrong: list[str], wall_s: float, cpu_s: float, seconds: float) -> Report:
    """What a run came to, its history judged."""
    simulation._give_up()
    verdict = analyse(simulation.history, STALE_US)
    tolerated = beyond.TOLERATED if simulation.swarm.beyond else ()
    anomalies = [anomaly for anomaly in verdict.anomalies if anomaly.kind not in tolerated]
    violations = wrong + [f"{anomaly.kind}: {anomaly.sentence}" for anomaly in anomalies]
    acknowledged = verdict.counts.get("acknowledged", 0)
    owes_work = simulation.options.settle and not simulation.swarm.beyond
    if acknowledged < LEAST_WORK and not violations and owes_work:
        violations.append(f"no work: only {acknowledged} writes were acknowledged")
    failures: Counter[str] = Counter()
    for workload in simulation.workloads.values():
        failures.update(workload.failures)
    report = Report(
        seed=simulation.swarm.seed,
        swarm=simulation.swarm,
        log=[str(fault) for fault in simulation.nemesis.log],
        faults=dict(sorted(simulation.nemesis.faults.items())),
        network=simulation.network.counts(),
        acknowledged=acknowledged,
        failures=dict(sorted(failures.items())),
        counts=verdict.counts,
        happened=dict(sorted(simulation.oracle.events.items())),
        events=simulation.world.steps,
        simulated_s=simulation.world.now / 1e6,
        wall_s=wall_s,
        cpu_s=cpu_s,
        trace=simulation.world.trace_hash(),
        premises=dict(sorted(simulation.oracle.premises.items())),
        violations=violations,
        history=simulation.history,
    )
    steps = tuple(simulation.steps)
    report.schedule = Schedule(simulation.swarm, seconds, steps, report.broken)
    return report
