"""Starting and stopping the processes of a cluster.

    formatted = prepare(config)                # identities, ports; refused if it runs already
    start_links(formatted, launcher)           # the proxy between the nodes, if there is to be one
    start(formatted, launcher)                 # all nodes; returns when every broker serves
    stop(directory)                            # SIGTERM, patience, SIGKILL; no process is left

A cluster is ready when the active controller has unfenced every broker. That is heard on the launcher's pipes, so no
client is needed and nothing polls. A node that dies before that takes the start with it: the others are ended, and
the refusal is that node's own sentence.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from weakref import WeakSet

import msgspec

from .config import ClusterConfig, NodeConfig, default_config_path, load
from .formatting import LINKS_LOG, LOG_FILE, ClusterRefused, Formatted, format_cluster, read_formatted
from .launcher import Report
from .links import LINKS
from .processes import NodeProcess, forget, kill, links_of, living, say_stopping, supervisor_of, terminate, wait_gone

START_TIMEOUT = 30.0
STOP_PATIENCE = 15.0
SUPERVISOR_PATIENCE = 1.0
DEFAULT_DATA = "barnabas-data"


class Launching(Protocol):
    """What `Launcher` does here, or `RemoteLauncher` in a process that may not fork."""

    def start(self, node: int) -> int:
        """The process id of a node that has just been forked."""
        ...

    def reports(self, timeout: float | None = None) -> Iterator[Report]:
        """What nodes have told; waits up to so many seconds."""
        ...


_remote: "WeakSet[RemoteLauncher]" = WeakSet()


def _let_go() -> None:
    """A child process must not keep its parent's clusters alive: they end when nobody can command them any more."""
    for launcher in _remote:
        launcher.let_go()


os.register_at_fork(after_in_child=_let_go)


class RemoteLauncher:
    """A launcher in a clean process of its own. When this object is closed, or its process ends, so do the nodes.

    With `temporary`, the data directory goes with them.
    """

    def __init__(self, directory: Path, *, temporary: bool = False) -> None:
        command = [sys.executable, "-m", "barnabas.cluster.launcher", str(directory)]
        self._process = subprocess.Popen(
            [*command, "temporary"] if temporary else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._commands = self._process.stdin.fileno()
        _remote.add(self)
        self._answers = self._process.stdout.fileno()
        self._rest = b""
        self._waiting: list[Report] = []

    def start(self, node: int) -> int:
        os.write(self._commands, f"start {node}\n".encode())
        deadline = time.monotonic() + START_TIMEOUT
        kept: list[Report] = []
        while time.monotonic() < deadline:
            for report in self.reports(1.0):
                if report.kind == "started" and report.node == node:
                    # What was told of this node before is about an earlier process; what comes now is not.
                    self._waiting = [other for other in kept if other.node != node] + self._waiting
                    return report.pid
                kept.append(report)
        raise ClusterRefused(f"node {node} was not started within {START_TIMEOUT:g} s: is the machine overloaded?")

    def reports(self, timeout: float | None = None) -> Iterator[Report]:
        if not self._waiting and select.select([self._answers], [], [], timeout)[0]:
            data = os.read(self._answers, 1 << 16)
            if not data:
                raise ClusterRefused("the launcher of this cluster has ended, and its nodes with it: start it again.")
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._waiting += [msgspec.json.decode(line, type=Report) for line in lines]
        while self._waiting:
            yield self._waiting.pop(0)

    def let_go(self) -> None:
        """In a child process: this launcher is not ours."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.returncode = (
            0  # as far as this process is concerned; or it would complain of a child that it has not
        )

    def close(self) -> None:
        """End the nodes that are left. None lives on return."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def choose_config(path: str | None, data: str | None) -> ClusterConfig:
    """A configuration file; without one, what was started in the data directory before; at first, the default."""
    if path is not None:
        config = load(path)
        return config if data is None else config.with_data(data)
    directory = data or DEFAULT_DATA
    stored = read_formatted(Path(directory))
    return stored.config if stored is not None else load(default_config_path()).with_data(directory)


def prepare(config: ClusterConfig) -> Formatted:
    """The cluster on disk, ready to be started. Refused in one sentence if it may not be."""
    directory = Path(config.cluster.data).absolute()
    running = living(directory)
    supervisor = supervisor_of(directory)
    if running or supervisor is not None:
        who = pids(running) or f"process {supervisor.pid if supervisor else 0} is about to start its nodes again"
        raise ClusterRefused(
            f"the cluster in {directory} is running already ({who}): stop it with `barnabas down --data "
            f"{config.cluster.data}` first, or choose another data directory."
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "impossible").lower()
        raise ClusterRefused(f"the data directory {directory} cannot be made: {reason}; choose another one.") from None
    end_links(directory)  # left by nodes that were all killed
    forget(directory)
    return format_cluster(config)


def start_links(formatted: Formatted, launcher: Launching) -> None:
    """Have the proxy between the nodes, if this cluster has one and it does not live; returns when it listens."""
    if formatted.links is None or links_of(formatted.directory) is not None:
        return
    pid = launcher.start(LINKS)
    deadline = time.monotonic() + START_TIMEOUT
    while (rest := deadline - time.monotonic()) > 0:
        for report in launcher.reports(rest):
            if report.node != LINKS:
                continue
            if report.kind == "listening":
                return
            if report.kind == "failed":
                raise ClusterRefused(report.text)
            if report.kind == "ended" and report.pid == pid:
                how, log = report.text or "in good order", formatted.directory / LINKS_LOG
                raise ClusterRefused(f"the proxy of the links ended while it started ({how}): see {log}.")
    raise ClusterRefused(f"the proxy of the links does not listen after {START_TIMEOUT:g} s: start the cluster again.")


def end_links(directory: Path) -> None:
    """End the proxy between the nodes, if there is one. It has nothing to lose."""
    links = links_of(directory)
    if links is not None:
        kill([links])


def start(formatted: Formatted, launcher: Launching, nodes: Collection[int] = ()) -> None:
    """Start these nodes (none named: all), and return when their brokers serve. On failure none of them is left."""
    chosen = [node for node in formatted.config.nodes if not nodes or node.id in nodes]
    try:
        started = {node.id: launcher.start(node.id) for node in chosen}
        await_brokers(formatted, launcher, started, START_TIMEOUT)
    except BaseException:
        ours = {node.id for node in chosen}
        kill([process for process in living(formatted.directory) if process.node in ours])
        raise


def await_brokers(formatted: Formatted, launcher: Launching, started: Mapping[int, int], timeout: float) -> None:
    """Return when the brokers among these nodes (with their process ids) serve; all of them must stay alive."""
    waiting = {node.id for node in formatted.config.brokers if node.id in started}
    deadline = time.monotonic() + timeout
    while waiting:
        rest = deadline - time.monotonic()
        if rest <= 0:
            raise ClusterRefused(
                f"{_nodes(waiting)} did not come into service within {timeout:g} s: see {LOG_FILE} in the data "
                f"directories below {formatted.directory}."
            )
        for report in launcher.reports(rest):
            if report.kind == "unfenced":
                waiting.discard(report.node)
            _refuse_failure(formatted, report, started)


def _refuse_failure(formatted: Formatted, report: Report, started: Mapping[int, int]) -> None:
    """A node that fails while it starts has told why."""
    if report.kind == "failed" and report.node in started:
        raise ClusterRefused(_sentence(report.text))
    if report.kind == "ended" and report.pid == started.get(report.node):
        how = report.text or "in good order"
        log = _log(formatted, report.node)
        raise ClusterRefused(f"node {report.node} ended while it started ({how}): see {log}.")


def _log(formatted: Formatted, node: int) -> Path:
    return formatted.config.data_of(formatted.config.node(node)) / LOG_FILE


def await_process(formatted: Formatted, launcher: Launching, node: int, pid: int) -> None:
    """Return when one node of a cluster that others started listens; whether its broker serves, they are told."""
    deadline = time.monotonic() + START_TIMEOUT
    while (rest := deadline - time.monotonic()) > 0:
        for report in launcher.reports(rest):
            if report.kind == "listening":
                return
            _refuse_failure(formatted, report, {node: pid})
    raise ClusterRefused(f"node {node} does not listen after {START_TIMEOUT:g} s: see {_log(formatted, node)}.")


def known_node(formatted: Formatted, node: int) -> NodeConfig:
    """The configuration of a node, refused if there is none of that id."""
    for found in formatted.config.nodes:
        if found.id == node:
            return found
    every = _nodes([found.id for found in formatted.config.nodes])
    raise ClusterRefused(f"there is no node {node} in the cluster in {formatted.directory}: it has {every}.")


def stop(directory: Path, patience: float = STOP_PATIENCE) -> tuple[list[NodeProcess], list[NodeProcess]]:
    """End every process of the cluster: those that ran, and those of them that had to be killed."""
    formatted = read_formatted(directory)
    supervisor = supervisor_of(directory)
    if supervisor is not None:
        say_stopping(directory)
    running = living(directory)
    stubborn = terminate(running, patience, can_elect(formatted))
    if supervisor is not None and supervisor.pid != os.getpid():
        # It ends with the last node, or, while it waits to start one again, when it is told.
        if wait_gone([supervisor], SUPERVISOR_PATIENCE):
            terminate([supervisor], patience)
        terminate(living(directory), patience)
    end_links(directory)
    forget(directory)
    return running, stubborn


def can_elect(formatted: Formatted | None) -> Callable[[Sequence[NodeProcess]], bool]:
    """Whether those that are left are enough to elect a controller, and new leaders with it."""
    voters = [] if formatted is None else [node.id for node in formatted.config.controllers]
    return lambda left: enough([process.node for process in left], voters)


def enough(left: Collection[int], voters: Collection[int]) -> bool:
    """Whether these nodes have a majority of the voters among them."""
    return len(set(voters) & set(left)) * 2 > len(voters)


def existing(directory: Path) -> Formatted:
    """The cluster that was started from this data directory, running or not; refused if there is none."""
    formatted = read_formatted(directory)
    if formatted is None:
        raise ClusterRefused(
            f"there is no cluster in {directory.absolute()}: start one with `barnabas up`, or say where it is with "
            "--data or --bootstrap."
        )
    return formatted


def find(directory: Path) -> Formatted:
    """The cluster that runs from this data directory; refused if there is none."""
    formatted = existing(directory)
    if not living(directory.absolute()) and supervisor_of(directory.absolute()) is None:
        raise ClusterRefused(
            f"the cluster in {directory.absolute()} is not running: start it with `barnabas up --data {directory}`."
        )
    return formatted


def pids(processes: Collection[NodeProcess]) -> str:
    """For people."""
    return ", ".join(f"node {process.node} is process {process.pid}" for process in processes)


def _nodes(nodes: Collection[int]) -> str:
    names = [str(node) for node in sorted(nodes)]
    return f"node {names[0]}" if len(names) == 1 else f"nodes {', '.join(names[:-1])} and {names[-1]}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."
