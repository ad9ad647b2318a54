"""The disk, as an actor sees it: one data directory, written at once, durable later.

Every write goes to the operating system immediately (so it survives the death of the process) and returns a
*generation*: the count of writes so far. A flusher, owned by the world around the node, makes everything written up
to some generation durable (so that it survives the loss of power) and reports that generation. Nobody who holds a
`Disk` ever waits for it: what must be durable before it is said is sent with `after=generation`.

Paths are relative to the data directory, with forward slashes. A `replace` is visible to readers at once; on the real
disk the rename happens in the flusher, so a crash before the flush may leave the old content. Two writes to
different files may become durable in either order within one flush: whoever needs an order waits for a generation.

There are two implementations: `real.RealDisk` (files) and `memory.MemoryDisk` (a twin that is meaner than reality).

This port raises only `StorageError`. After an error on writing or flushing the disk is failed for good (`failed` says
why) and every later write raises: pages that failed to reach the disk are marked clean by the kernel, a retry would
"succeed" without the data (ATC'20 Rebello; KAFKA-10778).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NewType, Protocol

Generation = NewType("Generation", int)
JobId = NewType("JobId", int)
Buffer = bytes | bytearray | memoryview
ONE_BUFFER = (bytes, bytearray, memoryview)  # for `isinstance`: a union costs it ten times as much


class StorageError(Exception):
    """The disk did not do what it was asked: the message says the operation, the path and the cause."""


class DiskFull(StorageError):
    """No space: nothing of the refused write remains in the file. The disk is *not* failed; writing may go on later."""


class Reader(Protocol):
    """The reading half: all that a job may touch."""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; shorter at the end of the file. StorageError without one, or on EIO."""
        ...

    def size(self, path: str) -> int | None:
        """Size in bytes; None if there is no such file."""
        ...

    def list(self, directory: str) -> list[str]:
        """Sorted names in a directory, directories with a trailing slash; [] if it does not exist."""
        ...


class Disk(Reader, Protocol):
    """One data directory. See the module's essay for what is durable when."""

    @property
    def written(self) -> Generation:
        """The generation of the newest write."""
        ...

    @property
    def synced(self) -> Generation:
        """Everything up to this generation survives the loss of power."""
        ...

    @property
    def failed(self) -> str | None:
        """Why this disk is failed for good, or None."""
        ...

    def free(self) -> int:
        """Bytes left for writing."""
        ...

    def append(self, path: str, data: Buffer | Sequence[Buffer], *, lazy: bool = False) -> Generation:
        """Write at the end of a file, creating it and its directory. All or nothing: a short write is rolled back.

        `lazy` writes (durability "os") do not ask for a flush of their own; `flush_lazy` or a roll makes them durable.
        Raises DiskFull, StorageError.
        """
        ...

    def truncate(self, path: str, size: int) -> Generation:
        """Cut a file to `size` bytes (it must be at least that long)."""
        ...

    def replace(self, path: str, data: Buffer) -> Generation:
        """Replace a whole small file atomically: temp, fsync, rename, fsync of the directory."""
        ...

    def delete(self, path: str) -> Generation:
        """Unlink a file, or remove a directory with all that is in it. Nothing happens if it does not exist."""
        ...

    def rename(self, old: str, new: str) -> Generation:
        """Rename a directory (or a file) to a name that does not exist yet."""
        ...

    def flush_lazy(self, prefix: str = "") -> Generation:
        """Make lazily written files below `prefix` part of the next flush; returns the generation to wait for."""
        ...


class Flush(Protocol):
    """One group commit, made by `Flushable.start_flush`, run wherever blocking is allowed."""

    generation: Generation

    def run(self) -> None:
        """Block until durable. Raises StorageError, after which the disk must be failed."""
        ...


class Flushable(Disk, Protocol):
    """What the world around the node needs besides: the flusher's side of the disk."""

    def dirty(self) -> bool:
        """Whether a flush has anything to do."""
        ...

    def start_flush(self) -> Flush:
        """Take all that is dirty now; the flush covers every write up to now. One flush at a time."""
        ...

    def finish_flush(self, flush: Flush, error: StorageError | None = None) -> Generation:
        """Back on the node's thread: record what became durable (or fail the disk) and return `synced`."""
        ...

    def close(self) -> None:
        """Close all descriptors without flushing."""
        ...
