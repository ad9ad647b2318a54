"""`simulate --replay FILE` and `--shrink FILE`: what a failing run has left behind, played again and made small."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import WrongUsage

if TYPE_CHECKING:
    from ..simulation.report import Report
    from ..simulation.schedule import Schedule
    from .simulate import Ask


def save(report: "Report", directory: str) -> Path:
    """Keep the schedule of a run."""
    assert report.schedule is not None
    path = Path(directory) / f"seed-{report.seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(report.schedule.dump())
    return path


def play(path: str, ask: "Ask") -> "Report":
    """Play the schedule in a file, with the bugs that it names."""
    from ..simulation.bugs import injected
    from ..simulation.run import Options, replay
    from .simulate import told

    schedule = _read(path)
    with injected(*schedule.bugs):
        return told(ask, Options(), lambda options: replay(schedule, options))


def run_shrink(path: str) -> int:
    """Shrink the schedule in a file, into another file beside it. 1 if it does not fail."""
    from ..simulation.bugs import injected
    from ..simulation.shrink import describe, faults_of, shrink

    schedule = _read(path)
    print(describe(schedule), flush=True)
    shrunk = shrink(schedule, partial(print, flush=True), around=lambda: injected(*schedule.bugs))
    if shrunk is None:
        print("it breaks no promise: there is nothing to shrink")
        return 1
    target = Path(path).with_suffix(".small.jsonl")
    target.write_bytes(shrunk.schedule.dump())
    print("\n".join(faults_of(shrunk.schedule)))
    print(f"{shrunk.report.violations[0]}\n{target}")
    return 0


def _read(path: str) -> "Schedule":
    from ..simulation.schedule import Schedule

    try:
        return Schedule.read(Path(path))
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise WrongUsage(f"{path} is no schedule: {error}") from None
