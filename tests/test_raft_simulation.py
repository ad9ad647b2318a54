"""Raft under a hostile network and a nemesis: invariants after every event, convergence at the end.

`BARNABAS_SEEDS=100:200` runs those seeds instead of the few that every test run has.
"""

from __future__ import annotations

import os

import pytest
from raft_world import RaftWorld


def _seeds() -> list[int]:
    first, _, last = os.environ.get("BARNABAS_SEEDS", "0:12").partition(":")
    return list(range(int(first), int(last)))


@pytest.mark.parametrize("seed", _seeds())
def test_a_quorum_keeps_its_promises_in_a_hostile_world(seed: int) -> None:
    world = RaftWorld(seed, voters=5 if seed % 5 == 4 else 3)
    outcome = world.run(20)
    print(outcome.swarm.describe())
    print("\n".join(outcome.faults))
    assert outcome.violation is None, outcome.violation
    assert outcome.committed >= 50, "a run that finishes no work is a failure"
