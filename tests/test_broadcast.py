"""The two chains of the broadcast."""

from __future__ import annotations

from recording import Recording

from barnabas.actors.broadcast import Publisher
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import (
    BrokerPlace,
    LeadershipUpdate,
    MetadataUpdate,
    Partition,
    PartitionLeader,
    TopicId,
    TopicName,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import (
    BrokerRegistered,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    TopicCreated,
    TopicDeleted,
)

T = TopicId("T" * 22)
P = Partition(T, 0)


class Scene:
    def __init__(self) -> None:
        self.ctx, self.image = Recording(), MetadataImage()
        self.image.apply([BrokerRegistered(b, Incarnation(b), "d", f"b{b}", "") for b in (1, 2)], 0)
        self.publisher = Publisher("cluster", 9, 4, self.image, self.image.end)

    def apply(self, *records: MetadataRecord) -> list[LeadershipUpdate]:
        self.image.apply(records, self.image.end)
        self.publisher.applied(b"bytes", records, self.ctx)
        return self.ctx.take(LeadershipUpdate)


def test_a_new_topic_tells_clients_its_leaders_and_where_they_are() -> None:
    [digest] = Scene().apply(TopicCreated(T, "orders"), PartitionCreated(P, [2, 1], [2, 1], 2))
    assert (digest.previous, digest.offset, digest.controller, digest.controller_epoch) == (2, 4, 9, 4)
    assert digest.brokers == [BrokerPlace(2, "b2")]
    assert digest.topics == [TopicName(T, "orders", 1)]
    assert digest.leaders == [PartitionLeader(P, 2, 0)]


def test_what_does_not_concern_clients_has_no_frame_for_them_and_the_next_names_the_last() -> None:
    scene = Scene()
    scene.apply(TopicCreated(T, "orders"), PartitionCreated(P, [2, 1], [2, 1], 2))
    assert scene.apply(ProducerIdsTaken(1, 1000)) == []
    [digest] = scene.apply(PartitionChanged(P, 1, 1, 1, [1], [2]))
    assert (digest.previous, digest.offset) == (4, 6)
    assert digest.leaders == [PartitionLeader(P, 1, 1)]


def test_a_deleted_topic_is_named_and_its_partitions_are_not() -> None:
    scene = Scene()
    made = [TopicCreated(T, "orders"), PartitionCreated(P, [2, 1], [2, 1], 2)]
    [digest] = scene.apply(*made, TopicDeleted(T))
    assert (digest.deleted, digest.topics, digest.leaders) == ([T], [], [])


def test_a_partition_without_a_leader_is_told_too() -> None:
    scene = Scene()
    scene.apply(TopicCreated(T, "orders"), PartitionCreated(P, [2], [2], 2))
    [digest] = scene.apply(PartitionChanged(P, -1, 1, 1, [], [2]))
    assert (digest.leaders, digest.brokers) == ([PartitionLeader(P, -1, 1)], [])


def test_heartbeats_repeat_where_the_chains_are() -> None:
    scene = Scene()
    scene.apply(ProducerIdsTaken(1, 1000))
    scene.ctx.take(MetadataUpdate)
    for _ in range(2):
        scene.publisher.heartbeat(scene.ctx)
    assert [(u.previous, u.offset, u.records) for u in scene.ctx.take(MetadataUpdate)] == [(3, 3, None)] * 2
    assert [(u.previous, u.offset) for u in scene.ctx.take(LeadershipUpdate)] == [(2, 2)] * 2
