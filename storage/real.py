"""The disk of a real node: files below one directory.

Who runs where. Everything here runs on the node's thread, except `RealFlush.run`, which may block and runs elsewhere
while the node goes on writing, renaming and deleting (`flush.py` has the rules that make this safe). A job reads
through a `FileReader`, which shares nothing with the disk.

Descriptors. Files stay open in an LRU (`files.py`). A flush works on duplicates, so that the LRU may close its own.
The blocks of large files are freed by a thread of its own after their deletion (`reaper.py`).

All or nothing. The kernel may write half of an append and then say ENOSPC. Then the file is cut back to its old size,
and if even that fails the disk is failed: a half-written batch followed by a whole one would be corruption.

Replaces. The new content is written to `.replacing/<n>` at once, so a full disk is noticed here, by the caller, and
not by the flusher, where it would be fatal. The flusher makes it durable and renames it into place; until then an
overlay shows it to readers. Appending to or truncating a file with a pending replace is another replace.

What fails the disk: any error on writing, apart from no space. What does not: errors on reading, and requests that
make no sense (a file in place of a directory, a missing file), which are refused before anything is touched.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .disk import ONE_BUFFER, Buffer, DiskFull, Flush, Generation, StorageError
from .files import OUT_OF_DESCRIPTORS, FileReader, OpenFile, OpenFiles, open_file_limit
from .flush import Pending, RealFlush, System, Target, Threads, sentence
from .overlay import Overlay
from .reaper import Reaper
from .unsynced import LOCK, REPLACING, Unsynced, ancestors, checked, checked_directory, inside, moved, parent
from .whole import WholeFileSystem

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, *OUT_OF_DESCRIPTORS}
BUFFERS_PER_CALL = 1024  # IOV_MAX on Linux and macOS
FREE_IS_TRUE_FOR = 1.0


class RealDisk(FileReader):
    """`Flushable` over real files. `reserve` bytes of the file system are not counted by `free()`."""

    def __init__(
        self,
        root: Path,
        *,
        reserve: int = 0,
        open_files: int | None = None,
        system: System | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(Path(os.path.abspath(root)), system)
        self._reserve = reserve
        self._clock = clock
        self._failed: str | None = None
        self._unsynced = Unsynced()
        self._open = OpenFiles(self._root, open_files or open_file_limit(), self._unsynced.files)
        self._overlay = Overlay()
        self._temporary = itertools.count()
        self._flush: RealFlush | None = None  # the one in progress
        self._reaper = Reaper()
        self._moving = threading.Lock()  # held while names change that a flush may be using
        self._threads = Threads()
        self._free = (float("-inf"), 0)  # when it was asked for, and what it was then, less what was written since
        self._lock: int | None = None  # descriptor that holds the flock, once `lock` was called
        try:
            os.makedirs(self._root, exist_ok=True)
            os.makedirs(f"{self._root}/{REPLACING}", exist_ok=True)
        except OSError as error:
            raise StorageError(sentence("open", self._root, error)) from error
        sync_all = self._system.sync_all if self._system.can_sync_all(self._root) else None
        self._whole = WholeFileSystem(self._root, sync_all, self._system.unwritten_bytes, clock)

    # -- what is known

    @property
    def written(self) -> Generation:
        return self._unsynced.written

    @property
    def synced(self) -> Generation:
        return self._unsynced.synced

    @property
    def failed(self) -> str | None:
        return self._failed

    def reader(self) -> FileReader:
        """For jobs in other threads."""
        return FileReader(Path(self._root), self._system)

    def free(self) -> int:
        asked, free = self._free
        if self._clock() - asked >= FREE_IS_TRUE_FOR:
            try:
                free = self._system.free(self._root) - self._reserve
            except OSError as error:
                raise StorageError(sentence("ask for the free space of", self._root, error)) from error
            self._free = (self._clock(), free)
        return max(0, free)

    def read(self, path: str, offset: int, length: int) -> bytes:
        if pending := self._overlay.get(path):
            assert min(offset, length) >= 0, f"read of {length} bytes at {offset}"
            return pending.data[offset : offset + length]
        file = self._existing("read", path)
        return self._read(file.fd, file.size, path, offset, length)

    def size(self, path: str) -> int | None:
        if pending := self._overlay.get(path):
            return len(pending.data)
        if file := self._open.get(path):
            return file.size
        return super().size(path)

    def list(self, directory: str) -> list[str]:
        names = super().list(directory)
        if not self._overlay:
            return names
        return sorted({*names, *self._overlay.names(checked_directory(directory))})

    # -- writing

    def append(self, path: str, data: Buffer | Sequence[Buffer], *, lazy: bool = False) -> Generation:
        if self._failed is not None:
            self._working(f"append to {path}")
        checked(path)
        buffers = [data] if isinstance(data, ONE_BUFFER) else list(data)
        if pending := self._overlay.get(path):
            return self.replace(path, b"".join([pending.data, *buffers]))
        created = False
        file = self._cached("append to", path)
        if file is None:
            file, created = self._create(path, lazy=lazy), True
        try:
            wrote = self._write_all(file.fd, buffers)
        except OSError as error:
            self._roll_back(path, file, created, error)
            raise self._error("append to", path, error) from error
        file.size += wrote
        self._free = (self._free[0], self._free[1] - wrote)
        self._unsynced.file(path, lazy=lazy)
        return self._unsynced.count(lazy=lazy)

    def truncate(self, path: str, size: int) -> Generation:
        self._writable("truncate", path)
        found = self.size(path)
        if found is None or not 0 <= size <= found:
            raise StorageError(f"truncate {path} to {size} bytes: it has {'no file' if found is None else found}")
        if pending := self._overlay.get(path):
            return self.replace(path, pending.data[:size])
        file = self._existing("truncate", path)
        try:
            self._system.ftruncate(file.fd, size)
        except OSError as error:
            raise self._error("truncate", path, error) from error
        file.size = size
        self._unsynced.file(path)
        return self._unsynced.count()

    def replace(self, path: str, data: Buffer) -> Generation:
        self._writable("replace", path)
        if os.path.isdir(self._full(path)):
            raise StorageError(f"replace {path}: it is a directory")
        self._make_directories("replace", parent(path))
        pending = Pending(path, bytes(data), f"{REPLACING}/{next(self._temporary)}")
        self._write_temporary(pending)
        if older := self._overlay.get(path):
            self._supersede(older)
        self._overlay.put(pending)
        self._open.close(path)
        self._unsynced.forget(path)  # the old content's dirtiness; the directory's is next
        self._unsynced.directory(parent(path))
        return self._unsynced.count()

    def delete(self, path: str) -> Generation:
        self._writable("delete", path)
        full = self._full(path)
        overlaid = self._overlay.inside(path)
        if not overlaid and not os.path.lexists(full):
            return self.written
        self._let_go(path)
        for known in overlaid:
            self._supersede(self._overlay.pop(known))
        self._open.close_below(path)
        self._unsynced.forget(path)
        try:
            if os.path.isdir(full):
                with os.scandir(full) as entries:
                    files = [entry.path for entry in entries if entry.is_file(follow_symlinks=False)]
                for file in files:
                    self._reaper.unlink(file)
                shutil.rmtree(full)
            elif os.path.lexists(full):
                self._reaper.unlink(full)
        except OSError as error:
            raise self._error("delete", path, error) from error
        self._unsynced.directory(parent(path))
        return self._unsynced.count()

    def rename(self, old: str, new: str) -> Generation:
        self._writable("rename", old)
        source, target = self._full(old), self._full(new)
        if old not in self._overlay and not os.path.lexists(source):
            raise StorageError(f"rename {old} to {new}: {old} does not exist")
        if new in self._overlay or os.path.lexists(target) or inside(new, old):
            raise StorageError(f"rename {old} to {new}: {new} must be a new name, and not inside of {old}")
        self._make_directories("rename", parent(new))
        try:
            with self._moving:
                if os.path.lexists(source):
                    os.rename(source, target)
                for entry in [*self._overlay, *(self._flush.targets() if self._flush else ())]:
                    entry.path = moved(entry.path, old, new)
        except OSError as error:
            raise self._error("rename", f"{old} to {new}", error) from error
        self._overlay = Overlay(self._overlay)
        self._open.move(old, new)
        self._unsynced.move(old, new)
        self._unsynced.directory(parent(old))
        self._unsynced.directory(parent(new))
        return self._unsynced.count()

    # -- the flusher's side

    def flush_lazy(self, prefix: str = "") -> Generation:
        self._working("flush")
        return self._unsynced.ask(prefix)

    def dirty(self) -> bool:
        return bool(self._unsynced) and self._failed is None

    def start_flush(self) -> Flush:
        assert self._flush is None, "one flush at a time"
        self._working("flush")
        paths, directories = self._unsynced.take()
        files = [Target(path) for path in paths]
        for target in files[: self._open.limit // 2 or 1]:  # the others are opened by the flush, one at a time
            if file := self._open.get(target.path):
                try:
                    target.fd = os.dup(file.fd)
                except OSError:
                    break
        for pending in self._overlay:
            pending.asked = pending.path
        self._flush = RealFlush(
            self.written,
            self._root,
            self._system,
            self._whole,
            self._threads,
            self._moving,
            files,
            [Target(path) for path in directories],
            list(self._overlay),
        )
        return self._flush

    def finish_flush(self, flush: Flush, error: StorageError | None = None) -> Generation:
        assert isinstance(flush, RealFlush), "a flush of another disk"
        assert flush is self._flush, "this flush is not the one in progress"
        assert flush.done or error is not None, "a flush must have run before it is finished"
        self._flush = None
        if error is not None:
            self._failed = self._failed or str(error)
            return self.synced
        for pending in flush.replaces:
            if self._overlay.get(pending.path) is pending:
                self._overlay.pop(pending.path)
        self._unsynced.synced = flush.generation
        return self.synced

    def lock(self) -> None:
        """Keep every other process out of this data directory until `close` or death. Call it before writing."""
        assert not self._overlay, "lock the data directory before writing to it"
        path = f"{self._root}/{LOCK}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError(sentence("lock", path, error)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StorageError(sentence("lock", path, error)) from error
            by = f"process {owner}" if owner else "another process"
            raise StorageError(f"data directory {self._root} is in use by {by}") from error
        self._lock = fd
        for name in os.listdir(f"{self._root}/{REPLACING}"):  # what the last owner did not finish
            self._discard(Pending(name, b"", f"{REPLACING}/{name}"))

    def close(self) -> None:
        self._open.close_below("")
        self._reaper.close()
        self._whole.close()
        self._threads.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -- descriptors

    def _cached(self, operation: str, path: str) -> OpenFile | None:
        """The open file, or None if there is no such file."""
        try:
            return self._open.open(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(operation, path, error, writing=False) from error

    def _existing(self, operation: str, path: str) -> OpenFile:
        if file := self._cached(operation, checked(path)):
            return file
        raise StorageError(f"{operation} {path}: it does not exist")

    def _create(self, path: str, *, lazy: bool) -> OpenFile:
        self._make_directories("append to", parent(path), lazy=lazy)
        try:
            file = self._open.open(path, os.O_CREAT | os.O_EXCL)
        except OSError as error:
            raise self._error("create", path, error) from error
        self._unsynced.directory(parent(path), lazy=lazy)
        return file

    # -- the small print of writing

    def _writable(self, operation: str, path: str) -> None:
        self._working(f"{operation} {path}")
        checked(path)

    def _working(self, operation: str) -> None:
        if self._failed is not None:
            raise StorageError(f"{operation}: the disk has failed: {self._failed}")

    def _error(self, operation: str, path: str, error: OSError, *, writing: bool = True) -> StorageError:
        text = sentence(operation, path, error)
        if error.errno in NO_SPACE:
            return DiskFull(text)
        if writing and error.errno not in REFUSED:
            self._failed = text
        return StorageError(text)

    def _write_all(self, fd: int, buffers: Sequence[Buffer]) -> int:
        total = wrote = sum([memoryview(buffer).nbytes for buffer in buffers])
        if len(buffers) <= BUFFERS_PER_CALL:
            wrote = self._system.writev(fd, buffers)
            if wrote == total:
                return total
            buffers = _rest(buffers, wrote)
        while buffers:
            wrote = self._system.writev(fd, buffers[:BUFFERS_PER_CALL])
            if wrote == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            buffers = _rest(buffers, wrote)
        return total

    def _roll_back(self, path: str, file: OpenFile, created: bool, cause: OSError) -> None:
        try:
            self._system.ftruncate(file.fd, file.size)
            if created:
                self._open.close(path)
                os.unlink(self._full(path))
        except OSError as error:
            self._failed = sentence("take back the half-written", path, error) + f" (after: {cause})"

    def _write_temporary(self, pending: Pending) -> None:
        full = f"{self._root}/{pending.temporary}"
        try:
            fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                self._write_all(fd, [pending.data])
            finally:
                os.close(fd)
        except OSError as error:
            self._discard(pending)
            raise self._error("replace", pending.path, error) from error

    def _make_directories(self, operation: str, directory: str, *, lazy: bool = False) -> None:
        if not directory or os.path.isdir(self._full(directory)):
            return
        for path in [*ancestors(directory)[1:], directory]:
            if path in self._overlay:
                raise StorageError(f"{operation} something in {path}: it is a file")
            try:
                os.mkdir(self._full(path))
            except FileExistsError as error:
                if os.path.isdir(self._full(path)):
                    continue
                raise StorageError(f"{operation} something in {path}: it is a file") from error
            except OSError as error:
                raise self._error(operation, path, error) from error
            self._unsynced.directory(parent(path), lazy=lazy)

    # -- replaces that a flush may be working on

    def _let_go(self, path: str) -> None:
        """The flush in progress must not touch what is deleted, nor bring it back."""
        if self._flush is None:
            return
        with self._moving:
            for target in self._flush.targets():
                target.gone = target.gone or inside(target.path, path)

    def _supersede(self, pending: Pending) -> None:
        """Forget a replace; if a flush has it, that flush finishes with it (older content first is still in order)."""
        if self._flush is None or pending not in self._flush.replaces:
            self._discard(pending)

    def _discard(self, pending: Pending) -> None:
        try:
            os.unlink(f"{self._root}/{pending.temporary}")
        except FileNotFoundError:
            pass  # it could not even be created
        except OSError as error:
            raise self._error("discard", pending.temporary, error) from error


def _rest(buffers: Sequence[Buffer], wrote: int) -> list[Buffer]:
    """What is left of the buffers after so many bytes."""
    rest: list[Buffer] = []
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        if wrote < view.nbytes:
            rest.append(view[wrote:])
        wrote = max(0, wrote - view.nbytes)
    return rest
