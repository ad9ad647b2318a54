"""Snapshots of the metadata stand for what was trimmed (R9).

BEGIN a controller's log begins at 0 or where a snapshot ends that is on its disk, which would survive a loss of power
if the start of the log does. That a snapshot is what the log below it adds up to is R5's business: whoever has loaded
one shows a state at that offset, which must be everybody's.
"""

from __future__ import annotations

from ...actors.metadata_snapshot import bases
from ...cluster.world import Host, World
from ...storage.memory import MemoryDisk
from ..oracle import Checker
from ..views import DurableReader, raft_of


class SnapshotsChecker(Checker):
    """Looks at a controller when the start of its log has moved."""

    looks_at = frozenset(("controller",))

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}  # host -> its life, and where its log began

    def handled(self, world: World, host: Host) -> None:
        raft = raft_of(host)
        log = None if raft is None else raft.log
        if log is None or self._seen.get(host.name) == (host.life, log.start):
            return
        self._seen[host.name] = (host.life, log.start)
        if log.start == 0 or not isinstance(host.disk, MemoryDisk) or host.name in self.oracle.lossy:
            return
        self.premise("R9")
        if log.start not in bases(DurableReader(host.disk)):
            what = f"the metadata log of {host.name} begins at {log.start}"
            self.violated("R9", f"{what}, where no durable snapshot ends")
