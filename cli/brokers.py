"""`broker list|add|decommission|remove|configs|alter`: brokers come, go, and are told how to be."""

import argparse
import time
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_cluster, add_data, add_json, admin_of, data_of, positive, seconds
from .configs import add_all, add_changes, given, show
from .moving import await_moves

if TYPE_CHECKING:
    from ..actors.messages import BrokerPicture, Described
    from ..client import Admin


START_S = 30.0
"""How long a broker may take to come into service, or to be known to be gone."""


def register(commands: Commands) -> None:
    verbs = commands.add_group("broker", help="list, add, decommission and configure brokers")

    listing = verbs.add_parser(
        "list",
        help="list brokers with what they keep and lead",
        examples="""
            barnabas broker list
            barnabas broker list --json
        """,
    )
    add_json(listing)
    listing.set_defaults(run=run_list)

    add = verbs.add_parser(
        "add",
        help="add brokers to the cluster that runs from the data directory",
        examples="""
            barnabas broker add                       one more, on free ports of this machine
            barnabas broker add --rack r2
            barnabas broker add cluster.toml          those of this file that the cluster does not have
        """,
        notes="It gets no partition by itself: `barnabas reassign execute` gives it its share. On another machine, or "
        "in a container, format a node with `barnabas node CONFIG --id N --format --cluster-id ID` and start it there.",
    )
    add.add_argument("config", nargs="?", metavar="CONFIG", help="a cluster file with more [[node]] than are running")
    add.add_argument("--id", type=positive, metavar="N", help="of the new broker; default: the next one")
    add.add_argument("--rack", metavar="RACK", help="where it is; replicas are spread over racks")
    add_data(add)
    add.set_defaults(run=run_add)

    decommission = verbs.add_parser(
        "decommission",
        help="let a broker go: what it has moves to others",
        examples="""
            barnabas broker decommission 1            and wait until it keeps nothing
            barnabas broker decommission 1 --no-wait
            barnabas broker decommission 1 --cancel
        """,
        notes="It may be interrupted: the controller goes on. Afterwards `barnabas broker remove` forgets the broker.",
    )
    decommission.add_argument("broker", type=positive, metavar="N", help="its id")
    decommission.add_argument(
        "--cancel", action="store_true", help="it stays after all; what moves is not brought back"
    )
    decommission.add_argument("--no-wait", action="store_true", help="return when it has begun")
    decommission.set_defaults(run=run_decommission)

    remove = verbs.add_parser(
        "remove",
        help="forget a broker that keeps nothing",
        examples="""
            barnabas broker remove 4
        """,
        notes="If it runs from the data directory, it is stopped first. Its files stay where they are.",
    )
    remove.add_argument("broker", type=positive, metavar="N", help="its id")
    remove.set_defaults(run=run_remove)

    configs = verbs.add_parser(
        "configs",
        help="tell the configs of a broker, or of all",
        examples="""
            barnabas broker configs                   what holds for all brokers
            barnabas broker configs 2 --all
        """,
    )
    configs.add_argument("broker", nargs="?", type=positive, metavar="N", help="its id; default: all brokers")
    add_all(configs)
    add_json(configs)
    configs.set_defaults(run=run_configs)

    alter = verbs.add_parser(
        "alter",
        help="change configs of a broker, or of all",
        examples="""
            barnabas broker alter --config log.retention.ms=86400000        of all topics that do not say otherwise
            barnabas broker alter 2 --config follower.replication.throttled.rate=20000000
            barnabas broker alter --delete-config log.retention.ms
        """,
    )
    alter.add_argument("broker", nargs="?", type=positive, metavar="N", help="its id; default: all brokers")
    add_changes(alter)
    alter.set_defaults(run=run_alter)

    for verb in (listing, decommission, remove, configs, alter):
        add_cluster(verb)
        verb.add_argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="of a question; default: 30")


def run_list(arguments: argparse.Namespace) -> int:
    from .output import as_json, table

    with admin_of(arguments) as admin:
        picture = admin.describe_cluster(timeout=arguments.timeout)
    parts = [part for topic in picture.topics for part in topic.partitions]
    rows = [
        {
            "broker": broker.broker,
            "address": broker.endpoint.removeprefix("tcp://"),
            "state": _state(broker, picture),
            "rack": broker.rack or None,
            "replicas": sum(broker.broker in part.replicas for part in parts),
            "in_sync": sum(broker.broker in part.isr for part in parts),
            "leads": sum(broker.broker == part.leader for part in parts),
        }
        for broker in picture.brokers
    ]
    if arguments.json:
        as_json(rows)
        return 0
    table(
        ("BROKER", "ADDRESS", "STATE", "RACK", "REPLICAS", "IN SYNC", "LEADS"),
        [tuple(value if value is not None else "-" for value in row.values()) for row in rows],
    )
    return 0


def _state(broker: "BrokerPicture", picture: "Described") -> str:
    state = "fenced" if broker.fenced else "stopping" if broker.stopping else "serving"
    if not broker.draining:
        return state
    return f"{state}, {'draining' if _kept(picture, broker.broker) else 'drained'}"


def _kept(picture: "Described", broker: int) -> list[tuple[str, int]]:
    """The partitions that a broker keeps a replica of."""
    return [
        (topic.name, part.index) for topic in picture.topics for part in topic.partitions if broker in part.replicas
    ]


def run_add(arguments: argparse.Namespace) -> int:
    from ..client import Admin
    from ..cluster.config import load
    from ..cluster.growing import added, another, newcomers
    from ..cluster.launcher import Launcher
    from ..cluster.node_process import run_forked
    from ..cluster.supervisor import await_process, find

    before = find(data_of(arguments))
    if arguments.config is not None:
        if arguments.id is not None or arguments.rack is not None:
            raise WrongUsage("--id and --rack are for a broker that is in no file")
        nodes = newcomers(before, load(arguments.config))
    else:
        nodes = [another(before, arguments.id, arguments.rack)]
    formatted = added(before, nodes)
    launcher = Launcher(formatted, run_forked)
    for node in nodes:
        await_process(formatted, launcher, node.id, launcher.start(node.id))
    with Admin(before.bootstrap) as admin:
        for node in nodes:
            _await(admin, node.id, fenced=False)
            address = formatted.config.node(node.id).address.removeprefix("tcp://")
            print(f"broker {node.id} serves at {address}")
    print("it keeps nothing yet: `barnabas reassign execute` gives it its share")
    return 0


def run_decommission(arguments: argparse.Namespace) -> int:
    broker: int = arguments.broker
    with admin_of(arguments) as admin:
        admin.decommission(broker, arguments.cancel, timeout=arguments.timeout)
        if arguments.cancel:
            print(f"broker {broker} stays")
            return 0
        if arguments.no_wait:
            print(f"broker {broker} is being decommissioned: `barnabas broker list` tells how far it is")
            return 0
        await_moves(admin, lambda picture: _kept(picture, broker), arguments.timeout)
    print(f"broker {broker} keeps nothing any more: `barnabas broker remove {broker}` forgets it")
    return 0


def run_remove(arguments: argparse.Namespace) -> int:
    from ..cluster.growing import removed, stopped

    broker: int = arguments.broker
    with admin_of(arguments) as admin:
        picture = admin.describe_cluster(timeout=arguments.timeout)
        kept = _kept(picture, broker)
        if not kept and stopped(data_of(arguments), broker, picture.cluster_id):  # else the cluster says what is wrong
            _await(admin, broker, fenced=True)
        admin.remove_broker(broker, timeout=arguments.timeout)
    removed(data_of(arguments), broker, picture.cluster_id)
    print(f"broker {broker} is no part of the cluster any more")
    return 0


def _await(admin: "Admin", broker: int, *, fenced: bool) -> None:
    """Until a broker serves, or is known not to; or until that takes too long: what comes next will say so."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = [one.fenced for one in admin.describe_cluster(timeout=START_S).brokers if one.broker == broker]
        if found == [fenced]:
            return
        time.sleep(0.1)  # nothing tells a client of brokers: the picture is looked at again


def run_configs(arguments: argparse.Namespace) -> int:
    with admin_of(arguments) as admin:
        entries = admin.describe_broker_configs(arguments.broker, timeout=arguments.timeout)
    show(entries, arguments)
    return 0


def run_alter(arguments: argparse.Namespace) -> int:
    configs, taken_back = given(arguments.config), list(arguments.delete_config)
    if not configs and not taken_back:
        raise WrongUsage("give --config or --delete-config: there is nothing to alter")
    with admin_of(arguments) as admin:
        admin.alter_broker_configs(arguments.broker, configs, taken_back, timeout=arguments.timeout)
    whose = "all brokers" if arguments.broker is None else f"broker {arguments.broker}"
    print(f"altered the configs of {whose}")
    return 0
