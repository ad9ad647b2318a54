"""`topic create|list|describe|delete`; `alter` and `configs` are in a file of their own."""

import argparse
from typing import TYPE_CHECKING

from . import topic_changes
from .arguments import Commands, add_cluster, add_json, admin_of, positive, seconds
from .configs import given

if TYPE_CHECKING:
    from ..actors.messages import TopicPicture


def register(commands: Commands) -> None:
    verbs = commands.add_group("topic", help="create, list, describe, alter and delete topics")

    create = verbs.add_parser(
        "create",
        help="create a topic",
        examples="""
            barnabas topic create orders --partitions 6
            barnabas topic create ledger --replication 3 --config min.insync.replicas=2 --config retention.ms=-1
            barnabas topic create clicks --config durability=os     acknowledged means in the page cache, as in Kafka
        """,
    )
    create.add_argument("topic", metavar="TOPIC", help="its name")
    create.add_argument("--partitions", type=positive, default=-1, metavar="N", help="default: as the cluster says")
    create.add_argument("--replication", type=positive, default=-1, metavar="N", help="default: as the cluster says")
    create.add_argument(
        "--config", action="append", default=[], metavar="NAME=VALUE", help="min.insync.replicas=2, durability=os, ..."
    )
    create.set_defaults(run=run_create)

    listing = verbs.add_parser(
        "list",
        help="list topics",
        examples="""
            barnabas topic list
            barnabas topic list --json
        """,
    )
    add_json(listing)
    listing.set_defaults(run=run_list)

    describe = verbs.add_parser(
        "describe",
        help="tell leaders, replicas and configs of topics",
        examples="""
            barnabas topic describe                  all topics
            barnabas topic describe orders --json
        """,
    )
    describe.add_argument("topics", nargs="*", metavar="TOPIC", help="default: all")
    add_json(describe)
    describe.set_defaults(run=run_describe)

    delete = verbs.add_parser(
        "delete",
        help="delete a topic and all its events",
        examples="""
            barnabas topic delete orders
        """,
    )
    delete.add_argument("topic", metavar="TOPIC", help="its name")
    delete.set_defaults(run=run_delete)

    topic_changes.register(verbs)
    for verb in (create, listing, describe, delete):
        add_cluster(verb)
        verb.add_argument("--timeout", type=seconds, default=15.0, metavar="SECONDS", help="default: 15")


def run_create(arguments: argparse.Namespace) -> int:
    configs = given(arguments.config)
    with admin_of(arguments) as admin:
        admin.create_topic(
            arguments.topic, arguments.partitions, arguments.replication, configs, timeout=arguments.timeout
        )
    print(f"created topic {arguments.topic}")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    from .output import as_json

    with admin_of(arguments) as admin:
        names = admin.list_topics(timeout=arguments.timeout)
    if arguments.json:
        as_json(names)
    else:
        for name in names:
            print(name)
    return 0


def run_describe(arguments: argparse.Namespace) -> int:
    from .output import as_json

    with admin_of(arguments) as admin:
        pictures = admin.describe_topics(arguments.topics or None, timeout=arguments.timeout)
    if arguments.json:
        as_json([_plain(picture) for picture in pictures])
        return 0
    for picture in pictures:
        _show(picture)
    return 0


def run_delete(arguments: argparse.Namespace) -> int:
    with admin_of(arguments) as admin:
        admin.delete_topic(arguments.topic, timeout=arguments.timeout)
    print(f"deleted topic {arguments.topic}")
    return 0


def _plain(picture: "TopicPicture") -> dict[str, object]:
    return {
        "name": picture.name,
        "id": picture.id,
        "configs": dict(sorted(picture.configs.items())),
        "partitions": [
            {
                "partition": partition.index,
                "leader": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "partition_epoch": partition.partition_epoch,
                "replicas": partition.replicas,
                "isr": partition.isr,
                "elr": partition.elr,
            }
            for partition in picture.partitions
        ],
    }


def _show(picture: "TopicPicture") -> None:
    from .output import numbers, table, wrapped

    durability = picture.configs.get("durability", "?")
    meaning = {"fsync": "acknowledged means on disk", "os": "acknowledged means in the page cache"}.get(durability, "")
    print(f"topic {picture.name}, id {picture.id}, durability {durability} ({meaning})")
    configs = ", ".join(f"{name}={value}" for name, value in sorted(picture.configs.items()))
    print(wrapped(configs, indent=2))
    table(
        ("PARTITION", "LEADER", "EPOCH", "REPLICAS", "IN SYNC", "ELIGIBLE"),
        [
            (
                partition.index,
                "none" if partition.leader < 0 else partition.leader,
                partition.leader_epoch,
                numbers(partition.replicas),
                numbers(partition.isr),
                numbers(partition.elr),
            )
            for partition in picture.partitions
        ],
    )
