"""Giving back the space of deleted files, slowly and elsewhere.

Unlinking a name is quick as long as somebody holds the file open. What takes time is freeing its blocks, which the
kernel does when the last descriptor closes: 44 ms for 64 MiB and 716 ms for 1 GiB (measured on ext4, a busy machine).
A node that did it on its own thread would miss heartbeats whenever a segment expires, and a flusher that did it would
hold up every write. So the disk unlinks, and hands the descriptor over to this one thread, which cuts the file a slice
at a time, with pauses in which others get at the file system's journal.

Nothing here can be lost: a file without a name is freed by the kernel when its process ends.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

SMALL = 1 << 20  # bytes that are freed on the spot
SLICE = 16 << 20
PAUSE_S = 0.02


class Reaper:
    """One thread, started with the first large file."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._closing = threading.Event()

    def unlink(self, full: str) -> None:
        """Remove a file; if it is large, free it later. Raises OSError."""
        fd: int | None = None
        if os.path.getsize(full) > SMALL:
            with contextlib.suppress(OSError):  # no descriptor is left: then it takes as long as it takes
                fd = os.open(full, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.unlink(full)
        except OSError:
            if fd is not None:
                os.close(fd)
            raise
        if fd is not None:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="reap")
            self._thread.submit(self._free, fd)

    def close(self) -> None:
        """Leave what is left to the kernel."""
        self._closing.set()
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _free(self, fd: int) -> None:
        try:
            size = os.fstat(fd).st_size
            while size > SLICE and not self._closing.wait(PAUSE_S):
                size -= SLICE
                with contextlib.suppress(OSError):  # it is freed at once then, when it is closed
                    os.ftruncate(fd, size)
        finally:
            os.close(fd)
