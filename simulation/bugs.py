"""Switching historic bugs on, to see that the simulator finds them.

The switches themselves are in `actors/bugs.py`: an actor asks `bug("name")` where it guards against a bug that others
shipped. Nothing but this file and tests ever switches one on. A checker that has never failed proves nothing.

`bug_table` says for each switch what it was in history. All of them are hunted in the same way: seeds are run, the same
ones that are run without any bug, until a promise is broken that the same seed keeps without the bug. For some there is
a directed scenario too, which is cheap and comes to the point.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from ..actors import bugs
from .bug_table import BUGS, Bug
from .report import Report
from .run import Options, simulate
from .scenarios import play

SEEDS = 2000
SECONDS = 12.0
HUNTING = Options(clusters=True, converge_s=20.0)
"""One configuration for all of them, that of every other run; only shorter."""

PERFORMANCES = 5
"""How often a scenario is played, each time with other sizes and timings: some bugs show only where batches fall so."""


class Hunt(msgspec.Struct, frozen=True):
    """What became of the search for a bug."""

    bug: Bug
    runs: int  # seeds or performances
    found: bool
    report: Report


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


def hunt(bug: Bug, seeds: int = SEEDS, first: int = 1) -> Hunt:
    """Put it back, and run seeds until a promise is broken. A seed that breaks one without the bug does not count."""
    for number in range(1, seeds + 1):
        seed = first + number - 1
        with injected(bug.name):
            report = simulate(seed, SECONDS, HUNTING)
        found = not report.ok and simulate(seed, SECONDS, HUNTING).ok
        if found or number == seeds:
            if report.schedule is not None:
                report.schedule = replace(report.schedule, bugs=(bug.name,))
            return Hunt(bug, number, found, report)
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
