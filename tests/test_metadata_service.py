"""Answers about metadata: ranges cut at 1 MiB, snapshots in pieces, pictures."""

from __future__ import annotations

import pytest
from recording import OneVoter, Recording

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import (
    Describe,
    FetchLeadership,
    FetchMetadata,
    MetadataRange,
    MetadataSnapshot,
    Partition,
    TopicId,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_codec import decode_batches, encode_records
from barnabas.actors.metadata_records import BrokerRegistered, PartitionCreated, TopicCreated
from barnabas.actors.metadata_service import PIECE, MetadataSource, describe, leadership

T = TopicId("T" * 22)


class Scene:
    def __init__(self, brokers: int, rack: str = "") -> None:
        self.raft, self.image = OneVoter(), MetadataImage()
        self.raft.win(Recording())
        for broker in range(1, brokers + 1):
            record = BrokerRegistered(broker, Incarnation(broker), "d", f"b{broker}", rack)
            self.raft.append(encode_records([record]), Recording())
        for first, _, records in decode_batches(self.raft.read(0, 1 << 40)):
            self.image.apply(records, first)
        self.source = MetadataSource("cluster", self.image, self.raft)

    def ask(self, offset: int, snapshot_end: int = 0, position: int = 0) -> MetadataRange | MetadataSnapshot:
        return self.source.answer(FetchMetadata(1, "cluster", offset, snapshot_end, position))


def test_a_long_range_is_cut_at_whole_batches_and_goes_on_where_it_ended() -> None:
    scene, end, answers = Scene(300, "r" * 10_000), 0, 0
    while end < scene.image.end:
        answer = scene.ask(end)
        assert isinstance(answer, MetadataRange)
        assert answer.records is not None
        assert len(answer.records) <= PIECE
        assert (answer.offset, answer.committed) == (end, scene.image.end)
        end, answers = answer.end, answers + 1
    assert answers == 3


def test_whoever_is_ahead_gets_an_empty_range() -> None:
    answer = Scene(1).ask(99)
    assert isinstance(answer, MetadataRange)
    assert (answer.error, answer.offset, answer.end, answer.records) == (ErrorCode.NONE, 99, 99, None)


def test_a_negative_offset_is_refused() -> None:
    answer = Scene(1).ask(-1)
    assert isinstance(answer, MetadataRange)
    assert answer.error is ErrorCode.INVALID_REQUEST


def test_a_snapshot_that_is_no_longer_held_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas.actors.metadata_service.PIECE", 100)
    scene = Scene(5)
    scene.raft.log_start = scene.image.end
    first = scene.ask(0)
    assert isinstance(first, MetadataSnapshot)
    second = scene.ask(0, first.end, 100)
    assert isinstance(second, MetadataSnapshot)
    assert (second.position, len(second.data)) == (100, min(100, first.size - 100))
    again = scene.ask(0, first.end + 5, 100)
    assert isinstance(again, MetadataSnapshot)
    assert again.position == 0


def test_a_digest_leaves_out_what_does_not_exist_and_names_each_topic_once() -> None:
    scene = Scene(1)
    scene.image.apply([TopicCreated(T, "orders"), PartitionCreated(Partition(T, 0), [1], [1], 1)], scene.image.end)
    digest = leadership(scene.image, FetchLeadership(1, ["orders", "x", "orders"]), "cluster", {2: "c2", 1: "c1"}, [])
    assert [topic.name for topic in digest.topics] == ["orders"]
    assert [place.broker for place in digest.controllers] == [1, 2]
    everything = leadership(scene.image, FetchLeadership(1, None), "cluster", {}, [])
    assert everything.leaders == digest.leaders


def test_a_picture_shows_the_configs_in_force() -> None:
    scene = Scene(1)
    scene.image.apply([TopicCreated(T, "orders", {"durability": "os"})], scene.image.end)
    picture = describe(scene.image, Describe(1), "cluster")
    assert picture.topics[0].configs["durability"] == "os"
    assert picture.topics[0].configs["min.insync.replicas"] == "2"
    assert describe(scene.image, Describe(1, ["x"]), "cluster").topics == []
