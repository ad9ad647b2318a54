"""Controllers under a hostile network and a nemesis. `BARNABAS_SEEDS=100:200` runs other seeds than the usual few."""

from __future__ import annotations

import os

import pytest
from controller_world import LEAST_WORK, ControllerWorld


def _seeds() -> list[int]:
    first, _, last = os.environ.get("BARNABAS_SEEDS", "0:5").partition(":")
    return list(range(int(first), int(last)))


@pytest.mark.parametrize("seed", _seeds())
def test_controllers_keep_their_promises_in_a_hostile_world(seed: int) -> None:
    world = ControllerWorld(seed)
    outcome = world.run(30)
    print(world.swarm.describe())
    print("\n".join(str(fault) for fault in world.nemesis.log))
    assert outcome is None, outcome
    assert world.metadata.end >= LEAST_WORK, "a run that finishes no work is a failure"
