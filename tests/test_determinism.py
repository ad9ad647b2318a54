"""One seed, two processes with different hash seeds, one trace: nothing depends on what Python leaves to chance.

Nor on the version of Python. Other interpreters are looked for on the PATH, where pyenv keeps them, and in
BARNABAS_PYTHONS, paths with colons between them; one of a version that has what the project depends on is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import barnabas

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

_SUITS = """
import sys
from importlib.util import find_spec
needed = ("msgspec", "crc32c", "cramjam", "re2")
sys.exit(sys.version_info[:2] != (3, {minor}) or not all(map(find_spec, needed)))
"""


def _run(program: str, hash_seed: str, python: str = sys.executable) -> str:
    ours = str(Path(barnabas.__file__).parents[1])
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": ours}
    done = subprocess.run(
        [python, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout


def _python(minor: int) -> str | None:
    """An interpreter of Python 3.`minor` that has what a simulation imports."""
    named = [path for path in os.environ.get("BARNABAS_PYTHONS", "").split(":") if path]
    below = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = [str(path) for path in sorted(below.glob(f"3.{minor}.*/bin/python3"))]
    for path in (*named, shutil.which(f"python3.{minor}"), *kept):
        if path and Path(path).exists():
            asked = subprocess.run([path, "-c", _SUITS.format(minor=minor)], capture_output=True, check=False)
            if asked.returncode == 0:
                return path
    return None


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


@pytest.mark.parametrize("minor", [minor for minor in (11, 12, 13) if minor != sys.version_info.minor])
def test_a_cluster_leaves_the_same_trace_under_another_python(minor: int) -> None:
    python = _python(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} with msgspec, crc32c, cramjam and google-re2 (BARNABAS_PYTHONS names one)")
    program = _CLUSTER.format(seed=3)
    assert _run(program, "1") == _run(program, "2", python)
