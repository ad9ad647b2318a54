"""REOPENED: at the end, every log is what a restarted broker would find on its disk, found out twice the same."""

from __future__ import annotations

from ...actors.replicas import key_of
from ...cluster.world import World
from ...storage.checkpoint import LOG_STARTS, RECOVERY_POINTS, read_offsets
from ...storage.recovery import RecoverLog
from ..oracle import Checker
from ..views import replicas_of


class ReopenedChecker(Checker):
    """Reads every undamaged log as a recovery does."""

    def at_rest(self, world: World) -> None:
        for name in sorted(world.hosts):
            host = world.hosts[name]
            if name in self.oracle.lossy:
                continue
            for partition, replica in sorted(replicas_of(host).items()):
                directory = getattr(replica.log, "directory", "")
                key = key_of(directory)
                if key is None:
                    continue
                points = read_offsets(host.disk, RECOVERY_POINTS).offsets or {}
                starts = read_offsets(host.disk, LOG_STARTS).offsets or {}
                settings = getattr(replica.log, "settings")  # noqa: B009
                job = RecoverLog(directory, points.get(key, 0), log_start=starts.get(key, 0), settings=settings)
                first, second = job.run(host.disk), job.run(host.disk)
                self.premise("REOPENED")
                where = f"{name} ({partition.topic[:6]}-{partition.index})"
                if first.corrupt is not None or first.end != replica.log.end:
                    self.violated("REOPENED", f"{where} ends at {replica.log.end}, its disk says {first}")
                if first.end != second.end or first.epochs != second.epochs:
                    self.violated("REOPENED", f"{where} is recovered as {first}, and then as {second}")
