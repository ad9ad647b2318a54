"""`elect-leaders`: preferred leaders lead again; or, where everything else is lost, whoever is left."""

import argparse
import sys
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_cluster, admin_of, seconds
from .places import Place, name, place

if TYPE_CHECKING:
    from ..actors.admin_messages import PartitionOutcome
    from ..actors.messages import Described, LogPicture, PartitionPicture, TopicId
    from ..client import Admin


def register(commands: Commands) -> None:
    elect = commands.add_parser(
        "elect-leaders",
        help="let preferred leaders lead, or let a replica lead that may lack records",
        examples="""
            barnabas elect-leaders                          wherever the preferred leader is in sync and does not lead
            barnabas elect-leaders orders:0 orders:1
            barnabas elect-leaders orders:0 --unclean       tell what would be given up
            barnabas elect-leaders orders:0 --unclean --yes
        """,
        notes="An unclean election is for partitions without a leader whose complete replicas are gone for good: what "
        "only those had is lost. The replica with the longest log is chosen.",
    )
    elect.add_argument("partitions", nargs="*", metavar="TOPIC:PARTITION", help="default: all (not with --unclean)")
    elect.add_argument("--unclean", action="store_true", help="whoever is up may lead, with what it has")
    elect.add_argument("--yes", action="store_true", help="with --unclean: do it, and not only tell what it costs")
    add_cluster(elect)
    elect.add_argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="default: 30")
    elect.set_defaults(run=run_elect)


def run_elect(arguments: argparse.Namespace) -> int:
    chosen = [place(text) for text in arguments.partitions]
    if arguments.unclean and not chosen:
        raise WrongUsage("--unclean gives up records: name the partitions, as TOPIC:PARTITION")
    if arguments.yes and not arguments.unclean:
        raise WrongUsage("--yes belongs to --unclean")
    with admin_of(arguments) as admin:
        if arguments.unclean:
            return _unclean(admin, chosen, arguments)
        outcomes = admin.elect_leaders(chosen or None, timeout=arguments.timeout)
    return _told(outcomes, "led by the preferred leader now")


def _told(outcomes: "list[PartitionOutcome]", what: str) -> int:
    from ..actors.errors import ErrorCode
    from .main import say

    refused = [one for one in outcomes if one.error not in (ErrorCode.NONE, ErrorCode.ELECTION_NOT_NEEDED)]
    for one in refused:
        say(one.reason)
    elected = sum(one.error is ErrorCode.NONE for one in outcomes)
    if elected or not refused:
        print(f"{elected} {'partition is' if elected == 1 else 'partitions are'} {what}")
    return 1 if refused else 0


def _unclean(admin: "Admin", chosen: list[Place], arguments: argparse.Namespace) -> int:
    """Tell what each partition gives up, and, if that was meant, elect."""
    from ..client.errors import Refused

    picture = admin.describe_cluster(timeout=arguments.timeout)
    leaders: dict[Place, int] = {}
    for of in chosen:
        topic_id, part = _found(picture, of)
        logs = _logs(admin, picture, topic_id, part, arguments.timeout)
        if part.leader >= 0:
            raise Refused(f"{name(of)} needs no unclean election: broker {part.leader} leads it")
        if not logs:
            raise Refused(f"{name(of)} has no replica that is up: start one of {', '.join(map(str, part.replicas))}")
        leader = max(logs, key=lambda broker: (logs[broker].last_epoch, logs[broker].end, -broker))
        leaders[of] = leader
        _report(of, part, logs, leader)
    if not arguments.yes:
        print("nothing was changed: give --yes to let them lead with what they have", file=sys.stderr)
        return 1
    return _told(admin.elect_unclean(leaders, timeout=arguments.timeout), "led uncleanly now")


def _found(picture: "Described", of: Place) -> "tuple[TopicId, PartitionPicture]":
    from ..client.errors import UnknownTopic

    for topic in picture.topics:
        if topic.name == of[0] and of[1] < len(topic.partitions):
            return topic.id, topic.partitions[of[1]]
    raise UnknownTopic(f"there is no partition {name(of)}: check its name with `barnabas topic describe`")


def _logs(
    admin: "Admin", picture: "Described", topic_id: "TopicId", part: "PartitionPicture", timeout: float
) -> "dict[int, LogPicture]":
    """What each replica that is up has of it."""
    from ..actors.messages import Partition

    up = {broker.broker for broker in picture.brokers if not broker.fenced}
    found = {}
    for broker in part.replicas:
        if broker in up:
            for log in admin.describe_logs(broker, [Partition(topic_id, part.index)], timeout=timeout):
                found[broker] = log
    return found


def _report(of: Place, part: "PartitionPicture", logs: "dict[int, LogPicture]", leader: int) -> None:
    chosen = logs[leader]
    print(f"{name(of)}: broker {leader} would lead: it ends at {chosen.end}, in leader epoch {chosen.last_epoch}")
    for broker, log in sorted(logs.items()):
        if broker != leader:
            print(f"  broker {broker} ends at {log.end}, in leader epoch {log.last_epoch}")
    for broker in part.replicas:
        if broker not in logs:
            had = " had every committed record and" if broker in part.elr else ""
            print(f"  broker {broker}{had} is down: what only it has is lost")
    committed = max(log.hw for log in logs.values())
    if committed > chosen.end:
        print(f"  known to be given up: offsets {chosen.end} to {committed - 1}, which were committed")
    else:
        print(f"  known to be committed is what lies below {committed}, and that is kept; more may have been")
