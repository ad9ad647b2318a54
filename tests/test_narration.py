"""Decisions told to people."""

from __future__ import annotations

from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import Partition, TopicId
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokersConfigured,
    BrokerStopping,
    BrokerUnfenced,
    ClusterDefaults,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    TopicConfigured,
    TopicCreated,
    TopicDeleted,
)
from barnabas.actors.narration import narrate

T = TopicId("T" * 22)
P = Partition(T, 0)


def image() -> MetadataImage:
    image = MetadataImage()
    image.apply([TopicCreated(T, "orders"), PartitionCreated(P, [1, 2, 3], [1, 2, 3], 1)], 0)
    return image


def told(*records: MetadataRecord) -> list[str]:
    events = narrate(image(), records, 2, "because")
    assert all(event.cause == "because" for event in events)
    return [event.sentence() for event in events]


def test_a_leader_that_falls_is_two_sentences() -> None:
    assert told(PartitionChanged(P, 2, 1, 1, [2, 3])) == [
        "b2 leads orders-0 after b1 in leader epoch 1",
        "orders-0: b1 left the ISR, now [2, 3]",
    ]


def test_a_partition_without_a_leader_says_who_led_it_and_who_may() -> None:
    assert told(PartitionChanged(P, -1, 1, 1, [], [1, 3])) == [
        "orders-0 has no leader: b1 led it and nobody who is up may",
        "orders-0: b1 and b2 and b3 left the ISR, now [], eligible to lead: [1, 3]",
    ]


def test_every_other_record_is_one_sentence() -> None:
    other = TopicId("U" * 22)
    assert told(
        BrokerRegistered(1, Incarnation(1), "d", "tcp://h:1", ""),
        BrokerFenced(1, 2),
        BrokerUnfenced(1, 2),
        BrokerStopping(1, 2),
        TopicCreated(other, "new"),
        PartitionCreated(Partition(other, 0), [1, 2], [1], 1),
        TopicDeleted(T),
        ProducerIdsTaken(1, 1000),
        ClusterDefaults(6, 3, {}),
    ) == [
        "b1 registered from tcp://h:1, broker epoch 2",
        "b1 was fenced",
        "b1 was unfenced",
        "b1 is stopping in good order",
        "topic 'new' was created: 1 partition, replication 2",
        "topic 'orders' was deleted",
        "b1 was given producer ids up to 1000",
        "topics have 6 partitions and 3 replicas by default",
    ]


def test_a_move_is_told_when_it_begins_when_it_ends_and_when_it_is_cancelled() -> None:
    scene = image()
    begun = PartitionChanged(P, 1, 0, 1, [1, 2, 3], replicas=[1, 2, 3, 4], target=[1, 4], adding=[4])
    assert told(begun) == ["orders-0 moves from [1, 2, 3] to [1, 4]"]
    scene.apply([begun], scene.end)
    grown = PartitionChanged(P, 1, 0, 2, [1, 2], target=[1, 4], adding=[4])
    assert [event.sentence() for event in narrate(scene, [grown], scene.end, "because")] == [
        "orders-0: b3 left the ISR, now [1, 2]"
    ]
    ended = PartitionChanged(P, 1, 1, 2, [1, 4], replicas=[1, 4])
    assert [event.sentence() for event in narrate(scene, [ended], scene.end, "because")] == [
        "orders-0 has moved from [1, 2, 3] to [1, 4]",
        "orders-0: b4 joined the ISR, b2 and b3 left the ISR, now [1, 4]",
    ]
    cancelled = PartitionChanged(P, 1, 1, 2, [1, 2, 3], replicas=[1, 2, 3])
    assert [event.sentence() for event in narrate(scene, [cancelled], scene.end, "because")] == [
        "orders-0 does not move to [1, 4]: it stays at [1, 2, 3]"
    ]
    assert told(PartitionChanged(P, 1, 0, 1, [2, 1, 3], replicas=[2, 1, 3])) == [
        "orders-0 has moved from [1, 2, 3] to [2, 1, 3]"
    ]


def test_what_people_changed_is_told() -> None:
    assert told(
        TopicConfigured(T, {"segment.ms": "5"}),
        BrokersConfigured(-1, {"log.retention.ms": "6"}),
        PartitionCreated(Partition(T, 1), [1], [1], 1),
    ) == [
        "topic 'orders': segment.ms is 5",
        "all brokers: log.retention.ms is 6",
        "topic 'orders' has one partition more, now 2",
    ]
    scene = image()
    scene.apply([PartitionChanged(P, -1, 1, 1, [], [1])], scene.end)
    unclean = PartitionChanged(P, 3, 2, 2, [3], unclean=True)
    assert next(event.sentence() for event in narrate(scene, [unclean], scene.end, "because")) == (
        "b3 leads orders-0 in leader epoch 2 by an unclean election: what it lacks is given up"
    )
