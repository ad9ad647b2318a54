"""Metadata records as record batches, and what is not accepted as one."""

from __future__ import annotations

import pytest

from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import Partition, TopicId
from barnabas.actors.metadata_codec import UnreadableMetadata, decode_batches, encode_records
from barnabas.actors.metadata_records import (
    LEVEL,
    BrokerFenced,
    BrokerRegistered,
    BrokerStopping,
    BrokerUnfenced,
    ClusterDefaults,
    LeaderChanged,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    RequestDone,
    TopicCreated,
    TopicDeleted,
)
from barnabas.storage.records import InvalidBatch, Record, encode_batch

T = TopicId("T" * 22)
ALL: list[MetadataRecord] = [
    LeaderChanged(1, 1, [1, 2, 3]),
    ClusterDefaults(6, 3, {"segment.ms": "1"}),
    BrokerRegistered(1, Incarnation(7), "d", "tcp://h:1", "r"),
    BrokerFenced(1, 2, "silence"),
    BrokerUnfenced(1, 2),
    BrokerStopping(1, 2),
    TopicCreated(T, "orders", {"durability": "os"}),
    TopicDeleted(T),
    PartitionCreated(Partition(T, 0), [1, 2], [1], 1),
    PartitionChanged(Partition(T, 0), -1, 1, 1, [], [1], [2]),
    ProducerIdsTaken(1, 1000),
    RequestDone(Incarnation(9), 1, 0, "", T, 5),
]


def test_every_record_comes_back_as_it_was() -> None:
    assert decode_batches(encode_records(ALL, base_offset=10, leader_epoch=3)) == [(10, 3, ALL)]


def test_batches_that_follow_each_other_come_back_one_by_one() -> None:
    data = encode_records(ALL[:2], base_offset=0, leader_epoch=1) + encode_records(
        ALL[2:], base_offset=2, leader_epoch=2
    )
    assert decode_batches(data) == [(0, 1, ALL[:2]), (2, 2, ALL[2:])]


def test_a_damaged_batch_is_noticed() -> None:
    data = bytearray(encode_records(ALL))
    data[-1] ^= 1
    with pytest.raises(InvalidBatch):
        decode_batches(data)


def test_a_record_of_an_unknown_kind_is_not_guessed() -> None:
    with pytest.raises(UnreadableMetadata, match="at 5 cannot be read"):
        decode_batches(encode_batch([Record(None, b"\x91\xa5Other")], base_offset=5, leader_epoch=0))


def test_a_higher_level_is_refused() -> None:
    with pytest.raises(UnreadableMetadata, match="upgrade"):
        decode_batches(encode_records([LeaderChanged(1, 1, [1], level=LEVEL + 1)]))
