"""The Kafka doors of three brokers when leaders move: what a client is told, by whom, and that it goes on.

Nodes are threads, so they are killed, stopped and started again within a test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from kafka_client import Closed, KafkaClient, batch, produce_request, values

from barnabas import Cluster
from barnabas.transport.kafka.messages import fetch, metadata

NONE, NOT_LEADER, LEADER_NOT_AVAILABLE = 0, 6, 5


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3, isolation="thread") as running:
        running.create_topic("moving", partitions=1)
        yield running


@pytest.fixture(autouse=True)
def whole(cluster: Cluster) -> None:
    for node in cluster.nodes:
        if node not in cluster.alive():
            cluster.restart(node)
    cluster.await_isr("moving")


def place(cluster: Cluster, node: int) -> str:
    return cluster.kafka.split(",")[node - 1]


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it comes true soon"
        time.sleep(0.01)


def partition_of(cluster: Cluster, node: int) -> metadata.MetadataResponsePartition:
    """The partition as this broker tells it."""
    with KafkaClient(place(cluster, node)) as client:
        [found] = client.metadata("moving", create=False).partitions
        return found


def test_every_broker_tells_the_same_and_where_all_of_them_are(cluster: Cluster) -> None:
    told = []
    for node in (1, 2, 3):
        with KafkaClient(place(cluster, node)) as client:
            answer = client.ask(metadata.MetadataRequest(topics=[metadata.MetadataRequestTopic(name="moving")]))
            assert ",".join(f"{broker.host}:{broker.port}" for broker in answer.brokers) == cluster.kafka
            told.append((answer.cluster_id, answer.topics))
    assert told[0] == told[1] == told[2]
    assert sorted(told[0][1][0].partitions[0].isr_nodes) == [1, 2, 3]


def test_a_follower_says_who_leads(cluster: Cluster) -> None:
    """KIP-951: the client need not ask for metadata first."""
    leader = cluster.leader("moving", 0)
    follower = next(node for node in (1, 2, 3) if node != leader)
    with KafkaClient(place(cluster, follower)) as client:
        topic = client.metadata("moving")
        epoch = topic.partitions[0].leader_epoch
        answer = client.ask(produce_request("moving", batch(b"x")))
        [refused] = answer.responses[0].partition_responses
        assert refused.error_code == NOT_LEADER
        assert (refused.current_leader.leader_id, refused.current_leader.leader_epoch) == (leader, epoch)
        [endpoint] = answer.node_endpoints
        assert (endpoint.node_id, f"{endpoint.host}:{endpoint.port}") == (leader, place(cluster, leader))
        assert client.ask(produce_request("moving", batch(b"x")), 9).node_endpoints == [], "which version 9 cannot say"

        wanted = [fetch.FetchTopic(topic_id=topic.topic_id, partitions=[fetch.FetchPartition(0)])]
        answer = client.ask(fetch.FetchRequest(max_wait_ms=10_000, min_bytes=1, topics=wanted))
        [refused] = answer.responses[0].partitions
        assert refused.error_code == NOT_LEADER
        assert (refused.current_leader.leader_id, refused.current_leader.leader_epoch) == (leader, epoch)
        assert [endpoint.node_id for endpoint in answer.node_endpoints] == [leader]


def test_what_was_acknowledged_is_read_from_the_next_leader(cluster: Cluster) -> None:
    leader = cluster.leader("moving", 0)
    with KafkaClient(place(cluster, leader)) as client:
        topic = client.metadata("moving")
        written = client.produce("moving", batch(b"kept"))
        assert written.error_code == NONE
        cluster.kill(leader)
        assert client.is_closed(), "a dead broker answers no more"
    others = [node for node in (1, 2, 3) if node != leader]
    until(lambda: partition_of(cluster, others[0]).leader_id in others)
    known = partition_of(cluster, others[0])
    assert known.leader_epoch > topic.partitions[0].leader_epoch
    until(lambda: partition_of(cluster, others[1]).leader_id == known.leader_id)
    assert partition_of(cluster, others[0]).offline_replicas == [leader]
    with KafkaClient(place(cluster, known.leader_id)) as client:
        until(lambda: client.fetch(topic, written.base_offset).records != b"")
        assert values(client.fetch(topic, written.base_offset).records)[:1] == [b"kept"]
        assert client.ask(metadata.MetadataRequest(topics=[])).controller_id in others


def test_leader_epochs_never_go_back_whoever_is_asked_and_however_often_brokers_start(cluster: Cluster) -> None:
    """Java and librdkafka believe no metadata with an older epoch, for ever (KIP-320)."""
    told: dict[int, int] = {}

    def look() -> None:
        for node in cluster.alive():
            try:
                epoch = partition_of(cluster, node).leader_epoch
            except (Closed, OSError):
                continue
            assert epoch >= told.get(node, -1), f"broker {node} told {epoch} after {told[node]}"
            told[node] = epoch

    for _ in range(2):
        victim = cluster.leader("moving", 0)
        cluster.kill(victim)
        until(lambda: (look(), partition_of(cluster, cluster.alive()[0]).leader_id in cluster.alive())[1])
        cluster.restart(victim)
        look()
        cluster.await_isr("moving")
        look()


def test_a_fetch_that_waits_is_answered_when_its_leader_stops(cluster: Cluster) -> None:
    """In good order: a controlled shutdown costs clients a retry, not an error or a timeout."""
    leader = cluster.leader("moving", 0)
    with KafkaClient(place(cluster, leader)) as client:
        topic = client.metadata("moving")
        end = client.produce("moving", batch(b"last")).base_offset + 1
        partition = fetch.FetchPartition(0, fetch_offset=end, partition_max_bytes=1000)
        wanted = [fetch.FetchTopic(topic_id=topic.topic_id, partitions=[partition])]
        header = client.tell(fetch.FetchRequest(max_wait_ms=30_000, min_bytes=1, topics=wanted))
        began = time.monotonic()
        cluster.restart(leader)
        [answer] = client.hear(header).responses[0].partitions
        assert answer.error_code == NOT_LEADER
        assert answer.current_leader.leader_id != leader
        assert time.monotonic() - began < 20


def test_a_broker_comes_back_to_its_port_and_lets_clients_in_when_it_serves(cluster: Cluster) -> None:
    follower = next(node for node in (1, 2, 3) if node != cluster.leader("moving", 0))
    cluster.kill(follower)
    with pytest.raises(ConnectionRefusedError):
        KafkaClient(place(cluster, follower))
    cluster.restart(follower)
    until(lambda: _answers(cluster, follower))
    assert partition_of(cluster, follower).leader_id in (1, 2, 3)


def _answers(cluster: Cluster, node: int) -> bool:
    try:
        partition_of(cluster, node)
    except (Closed, OSError):
        return False
    return True
