"""`simulate --bug NAME` and `simulate --bugs`: historic bugs are put back, and seeds must find them."""

import argparse
import os
import sys
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from .arguments import WrongUsage

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..simulation.bugs import Hunt, Sweep


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
    hunts: list[Hunt] = []
    for hunt in _hunts(wanted, arguments):
        hunts.append(hunt)
        if not arguments.json:
            print(_line(hunt), flush=True)
        elif len(wanted) > 1:
            print(_line(hunt), file=sys.stderr, flush=True)
        report = hunt.report
        if hunt.found and report is not None and report.schedule is not None and arguments.bug is not None:
            path = Path(arguments.save) / f"{hunt.bug.name}.jsonl"
            path.write_bytes(report.schedule.dump())
            if not arguments.json:
                print(f"{report.violations[0]}\nshrink: barnabas simulate --shrink {path}")
    hunts.sort(key=lambda hunt: wanted.index(hunt.bug.name))
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
    """One after the other as they are found, those that are not at the end."""
    from ..simulation.bugs import Hunt, hunt, named

    bugs = {name: bug for name in names if (bug := named(name)) is not None}
    if len(bugs) == 1:
        yield from (hunt(bug, arguments.at_most) for bug in bugs.values())
        return
    jobs = arguments.jobs or os.cpu_count() or 1
    for swept in _sweeps(bugs, arguments.at_most, jobs):
        for name, report in swept.found.items():
            if name in bugs:
                yield Hunt(bugs.pop(name), swept.seed, True, report)
    yield from (Hunt(bug, arguments.at_most, False, None) for bug in bugs.values())


def _sweeps(left: "Collection[str]", seeds: int, jobs: int) -> "Iterator[Sweep]":
    """Seed by seed in order, each for those bugs that are `left` when it begins."""
    if jobs == 1:
        for seed in range(1, seeds + 1):
            if left:
                yield _sweep(seed, [*left])
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        coming: deque[Future[Sweep]] = deque()
        for seed in range(1, seeds + 1):
            if not left:
                break
            coming.append(pool.submit(_sweep, seed, [*left]))
            if len(coming) == jobs:
                yield coming.popleft().result()
        yield from (future.result() for future in coming)


def _sweep(seed: int, names: list[str]) -> "Sweep":
    """Without what nobody reads: it travels between processes."""
    from msgspec.structs import replace

    from ..simulation.bugs import sweep

    swept = sweep(seed, names)
    return replace(swept, found={name: replace(report, history=[]) for name, report in swept.found.items()})


def _by(hunt: "Hunt") -> str:
    return hunt.report.broken if hunt.found and hunt.report is not None else "NOT FOUND"


def _line(hunt: "Hunt") -> str:
    how = f"found by {_by(hunt)} in {hunt.runs} seeds" if hunt.found else f"not found in {hunt.runs} seeds"
    return f"{hunt.bug.name}: {how}"


def _picture(found: "Hunt") -> dict[str, object]:
    report = found.report
    return {
        "bug": found.bug.name,
        "what": found.bug.what,
        "history": found.bug.history,
        "row": found.bug.row,
        "found": found.found,
        "by": report.broken if report is not None else "",
        "seeds": found.runs,
        "seed": report.seed if report is not None else None,
        "violations": report.violations[:3] if report is not None else [],
    }
