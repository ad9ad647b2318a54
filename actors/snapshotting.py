"""A controller's metadata snapshots: when they are written, when the log is trimmed behind them, and when one is
loaded.

Every so many records the applied state is written to a file (D25). The log is the truth, and a snapshot at first only
saves replaying it. Once it is durable and has been read back, it may stand for what is below it: then the log is
trimmed to the end of the snapshot *before* it, so there are always two to begin with, and a follower that is a little
behind finds what it needs in the log. The log starts at the end of a snapshot, exactly, or at 0 (R9, KAFKA-14238,
14240).

A controller whose log ends before the leader's begins asks the leader for a snapshot, piece by piece, while it goes on
fetching, so that both know of each other. It makes the snapshot durable first, then empties its log (`raft.load`), then
takes the state: a crash in between finds a snapshot beyond the end of the log, and goes on from there. Who leads never
loads one: its log has everything.

A full disk means that there is more to replay, and no more than that. Any other failure of the disk ends the node.
"""

from __future__ import annotations

from typing import Protocol

from ..storage.disk import DiskFull, Generation, Reader, StorageError
from .events import MetadataLogTrimmed, MetadataSnapshotLoaded, MetadataSnapshotSkipped, MetadataSnapshotWritten
from .kernel import Address, Context, Timer, address
from .messages import FetchMetadata, MetadataRange, MetadataSnapshot
from .metadata import MetadataImage, load_latest
from .metadata_snapshot import BadSnapshot, bases, decode_snapshot, path_of, write_snapshot
from .quorum_log import Base
from .snapshot_pieces import SnapshotPieces

AGAIN_MS = 250


class SnapshotTimer(Timer, frozen=True):
    """A piece did not come."""


class Trimmable(Protocol):
    """What is needed of Raft."""

    leader: int

    @property
    def wants_snapshot(self) -> bool: ...
    @property
    def leading(self) -> bool: ...
    @property
    def log_start(self) -> int: ...
    @property
    def log_end(self) -> int: ...
    def trim(self, base: Base) -> None: ...
    def load(self, base: Base, ctx: Context) -> None: ...


class Snapshots:
    """One controller's: a snapshot every `records` records. `voters`: each controller's node endpoint."""

    def __init__(self, records: int, cluster_id: str, voters: dict[int, str], raft: Trimmable) -> None:
        self.records = records
        self._cluster_id = cluster_id
        self._voters = voters
        self._raft = raft
        self._end = 0  # of the last one, written or tried
        self._writing: tuple[Generation, Base] | None = None  # not durable yet
        self._verified = Base()  # the newest that was read back in this life
        self._pieces = SnapshotPieces()
        self._asked: FetchMetadata | None = None
        self._next_id = 0
        self._arrived: tuple[Generation, MetadataImage] | None = None  # from the leader, not durable yet

    def start(self, ctx: Context) -> tuple[MetadataImage, dict[int, int]]:
        """The newest image that can be read, and all snapshots that there are: end to epoch."""
        image, skipped = load_latest(ctx.disk)
        for what in skipped:
            ctx.emit(MetadataSnapshotSkipped(what=what, cause="it is not whole"))
        self._end = image.end
        self._verified = Base(image.end, image.controller_epoch)
        return image, bases(ctx.disk)

    # --- Writing

    def consider(self, image: MetadataImage, ctx: Context) -> None:
        """Write one if it is time; ask for one if that is needed."""
        if self._raft.wants_snapshot and self._asked is None and self._arrived is None:
            self._ask(ctx)
        if image.end - self._end < self.records or self._writing is not None or self._arrived is not None:
            return
        self._end = image.end
        data = image.to_snapshot()
        base = Base(image.end, image.controller_epoch)
        try:
            generation = write_snapshot(ctx.disk, data, *base, needed=self._raft.log_start)
        except DiskFull as error:
            ctx.emit(MetadataSnapshotSkipped(what=str(error), cause="the disk is full"))
            return
        self._writing = (generation, base)
        ctx.emit(MetadataSnapshotWritten(end=image.end, size=len(data), cause=f"{self.records} records since the last"))

    def on_synced(self, generation: Generation, ctx: Context) -> MetadataImage | None:
        """A snapshot may be durable. One of the leader's is handed over: it is the state from now on."""
        if self._writing is not None and generation >= self._writing[0]:
            _, written = self._writing
            self._writing = None
            self._trim_behind(written, ctx)
        if self._arrived is None or generation < self._arrived[0]:
            return None
        _, image = self._arrived
        self._arrived = None
        if self._raft.leading or image.end <= self._raft.log_end:
            return None
        self._end = image.end
        self._verified = Base(image.end, image.controller_epoch)
        self._raft.load(self._verified, ctx)
        cause = "the leader's log begins beyond the end of this one"
        ctx.emit(MetadataSnapshotLoaded(end=image.end, cause=cause))
        return image

    def _trim_behind(self, written: Base, ctx: Context) -> None:
        try:
            verify(ctx.disk, written)
        except (BadSnapshot, StorageError) as error:
            ctx.emit(MetadataSnapshotSkipped(what=str(error), cause="it was read back and is not what was written"))
            return
        earlier, self._verified = self._verified, written
        if not self._raft.log_start < earlier.end:
            return
        try:
            self._raft.trim(earlier)
        except DiskFull as error:
            ctx.emit(MetadataSnapshotSkipped(what=str(error), cause="the disk is full"))
            return
        cause = f"a snapshot at {written.end} is durable too"
        ctx.emit(MetadataLogTrimmed(start=earlier.end, cause=cause))

    # --- Asking for one

    def _ask(self, ctx: Context) -> None:
        endpoint = self._voters.get(self._raft.leader)
        ctx.set_timer(SnapshotTimer(), AGAIN_MS)
        if endpoint is None:
            return
        self._next_id += 1
        pieces = self._pieces
        self._asked = FetchMetadata(self._next_id, self._cluster_id, self._raft.log_end, pieces.end, pieces.position)
        ctx.send(address(endpoint, "controller"), self._asked)

    def on_timer(self, ctx: Context) -> None:
        """Ask again, if it is needed still."""
        self._asked = None

    def on_answer(self, sender: Address, answer: MetadataSnapshot | MetadataRange, ctx: Context) -> None:
        """A piece, or, as a range, the news that none is needed."""
        if self._asked is None or answer.id != self._asked.id:
            return
        self._asked = None
        ctx.cancel_timer(SnapshotTimer())
        if isinstance(answer, MetadataRange) or not self._pieces.add(answer):
            ctx.set_timer(SnapshotTimer(), AGAIN_MS)
            return
        data = self._pieces.whole(answer)
        if data is None:
            self._ask(ctx)
            return
        try:
            image = MetadataImage.from_snapshot(data)
            if image.end > self._raft.log_end:
                generation = write_snapshot(
                    ctx.disk, data, image.end, image.controller_epoch, needed=self._raft.log_start
                )
                self._arrived = (generation, image)
        except (BadSnapshot, DiskFull) as error:
            ctx.emit(MetadataSnapshotSkipped(what=str(error), cause="it came from the leader"))
            ctx.set_timer(SnapshotTimer(), AGAIN_MS)


def verify(reader: Reader, base: Base) -> None:
    """Read a snapshot back. Raises BadSnapshot or StorageError if it is not whole."""
    path = path_of(*base)
    snapshot = decode_snapshot(reader.read(path, 0, reader.size(path) or 0))
    if (snapshot.end, snapshot.controller_epoch) != tuple(base):
        raise BadSnapshot(f"{path} holds the snapshot of {snapshot.end}")
