"""Disks that are slow, full, or fail and say so. Those that do not say so are in `spoilt_disks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...actors.replicas import key_of
from ...actors.writes import RESERVE_BYTES
from ...storage.checkpoint import RECOVERY_POINTS, read_offsets
from ...storage.disk import Reader, StorageError
from ...storage.memory import MemoryDisk
from ...storage.records import InvalidBatch, iter_headers
from ..budget import METADATA
from ..fault import Draws, Fault, Micros, move, seconds
from ..views import DurableReader

if TYPE_CHECKING:
    from ..nemesis import Nemesis


class SlowDisk(Fault, frozen=True):
    """Flushes and jobs take so many times as long."""

    host: str
    factor: int
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        host = nemesis.world.hosts[self.host]
        host.slowness = self.factor
        nemesis.world.at(self.for_us, lambda: setattr(host, "slowness", 1))
        return True

    def sentence(self) -> str:
        return f"{self.host} x{self.factor} for {seconds(self.for_us)}"


class DiskFull(Fault, frozen=True):
    """There is room for so many bytes more."""

    host: str
    room: int
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        disk = nemesis.disk(self.host)
        disk.full = disk.usage() + self.room
        nemesis.world.at(self.for_us, lambda: setattr(disk, "full", None))
        return True

    def sentence(self) -> str:
        return f"{self.host} for {seconds(self.for_us)}"


class IoError(Fault, frozen=True):
    """Every write is an EIO from now on: the node dies."""

    host: str

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.disk(self.host).fail_writes = True
        return nemesis.world.hosts[self.host].node is not None


class FsyncFailure(Fault, frozen=True):
    """The next flush is an EIO: the node dies, and nobody trusts what it had not flushed."""

    host: str

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.disk(self.host).fail_next_fsync = True
        return nemesis.world.hosts[self.host].node is not None


class ReadError(Fault, frozen=True):
    """Reads of a range of a file are an EIO, for a while. What a broker cannot read at its start passes for lost."""

    host: str
    path: str
    start: int
    end: int
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        disk = nemesis.disk(self.host)
        if disk.size(self.path) is None:
            return False
        if not self.path.startswith(METADATA):
            if not nemesis.budget.may_spoil(self.host, self.path):
                return False
            nemesis.budget.spoilt(self.host)
        disk.fail_reads(self.path, self.start, self.end)
        nemesis.world.at(self.for_us, disk.heal_reads)
        return True

    def sentence(self) -> str:
        return f"{self.host}: {self.path} at {self.start}-{self.end} for {seconds(self.for_us)}"


@move
def slow_disk(nemesis: Nemesis) -> Draws:
    name = nemesis.chosen(nemesis.servers)
    yield 0, SlowDisk(name, nemesis.random.choice((5, 50, 500)), nemesis.exponential(3_000_000))


@move
def disk_full(nemesis: Nemesis) -> Draws:
    """With room for next to nothing; or for that above the reserve which users' records may not touch."""
    name = nemesis.chosen(nemesis.servers)
    room = nemesis.random.choice((0, RESERVE_BYTES)) + nemesis.random.randint(0, 20_000)
    yield 0, DiskFull(name, room, nemesis.exponential(2_000_000))


@move
def io_error(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, IoError(name)


@move
def fsync_failure(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, FsyncFailure(name)


@move
def read_error(nemesis: Nemesis) -> Draws:
    name = nemesis.chosen(nemesis.servers)
    disk = nemesis.disk(name)
    paths = [path for path in files(disk) if path.endswith(".log") and disk.size(path)]
    if paths:
        path = nemesis.chosen(paths)
        start = nemesis.random.randrange(disk.size(path) or 1) // 4096 * 4096
        yield 0, ReadError(name, path, start, start + 4096, nemesis.exponential(2_000_000) + 100_000)


def below_recovery_point(disk: MemoryDisk, path: str) -> int:
    """How many bytes of a segment a recovery would not take for a torn tail, whatever is lost now."""
    key = key_of(path.partition("/")[0])
    readers: tuple[Reader, Reader] = (disk, DurableReader(disk))
    try:
        points = [read_offsets(reader, RECOVERY_POINTS).offsets or {} for reader in readers]
    except StorageError:
        return 0
    point = min(found.get(key, 0) if key is not None else 0 for found in points)
    proven = 0
    try:
        for position, header in iter_headers(disk.peek(path)):
            if header.next_offset > point:
                break
            proven = position + header.size
    except InvalidBatch:
        pass  # it is rotten already
    return proven


def files(disk: MemoryDisk, directory: str = "") -> list[str]:
    """All paths below a directory, sorted."""
    found = []
    for name in disk.list(directory):
        path = f"{directory}{name}"
        found += files(disk, path) if name.endswith("/") else [path]
    return found
