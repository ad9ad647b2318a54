"""Replaces that are not in their place yet, by path and by directory.

Creating a topic begins thousands of them at once, and each directory is listed meanwhile: so a listing must not look at
all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .flush import Pending
from .unsynced import inside, parent


class Overlay:
    """A dict of `Pending` by path that also knows who is in which directory."""

    def __init__(self, pending: Iterable[Pending] = ()) -> None:
        self._by_path: dict[str, Pending] = {}
        self._names: dict[str, dict[str, None]] = {}
        for each in pending:
            self.put(each)

    def __len__(self) -> int:
        return len(self._by_path)

    def __contains__(self, path: str) -> bool:
        return path in self._by_path

    def __iter__(self) -> Iterator[Pending]:
        """In the order in which they were begun."""
        return iter(self._by_path.values())

    def get(self, path: str) -> Pending | None:
        """What is to be at that path, if anything."""
        return self._by_path.get(path)

    def put(self, pending: Pending) -> None:
        """It takes the place of an older one."""
        self._by_path[pending.path] = pending
        self._names.setdefault(parent(pending.path), {})[pending.path.rpartition("/")[2]] = None

    def pop(self, path: str) -> Pending:
        """It is in its place, or given up."""
        directory, _, name = path.rpartition("/")
        names = self._names[directory]
        del names[name]
        if not names:
            del self._names[directory]
        return self._by_path.pop(path)

    def names(self, directory: str) -> Iterable[str]:
        """Whose place is in this directory."""
        return self._names.get(directory, ())

    def inside(self, path: str) -> list[str]:
        """The paths that are this one, or below it."""
        if path in self._by_path:
            return [path]
        return [
            f"{directory}/{name}" if directory else name
            for directory in self._names
            if inside(directory, path)
            for name in self._names[directory]
        ]
