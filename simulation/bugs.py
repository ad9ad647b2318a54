"""Switching historic bugs on, to see that the simulator finds them.

The switches themselves are in `actors/bugs.py`: an actor asks `bug("name")` where it guards against a bug that others
shipped. Nothing but this file and tests ever switches one on. A checker that has never failed proves nothing.

`bug_table` says for each switch what it was in history. All of them are hunted in the same way and under one swarm
configuration: seeds are run until a promise is broken that the same seed keeps without the bug. For most there is a
directed scenario too, which is cheap and comes to the point.

When many are hunted, `sweep` makes the run without any bug first, and notes which switches actors asked for. A run in
which nobody asks for a switch is the same with the bug and without, byte for byte: those need not be made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from ..actors import bugs
from .bug_table import BUGS, Bug
from .report import Report
from .run import Options, simulate
from .scenarios import play
from .workload import Settings

SEEDS = 2000
SECONDS = 12.0
FIGURES: dict[str, Settings] = {
    "groups": {"members": 4, "classic": 2, "weight": 40_000, "silent": 0.5, "keep_us": 150_000},
    "changes": {"every_us": 300_000, "drains": False},
    "table": {
        "segment_bytes": 1500,
        "delete_retention_ms": 0,
        "min_compaction_lag_ms": 0,
        "dirty_ratio": 0.0,
        "keys": 5,
        "deletes": 0.4,
        "turnover": 12,
        "every_ms": 40,
        "retention_bytes": -1,
    },
    "expiring": {"segment_bytes": 500, "retention_bytes": 0, "value_bytes": 100, "every_ms": 30},
}
"""Of workloads, where a draw would make what matters rare: members commit often, and cleaners wait for nothing."""

HUNTING = Options(intense=True, converge_s=20.0, figures=FIGURES)
"""One swarm configuration for all of them: many short runs of small clusters find more than a few long ones."""

PERFORMANCES = 5
"""How often a scenario is played, each time with other sizes and timings: some bugs show only where batches fall so."""


class Hunt(msgspec.Struct, frozen=True):
    """What became of the search for a bug."""

    bug: Bug
    runs: int  # seeds or performances
    found: bool
    report: Report | None  # of the last run; None: not found in a search for many


class Sweep(msgspec.Struct, frozen=True):
    """What one seed shows of many bugs."""

    seed: int
    found: dict[str, Report]  # by bug: what the seed breaks with it, and keeps without
    simulated_s: float  # of all runs together


class _Asked(set[str]):
    """Bugs that are on, and those that actors asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)


def named(name: str) -> Bug | None:
    """The bug of that name."""
    return next((bug for bug in BUGS if bug.name == name), None)


@contextmanager
def injected(*names: str) -> Iterator[None]:
    """These bugs are in the actors, until the end of the block."""
    before = sorted(bugs.ENABLED)
    bugs.ENABLED.update(names)
    try:
        yield
    finally:
        bugs.ENABLED.clear()
        bugs.ENABLED.update(before)


def sweep(seed: int, names: Sequence[str]) -> Sweep:
    """Run a seed without any bug, then with each of these by itself. Nothing is found if it fails without."""
    before, bugs.ENABLED = bugs.ENABLED, (asked := _Asked())
    try:
        clean = simulate(seed, SECONDS, HUNTING)
    finally:
        bugs.ENABLED = before
    simulated_s, found = clean.simulated_s, {}
    for name in names if clean.ok else ():
        if name in asked.names:
            with injected(name):
                report = simulate(seed, SECONDS, HUNTING)
            simulated_s += report.simulated_s
            if not report.ok:
                found[name] = _blamed(report, name)
    return Sweep(seed, found, simulated_s)


def _blamed(report: Report, name: str) -> Report:
    """The same, with the bug named in its schedule."""
    if report.schedule is not None:
        report.schedule = replace(report.schedule, bugs=(name,))
    return report


def hunt(bug: Bug, seeds: int = SEEDS, first: int = 1) -> Hunt:
    """Put it back, and run seeds until a promise is broken. A seed that breaks one without the bug does not count."""
    for number in range(1, seeds + 1):
        seed = first + number - 1
        with injected(bug.name):
            report = simulate(seed, SECONDS, HUNTING)
        found = not report.ok and simulate(seed, SECONDS, HUNTING).ok
        if found or number == seeds:
            return Hunt(bug, number, found, _blamed(report, bug.name))
    raise AssertionError("at least one seed is run")


def rehearse(bug: Bug) -> Hunt:
    """Play the scenario that is made for it, until an invariant that speaks of it is broken."""
    assert bug.scenario is not None, f"{bug.name} has no scenario"
    with injected(bug.name):
        for number in range(1, PERFORMANCES + 1):
            report = play(bug.scenario, number, bug.stages)
            if report.broken in bug.invariants or number == PERFORMANCES:
                return Hunt(bug, number, report.broken in bug.invariants, report)
    raise AssertionError("at least one performance is given")


def known() -> str:
    """All names, for messages."""
    return ", ".join(sorted(bug.name for bug in BUGS))
