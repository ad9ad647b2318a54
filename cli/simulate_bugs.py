"""`simulate --bug NAME` and `simulate --bugs`: historic bugs are put back, and seeds must find them."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from .arguments import WrongUsage

if TYPE_CHECKING:
    from ..simulation.bugs import Hunt
    from ..simulation.report import Report

    Found = tuple[int, bool, Report]


def run_bugs(arguments: argparse.Namespace) -> int:
    """Hunt one bug, or all of them. 1 if one is not found."""
    from ..simulation.bug_table import BUGS
    from ..simulation.bugs import known, named
    from .output import as_json, table

    if arguments.trace or arguments.node or arguments.partition or arguments.shapes != "drawn":
        raise WrongUsage(
            "--bug and --bugs choose their own runs; they take no --trace, --node, --partition or --shapes"
        )
    wanted = [bug.name for bug in BUGS]
    if arguments.bug is not None:
        if named(arguments.bug) is None:
            raise WrongUsage(f"there is no bug {arguments.bug!r}; there are {known()}")
        wanted = [arguments.bug]
    hunts = []
    for hunt in _hunts(wanted, arguments):
        hunts.append(hunt)
        if not arguments.json:
            print(_line(hunt), flush=True)
        elif len(wanted) > 1:
            print(_line(hunt), file=sys.stderr, flush=True)
        if hunt.found and hunt.report.schedule is not None and arguments.bug is not None:
            path = Path(arguments.save) / f"{hunt.bug.name}.jsonl"
            path.write_bytes(hunt.report.schedule.dump())
            if not arguments.json:
                print(f"{hunt.report.violations[0]}\nshrink: barnabas simulate --shrink {path}")
    if arguments.json:
        as_json([_picture(found) for found in hunts])
    elif len(hunts) > 1:
        table(
            ("BUG", "ROW", "WHAT IT WAS", "HISTORY", "FOUND BY", "SEEDS"),
            [(h.bug.name, h.bug.row or "", h.bug.what, h.bug.history, _by(h), h.runs) for h in hunts],
        )
        found = [hunt.runs for hunt in hunts if hunt.found]
        print(f"{len(found)} of {len(hunts)} found, in {median(found) if found else 0:g} seeds in the median")
    return 0 if all(found.found for found in hunts) else 1


def _hunts(names: list[str], arguments: argparse.Namespace) -> "Iterator[Hunt]":
    from ..simulation.bugs import Hunt, named

    search = partial(_hunt, seeds=arguments.at_most)
    jobs = min(arguments.jobs or os.cpu_count() or 1, len(names))
    for name, (runs, found, report) in zip(names, _all(search, names, jobs), strict=True):
        bug = named(name)
        assert bug is not None
        yield Hunt(bug, runs, found, report)


def _all(search: "Callable[[str], Found]", names: list[str], jobs: int) -> "Iterator[Found]":
    if jobs == 1:
        yield from map(search, names)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(search, names)


def _hunt(name: str, seeds: int) -> "Found":
    """What can travel between processes, as scenarios cannot."""
    from msgspec.structs import replace

    from ..simulation.bugs import hunt, named

    bug = named(name)
    assert bug is not None
    found = hunt(bug, seeds)
    return found.runs, found.found, replace(found.report, history=[])


def _by(hunt: "Hunt") -> str:
    return hunt.report.broken if hunt.found else "NOT FOUND"


def _line(hunt: "Hunt") -> str:
    how = f"found by {hunt.report.broken} in {hunt.runs} seeds" if hunt.found else f"not found in {hunt.runs} seeds"
    return f"{hunt.bug.name}: {how}"


def _picture(found: "Hunt") -> dict[str, object]:
    return {
        "bug": found.bug.name,
        "what": found.bug.what,
        "history": found.bug.history,
        "row": found.bug.row,
        "found": found.found,
        "by": found.report.broken,
        "seeds": found.runs,
        "seed": found.report.seed,
        "violations": found.report.violations[:3],
    }
