"""What happened, on disk: `DATA/node-ID/events.jsonl`, one line of JSON for each event of a node.

    events = EventFile(directory, node=1)      # the node writes
    tails = Tails({1: directory, 2: ...})      # `barnabas events` reads, all nodes in the order of time
    tails.poll()                               # everything; the next time, what is new

A line is written at once, whole and never again: it can be followed while the node runs. The file is bounded: when it
has reached `LIMIT_BYTES` it becomes `events.1.jsonl`, in the place of the one before, and a new one begins. So a node
keeps at most two files, and at least the last `LIMIT_BYTES` of events. Nothing is flushed to the disk on purpose: a
loss of power may take the last lines. An event that finds the disk full is not kept; observing must never stop a node.
"""

import errno
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..actors.kernel import Address, Event, actor_of
from .formatting import EVENTS_FILE, OLD_EVENTS_FILE

LIMIT_BYTES = 8 << 20
NEWEST_BYTES = 512 << 10


class Happened(msgspec.Struct, frozen=True):
    """One line of the file. `docs/events.md` lists the events and their fields."""

    time: str  # the node's wall clock, UTC: 2026-03-01T12:00:00.123Z
    ms: int  # the same in milliseconds since 1970
    node: int
    actor: str  # "controller", "broker" or "groups"
    event: str  # its name in the catalogue
    fields: dict[str, object]
    sentence: str
    cause: str


def happened(node: int, actor: Address, event: Event, ms: int) -> Happened:
    """An event as it is written."""
    fields = msgspec.structs.asdict(event)
    cause = str(fields.pop("cause"))
    name = type(event).__name__
    return Happened(iso(ms), ms, node, actor_of(actor), name, fields, event.sentence(), cause)


def iso(ms: int) -> str:
    """A moment for people and for other programs."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


class EventFile:
    """The writing side, one for each process of a node."""

    def __init__(self, directory: Path, node: int, limit: int = LIMIT_BYTES) -> None:
        self._path = directory / EVENTS_FILE
        self._old = directory / OLD_EVENTS_FILE
        self._node = node
        self._limit = limit
        self._size = 0
        self._torn = False  # the file ends within a line
        self._descriptor = self._opened()

    def write(self, actor: Address, event: Event) -> bytes:
        """Write one line, and return it without its end."""
        whole = msgspec.json.encode(happened(self._node, actor, event, time.time_ns() // 1_000_000))
        line = whole + b"\n"
        if self._size and self._size + len(line) > self._limit:
            self._rotate()
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return whole
        self._torn = written < len(line)
        self._size += written
        return whole

    def newest(self, count: int) -> list[bytes]:
        """The last lines that are whole, the oldest first, as far as they lie within the end of the current file."""
        begin = max(0, self._size - NEWEST_BYTES)
        data = os.pread(self._descriptor, NEWEST_BYTES, begin)
        lines = data.split(b"\n")[1 if begin else 0 : -1]
        return [line for line in lines if line and decoded(line) is not None][-count:]

    def close(self) -> None:
        os.close(self._descriptor)

    def _opened(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(descriptor).st_size
        # The last line of a node that was killed may not be whole: the next one must not be spoiled by it.
        self._torn = self._size > 0 and os.pread(descriptor, 1, self._size - 1) != b"\n"
        return descriptor

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._path.replace(self._old)
        self._descriptor = self._opened()


class Tails:
    """The reading side: the events of several nodes, from the beginning on, each once."""

    def __init__(self, directories: Mapping[int, Path]) -> None:
        self._tails = [_Tail(directory) for _, directory in sorted(directories.items())]

    def poll(self) -> list[Happened]:
        """What is new since the last time, in the order of time; events of one moment in the order of nodes."""
        found = [event for tail in self._tails for event in tail.poll()]
        return sorted(found, key=lambda event: event.ms)


class _Tail:
    """One node's files: how far they have been read, across rotations."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / EVENTS_FILE
        self._old = directory / OLD_EVENTS_FILE
        self._inode = 0  # of the file that `_offset` is about; 0: none yet
        self._offset = 0

    def poll(self) -> list[Happened]:
        found: list[Happened] = []
        for path in (self._old, self._path):
            try:
                with path.open("rb") as file:
                    inode = os.fstat(file.fileno()).st_ino
                    if path == self._old and self._inode not in (0, inode):
                        continue  # it was read to its end when it was the current one
                    if inode != self._inode:
                        self._inode, self._offset = inode, 0
                    file.seek(self._offset)
                    whole, newline, _ = file.read().rpartition(b"\n")
            except FileNotFoundError:
                continue
            self._offset += len(whole) + len(newline)
            found += [event for line in whole.split(b"\n") if (event := decoded(line)) is not None]
        return found


def decoded(line: bytes) -> Happened | None:
    """None for what is no event: a line that was cut off, or of another version."""
    try:
        return msgspec.json.decode(line, type=Happened)
    except msgspec.MsgspecError:
        return None
