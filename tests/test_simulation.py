"""Whole clusters in a hostile world: real actors, real clients, every promise checked after every event.

`BARNABAS_SEEDS=100:200` and `BARNABAS_SECONDS=60` run more than every test run does.
"""

from __future__ import annotations

import os

import pytest

from barnabas.simulation.run import Options, simulate


def _seeds() -> list[int]:
    first, _, last = os.environ.get("BARNABAS_SEEDS", "0:6").partition(":")
    return list(range(int(first), int(last)))


@pytest.mark.parametrize("seed", _seeds())
def test_a_cluster_keeps_its_promises_in_a_hostile_world(seed: int) -> None:
    seconds = float(os.environ.get("BARNABAS_SECONDS", "10"))
    report = simulate(seed, seconds, Options(on_start=lambda swarm: print(swarm.describe())))
    print("\n".join(report.faults))
    print(report.sentence())
    print(report.premises)
    assert report.violations == []
