"""`kill`, `restart` and `node`: one node of a cluster."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_data, data_of, positive

if TYPE_CHECKING:
    from ..cluster.formatting import Formatted
    from ..cluster.launcher import Report
    from ..cluster.processes import NodeProcess
    from ..cluster.settings import NodeConfig


def register(commands: Commands) -> None:
    kill = commands.add_parser(
        "kill",
        help="kill one node, or send it another signal",
        examples="""
            barnabas kill 2                  kill -9: the others go on without it
            barnabas kill 2 --signal STOP    pause it; --signal CONT lets it go on
            barnabas kill 2 --signal TERM    it hands over what it leads, and ends
            barnabas restart 2               start it again
        """,
    )
    kill.add_argument("node", type=positive, metavar="NODE", help="its id")
    kill.add_argument("--signal", type=named_signal, default=signal.SIGKILL, metavar="NAME", help="default: KILL")
    add_data(kill)
    kill.set_defaults(run=run_kill)

    restart = commands.add_parser(
        "restart",
        help="start one node again, after stopping it if it runs",
        examples="""
            barnabas restart 2
        """,
        notes="It has the same port and data as before. A node that runs hands over what it leads first.",
    )
    restart.add_argument("node", type=positive, metavar="NODE", help="its id")
    add_data(restart)
    restart.set_defaults(run=run_restart)

    node = commands.add_parser(
        "node",
        help="run one node in the foreground (systemd, containers, other machines)",
        description="Run one node in the foreground. Its data directory must have been formatted, by `barnabas up` or, "
        "once, with --format, which ends when it is done.",
        examples="""
            barnabas node cluster.toml --id 1 --format --cluster-id new    once, on the first machine: prints the id
            barnabas node cluster.toml --id 2 --format --cluster-id 1gyIBP17QhqQijxZNMlgGg    once, on each other one
            barnabas node cluster.toml --id 2                              each time
        """,
        notes="configs/examples has a unit for systemd and a Containerfile.",
    )
    node.add_argument("config", metavar="CONFIG", help="the cluster file, the same on every machine")
    node.add_argument("--id", type=positive, required=True, metavar="N", help="which of its nodes")
    node.add_argument("--data", metavar="DIR", help="where data is kept (default: what the file says)")
    node.add_argument("--format", action="store_true", help="make the node's data directory, and end")
    node.add_argument("--cluster-id", metavar="ID", help="with --format: the same for all nodes; `new` makes one up")
    node.set_defaults(run=run_node)


def named_signal(text: str) -> signal.Signals:
    """KILL, kill or SIGKILL."""
    name = text.upper()
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no signal, expected a name such as KILL, TERM, STOP or CONT"
        ) from None


def run_kill(arguments: argparse.Namespace) -> int:
    from ..cluster.formatting import ClusterRefused
    from ..cluster.processes import kill

    formatted, node, process = _one(arguments)
    if process is None:
        raise ClusterRefused(
            f"node {node.id} is not running: start it with `barnabas restart {node.id} --data {formatted.directory}`."
        )
    number: signal.Signals = arguments.signal
    if number is signal.SIGKILL:
        kill([process])
        print(f"node {node.id} was killed (it was process {process.pid})")
    else:
        process.signal(number)
        print(f"node {node.id}, process {process.pid}, was sent {number.name}")
    return 0


def run_restart(arguments: argparse.Namespace) -> int:
    formatted, node, process = _one(arguments)
    from ..cluster.launcher import Launcher
    from ..cluster.node_process import run_forked
    from ..cluster.processes import forget, supervisor_of, terminate
    from ..cluster.supervision import await_restart
    from ..cluster.supervisor import STOP_PATIENCE, await_process, start_links

    supervisor = supervisor_of(formatted.directory)
    launcher = Launcher(formatted, run_forked)
    if supervisor is None:
        start_links(formatted, launcher)  # a node hands over through it
    terminate([] if process is None else [process], STOP_PATIENCE)
    if supervisor is not None and formatted.config.restarts(node):
        pid = await_restart(formatted, node, supervisor, 0 if process is None else process.pid).pid
    else:
        forget(formatted.directory)
        pid = launcher.start(node.id)
        await_process(formatted, launcher, node.id, pid)
    print(f"node {node.id} runs as process {pid} at {node.address.removeprefix('tcp://')}")
    return 0


def restart_command(directory: Path, node: int) -> list[str]:
    """What starts a node from a program that has threads or sockets, and so may not fork it."""
    return [sys.executable, "-m", "barnabas", "restart", str(node), "--data", str(directory)]


def run_node(arguments: argparse.Namespace) -> int:
    from ..cluster.config import load
    from ..cluster.formatting import new_id
    from ..cluster.one_node import format_node, formatted_node

    if arguments.format != (arguments.cluster_id is not None):
        raise WrongUsage("--format and --cluster-id ID belong together")
    config = load(arguments.config)
    if arguments.data is not None:
        config = config.with_data(arguments.data)
    node_id: int = arguments.id
    if arguments.format:
        cluster_id: str = arguments.cluster_id
        formatted = format_node(config, node_id, new_id() if cluster_id == "new" else cluster_id)
        place = formatted.config.data_of(formatted.config.node(node_id))
        print(f"node {node_id} of cluster {formatted.cluster_id} has its data in {place}")
        return 0
    from ..cluster import node_process
    from ..cluster.processes import forget_myself, record

    formatted = formatted_node(config, node_id)
    record(formatted.directory, node_id, os.getpid())
    try:
        return node_process.run_node(formatted, node_id, _Foreground(node_id), foreground=True)
    finally:
        forget_myself(formatted.directory, node_id)


class _Foreground:
    """Says on standard output when the node listens and serves; what fails, the node says itself."""

    def __init__(self, node: int) -> None:
        self._node = node

    def tell(self, report: "Report") -> None:
        if report.kind == "listening":
            print(f"node {self._node} listens; Ctrl-C stops it", flush=True)
        elif report.kind == "unfenced":
            print(f"node {report.node} serves", flush=True)


def _one(arguments: argparse.Namespace) -> "tuple[Formatted, NodeConfig, NodeProcess | None]":
    """The node that is meant, and its process if it lives."""
    from ..cluster.processes import living
    from ..cluster.supervisor import existing, known_node

    formatted = existing(data_of(arguments))
    node = known_node(formatted, arguments.node)
    return formatted, node, next((found for found in living(formatted.directory) if found.node == node.id), None)
