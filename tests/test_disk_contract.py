"""What both disks promise, checked on both, and against a dict that shows what a reader must see.

The first half is one random program of operations, run on the three side by side; flushes are split into their three
steps so that the others fall in between. After every step all that is visible must be equal. The second half names
single promises.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.storage.disk import Flush, Flushable, StorageError
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.real import RealDisk

PATHS = ("a", "b", "d", "d/x", "d/y", "d/e/z", "f/x", "f")
Step = tuple[str, str, str, bytes, int]

steps = st.tuples(
    st.sampled_from(
        ("append", "append", "lazy", "truncate", "replace", "delete", "rename", "ask", "start", "run", "finish")
    ),
    st.sampled_from(PATHS),
    st.sampled_from(PATHS),
    st.binary(max_size=12),
    st.integers(0, 24),
)


class Model:
    """Paths to contents, and the directories that exist."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.directories: set[str] = set()

    def apply(self, step: Step) -> None:
        kind, path, other, data, size = step
        if kind in ("append", "lazy", "replace"):
            self._parents(path)
            if path in self.directories:
                raise StorageError
            self.files[path] = data if kind == "replace" else self.files.get(path, b"") + data
        elif kind == "truncate":
            if len(self.files.get(path, b"")) < size or path not in self.files:
                raise StorageError
            self.files[path] = self.files[path][:size]
        elif kind == "delete":
            self.files = {known: content for known, content in self.files.items() if not _in(known, path)}
            self.directories = {known for known in self.directories if not _in(known, path)}
        elif kind == "rename":
            known = {*self.files, *self.directories}
            if path not in known or other in known or _in(other, path):
                raise StorageError
            self._parents(other)
            self.files = {_to(name, path, other): content for name, content in self.files.items()}
            self.directories = {_to(name, path, other) for name in self.directories}

    def _parents(self, path: str) -> None:
        above = ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)]
        if any(directory in self.files for directory in above):
            raise StorageError
        self.directories.update(above)


def _in(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")


def _to(path: str, old: str, new: str) -> str:
    return new + path[len(old) :] if _in(path, old) else path


def visible(disk: Flushable, directory: str = "") -> tuple[dict[str, bytes], set[str]]:
    """All contents by path, and all directories."""
    files: dict[str, bytes] = {}
    directories: set[str] = set()
    for name in disk.list(directory):
        path = f"{directory}{name}"
        if name.endswith("/"):
            directories.add(path.rstrip("/"))
            below, inner = visible(disk, path)
            files |= below
            directories |= inner
        else:
            size = disk.size(path)
            assert size is not None
            files[path] = disk.read(path, 0, size + 1)
            assert len(files[path]) == size
    return files, directories


def apply(disk: Flushable, step: Step, flush: Flush | None) -> tuple[bool, Flush | None]:
    """Whether the disk accepted it, and the flush now in progress."""
    kind, path, other, data, size = step
    try:
        match kind:
            case "append" | "lazy":
                disk.append(path, [data[:5], b"", memoryview(data)[5:]], lazy=kind == "lazy")
            case "truncate":
                disk.truncate(path, size)
            case "replace":
                disk.replace(path, data)
            case "delete":
                disk.delete(path)
            case "rename":
                disk.rename(path, other)
            case "ask":
                disk.flush_lazy(path)
            case "start" if flush is None:
                return True, disk.start_flush()
            case "run" if flush is not None and not getattr(flush, "done"):  # noqa: B009 - not in the protocol
                flush.run()
            case "finish" if flush is not None and getattr(flush, "done"):  # noqa: B009
                assert disk.finish_flush(flush) == flush.generation
                return True, None
    except StorageError:
        return False, flush
    return True, flush


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=40))
def test_both_disks_show_what_a_dict_shows_after_every_step(program: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model()
        disks: list[Flushable] = [RealDisk(Path(directory), open_files=2), MemoryDisk(Random(1))]
        flushes: list[Flush | None] = [None, None]
        for step in program:
            try:
                model.apply(step)
                expected = True
            except StorageError:
                expected = False
            for index, disk in enumerate(disks):
                accepted, flushes[index] = apply(disk, step, flushes[index])
                assert accepted == expected, f"{step} on {type(disk).__name__}"
                assert visible(disk) == (model.files, model.directories), f"{step} on {type(disk).__name__}"
                assert disk.failed is None
            assert disks[0].written == disks[1].written
            assert disks[0].synced == disks[1].synced
            assert disks[0].dirty() == disks[1].dirty()
        assert disks[1].usage() == sum(map(len, model.files.values()))  # type: ignore[attr-defined]
        disks[0].close()


@pytest.fixture(params=["real", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flushable]:
    made: Flushable = RealDisk(tmp_path) if request.param == "real" else MemoryDisk(Random(1))
    yield made
    made.close()


def flush(disk: Flushable) -> None:
    started = disk.start_flush()
    started.run()
    disk.finish_flush(started)


def test_a_flush_covers_what_was_written_before_it_began_and_no_more(disk: Flushable) -> None:
    first = disk.append("a", b"1")
    started = disk.start_flush()
    second = disk.append("a", b"2")
    started.run()
    assert disk.finish_flush(started) == disk.synced == first < second
    assert disk.dirty()
    flush(disk)
    assert disk.synced == second
    assert not disk.dirty()


def test_a_lazy_append_waits_until_it_is_asked_for(disk: Flushable) -> None:
    disk.append("orders-1/0.log", b"lazy", lazy=True)
    disk.append("orders-10/0.log", b"lazy", lazy=True)
    assert not disk.dirty()
    generation = disk.flush_lazy("orders-1")
    assert disk.dirty()
    flush(disk)
    assert disk.synced >= generation
    assert disk.flush_lazy("orders-1") <= disk.synced
    assert disk.flush_lazy() > disk.synced


def test_asking_for_lazy_writes_that_a_flush_has_taken_waits_for_that_flush(disk: Flushable) -> None:
    disk.append("a", b"lazy", lazy=True)
    disk.flush_lazy()
    started = disk.start_flush()
    generation = disk.flush_lazy()
    assert generation > disk.synced
    started.run()
    assert disk.finish_flush(started) >= generation


def test_nobody_waits_for_a_lazy_write_that_came_after(disk: Flushable) -> None:
    disk.append("a", b"1")
    flush(disk)
    disk.append("b", b"lazy", lazy=True)
    assert disk.flush_lazy("elsewhere") <= disk.synced


def test_a_truncation_to_the_same_size_is_a_write(disk: Flushable) -> None:
    disk.append("a", b"1")
    flush(disk)
    generation = disk.truncate("a", 1)
    assert disk.dirty()
    assert generation > disk.synced


def test_deleting_what_does_not_exist_is_not_a_write(disk: Flushable) -> None:
    assert disk.delete("nothing/here") == disk.written == 0
    assert not disk.dirty()


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", "../a", "a/./b", "a/..", "a\0", ".lock", ".replacing/0"])
def test_a_path_that_leaves_the_directory_is_refused(disk: Flushable, path: str) -> None:
    with pytest.raises(StorageError, match="not a path"):
        disk.append(path, b"x")
    with pytest.raises(StorageError, match="not a path"):
        disk.delete(path)
    with pytest.raises(StorageError, match="not a path"):
        disk.rename("a", path)
    with pytest.raises(StorageError, match="not a path"):
        disk.read(path, 0, 1)


def test_a_read_is_shorter_at_the_end_and_refused_without_a_file(disk: Flushable) -> None:
    disk.append("d/a", [b"abc", bytearray(b"def"), memoryview(b"ghi")])
    assert disk.read("d/a", 4, 100) == b"efghi"
    assert disk.read("d/a", 100, 1) == b""
    for path in ("b", "d", "d/a/x"):
        assert disk.size(path) is None
        with pytest.raises(StorageError):
            disk.read(path, 0, 1)
    assert disk.list("d") == disk.list("d/") == ["a"]
    assert disk.list("d/a") == disk.list("none") == []


def test_a_deleted_replace_does_not_come_back_with_the_flush(disk: Flushable) -> None:
    disk.replace("d/a", b"1")
    started = disk.start_flush()
    disk.delete("d")
    started.run()
    disk.finish_flush(started)
    flush(disk)
    assert disk.list("") == []


def test_a_replace_follows_its_renamed_directory(disk: Flushable) -> None:
    disk.replace("d/a", b"1")
    started = disk.start_flush()
    disk.rename("d", "e/f")
    started.run()
    disk.finish_flush(started)
    assert disk.list("") == ["e/"]
    assert disk.read("e/f/a", 0, 9) == b"1"


def test_a_replaced_file_can_be_appended_to_while_the_flush_has_the_old_content(disk: Flushable) -> None:
    disk.replace("a", b"1")
    started = disk.start_flush()
    disk.append("a", b"2")
    started.run()
    assert disk.read("a", 0, 9) == b"12"
    disk.finish_flush(started)
    assert disk.read("a", 0, 9) == b"12"
    flush(disk)
    disk.append("a", b"3")
    assert disk.read("a", 0, 9) == b"123"
