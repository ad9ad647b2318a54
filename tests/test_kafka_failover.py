"""Kafka's Python clients while leaders stop in good order and are killed: nothing is lost and nothing doubled.

Each client writes numbers all the while, with its own defaults but for acks=all and idempotence. One leader is stopped
and started again as in a rolling restart, then one is killed. In the end every number that was acknowledged is in the
topic once and in its order, and no number failed. `bench failover --client` measures how long writes stand still.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from barnabas import Cluster
from barnabas.bench.account import Flow
from barnabas.bench.kafka_producers import CLIENTS, kafka_producer

TOPIC, PARTITIONS = "failover", 3
PAUSE_S = 0.002  # between two records: a few hundred a second
LIMIT = 60.0
MODULES = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka", "aiokafka": "aiokafka"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3) as running:
        running.create_topic(TOPIC, partitions=PARTITIONS)
        yield running


def goes_on(flow: Flow) -> None:
    """Records that are sent from now on are acknowledged in every partition."""
    wanted = set(range(flow.sent + 1, flow.sent + 1 + PARTITIONS))
    while not wanted <= {number for _, number in flow.acknowledgements}:
        assert flow.await_acknowledged_from(flow.sent, LIMIT)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.timeout(180)
def test_a_leader_stops_and_another_is_killed_and_nothing_is_lost_or_doubled(cluster: Cluster, client: str) -> None:
    pytest.importorskip(MODULES[client], reason=f"{client} is not installed")
    stop = threading.Event()
    with kafka_producer(client, cluster.kafka) as producer:
        flow = Flow(producer, TOPIC)

        def stream() -> None:
            while not stop.wait(PAUSE_S):
                flow.send(b"x" * 20, partition=flow.sent % PARTITIONS)

        thread = threading.Thread(target=stream, daemon=True)
        thread.start()
        try:
            goes_on(flow)
            cluster.restart(cluster.leader(TOPIC, 0))  # in good order
            goes_on(flow)
            cluster.await_isr(TOPIC)
            victim = cluster.leader(TOPIC, 1)
            cluster.kill(victim)
            goes_on(flow)
            cluster.restart(victim)
            cluster.await_isr(TOPIC)
            goes_on(flow)
        finally:
            stop.set()
            thread.join(LIMIT)
        assert not thread.is_alive()
        producer.flush(LIMIT)
    with cluster.consumer(TOPIC) as consumer:
        verdict = flow.judge(consumer, PARTITIONS)
    assert flow.failures == []
    assert verdict.good and verdict.acknowledged == verdict.sent == verdict.read, verdict
