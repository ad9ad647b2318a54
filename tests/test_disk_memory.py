"""The twin's meanness: what may be lost with the power, and above all what may not.

A power loss is random, so "may" is shown by trying many seeds and collecting what was seen, and "never" by a property
over random programs: `Expected` follows what the last finished flush made durable, and which of it was touched since.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.storage.disk import DiskFull, Flush, StorageError
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.unsynced import inside, moved

PATHS = ("a", "d/x", "d/y", "d/e/z")
DIRECTORIES = ("d", "d/e", "g", "h/i")


def flush(disk: MemoryDisk) -> None:
    started = disk.start_flush()
    started.run()
    disk.finish_flush(started)


def content(disk: MemoryDisk, path: str) -> bytes | None:
    size = disk.size(path)
    return None if size is None else disk.read(path, 0, size)


def and_flush(prepare: Callable[[MemoryDisk], object]) -> Callable[[MemoryDisk], None]:
    def both(disk: MemoryDisk) -> None:
        prepare(disk)
        flush(disk)

    return both


Contents = tuple[bytes | None, ...]


def outcomes(prepare: Callable[[MemoryDisk], object], *paths: str, crash: bool = False) -> set[Contents]:
    """What the files held after the loss of power (or a crash), over many seeds."""
    seen: set[Contents] = set()
    for seed in range(200):
        disk = MemoryDisk(Random(seed))
        prepare(disk)
        if crash:
            disk.crash()
        else:
            disk.power_loss()
        seen.add(tuple(content(disk, path) for path in paths))
    return seen


def test_an_append_that_was_not_flushed_may_be_lost_kept_torn_or_zero() -> None:
    data = bytes(range(1, 256)) * 60  # 15,300 bytes, four pages, no zero in it

    def prepare(disk: MemoryDisk) -> None:
        disk.append("a", b"durable")
        flush(disk)
        disk.append("a", data)

    seen = {found for (found,) in outcomes(prepare, "a") if found is not None}
    assert all(found.startswith(b"durable") for found in seen)
    assert b"durable" in seen
    assert b"durable" + data in seen
    rest = [found[7:] for found in seen]
    assert any(found and not any(found) for found in rest), "a file extended with zeros"
    assert any(not any(found[: 4096 - 7]) and any(found) for found in rest), "a later page kept, an earlier one lost"
    assert any(data.startswith(found) and 0 < len(found) < 4096 and (len(found) + 7) % 512 == 0 for found in rest)
    for found in rest:
        assert all(byte in (0, data[at]) for at, byte in enumerate(found))


def test_a_new_file_may_vanish_until_it_is_flushed_and_never_after() -> None:
    assert {(None,), (b"x",)} <= outcomes(lambda disk: disk.append("d/a", b"x"), "d/a")
    assert outcomes(and_flush(lambda disk: disk.append("d/a", b"x")), "d/a") == {(b"x",)}


def test_an_asked_for_lazy_file_is_as_durable_as_any_other() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("d/e/a", b"x", lazy=True)
        disk.flush_lazy("d/e")
        flush(disk)

    assert outcomes(prepare, "d/e/a") == {(b"x",)}


def test_a_lazy_file_may_vanish_although_others_were_flushed() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("d/a", b"x", lazy=True)
        disk.append("b", b"y")
        flush(disk)

    assert {(None, b"y"), (b"x", b"y")} <= outcomes(prepare, "d/a", "b")


def test_an_urgent_file_in_a_lazily_made_directory_is_durable() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("d/e/a", b"x", lazy=True)
        disk.append("d/e/b", b"y")
        flush(disk)

    assert {found[1] for found in outcomes(prepare, "d/e/a", "d/e/b")} == {b"y"}


def test_a_replace_leaves_the_old_content_or_the_new_and_nothing_else() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("a", b"old" * 3000)
        flush(disk)
        disk.replace("a", b"new" * 3000)
        disk.replace("a", b"newer" * 3000)

    every = {(b"old" * 3000,), (b"new" * 3000,), (b"newer" * 3000,)}
    assert outcomes(prepare, "a") == every
    assert outcomes(prepare, "a", crash=True) == every


def test_a_crash_keeps_all_writes_but_not_all_replaces() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("d/a", b"x" * 9000)
        disk.truncate("d/a", 8000)
        disk.rename("d", "e")
        disk.replace("r", b"new")
        disk.replace("s", b"new")

    kept = b"x" * 8000
    assert outcomes(prepare, "e/a", "r", "s", crash=True) == {
        (kept, None, None), (kept, b"new", None), (kept, None, b"new"), (kept, b"new", b"new"),
    }  # fmt: skip


def test_what_survived_a_crash_is_not_durable_until_somebody_says_so() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("d/a", b"x")
        disk.crash()
        assert not disk.dirty()

    def recover(disk: MemoryDisk) -> None:
        prepare(disk)
        disk.truncate("d/a", 1)
        flush(disk)

    assert (None,) in outcomes(prepare, "d/a")
    assert outcomes(recover, "d/a") == {(b"x",)}


def test_a_renamed_directory_is_whole_under_one_of_its_names() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("d/a", b"1")
        disk.append("d/b", b"2")
        flush(disk)
        disk.rename("d", "h/i")

    seen = outcomes(prepare, "d/a", "d/b", "h/i/a", "h/i/b")
    assert seen == {(b"1", b"2", None, None), (None, None, b"1", b"2")}


def test_a_replace_never_destroys_what_was_renamed_out_of_its_way() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("a", b"old")
        flush(disk)
        disk.rename("a", "b")
        disk.replace("a", b"new")

    assert outcomes(prepare, "a", "b") == {(b"old", None), (None, b"old"), (b"new", b"old")}


def test_a_deletion_may_be_undone_until_it_is_flushed() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("d/a", b"1")
        flush(disk)
        disk.delete("d")

    assert outcomes(prepare, "d/a") == {(b"1",), (None,)}
    assert outcomes(and_flush(prepare), "d/a") == {(None,)}


def test_a_truncation_may_be_undone_and_then_newer_bytes_may_be_there_already() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("a", b"o" * 10_000)
        flush(disk)
        disk.truncate("a", 5000)
        disk.append("a", b"n" * 100)

    seen = {found for (found,) in outcomes(prepare, "a") if found is not None}
    assert all(found.startswith(b"o" * 5000) for found in seen)
    assert {b"o" * 10_000, b"o" * 5000, b"o" * 5000 + b"n" * 100, b"o" * 5000 + b"n" * 100 + b"o" * 4900} <= seen


def test_a_truncation_during_a_flush_does_not_spoil_what_the_flush_captured() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.append("a", b"123456")
        started = disk.start_flush()
        disk.truncate("a", 2)
        disk.append("a", b"x")
        started.run()
        disk.finish_flush(started)

    assert outcomes(prepare, "a") == {(b"123456",), (b"12x456",), (b"12",), (b"12\0",), (b"12x",)}


operations = st.tuples(
    st.sampled_from(
        ("append", "append", "lazy", "truncate", "replace", "delete", "rename", "start", "finish", "flush", "crash")
    ),
    st.sampled_from(PATHS + DIRECTORIES),
    st.sampled_from(PATHS + DIRECTORIES),
    st.integers(0, 9000),
)


class Held:
    """A content that is durable, under one of these names (several if it was renamed since the flush)."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.names = {path}
        self.data = data


class Expected:
    """What the last finished flush made durable, of the files that were not deleted or replaced since."""

    def __init__(self) -> None:
        self.durable: dict[str, Held] = {}
        self.captured: dict[str, Held] | None = None  # while a flush is in progress

    def capture(self, contents: dict[str, bytes]) -> None:
        self.captured = {path: Held(path, data) for path, data in contents.items()}

    def finish(self) -> None:
        self.durable |= self.captured or {}
        self.captured = None

    def touched(self, path: str) -> None:
        for held in (self.durable, self.captured or {}):
            for known in [known for known in held if inside(known, path)]:
                del held[known]

    def truncated(self, path: str, size: int) -> None:
        for held in (self.durable, self.captured or {}):
            if path in held:
                held[path].data = held[path].data[:size]

    def renamed(self, old: str, new: str) -> None:
        for held in (self.durable, self.captured or {}):
            for one in [one for path, one in held.items() if inside(path, old)]:
                del held[one.path]
                one.path = moved(one.path, old, new)
                one.names.add(one.path)
                held[one.path] = one


def files(disk: MemoryDisk) -> dict[str, bytes]:
    return dict(disk.snapshot().files)


@settings(max_examples=600, deadline=None)
@given(st.lists(operations, max_size=40), st.integers(0, 2**32))
def test_what_a_finished_flush_covered_survives_the_loss_of_power(
    program: list[tuple[str, str, str, int]], seed: int
) -> None:
    disk, expected, random = MemoryDisk(Random(seed)), Expected(), Random(seed + 1)
    lazy: set[str] = set()
    started: Flush | None = None
    for kind, path, other, size in program:
        try:
            if kind in ("append", "lazy"):
                disk.append(path, random.randbytes(size), lazy=kind == "lazy")
                lazy |= {path} if kind == "lazy" else set()
            elif kind == "truncate":
                size = min(size, disk.size(path) or 0)
                disk.truncate(path, size)
                expected.truncated(path, size)
            elif kind == "replace":
                disk.replace(path, random.randbytes(size))
                expected.touched(path)
            elif kind == "delete":
                disk.delete(path)
                expected.touched(path)
            elif kind == "rename":
                disk.rename(path, other)
                expected.renamed(path, other)
                lazy = {moved(known, path, other) for known in lazy}
            elif kind == "crash":
                disk.crash()
                started, expected.captured = None, None
        except StorageError:
            continue
        if kind in ("start", "flush") and started is None:
            if kind == "flush":
                disk.flush_lazy()
            started = disk.start_flush()
            lazy = set() if kind == "flush" else lazy
            expected.capture({known: data for known, data in files(disk).items() if known not in lazy})
        if kind in ("finish", "flush") and started is not None:
            started.run()
            disk.finish_flush(started)
            expected.finish()
            started = None
        if kind == "crash":  # what survived is not durable: say so, as recovery does
            for known, data in files(disk).items():
                disk.truncate(known, len(data))
    disk.power_loss()
    after = files(disk)
    for held in expected.durable.values():
        survived = [after[name] for name in held.names if name in after]
        assert any(found.startswith(held.data) for found in survived), f"{held.path} lost what was durable"
    assert not disk.dirty()
    disk.power_loss()
    assert files(disk) == after, "nothing was pending, so nothing may change"


def test_the_same_seed_loses_the_same() -> None:
    def run() -> dict[str, bytes]:
        disk = MemoryDisk(Random(7))
        for index in range(50):
            disk.append(f"d{index % 5}/{index % 7}", bytes([index + 1]) * 3000)
            disk.replace(f"r{index % 3}", bytes([index]))
            if index % 9 == 0:
                flush(disk)
        disk.power_loss()
        return files(disk)

    assert run() == run()


def test_a_restart_begins_a_new_incarnation_that_goes_on_counting() -> None:
    disk = MemoryDisk(Random(1))
    disk.append("a", b"x")
    disk.start_flush()
    disk.power_loss()
    assert disk.written == disk.synced == 1
    assert disk.append("a", b"y") == 2
    flush(disk)
    assert disk.synced == 2


def test_a_write_beyond_the_capacity_leaves_nothing_and_writing_goes_on_when_there_is_room() -> None:
    disk = MemoryDisk(Random(1), full=10)
    disk.append("a", b"12345")
    for write in (disk.append, disk.replace):
        for path in ("a", "b") if write == disk.append else ("b",):
            with pytest.raises(DiskFull):
                write(path, b"123456")
    assert (disk.list(""), disk.usage(), disk.free(), disk.failed) == (["a"], 5, 5, None)
    disk.full = None
    disk.append("a", b"123456")
    disk.delete("a")
    assert disk.usage() == 0


def test_an_error_on_writing_is_final_until_the_restart() -> None:
    disk = MemoryDisk(Random(1))
    disk.append("a", b"1")
    disk.fail_writes = True
    with pytest.raises(StorageError, match="Input/output"):
        disk.append("a", b"2")
    disk.fail_writes = False
    with pytest.raises(StorageError, match="has failed"):
        disk.append("a", b"2")
    assert not disk.dirty()
    assert disk.read("a", 0, 9) == b"1"
    disk.crash()
    assert disk.failed is None
    disk.append("a", b"2")


def test_a_failed_fsync_is_final_and_promises_nothing() -> None:
    disk = MemoryDisk(Random(1))
    disk.append("a", b"1")
    disk.fail_next_fsync = True
    started = disk.start_flush()
    with pytest.raises(StorageError) as error:
        started.run()
    assert disk.finish_flush(started, error.value) == 0
    with pytest.raises(StorageError, match="has failed"):
        disk.start_flush()


def test_a_lying_fsync_says_ok_and_keeps_nothing() -> None:
    def prepare(disk: MemoryDisk) -> None:
        disk.lying_fsync = True
        disk.append("a", b"1")
        disk.replace("b", b"2")
        flush(disk)
        assert disk.synced == disk.written

    seen = outcomes(prepare, "a", "b")
    assert (None, None) in seen
    assert (b"1", b"2") in seen


def test_a_bad_range_fails_reads_that_touch_it() -> None:
    disk = MemoryDisk(Random(1))
    disk.append("a", b"0123456789")
    disk.fail_reads("a", 4, 6)
    assert disk.read("a", 0, 4) == b"0123"
    assert disk.read("a", 6, 4) == b"6789"
    with pytest.raises(StorageError, match="Input/output"):
        disk.read("a", 0, 5)
    disk.heal_reads()
    assert disk.read("a", 0, 5) == b"01234"


def test_a_flipped_bit_stays_flipped() -> None:
    disk = MemoryDisk(Random(1))
    disk.append("a", b"abc")
    flush(disk)
    disk.replace("b", b"abc")
    disk.corrupt("a", 1, 0)
    disk.corrupt("b", 2, 5)
    assert (content(disk, "a"), content(disk, "b")) == (b"acc", b"abC")
    flush(disk)
    disk.power_loss()
    assert (content(disk, "a"), content(disk, "b")) == (b"acc", b"abC")


def test_what_is_at_rest_is_not_what_is_about_to_replace_it() -> None:
    """Seed 88: a write was lost beyond the end of a file that was about to be replaced by a longer one."""
    on = MemoryDisk(Random(1))
    assert on.at_rest("a") == 0
    on.replace("a", b"old")
    flush(on)
    on.replace("a", b"something longer")
    assert (on.size("a"), on.at_rest("a")) == (16, 3)
    flush(on)
    assert on.at_rest("a") == 16


def test_an_older_disk_can_be_put_back_and_an_empty_one_too() -> None:
    disk = MemoryDisk(Random(1))
    disk.append("d/e/a", b"1")
    disk.replace("b", b"2")
    older = disk.snapshot()
    disk.append("d/e/a", b"3")
    disk.delete("b")
    disk.restore(older)
    assert (content(disk, "d/e/a"), content(disk, "b"), disk.usage()) == (b"1", b"2", 2)
    disk.power_loss()
    assert files(disk) == older.files
    disk.append("d/e/a", b"4")
    assert older.files["d/e/a"] == b"1"
    disk.wipe()
    assert disk.list("") == []
