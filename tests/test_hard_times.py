"""Hard times for a cluster and its clients: nothing is lost, memory has a bound, and what cannot be done is said.

Real nodes as processes, whose memory is measured; the bounds leave room for an interpreter that collects when it likes.
"""

import os
import threading
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]
import pytest
from real_clusters import eventually

from barnabas import Cluster, Producer
from barnabas.cluster.config import parse

IMPATIENT = """
[timing]
replica_lag_ms = 1000
[[node]]
id = 1
[[node]]
id = 2
[[node]]
id = 3
"""
MB = 1_000_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(config=parse(IMPATIENT)) as running:
        yield running


def memory(*processes: int) -> int:
    return sum(int(psutil.Process(pid).memory_info().rss) for pid in processes)


def nodes(cluster: Cluster) -> list[int]:
    return [cluster.process(node).pid for node in cluster.nodes]


def numbers_in(cluster: Cluster, topic: str, count: int) -> list[int]:
    """The keys of so many records."""
    found: list[int] = []
    with cluster.consumer(topic) as consumer:

        def enough() -> bool:
            found.extend(int(record.key or b"-1") for record in consumer.poll(1.0, 10_000))
            return len(found) >= count

        assert eventually(enough, 60)
    return found


def test_a_burst_of_a_hundred_thousand_sends_is_written_whole(cluster: Cluster) -> None:
    cluster.create_topic("burst", partitions=6)
    before = memory(os.getpid(), *nodes(cluster))
    with cluster.producer() as producer:
        futures = [producer.send("burst", bytes(100), key=b"%d" % i) for i in range(100_000)]
        during = memory(os.getpid(), *nodes(cluster))
        producer.flush(60)
    assert all(future.exception(0) is None for future in futures)
    assert during - before < 200 * MB  # 32 MiB of records, their futures, and copies at three nodes
    assert sorted(numbers_in(cluster, "burst", 100_000)) == list(range(100_000))


def test_a_slow_consumer_has_a_bounded_share_and_reads_everything_in_the_end(cluster: Cluster) -> None:
    cluster.create_topic("slow")
    with cluster.consumer("slow") as consumer, cluster.producer() as producer:
        assert consumer.poll(0.1) == []
        before = memory(os.getpid(), *nodes(cluster))
        read = 0
        for chunk in range(20):
            producer.send_many("slow", ((b"%d" % (chunk * 2_000 + i), bytes(1_000)) for i in range(2_000)))
            read += len(consumer.poll(1.0, 10))  # it needs an hour for what comes in a second
        producer.flush(60)
        assert memory(os.getpid(), *nodes(cluster)) - before < 150 * MB  # of 40 MB in three copies
        while read < 40_000:
            records = consumer.poll(20.0, 10_000)
            assert records, f"{read} were read"
            assert [int(record.key or b"-1") for record in records] == list(range(read, read + len(records)))
            read += len(records)


def test_a_stopped_follower_costs_neither_records_nor_memory(cluster: Cluster) -> None:
    cluster.create_topic("stopped")
    leader = cluster.leader("stopped", 0)
    follower = next(node for node in cluster.nodes if node not in (leader, cluster.controller()))
    before = memory(cluster.process(leader).pid)
    cluster.pause(follower)
    try:
        with cluster.producer() as producer:
            for chunk in range(20):
                producer.send_many("stopped", ((b"%d" % (chunk * 2_000 + i), bytes(1_000)) for i in range(2_000)))
            producer.flush(60)  # once the follower has left the in-sync replicas
        assert cluster.isr("stopped", 0) == sorted({*cluster.nodes} - {follower})
        assert memory(cluster.process(leader).pid) - before < 100 * MB
    finally:
        cluster.resume(follower)
    cluster.await_isr("stopped", 60)
    assert numbers_in(cluster, "stopped", 40_000) == list(range(40_000))


def test_many_clients_that_come_at_once_are_all_served(cluster: Cluster) -> None:
    cluster.create_topic("many", partitions=6)
    descriptors = psutil.Process(nodes(cluster)[0]).num_fds()
    failed: list[str] = []

    def one(number: int) -> None:
        try:
            with Producer(cluster.bootstrap) as producer:
                producer.send("many", "here", key=f"{number}").result(90)
        except Exception as error:  # noqa: BLE001  a thread has nobody else to tell
            failed.append(repr(error))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(numbers_in(cluster, "many", 60)) == list(range(60))
    for pid in nodes(cluster):
        assert eventually(lambda pid=pid: psutil.Process(pid).num_fds() < descriptors + 30), "connections are left"
