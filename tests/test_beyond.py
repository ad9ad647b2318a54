"""Beyond what must be survived: clusters whose disks are spoilt everywhere fail loudly, and serve nothing wrong."""

from __future__ import annotations

import pytest

from barnabas.simulation import swarm
from barnabas.simulation.beyond import BeyondChecker, missing, settle
from barnabas.simulation.budget import LEAST_WORK
from barnabas.simulation.history import Op
from barnabas.simulation.moves.spoilt_disks import BitRot, LyingDisk
from barnabas.simulation.run import Options, Simulation, simulate
from barnabas.simulation.schedule import Step
from barnabas.simulation.swarm import SPOILING, Shape


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_whose_disks_are_all_spoilt_fails_loudly(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm, "BEYOND", 1.0)
    report = simulate(seed, 15, Options(shape=Shape(), beyond=True))
    assert report.swarm.beyond
    assert {*SPOILING} & {*report.swarm.weights}
    assert report.violations == []


@pytest.mark.parametrize("others", [(), ("expiring",)])  # the latter with a host that is never started
def test_records_that_are_gone_without_a_word_are_noticed(others: tuple[str, ...]) -> None:
    shape = Shape(topics=1, partitions=1, producers=1, consumers=1, produce_every_ms=100)
    run = Simulation(1, Options(shape=shape, faults=False, workloads=others))
    checker = BeyondChecker()
    checker.oracle = run.oracle
    run.start()
    run.world.run_until(1_000_000)
    run.history.append(Op("p9", "send", "t0-0", 1, 2, value="lost", offset=0))
    run.steps.append(Step(1, BitRot("b1", "t0-0/0.log", 0, 0)))
    assert settle(run, checker) == ["REPORTED: 1 acknowledged records are gone, as lost, and nobody says so"]
    run.steps.append(Step(2, LyingDisk("b1", 1_000_000)))  # seed 441: it may have been that one, which leaves no trace
    assert settle(run, checker) == []


def test_only_what_the_last_reader_has_passed_is_missing() -> None:
    sent = [Op("p", "send", "t-0", 1, 2, value=name, offset=place) for place, name in enumerate("abc")]
    read = Op("r", "poll", "t-0", 3, 4, read=[(1, "b")], final=True)
    assert missing([*sent, read]) == ["a"]
    earlier = Op("r", "poll", "t-0", 2, 3, read=[(0, "a")])
    assert missing([*sent, earlier, read]) == ["a"]  # it was there, and is gone


def test_beyond_the_budget_power_goes_with_what_was_not_flushed_only_when_there_is_something_to_lose() -> None:
    """Seed 10125: two writes were acknowledged in a whole run, since all replicas had lost power before."""
    simulation = Simulation(10125, Options(clusters=True, beyond=True))
    assert simulation.swarm.beyond
    assert simulation.swarm.shape.durability == "os"
    assert not simulation.budget.may_lose_power("b1")
    simulation.workload.acknowledged = LEAST_WORK + 1
    assert simulation.budget.may_lose_power("b1")
