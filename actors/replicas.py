"""All replicas of one broker: found on disk, opened when the metadata asks for them, checkpointed, deleted.

Recovery reads every partition's directory as a job, from the recovery point on. What it finds goes into the
registration; the logs are opened when committed metadata names them, by topic id: a directory of an earlier topic of
the same name is another topic's. A damaged log is never opened: it is set aside (renamed, for people to look at), and
the replica starts empty and fetches again, since the controller has taken it out of the in-sync set.

Four files hold one line per partition: recovery points (below which all is durable), high watermarks, log starts, and
how far the cleaner has come. They are written every second and at a clean stop. A recovery point is lowered durably
before a log is cut below it.

They go by name, and a name may get another log: the topic was deleted and made again, the partition moved away and
back, the log was damaged. What they say of the earlier log would be taken for the new one's after a kill: the new one
would look damaged for ending below its recovery point, or all of it committed. So before a log begins, each file is
written without its name, and without all others whose log is gone. What is made durable of the new log is so after
that. If power is lost before, the earlier log may be back without its point; the cluster does not count on it any more.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

from msgspec.structs import replace

from ..storage.checkpoint import CLEANED, HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, read_offsets, write_offsets
from ..storage.disk import Disk, Generation, Reader
from ..storage.log import Log
from ..storage.recovery import METADATA, NAMED, Recovered, RecoverLog
from ..storage.settings import LogSettings
from .bugs import bug
from .kernel import Context, JobDone
from .messages import Partition, RecoveredReplica, TopicId
from .metadata import MetadataImage
from .metadata_state import PartitionState
from .replica import Replica
from .rounds import Round
from .topic_configs import TopicConfigs

PartitionKey = tuple[str, int]

FILES = (RECOVERY_POINTS, HIGH_WATERMARKS, LOG_STARTS, CLEANED)

CHECKPOINTS_PER_TICK = 1000
"""Partitions looked at in a second, about 2 us each."""


def directory_of(topic: str, index: int) -> str:
    """Kafka's name of a partition's directory."""
    return f"{topic}-{index}"


def key_of(directory: str) -> PartitionKey | None:
    """The topic and index of a partition's directory; None for anything else."""
    topic, dash, index = directory.rpartition("-")
    if not dash or not topic or not index.isdigit() or (index != "0" and index.startswith("0")):
        return None
    return topic, int(index)


def _settings(configs: TopicConfigs) -> LogSettings:
    """How a topic wants its logs kept."""
    lag = configs.max_compaction_lag_ms if configs.compacts else configs.segment_ms
    return LogSettings(
        segment_bytes=configs.segment_bytes,
        segment_ms=min(configs.segment_ms, lag),
        durability=configs.durability,
        compacted=configs.compacts,
    )


def topic_id_bytes(topic: TopicId) -> bytes:
    """The 16 bytes of a topic id."""
    return base64.urlsafe_b64decode(topic + "==")


def topic_id_in(reader: Reader, directory: str) -> str | None:
    """The topic id in a directory's `partition.metadata`; None if that is missing or unreadable."""
    path = f"{directory}/{METADATA}"
    size = reader.size(path)
    if size is None:
        return None
    named = NAMED.fullmatch(reader.read(path, 0, size))
    return None if named is None else named[1].decode()


class Collected(NamedTuple):
    """What the four files are to say next, as far as the round has come."""

    points: dict[PartitionKey, int]
    watermarks: dict[PartitionKey, int]
    starts: dict[PartitionKey, int]
    cleaned: dict[PartitionKey, int]

    @classmethod
    def nothing(cls) -> Collected:
        """The beginning of a round."""
        return cls({}, {}, {}, {})


class Replicas:
    """See the module's essay. `found` is what recovery read and nothing has opened yet."""

    def __init__(self) -> None:
        self.open: dict[Partition, Replica] = {}
        self.found: dict[PartitionKey, Recovered] = {}
        self.unread: dict[PartitionKey, str] = {}  # directories that could not be read, with the reason
        self._jobs: set[str] = set()
        self._points: dict[PartitionKey, int] | None = None  # recovery points as last written
        self._watermarks: dict[PartitionKey, int] = {}
        self._starts: dict[PartitionKey, int] = {}
        self._cleaned: dict[PartitionKey, int] = {}
        self._written: dict[str, dict[PartitionKey, int]] = {}
        self._collected = Collected.nothing()
        self._round = Round(self.open, CHECKPOINTS_PER_TICK)

    # --- Recovery ---

    def recover(self, clean: bool, ctx: Context) -> None:
        """Submit one reading job per partition directory; `recovered` is true when all have ended."""
        disk = ctx.disk
        self._points = read_offsets(disk, RECOVERY_POINTS).offsets
        self._watermarks = dict(read_offsets(disk, HIGH_WATERMARKS).offsets or {})
        self._starts = dict(read_offsets(disk, LOG_STARTS).offsets or {})
        self._cleaned = dict(read_offsets(disk, CLEANED).offsets or {})
        for name in disk.list(""):
            directory = name.rstrip("/")
            key = key_of(directory)
            if directory.endswith("-delete") and name.endswith("/"):
                disk.delete(directory)
            if key is None or not name.endswith("/"):
                continue
            self._jobs.add(directory)
            unknown = self._points is None or bug("corruption-is-a-torn-tail")
            point = None if unknown or self._points is None else self._points.get(key, 0)
            start = self._starts.get(key, 0)
            ctx.submit(RecoverLog(directory, recovery_point=point, clean=clean, log_start=start))

    @property
    def recovered(self) -> bool:
        """Whether every directory has been read."""
        return not self._jobs

    def on_job(self, done: JobDone) -> bool:
        """One directory has been read. Returns whether the job was ours."""
        job = done.job
        if not isinstance(job, RecoverLog) or job.directory not in self._jobs:
            return False
        self._jobs.discard(job.directory)
        key = key_of(job.directory)
        assert key is not None
        if isinstance(done.result, Recovered):
            self.found[key] = done.result
        else:
            self.unread[key] = done.error or "it could not be read"
        return True

    def claims(self, disk: Disk) -> tuple[list[RecoveredReplica], bool]:
        """What the registration says of each replica found; and whether all that was found could be named.

        A directory whose topic id cannot be read cannot be spoken for: then this data directory proves nothing. One
        without any was never flushed, its first record no more than its name: nothing was counted on there.
        """
        claims = []
        nameless = False
        for key in sorted({*self.found, *self.unread}):
            topic_id = topic_id_in(disk, directory_of(*key))
            found = self.found.get(key)
            if topic_id is None:
                nameless = nameless or disk.size(f"{directory_of(*key)}/{METADATA}") is not None
                continue
            partition = Partition(TopicId(topic_id), key[1])
            if found is None:
                claims.append(RecoveredReplica(partition, -1, True, self.unread[key]))
            else:
                cut = found.truncated_bytes > 0
                claims.append(RecoveredReplica(partition, found.end, True, found.corrupt or "", found.last_epoch, cut))
        return claims, nameless

    # --- Opening and closing ---

    def ensure(self, state: PartitionState, image: MetadataImage, ctx: Context) -> Replica:
        """The replica of this partition, its log opened or begun."""
        replica = self.open.get(state.partition)
        configs = image.configs(state.partition.topic)
        min_insync = image.min_insync(state)
        if replica is not None:
            replica.min_insync = min_insync
            replica.max_message_bytes = configs.max_message_bytes
            settings = _settings(configs)
            if settings != replica.log.settings:
                replica.log.configure(settings)
            return replica
        topic = image.topics[state.partition.topic]
        key = (topic.name, state.partition.index)
        directory = directory_of(*key)
        recovered = self.found.pop(key, None)
        topic_id = topic_id_bytes(state.partition.topic)
        foreign = recovered is not None and topic_id_in(ctx.disk, directory) != state.partition.topic
        if key in self.unread or foreign or (recovered is not None and recovered.corrupt is not None):
            self.set_aside(directory, ctx)
            self.unread.pop(key, None)
            recovered = None
        if recovered is None:
            self._begin_anew(key, ctx.disk)
        elif bug("forget-epoch-zero"):
            recovered = replace(recovered, epochs=tuple(entry for entry in recovered.epochs if entry.epoch > 0))
        log = Log.open(ctx.disk, directory, topic_id, _settings(configs), recovered)
        log.cleaned = min(self._cleaned.get(key, 0), log.end)
        hw = self._watermarks.get(key, 0)
        replica = Replica(state.partition, topic.name, log, hw, min_insync, configs.max_message_bytes)
        self.open[state.partition] = replica
        return replica

    def delete(self, partition: Partition, ctx: Context) -> None:
        """The topic is gone: rename, then remove (a crash between the two is finished at the next start)."""
        replica = self.open.pop(partition, None)
        if replica is None:
            return
        key = (replica.topic, partition.index)
        gone = f"{directory_of(*key)}.{ctx.random.getrandbits(64):016x}-delete"
        if ctx.disk.list(replica.log.directory):
            ctx.disk.rename(replica.log.directory, gone)
            ctx.disk.delete(gone)
        self._forget(key)

    def set_aside(self, directory: str, ctx: Context) -> str:
        """Quarantine: keep a damaged log for people to look at, out of everybody's way."""
        name = f"{directory}.{ctx.random.getrandbits(64):016x}-damaged"
        if ctx.disk.list(directory):
            ctx.disk.rename(directory, name)
        return name

    def quarantine(self, partition: Partition, ctx: Context) -> str:
        """Close a replica that was found damaged while it ran, and set its log aside."""
        replica = self.open.pop(partition)
        self._forget((replica.topic, partition.index))
        return self.set_aside(replica.log.directory, ctx)

    def _forget(self, key: PartitionKey) -> None:
        for collected in self._collected:
            collected.pop(key, None)
        self._watermarks.pop(key, None)
        self._starts.pop(key, None)
        self._cleaned.pop(key, None)

    def _begin_anew(self, key: PartitionKey, disk: Disk) -> None:
        """Before a log begins: no file says anything of an earlier one of that name.

        What an earlier life wrote may be no further than the page cache, so each file is written once in any case.
        """
        self._forget(key)
        stale = [name for name in FILES if key in self._written.get(name, (key,))]
        if not stale:
            return
        living = {*self.found, *self.unread, *((replica.topic, at.index) for at, replica in self.open.items())}
        read = dict(zip(FILES, (self._points or {}, self._watermarks, self._starts, self._cleaned), strict=True))
        for name in stale:
            said = self._written.get(name, read[name])
            left = {at: offset for at, offset in said.items() if at in living}
            write_offsets(disk, name, left)
            self._written[name] = left
        if RECOVERY_POINTS in stale:
            self._points = dict(self._written[RECOVERY_POINTS])

    def remove_strangers(self, image: MetadataImage, ctx: Context) -> list[str]:
        """Remove directories that no topic in the metadata owns, after a grace period (D15). Returns their names."""
        removed = []
        for key in sorted(self.found):
            gone = f"{directory_of(*key)}.{ctx.random.getrandbits(64):016x}-delete"
            ctx.disk.rename(directory_of(*key), gone)
            ctx.disk.delete(gone)
            removed.append(directory_of(*key))
        self.found = {}
        return removed

    # --- Checkpoints ---

    def checkpoint(self, disk: Disk) -> Generation:
        """Write what changed of the four files. Returns the generation that makes it durable."""
        self._collected = Collected.nothing()
        for partition in sorted(self.open):
            self._collect(self.open[partition])
        return self._write(disk)

    def checkpoint_some(self, disk: Disk) -> None:
        """A second has passed: look at the replicas whose turn it is, and write at the end of a round."""
        replicas, over = self._round.next()
        for replica in replicas:
            self._collect(replica)
        if over:
            self._write(disk)

    def _collect(self, replica: Replica) -> None:
        key, log, copying = (replica.topic, replica.partition.index), replica.log, replica.copying
        point = log.recovery_point
        if copying is not None and copying.cutting is not None:
            point = min(point, copying.cutting[1])
        self._collected.points[key] = point
        self._collected.watermarks[key] = replica.hw
        self._collected.starts[key] = log.start
        if log.cleaned:
            self._collected.cleaned[key] = log.cleaned

    def _write(self, disk: Disk) -> Generation:
        points, watermarks, starts, cleaned = self._collected
        self._collected = Collected.nothing()
        cleaned |= {key: self._cleaned[key] for key in [*self.found, *self.unread] if key in self._cleaned}
        known = self._points or {}
        for key, found in self.found.items():
            # Not below damage: at the next start it would pass for a torn tail, and what was lost for never written.
            points[key] = known.get(key, 0) if found.corrupt is not None else min(found.end, known.get(key, 0))
            watermarks[key] = self._watermarks.get(key, 0)
            starts[key] = found.start
        for key in self.unread:
            points[key] = known.get(key, 0)
            watermarks[key] = self._watermarks.get(key, 0)
            starts[key] = self._starts.get(key, 0)
        self._points = points
        generation = disk.synced
        for name, offsets in zip(FILES, (points, watermarks, starts, cleaned), strict=True):
            if self._written.get(name, {} if name == CLEANED else None) != offsets:
                generation = write_offsets(disk, name, offsets)
                self._written[name] = dict(offsets)
        return generation

    def lower(self, replica: Replica, offset: int, disk: Disk) -> Generation | None:
        """Lower a recovery point to `offset`, durably at the returned generation; None if it is low enough."""
        key = (replica.topic, replica.partition.index)
        if self._points is None:
            self._points = {}
        if key in self._collected.points:  # it may be newer than the file, which then need not be lowered
            self._collected.points[key] = min(self._collected.points[key], offset)
        if self._points.get(key, 0) <= offset or bug("keep-recovery-point"):
            return None
        self._points[key] = offset
        self._written[RECOVERY_POINTS] = dict(self._points)
        return write_offsets(disk, RECOVERY_POINTS, self._points)
