"""`chaos`: break a cluster on purpose. One blow at a running one, or a whole scenario in a cluster of its own."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import Commands, Parser, WrongUsage, add_data, add_json, data_of, positive, seconds, whole
from ..places import name, place

if TYPE_CHECKING:
    from ...cluster.blows import Arena, Blow
    from .verdict import Verdict

RUNS = "barnabas-chaos"

EXAMPLES = """
    barnabas chaos kill leader:orders/0       kill -9 of the node that leads partition 0 of orders
    barnabas chaos stop controller            SIGSTOP: it does nothing, its connections stay
    barnabas chaos cut 1 2                    what node 1 says does not reach node 2
    barnabas chaos heal                       undo all of it
    barnabas chaos list                       the scenarios that come with Barnabas
    barnabas chaos run kill-leader            one of them, in a cluster of its own, with a verdict
    barnabas chaos run random --seconds 120 --seed 7 --json    blows by chance, always the same ones
"""
NOTES = """A target is a node's id, leader:TOPIC/PARTITION, follower:TOPIC/PARTITION (in sync), replica:TOPIC/PARTITION
(whoever has it and does not lead), coordinator:GROUP, controller, broker (one that is no controller) or random."""

VERBS = {
    "kill": "kill -9 of a node",
    "stop": "SIGSTOP: it does nothing, its connections stay",
    "continue": "SIGCONT: let a stopped node go on",
    "restart": "end a node in good order, and start it again",
    "isolate": "let nothing pass between a node and the others",
    "cut": "let what one node says not reach another one",
    "slow": "let what a node says and hears come late",
    "reset": "break a node's connections to the others; they may be made again",
    "fill-disk": "let a node behave as if its disk were nearly full",
    "slow-disk": "let each flush of a node take longer",
    "fail-disk": "let a node's next flush fail, which ends it",
    "clock": "set a node's wall clock wrong",
    "corrupt": "flip two bits in a log on a node's disk",
    "wipe": "kill a node and remove its data",
}

AT = {  # for an example of each
    "stop": "controller",
    "continue": "2",
    "restart": "2",
    "cut": "1 2 --both",
    "slow": "2 --delay-ms 100 --jitter-ms 50",
    "reset": "random",
    "fill-disk": "follower:orders/0 --left-mb 10",
    "slow-disk": "2 --delay-ms 500",
    "clock": "2 --offset 3600",
    "corrupt": "follower:orders/0 orders/0",
    "wipe": "broker",
}


def register(commands: Commands) -> None:
    chaos = commands.add_parser(
        "chaos", help="break a cluster on purpose, and get a verdict", examples=EXAMPLES, notes=NOTES
    )
    verbs = chaos.add_subparsers(metavar="COMMAND", required=True, title="commands")
    assert isinstance(verbs, Commands), "parsers make their own kind"
    for verb, told in VERBS.items():
        example = f"barnabas chaos {verb} {AT.get(verb, 'leader:orders/0')}"
        _blow(verbs.add_parser(verb, help=told, examples=example, notes=NOTES), verb)
    heal = verbs.add_parser(
        "heal", help="undo all blows: continue, connect, start again", examples="barnabas chaos heal"
    )
    add_data(heal)
    heal.set_defaults(run=run_heal)
    listing = verbs.add_parser(
        "list", help="list the scenarios that come with Barnabas", examples="barnabas chaos list --json"
    )
    add_json(listing)
    listing.set_defaults(run=run_list)
    run = verbs.add_parser(
        "run",
        help="play a scenario in a cluster of its own, with a verdict",
        examples="""
            barnabas chaos run kill-leader
            barnabas chaos run random --seconds 120 --seed 7 --json    blows by chance, always the same ones
        """,
    )
    run.add_argument("scenario", metavar="SCENARIO", help="a name (`barnabas chaos list`) or a TOML file")
    run.add_argument("--seed", type=whole, metavar="N", help="repeats the choice of blows (default: by chance)")
    run.add_argument("--seconds", type=seconds, metavar="S", help="how long the faults go on (default: the file's)")
    run.add_argument("--out", metavar="DIR", help=f"where to keep history, events and verdict (default: {RUNS}/...)")
    run.add_argument("--keep", action="store_true", help="keep the nodes' data directories of a good run, too")
    add_json(run)
    run.set_defaults(run=run_scenario)


def _blow(parser: Parser, verb: str) -> None:
    parser.add_argument("target", metavar="TARGET", help="a node's id, leader:TOPIC/P, controller, random ...")
    if verb == "cut":
        parser.add_argument("other", metavar="OTHER", nargs="?", help="who does not hear it (default: all others)")
        parser.add_argument("--both", action="store_true", help="nor does it hear them")
        parser.add_argument("--deaf", action="store_true", help="it does not hear them, and is heard")
    elif verb == "slow":
        parser.add_argument("--delay-ms", type=positive, default=100, metavar="N", help="default: 100")
        parser.add_argument("--jitter-ms", type=whole, default=0, metavar="N", help="up to so much more (default: 0)")
        parser.add_argument("--bytes-per-s", type=whole, default=0, metavar="N", help="no more (default: any)")
    elif verb == "fill-disk":
        parser.add_argument("--left-mb", type=whole, default=32, metavar="N", help="megabytes left (default: 32)")
    elif verb == "slow-disk":
        parser.add_argument("--delay-ms", type=positive, default=200, metavar="N", help="per file (default: 200)")
    elif verb == "clock":
        parser.add_argument("--offset", type=float, required=True, metavar="SECONDS", help="for example 3600 or -2.5")
    elif verb == "corrupt":
        parser.add_argument("partition", metavar="TOPIC:PARTITION", help="which log, for example orders:0")
    parser.add_argument("--seed", type=whole, default=None, metavar="N", help="for targets that chance chooses")
    add_data(parser)
    parser.set_defaults(run=run_blow, verb=verb)


# --- One blow ---


def run_blow(arguments: argparse.Namespace) -> int:
    from random import Random

    from ...client import Admin
    from ...cluster.supervisor import find
    from .targets import Target, parse, resolve

    formatted = find(data_of(arguments))
    arena = _arena(arguments)
    targets = [parse(text) for text in (arguments.target, getattr(arguments, "other", None)) if text]
    for target in targets:
        if not isinstance(target, Target):
            raise WrongUsage(target)
    chance = Random(arguments.seed)
    with Admin(formatted.bootstrap) as admin:
        nodes = [resolve(target, arena, admin, chance) for target in targets if isinstance(target, Target)]
    if arguments.verb == "continue":
        from ...cluster.blows import Blow

        done = arena.undo(Blow("stop", nodes[0]))
        print(done or f"node {nodes[0]} is not running: `barnabas chaos heal` starts it again")
        return 0 if done else 1
    print(arena.strike(_made(arguments, nodes, chance.getrandbits(32))))
    return 0


def _made(arguments: argparse.Namespace, nodes: list[int], seed: int) -> "Blow":
    from ...cluster.blows import Blow

    partition: str = getattr(arguments, "partition", "")
    return Blow(
        arguments.verb,
        nodes[0],
        nodes[1] if len(nodes) > 1 else 0,
        getattr(arguments, "both", False),
        getattr(arguments, "deaf", False),
        delay_ms=getattr(arguments, "delay_ms", 0),
        jitter_ms=getattr(arguments, "jitter_ms", 0),
        bytes_per_s=getattr(arguments, "bytes_per_s", 0),
        left_bytes=getattr(arguments, "left_mb", 0) * 1_000_000,
        offset_ms=int(getattr(arguments, "offset", 0.0) * 1000),
        partition=name(place(partition)) if partition else "",
        seed=seed,
    )


def run_heal(arguments: argparse.Namespace) -> int:
    for sentence in _arena(arguments).heal() or ["there is nothing to heal"]:
        print(sentence)
    return 0


def _arena(arguments: argparse.Namespace) -> "Arena":
    """The cluster of the data directory; nodes are started as `barnabas restart` does it."""
    import subprocess

    from ...cluster.blows import Arena
    from ...cluster.formatting import ClusterRefused
    from ...cluster.supervisor import existing
    from ..nodes import restart_command

    formatted = existing(data_of(arguments))

    def start(nodes: Sequence[int]) -> None:
        for node in nodes:
            command = restart_command(formatted.directory, node)
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ClusterRefused(done.stderr.strip().removeprefix("barnabas: "))

    return Arena(formatted, start)


# --- Scenarios ---


def run_list(arguments: argparse.Namespace) -> int:
    from ..output import as_json, table
    from .scenario import load, shipped

    scenarios = [load(name) for name in shipped()]
    if arguments.json:
        as_json([{"name": scenario.name, "title": scenario.title} for scenario in scenarios])
    else:
        table(("SCENARIO", "WHAT IT DOES"), [(scenario.name, scenario.title) for scenario in scenarios])
    return 0


def run_scenario(arguments: argparse.Namespace) -> int:
    import secrets

    from ..output import as_json
    from .run import new_directory, run
    from .scenario import load

    scenario = load(arguments.scenario)
    if arguments.seconds is not None:
        scenario = scenario.lasting(arguments.seconds)
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    directory = Path(arguments.out) if arguments.out else new_directory(scenario.name, Path(RUNS))
    if directory.exists():
        raise WrongUsage(f"`{directory}` exists already, expected a directory that can be made for this run")
    if not arguments.json:
        print(f"{scenario.name}: {scenario.title} (seed {seed})", flush=True)
    verdict = run(scenario, seed, directory, _progress(quiet=arguments.json), keep=arguments.keep)
    if arguments.json:
        as_json(verdict)
    else:
        _show(verdict)
    return 0 if verdict.valid else 1


def _progress(*, quiet: bool) -> "Callable[[str], None]":
    """What becomes of the sentences of a run: with --json they go to standard error, if somebody watches."""

    def say(sentence: str) -> None:
        if not quiet:
            print(sentence, flush=True)
        elif sys.stderr.isatty():
            print(sentence, file=sys.stderr, flush=True)

    return say


def _show(verdict: "Verdict") -> None:
    from ..output import table

    print()
    table(
        ("BLOW", "NODE", "AIMED AT", "AT", "NOTICED", "NEXT ACK", "HOW IT WAS NOTICED"),
        [
            (
                blow.do,
                blow.node or "-",
                blow.target or "-",
                f"{blow.at_s:.1f} s",
                "-" if blow.detected_ms is None else f"{blow.detected_ms} ms",
                "none" if blow.next_ack_ms is None else f"{blow.next_ack_ms:.0f} ms",
                blow.noticed_as or "-",
            )
            for blow in verdict.blows
        ],
    )
    print()
    table(
        ("CLAIM", "HOLDS", "FOUND"),
        [(claim.name, "yes" if claim.holds else "NO", claim.found) for claim in verdict.claims],
    )
    print()
    print(
        f"sent {verdict.sent}, acknowledged {verdict.acknowledged}, failed {verdict.failed}, unknown "
        f"{verdict.unknown}; lost {verdict.lost}, duplicated {verdict.duplicated}, otherwise wrong {verdict.reordered}"
    )
    print(
        f"longest pause in a partition {verdict.longest_pause_ms:.0f} ms; p99 {verdict.p99_normal_ms:.0f} ms before "
        f"the faults, {verdict.p99_impact_ms:.0f} ms during them"
    )
    for example in verdict.examples:
        print(f"  {example}")
    print(f"the verdict: {'good' if verdict.valid else 'NOT GOOD'}; history, events and figures in {verdict.directory}")
