"""Segments as others read them: kafka-python's and aiokafka's own parsers, before and after compaction.

What they find in the files must be what a consumer of ours gets, record by record, holes and empty batches included.
Apache Kafka's dump-log tool does the same where it is at hand (`tools/dump_log.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

import pytest
from aiokafka.record.memory_records import MemoryRecords as OfAiokafka  # type: ignore[import-untyped]
from kafka.record.memory_records import MemoryRecords as OfKafkaPython  # type: ignore[import-untyped]
from test_compaction import Keeper, records

from barnabas.storage.cleaning import Stage
from barnabas.storage.records import Record
from barnabas.storage.segment import SEGMENT_NAME
from barnabas.storage.settings import LogSettings

SETTINGS = LogSettings(segment_bytes=4000, index_interval=500, tail_cache_bytes=200, compacted=True)


def by_kafka_python(data: bytes) -> Iterator[Record]:
    found = OfKafkaPython(data)
    while found.has_next():
        batch = found.next_batch()
        assert batch.validate_crc()
        for record in batch:
            yield Record(record.key, record.value, tuple(record.headers), record.timestamp, record.offset)
    assert found.valid_bytes() == len(data)


def by_aiokafka(data: bytes) -> Iterator[Record]:
    found = OfAiokafka(data)
    while found.has_next():
        batch = found.next_batch()
        assert batch.validate_crc()
        for record in batch:
            yield Record(record.key, record.value, tuple(record.headers), record.timestamp, record.offset)


@pytest.mark.parametrize("read", [by_kafka_python, by_aiokafka])
@pytest.mark.parametrize("codec", [0, 1])
def test_every_segment_is_read_by_other_parsers(read: Callable[[bytes], Iterator[Record]], codec: int) -> None:
    keeper, random = Keeper(options=SETTINGS), Random(codec)
    for number in range(300):
        values = [random.choice((None, f"value {number}.{n}")) for n in range(random.randint(1, 5))]
        keeper.write(*((f"k{random.randrange(30)}", value) for value in values), pid=number % 3, codec=codec)
    keeper.log.roll()
    for now in (0, 10**6, 10**6 + 50, 10**6 + 200):
        if now:
            keeper.cleaned = 0
            assert keeper.clean(now_ms=now).stage is Stage.DONE
        found = []
        for name in keeper.disk.list("states-0"):
            if SEGMENT_NAME.fullmatch(name):
                path = f"states-0/{name}"
                found += list(read(keeper.disk.read(path, 0, keeper.disk.size(path) or 0)))
        assert found == records(keeper.log)
    assert 0 < len(found) <= 30
