"""Files as the operating system has them: reading without a disk, and the descriptors a disk keeps open.

A descriptor in the LRU is for appending and reading alike. Nothing is lost when one is dropped: what is dirty is
remembered by path (`unsynced.py`), and the flush opens it again.
"""

from __future__ import annotations

import errno
import itertools
import os
import resource
from collections import OrderedDict
from collections.abc import Container
from pathlib import Path

from .disk import StorageError
from .flush import System, sentence
from .unsynced import RESERVED, checked, checked_directory, inside, moved

OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
LOOKED_AT = 16  # so many of the oldest are asked whether they are clean


def open_file_limit() -> int:
    """Raise this process's descriptor limit as far as is sensible; half of it, at most 4,096, is for log files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < ceiling:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
            soft = ceiling
        except (ValueError, OSError):
            pass  # macOS says "unlimited" and means kern.maxfilesperproc: stay with what there is
    return 4_096 if soft == resource.RLIM_INFINITY else max(16, min(4_096, soft // 2))


class FileReader:
    """The reading half without a cache or an overlay: safe in any thread, for files that do not change."""

    def __init__(self, root: Path, system: System | None = None) -> None:
        self._root = os.fspath(root)
        self._system = system or System()

    def read(self, path: str, offset: int, length: int) -> bytes:
        try:
            fd = os.open(self._full(path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(sentence("read", path, error)) from error
        try:
            return self._read(fd, os.fstat(fd).st_size, path, offset, length)
        finally:
            os.close(fd)

    def size(self, path: str) -> int | None:
        try:
            found = os.stat(self._full(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(sentence("look at", path, error)) from error
        return None if os.path.isdir(self._full(path)) else found.st_size

    def list(self, directory: str) -> list[str]:
        directory = checked_directory(directory)
        try:
            with os.scandir(os.path.join(self._root, directory)) as found:
                entries = [entry for entry in found if directory or entry.name not in RESERVED]
                return sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageError(sentence("list", directory or ".", error)) from error

    def _full(self, path: str) -> str:
        return f"{self._root}/{checked(path)}"

    def _read(self, fd: int, size: int, path: str, offset: int, length: int) -> bytes:
        assert min(offset, length) >= 0, f"read of {length} bytes at {offset}"
        length = min(length, size - offset)
        chunks: list[bytes] = []
        while length > 0:
            try:
                chunk = self._system.pread(fd, length, offset)
            except OSError as error:
                raise StorageError(sentence("read", path, error)) from error
            if not chunk:
                break
            if len(chunk) == length and not chunks:
                return chunk
            chunks.append(chunk)
            offset += len(chunk)
            length -= len(chunk)
        return b"".join(chunks)


class OpenFile:
    """A descriptor in the LRU, and the size of its file, which only this process changes."""

    __slots__ = ("fd", "size")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size


class OpenFiles:
    """The descriptors in use, oldest first, at most `limit`; one of a path in `dirty` is dropped last."""

    def __init__(self, root: str, limit: int, dirty: Container[str]) -> None:
        assert limit >= 1, "at least one file must be open"
        self.limit = limit
        self._root = root
        self._dirty = dirty
        self._files: OrderedDict[str, OpenFile] = OrderedDict()

    def get(self, path: str) -> OpenFile | None:
        """The file if it is open."""
        return self._files.get(path)

    def open(self, path: str, flags: int = 0) -> OpenFile:
        """The file, opened if it is not. Raises OSError."""
        if file := self._files.get(path):
            self._files.move_to_end(path)
            return file
        while len(self._files) >= self.limit:
            self._drop_one()
        flags |= os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        try:
            fd = os.open(f"{self._root}/{path}", flags, 0o644)
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS or not self._files:
                raise
            for _ in range((len(self._files) + 1) // 2):
                self._drop_one()
            fd = os.open(f"{self._root}/{path}", flags, 0o644)
        file = self._files[path] = OpenFile(fd)
        return file

    def move(self, old: str, new: str) -> None:
        """A path was renamed; descriptors do not care."""
        self._files = OrderedDict((moved(path, old, new), file) for path, file in self._files.items())

    def close(self, path: str) -> None:
        """Close a file, if it is open: to look whether one is below it costs as much as all that are open."""
        if file := self._files.pop(path, None):
            os.close(file.fd)

    def close_below(self, path: str) -> None:
        """Close a file, or all in a directory; "" is all."""
        for known in [path] if path in self._files else [known for known in self._files if inside(known, path)]:
            self.close(known)

    def _drop_one(self) -> None:
        oldest = itertools.islice(self._files, LOOKED_AT)
        path = next((path for path in oldest if path not in self._dirty), next(iter(self._files)))
        os.close(self._files.pop(path).fd)
