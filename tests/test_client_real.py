"""Clients over sockets, against real brokers: what the fake cluster of the other tests cannot show."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import Home, home

from barnabas import AsyncAdmin, AsyncConsumer, AsyncProducer, Cluster, Consumer, Producer
from barnabas.client.errors import UnknownTopic
from barnabas.storage.records import COMPRESSIONS, iter_headers

CODECS = ["gzip", "snappy", "lz4", "zstd"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3) as cluster:
        yield cluster


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def stored(cluster: Cluster, topic: str) -> set[tuple[int, int]]:
    """(compression, count) of the batches of a topic's only partition, as its leader has them on disk."""
    found: set[tuple[int, int]] = set()
    for path in (cluster.directory / f"node-{cluster.leader(topic, 0)}" / f"{topic}-0").glob("*.log"):
        found |= {(header.compression, header.count) for _, header in iter_headers(path.read_bytes())}
    return found


@pytest.mark.parametrize("compression", CODECS)
def test_records_are_stored_compressed_and_come_back_as_they_were(cluster: Cluster, compression: str) -> None:
    cluster.create_topic(compression, partitions=1)
    values = [b"%d " % i + b"the same words again and again " * 20 for i in range(500)]
    with Producer(cluster.bootstrap, compression=compression, linger_ms=50) as producer:
        producer.send_many(compression, ((b"k%d" % (i % 7), value) for i, value in enumerate(values)))
    assert {kind for kind, count in stored(cluster, compression) if count > 1} == {COMPRESSIONS[compression]}
    read: list[bytes | None] = []
    with Consumer(cluster.bootstrap, compression) as consumer:
        while len(read) < len(values):
            read += [record.value for record in consumer.poll(5.0)]
    assert read == values


def test_the_command_line_compresses(cluster: Cluster, house: Home) -> None:
    cluster.create_topic("typed", partitions=1)
    lines = "".join(f"{i} the same words again and again\n" for i in range(200))
    where = ("--bootstrap", cluster.bootstrap)
    done = house.barnabas("produce", "typed", "--compression", "zstd", "--linger-ms", 50, *where, given=lines)
    assert done.code == 0, done.err
    assert {kind for kind, count in stored(cluster, "typed") if count > 1} == {COMPRESSIONS["zstd"]}
    with cluster.consumer("typed") as consumer:
        assert next(iter(consumer)).value == b"0 the same words again and again"
    refused = house.barnabas("produce", "typed", "--compression", "rar", *where)
    assert refused.code == 2
    assert "'rar' is not one of none, gzip" in refused.err


def test_asyncio_clients_lose_and_double_nothing_while_the_leader_is_killed(cluster: Cluster) -> None:
    async def write(topic: str) -> None:
        async with AsyncProducer(cluster.bootstrap, compression="lz4", linger_ms=1) as producer:
            for i in range(300):
                sent = await producer.send(topic, b"%d" % i)
                if i == 100:
                    await sent
                    await asyncio.to_thread(cluster.kill, cluster.leader(topic, 0))
            await producer.flush(timeout=30)
            assert (await sent).offset == 299

    async def read(topic: str) -> list[int]:
        values: list[int] = []
        async with AsyncConsumer(cluster.bootstrap, topic) as consumer:
            async for record in consumer:
                values.append(int(record.value or b"-1"))
                if len(values) == 300:
                    break
            assert await consumer.position(topic, 0) == 300
            assert await consumer.end_offsets([(topic, 0)]) == {(topic, 0): 300}
            assert await consumer.lag(topic, 0) == 0
        return values

    async def main() -> None:
        async with AsyncAdmin(cluster.bootstrap) as admin:
            await admin.create_topic("killed", partitions=1)
            values, _ = await asyncio.gather(read("killed"), write("killed"))
            assert values == [*range(300)]
            await admin.delete_topic("killed")
            with pytest.raises(UnknownTopic):
                await admin.describe_topics(["killed"])

    asyncio.run(asyncio.wait_for(main(), 60))
