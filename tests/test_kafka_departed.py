"""What clients are told while a leader dies: not that it leads, if that is about to change.

The broker behind the door is the stand-in of `test_kafka_limits`; a second broker leads another topic there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from kafka_client import KafkaClient
from test_kafka_limits import LISTENER, Opened, StandIn, opened

from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import Partition, TopicId
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerUnfenced,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    TopicCreated,
)
from barnabas.transport.kafka.departed import DOUBT_MS, LISTED_MS, Departed
from barnabas.transport.kafka.messages.metadata import MetadataRequest, MetadataRequestTopic
from barnabas.transport.kafka.view import View

OTHER = "tcp://127.0.0.1:2"
TOPIC = TopicId("AAAAAAAAAAAAAAAAAAAABA")
LED = Partition(TOPIC, 0)


class Pair(StandIn):
    """Broker 1 is this one; broker 2 leads topic `led`."""

    def __init__(self) -> None:
        super().__init__()
        registered = self.image.end
        self.apply(
            BrokerRegistered(2, Incarnation(2), "e", OTHER, "", 0, {LISTENER: "127.0.0.1:2"}),
            BrokerUnfenced(2, registered),
            TopicCreated(TOPIC, "led"),
            PartitionCreated(LED, [2, 1], [2, 1], 2),
        )

    def apply(self, *records: MetadataRecord) -> None:
        self.image.apply([*records], self.image.end)

    def fence(self) -> None:
        """Broker 2 is found dead: its leadership goes to broker 1."""
        epoch = self.image.brokers[2].epoch
        self.apply(BrokerFenced(2, epoch, "dead"), PartitionChanged(LED, 1, 1, 1, [1]))

    def unfence(self) -> None:
        self.apply(BrokerUnfenced(2, self.image.brokers[2].epoch))


class Scene:
    """A door whose connection to broker 2 drops and comes back as a test wants."""

    def __init__(self, place: Opened, broker: Pair) -> None:
        self.place, self.broker = place, broker

    def drops(self) -> None:
        self.place.running.look(lambda ctx: self.place.door.peer_dropped(OTHER))

    def comes_back(self) -> None:
        self.place.running.look(lambda ctx: self.place.door.peer_back(OTHER))

    def fenced(self) -> None:
        self.place.running.look(lambda ctx: self.broker.fence())

    def leader(self, client: KafkaClient, topic: str = "led") -> tuple[int, int, list[int]]:
        """Leader, its epoch, and the brokers that are listed."""
        answer = client.ask(named(topic))
        [partition] = answer.topics[0].partitions
        return partition.leader_id, partition.leader_epoch, [broker.node_id for broker in answer.brokers]


def named(topic: str) -> MetadataRequest:
    return MetadataRequest([MetadataRequestTopic(name=topic)])


def silent(client: KafkaClient, seconds: float = 0.1) -> bool:
    """Whether nothing comes for so long."""
    client.socket.settimeout(seconds)
    try:
        client.socket.recv(1)
    except TimeoutError:
        return True
    finally:
        client.socket.settimeout(20)
    return False


@pytest.fixture
def scene() -> Iterator[Scene]:
    broker = Pair()
    with opened(broker) as place:
        yield Scene(place, broker)


def test_who_asks_for_a_leader_that_may_be_dead_is_told_the_next_one(scene: Scene) -> None:
    with scene.place.client() as client, scene.place.client() as other:
        assert scene.leader(client) == (2, 0, [1, 2])
        scene.drops()
        header = client.tell(named("led"))
        assert silent(client)
        assert scene.leader(other, "t")[0] == 1, "who asks for other leaders does not wait"
        scene.fenced()
        [partition] = client.hear(header).topics[0].partitions
        assert (partition.leader_id, partition.leader_epoch) == (1, 1)


def test_a_leader_whose_connection_comes_back_is_told_as_before(scene: Scene) -> None:
    with scene.place.client() as client:
        scene.drops()
        header = client.tell(named("led"))
        assert silent(client)
        scene.comes_back()
        assert client.hear(header).topics[0].partitions[0].leader_id == 2


def test_the_wait_ends_also_if_nothing_becomes_of_it(scene: Scene) -> None:
    with scene.place.client() as client:
        scene.drops()
        began = time.monotonic()
        assert scene.leader(client) == (2, 0, [1, 2])
        assert time.monotonic() - began > DOUBT_MS / 1000 * 0.9
        assert scene.leader(client) == (2, 0, [1, 2]), "and is not begun again"
        assert time.monotonic() - began < DOUBT_MS / 1000 * 1.9


def test_a_broker_that_died_is_listed_for_a_while_so_that_its_end_and_the_next_leader_are_not_one_answer(
    scene: Scene,
) -> None:
    with scene.place.client() as client:
        scene.fenced()
        assert scene.leader(client) == (1, 1, [1, 2])


def test_the_while_is_that_of_kafka() -> None:
    broker = Pair()
    departed = Departed(View(broker, 1, "cluster", LISTENER))

    def listed(now: float) -> list[int]:
        departed.notice(now)
        return [place.broker for place in departed.listed(now)]

    end = LISTED_MS / 1000
    assert listed(0) == [1, 2]
    broker.fence()
    assert listed(1) == listed(end) == [1, 2]
    assert listed(1 + end) == [1]
    broker.unfence()
    assert listed(2 + end) == [1, 2]
