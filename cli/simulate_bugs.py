"""`simulate --bug NAME` and `simulate --bugs`: historic bugs are put back, and must be found."""

import argparse
from typing import TYPE_CHECKING

from .arguments import WrongUsage

if TYPE_CHECKING:
    from ..simulation.bugs import Bug, Hunt


def run_bugs(arguments: argparse.Namespace) -> int:
    """Hunt one bug, or all of them. 1 if one is not found."""
    from ..simulation.bugs import BUGS, hunt, named
    from .output import as_json, table

    if arguments.trace or arguments.node or arguments.partition or arguments.shapes != "usual":
        raise WrongUsage(
            "--bug and --bugs choose their own runs; they take no --trace, --node, --partition or --shapes"
        )
    wanted: tuple[Bug, ...] = BUGS
    if arguments.bug is not None:
        bug = named(arguments.bug)
        if bug is None:
            known = ", ".join(sorted(bug.name for bug in BUGS))
            raise WrongUsage(f"there is no bug {arguments.bug!r}; there are {known}")
        wanted = (bug,)
    hunts = [hunt(bug) for bug in wanted]
    if arguments.json:
        as_json([_picture(found) for found in hunts])
    else:
        table(
            ("BUG", "WHAT IT WAS", "HISTORY", "FOUND BY", "RUNS"),
            [
                (h.bug.name, h.bug.what, h.bug.history, h.report.broken if h.found else "NOT FOUND", h.runs)
                for h in hunts
            ],
        )
        if len(hunts) == 1 and hunts[0].report.violations:
            print(hunts[0].report.violations[0])
    return 0 if all(found.found for found in hunts) else 1


def _row(found: "Hunt") -> tuple[str | int, ...]:
    broken = found.report.broken if found.found else "NOT FOUND"
    return found.bug.name, found.bug.what, found.bug.history, broken, found.runs


def _picture(found: "Hunt") -> dict[str, object]:
    return {
        "bug": found.bug.name,
        "what": found.bug.what,
        "history": found.bug.history,
        "row": found.bug.row,
        "found": found.found,
        "by": found.report.broken,
        "runs": found.runs,
        "scenario": found.bug.scenario.__name__ if found.bug.scenario is not None else None,
        "cpu_s": round(found.report.cpu_s, 2),
        "violations": found.report.violations[:3],
    }
