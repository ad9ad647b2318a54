"""Many files made durable by one call: Linux's `syncfs`, which flushes a whole file system.

A hundred fdatasync are a hundred waits for the device and a hundred commits of the file system's journal, however many
threads share them. Measured on ext4, 100 files with 1.5 KB each: one after the other 18 ms, with 8 threads 7.7 ms and
as much processor time, one syncfs 2.7 ms and 0.3 ms of processor time.

* It is used only where it is known to do as much as fdatasync and fsync of every directory would: Linux from 5.8 on,
  which is when it began to report pages that could not be written, on file systems that commit all of their metadata
  in it. An error is reported once per open descriptor, so ours is opened before the first write and kept.
* It also writes what others wrote to the same file system, or our own topics that leave that to the operating system,
  and waits for it. So it is not used while the machine has more than a little that is not written yet. And a call that
  took long all the same is not repeated for a hundred times as long as it took; unless to sync so many files one by one
  takes even longer, which is measured whenever it is done: on a disk that is slow for all, one call is still the best.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import cache

FILE_SYSTEMS = frozenset({"ext4", "xfs", "btrfs"})
LITTLE = 64 << 20  # bytes that the whole machine has not written yet; a disk takes them in about 100 ms
LOOK_SECONDS = 0.05
SLOW_SECONDS = 0.1
REST = 100.0  # times what a slow call took


def syncfs(fd: int) -> None:
    """Make the file system of this descriptor durable. Raises OSError."""
    error = _syncfs()(fd)
    if error:
        raise OSError(error, os.strerror(error))


@cache
def _syncfs() -> Callable[[int], int]:
    """The call, which returns an error number. Python has no name for it."""
    import ctypes  # here, since it takes 5 ms of a start, and not everybody has so many files

    function = ctypes.CDLL(None, use_errno=True).syncfs

    def call(fd: int) -> int:
        return 0 if function(fd) == 0 else ctypes.get_errno()

    return call


def syncfs_suffices(root: str) -> bool:
    """Whether `syncfs` does here what fsync of every file and directory would."""
    return sys.platform == "linux" and _release() >= (5, 8) and _file_system(root) in FILE_SYSTEMS


def _release() -> tuple[int, ...]:
    """The first two numbers of the kernel's version."""
    numbers = os.uname().release.split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdigit())


def _file_system(root: str) -> str:
    """The type of the file system that holds this directory; empty if that cannot be told."""
    device = os.stat(root).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                before, _, after = line.partition(" - ")
                if before.split()[2] == number:
                    return after.split()[0]
    except OSError:
        return ""  # no /proc here
    return ""


def unwritten_bytes() -> int:
    """What all programs of this machine have written and the kernel has not: Linux's Dirty and Writeback."""
    with open("/proc/meminfo", "rb") as file:
        fields = [line.split() for line in file if line.startswith((b"Dirty:", b"Writeback:"))]
    return sum(int(kilobytes) << 10 for _, kilobytes, *_ in fields)


class WholeFileSystem:
    """The file system of a data directory, for one flusher. `sync` is the call; None where it does not suffice."""

    def __init__(
        self,
        root: str,
        sync: Callable[[int], None] | None,
        unwritten: Callable[[], int] = unwritten_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sync = sync
        self._unwritten = unwritten
        self._clock = clock
        self._fd = -1 if sync is None else os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._not_before = float("-inf")
        self._slow = 0.0  # what the call took that is not to be repeated before
        self._each = 0.0  # seconds that a file takes among many, smoothed; 0: not known
        self._little = (float("-inf"), False)  # when it was looked, and whether little was unwritten then

    def usable(self, files: int) -> bool:
        """Whether `sync` is worth a try now, rather than to sync so many files."""
        now = self._clock()
        if self._fd < 0 or (now < self._not_before and files * self._each <= self._slow):
            return False
        if now - self._little[0] >= LOOK_SECONDS:
            self._little = (now, self._unwritten() <= LITTLE)
        return self._little[1]

    def sync(self) -> None:
        """Everything written so far is durable when this returns. Raises OSError."""
        assert self._sync is not None, "ask first whether it is usable"
        began = self._clock()
        self._sync(self._fd)
        took = self._clock() - began
        if took > SLOW_SECONDS:
            self._not_before, self._slow = began + took * REST, took

    def instead(self, sync: Callable[[], None], files: int) -> None:
        """Sync so many files by other means, and remember what that takes."""
        began = self._clock()
        sync()
        took = (self._clock() - began) / files
        self._each = self._each + (took - self._each) / 4 if self._each else took

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
