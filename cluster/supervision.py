"""`restart = "always"`: whoever started the nodes starts them again when they have ended, more and more slowly.

    record_supervisor(directory)               # so that `down` and `restart` find this process
    Supervision(formatted, launcher, say).run()

A node that has ended is started again after 0.1 s, and each time after twice as long, up to 30 s; once it has lived for
60 s it begins with 0.1 s again. It does not matter why it ended, unless the cluster is being stopped: `down` says so
before it ends the nodes. SIGUSR1 means: start at once whoever waits (`barnabas restart`). When no node runs and none
waits, the work is done. The proxy of the links is always started again: without it no node reaches another.
"""

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .addresses import Endpoint
from .formatting import LOG_FILE, ClusterRefused, Formatted
from .launcher import Launcher, Report
from .links import LINKS
from .processes import SUPERVISOR, NodeProcess, links_of, living, record, stopping
from .settings import NodeConfig

FIRST_DELAY = 0.1  # seconds
MOST_DELAY = 30.0
CALM = 60.0  # a node that lived so long has recovered
START_TIMEOUT = 30.0
AGAIN = 0.1


class BackOff:
    """How long to wait before a node is started again."""

    def __init__(self) -> None:
        self._next = FIRST_DELAY

    def delay(self, lived: float) -> float:
        """For a node that has ended after so many seconds."""
        if lived >= CALM:
            self._next = FIRST_DELAY
        delay, self._next = self._next, min(2 * self._next, MOST_DELAY)
        return delay


class Supervision:
    """See the module's essay. It must be used by the process that has the launcher, on its main thread."""

    def __init__(self, formatted: Formatted, launcher: Launcher, say: Callable[[str], None]) -> None:
        self._formatted = formatted
        self._launcher = launcher
        self._say = say
        self._back_offs: dict[int, BackOff] = {}
        self._began = {node: time.monotonic() for node in (LINKS, *(node.id for node in formatted.config.nodes))}
        self._due: dict[int, float] = {}  # who is to be started again, and when
        self._waking, waker = os.pipe()
        os.set_blocking(self._waking, False)
        os.set_blocking(waker, False)
        launcher.listen(self._waking)
        signal.signal(signal.SIGUSR1, lambda number, frame: self._hasten())
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def run(self) -> None:
        """Until no node is left. An interrupt leaves the nodes as they are."""
        while self._launcher.nodes_running or self._due.keys() - {LINKS}:
            if self._due and stopping(self._formatted.directory):
                self._due.clear()
                continue
            rest = max(0.0, min(self._due.values()) - time.monotonic()) if self._due else None
            for report in self._launcher.reports(rest):
                self._heard(report)
            with suppress(BlockingIOError):
                os.read(self._waking, 4096)
            self._start_due()

    def _heard(self, report: Report) -> None:
        if report.kind == "failed":
            self._say(report.text)
        elif report.kind == "unfenced":
            self._say(f"node {report.node} serves")
        elif report.kind == "ended":
            self._ended(report)

    def _ended(self, report: Report) -> None:
        node = report.node
        who = "the proxy of the links" if node == LINKS else f"node {node}"
        how = f"{who} ended: {report.text or 'in good order'}"
        config = self._formatted.config
        if not (node == LINKS or config.restarts(config.node(node))) or stopping(self._formatted.directory):
            self._say(how)
            return
        lived = time.monotonic() - self._began[node]
        delay = self._back_offs.setdefault(node, BackOff()).delay(lived)
        self._due[node] = time.monotonic() + delay
        self._say(f"{how}; it is started again in {delay:.1f} s")

    def _start_due(self) -> None:
        now = time.monotonic()
        for node in sorted(node for node, due in self._due.items() if due <= now):
            del self._due[node]
            if self._lives(node):
                continue  # somebody else was faster
            self._began[node] = now
            self._launcher.start(node)

    def _lives(self, node: int) -> bool:
        if node == LINKS:
            return links_of(self._formatted.directory) is not None
        return any(process.node == node for process in living(self._formatted.directory))

    def _hasten(self) -> None:
        for node in self._due:
            self._due[node] = 0.0


def record_supervisor(directory: Path) -> None:
    """This process starts the nodes again."""
    record(directory, SUPERVISOR, os.getpid())


def await_restart(formatted: Formatted, node: NodeConfig, supervisor: NodeProcess, before: int) -> NodeProcess:
    """Have a node that has ended (as process `before`) started again by its supervisor; returns when it listens."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and supervisor.signal(signal.SIGUSR1):
        for process in living(formatted.directory):
            if process.node == node.id and process.pid != before and _listens(node.endpoint):
                return process
        time.sleep(AGAIN)  # nothing tells what another process has written
    log = formatted.config.data_of(node) / LOG_FILE
    raise ClusterRefused(f"node {node.id} was not started again within {START_TIMEOUT:g} s: see {log}.")


def _listens(endpoint: Endpoint) -> bool:
    try:
        socket.create_connection((endpoint.host.strip("[]"), endpoint.port), timeout=AGAIN).close()
    except OSError:
        return False
    return True
