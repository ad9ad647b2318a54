"""Lives of a data directory have an order, and it survives the loss of power once it was said."""

from __future__ import annotations

from random import Random

from barnabas.actors import lives
from barnabas.storage.memory import MemoryDisk


def _flush(disk: MemoryDisk) -> None:
    flush = disk.start_flush()
    flush.run()
    disk.finish_flush(flush)


def test_each_life_has_the_next_number() -> None:
    disk = MemoryDisk(Random(1))
    for expected in (1, 2, 3):
        life, generation = lives.begin(disk)
        assert life == expected
        assert generation > disk.synced, "it is not to be said before it is durable"
        _flush(disk)
        assert generation <= disk.synced


def test_a_number_that_was_durable_is_not_used_again_after_a_loss_of_power() -> None:
    disk = MemoryDisk(Random(2))
    lives.begin(disk)
    _flush(disk)
    disk.power_loss()
    assert lives.begin(disk)[0] == 2


def test_a_count_that_cannot_be_read_begins_anew() -> None:
    disk = MemoryDisk(Random(3))
    disk.replace(lives.PATH, b"seven")
    assert lives.begin(disk)[0] == 1
