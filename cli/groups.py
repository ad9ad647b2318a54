"""`group list|describe|reset|delete`: who reads what together, how far it is, and where it goes on."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_cluster, add_json, admin_of, seconds
from .moments import EXPECTED, moment

if TYPE_CHECKING:
    from ..actors.group_admin_messages import GroupPicture, MemberPicture
    from ..client import Admin
    from ..client.consumer_core import Where
    from ..client.group_admin import GroupLag

KINDS = ("consumer", "classic")


def register(commands: Commands) -> None:
    verbs = commands.add_group("group", help="list, describe, reset and delete consumer groups")

    listing = verbs.add_parser(
        "list",
        help="list groups",
        examples="""
            barnabas group list
            barnabas group list --state Stable --json
        """,
    )
    listing.add_argument(
        "--state", action="append", default=[], metavar="STATE", help="Stable, Empty, ...; may be given again"
    )
    listing.add_argument(
        "--kind", action="append", default=[], choices=KINDS, help="of this protocol; may be given again"
    )
    add_json(listing)
    listing.set_defaults(run=run_list)

    describe = verbs.add_parser(
        "describe",
        help="tell members of groups, what they read, and how far behind they are",
        examples="""
            barnabas group describe billing
            barnabas group describe               all groups
            barnabas group describe billing --json
        """,
    )
    describe.add_argument("groups", nargs="*", metavar="GROUP", help="default: all")
    add_json(describe)
    describe.set_defaults(run=run_describe)

    reset = verbs.add_parser(
        "reset",
        help="let a group without members go on from somewhere else",
        examples="""
            barnabas group reset billing --to earliest                 all over again
            barnabas group reset billing --to latest --topic orders    only what is new, of one topic
            barnabas group reset billing --to 2h                       what came in the last two hours
            barnabas group reset billing --to 2026-03-01T12:00:00Z
            barnabas group reset billing --topic orders:3 --to 1042    one partition
            barnabas group reset billing --to earliest --dry-run       only show what would be done
        """,
    )
    reset.add_argument("group", metavar="GROUP", help="its name")
    reset.add_argument(
        "--to", required=True, metavar="WHERE", help="earliest, latest, an offset, so long ago (2h), or a date and time"
    )
    reset.add_argument(
        "--topic",
        action="append",
        metavar="TOPIC[:PARTITION]",
        help="may be given again (default: all that the group has committed)",
    )
    reset.add_argument("--dry-run", action="store_true", help="change nothing")
    add_json(reset)
    reset.set_defaults(run=run_reset)

    delete = verbs.add_parser(
        "delete",
        help="forget a group without members, or some of its offsets",
        examples="""
            barnabas group delete billing
            barnabas group delete billing --topic orders       only its offsets there
        """,
    )
    delete.add_argument("group", metavar="GROUP", help="its name")
    delete.add_argument(
        "--topic", action="append", metavar="TOPIC[:PARTITION]", help="only these offsets; may be given again"
    )
    delete.set_defaults(run=run_delete)

    for verb in (listing, describe, reset, delete):
        add_cluster(verb)
        verb.add_argument("--timeout", type=seconds, default=15.0, metavar="SECONDS", help="default: 15")


def run_list(arguments: argparse.Namespace) -> int:
    with admin_of(arguments) as admin:
        found = admin.list_groups(arguments.state, arguments.kind, timeout=arguments.timeout)
    from .output import as_json, table

    if arguments.json:
        as_json([{"group": one.group, "kind": one.kind, "state": one.state} for one in found])
    elif found:
        table(("GROUP", "KIND", "STATE"), [(one.group, one.kind, one.state) for one in found])
    else:
        print("there are no groups" if not arguments.state and not arguments.kind else "there are no such groups")
    return 0


def run_describe(arguments: argparse.Namespace) -> int:
    from .output import as_json

    with admin_of(arguments) as admin:
        names = arguments.groups or [one.group for one in admin.list_groups(timeout=arguments.timeout)]
        found = [
            (admin.describe_group(name, timeout=arguments.timeout), admin.group_lags(name, timeout=arguments.timeout))
            for name in names
        ]
    if arguments.json:
        as_json([_plain(picture, rows) for picture, rows in found])
    elif not found:
        print("there are no groups")
    else:
        for picture, rows in found:
            _show(picture, rows)
    return 0


def run_reset(arguments: argparse.Namespace) -> int:
    to = _where(arguments.to)
    from .output import as_json, table

    with admin_of(arguments) as admin:
        places = _places(admin, arguments.topic, arguments.timeout) if arguments.topic else None
        before = admin.group_offsets(arguments.group, timeout=arguments.timeout)
        after = admin.plan_reset(arguments.group, to, places, timeout=arguments.timeout)
        if not arguments.dry_run:
            admin.set_group_offsets(arguments.group, after, timeout=arguments.timeout)
    rows = [(at.topic, at.partition, before.get(at), offset) for at, offset in sorted(after.items())]
    if arguments.json:
        as_json([{"topic": topic, "partition": index, "before": old, "after": new} for topic, index, old, new in rows])
    else:
        shown = [(topic, index, "-" if old is None else old, new) for topic, index, old, new in rows]
        table(("TOPIC", "PARTITION", "BEFORE", "AFTER"), shown)
        if arguments.dry_run:
            print("nothing was changed")
    return 0


def run_delete(arguments: argparse.Namespace) -> int:
    with admin_of(arguments) as admin:
        if not arguments.topic:
            admin.delete_group(arguments.group, timeout=arguments.timeout)
            print(f"deleted group {arguments.group}")
            return 0
        places = _places(admin, arguments.topic, arguments.timeout)
        admin.delete_group_offsets(arguments.group, places, timeout=arguments.timeout)
    print(f"group {arguments.group} has no offsets of {', '.join(arguments.topic)} any more")
    return 0


# --- What is meant ---


def _where(text: str) -> "Where":
    if text in {"earliest", "latest"}:
        return text
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return datetime.fromtimestamp(moment(text) / 1000, UTC)
    except argparse.ArgumentTypeError:
        raise WrongUsage(f"--to takes earliest, latest, an offset, {EXPECTED}, not `{text}`") from None


def _places(admin: "Admin", topics: Sequence[str], timeout: float) -> list[tuple[str, int]]:
    """The partitions of `orders` or `orders:3`."""
    places: dict[tuple[str, int], None] = {}
    for text in topics:
        name, colon, index = text.partition(":")
        if colon and not (index.isascii() and index.isdecimal()):
            raise WrongUsage(f"--topic takes TOPIC or TOPIC:PARTITION, not `{text}`")
        if colon:
            places[name, int(index)] = None
        else:
            [topic] = admin.describe_topics([name], timeout=timeout)
            places.update(((name, partition.index), None) for partition in topic.partitions)
    return [*places]


# --- How it looks ---


def _show(picture: "GroupPicture", rows: "Sequence[GroupLag]") -> None:
    from .output import table

    members = len(picture.members)
    many = "no members" if members == 0 else "one member" if members == 1 else f"{members} members"
    behind = sum(row.lag or 0 for row in rows)
    protocol = f", assignor {picture.protocol}" if picture.protocol else ""
    print(
        f"group {picture.group}: {picture.state}, {picture.kind}{protocol}, epoch {picture.epoch}, {many}, lag {behind}"
    )
    if picture.members:
        table(
            ("MEMBER", "CLIENT", "HOST", "EPOCH", "STATE", "PARTITIONS"),
            [
                (
                    _short(member),
                    member.client_id or "-",
                    member.host or "-",
                    member.epoch,
                    member.state or "-",
                    sum(len(of.partitions) for of in member.assigned),
                )
                for member in picture.members
            ],
        )
    if rows:
        table(
            ("TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"),
            [
                (
                    row.topic,
                    row.partition,
                    "-" if row.committed is None else row.committed,
                    "-" if row.end is None else row.end,
                    "-" if row.lag is None else row.lag,
                    row.member[:8] or "-",
                )
                for row in rows
            ],
        )


def _short(member: "MemberPicture") -> str:
    return f"{member.instance} ({member.member[:8]})" if member.instance else member.member[:8]


def _plain(picture: "GroupPicture", rows: "Sequence[GroupLag]") -> dict[str, object]:
    return {
        "group": picture.group,
        "kind": picture.kind,
        "state": picture.state,
        "protocol": picture.protocol,
        "epoch": picture.epoch,
        "leader": picture.leader,
        "lag": sum(row.lag or 0 for row in rows),
        "members": [
            {
                "member": member.member,
                "instance": member.instance,
                "client_id": member.client_id,
                "host": member.host,
                "epoch": member.epoch,
                "state": member.state,
                "topics": member.topics,
                "pattern": member.pattern,
            }
            for member in picture.members
        ],
        "partitions": [row._asdict() for row in rows],
    }
