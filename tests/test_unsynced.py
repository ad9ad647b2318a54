"""What is dirty on a disk: forgetting one file of thousands does not look at the others."""

from __future__ import annotations

from collections.abc import Iterator

from barnabas.storage.unsynced import Unsynced


class _NotToBeRead(dict[str, None]):
    def __iter__(self) -> Iterator[str]:
        raise AssertionError("somebody looks at every dirty path")


def test_forgetting_a_file_does_not_look_at_every_other() -> None:
    """Opening a log of a thousand segments took most of a second: found by the simulator's watchdog."""
    unsynced = Unsynced()
    unsynced.file("orders-0/1.index")
    unsynced.file("orders-0/2.index", lazy=True)
    unsynced.files = _NotToBeRead(unsynced.files)
    unsynced.lazy_files = _NotToBeRead(unsynced.lazy_files)
    unsynced.forget("orders-0/1.index")
    unsynced.forget("orders-0/2.index")
    assert not len(unsynced.files) and not len(unsynced.lazy_files)


def test_forgetting_a_directory_forgets_all_below_it() -> None:
    unsynced = Unsynced()
    for path in ("orders-0/1.index", "orders-0/2.index", "orders-1/1.index"):
        unsynced.file(path)
    unsynced.forget("orders-0")
    files, directories = unsynced.take()
    assert files == ["orders-1/1.index"]
    assert directories == ["", "orders-1"]
