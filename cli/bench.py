"""`bench failover|start|idle`: measurements that clean up after themselves."""

import argparse

from .arguments import Commands, add_json, positive, seconds


def register(commands: Commands) -> None:
    bench = commands.add_parser("bench", help="measure failover, start and idle cost")
    verbs = bench.add_subparsers(metavar="COMMAND", required=True)

    failover = verbs.add_parser("failover", help="kill leaders under load: how long do writes stand still?")
    failover.add_argument("--kills", type=positive, default=20, metavar="N", help="default: 20")
    failover.add_argument("--signal", choices=("KILL", "STOP"), default="KILL", help="default: KILL")
    failover.add_argument(
        "--for", dest="pause", type=seconds, default=10.0, metavar="SECONDS", help="how long STOP lasts (default: 10)"
    )
    failover.set_defaults(run=run_failover)

    start = verbs.add_parser("start", help="`up --detach` plus one write by a fresh `produce`")
    start.add_argument("--times", type=positive, default=10, metavar="N", help="default: 10")
    start.set_defaults(run=run_start)

    idle = verbs.add_parser("idle", help="what a cluster costs that nobody uses")
    idle.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="default: 60")
    idle.set_defaults(run=run_idle)

    for verb in (failover, start, idle):
        add_json(verb)


def run_failover(arguments: argparse.Namespace) -> int:
    from ..bench.failover import run

    return run(arguments)


def run_start(arguments: argparse.Namespace) -> int:
    from ..bench.start import run_start as run

    return run(arguments)


def run_idle(arguments: argparse.Namespace) -> int:
    from ..bench.start import run_idle as run

    return run(arguments)
