"""`simulate`: the same actors in a hostile world, from a seed that replays."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .arguments import Commands, WrongUsage, add_json, positive, seconds, whole

if TYPE_CHECKING:
    from ..simulation.report import Report
    from ..simulation.run import Options, Simulation


class Ask(NamedTuple):
    """What each seed is run with; it travels to other processes."""

    seconds: float
    usual: bool = False
    aloud: bool = False
    trace: bool = False
    node: str | None = None
    partition: str | None = None

    def replay(self, seed: int) -> str:
        """The command that runs a seed again."""
        shapes = " --shapes usual" if self.usual else ""
        return f"barnabas simulate --seed {seed} --seconds {self.seconds:g}{shapes}"


def register(commands: Commands) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="run the protocols against a hostile network and hostile disks",
        examples="""
            barnabas simulate --seed 7                        one run, which can be replayed
            barnabas simulate --seeds 20 --seconds 30         many, on all cores
            barnabas simulate --seed 7 --trace --node b1      told message by message
            barnabas simulate --replay seed-7.jsonl           what a failing run has left behind
            barnabas simulate --shrink seed-7.jsonl           as little of it as still fails
            barnabas simulate --bugs                          put historic bugs back, and find each
        """,
    )
    which = simulate.add_mutually_exclusive_group()
    which.add_argument("--seed", type=whole, metavar="N", help="run this seed (default: 1)")
    which.add_argument("--seeds", type=several, metavar="N|A:B", help="run the seeds 1 to N, or A to B")
    which.add_argument("--replay", metavar="FILE", help="play the schedule in a file")
    which.add_argument("--shrink", metavar="FILE", help="make the schedule in a file as small as it still fails")
    which.add_argument("--history", metavar="FILE", help="judge what clients saw, a line of JSON per operation")
    which.add_argument("--bug", metavar="NAME", help="put a historic bug back into the actors, and find it")
    which.add_argument("--bugs", action="store_true", help="do that with every bug there is a switch for")
    simulate.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="simulated time (default: 60)")
    simulate.add_argument(
        "--shapes",
        choices=("usual", "drawn"),
        default="drawn",
        help="the cluster: brokers and controllers drawn by the seed, or three nodes that are both (default: drawn)",
    )
    simulate.add_argument("--jobs", type=positive, metavar="N", help="seeds at the same time (default: one per core)")
    simulate.add_argument(
        "--at-most", type=positive, default=2000, metavar="N", help="seeds to look for each bug in (default: 2000)"
    )
    simulate.add_argument("--save", metavar="DIR", default=".", help="where failing runs leave their schedules")
    simulate.add_argument("--trace", action="store_true", help="tell one run, a line for each message")
    simulate.add_argument("--node", metavar="NODE", help="with --trace: only this node, as in b1")
    simulate.add_argument("--partition", metavar="P", help="with --trace: only this partition, as in t0-0")
    add_json(simulate)
    simulate.set_defaults(run=run_simulate)


def several(text: str) -> range:
    """The seeds 1 to N, or A to B."""
    first, colon, last = text.partition(":")
    seeds = range(whole(first), whole(last) + 1) if colon else range(1, positive(first) + 1)
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r} are no seeds")
    return seeds


def run_simulate(arguments: argparse.Namespace) -> int:
    if arguments.bug is not None or arguments.bugs:
        from .simulate_bugs import run_bugs

        return run_bugs(arguments)
    if arguments.history is not None:
        from .simulate_history import judge_file

        return judge_file(arguments.history, as_json=arguments.json)
    if arguments.trace and (arguments.seeds is not None or arguments.json or arguments.shrink is not None):
        raise WrongUsage("--trace tells the run of one --seed or --replay, in lines and not in JSON")
    if not arguments.trace and (arguments.node or arguments.partition):
        raise WrongUsage("--node and --partition choose what --trace tells")
    if arguments.shrink is not None:
        from .simulate_schedule import run_shrink

        return run_shrink(arguments.shrink)
    ask = Ask(
        arguments.seconds,
        arguments.shapes == "usual",
        arguments.seeds is None and not arguments.json,
        arguments.trace,
        arguments.node,
        arguments.partition,
    )
    reports: list[Report] = []
    for report in _reports(arguments, ask):
        reports.append(report)
        if not report.ok:
            failure = _failure(report, ask, arguments)
            print(failure, file=sys.stderr if arguments.json else sys.stdout, flush=True)
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


def _failure(report: "Report", ask: Ask, arguments: argparse.Namespace) -> str:
    """All that is needed to look at it: the configuration, what is wrong and when, and how to see it again."""
    from .simulate_schedule import save

    lines = [report.sentence()]
    lines += [f"  {violation}" for violation in report.violations[1:20]]
    if not ask.aloud:
        lines.append(report.swarm.describe())
    lines += ["  last faults", *(f"    {fault}" for fault in report.log[-8:])]
    if arguments.replay is not None:
        return "\n".join(lines)
    path = save(report, arguments.save)
    lines.append(f"  again:  {ask.replay(report.seed)}")
    lines.append(f"  read:   {ask.replay(report.seed)} --trace [--node b1] [--partition t0-0]")
    lines.append(f"  keep:   barnabas simulate --replay {path}")
    lines.append(f"  shrink: barnabas simulate --shrink {path}")
    return "\n".join(lines)


def _reports(arguments: argparse.Namespace, ask: Ask) -> "Iterator[Report]":
    if arguments.replay is not None:
        from .simulate_schedule import play

        yield play(arguments.replay, ask)
        return
    if arguments.seeds is None:
        if not arguments.json:
            print(f"simulating {arguments.seconds:g} s of a cluster in a hostile world", flush=True)
        yield _one(1 if arguments.seed is None else arguments.seed, ask)
        return
    seeds = arguments.seeds
    if not arguments.json:
        print(f"simulating {len(seeds)} times {arguments.seconds:g} s of clusters in a hostile world", flush=True)
    jobs = min(arguments.jobs or os.cpu_count() or 1, len(seeds))
    if jobs == 1:
        yield from (_one(seed, ask) for seed in seeds)
        return
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_one, seeds, [ask] * len(seeds))


def _one(seed: int, ask: Ask) -> "Report":
    from ..simulation.run import Options, simulate

    options = Options(clusters=not ask.usual, beyond=not ask.usual)
    return told(ask, options, lambda told: simulate(seed, ask.seconds, told))


def told(ask: Ask, options: "Options", run: "Callable[[Options], Report]") -> "Report":
    """A run, with its swarm said first and all of it told if that was asked for."""
    from msgspec.structs import replace

    from ..simulation.story import Story

    stories: list[Story] = []

    def start(simulation: "Simulation") -> None:
        if ask.aloud:  # said first, so that it is known whatever happens then
            print(simulation.swarm.describe(), flush=True)
        if ask.trace:
            stories.append(Story(simulation, print, ask.node, ask.partition))

    report = run(replace(options, on_start=start))
    for story in stories:
        story.finish()
    schedule = None if report.ok else report.schedule
    return replace(report, history=[], schedule=schedule)  # what nobody reads need not travel between processes
