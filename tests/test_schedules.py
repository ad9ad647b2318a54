"""Every small schedule that once broke a promise is played again, and breaks none.

A schedule was shrunk on the code that had the bug; `docs/simulation.md` tells its story. To keep one more, put it below
`tests/schedules`. It is played to its end, healing and judgement too, which it may not have come to when it was found.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas.simulation.run import replay
from barnabas.simulation.schedule import Schedule

SCHEDULES = sorted((Path(__file__).parent / "schedules").glob("*.jsonl"))
LARGEST = 60_000
"""Bytes of a file: more than that is no small schedule, and nobody can read it."""

STORIES = (Path(__file__).parent.parent / "docs" / "simulation.md").read_text()


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_what_once_broke_a_promise_breaks_none_any_more(path: Path) -> None:
    report = replay(Schedule.read(path))
    print(report.swarm.describe())
    print("\n".join(report.log))
    assert report.violations == []


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_a_schedule_that_is_kept_is_small_and_its_story_is_told(path: Path) -> None:
    assert path.stat().st_size <= LARGEST
    assert f"tests/schedules/{path.name}" in STORIES
