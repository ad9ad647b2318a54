"""`barnabas simulate`: what it prints for people and for programs, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from barnabas.cli import simulate as command
from barnabas.cli.main import main
from barnabas.simulation.run import Options, simulate
from barnabas.simulation.schedule import Schedule


def test_the_figures_of_many_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seeds", "2", "--seconds", "6", "--jobs", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["seeds"], figures["failed"], figures["violations"]) == (2, 0, 0)
    assert figures["faults"] >= 2 and figures["least_acknowledged"] >= 50
    assert figures["events"] == sum(run["events"] for run in figures["runs"])
    assert figures["simulated_s"] >= 12 and figures["cpu_s"] > 0 and figures["times_real_time_per_core"] > 0
    names = list(figures["premises"])
    assert names.index("P2") < names.index("P10") < names.index("R1") < names.index("R10")


def test_a_failure_says_all_that_is_needed_to_see_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failed = simulate(4, 20, Options(weights={"older_disk": 1.0}))
    monkeypatch.setattr(command, "_one", lambda seed, ask: failed)
    words = ["simulate", "--seeds", "4:4", "--seconds", "20", "--jobs", "1", "--shapes", "usual"]
    assert main([*words, "--save", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "FAIL too few faults" in out
    assert failed.swarm.describe() in out
    assert "again:  barnabas simulate --seed 4 --seconds 20 --shapes usual\n" in out
    assert Schedule.read(tmp_path / "seed-4.jsonl") == failed.schedule


def test_a_run_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--seed", "3", "--seconds", "3", "--trace", "--node", "b1", "--partition", "t0-0"]) == 0
    out = capsys.readouterr().out
    assert "seed 3\n  cluster" in out
    assert " t0-0 leader_epoch=" in out or " t0-0 offset=" in out


def test_a_bug_is_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["simulate", "--bug", "ack-before-replication", "--at-most", "5", "--jobs", "1", "--save", str(tmp_path)]
    assert main([*words, "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["found"], found["by"], found["history"]) == (True, "P8", "Kafka 0.8 (Jepsen, 2013)")
    schedule = Schedule.read(tmp_path / "ack-before-replication.jsonl")
    assert (schedule.bugs, schedule.found) == (("ack-before-replication",), "P8")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--bug", "none"], "there is no bug 'none'"),
        (["--bugs", "--trace"], "--bug and --bugs choose their own runs"),
        (["--seeds", "2", "--trace"], "--trace tells the run of one --seed"),
        (["--seed", "2", "--node", "b1"], "--node and --partition choose what --trace tells"),
    ],
)
def test_what_means_nothing_is_refused(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", *words]) == 2
    assert sentence in capsys.readouterr().err
