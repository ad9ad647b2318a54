"""Faults that a node is told to have: what a person may inject into a running node of a cluster that allows it.

    inject(formatted, 2, Injection(room_bytes=0))        # node 2 behaves as if its disk were full
    inject(formatted, 2, Injection())                    # and no longer

Disks that fill up and clocks that jump need root, or a machine of one's own. A cluster file with `faults = "allowed"`
lets its nodes be told instead: `DATA/node-ID/faults.json` says what, SIGUSR2 says that it has changed. Each node says
in its events and in its log what it was told, so nobody takes an exercise for the real thing. Without that line in the
file nodes have neither the handler nor the disk that can be told, and `inject` refuses.
"""

import signal
from pathlib import Path

import msgspec

from ..storage.injection import InjectedSystem
from ..transport.clock import shift_wall
from .formatting import ClusterRefused, Formatted
from .processes import living

FAULTS_FILE = "faults.json"


class Injection(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node is told to have. The defaults are nothing at all."""

    room_bytes: int | None = None  # left on its disk; None: what there is
    flush_delay_ms: int = 0  # added to each flush of a file
    fail_flush: bool = False  # the next flush fails, and ends the node
    clock_ms: int = 0  # added to its wall clock

    def sentence(self) -> str:
        """For people; empty for nothing."""
        told = []
        if self.room_bytes is not None:
            told.append(f"its disk has {self.room_bytes} bytes left")
        if self.flush_delay_ms:
            told.append(f"each flush of a file takes {self.flush_delay_ms} ms longer")
        if self.fail_flush:
            told.append("its next flush fails")
        if self.clock_ms:
            told.append(f"its clock is {abs(self.clock_ms)} ms {'fast' if self.clock_ms > 0 else 'slow'}")
        return " and ".join(told)


NOTHING = Injection()


def allowed(formatted: Formatted) -> bool:
    """Whether nodes of this cluster may be told to have faults."""
    return formatted.config.cluster.faults == "allowed"


def injected(directory: Path) -> Injection:
    """What the node with this data directory was told last."""
    try:
        return msgspec.json.decode(directory.joinpath(FAULTS_FILE).read_bytes(), type=Injection)
    except (FileNotFoundError, msgspec.MsgspecError):
        return NOTHING


def inject(formatted: Formatted, node: int, what: Injection) -> None:
    """Tell a node, and every later life of it. Raises ClusterRefused if this cluster does not allow it."""
    if not allowed(formatted):
        raise ClusterRefused(
            f"the nodes of the cluster in {formatted.directory} cannot be told to fail: start it with "
            '`faults = "allowed"` in [cluster].'
        )
    directory = formatted.config.data_of(formatted.config.node(node))
    path = directory / FAULTS_FILE
    if what == NOTHING:
        path.unlink(missing_ok=True)
    else:
        directory.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(what))
        temporary.replace(path)
    for process in living(formatted.directory):
        if process.node == node:
            process.signal(signal.SIGUSR2)


class Obeying:
    """The node's side: reads what it is told, and does it. `system` is what its disk calls."""

    def __init__(self, directory: Path) -> None:
        self.system = InjectedSystem()
        self._directory = directory
        self._present = NOTHING

    def obey(self) -> str | None:
        """Do what the file says now: what that is in words (empty: nothing any more), None if nothing has changed."""
        told = injected(self._directory)
        if told == self._present:
            return None
        if told.room_bytes != self._present.room_bytes:
            self.system.room = told.room_bytes
        self.system.flush_delay = told.flush_delay_ms / 1000
        self.system.fail_flush = told.fail_flush
        shift_wall(told.clock_ms)
        self._present = told
        return told.sentence()
