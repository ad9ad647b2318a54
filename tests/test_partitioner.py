"""Keys go where Kafka's Java client puts them."""

from __future__ import annotations

import pytest

from barnabas.actors.partitioner import murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [  # of Kafka's UtilsTest
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected


def test_a_partition_is_the_positive_hash_modulo_the_partitions() -> None:
    assert partition_of(b"abc", 7) == 479470107 % 7
    assert partition_of(b"21", 7) == (-973932308 & 0x7FFFFFFF) % 7
