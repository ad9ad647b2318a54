"""What only the real disk has: descriptors, files that other threads sync, and errors of the operating system.

Faults come from `Broken`, the disk's own system calls with switches; nothing is patched. ENOSPC comes once more from
the kernel itself, by way of a limit on the size of files.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from barnabas.storage.disk import Buffer, DiskFull, StorageError
from barnabas.storage.files import FileReader
from barnabas.storage.flush import FEW, System
from barnabas.storage.real import RealDisk
from barnabas.storage.whole import LITTLE, LOOK_SECONDS, syncfs, syncfs_suffices, unwritten_bytes


class Broken(System):
    """Lets the next call fail in the way that was asked for."""

    def __init__(self) -> None:
        self.short: list[int] = []  # sizes of the next writes; afterwards `error`, if there is one, or all
        self.error: int | None = None
        self.on_truncate: int | None = None
        self.on_sync: int | None = None
        self.on_each: Callable[[], None] = lambda: None  # file that is synced
        self.on_directory_sync: int | None = None
        self.whole = False  # whether the whole file system can be flushed at once
        self.on_whole_sync: Callable[[], None] = lambda: None
        self.whole_syncs = 0
        self.unwritten = 0
        self.synced: list[int] = []  # inodes
        self.read_at_most = 1 << 30

    def writev(self, fd: int, buffers: Sequence[Buffer]) -> int:
        if self.short:
            return os.write(fd, b"".join(buffers)[: self.short.pop(0)])
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))
        return super().writev(fd, buffers)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return super().pread(fd, min(length, self.read_at_most), offset)

    def ftruncate(self, fd: int, size: int) -> None:
        if self.on_truncate is not None:
            raise OSError(self.on_truncate, os.strerror(self.on_truncate))
        super().ftruncate(fd, size)

    def sync_file(self, fd: int) -> None:
        if self.on_sync is not None:
            raise OSError(self.on_sync, os.strerror(self.on_sync))
        self.on_each()
        super().sync_file(fd)
        self.synced.append(os.fstat(fd).st_ino)

    def sync_directory(self, fd: int) -> None:
        if self.on_directory_sync is not None:
            raise OSError(self.on_directory_sync, os.strerror(self.on_directory_sync))
        super().sync_directory(fd)
        self.synced.append(os.fstat(fd).st_ino)

    def can_sync_all(self, root: str) -> bool:
        return self.whole and super().can_sync_all(root)

    def sync_all(self, fd: int) -> None:
        self.on_whole_sync()
        super().sync_all(fd)
        self.whole_syncs += 1

    def unwritten_bytes(self) -> int:
        return self.unwritten


@pytest.fixture
def system() -> Broken:
    return Broken()


@pytest.fixture
def disk(tmp_path: Path, system: Broken) -> Iterator[RealDisk]:
    disk = RealDisk(tmp_path / "data", system=system)
    yield disk
    disk.close()


def flush(disk: RealDisk) -> None:
    started = disk.start_flush()
    started.run()
    disk.finish_flush(started)


def inode(path: Path) -> int:
    return path.stat().st_ino


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def test_a_short_write_is_completed(disk: RealDisk, system: Broken) -> None:
    system.short = [1, 3, 4]
    disk.append("a", [b"01", b"2345", memoryview(b"6789")])
    assert disk.read("a", 0, 99) == b"0123456789"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_nothing_of_the_write_and_goes_on_later(disk: RealDisk, system: Broken, code: int) -> None:
    disk.append("a", b"before")
    system.short, system.error = [3], code
    with pytest.raises(DiskFull, match="append to a: "):
        disk.append("a", b"refused")
    system.short = [2]
    with pytest.raises(DiskFull):
        disk.append("d/new", b"refused")
    with pytest.raises(DiskFull):
        disk.replace("a", b"refused")
    assert (disk.failed, disk.size("a"), disk.size("d/new"), disk.written) == (None, 6, None, 1)
    system.error = None
    disk.append("a", b", after")
    assert disk.read("a", 0, 99) == b"before, after"


def test_an_error_on_writing_is_final_and_keeps_nothing_of_the_write(disk: RealDisk, system: Broken) -> None:
    disk.append("a", b"before")
    system.short, system.error = [3], errno.EIO
    with pytest.raises(StorageError, match="append to a: Input/output error"):
        disk.append("a", b"refused")
    system.error = None
    with pytest.raises(StorageError, match="the disk has failed: append to a"):
        disk.append("b", b"x")
    assert disk.read("a", 0, 99) == b"before"
    assert not disk.dirty()


def test_a_half_written_append_that_cannot_be_taken_back_fails_the_disk(disk: RealDisk, system: Broken) -> None:
    disk.append("a", b"before")
    system.short, system.error, system.on_truncate = [3], errno.ENOSPC, errno.EIO
    with pytest.raises(StorageError):
        disk.append("a", b"refused")
    assert disk.failed is not None
    assert "half-written" in disk.failed


def test_the_kernels_own_refusal_is_rolled_back(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    disk = RealDisk(tmp_path / "data")
    disk.append("a", b"x" * 1000)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
        with pytest.raises(DiskFull):
            disk.append("a", b"y" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert disk.read("a", 0, 9999) == b"x" * 1000
    disk.append("a", b"z")
    assert (tmp_path / "data/a").read_bytes() == b"x" * 1000 + b"z"
    disk.close()


@pytest.mark.parametrize("error", [OSError(errno.EIO, os.strerror(errno.EIO)), ValueError("a bug")])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_flush_of_a_few_files_fails_with_one_of_them(disk: RealDisk, system: Broken, error: Exception) -> None:
    before = 0

    def fail_once() -> None:
        nonlocal before
        before += 1
        if before == 2:
            raise error

    system.on_each = fail_once
    for name in "abcd":
        disk.append(name, b"x")
    started = disk.start_flush()
    with pytest.raises((StorageError, ValueError)):  # in whichever thread it was
        started.run()
    assert not started.done
    if isinstance(error, OSError):
        assert before == 4, "the others have ended, well or not"
    disk.finish_flush(started, StorageError("flush: it failed"))
    assert disk.failed


@pytest.mark.parametrize("switch", ["on_sync", "on_directory_sync"])
def test_a_failed_fsync_is_final(disk: RealDisk, system: Broken, switch: str) -> None:
    disk.append("d/a", b"x")
    disk.replace("b", b"y")
    setattr(system, switch, errno.EIO)
    started = disk.start_flush()
    with pytest.raises(StorageError, match="Input/output error") as error:
        started.run()
    assert disk.finish_flush(started, error.value) == disk.synced == 0
    setattr(system, switch, None)
    for attempt in (disk.start_flush, disk.flush_lazy, lambda: disk.append("d/a", b"x"), lambda: disk.delete("b")):
        with pytest.raises(StorageError, match="the disk has failed"):
            attempt()
    assert disk.read("d/a", 0, 9) == b"x"


def test_short_reads_are_completed(disk: RealDisk, system: Broken) -> None:
    disk.append("a", b"0123456789")
    system.read_at_most = 3
    assert disk.read("a", 1, 99) == b"123456789"


def test_a_flush_syncs_the_file_and_every_directory_above_a_new_one(
    disk: RealDisk, system: Broken, tmp_path: Path
) -> None:
    disk.append("d/e/a", b"x")
    flush(disk)
    root = tmp_path / "data"
    assert set(system.synced) == {inode(root / at) for at in ("", "d", "d/e", "d/e/a")}
    system.synced.clear()
    disk.append("d/e/a", b"x")
    flush(disk)
    assert system.synced == [inode(root / "d/e/a")]


def test_a_restarted_disk_does_not_trust_what_it_finds(disk: RealDisk, tmp_path: Path) -> None:
    disk.append("d/a", b"x")
    disk.close()
    system = Broken()
    again = RealDisk(tmp_path / "data", system=system)
    again.truncate("d/a", 1)
    flush(again)
    assert set(system.synced) == {inode(tmp_path / "data" / at) for at in ("", "d", "d/a")}
    again.close()


def test_files_closed_for_want_of_descriptors_are_synced_all_the_same(tmp_path: Path) -> None:
    system = Broken()
    disk = RealDisk(tmp_path / "data", open_files=3, system=system)
    before = open_descriptors()
    for index in range(20):
        disk.append(f"d/{index}", b"x")
    assert open_descriptors() <= before + 3
    disk.rename("d", "e")
    flush(disk)
    assert {inode(tmp_path / f"data/e/{index}") for index in range(20)} <= set(system.synced)
    assert open_descriptors() <= before + 3
    disk.close()
    assert open_descriptors() == before


needs_syncfs = pytest.mark.skipif(
    not syncfs_suffices(tempfile.gettempdir()), reason="needs Linux 5.8 and a directory on ext4, xfs or btrfs"
)


def whole_disk(tmp_path: Path, clock: Callable[[], float] = lambda: 0.0) -> tuple[RealDisk, Broken]:
    system = Broken()
    system.whole = True
    return RealDisk(tmp_path / "data", system=system, clock=clock), system


def touch(disk: RealDisk, files: int) -> None:
    for index in range(files):
        disk.append(f"d/{index}", b"x")


@needs_syncfs
def test_many_files_are_flushed_by_one_call_and_a_few_by_themselves(tmp_path: Path) -> None:
    disk, system = whole_disk(tmp_path)
    touch(disk, 100)
    flush(disk)
    assert (system.whole_syncs, len(system.synced)) == (1, 2)  # the directories "d" and ""
    touch(disk, FEW)
    flush(disk)
    assert (system.whole_syncs, len(system.synced)) == (1, 2 + FEW)
    for index in range(20):
        disk.replace(f"d/{index}", b"new")
    flush(disk)
    assert system.whole_syncs == 2
    assert (tmp_path / "data/d/7").read_bytes() == b"new"
    assert disk.synced == disk.written
    disk.close()


@needs_syncfs
def test_a_call_for_many_files_that_fails_is_final(tmp_path: Path) -> None:
    disk, system = whole_disk(tmp_path)
    touch(disk, 100)

    def fail() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    system.on_whole_sync = fail
    started = disk.start_flush()
    with pytest.raises(StorageError, match="flush: Input/output error"):
        started.run()
    disk.finish_flush(started, StorageError("flush: Input/output error"))
    assert disk.failed
    disk.close()


@needs_syncfs
def test_a_call_that_wrote_what_others_wrote_is_not_repeated_soon(tmp_path: Path) -> None:
    now = 0.0
    disk, system = whole_disk(tmp_path, lambda: now)

    def take_long() -> None:
        nonlocal now
        now += 0.5

    system.on_whole_sync = take_long
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 1
    system.on_whole_sync = lambda: None
    now += 49.0
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 1
    assert {inode(tmp_path / f"data/d/{index}") for index in range(100)} <= set(system.synced)
    now += 1.0
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 2
    disk.close()


@needs_syncfs
def test_but_where_files_take_longer_one_by_one_it_is_repeated_all_the_same(tmp_path: Path) -> None:
    """A disk that is slow for all: 100 files took 150 ms, and the one call, of 110 ms, was not used for 11 s."""
    now, one_by_one = 0.0, threading.Lock()
    disk, system = whole_disk(tmp_path, lambda: now)

    def take(seconds: float) -> None:
        nonlocal now
        with one_by_one:  # files are synced by several threads
            now += seconds

    system.on_whole_sync = lambda: take(0.2)
    touch(disk, 100)
    flush(disk)
    system.on_each = lambda: take(0.001)
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 1
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 1, "0.1 s for all files is better than 0.2 s"
    system.on_each = lambda: take(0.02)
    touch(disk, 100)
    flush(disk)
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 2, "and 0.5 s is not"
    disk.close()


@needs_syncfs
def test_what_others_have_not_written_yet_is_not_waited_for(tmp_path: Path) -> None:
    now = 0.0
    disk, system = whole_disk(tmp_path, lambda: now)
    system.unwritten = LITTLE + 1
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 0
    assert {inode(tmp_path / f"data/d/{index}") for index in range(100)} <= set(system.synced)
    system.unwritten = LITTLE
    now += LOOK_SECONDS
    touch(disk, 100)
    flush(disk)
    assert system.whole_syncs == 1
    disk.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_the_kernel_tells_how_much_is_not_written_yet(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.write(bytes(32 << 20))
        file.flush()
        assert unwritten_bytes() > 0


@needs_syncfs
def test_a_descriptor_that_is_no_file_systems_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        syncfs(-1)


def test_renaming_and_deleting_while_a_flush_waits_does_not_lose_or_revive(tmp_path: Path) -> None:
    """The flush stops inside its first fsync; meanwhile the node renames one directory and deletes the other."""

    class Slow(Broken):
        inside, proceed = threading.Event(), threading.Event()

        def sync_file(self, fd: int) -> None:
            self.inside.set()
            assert self.proceed.wait(60)
            super().sync_file(fd)

    system = Slow()
    disk = RealDisk(tmp_path / "data", open_files=1, system=system)
    for name in ("kept/a", "kept/b", "gone/a", "gone/b"):
        disk.append(name, b"x")
    disk.replace("kept/r", b"new")
    disk.replace("gone/r", b"new")
    started = disk.start_flush()
    thread = threading.Thread(target=started.run)
    thread.start()
    assert system.inside.wait(60)
    disk.rename("kept", "moved")
    disk.delete("gone")
    system.proceed.set()
    thread.join()
    disk.finish_flush(started)
    assert disk.list("") == ["moved/"]
    assert (tmp_path / "data/moved/r").read_bytes() == b"new"
    assert {inode(tmp_path / "data/moved" / name) for name in ("", "a", "b", "r")} <= set(system.synced)
    assert os.listdir(tmp_path / "data/.replacing") == []
    disk.close()


def test_a_replace_is_not_in_its_place_before_it_is_durable(disk: RealDisk, tmp_path: Path) -> None:
    disk.append("a", b"old")
    flush(disk)
    disk.replace("a", b"new")
    assert disk.read("a", 0, 9) == b"new"
    assert (tmp_path / "data/a").read_bytes() == b"old"
    disk.close()
    again = RealDisk(tmp_path / "data")
    assert len(os.listdir(tmp_path / "data/.replacing")) == 1  # it may be another process's, before we have the lock
    again.lock()
    assert os.listdir(tmp_path / "data/.replacing") == []
    assert again.read("a", 0, 9) == b"old"
    again.replace("a", b"newest")
    flush(again)
    assert (tmp_path / "data/a").read_bytes() == b"newest"
    assert os.listdir(tmp_path / "data/.replacing") == []
    again.close()


def test_an_append_of_many_buffers_is_one_write(disk: RealDisk) -> None:
    disk.append("a", [b"%04d" % index for index in range(3000)])
    assert disk.size("a") == 12_000
    assert disk.read("a", 4 * 2999, 4) == b"2999"


def test_a_job_reads_in_another_thread_through_its_own_reader(disk: RealDisk) -> None:
    disk.append("d/a", b"0123")
    reader = disk.reader()
    assert isinstance(reader, FileReader)
    assert (reader.read("d/a", 1, 9), reader.size("d/a"), reader.list("d")) == (b"123", 4, ["a"])
    with pytest.raises(StorageError):
        reader.read("d/b", 0, 1)


def test_free_space_is_asked_for_once_a_second_and_shrinks_with_what_is_written(tmp_path: Path) -> None:
    now = 0.0
    disk = RealDisk(tmp_path / "data", clock=lambda: now)
    reserving = RealDisk(tmp_path / "other", reserve=1 << 60)
    free = disk.free()
    disk.append("a", b"x" * 1000)
    assert disk.free() == free - 1000
    assert reserving.free() == 0
    disk.close()
    reserving.close()


def test_a_second_process_is_refused_and_told_which_one_holds_the_directory(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "data")
    disk.lock()
    program = (
        "import sys; from pathlib import Path; from barnabas.storage.real import RealDisk\n"
        "try: RealDisk(Path(sys.argv[1])).lock()\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]
    refused = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert refused.startswith("StorageError data directory ")
    assert f"in use by process {os.getpid()}" in refused
    disk.close()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_the_space_of_a_large_file_is_freed_after_its_deletion_and_elsewhere(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "data")
    disk.append("d/large", bytes(40 << 20))
    disk.append("d/small", b"x")
    held = os.open(tmp_path / "data/d/large", os.O_RDONLY)
    try:
        disk.delete("d/large")
        assert disk.list("d") == ["small"]
        wait_for(lambda: os.fstat(held).st_size <= 16 << 20)  # cut in slices
        disk.append("e/large", bytes(2 << 20))
        disk.delete("e")
        assert disk.list("") == ["d/"]
    finally:
        disk.close()
        os.close(held)
    wait_for(lambda: not any(thread.name.startswith("reap") for thread in threading.enumerate()))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.01)
