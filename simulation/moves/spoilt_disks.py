"""Disks that do not keep what they said was durable, within the budget or beyond it.

Bits rot, writes are lost or land elsewhere, flushes are lies, and a machine comes back with an older disk or an empty
one. What is damaged changes at rest, under a running process too.

Of a batch that no recovery point covers, the first sixteen bytes are left alone: offset and leader epoch lie outside of
the CRC in Kafka's format, and nothing else vouches for them yet. In a compacted log nothing ever does: where a batch
may be followed by a hole, a wrong offset within it looks like a right one.

And of no batch does a bit rot in the CRC itself or in the last offset. Whoever reads it notices that as any other byte
of what the CRC covers, so nothing is left out by that; but the checkers know a batch by them (`mirror.Line`), and would
take it for another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ...storage.memory import MemoryDisk
from ...storage.memory_tree import Snapshot
from ...storage.records import InvalidBatch, iter_headers
from ...storage.recovery import COMPACTION
from ..fault import Draws, Fault, Micros, move, seconds
from .disks import below_recovery_point, files
from .processes import Crash, PowerLoss

if TYPE_CHECKING:
    from ..nemesis import Nemesis

SECTOR = 512
LOGS = (".log", ".swap", ".cleaned")
UNGUARDED = 16
"""Bytes at the beginning of a batch that its CRC does not cover."""

KNOWN_BY = range(17, 27)
"""Bytes of a batch with its CRC, attributes and last offset."""


class BitRot(Fault, frozen=True):
    """One bit of a file has changed."""

    host: str
    path: str
    offset: int
    bit: int

    def strike(self, nemesis: Nemesis) -> bool:
        disk = nemesis.disk(self.host)
        if not nemesis.budget.may_spoil(self.host, self.path) or not guarded(disk, self.path, self.offset, 1):
            return False
        if self.path.endswith(LOGS) and self.offset in known_by(disk.peek(self.path)):
            return False
        nemesis.budget.spoilt(self.host)
        disk.corrupt(self.path, self.offset, self.bit)
        return True

    def sentence(self) -> str:
        return f"{self.host}: {self.path} at {self.offset}"


class LostWrite(Fault, frozen=True):
    """A few sectors were never written: they read as zeros, or as what was meant for another place."""

    host: str
    path: str
    offset: int
    length: int
    other: str  # the file whose bytes are there now; empty: zeros

    def strike(self, nemesis: Nemesis) -> bool:
        disk = nemesis.disk(self.host)
        size = disk.size(self.path)
        if size is None or not nemesis.budget.may_spoil(self.host, self.path):
            return False
        length = min(self.length, size - self.offset)
        if length <= 0 or not guarded(disk, self.path, self.offset, length):
            return False
        if self.offset + length > disk.at_rest(self.path):
            return False  # it is about to be replaced by something longer
        found = disk.peek(self.other)[:length] if self.other else b""
        nemesis.budget.spoilt(self.host)
        disk.overwrite(self.path, self.offset, found.ljust(length, b"\0"))
        return True

    def sentence(self) -> str:
        what = f"bytes of {self.other}" if self.other else "zeros"
        return f"{self.host}: {what} in {self.path} at {self.offset}-{self.offset + self.length}"


class LyingDisk(Fault, frozen=True):
    """Flushes say ok and do nothing, for a while."""

    host: str
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        if not nemesis.budget.may_spoil(self.host):
            return False
        nemesis.budget.spoilt(self.host)
        disk = nemesis.disk(self.host)
        disk.honest = nemesis.budget.honest(self.host)
        disk.lying_fsync = True
        nemesis.world.at(self.for_us, lambda: setattr(disk, "lying_fsync", False))
        return True

    def sentence(self) -> str:
        return f"{self.host} for {seconds(self.for_us)}"


class Backup(Fault, frozen=True):
    """A copy of the disk is made. That harms nobody."""

    harmless: ClassVar[bool] = True
    host: str

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.backups[self.host] = nemesis.disk(self.host).snapshot()
        return True


class OlderDisk(Fault, frozen=True):
    """The machine dies and comes back with the copy that was made last."""

    host: str
    down_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        backup = nemesis.backups.get(self.host)
        if backup is None or not nemesis.budget.may_restore(self.host):
            return False
        _replace(nemesis, self.host, backup, self.down_us)
        return True


class WipedDisk(Fault, frozen=True):
    """The machine dies and comes back with an empty disk, formatted anew."""

    host: str
    down_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        if not nemesis.budget.may_wipe(self.host):
            return False
        _replace(nemesis, self.host, Snapshot({}, ()), self.down_us)
        nemesis.budget.wiped(self.host)
        return True


def _replace(nemesis: Nemesis, host: str, content: Snapshot, down_us: Micros) -> None:
    nemesis.budget.spoilt(host)
    nemesis.budget.replaced(host)
    nemesis.kill(host, down_us)
    nemesis.world.power_loss(host)
    nemesis.disk(host).restore(content)
    nemesis.budget.lost_power(host)


@move
def bit_rot(nemesis: Nemesis) -> Draws:
    for name, path in _places(nemesis):
        size = nemesis.disk(name).size(path) or 0
        for _ in range(8):
            offset = nemesis.random.randrange(size)
            if guarded(nemesis.disk(name), path, offset, 1):
                yield 0, BitRot(name, path, offset, nemesis.random.randrange(8))
                yield from _shown(nemesis, name)
                return


@move
def lost_write(nemesis: Nemesis) -> Draws:
    for name, path in _places(nemesis):
        disk = nemesis.disk(name)
        sectors = (disk.size(path) or 0) // SECTOR
        others = [other for other in files(disk) if other.endswith(".log")]
        source = nemesis.random.choice(["", nemesis.chosen(others)]) if others else ""
        for _ in range(8):
            offset = nemesis.random.randint(0, sectors) * SECTOR
            length = nemesis.random.choice((SECTOR, SECTOR, 8 * SECTOR))
            if guarded(disk, path, offset, length):
                yield 0, LostWrite(name, path, offset, length, source)
                yield from _shown(nemesis, name)
                return


@move
def lying_disk(nemesis: Nemesis) -> Draws:
    """And the loss of power that shows it."""
    for name in nemesis.spoilable():
        span = nemesis.random.randint(200_000, 4_000_000)
        yield 0, LyingDisk(name, span + nemesis.random.randint(0, 2_000_000))
        yield span, PowerLoss(name, nemesis.down_us(name), nemesis.seed())


@move
def older_disk(nemesis: Nemesis) -> Draws:
    names = [name for name in nemesis.servers if nemesis.budget.may_restore(name)]
    if names:
        name = nemesis.chosen(names)
        yield 0, Backup(name)
        yield nemesis.random.randint(500_000, 8_000_000), OlderDisk(name, nemesis.down_us(name))


@move
def wiped_disk(nemesis: Nemesis) -> Draws:
    names = [name for name in nemesis.servers if nemesis.budget.may_wipe(name)]
    if names:
        name = nemesis.chosen(names)
        yield 0, WipedDisk(name, nemesis.down_us(name))


def _shown(nemesis: Nemesis, name: str) -> Draws:
    """Much of what is spoilt shows at a restart only: half of the time there is one soon."""
    if nemesis.random.random() < 0.5:
        after = nemesis.random.randint(10_000, 2_000_000)
        yield after, nemesis.random.choice((Crash(name, 100_000), PowerLoss(name, 100_000, nemesis.seed())))


def _places(nemesis: Nemesis) -> list[tuple[str, str]]:
    """A host and a file of it that may be spoilt, as a list of one. Mostly segments, sometimes what is beside them."""
    for name in nemesis.spoilable():
        disk = nemesis.disk(name)
        paths = [path for path in files(disk) if disk.size(path) and nemesis.budget.may_spoil(name, path)]
        segments = [path for path in paths if path.endswith(".log")]
        if segments and nemesis.random.random() < 0.7:
            return [(name, nemesis.chosen(segments))]
        return [(name, nemesis.chosen(paths))] if paths else []
    return []


def known_by(data: bytes) -> set[int]:
    """Where in a segment the bytes lie that checkers know its batches by; up to damage, if there is any."""
    found: set[int] = set()
    try:
        for position, _ in iter_headers(data):
            found.update(range(position + KNOWN_BY.start, position + KNOWN_BY.stop))
    except InvalidBatch:
        pass
    return found


def guarded(disk: MemoryDisk, path: str, offset: int, length: int) -> bool:
    """Whether somebody could notice damage here: all that is not the unguarded beginning of an unproven batch."""
    size = disk.size(path)
    if size is None or offset >= size:
        return False
    if not path.endswith(LOGS):
        return True
    compacted = disk.size(f"{path.partition('/')[0]}/{COMPACTION}") is not None
    proven = 0 if compacted else below_recovery_point(disk, path)
    if offset + length <= proven:
        return True
    try:
        for position, _ in iter_headers(disk.peek(path)):
            if proven <= position and position < offset + length and offset < position + UNGUARDED:
                return False
    except InvalidBatch:
        return False  # it is damaged already
    return True
