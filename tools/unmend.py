"""Shows that the schedules below `tests/schedules` still lead to the bugs that they are kept for.

    python tools/unmend.py              all of them
    python tools/unmend.py NAME ...     these

Each is played in a copy of the project in which its bug is back: the switch of that name is on, or what mended it is
taken out again. That is the commit that the schedule names, reversed, or `NAME.patch` beside the schedule where later
changes are in the way. It is right if the same promise is broken again. Exit code 1 if any is not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from barnabas.simulation.schedule import Schedule

ROOT = Path(__file__).resolve().parent.parent
SCHEDULES = ROOT / "tests" / "schedules"
CODE = ("actors", "storage", "client", "cluster", "transport")
"""Where bugs of the cluster are mended. Tests, documents and the simulator stay as they are."""

PLAY = """
import sys
from pathlib import Path
from barnabas.simulation.bugs import injected
from barnabas.simulation.run import Options, replay
from barnabas.simulation.schedule import Schedule
schedule = Schedule.read(Path(sys.argv[1]))
with injected(*schedule.bugs):
    report = replay(schedule, Options(converge_s=30))
print(report.broken, report.violations[:1], sep="\\t")
"""


def git(where: Path, *words: str, given: bytes | None = None) -> bytes:
    """What git says. Raises CalledProcessError if it refuses."""
    return subprocess.run(["git", "-C", str(where), *words], input=given, capture_output=True, check=True).stdout


def unmend(copy: Path, path: Path, schedule: Schedule) -> None:
    """Take the mending out of a copy."""
    patch = path.with_suffix(".patch")
    if patch.exists():
        git(copy, "apply", "--3way", str(patch))
    elif schedule.mended:
        git(copy, "apply", "--3way", "--reverse", given=git(copy, "show", schedule.mended, "--", *CODE))


def verdict(path: Path) -> tuple[bool, str]:
    """Whether a schedule breaks its promise again, and what is broken."""
    schedule = Schedule.read(path)
    with tempfile.TemporaryDirectory(prefix="unmend-") as scratch:
        copy = Path(scratch) / "copy"
        git(ROOT, "clone", "--quiet", "--shared", str(ROOT), str(copy))
        try:
            unmend(copy, path, schedule)
        except subprocess.CalledProcessError as refused:
            return False, f"cannot be put back: {refused.stderr.decode().strip().splitlines()[-1]}"
        environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
        program = [sys.executable, "-c", PLAY, str(path)]
        played = subprocess.run(program, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
    if played.returncode:
        return False, f"cannot be played: {played.stderr.strip().splitlines()[-1]}"
    broken, _, words = played.stdout.strip().partition("\t")
    return broken == schedule.found, words if broken else "no promise is broken"


def main(names: list[str]) -> int:
    """Play them and print a line for each."""
    paths = [SCHEDULES / f"{name}.jsonl" for name in names] or sorted(SCHEDULES.glob("*.jsonl"))
    failed = 0
    for path in paths:
        right, words = verdict(path)
        failed += not right
        print(f"{'as ever' if right else 'NOT    '}  {path.stem}: {words}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
