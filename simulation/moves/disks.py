"""Disks: slow, full, failing, and with bits that have changed.

Bytes rot only where the budget allows it, and never where nobody could tell rot from a torn tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...actors.replicas import key_of
from ...storage.checkpoint import RECOVERY_POINTS, read_offsets
from ...storage.disk import Reader, StorageError
from ...storage.memory import MemoryDisk
from ...storage.records import InvalidBatch, iter_headers
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


class BitRot(Fault, frozen=True):
    """One bit of a file has changed, as written and as durable."""

    host: str
    path: str
    offset: int
    bit: int

    def strike(self, nemesis: Nemesis) -> bool:
        disk = nemesis.disk(self.host)
        if not nemesis.budget.may_spoil(self.host) or below_recovery_point(disk, self.path) <= self.offset:
            return False
        nemesis.budget.spoilt(self.host)
        disk.corrupt(self.path, self.offset, self.bit)
        return True

    def sentence(self) -> str:
        return f"{self.host}: {self.path} at {self.offset}"


@move
def slow_disk(nemesis: Nemesis) -> Draws:
    name = nemesis.chosen(nemesis.servers)
    yield 0, SlowDisk(name, nemesis.random.choice((5, 50, 500)), nemesis.exponential(3_000_000))


@move
def disk_full(nemesis: Nemesis) -> Draws:
    name = nemesis.chosen(nemesis.servers)
    yield 0, DiskFull(name, nemesis.random.randint(0, 20_000), nemesis.exponential(2_000_000))


@move
def io_error(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, IoError(name)


@move
def fsync_failure(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, FsyncFailure(name)


@move
def bit_rot(nemesis: Nemesis) -> Draws:
    """In a segment of a partition, where a recovery would not take it for a torn tail."""
    for name in nemesis.spoilable():
        disk = nemesis.disk(name)
        paths = [path for path in files(disk) if path.endswith(".log") and not path.startswith("metadata/")]
        paths = [path for path in paths if disk.size(path)]
        if not paths:
            return
        path = nemesis.chosen(paths)
        proven = below_recovery_point(disk, path)
        if proven:
            yield 0, BitRot(name, path, nemesis.random.randrange(proven), nemesis.random.randrange(8))


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
        for position, header in iter_headers(disk.read(path, 0, disk.size(path) or 0)):
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
