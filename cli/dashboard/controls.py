"""What a person may do to a node of a local cluster from the control room.

Signals are sent at once. A node is started by a command of its own, since only a process without threads and sockets
may fork nodes; how that went is heard when it has ended.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from ...cluster.processes import living
from ..nodes import restart_command
from .keys import Action

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "continue": signal.SIGCONT}
DONE = {"kill": "was killed (kill -9)", "stop": "was stopped (SIGSTOP)", "continue": "goes on (SIGCONT)"}


class Controls:
    """The processes of the cluster in one data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._starting: dict[int, subprocess.Popen[str]] = {}

    def do(self, action: Action) -> str:
        """Do it, and say in a sentence what became of it."""
        node = action.node
        if action.verb == "restart":
            if node in self._starting:
                return f"Node {node} is being restarted already."
            self._starting[node] = subprocess.Popen(
                restart_command(self._directory, node),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            return f"Node {node} is being restarted."
        for process in living(self._directory):
            if process.node == node and process.signal(SIGNALS[action.verb]):
                return f"Node {node}, process {process.pid}, {DONE[action.verb]}."
        return f"Node {node} is not running: r restarts it."

    def news(self) -> str:
        """What became of restarts that have ended; empty if nothing."""
        for node, command in [*self._starting.items()]:
            if command.poll() is not None:
                del self._starting[node]
                said = command.communicate()[0].strip().removeprefix("barnabas: ")
                return said[:1].upper() + said[1:]
        return ""

    def close(self) -> None:
        """Wait for what was begun."""
        for command in self._starting.values():
            command.communicate()
