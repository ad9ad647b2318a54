"""`topic alter|configs`: topics that change while they are used."""

import argparse

from .arguments import Commands, WrongUsage, add_cluster, add_json, admin_of, positive, seconds
from .configs import add_all, add_changes, given, show


def register(verbs: Commands) -> None:
    """Below `topic`."""
    alter = verbs.add_parser(
        "alter",
        help="add partitions to a topic, or change its configs",
        examples="""
            barnabas topic alter orders --partitions 12
            barnabas topic alter orders --config retention.ms=86400000 --config segment.ms=3600000
            barnabas topic alter orders --delete-config retention.ms     as the cluster says again
        """,
        notes="Events with a key that are written after partitions were added may go to another one than before.",
    )
    alter.add_argument("topic", metavar="TOPIC", help="its name")
    alter.add_argument("--partitions", type=positive, metavar="N", help="how many it shall have, more than now")
    add_changes(alter)
    alter.set_defaults(run=run_alter)

    configs = verbs.add_parser(
        "configs",
        help="tell the configs of a topic, and where each comes from",
        examples="""
            barnabas topic configs orders            those that were set somewhere
            barnabas topic configs orders --all
        """,
    )
    configs.add_argument("topic", metavar="TOPIC", help="its name")
    add_all(configs)
    add_json(configs)
    configs.set_defaults(run=run_configs)

    for verb in (alter, configs):
        add_cluster(verb)
        verb.add_argument("--timeout", type=seconds, default=15.0, metavar="SECONDS", help="default: 15")


def run_alter(arguments: argparse.Namespace) -> int:
    configs, taken_back = given(arguments.config), list(arguments.delete_config)
    if arguments.partitions is None and not configs and not taken_back:
        raise WrongUsage("give --partitions, --config or --delete-config: there is nothing to alter")
    topic: str = arguments.topic
    with admin_of(arguments) as admin:
        if configs or taken_back:
            admin.alter_configs(topic, configs, taken_back, timeout=arguments.timeout)
            print(f"altered the configs of topic {topic}")
        if arguments.partitions is not None:
            admin.add_partitions(topic, arguments.partitions, timeout=arguments.timeout)
            print(f"topic {topic} has {arguments.partitions} partitions")
    return 0


def run_configs(arguments: argparse.Namespace) -> int:
    with admin_of(arguments) as admin:
        entries = admin.describe_configs(arguments.topic, timeout=arguments.timeout)
    show(entries, arguments)
    return 0
