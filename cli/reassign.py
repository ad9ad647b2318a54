"""`reassign plan|execute|show|cancel|throttle`: partitions move to other brokers."""

import argparse
import re
from typing import TYPE_CHECKING

from .arguments import Commands, Parser, WrongUsage, add_cluster, add_json, admin_of, seconds, whole
from .moving import await_moves, moves, size
from .places import Place, as_file, name, place, target, targets_in

if TYPE_CHECKING:
    from ..actors.messages import Described
    from ..client import Admin
    from ..client.plans import Plan

UNITS = {"": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}


def register(commands: Commands) -> None:
    verbs = commands.add_group("reassign", help="move partitions to other brokers, and watch them move")

    plan = verbs.add_parser(
        "plan",
        help="tell what would move, and change nothing",
        examples="""
            barnabas reassign plan                         so that all brokers have their share
            barnabas reassign plan --brokers 2,3,4         so that these keep everything
            barnabas reassign plan --json > plan.json      to be thought over, and executed
        """,
    )
    add_choice(plan)
    add_json(plan)
    plan.set_defaults(run=run_plan)

    execute = verbs.add_parser(
        "execute",
        help="move partitions, and wait until they are there",
        examples="""
            barnabas reassign execute                                  what `plan` would say now
            barnabas reassign execute plan.json --throttle 20MB        at most so much a second to each broker
            barnabas reassign execute --partition orders:0=4,2,3       this one, broker 4 to lead it
        """,
        notes="It may be interrupted: what has begun goes on. Asked for again, it does what is left.",
    )
    execute.add_argument("file", nargs="?", metavar="PLAN", help="as `plan --json` prints; default: made now")
    add_choice(execute)
    execute.add_argument(
        "--partition",
        action="append",
        default=[],
        metavar="TOPIC:N=BROKER,...",
        help="this one; may be given again",
    )
    execute.add_argument("--throttle", type=rate, metavar="RATE", help="bytes per second to each broker: 20MB")
    execute.add_argument("--no-wait", action="store_true", help="return when it has begun; a --throttle stays then")
    execute.set_defaults(run=run_execute)

    show = verbs.add_parser(
        "show",
        help="tell which partitions move, and how far they are",
        examples="""
            barnabas reassign show
            barnabas reassign show --json
        """,
    )
    add_json(show)
    show.set_defaults(run=run_show)

    cancel = verbs.add_parser(
        "cancel",
        help="let partitions stay where they were",
        examples="""
            barnabas reassign cancel                  all that move
            barnabas reassign cancel orders:0
        """,
    )
    cancel.add_argument("partitions", nargs="*", metavar="TOPIC:PARTITION", help="default: all that move")
    cancel.set_defaults(run=run_cancel)

    throttle = verbs.add_parser(
        "throttle",
        help="limit how fast partitions move",
        examples="""
            barnabas reassign throttle 20MB           bytes per second, to each broker
            barnabas reassign throttle off
        """,
        notes="Only what moves is slowed down, until it is in sync.",
    )
    throttle.add_argument("rate", metavar="RATE", help="bytes per second, with kB, MB or GB; or off")
    throttle.set_defaults(run=run_throttle)

    for verb in (plan, execute, show, cancel, throttle):
        add_cluster(verb)
        verb.add_argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="of a question; default: 30")


def add_choice(parser: Parser) -> None:
    """What a plan is about."""
    parser.add_argument("--brokers", type=brokers, metavar="N,N,...", help="that keep everything; default: all")
    parser.add_argument(
        "--topic", action="append", metavar="TOPIC", help="only this one; may be given again; default: all"
    )


def brokers(text: str) -> list[int]:
    """`1,2,3`."""
    return [whole(word) for word in text.split(",")]


def rate(text: str) -> int:
    """`20MB`: bytes per second."""
    match = re.fullmatch(r"(\d{1,12})(kb|mb|gb|)(?:/s)?", text.lower())
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate, expected a number of bytes such as 500kB or 20MB")
    return int(match[1]) * UNITS[match[2]]


def run_plan(arguments: argparse.Namespace) -> int:
    from ..client.plans import effect_of
    from .output import as_json, numbers, table

    with admin_of(arguments) as admin:
        picture = admin.describe_cluster(timeout=arguments.timeout)
    plan = _planned(picture, arguments)
    if arguments.json:
        as_json(as_file(plan))
        return 0
    if not plan:
        print("nothing would move: every broker has its share")
        return 0
    now = {(topic.name, part.index): part for topic in picture.topics for part in topic.partitions}
    table(
        ("PARTITION", "FROM", "TO", "COPIED TO"),
        [
            (name(of), numbers(now[of].replicas), numbers(replicas), numbers(sorted({*replicas} - {*now[of].replicas})))
            for of, replicas in plan.items()
        ],
    )
    effect = effect_of(picture, plan)
    print(f"{effect.moved} of {effect.replicas} replicas are copied to another broker ({100 * effect.share:.1f} %)")
    table(
        ("BROKER", "REPLICAS NOW", "THEN"),
        [(broker, count, effect.after.get(broker, 0)) for broker, count in effect.before.items()],
    )
    return 0


def _planned(picture: "Described", arguments: argparse.Namespace) -> "Plan":
    from ..client.errors import UnknownTopic
    from ..client.plans import plan_of

    known = {topic.name for topic in picture.topics}
    for topic in arguments.topic or ():
        if topic not in known:
            raise UnknownTopic(f"there is no topic {topic}: check its name with `barnabas topic list`")
    return plan_of(picture, arguments.brokers, arguments.topic)


def run_execute(arguments: argparse.Namespace) -> int:
    given = [arguments.file is not None, bool(arguments.partition), bool(arguments.brokers or arguments.topic)]
    if sum(given) > 1:
        raise WrongUsage("give a file, --partition, or --brokers and --topic: they are three ways to say what moves")
    with admin_of(arguments) as admin:
        picture = admin.describe_cluster(timeout=arguments.timeout)
        plan: Plan
        if arguments.partition:
            plan = dict(target(text) for text in arguments.partition)
        elif arguments.file is not None:
            plan = targets_in(arguments.file)
        else:
            plan = _planned(picture, arguments)
        if not plan:
            print("nothing moves: every broker has its share")
            return 0
        if arguments.throttle is not None:
            _throttle(admin, arguments.throttle, arguments.timeout)
        return _carried_out(admin, plan, arguments)


def _carried_out(admin: "Admin", plan: "Plan", arguments: argparse.Namespace) -> int:
    from .main import say

    refused = admin.reassign(plan, timeout=arguments.timeout)
    begun = {*plan} - {(one.topic, one.index) for one in refused}
    for one in refused[:5]:
        say(one.reason)
    if len(refused) > 5:
        say(f"{len(refused) - 5} more were refused")
    if not arguments.no_wait:
        await_moves(admin, lambda picture: _left(picture, begun), arguments.timeout)
        if arguments.throttle is not None:
            _throttle(admin, None, arguments.timeout)
    verb = "moves" if len(begun) == 1 else "move"
    verb = verb if arguments.no_wait else "is" if len(begun) == 1 else "are"
    where = "" if arguments.no_wait else " where the plan says"
    if begun:
        print(f"{len(begun)} {'partition' if len(begun) == 1 else 'partitions'} {verb}{where}")
    return 1 if refused else 0


def _left(picture: "Described", of: set[Place]) -> list[Place]:
    return [
        (topic.name, part.index)
        for topic in picture.topics
        for part in topic.partitions
        if part.target and (topic.name, part.index) in of
    ]


def run_show(arguments: argparse.Namespace) -> int:
    from .output import as_json, numbers, table

    with admin_of(arguments) as admin:
        picture = admin.describe_cluster(timeout=arguments.timeout)
        found = moves(admin, picture, arguments.timeout)
    if arguments.json:
        as_json(
            [
                {
                    "topic": move.topic,
                    "partition": move.partition,
                    "from": list(move.before),
                    "to": list(move.target),
                    "bytes": move.size,
                    "copied": move.copied,
                }
                for move in found
            ]
        )
    elif not found:
        print("no partition moves")
    else:
        table(
            ("PARTITION", "FROM", "TO", "COPIED", "OF"),
            [
                (
                    name((move.topic, move.partition)),
                    numbers(move.before),
                    numbers(move.target),
                    f"{move.percent} %",
                    size(move.size),
                )
                for move in found
            ],
        )
    return 0


def run_cancel(arguments: argparse.Namespace) -> int:
    from .main import say

    named = [place(text) for text in arguments.partitions]
    with admin_of(arguments) as admin:
        moving = [(one.topic, one.index) for one in admin.reassignments(timeout=arguments.timeout)]
        chosen = named or moving
        if not chosen:
            print("no partition moves: there is nothing to cancel")
            return 0
        refused = admin.reassign(dict.fromkeys(chosen), timeout=arguments.timeout)
    for one in refused:
        say(one.reason)
    stay = len(chosen) - len(refused)
    print(f"{stay} {'partition stays where it was' if stay == 1 else 'partitions stay where they were'}")
    return 1 if refused else 0


def run_throttle(arguments: argparse.Namespace) -> int:
    given: str = arguments.rate
    try:
        wanted = None if given.lower() == "off" else rate(given)
    except argparse.ArgumentTypeError as error:
        raise WrongUsage(f"{error}, or off") from None
    with admin_of(arguments) as admin:
        _throttle(admin, wanted, arguments.timeout)
    print("partitions move as fast as they can" if wanted is None else f"{size(wanted)} a second move to each broker")
    return 0


def _throttle(admin: "Admin", wanted: int | None, timeout: float) -> None:
    from ..actors.broker_configs import MOVE_RATE

    if wanted is None:
        admin.alter_broker_configs(delete=[MOVE_RATE], timeout=timeout)
    else:
        admin.alter_broker_configs(configs={MOVE_RATE: str(wanted)}, timeout=timeout)
