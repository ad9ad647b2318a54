"""Kafka's Python clients while leaders stop in good order and are killed: nothing is lost and nothing doubled.

Each client writes numbers all the while, with its own defaults but for acks=all and idempotence. One leader is stopped
and started again as in a rolling restart, then one is killed. In the end every number that was acknowledged is in the
topic once, and no number failed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from barnabas import Cluster

PAUSE_S = 0.002  # between two records: a few hundred a second
LIMIT = 60.0


class Written:
    """What a client was told of its records."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged: list[tuple[float, bytes]] = []  # when, and which
        self.failed: list[object] = []
        self.stop = threading.Event()

    def next(self) -> bytes:
        self.sent += 1
        return b"%d" % self.sent

    def told(self, value: bytes, error: object = None) -> None:
        if error is None:
            self.acknowledged.append((time.monotonic(), value))
        else:
            self.failed.append(error)

    def longest_pause(self) -> float:
        times = sorted(when for when, _ in self.acknowledged)
        return max(after - before for before, after in pairwise(times))


def with_confluent(bootstrap: str, written: Written) -> None:
    confluent = pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")
    producer = confluent.Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})

    def done(error: object, message: Any) -> None:  # noqa: ANN401  # a class of confluent-kafka's
        written.told(message.value(), error)

    while not written.stop.wait(PAUSE_S):
        producer.produce("failover", written.next(), on_delivery=done)
        producer.poll(0)
    assert producer.flush(LIMIT) == 0


def with_kafka_python(bootstrap: str, written: Written) -> None:
    kafka = pytest.importorskip("kafka", reason="kafka-python is not installed")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, acks="all")  # idempotent by default

    def send(value: bytes) -> None:
        future = producer.send("failover", value)
        future.add_callback(lambda _: written.told(value))
        future.add_errback(lambda error: written.told(value, error))

    while not written.stop.wait(PAUSE_S):
        send(written.next())
    producer.flush(LIMIT)
    producer.close()


def with_aiokafka(bootstrap: str, written: Written) -> None:
    aiokafka = pytest.importorskip("aiokafka", reason="aiokafka is not installed")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    async def produce() -> None:
        async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:

            async def send(value: bytes) -> None:
                try:
                    await producer.send_and_wait("failover", value)
                except aiokafka.errors.KafkaError as error:
                    written.told(value, error)
                else:
                    written.told(value)

            sending = []
            while not written.stop.is_set():
                sending.append(asyncio.create_task(send(written.next())))
                await asyncio.sleep(PAUSE_S)
            await asyncio.wait_for(asyncio.gather(*sending), LIMIT)

    asyncio.run(produce())


CLIENTS = {"confluent-kafka": with_confluent, "kafka-python": with_kafka_python, "aiokafka": with_aiokafka}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3) as running:
        running.create_topic("failover", partitions=3)
        yield running


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, "it comes true soon"
        time.sleep(0.01)


def goes_on(written: Written) -> None:
    """Records that are sent from now on are acknowledged."""
    sent = written.sent + 20
    until(lambda: len(written.acknowledged) + len(written.failed) >= sent)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.timeout(180)
def test_a_leader_stops_and_another_is_killed_and_nothing_is_lost_or_doubled(cluster: Cluster, client: str) -> None:
    written = Written()
    thread = threading.Thread(target=CLIENTS[client], args=(cluster.kafka, written), daemon=True)
    thread.start()
    try:
        goes_on(written)
        cluster.restart(cluster.leader("failover", 0))  # in good order
        goes_on(written)
        cluster.await_isr("failover")
        victim = cluster.leader("failover", 1)
        cluster.kill(victim)
        goes_on(written)
        cluster.restart(victim)
        cluster.await_isr("failover")
        goes_on(written)
    finally:
        written.stop.set()
        thread.join(LIMIT)
    assert not thread.is_alive()
    assert written.failed == []
    assert len(written.acknowledged) == written.sent
    with cluster.consumer("failover") as consumer:
        there = Counter(record.value for record in consumer.poll(10.0))
        while sum(there.values()) < written.sent:
            records = consumer.poll(10.0)
            assert records, f"{sum(there.values())} of {written.sent} records"
            there.update(record.value for record in records)
        there.update(record.value for record in consumer.poll(0.2))
    assert [value for _, value in written.acknowledged if value not in there] == []
    assert [value for value, times in there.items() if times > 1] == []
    print(f"{client}: {written.sent} records, longest pause {written.longest_pause() * 1000:.0f} ms")
