"""Historic bugs, put back into the actors one at a time: the simulator must find each, and by the promise it breaks.

Each directed scenario is harmless without its bug. Every switch that an actor asks for is in the table.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from barnabas import actors
from barnabas.actors import bugs
from barnabas.simulation.bug_table import BUGS, Bug
from barnabas.simulation.bugs import hunt, injected, rehearse, sweep
from barnabas.simulation.scenarios import play

DIRECTED = {bug.scenario: bug for bug in BUGS if bug.scenario is not None}
EASY = ("ack-before-replication", "forget-epoch-zero", "forget-sequences", "read-uncommitted", "vote-before-durable")
"""Those that a single seed finds. For all of them there is `barnabas simulate --bugs`."""


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.scenario is not None], ids=lambda bug: bug.name)
def test_a_bug_that_is_put_back_is_found_by_its_scenario(bug: Bug) -> None:
    found = rehearse(bug)
    assert found.report is not None
    assert found.report.violations, f"{bug.name} went unnoticed in {found.runs} performances"
    assert found.found, f"{found.report.violations[0]}, expected one of {bug.invariants}"


def test_a_bug_that_is_put_back_is_found_by_seeds() -> None:
    [bug] = [bug for bug in BUGS if bug.name == "commit-old-epoch"]
    found = hunt(bug, seeds=20, first=4)
    assert found.found, f"{bug.name} went unnoticed in {found.runs} seeds"


def test_a_seed_is_run_for_many_bugs_only_where_somebody_asks_for_them() -> None:
    """In this seed there are no groups, and so nobody asks for the switches in their coordinators."""
    swept = sweep(3, [*EASY, "unbounded-group", "no-sync-timer"])
    assert sorted(swept.found) == sorted(EASY)
    assert swept.simulated_s < 60  # the run without any bug, and five that ended early
    schedule = swept.found["read-uncommitted"].schedule
    assert schedule is not None
    assert schedule.bugs == ("read-uncommitted",)
    assert sorted(bugs.ENABLED) == []


@pytest.mark.parametrize("bug", DIRECTED.values(), ids=lambda bug: bug.scenario.__name__)
def test_a_scenario_does_no_harm_to_a_right_cluster(bug: Bug) -> None:
    assert bug.scenario is not None
    report = play(bug.scenario, 1, bug.stages)
    assert report.violations == []


def test_every_switch_in_an_actor_is_hunted() -> None:
    [folder] = actors.__path__
    asked = {name for file in Path(folder).glob("*.py") for name in re.findall(r'\bbug\("([^"]+)"\)', file.read_text())}
    assert asked - {"name"} == {bug.name for bug in BUGS}  # "name" is the example in bugs.py


def test_no_bug_is_on_unless_injected() -> None:
    assert sorted(bugs.ENABLED) == []
    with injected("read-uncommitted"):
        assert bugs.bug("read-uncommitted")
    assert not bugs.bug("read-uncommitted")
