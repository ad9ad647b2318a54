"""`up`, `down`, `ps` and `cluster describe`: the processes of a cluster, and what it says of itself."""

import argparse
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from .arguments import DATA, Commands, add_cluster, add_data, add_json, admin_of, data_of

if TYPE_CHECKING:
    from ..cluster.formatting import Formatted
    from ..cluster.launcher import Launcher


def register(commands: Commands) -> None:
    up = commands.add_parser(
        "up",
        help="start a cluster (default: three brokers that are controllers too)",
        examples="""
            barnabas up                            three brokers in ./barnabas-data, until Ctrl-C
            barnabas up --detach                   the same, and it stays
            barnabas up cluster.toml --data /tmp/test
        """,
        notes="configs/three-brokers.toml explains every option of a cluster file. Without CONFIG a cluster is\n"
        "started again as it was started last in the same directory.",
    )
    up.add_argument("config", nargs="?", metavar="CONFIG", help="a cluster file; see configs/three-brokers.toml")
    up.add_argument("--detach", action="store_true", help="return when the cluster is ready, and leave it running")
    up.add_argument("--data", metavar="DIR", help=f"where the cluster keeps its data (default: {DATA})")
    up.set_defaults(run=run_up)

    down = commands.add_parser(
        "down",
        help="stop the cluster",
        examples="""
            barnabas down
            barnabas down --data /tmp/test
        """,
    )
    add_data(down)
    down.set_defaults(run=run_down)

    ps = commands.add_parser(
        "ps",
        help="list the processes of the cluster",
        examples="""
            barnabas ps
            barnabas ps --json
        """,
    )
    add_data(ps)
    add_json(ps)
    ps.set_defaults(run=run_ps)

    verbs = commands.add_group("cluster", help="describe the cluster")
    describe = verbs.add_parser(
        "describe",
        help="tell its brokers, its controller and how many topics there are",
        examples="""
            barnabas cluster describe
            barnabas cluster describe --bootstrap 127.0.0.1:23741 --json
        """,
    )
    add_cluster(describe)
    add_json(describe)
    describe.set_defaults(run=run_describe)


def run_up(arguments: argparse.Namespace) -> int:
    from ..cluster.launcher import Launcher
    from ..cluster.supervisor import choose_config, prepare, start, start_links, stop

    began = time.monotonic()
    formatted = prepare(choose_config(arguments.config, arguments.data))
    supervised = any(formatted.config.restarts(node) for node in formatted.config.nodes)
    ready = -1  # to tell whoever waits for this process, which stays
    if supervised and arguments.detach:
        code, ready = _leave_supervisor()
        if ready == -1:
            return code
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    count = len(formatted.config.nodes)
    print(f"starting {count} {'node' if count == 1 else 'nodes'} in {formatted.directory}", flush=True)
    from ..cluster.node_process import run_forked

    launcher = Launcher(formatted, run_forked)
    try:
        start_links(formatted, launcher)
        start(formatted, launcher)
        for node in formatted.config.nodes:
            print(f"node {node.id}: {' and '.join(node.actors)} at {node.address.removeprefix('tcp://')}")
        print(f"ready after {time.monotonic() - began:.2f} s; bootstrap {formatted.bootstrap}", flush=True)
        if formatted.kafka:
            print(f"for Kafka clients: {formatted.kafka}", flush=True)
        if arguments.detach and not supervised:
            return 0
        return _watch(formatted, launcher, ready, supervised=supervised)
    except BaseException:  # an interrupt before there was anything to watch, or nobody reads what we say
        stop(formatted.directory)
        raise


def _leave_supervisor() -> tuple[int, int]:
    """Fork. In the child: 0, and a descriptor to write to once the cluster is ready. In the parent: how it went, -1."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        return 0, writing
    os.close(writing)
    try:
        if os.read(reading, 1):
            return 0, -1
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), -1  # it has said why


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _watch(formatted: "Formatted", launcher: "Launcher", ready: int, *, supervised: bool) -> int:
    """Say what happens until Ctrl-C, or until no node is left."""
    from ..cluster.supervision import Supervision, record_supervisor
    from ..cluster.supervisor import stop

    watching = Supervision(formatted, launcher, _say)
    if supervised:
        record_supervisor(formatted.directory)
    if ready == -1:
        print("Ctrl-C stops it", flush=True)
    else:
        _to_log(formatted, ready)
    try:
        watching.run()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    _, stubborn = stop(formatted.directory)
    print("stopped" + "".join(f"; node {process.node} had to be killed" for process in stubborn), flush=True)
    return 0


def _say(sentence: str) -> None:
    print(sentence, flush=True)


def _to_log(formatted: "Formatted", ready: int) -> None:
    """Let whoever started this process go; from here on it speaks to `DATA/supervisor.log`."""
    path = formatted.directory / "supervisor.log"
    print(f"process {os.getpid()} starts nodes again that have ended, and says so in {path}", flush=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, target)
    os.close(nothing)
    os.close(log)
    os.write(ready, b".")
    os.close(ready)


def run_down(arguments: argparse.Namespace) -> int:
    from ..cluster.supervisor import find, stop

    formatted = find(data_of(arguments))
    ended, stubborn = stop(formatted.directory)
    for process in stubborn:
        print(f"node {process.node} did not stop in good order and was killed", file=sys.stderr)
    print(f"stopped {len(ended)} {'node' if len(ended) == 1 else 'nodes'} in {formatted.directory}")
    return 0


def run_ps(arguments: argparse.Namespace) -> int:
    from ..cluster.processes import living
    from ..cluster.supervisor import existing
    from .output import as_json, table

    formatted = existing(data_of(arguments))
    alive = {process.node: process for process in living(formatted.directory)}
    rows = []
    for node in formatted.config.nodes:
        process = alive.get(node.id)
        rows.append(
            {
                "node": node.id,
                "pid": None if process is None else process.pid,
                "state": "dead" if process is None else process.state(),
                "actors": list(node.actors),
                "address": node.address.removeprefix("tcp://"),
                "kafka": node.kafka_advertised,
                "data": str(formatted.config.data_of(node)),
            }
        )
    if arguments.json:
        as_json(rows)
        return 0
    table(
        ("NODE", "PID", "STATE", "ACTORS", "ADDRESS", "KAFKA", "DATA"),
        [
            (
                row["node"],
                row["pid"] or "-",
                row["state"],
                ",".join(node.actors),
                row["address"],
                row["kafka"] or "-",
                row["data"],
            )
            for row, node in zip(rows, formatted.config.nodes, strict=True)
        ],
    )
    return 0


def run_describe(arguments: argparse.Namespace) -> int:
    from .output import as_json, table

    with admin_of(arguments) as admin:
        picture = admin.describe_cluster(timeout=10.0)
    if arguments.json:
        as_json(
            {
                "cluster_id": picture.cluster_id,
                "controller": picture.controller,
                "controller_epoch": picture.controller_epoch,
                "metadata_offset": picture.offset,
                "brokers": [
                    {
                        "broker": broker.broker,
                        "endpoint": broker.endpoint,
                        "listeners": broker.listeners,
                        "rack": broker.rack or None,
                        "epoch": broker.epoch,
                        "fenced": broker.fenced,
                        "stopping": broker.stopping,
                    }
                    for broker in picture.brokers
                ],
                "topics": sorted(topic.name for topic in picture.topics),
            }
        )
        return 0
    leads = [partition.leader for topic in picture.topics for partition in topic.partitions]
    topics = len(picture.topics)
    print(
        f"cluster {picture.cluster_id}: controller {picture.controller} in epoch {picture.controller_epoch}, "
        f"{topics} {'topic' if topics == 1 else 'topics'}, metadata offset {picture.offset}"
    )
    table(
        ("BROKER", "ADDRESS", "KAFKA", "STATE", "LEADS", "RACK"),
        [
            (
                broker.broker,
                broker.endpoint.removeprefix("tcp://"),
                ",".join(broker.listeners.values()) or "-",
                "fenced" if broker.fenced else "stopping" if broker.stopping else "serving",
                leads.count(broker.broker),
                broker.rack or "-",
            )
            for broker in picture.brokers
        ],
    )
    return 0
