"""The processes of a cluster, as its data directory remembers them.

Each start writes `DATA/run/node-N.json` (a supervisor `supervisor.json`, the proxy of the links `links.json`): the
process id and when that process began. Ids are used again, so a record counts only while a process of that id and that
beginning lives. A process that has ended and that nobody has asked after (a zombie, which some containers keep for
ever) does not live.
"""

import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from .links import LINKS

RUN = "run"
STOPPING = "stopping"
SUPERVISOR = 0  # as the id of a node: who starts nodes again
AGAIN = 0.1  # seconds between telling a process again

_OTHERS = {SUPERVISOR: "supervisor.json", LINKS: "links.json"}


class NodeProcess(msgspec.Struct, frozen=True):
    """`DATA/run/node-N.json`."""

    node: int
    pid: int
    created: float  # as psutil tells it

    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) >= 1.0:
                return False
            # A thread that the kernel still holds, in a flush for example, holds the data directory's lock too.
            return bool(process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
        except psutil.NoSuchProcess:
            return False

    def state(self) -> str:
        """In one word: running, paused or dead."""
        if not self.alive():
            return "dead"
        try:
            return "paused" if psutil.Process(self.pid).status() == psutil.STATUS_STOPPED else "running"
        except psutil.NoSuchProcess:
            return "dead"

    def signal(self, number: signal.Signals) -> bool:
        """False if it does not live."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def record(directory: Path, node: int, pid: int) -> NodeProcess:
    """Remember a process that has just been started; whole or not at all."""
    found = NodeProcess(node, pid, float(psutil.Process(pid).create_time()))
    path = _path(directory, node)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(found))
    temporary.replace(path)
    return found


def _path(directory: Path, node: int) -> Path:
    return directory / RUN / (_OTHERS.get(node) or f"node-{node}.json")


def recorded(directory: Path) -> list[NodeProcess]:
    """Every process on record, alive or not, by node."""
    found = [_read(path) for path in directory.joinpath(RUN).glob("node-*.json")]
    return sorted((process for process in found if process is not None), key=lambda process: process.node)


def _read(path: Path) -> NodeProcess | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=NodeProcess)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None  # being replaced, or never finished: nobody can be found by it


def living(directory: Path) -> list[NodeProcess]:
    """The processes of this cluster that live, by node."""
    return [process for process in recorded(directory) if process.alive()]


def supervisor_of(directory: Path) -> NodeProcess | None:
    """The process that starts the nodes of this cluster again; None if none lives."""
    return _other(directory, SUPERVISOR)


def links_of(directory: Path) -> NodeProcess | None:
    """The process that is the proxy between the nodes of this cluster; None if none lives."""
    return _other(directory, LINKS)


def _other(directory: Path, which: int) -> NodeProcess | None:
    found = _read(_path(directory, which))
    return found if found is not None and found.alive() else None


def forget(directory: Path) -> None:
    """Remove the records of processes that do not live."""
    for process in recorded(directory):
        if not process.alive():
            _path(directory, process.node).unlink(missing_ok=True)
    if links_of(directory) is None:
        _path(directory, LINKS).unlink(missing_ok=True)
    supervisor = supervisor_of(directory)
    if supervisor is None or supervisor.pid == os.getpid():
        _path(directory, SUPERVISOR).unlink(missing_ok=True)
        directory.joinpath(RUN, STOPPING).unlink(missing_ok=True)


def forget_myself(directory: Path, node: int) -> None:
    """Remove the record of a node that is this process, which ends."""
    _path(directory, node).unlink(missing_ok=True)


def say_stopping(directory: Path) -> None:
    """From here on nobody starts a node again, until the supervisor has ended."""
    path = directory / RUN / STOPPING
    path.parent.mkdir(exist_ok=True)
    path.touch()


def stopping(directory: Path) -> bool:
    """Whether the cluster is being stopped."""
    return directory.joinpath(RUN, STOPPING).exists()


def terminate(
    processes: Iterable[NodeProcess],
    patience: float,
    hopeful: Callable[[Sequence[NodeProcess]], bool] = lambda left: True,
) -> list[NodeProcess]:
    """SIGTERM, then, after so many seconds, SIGKILL. None of them lives on return; those that had to be killed.

    A node that hears SIGTERM hands over what it leads before it ends. Once those that are left cannot do that any more
    (`hopeful`), or half of the patience is over, they are told again and again (signals may merge), and end without.
    """
    left = [process for process in processes if process.alive()]
    for process in left:
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGCONT)  # one that is paused cannot stop in good order
    began = time.monotonic()
    while left and (passed := time.monotonic() - began) < patience:
        if hopeful(left) and passed < patience / 2:
            _wait_for_any(left, patience / 2 - passed)
        else:
            _wait_for_any(left, min(AGAIN, patience - passed))
            for process in left:
                process.signal(signal.SIGTERM)
        left = [process for process in left if process.alive()]
    kill(left)
    return left


def kill(processes: Iterable[NodeProcess]) -> None:
    """kill -9. None of them lives on return."""
    running = [process for process in processes if process.signal(signal.SIGKILL)]
    left = wait_gone(running, 30.0)
    assert not left, f"the system does not end the processes {[process.pid for process in left]}"


def wait_gone(processes: Iterable[NodeProcess], timeout: float) -> list[NodeProcess]:
    """Wait until all have ended; those that live after so many seconds."""
    deadline = time.monotonic() + timeout
    left = [process for process in processes if process.alive()]
    while left and (rest := deadline - time.monotonic()) > 0:
        _wait_for_any(left, rest)
        left = [process for process in left if process.alive()]
    return left


def _wait_for_any(processes: Sequence[NodeProcess], timeout: float) -> None:
    """Return once one of them may have ended, or after the timeout."""
    descriptors: list[int] = []
    try:
        for process in processes:
            descriptor = _pidfd(process.pid)
            if descriptor is None:  # it has ended, or this is not Linux: look again soon
                time.sleep(min(max(timeout, 0.0), 0.02))
                return
            descriptors.append(descriptor)
        if all(process.alive() for process in processes):  # the descriptors are theirs, not of later ones
            select.select(descriptors, [], [], max(timeout, 0.0))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        return int(opener(pid))
    except ProcessLookupError:
        return None
    except OSError:  # a kernel without it
        return None
