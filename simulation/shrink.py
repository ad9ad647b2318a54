"""Make a failing schedule small: what is left is what it takes.

Parts are taken out, and what still breaks the same promise is kept: whole workloads first, because every later run is
cheaper without them, then faults, requests, machines, clients and partitions, then the meanness of network, disks and
clocks, and at last the length of what lasts. Lists are halved, quartered and so on, as in Zeller's ddmin: it ends when
no single element can go. All of that is repeated until nothing changes any more, or the runs are used up.

A promise that was broken in the safety phase needs no healing: the schedule ends at that moment, and so does each run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec
from msgspec.structs import replace

from .fault import Fault
from .network import NetworkRates
from .report import Report
from .run import Options, replay
from .schedule import Schedule, Step
from .swarm import Shape, Swarm, Times

RUNS = 600
SHORTEST_US = 20_000


class Shrunk(msgspec.Struct, frozen=True):
    """The smallest schedule that was found, and its run."""

    schedule: Schedule
    report: Report
    runs: int


def shrink(
    schedule: Schedule,
    tell: Callable[[str], None] = lambda line: None,
    runs: int = RUNS,
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Shrunk | None:
    """Shrink it; None if it breaks nothing. `around` surrounds every run (with bugs that are switched on)."""
    return _Shrinker(tell, runs, around).shrink(schedule)


class _Shrinker:
    def __init__(
        self, tell: Callable[[str], None], runs: int, around: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self._tell = tell
        self._left = runs
        self._used = 0
        self._around = around
        self._broken = ""
        self._settle = True
        self._best: Report | None = None

    def shrink(self, schedule: Schedule) -> Shrunk | None:
        report = self._run(schedule)
        if report.ok:
            return None
        self._broken, self._best = report.broken, report
        schedule = self._ended(schedule, report)
        before = -1
        while before != self._size(schedule) and self._left > 0:
            before = self._size(schedule)
            for passed in (self._workloads, self._faults, self._commands, self._smaller, self._kinder, self._shorter):
                schedule = passed(schedule)
            self._tell(f"{describe(schedule)}, {self._used} runs")
        return Shrunk(replace(schedule, found=self._broken), self._best, self._used)

    # --- Runs ---

    def _run(self, schedule: Schedule) -> Report:
        self._left -= 1
        self._used += 1
        with self._around():
            return replay(schedule, Options(settle=self._settle, converge_s=30))

    def _fails(self, schedule: Schedule) -> bool:
        """Whether it still breaks the same promise."""
        if self._left <= 0:
            return False
        report = self._run(schedule)
        if report.broken != self._broken:
            return False
        self._best = report
        return True

    def _ended(self, schedule: Schedule, report: Report) -> Schedule:
        """Nothing after the violation matters."""
        at = report.broken_at_us
        if at is None or at > schedule.seconds * 1e6:
            return schedule
        steps = tuple(step for step in schedule.steps if step.at_us <= at)
        ended = replace(schedule, seconds=(at + 1) / 1e6, steps=steps)
        self._settle = False
        if self._fails(ended):
            return ended
        self._settle = True
        return schedule

    @staticmethod
    def _size(schedule: Schedule) -> int:
        return len(msgspec.json.encode(schedule.swarm)) + len(schedule.dump())

    # --- Passes ---

    def _workloads(self, schedule: Schedule) -> Schedule:
        """Fewer applications, with all that they ask for."""
        for name in sorted(schedule.swarm.workloads):
            others = {other: settings for other, settings in schedule.swarm.workloads.items() if other != name}
            without = replace(schedule, swarm=replace(schedule.swarm, workloads=others))
            if self._fails(without):
                schedule = without
        return schedule

    def _faults(self, schedule: Schedule) -> Schedule:
        return self._fewer(schedule, lambda step: isinstance(step.action, Fault))

    def _commands(self, schedule: Schedule) -> Schedule:
        return self._fewer(schedule, lambda step: not isinstance(step.action, Fault))

    def _fewer(self, schedule: Schedule, chosen: Callable[[Step], bool]) -> Schedule:
        """Zeller's ddmin over some of the steps."""
        parts = 2
        while True:
            some = [step for step in schedule.steps if chosen(step)]
            if not some or parts > 2 * len(some):
                return schedule
            size = max(1, len(some) // parts)
            for begin in range(0, len(some), size):
                gone = set(map(id, some[begin : begin + size]))
                smaller = replace(schedule, steps=tuple(step for step in schedule.steps if id(step) not in gone))
                if self._fails(smaller):
                    schedule, parts = smaller, max(parts - 1, 2)
                    break
            else:
                if size == 1:
                    return schedule
                parts *= 2

    def _smaller(self, schedule: Schedule) -> Schedule:
        """Fewer machines, clients, topics and partitions, each as few as possible."""
        for field, least in (
            ("producers", 1), ("unsafe_producers", 0), ("consumers", 1), ("topics", 1), ("partitions", 1),
            ("brokers", 1), ("controllers", 1),
        ):  # fmt: skip
            shape = schedule.swarm.shape
            for number in range(least, getattr(shape, field)):
                if field in ("brokers", "controllers") and (shape.combined or number < shape.replication):
                    continue
                smaller = self._shaped(schedule, replace(shape, **{field: number}))
                if self._fails(smaller):
                    schedule = smaller
                    break
        return schedule

    @staticmethod
    def _shaped(schedule: Schedule, shape: Shape) -> Schedule:
        return replace(schedule, swarm=replace(schedule.swarm, shape=shape))

    def _kinder(self, schedule: Schedule) -> Schedule:
        """A network, disks and clocks that do nothing by themselves: all at once, or one thing after another."""
        swarm = schedule.swarm
        plain = NetworkRates(stream=swarm.network.stream)
        for swarms in (
            [replace(swarm, network=NetworkRates(), times=Times())],
            [replace(swarm, network=plain)],
            self._one_by_one(schedule, "network", plain),
            [replace(swarm, times=Times())],
            self._one_by_one(schedule, "times", Times()),
        ):
            for kinder in swarms:
                if kinder != schedule.swarm and self._fails(replace(schedule, swarm=kinder)):
                    schedule = replace(schedule, swarm=kinder)
        return schedule

    @staticmethod
    def _one_by_one(schedule: Schedule, part: str, plain: msgspec.Struct) -> Iterator[Swarm]:
        for field in msgspec.structs.fields(plain):
            rates = getattr(schedule.swarm, part)
            if getattr(rates, field.name) != getattr(plain, field.name):
                changed = replace(rates, **{field.name: getattr(plain, field.name)})
                yield replace(schedule.swarm, **{part: changed})

    def _shorter(self, schedule: Schedule) -> Schedule:
        """What lasts, lasts half as long; and lists of links lose what they can."""
        for place, step in enumerate(schedule.steps):
            for fault in _lesser(step.action):
                steps = list(schedule.steps)
                steps[place] = Step(step.at_us, fault)
                shorter = replace(schedule, steps=tuple(steps))
                if self._fails(shorter):
                    schedule = shorter
                    break
        return schedule


def _lesser(action: object) -> Iterator[Fault]:
    if not isinstance(action, Fault):
        return
    for field in msgspec.structs.fields(action):
        value = getattr(action, field.name)
        if field.name.endswith("_us") and value > SHORTEST_US:
            yield replace(action, **{field.name: value // 2})
        if field.name == "hold" and value:
            yield replace(action, hold=False)
        if field.name == "reset" and value:
            yield replace(action, reset=())
        if field.name == "links" and len(value) > 1:
            for half in (value[: len(value) // 2], value[len(value) // 2 :]):
                yield replace(action, links=half)


def describe(schedule: Schedule) -> str:
    """How large it is."""
    faults = sum(isinstance(step.action, Fault) for step in schedule.steps)
    requests, brokers = len(schedule.steps) - faults, schedule.swarm.shape.brokers
    return f"{faults} faults, {requests} requests in {schedule.seconds:.2f} s on {brokers} brokers"


def faults_of(schedule: Schedule) -> Sequence[str]:
    """Its faults, one line each."""
    return [
        f"{step.at_us / 1e6:11.6f}  {step.action.kind:<16} {step.action.sentence()}"
        for step in schedule.steps
        if isinstance(step.action, Fault)
    ]
