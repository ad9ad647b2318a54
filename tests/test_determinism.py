"""One seed, two processes with different hash seeds, one trace: nothing depends on what Python leaves to chance."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_QUORUM = """
import sys
sys.path.insert(0, {tests!r})
from raft_world import RaftWorld
world = RaftWorld({seed})
outcome = world.run(8)
print(outcome.trace, outcome.steps, outcome.committed)
"""

_CLUSTER = """
from barnabas.simulation.run import simulate
report = simulate({seed}, 5)
print(report.trace, report.events, report.acknowledged, report.premises, report.violations)
"""


def _run(program: str, hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout


@pytest.mark.parametrize("seed", [1, 4])
def test_a_quorum_leaves_the_same_trace_in_two_processes(seed: int) -> None:
    program = _QUORUM.format(tests=str(Path(__file__).parent), seed=seed)
    first = _run(program, "1")
    assert first.strip(), "the run says what came of it"
    assert first == _run(program, "2")


@pytest.mark.parametrize("seed", [3, 6])
def test_a_cluster_leaves_the_same_trace_in_two_processes(seed: int) -> None:
    program = _CLUSTER.format(seed=seed)
    first = _run(program, "1")
    assert first.strip(), "the run says what came of it"
    assert first == _run(program, "2")
