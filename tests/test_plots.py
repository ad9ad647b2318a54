"""Plots: stories of several faults, which draw what they are about and may wait for what an actor says."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from barnabas.actors.broker_events import BecameLeader, LogCompacted
from barnabas.cluster.world import World
from barnabas.simulation.budget import _spares
from barnabas.simulation.fault import MOVES, Draws, Fault, When
from barnabas.simulation.moves.links import Cut
from barnabas.simulation.moves.processes import Crash
from barnabas.simulation.run import Options, Simulation
from barnabas.simulation.scenarios import APART, Stage
from barnabas.simulation.swarm import HUNTS, PLOTS, ROTTEN, THREE, draw


def test_every_plot_finds_something_to_do_in_a_usual_cluster() -> None:
    stage = Stage()
    stage.open()
    stage.wait(1.5)  # so that there is something below a recovery point
    for name in PLOTS:
        drawn = [fault for _ in range(5) for _, fault in MOVES[name](stage.nemesis)]
        assert any(isinstance(fault, Fault) for fault in drawn), name


def test_what_waits_for_a_word_strikes_once_when_it_is_said() -> None:
    run = Simulation(1, Options(shape=APART, faults=False, workloads=(), settle=False))
    drawn: list[str] = []

    def kill(name: str) -> Draws:
        drawn.append(name)
        yield 1_000_000, Crash(name, 500_000)

    nemesis = run.nemesis
    for number in (1, 2, 3):
        nemesis._later(0, When(BecameLeader, f"b{number}", 5_000_000, partial(kill, f"b{number}")))
    nemesis._later(0, When(LogCompacted, "", 5_000_000, partial(kill, "b1")))  # nobody says that
    run.run(6)
    assert sorted(drawn) == sorted({*drawn})  # each only once, whoever leads after it has died
    assert len(drawn) >= 2
    crashes = [step.action for step in run.steps if isinstance(step.action, Crash)]
    assert [crash.host for crash in crashes] == drawn  # and a schedule holds what struck, not what was waited for


def test_what_is_said_too_late_or_after_the_healing_brings_nothing() -> None:
    run = Simulation(1, Options(shape=APART, faults=False, workloads=(), settle=False))
    run.nemesis._later(0, When(BecameLeader, "", 1_000, lambda: iter([(0, Crash("b1", 1))])))
    run.run(2)
    assert run.steps
    assert not any(isinstance(step.action, Crash) for step in run.steps)


@pytest.mark.parametrize(
    ("isr", "elr", "broker", "spares"),
    [
        ((1, 2), (), 1, True),
        ((1,), (), 1, False),
        ((1,), (), 2, True),  # it need not have anything
        ((1,), (2,), 2, True),
        ((), (1, 2), 1, False),  # the others are down too
    ],
)
def test_of_page_caches_one_may_be_lost_if_another_replica_is_in_sync(
    isr: tuple[int, ...], elr: tuple[int, ...], broker: int, spares: bool
) -> None:
    state = cast("Any", SimpleNamespace(isr=isr, elr=elr))
    assert _spares(state, broker) is spares


def test_plots_of_hunts_leave_the_seeds_of_other_runs_as_they_are() -> None:
    for seed in range(100):
        assert set(HUNTS).isdisjoint(draw(seed, World(seed), beyond=True, clusters=True).weights)


def test_an_intense_run_tells_one_plot_in_a_cluster_where_it_may_happen_or_a_few_among_others() -> None:
    drawn = [draw(seed, World(seed), intense=True) for seed in range(300)]
    single = [swarm for swarm in drawn if swarm.in_turn]
    assert 180 < len(single) < 240
    assert {name for swarm in single for name in swarm.weights} == {*PLOTS}
    for swarm in single:
        (plot,) = swarm.weights
        assert plot not in ROTTEN or (swarm.shape.durability, swarm.shape.min_insync) == ("fsync", 2)
        assert plot not in ROTTEN or not swarm.shape.combined
        assert plot not in THREE or swarm.shape.replication == 3
    assert all(len(swarm.weights) > 3 for swarm in drawn if not swarm.in_turn)


def test_a_story_is_told_to_its_end_before_another_one_begins() -> None:
    options = Options(shape=APART, workloads=(), intense=True, weights={"quiet_terms": 1.0}, settle=False)
    run = Simulation(3, options)
    run.nemesis.swarm = replace(run.swarm, in_turn=True)
    run.run(30)
    begun = [(step.at_us, step.action) for step in run.steps if isinstance(step.action, Cut)]
    silences = [(at, at + cut.for_us) for at, cut in begun if cut.what == "quiet_terms"]
    assert len(silences) >= 2
    assert all(end <= begin for (_, end), (begin, _) in pairwise(silences))
