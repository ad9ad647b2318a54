"""`simulate`: the same actors in a hostile world, from a seed that replays."""

import argparse
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .arguments import Commands, WrongUsage, add_json, positive, seconds, whole

if TYPE_CHECKING:
    from ..simulation.report import Report
    from ..simulation.run import Simulation


class Ask(NamedTuple):
    """What each seed is run with; it travels to other processes."""

    seconds: float
    drawn: bool = False
    aloud: bool = False
    trace: bool = False
    node: str | None = None
    partition: str | None = None

    def replay(self, seed: int) -> str:
        """The command that runs a seed again."""
        shapes = " --shapes drawn" if self.drawn else ""
        return f"barnabas simulate --seed {seed} --seconds {self.seconds:g}{shapes}"


def register(commands: Commands) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="run the protocols against a hostile network and hostile disks",
        examples="""
            barnabas simulate --seed 7                        one run, which can be replayed
            barnabas simulate --seeds 20 --seconds 30         many, on all cores
            barnabas simulate --seed 7 --trace --node b1      told message by message
            barnabas simulate --bugs                          put historic bugs back, and find each
        """,
    )
    which = simulate.add_mutually_exclusive_group()
    which.add_argument("--seed", type=whole, metavar="N", help="replay this seed (default: 1)")
    which.add_argument("--seeds", type=positive, metavar="N", help="run the seeds 1 to N")
    which.add_argument("--bug", metavar="NAME", help="put a historic bug back into the actors, and find it")
    which.add_argument("--history", metavar="FILE", help="judge what clients saw, a line of JSON per operation")
    which.add_argument("--bugs", action="store_true", help="do that with every bug there is a switch for")
    simulate.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="simulated time (default: 60)")
    simulate.add_argument(
        "--shapes",
        choices=("usual", "drawn"),
        default="usual",
        help="the cluster: three nodes, or brokers and controllers drawn by the seed (default: usual)",
    )
    simulate.add_argument("--jobs", type=positive, metavar="N", help="seeds at the same time (default: one per core)")
    simulate.add_argument("--trace", action="store_true", help="tell the run of one seed, a line for each message")
    simulate.add_argument("--node", metavar="NODE", help="with --trace: only this node, as in b1")
    simulate.add_argument("--partition", metavar="P", help="with --trace: only this partition, as in t0-0")
    add_json(simulate)
    simulate.set_defaults(run=run_simulate)


def run_simulate(arguments: argparse.Namespace) -> int:
    if arguments.bug is not None or arguments.bugs:
        from .simulate_bugs import run_bugs

        return run_bugs(arguments)
    if arguments.history is not None:
        from .simulate_history import judge_file

        return judge_file(arguments.history, as_json=arguments.json)
    if arguments.trace and (arguments.seeds is not None or arguments.json):
        raise WrongUsage("--trace tells the run of one --seed, in lines and not in JSON")
    if not arguments.trace and (arguments.node or arguments.partition):
        raise WrongUsage("--node and --partition choose what --trace tells")
    ask = Ask(
        arguments.seconds,
        arguments.shapes == "drawn",
        arguments.seeds is None and not arguments.json,
        arguments.trace,
        arguments.node,
        arguments.partition,
    )
    if not arguments.json:
        print(f"simulating {arguments.seconds:g} s of a cluster in a hostile world", flush=True)
    reports: list[Report] = []
    for report in _reports(arguments, ask):
        reports.append(report)
        if not report.ok:
            print(_failure(report, ask), file=sys.stderr if arguments.json else sys.stdout, flush=True)
        elif not arguments.json:
            print(report.sentence(), flush=True)
    failed = sum(not report.ok for report in reports)
    if arguments.json:
        from ..simulation.report import summary
        from .output import as_json

        as_json(summary(reports))
    elif len(reports) > 1:
        print(f"{len(reports)} seeds, {failed} failed")
    return 1 if failed else 0


def _failure(report: "Report", ask: Ask) -> str:
    """All that is needed to look at it: the configuration, what is wrong and when, and how to see it again."""
    lines = [report.sentence()]
    lines += [f"  {violation}" for violation in report.violations[1:20]]
    if not ask.aloud:
        lines.append(report.swarm.describe())
    lines += ["  last faults", *(f"    {fault}" for fault in report.log[-8:])]
    lines.append(f"  replay: {ask.replay(report.seed)}")
    lines.append(f"  read:   {ask.replay(report.seed)} --trace [--node b1] [--partition t0-0]")
    return "\n".join(lines)


def _reports(arguments: argparse.Namespace, ask: Ask) -> "Iterator[Report]":
    if arguments.seeds is None:
        yield _one(1 if arguments.seed is None else arguments.seed, ask)
        return
    seeds = range(1, arguments.seeds + 1)
    jobs = min(arguments.jobs or os.cpu_count() or 1, len(seeds))
    if jobs == 1:
        yield from (_one(seed, ask) for seed in seeds)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_one, seeds, [ask] * len(seeds))


def _one(seed: int, ask: Ask) -> "Report":
    from msgspec.structs import replace

    from ..simulation.run import Options, simulate
    from ..simulation.story import Story

    stories: list[Story] = []

    def start(simulation: "Simulation") -> None:
        if ask.aloud:  # said first, so that it is known whatever happens then
            print(simulation.swarm.describe(), flush=True)
        if ask.trace:
            stories.append(Story(simulation, print, ask.node, ask.partition))

    report = simulate(seed, ask.seconds, Options(clusters=ask.drawn, on_start=start))
    for story in stories:
        story.finish()
    return replace(report, history=[])  # what nobody prints need not travel between processes
