"""`simulate`: the same actors in a hostile world, from a seed that replays."""

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from .arguments import Commands, add_json, positive, seconds, whole

if TYPE_CHECKING:
    from ..simulation.run import Report
    from ..simulation.swarm import Swarm


def register(commands: Commands) -> None:
    simulate = commands.add_parser("simulate", help="run the protocols against a hostile network and hostile disks")
    which = simulate.add_mutually_exclusive_group()
    which.add_argument("--seed", type=whole, metavar="N", help="replay this seed (default: 1)")
    which.add_argument("--seeds", type=positive, metavar="N", help="run the seeds 1 to N")
    simulate.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="simulated time (default: 60)")
    simulate.add_argument("--jobs", type=positive, metavar="N", help="seeds at the same time (default: one per core)")
    add_json(simulate)
    simulate.set_defaults(run=run_simulate)


def run_simulate(arguments: argparse.Namespace) -> int:
    from .output import as_json

    if not arguments.json:
        print(f"simulating {arguments.seconds:g} s of a cluster in a hostile world", flush=True)
    reports: list[Report] = []
    for report in _reports(arguments):
        reports.append(report)
        if not arguments.json:
            print(report.sentence(), flush=True)
            for violation in report.violations[1:]:
                print(f"  {violation}")
            if not report.ok:
                print(f"  replay: barnabas simulate --seed {report.seed} --seconds {arguments.seconds:g}", flush=True)
    failed = sum(not report.ok for report in reports)
    if arguments.json:
        as_json(_summary(reports, failed))
    elif len(reports) > 1:
        print(f"{len(reports)} seeds, {failed} failed")
    return 1 if failed else 0


def _reports(arguments: argparse.Namespace) -> "Iterator[Report]":
    if arguments.seeds is None:
        yield _one(1 if arguments.seed is None else arguments.seed, arguments.seconds, not arguments.json)
        return
    seeds = range(1, arguments.seeds + 1)
    jobs = min(arguments.jobs or os.cpu_count() or 1, len(seeds))
    if jobs == 1:
        yield from (_one(seed, arguments.seconds) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_one, seeds, [arguments.seconds] * len(seeds))


def _one(seed: int, length: float, aloud: bool = False) -> "Report":
    from msgspec.structs import replace

    from ..simulation.run import Options, simulate

    # What nobody prints need not travel between processes.
    return replace(simulate(seed, length, Options(on_start=_describe) if aloud else Options()), history=[])


def _describe(swarm: "Swarm") -> None:
    """Said first, so that it is known whatever happens then."""
    print(swarm.describe(), flush=True)


def _summary(reports: "list[Report]", failed: int) -> dict[str, object]:
    premises: dict[str, int] = {}
    for report in reports:
        for name, count in report.premises.items():
            premises[name] = premises.get(name, 0) + count
    simulated, wall = sum(report.simulated_s for report in reports), sum(report.wall_s for report in reports)
    return {
        "seeds": len(reports),
        "failed": failed,
        "violations": sum(len(report.violations) for report in reports),
        "acknowledged": sum(report.acknowledged for report in reports),
        "least_acknowledged": min(report.acknowledged for report in reports),
        "simulated_s": round(simulated, 1),
        "wall_s": round(wall, 1),
        "times_real_time": round(simulated / wall, 1) if wall else None,
        "premises": dict(sorted(premises.items())),
        "runs": [
            {
                "seed": report.seed,
                "ok": report.ok,
                "acknowledged": report.acknowledged,
                "faults": len(report.faults),
                "events": report.events,
                "simulated_s": round(report.simulated_s, 1),
                "wall_s": round(report.wall_s, 2),
                "trace": report.trace,
                "violations": report.violations,
            }
            for report in reports
        ],
    }
