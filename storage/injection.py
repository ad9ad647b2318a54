"""A disk that fails on purpose, for exercises: full, slow, or unable to flush.

Used by a node only if its cluster file says `faults = "allowed"`; until somebody injects something it does what the
system does. *Full* is told as the operating system tells it: a write takes what there is room for, the next one says
ENOSPC, and `free()` is what is left. Room that is left is used up by writing and not given back by deleting, as if
another program took it. *Slow* holds each flush for so long. *Failing* makes the next flush say EIO.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence

from .disk import Buffer
from .flush import System


class InjectedSystem(System):
    """System calls with faults. Fields may be set from any thread at any time; None and 0 are the real thing."""

    def __init__(self) -> None:
        self.room: int | None = None  # bytes that may still be written
        self.flush_delay: float = 0.0  # seconds that each file of a flush takes longer; or all of it
        self.fail_flush = False  # the next flush fails; that is final

    def writev(self, fd: int, buffers: Sequence[Buffer]) -> int:
        room = self.room
        if room is None:
            return super().writev(fd, buffers)
        wanted = sum(memoryview(buffer).nbytes for buffer in buffers)
        if room <= 0 < wanted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if wanted > room:
            joined = b"".join(bytes(buffer) for buffer in buffers)
            buffers = [joined[:room]]
        wrote = super().writev(fd, buffers)
        self.room = room - wrote
        return wrote

    def free(self, root: str) -> int:
        free = super().free(root)
        return free if self.room is None else min(free, self.room)

    def sync_file(self, fd: int) -> None:
        self._before_a_sync()
        super().sync_file(fd)

    def sync_all(self, fd: int) -> None:
        self._before_a_sync()
        super().sync_all(fd)

    def _before_a_sync(self) -> None:
        if self.flush_delay:
            time.sleep(self.flush_delay)
        if self.fail_flush:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
