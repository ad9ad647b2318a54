"""A failing run leaves a schedule, which is played again and made small: what is left is what it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from barnabas.cli.main import main
from barnabas.simulation.bugs import injected
from barnabas.simulation.fault import Fault
from barnabas.simulation.run import Options, simulate
from barnabas.simulation.schedule import Schedule
from barnabas.simulation.shrink import shrink
from barnabas.simulation.swarm import Shape

BUG = "ack-before-replication"
LITTLE = Shape(partitions=2, producers=2, unsafe_producers=0, consumers=1)


def failing() -> Schedule:
    """The schedule of a run in which a historic bug was on."""
    with injected(BUG):
        report = simulate(5, 3, Options(shape=LITTLE, workloads=()))
    assert report.broken == "P8"
    assert report.schedule is not None
    return replace(report.schedule, bugs=(BUG,))


def test_a_failing_run_is_made_small() -> None:
    lines: list[str] = []
    schedule = failing()
    shrunk = shrink(schedule, lines.append, runs=60, around=lambda: injected(BUG))
    assert shrunk is not None
    assert shrunk.report.broken == "P8" == shrunk.schedule.found
    faults = [step for step in shrunk.schedule.steps if isinstance(step.action, Fault)]
    assert faults == [], "nothing had to be broken"
    assert len(shrunk.schedule.steps) == 1, "one write was enough"
    assert shrunk.schedule.seconds < schedule.seconds
    assert lines[-1].startswith("0 faults, 1 requests in 0.")


def test_a_run_that_breaks_nothing_is_not_shrunk() -> None:
    schedule = replace(failing(), bugs=())
    assert shrink(schedule, runs=3) is None


def test_a_saved_schedule_is_played_and_shrunk_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "seed-5.jsonl"
    path.write_bytes(failing().dump())
    assert main(["simulate", "--replay", str(path), "--json"]) == 1
    [run] = json.loads(capsys.readouterr().out)["runs"]
    assert run["violations"][0].startswith("P8 at ")
    assert main(["simulate", "--replay", str(path), "--trace", "--node", "p1"]) == 1
    told = capsys.readouterr().out
    assert "seed 5\n  cluster" in told and "> p1" in told
    assert main(["simulate", "--shrink", str(path)]) == 0
    assert str(tmp_path / "seed-5.small.jsonl") in capsys.readouterr().out
    assert len(Schedule.read(tmp_path / "seed-5.small.jsonl").steps) == 1


def test_what_is_no_schedule_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "nothing.jsonl"
    assert main(["simulate", "--replay", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    path.write_text("{}")
    assert main(["simulate", "--shrink", str(path)]) == 2
    assert "is no schedule: line 1" in capsys.readouterr().err
