"""What the operating system knows of the nodes of a cluster on this machine: which live, and what they use.

    watch = Figures(formatted.directory)
    watch.look()                               # node -> Figure, the dead ones too

A processor share is that since the last look, so the first one is None. `usage=False` asks only who lives, and repeats
what was used at the last look: that costs a tenth of a millisecond a node.
"""

from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from .processes import NodeProcess, recorded

DEAD = "dead"


class Figure(NamedTuple):
    """One node's process. What was not asked for, or is not known yet, is None."""

    node: int
    pid: int  # the last one, if it is dead
    state: str  # running, paused or dead
    cpu: float | None = None  # share of one core since the last look: 0.25 is a quarter
    memory: int | None = None  # bytes of physical memory
    threads: int | None = None
    descriptors: int | None = None  # open files and sockets


class Figures:
    """See the module's essay."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[int, tuple[NodeProcess, psutil.Process]] = {}  # by node
        self._used: dict[int, Figure] = {}  # as last seen, by process id

    def look(self, *, usage: bool = True) -> dict[int, Figure]:
        """Every node that was ever started from this directory, in the order of ids."""
        return {record.node: self._figure(record, usage=usage) for record in recorded(self._directory)}

    def _figure(self, record: NodeProcess, *, usage: bool) -> Figure:
        dead = Figure(record.node, record.pid, DEAD)
        try:
            counted = self._processes.get(record.node, (None,))[0] == record
            process = self._process(record)
            status = process.status() if process is not None else psutil.STATUS_DEAD
            if process is None or status in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return dead
            state = "paused" if status == psutil.STATUS_STOPPED else "running"
            known = self._used.get(record.pid, dead)
            if not usage:
                return known._replace(state=state)
            with process.oneshot():
                self._used[record.pid] = Figure(
                    record.node,
                    record.pid,
                    state,
                    process.cpu_percent() / 100 if counted else None,
                    process.memory_info().rss,
                    process.num_threads(),
                    process.num_fds(),
                )
            return self._used[record.pid]
        except psutil.NoSuchProcess:
            return dead

    def _process(self, record: NodeProcess) -> psutil.Process | None:
        """The process of this record; None if its id belongs to another one, or to nobody."""
        known = self._processes.get(record.node)
        if known is None or known[0] != record:
            process = psutil.Process(record.pid)
            if abs(process.create_time() - record.created) >= 1.0:
                return None
            process.cpu_percent()  # begins to count
            known = self._processes[record.node] = (record, process)
        return known[1]
