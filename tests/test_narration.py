"""Decisions told to people."""

from __future__ import annotations

from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import Partition, TopicId
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerStopping,
    BrokerUnfenced,
    ClusterDefaults,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
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
