"""What a disk has written and not yet made durable: the bookkeeping that both disks share.

Paths, not descriptors: `real` turns them into descriptors when a flush starts, `memory` into nodes of its tree.

Rules that are easy to get wrong, kept here once:

- A new file is durable only when its directory is, and that directory's parent, up to the root.
- A restarted process finds what its predecessor wrote in the page cache, where nothing says that it was never
  fsynced. So the first write into a directory in this incarnation makes the directory and its parents dirty, and
  whoever recovers a file and wants to call it durable says `truncate(path, size(path))`, which flushes all of it.
- Lazy writes wait beside the others. An ordinary write to the same file takes them along (one fdatasync covers the
  whole file); a directory that was made lazily becomes urgent as soon as anything urgent is below it.
- A lazy write has a generation but asks for no flush, so nobody may wait for it: `wanted` is the newest generation
  that a flush was asked for, hence the one to wait for.
"""

from __future__ import annotations

from functools import lru_cache

from .disk import Generation, StorageError

LOCK = ".lock"
REPLACING = ".replacing"
RESERVED = (LOCK, REPLACING)


@lru_cache(maxsize=8192)
def checked(path: str) -> str:
    """The path itself if it is one: relative, forward slashes, no dots, not one of the disk's own names."""
    parts = path.split("/")
    if "\0" in path or parts[0] in RESERVED or any(part in ("", ".", "..") for part in parts):
        raise StorageError(f"{path!r} is not a path below the data directory")
    return path


def checked_directory(path: str) -> str:
    """Like `checked`, but "" is the data directory itself and a trailing slash is allowed."""
    return checked(path.removesuffix("/")) if path else path


def parent(path: str) -> str:
    """The directory that holds the path; "" is the data directory."""
    return path.rpartition("/")[0]


@lru_cache(maxsize=8192)
def ancestors(path: str) -> tuple[str, ...]:
    """All directories above the path, the data directory ("") first."""
    parts = path.split("/")
    return tuple("/".join(parts[:depth]) for depth in range(len(parts)))


def inside(path: str, directory: str) -> bool:
    """Whether the path is the directory itself or below it."""
    return not directory or path == directory or path.startswith(directory + "/")


def moved(path: str, old: str, new: str) -> str:
    """What the path is called after `old` was renamed to `new`."""
    return new + path[len(old) :] if inside(path, old) else path


class Unsynced:
    """Dirty files and directories, and the count of writes. Dicts serve as sets that keep their order."""

    def __init__(self, written: int = 0) -> None:
        self.written = Generation(written)
        self.synced = Generation(written)
        self.wanted = Generation(written)
        self._taken = Generation(written)
        self.files: dict[str, None] = {}
        self.directories: dict[str, None] = {}
        self.lazy_files: dict[str, None] = {}
        self.lazy_directories: dict[str, None] = {}
        self._adopted: set[str] = set()

    def __bool__(self) -> bool:
        return self._taken < self.wanted

    def count(self, *, lazy: bool = False) -> Generation:
        """One more write."""
        self.written = Generation(self.written + 1)
        if not lazy:
            self.wanted = self.written
        return self.written

    def file(self, path: str, *, lazy: bool = False) -> None:
        """The content of a file changed."""
        if path in self.files:
            return
        if lazy:
            if path in self.lazy_files:
                return
            self.lazy_files[path] = None
        else:
            self.lazy_files.pop(path, None)
            self.files[path] = None
        self._above(path, lazy=lazy)

    def directory(self, path: str, *, lazy: bool = False) -> None:
        """A name in a directory came, went or changed."""
        if lazy and path not in self.directories:
            self.lazy_directories[path] = None
        elif not lazy:
            self.lazy_directories.pop(path, None)
            self.directories[path] = None
        self._adopted.add(path)
        self._above(path, lazy=lazy)

    def _above(self, path: str, *, lazy: bool) -> None:
        adopted, urgent = self._adopted, bool(self.lazy_directories) and not lazy
        for directory in ancestors(path) if path else ():
            if directory in adopted and not (urgent and directory in self.lazy_directories):
                continue
            self._adopted.add(directory)
            if lazy:
                self.lazy_directories[directory] = None
            else:
                self.lazy_directories.pop(directory, None)
                self.directories[directory] = None

    def ask(self, prefix: str) -> Generation:
        """Make the lazy writes below a prefix urgent; the generation to wait for, whether or not there were any."""
        prefix = checked_directory(prefix)
        files = [path for path in self.lazy_files if inside(path, prefix)]
        directories = [path for path in self.lazy_directories if inside(path, prefix)]
        for path in files:
            self.file(path)
        for path in directories:
            self.directory(path)
        return self.count() if files or directories else self.wanted

    def forget(self, path: str) -> None:
        """The path and all below it are gone."""
        if path not in self._adopted:  # a file, or a directory with nothing new below
            for paths in (self.files, self.lazy_files):
                paths.pop(path, None)
            return
        for paths in (self.files, self.directories, self.lazy_files, self.lazy_directories):
            for known in [known for known in paths if inside(known, path)]:
                del paths[known]
        self._adopted = {known for known in self._adopted if not inside(known, path)}

    def move(self, old: str, new: str) -> None:
        """The path and all below it have a new name."""
        for paths in (self.files, self.directories, self.lazy_files, self.lazy_directories):
            renamed = [moved(known, old, new) for known in paths]
            paths.clear()
            paths.update(dict.fromkeys(renamed))
        self._adopted = {moved(known, old, new) for known in self._adopted}

    def take(self) -> tuple[list[str], list[str]]:
        """A flush begins: its files and its directories, which are no longer dirty."""
        self._taken = self.written
        files, directories = list(self.files), list(self.directories)
        self.files.clear()
        self.directories.clear()
        return files, directories
