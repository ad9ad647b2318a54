"""Logs in memory for tests of what stands on them: a partition of a topic, batches of letters, a flush by hand."""

from __future__ import annotations

import base64
from random import Random

from barnabas.actors.messages import Partition, TopicId
from barnabas.actors.metadata_state import PartitionState
from barnabas.storage.disk import Generation
from barnabas.storage.log import Log
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, decode_batch, encode_batch, iter_headers
from barnabas.storage.settings import LogSettings

ORDERS = TopicId("O" * 21 + "Q")
P0 = Partition(ORDERS, 0)
WALL_MS = 1_700_000_000_000


def new_log(disk: MemoryDisk | None = None, *, durability: str = "fsync", directory: str = "orders-0") -> Log:
    """An empty log."""
    settings = LogSettings(durability="os" if durability == "os" else "fsync")
    return Log.open(disk or MemoryDisk(Random(1)), directory, base64.urlsafe_b64decode(ORDERS + "=="), settings, None)


def batch(*words: str, pid: int = -1, epoch: int = 0, sequence: int = -1) -> bytearray:
    """One batch with these values."""
    records = [Record(None, word.encode(), (), WALL_MS) for word in words]
    return bytearray(
        encode_batch(
            records,
            producer_id=pid,
            producer_epoch=epoch if pid >= 0 else -1,
            base_sequence=sequence if pid >= 0 else -1,
        )
    )


def grow(log: Log, words: str, epoch: int) -> None:
    """Append one batch per letter."""
    for word in words:
        log.append(batch(word), epoch, WALL_MS)


def flush(log: Log) -> Generation:
    """Everything in this log's disk is durable."""
    disk = log.disk
    assert isinstance(disk, MemoryDisk)
    generation = flush_disk(disk)
    log.synced(generation)
    return generation


def flush_disk(disk: MemoryDisk) -> Generation:
    flushing = disk.start_flush()
    flushing.run()
    return disk.finish_flush(flushing)


def values(data: bytes | bytearray | memoryview) -> str:
    """The letters of some batches."""
    view = memoryview(bytes(data))
    found = ""
    for position, header in iter_headers(view):
        for record in decode_batch(view[position : position + header.size]):
            found += (record.value or b"").decode()
    return found


def content(log: Log) -> str:
    """The letters of a whole log."""
    return values(log.read(log.start, 1 << 20, limit=log.end))


def state(
    *, leader: int = 1, epoch: int = 0, isr: tuple[int, ...] = (1, 2), partition_epoch: int = 0, index: int = 0
) -> PartitionState:
    """A partition of three replicas as the controller has committed it."""
    return PartitionState(Partition(ORDERS, index), (1, 2, 3), isr, (), (), leader, epoch, partition_epoch)
