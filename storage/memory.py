"""A disk in memory that is meaner than reality: what the simulator's nodes write to.

It remembers two states at once: what was written (readers see it, it survives the death of the process) and what is
durable (it survives the loss of power). `crash` and `power_loss` turn the object into what a restarted process finds.

*Contents.* A file is one bytearray and an `Image`: which prefix of it is durable, and what durable bytes a truncation
cut off that is not durable itself. So an append costs nothing but itself, and only pending ranges are looked at later.
A flush in progress is a second image, which becomes the durable one when it finishes: exactly what was captured.

*Names.* Directories are nodes with written and durable entries; each change that is not durable yet is a `Change` in a
journal. A power loss starts from the durable entries and applies each change or not, independently, if it is possible
(nothing can be created in a directory that was lost). Changes name nodes and not only paths, so a file never turns up
where nobody put it. A flush of a directory makes its entries durable as they were when the flush began.

*Replaces.* Versions beside the entry, which readers see and a flush puts in place, whole. A crash keeps any prefix of
the versions (the flusher may have been busy), a power loss too.

A power loss, per file: the durable bytes stay. Of the 4 KiB pages after them each is kept or not, what was lost below
a kept one reads as zeros, the last kept one may be torn at 512 bytes, and zeros may follow (size before data). A
truncation that was not durable may be undone, and then the page with the cut may already hold the newer bytes.

What is not here: the delays of a slow disk, which belong to the flusher.
"""

from __future__ import annotations

from collections.abc import Collection, MutableSequence, Sequence
from random import Random

from .disk import ONE_BUFFER, Buffer, DiskFull, Flush, Generation, StorageError
from .memory_tree import Change, Directory, File, Snapshot, Version
from .unsynced import Unsynced, checked, checked_directory, inside, parent

NO_LIMIT = 1 << 40


class Killed(Exception):
    """The process was killed in the middle of a write: the end of an input that never happened."""


class MemoryFlush:
    """What `MemoryDisk.start_flush` returns: the nodes it makes durable, and their entries at its start."""

    def __init__(
        self,
        disk: MemoryDisk,
        generation: Generation,
        files: list[File],
        directories: dict[Directory, dict[str, Directory | File]],
        changes: Sequence[Change],
        versions: list[Version],
        lied: Collection[File] = (),
    ) -> None:
        self.generation = generation
        self.files = files
        self.directories = directories
        self.changes = changes
        self.versions = versions
        self.lied = lied  # files that it does not make durable
        self.done = False
        self._disk = disk

    def run(self) -> None:
        if self._disk.fail_next_fsync:
            self._disk.fail_next_fsync = False
            raise StorageError("flush: Input/output error (injected)")
        self.done = True


class MemoryDisk:
    """`Flushable` in memory. The switches may be set from outside at any time and survive restarts.

    full             capacity in bytes, None for no limit: a write that does not fit is rolled back, DiskFull
    fail_writes      every write is an EIO: the disk fails
    fail_next_fsync  the next flush fails, and with it the disk
    lying_fsync      flushes say ok and make nothing durable; with `honest` directories, only the contents of files
                     elsewhere are not
    all_readable     no read fails: for those who look on from outside
    dies_in          so many writes from now on the process is killed, in the middle of an append perhaps
    """

    def __init__(self, random: Random, *, full: int | None = None) -> None:
        self.full = full
        self.fail_writes = False
        self.fail_next_fsync = False
        self.lying_fsync = False
        self.honest: tuple[str, ...] = ()
        self.dies_in: int | None = None
        self.all_readable = False
        self._random = random
        self._unreadable: list[tuple[str, int, int]] = []  # path, from, to
        self._root = Directory()
        self._journal: list[Change] = []
        self._versions: list[Version] = []  # pending replaces, oldest first
        self._usage = 0
        self._failed: str | None = None
        self._unsynced = Unsynced()
        self._flush: MemoryFlush | None = None

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

    def free(self) -> int:
        return max(0, (NO_LIMIT if self.full is None else self.full) - self._usage)

    def usage(self) -> int:
        """Bytes in all files, as readers see them."""
        return self._usage

    def read(self, path: str, offset: int, length: int) -> bytes:
        assert min(offset, length) >= 0, f"read of {length} bytes at {offset}"
        data = self._content(checked(path))
        if data is None:
            raise StorageError(f"read {path}: it does not exist")
        for bad, start, end in () if self.all_readable else self._unreadable:
            if bad == path and offset < end and start < min(offset + length, len(data)):
                raise StorageError(f"read {path}: Input/output error (injected)")
        return bytes(memoryview(data)[offset : offset + length])

    def peek(self, path: str) -> bytes:
        """All of a file, also where reads fail; empty if there is none. For those who look on from outside."""
        return bytes(self._content(checked(path)) or b"")

    def size(self, path: str) -> int | None:
        data = self._content(checked(path))
        return None if data is None else len(data)

    def list(self, directory: str) -> list[str]:
        found = self._root.find(checked_directory(directory))
        return found.names() if isinstance(found, Directory) else []

    # -- writing

    def append(self, path: str, data: Buffer | Sequence[Buffer], *, lazy: bool = False) -> Generation:
        self._writable("append to", path)
        buffers = [data] if isinstance(data, ONE_BUFFER) else list(data)
        length = sum(memoryview(buffer).nbytes for buffer in buffers)
        file = self._root.find(path)
        if isinstance(file, Directory):
            raise StorageError(f"append to {path}: it is a directory")
        directory = self._parent("append to", path, lazy=lazy)
        name = path.rpartition("/")[2]
        if self._dies():
            return self._die_appending(path, b"".join(buffers))
        if pending := directory.pending.get(name):
            return self.replace(path, b"".join([pending[-1].data, *buffers]))
        self._need("append to", path, length)
        if file is None:
            file = File()
            self._change(Change(file, None, (directory, name)), parent(path), lazy=lazy)
        for buffer in buffers:
            file.data += buffer
        self._usage += length
        self._unsynced.file(path, lazy=lazy)
        return self._unsynced.count(lazy=lazy)

    def _die_appending(self, path: str, data: bytes) -> Generation:
        """A part of it is in the page cache when the process is gone."""
        self.dies_in = None
        self.append(path, data[: self._random.randint(0, len(data))])
        raise Killed(f"in the middle of an append to {path}")

    def truncate(self, path: str, size: int) -> Generation:
        self._writable("truncate", path)
        data = self._content(path)
        if data is None or not 0 <= size <= len(data):
            raise StorageError(f"truncate {path} to {size} bytes: it has {'no file' if data is None else len(data)}")
        if isinstance(data, bytes):
            return self.replace(path, data[:size])
        self._usage -= len(data) - size
        file = self._root.find(path)
        assert isinstance(file, File)
        file.truncate(size)
        self._unsynced.file(path)
        return self._unsynced.count()

    def replace(self, path: str, data: Buffer) -> Generation:
        self._writable("replace", path)
        if isinstance(self._root.find(path), Directory):
            raise StorageError(f"replace {path}: it is a directory")
        directory = self._parent("replace", path)
        new = bytes(data)
        before = len(self._content(path) or b"")
        self._need("replace", path, len(new))
        version = Version(directory, path.rpartition("/")[2], new)
        directory.pending.setdefault(version.name, []).append(version)
        self._versions.append(version)
        self._usage += len(new) - before
        self._unsynced.forget(path)
        self._unsynced.directory(parent(path))
        return self._unsynced.count()

    def delete(self, path: str) -> Generation:
        self._writable("delete", path)
        directory, name = self._root.find(parent(path)), path.rpartition("/")[2]
        if not isinstance(directory, Directory) or not (name in directory.entries or name in directory.pending):
            return self.written
        self._remove(directory, name)
        self._versions = [version for version in self._versions if not version.gone]
        self._unsynced.forget(path)
        self._unsynced.directory(parent(path))
        return self._unsynced.count()

    def rename(self, old: str, new: str) -> Generation:
        self._writable("rename", old)
        checked(new)
        source, name = self._root.find(parent(old)), old.rpartition("/")[2]
        if not isinstance(source, Directory) or not (name in source.entries or name in source.pending):
            raise StorageError(f"rename {old} to {new}: {old} does not exist")
        found = self._root.find(parent(new))
        taken = isinstance(found, Directory) and new.rpartition("/")[2] in {**found.entries, **found.pending}
        if taken or inside(new, old):
            raise StorageError(f"rename {old} to {new}: {new} must be a new name, and not inside of {old}")
        target, new_name = self._parent("rename", new), new.rpartition("/")[2]
        move: Change | None = None
        if node := source.entries.get(name):
            move = Change(node, (source, name), (target, new_name))
            self._apply(move)
        if versions := source.pending.pop(name, None):
            target.pending[new_name] = versions
            for version in versions:
                version.directory, version.name, version.renamed = target, new_name, move
                version.moved = True
        inner = set(node.walk()) if self._versions and isinstance(node, Directory) else set()
        for version in self._versions:
            version.moved = version.moved or version.directory in inner
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
        paths, names = self._unsynced.take()
        files = [node for node in map(self._root.find, paths) if isinstance(node, File)]
        directories = [node for node in map(self._root.find, names) if isinstance(node, Directory)]
        changes = self._covered(directories)
        for file in files:
            file.capture()
        newest = [version for version in self._versions if version.directory.pending[version.name][-1] is version]
        for version in newest:
            version.moved = False
        entries = {directory: dict(directory.entries) for directory in directories}
        lied: set[File] = set()
        if self.lying_fsync and self.honest:
            elsewhere = [path for path in paths if not any(inside(path, directory) for directory in self.honest)]
            lied = {node for node in map(self._root.find, elsewhere) if isinstance(node, File)}
        self._flush = MemoryFlush(self, self.written, files, entries, changes, newest, lied)
        return self._flush

    def finish_flush(self, flush: Flush, error: StorageError | None = None) -> Generation:
        assert isinstance(flush, MemoryFlush), "a flush of another disk"
        assert flush is self._flush, "this flush is not the one in progress"
        assert flush.done or error is not None, "a flush must have run before it is finished"
        self._flush = None
        if error is not None:
            self._failed = self._failed or str(error)
        durable = error is None and not (self.lying_fsync and not self.honest)
        for file in flush.files:
            file.finish(durable=durable and file not in flush.lied)
        if error is not None:
            return self.synced
        if durable:
            for directory, entries in flush.directories.items():
                directory.durable = entries
            covered = set(flush.changes)
            self._journal = [change for change in self._journal if change not in covered]
        for version in flush.versions:
            if not version.gone:
                self._put_in_place(version, durable=durable)
        if durable and any(version.moved for version in flush.versions):
            self._sync_all_names()
        self._unsynced.synced = flush.generation
        return self.synced

    def close(self) -> None:
        """Nothing is held open."""

    # -- restarts

    def crash(self) -> None:
        """The process dies, the page cache lives: all writes stay, pending replaces were done or not."""
        for versions in self._pending():
            kept = self._random.randint(0, len(versions))
            if kept:
                self._put_in_place(versions[kept - 1], durable=False)
            versions[0].directory.pending.pop(versions[0].name, None)
        for node in self._root.walk():
            if isinstance(node, File):
                node.captured = None
        self._restart()

    def power_loss(self) -> None:
        """Only what is durable is certain; what is pending is kept or lost as described above."""
        random, pending = self._random, self._pending()
        likely = random.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        written = [versions[0].directory.entries.get(versions[0].name) for versions in pending]
        directories = [node for node in self._root.walk(durable=True) if isinstance(node, Directory)]
        directories += [node for change in self._journal for node in change.nodes() if isinstance(node, Directory)]
        for directory in dict.fromkeys(directories):
            directory.entries = dict(directory.durable)
        for change in self._journal:
            change.kept = random.random() < likely and change.possible() and self._leads_somewhere(change)
            if change.kept:
                change.apply()
        for versions, replaced in zip(pending, written, strict=True):
            kept = random.randint(0, len(versions))
            version, renamed = versions[kept - 1], versions[-1].renamed
            there = version.directory.entries.get(version.name)
            # Not over a node that was moved or deleted before the replace: that change was lost, so this one is too.
            if kept and there in (None, replaced) and (renamed is None or renamed.kept):
                version.directory.entries[version.name] = File(version.data)
        for node in dict.fromkeys(self._root.walk()):
            node.lose_power(random, likely)
        self._journal.clear()
        self._restart()

    def chance(self, seed: int) -> None:
        """What is decided by chance from now on depends on this and on nothing that was decided before."""
        self._random = Random(seed)

    def wipe(self) -> None:
        """An empty disk in place of this one."""
        self.restore(Snapshot({}, ()))

    def snapshot(self) -> Snapshot:
        """All that is visible now, for `restore`."""
        files: dict[str, bytes] = {}
        directories: list[str] = []
        waiting = [""]
        while waiting:
            directory = waiting.pop()
            for name in self.list(directory):
                path = f"{directory}{name}"
                if name.endswith("/"):
                    directories.append(path)
                    waiting.append(path)
                else:
                    files[path] = bytes(self._content(path) or b"")
        return Snapshot(files, tuple(directories))

    def restore(self, snapshot: Snapshot) -> None:
        """An older disk in place of this one: all of it durable, nothing else on it."""
        self._root = snapshot.tree()
        self._journal.clear()
        self._restart()

    # -- damage

    def fail_reads(self, path: str, start: int = 0, end: int = NO_LIMIT) -> None:
        """Reads that touch this range of the file are an EIO, until `heal_reads`."""
        self._unreadable.append((checked(path), start, end))

    def heal_reads(self) -> None:
        self._unreadable.clear()

    def corrupt(self, path: str, offset: int, bit: int) -> None:
        """Flip one bit of a file at rest: written and durable content alike."""
        node = self._root.find(checked(path))
        versions = self._versions_of(path)
        data = bytearray(versions[-1].data) if versions else node.data if isinstance(node, File) else bytearray()
        assert offset < len(data), f"{path} has {len(data)} bytes, none at {offset}"
        data[offset] ^= 1 << bit
        if versions:
            versions[-1].data = bytes(data)

    def at_rest(self, path: str) -> int:
        """How many bytes of a file there are on the disk, whatever is about to replace it; 0 if there is none yet."""
        node = self._root.find(checked(path))
        return len(node.data) if isinstance(node, File) else 0

    def overwrite(self, path: str, offset: int, data: bytes) -> None:
        """Other bytes have come to be in a file at rest: a write that was lost, or meant for another place."""
        node = self._root.find(checked(path))
        assert isinstance(node, File), f"there is no file {path}"
        assert offset + len(data) <= len(node.data), f"{path} has {len(node.data)} bytes"
        node.data[offset : offset + len(data)] = data

    # -- the tree

    def _content(self, path: str) -> bytearray | bytes | None:
        """What readers see: bytes if it is a pending replace, None if there is no such file."""
        if versions := self._versions_of(path):
            return versions[-1].data
        node = self._root.find(path)
        return node.data if isinstance(node, File) else None

    def _versions_of(self, path: str) -> Sequence[Version] | None:
        directory = self._root.find(parent(path)) if self._versions else None
        return directory.pending.get(path.rpartition("/")[2]) if isinstance(directory, Directory) else None

    def _parent(self, operation: str, path: str, *, lazy: bool = False) -> Directory:
        """The directory of a path, made if it does not exist."""
        at, above = self._root, ""
        for name in path.split("/")[:-1]:
            node = at.entries.get(name)
            if isinstance(node, File) or name in at.pending:
                raise StorageError(f"{operation} {path}: {f'{above}/{name}'.lstrip('/')} is a file")
            if node is None:
                node = Directory()
                self._change(Change(node, None, (at, name)), above, lazy=lazy)
            at, above = node, f"{above}/{name}".lstrip("/")
        return at

    def _change(self, change: Change, directory: str, *, lazy: bool = False) -> None:
        self._apply(change)
        self._unsynced.directory(directory, lazy=lazy)

    def _apply(self, change: Change) -> None:
        assert change.possible(), "a change of names is possible when it is made"
        change.apply()
        self._journal.append(change)

    def _remove(self, directory: Directory, name: str) -> None:
        """Unlink a file, or a directory after all that is in it: each is a change of its own, as for rm -r."""
        versions = directory.pending.pop(name, [])
        for version in versions:
            version.gone = True
        node = directory.entries.get(name)
        if isinstance(node, Directory):
            for inner in sorted({**node.entries, **node.pending}):
                self._remove(node, inner)
            node.dead = True
        elif node is not None:
            self._usage -= 0 if versions else len(node.data)
        self._usage -= len(versions[-1].data) if versions else 0
        if node is not None:
            self._apply(Change(node, (directory, name), None))

    def _covered(self, directories: MutableSequence[Directory]) -> Sequence[Change]:
        """The changes a flush of these directories makes durable. A move takes its other directory along."""
        known = set(directories)
        grown = True
        while grown:
            grown = False
            for change in self._journal:
                if change.source and change.target and (touched := set(change.directories())) & known:
                    for directory in change.directories():
                        if directory not in known and not directory.dead:
                            directories.append(directory)
                            grown = True
                    known |= touched
        return [change for change in self._journal if all(at in known or at.dead for at in change.directories())]

    def _put_in_place(self, version: Version, *, durable: bool) -> None:
        """What the flusher's rename does; older versions of the path are overtaken."""
        directory, name = version.directory, version.name
        file, old = File(version.data), directory.entries.get(name)
        directory.entries[name] = file
        if durable:
            directory.durable[name] = file
        else:
            self._journal.append(Change(file, None, (directory, name), old))
        versions = directory.pending[name]
        done = set(versions[: versions.index(version) + 1])
        directory.pending[name] = [later for later in versions if later not in done]
        if not directory.pending[name]:
            del directory.pending[name]
        self._versions = [other for other in self._versions if other not in done]

    def _sync_all_names(self) -> None:
        """A replace was moved while its flush ran: that flush syncs the directories above its new place as well."""
        for node in self._root.walk():
            if isinstance(node, Directory):
                node.durable = dict(node.entries)
        self._journal.clear()

    def _pending(self) -> Sequence[Sequence[Version]]:
        """The pending versions of each path, oldest path first."""
        return list({id(found): found for v in self._versions for found in [v.directory.pending[v.name]]}.values())

    def _leads_somewhere(self, change: Change) -> bool:
        """No file system renames something durable into a directory that it then loses."""
        return change.source is None or change.target is None or change.target[0] in self._root.walk()

    def _restart(self) -> None:
        for node in self._root.walk():
            if isinstance(node, Directory):
                node.pending.clear()
        self._versions.clear()
        self._flush = None
        self._failed = None
        self.dies_in = None
        self._unsynced = Unsynced(self.written)
        self._usage = sum(len(node.data) for node in self._root.walk() if isinstance(node, File))

    def _writable(self, operation: str, path: str) -> None:
        self._working(f"{operation} {path}")
        checked(path)
        if self._dies() and operation != "append to":
            self.dies_in = None
            raise Killed(f"before it could {operation} {path}")
        if self.dies_in is not None:
            self.dies_in -= 1
        if self.fail_writes:
            self._failed = f"{operation} {path}: Input/output error (injected)"
            raise StorageError(self._failed)

    def _dies(self) -> bool:
        return self.dies_in is not None and self.dies_in <= 0

    def _working(self, operation: str) -> None:
        if self._failed is not None:
            raise StorageError(f"{operation}: the disk has failed: {self._failed}")

    def _need(self, operation: str, path: str, length: int) -> None:
        if length > self.free():
            raise DiskFull(f"{operation} {path}: No space left on device")
