"""Where nodes are born: one process that imports everything once, and forks.

    launcher = Launcher(formatted)             # before any ZeroMQ context or thread exists in this process
    launcher.start(1)
    for report in launcher.reports(timeout=1.0): ...

A fork costs milliseconds where an interpreter costs a fifth of a second, but only a process without threads and
sockets may fork safely. `barnabas up` is such a process. An application that holds clients is not, so for it
`python -m barnabas.cluster.launcher DATA` is one: it takes `start N` on its input and prints reports as JSON lines.
The proxy between the nodes is born here too, as node `LINKS`.
When its input ends, so does the cluster: whoever started it is gone. With `temporary` behind DATA, the directory too.

Each node leads a session of its own, so Ctrl-C reaches the supervisor only, and holds the writing end of a pipe on
which it tells what the launcher waits for. The pipe's end is the node's: nothing polls.
"""

import os
import selectors
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from .formatting import ClusterRefused, Formatted, read_formatted
from .links import LINKS
from .processes import record

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Kind = Literal["started", "listening", "unfenced", "failed", "ended"]


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a node: it has a process; it listens; its broker serves; why it fails; it has ended.

    That a broker serves, the active controller's node says; all else each node says of itself.
    """

    kind: Kind
    node: int
    text: str = ""
    pid: int = 0


RunNode = Callable[[Formatted, int, "Channel"], int]
"""What a forked node does: returns its exit code."""


class Channel:
    """A node's end of the pipe. Nobody listens any more once the launcher has left; that is no error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._open = True

    def tell(self, report: Report) -> None:
        if not self._open:
            return
        try:
            os.write(self._descriptor, msgspec.json.encode(report) + b"\n")
        except (BrokenPipeError, BlockingIOError):
            self._open = False
            os.close(self._descriptor)


class _Child:
    def __init__(self, node: int, pid: int, descriptor: int) -> None:
        self.node = node
        self.pid = pid
        self.descriptor = descriptor
        self.rest = b""


class Launcher:
    """Forks nodes and hears what they say. It must be used by a process without threads."""

    def __init__(self, formatted: Formatted, run: RunNode) -> None:
        self.formatted = formatted
        self._run = run
        self._children: dict[int, _Child] = {}  # by descriptor
        self._selector = selectors.DefaultSelector()
        self._ready: deque[Report] = deque()

    def start(self, node: int) -> int:
        """Fork one node; its process id."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # or an interrupt leaves a child without a record
        try:
            return self._fork(node, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _fork(self, node: int, mask: set[int] | set[signal.Signals]) -> int:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)  # a launcher that does not listen must not hold up a node
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os._exit(self._be_node(node, writing, mask))
        os.close(writing)
        record(self.formatted.directory, node, pid)
        self._children[reading] = _Child(node, pid, reading)
        self._selector.register(reading, selectors.EVENT_READ)
        self._ready.append(Report("started", node, pid=pid))
        return pid

    @property
    def running(self) -> list[int]:
        """The process ids of the nodes that have not ended."""
        return [child.pid for child in self._children.values()]

    @property
    def nodes_running(self) -> bool:
        """Whether any node has not ended."""
        return any(child.node != LINKS for child in self._children.values())

    def listen(self, descriptor: int) -> None:
        """Let `reports` return early when there is something to read here."""
        self._selector.register(descriptor, selectors.EVENT_READ)

    def reports(self, timeout: float | None = None) -> Iterator[Report]:
        """What has been told; waits for it up to so many seconds (None: for ever)."""
        if not self._ready:
            for key, _ in self._selector.select(timeout):
                child = self._children.get(key.fd)
                if child is not None:
                    self._read(child)
        while self._ready:
            yield self._ready.popleft()

    def _read(self, child: _Child) -> None:
        data = os.read(child.descriptor, 1 << 16)
        if not data:
            self._reap(child)
            return
        *lines, child.rest = (child.rest + data).split(b"\n")
        self._ready += [msgspec.json.decode(line, type=Report) for line in lines]

    def _reap(self, child: _Child) -> None:
        self._selector.unregister(child.descriptor)
        os.close(child.descriptor)
        del self._children[child.descriptor]
        _, status = os.waitpid(child.pid, 0)
        self._ready.append(Report("ended", child.node, _how(os.waitstatus_to_exitcode(status)), child.pid))

    def _be_node(self, node: int, writing: int, mask: set[int] | set[signal.Signals]) -> int:
        """In the child: let go of everything that is the launcher's, then be the node. It must not raise."""
        try:
            os.setsid()
            for number in ENDING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._selector.close()
            for descriptor in self._children:
                os.close(descriptor)
            return self._run(self.formatted, node, Channel(writing))
        except BaseException:  # noqa: BLE001  a fork must never return into its parent's code
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            return 70


def _how(code: int) -> str:
    """An exit code in words; empty if all went well."""
    if code == 0:
        return ""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


def main() -> int:
    """`python -m barnabas.cluster.launcher DATA`: see the module's essay."""
    from .node_process import run_forked

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started this; its end ends us
    formatted = read_formatted(Path(sys.argv[1]))
    if formatted is None:
        raise ClusterRefused(f"there is no cluster in {sys.argv[1]}")
    launcher = Launcher(formatted, run_forked)
    launcher.listen(0)
    commands = b""
    while True:
        for report in launcher.reports():
            with suppress(BrokenPipeError):  # the input ends too
                os.write(1, msgspec.json.encode(report) + b"\n")
        if _readable():
            data = os.read(0, 4096)
            if not data:
                break
            *lines, commands = (commands + data).split(b"\n")
            for line in lines:
                launcher.start(int(line.removeprefix(b"start ")))
    _end(launcher)
    if sys.argv[2:] == ["temporary"]:
        shutil.rmtree(formatted.directory, ignore_errors=True)
    return 0


def _readable() -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        return bool(selector.select(0))


def _end(launcher: Launcher) -> None:
    """Nobody needs these nodes any more: they may as well die at once."""
    for pid in launcher.running:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while launcher.running and time.monotonic() < deadline:
        for _ in launcher.reports(1.0):
            pass


if __name__ == "__main__":
    sys.exit(main())
