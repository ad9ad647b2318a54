"""A run's schedule plays the run again: the same faults, the same requests, the same trace up to the healing."""

from __future__ import annotations

import pytest

from barnabas.simulation.moves import FAULTS, MOVES
from barnabas.simulation.parts import commands
from barnabas.simulation.run import Options, Simulation, measured
from barnabas.simulation.schedule import Schedule, Step
from barnabas.simulation.workloads.groups import CLASSIC, AskCommitted, BeginAgain, GroupsWorkload

SECONDS = 6.0


def _until_healed(seed: int, schedule: Schedule | None = None) -> tuple[str, Schedule]:
    """The trace of everything before the healing, and the schedule of it."""
    simulation = Simulation(seed, Options(schedule=schedule))
    traces: list[str] = []

    def body() -> list[str]:
        simulation.start()
        simulation.nemesis.begin(draw=schedule is None)
        simulation.world.run_until(int(SECONDS * 1e6))
        traces.append(simulation.world.trace_hash())
        return simulation.settle()

    report = measured(simulation, body, SECONDS)
    assert report.violations == []
    assert report.schedule is not None
    return traces[0], report.schedule


@pytest.mark.parametrize("seed", [3, 4])
def test_a_schedule_that_was_saved_plays_the_same_run(seed: int) -> None:
    trace, schedule = _until_healed(seed)
    saved = Schedule.load(schedule.dump())
    assert saved == schedule
    again, steps = _until_healed(seed, saved)
    assert again == trace
    assert steps.steps == saved.steps


def test_a_question_and_an_order_of_a_schedule_do_not_get_one_number() -> None:
    """Seed 10141: a KeyError, and only when it was replayed."""
    swarm = Simulation(3, Options(faults=False, workloads=("groups",))).swarm
    steps = (Step(3_000_000, BeginAgain(1)), Step(3_000_000, AskCommitted(CLASSIC)))
    simulation = Simulation(3, Options(schedule=Schedule(swarm, SECONDS, steps)))
    simulation.start()
    simulation.world.run_until(3_000_000)
    groups = simulation.workloads["groups"]
    assert isinstance(groups, GroupsWorkload)
    assert (len(groups._resets), len(groups._asked)) == (1, 1)
    assert not {*groups._resets} & {*groups._asked}


def test_what_is_no_schedule_is_refused_with_the_line() -> None:
    _, schedule = _until_healed(2)
    head, *steps = schedule.dump().splitlines()
    for lines, sentence in (
        (b"", "line 1"),
        (b'{"format":9}', "line 1"),
        (head + b'\n[1,{"do":"nothing"}]', "line 2"),
        (b"\n".join([head, steps[0], b"[]"]), "line 3"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Schedule.load(lines)


def test_every_fault_and_command_has_a_name_of_its_own() -> None:
    names = [struct.__struct_config__.tag for struct in (*FAULTS, *commands())]
    assert len(names) == len(set(names)) >= 10
    assert len(MOVES) >= 20
