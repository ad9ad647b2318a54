"""The nodes of a `MemoryDisk`: files and directories that know what of them is written and what is durable."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

PAGE = 4096
SECTOR = 512


class Image:
    """A durable content, told as a difference to the written one: a prefix of it, and what a truncation cut off."""

    __slots__ = ("stable", "tail")

    def __init__(self, stable: int, tail: bytes = b"") -> None:
        self.stable = stable
        self.tail = tail

    def cut(self, data: bytearray, size: int) -> None:
        """The written content is about to be truncated; the durable one is not."""
        if size < self.stable:
            self.tail = bytes(memoryview(data)[size : self.stable]) + self.tail
            self.stable = size


class File:
    """A file's written content, its durable image, and the image that a flush in progress captured."""

    __slots__ = ("captured", "data", "durable")

    def __init__(self, data: bytes = b"") -> None:
        """A file whose content, if it has one, is durable from the start (a finished replace)."""
        self.data = bytearray(data)
        self.durable = Image(len(data))
        self.captured: Image | None = None

    def truncate(self, size: int) -> None:
        for image in (self.durable, self.captured):
            if image is not None:
                image.cut(self.data, size)
        del self.data[size:]

    def capture(self) -> None:
        self.captured = Image(len(self.data))

    def finish(self, *, durable: bool) -> None:
        if durable and self.captured is not None:
            self.durable = self.captured
        self.captured = None

    def lose_power(self, random: Random, likely: float) -> None:
        """Become what the next boot finds, all of it durable."""
        stable, tail = self.durable.stable, self.durable.tail
        if tail and random.random() >= likely:
            self._undo_truncation(random)
        elif len(self.data) > stable:
            self._lose_pages(random, likely, stable)
        self.durable = Image(len(self.data))
        self.captured = None

    def _undo_truncation(self, random: Random) -> None:
        """The old end is back. The page of the cut is written in place, so it may have the new bytes already."""
        stable, tail = self.durable.stable, self.durable.tail
        newer = self.data[stable : (stable // PAGE + 1) * PAGE][: len(tail)]
        del self.data[stable:]
        self.data += tail
        if random.random() < 0.5:
            self.data[stable : stable + len(newer)] = newer

    def _lose_pages(self, random: Random, likely: float, stable: int) -> None:
        written = len(self.data)
        kept_end = stable
        for start in range(stable // PAGE * PAGE, written, PAGE):
            begin, end = max(start, stable), min(start + PAGE, written)
            if random.random() < likely:
                kept_end = end
            else:
                self.data[begin:end] = bytes(end - begin)
        if kept_end > stable and random.random() < 0.5:  # torn: the sectors after the tear were not written
            page = (kept_end - 1) // PAGE * PAGE
            tear = page + SECTOR * random.randint(0, PAGE // SECTOR)
            tear = min(max(tear, stable), kept_end)
            self.data[tear:kept_end] = bytes(kept_end - tear)
            kept_end = tear
        longest = written if random.random() < 0.3 else kept_end
        del self.data[random.randint(kept_end, longest) :]


class Directory:
    """Names of nodes: as written, as durable, and the pending replaces, newest last."""

    __slots__ = ("dead", "durable", "entries", "pending")

    def __init__(self) -> None:
        self.entries: dict[str, Directory | File] = {}
        self.durable: dict[str, Directory | File] = {}
        self.pending: dict[str, list[Version]] = {}
        self.dead = False  # it was deleted: nobody can flush it any more

    def find(self, path: str) -> Directory | File | None:
        """The node at a path below this directory, pending replaces aside."""
        node: Directory | File | None = self
        for name in path.split("/") if path else ():
            if not isinstance(node, Directory):
                return None
            node = node.entries.get(name)
        return node

    def names(self) -> list[str]:
        listed = {name + "/" if isinstance(node, Directory) else name for name, node in self.entries.items()}
        return sorted(listed | set(self.pending))

    def walk(self, *, durable: bool = False) -> Iterator[Directory | File]:
        """This directory and all nodes below it, by written names or (also) by durable ones."""
        seen: dict[Directory | File, None] = {}
        waiting: list[Directory | File] = [self]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen[node] = None
            if isinstance(node, Directory):
                waiting.extend(node.entries.values())
                waiting.extend(node.durable.values() if durable else ())
        return iter(seen)

    def lose_power(self, random: Random, likely: float) -> None:
        """After the names were decided: they are durable now."""
        self.durable = dict(self.entries)
        self.pending.clear()
        self.dead = False


class Version:
    """A pending replace: the content that will be at a name."""

    __slots__ = ("data", "directory", "gone", "moved", "name", "renamed")

    def __init__(self, directory: Directory, name: str, data: bytes) -> None:
        self.directory = directory
        self.name = name
        self.data = data
        self.gone = False  # deleted before it was in place
        self.moved = False  # it, or a directory above it, was renamed since the flush began
        self.renamed: Change | None = None  # the move of the old content, without which it is not at this name


class Change:
    """A node got a name, lost one, or both (a rename); with `replaced`, in the place of another."""

    __slots__ = ("kept", "node", "replaced", "source", "target")

    def __init__(
        self,
        node: Directory | File,
        source: tuple[Directory, str] | None,
        target: tuple[Directory, str] | None,
        replaced: Directory | File | None = None,
    ) -> None:
        self.node = node
        self.source = source
        self.target = target
        self.replaced = replaced
        self.kept = True

    def directories(self) -> list[Directory]:
        return [end[0] for end in (self.source, self.target) if end is not None]

    def nodes(self) -> list[Directory | File]:
        return [self.node, *self.directories()]

    def possible(self) -> bool:
        """Whether it makes sense for the present entries, which after a power loss lack some earlier changes."""
        if self.source is not None:
            directory, name = self.source
            if directory.entries.get(name) is not self.node:
                return False
            if self.target is None and isinstance(self.node, Directory) and self.node.entries:
                return False
        if self.target is not None:
            directory, name = self.target
            if directory.entries.get(name) is not self.replaced:
                return False
            if isinstance(self.node, Directory) and directory in self.node.walk():
                return False  # it would be inside of itself
        return True

    def apply(self) -> None:
        if self.source is not None:
            del self.source[0].entries[self.source[1]]
        if self.target is not None:
            self.target[0].entries[self.target[1]] = self.node


class Snapshot:
    """A whole disk at rest: contents by path, and the directories."""

    __slots__ = ("directories", "files")

    def __init__(self, files: dict[str, bytes], directories: tuple[str, ...]) -> None:
        self.files = files
        self.directories = directories

    def tree(self) -> Directory:
        """Durable nodes for it."""
        root = Directory()
        for path in sorted([*self.directories, *self.files]):
            at = root
            *above, name = path.rstrip("/").split("/")
            for step in above:
                found = at.entries[step]
                assert isinstance(found, Directory)
                at = found
            at.entries[name] = at.durable[name] = File(self.files[path]) if path in self.files else Directory()
        return root
