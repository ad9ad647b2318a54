"""`delete-records TOPIC PARTITION:OFFSET...`: give up the oldest events of a topic."""

import argparse
import re

from .arguments import Commands, WrongUsage, add_cluster, add_json, admin_of, seconds

_PLACE = re.compile(r"(\d{1,9}):(-1|end|\d{1,18})", re.ASCII)


def register(commands: Commands) -> None:
    command = commands.add_parser(
        "delete-records",
        help="delete the oldest events of a topic, up to an offset",
        examples="""
            barnabas delete-records orders 0:1000          all events of partition 0 below offset 1000
            barnabas delete-records orders 0:end 1:end     all events that are in partitions 0 and 1 now
        """,
    )
    command.add_argument("topic", metavar="TOPIC", help="its name")
    command.add_argument(
        "places", nargs="+", metavar="PARTITION:OFFSET", help="delete what is below OFFSET; `end` (or -1): all there is"
    )
    add_json(command)
    add_cluster(command)
    command.add_argument("--timeout", type=seconds, default=15.0, metavar="SECONDS", help="default: 15")
    command.set_defaults(run=run_delete_records)


def run_delete_records(arguments: argparse.Namespace) -> int:
    offsets: dict[int, int | None] = {}
    for place in arguments.places:
        match = _PLACE.fullmatch(place)
        if match is None:
            raise WrongUsage(f"`{place}` is not PARTITION:OFFSET, as in 0:1000, or 0:end for all there is")
        partition = int(match[1])
        if partition in offsets:
            raise WrongUsage(f"partition {partition} is named twice")
        offsets[partition] = None if match[2] in ("-1", "end") else int(match[2])
    with admin_of(arguments) as admin:
        starts = admin.delete_records(arguments.topic, offsets, timeout=arguments.timeout)
    if arguments.json:
        from .output import as_json

        as_json({"topic": arguments.topic, "begins": {str(partition): start for partition, start in starts.items()}})
    else:
        for partition, start in starts.items():
            print(f"{arguments.topic}-{partition} begins at offset {start}")
    return 0
