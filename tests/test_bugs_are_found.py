"""Historic bugs, put back into the actors one at a time: the simulator must find each within a few seeds.

The names are those that the actors ask for. What is found must be a broken promise of the right kind, or any promise
where several are broken at once and the first one depends on the seed.
"""

from __future__ import annotations

import pytest

from barnabas.actors import bugs
from barnabas.simulation.bugs import injected
from barnabas.simulation.run import Options, simulate
from barnabas.simulation.swarm import Shape

SHAPE = Shape(produce_every_ms=60, segment_bytes=8192)
SEEDS = range(100, 110)


@pytest.mark.parametrize(
    ("bug", "invariants"),
    [
        ("vote-before-durable", {"R2", "R3"}),
        ("commit-old-epoch", {"R7"}),
        ("ack-before-replication", {"P8"}),
        ("forget-sequences", {"P22"}),
        ("read-uncommitted", {"P20"}),
        ("hw-below-min-insync", {"P5", "P4", "P13"}),
        ("ignore-divergence", set[str]()),
    ],
)
def test_a_bug_that_is_put_back_is_found(bug: str, invariants: set[str]) -> None:
    for seed in SEEDS:
        with injected(bug):
            report = simulate(seed, 12, Options(shape=SHAPE, converge_s=20))
        if report.violations:
            found = report.violations[0].split(" ")[0]
            assert not invariants or found in invariants, report.violations[0]
            return
    pytest.fail(f"{bug} went unnoticed in {len(SEEDS)} seeds")


def test_no_bug_is_on_unless_injected() -> None:
    assert sorted(bugs.ENABLED) == []
    with injected("read-uncommitted"):
        assert bugs.bug("read-uncommitted")
    assert not bugs.bug("read-uncommitted")
