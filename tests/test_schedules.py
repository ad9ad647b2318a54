"""Every small schedule that once broke a promise is played again, and breaks none.

A schedule was shrunk on the code that had the bug; `docs/simulation.md` tells its story. To keep one more, put it below
`tests/schedules`. It is played to its end, healing and judgement too, which it may not have come to when it was found.

A replay is worth something only as long as it leads to the same place. So everything that the schedule breaks must be
broken again here. Where the bug is on a switch, the same schedule must break the same promise with it; for the others
`tools/unmend.py` takes what mended them out of a copy of the project, and plays them there.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from barnabas.simulation.bugs import injected
from barnabas.simulation.fault import Fault
from barnabas.simulation.run import Options, replay
from barnabas.simulation.schedule import Schedule

SCHEDULES = sorted((Path(__file__).parent / "schedules").glob("*.jsonl"))
CHANCES = 10
SWITCHED = [path for path in SCHEDULES if Schedule.read(path).bugs]
LARGEST = 60_000
"""Bytes of a file: more than that is no small schedule, and nobody can read it."""

STORIES = (Path(__file__).parent.parent / "docs" / "simulation.md").read_text()


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_what_once_broke_a_promise_breaks_none_any_more(path: Path) -> None:
    schedule = Schedule.read(path)
    report = replay(schedule)
    print(report.swarm.describe())
    print("\n".join(report.log))
    assert report.violations == []
    faults = [step.action for step in schedule.steps if isinstance(step.action, Fault)]
    struck = Counter(fault.kind for fault in faults if not fault.harmless)
    assert +Counter(report.faults) == struck, "every fault strikes: else the schedule leads somewhere else by now"


@pytest.mark.parametrize("path", SWITCHED, ids=lambda path: path.stem)
def test_it_breaks_the_same_promise_while_its_bug_is_switched_on(path: Path) -> None:
    """With its own chance or, after a change of the code, with some other: delays and elections fall out otherwise."""
    schedule = Schedule.read(path)
    seed = schedule.swarm.seed
    with injected(*schedule.bugs):
        for chance in (seed, *range(1000, 1000 + CHANCES)):
            played = replace(schedule, swarm=replace(schedule.swarm, seed=chance))
            if replay(played, Options(converge_s=20)).broken == schedule.found:
                return
    pytest.fail(f"it leads nowhere any more: find {schedule.found} anew, as docs/simulation.md says")


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_a_schedule_that_is_kept_is_small_and_its_story_is_told(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
    assert f"tests/schedules/{path.name}" in STORIES
