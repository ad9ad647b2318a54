"""How much one producer and one consumer process move.

Three replicas, `partitions` partitions, acks=all. The keys are drawn once, so that hashing them costs what it costs an
application. The first seconds are not counted. Processor time is that of all processes, client and brokers apart.

    produce   as fast as the producer takes records, by `send` or `send_many`
    consume   everything that was produced, from the beginning
"""

import argparse
import sys
import time
from typing import Literal

import msgspec

from ..client import Producer, SendFuture
from ..client.errors import BarnabasError
from ..cluster import Cluster
from ..cluster.processes import living
from .machine import Machine, Meter, Moved, machine, print_json, processes

TOPIC = "bench"
CHUNK = 500
WARM_UP_S = 3.0


class Load(msgspec.Struct, frozen=True):
    """What is sent."""

    seconds: float = 30.0
    value_bytes: int = 100
    keys: int = 1000
    partitions: int = 6
    durability: Literal["fsync", "os"] = "fsync"
    many: bool = True  # send_many rather than send
    compression: str = "none"
    least_bytes: int = 0  # of values: go on until so many are sent, but for no more than twice the seconds


class Throughput(msgspec.Struct, frozen=True):
    """What `bench produce` and `bench consume` come to."""

    machine: Machine
    load: Load
    moved: Moved
    failed: int = 0

    @property
    def mb_per_s(self) -> float:
        """Of values."""
        return round(self.moved.records_per_s * self.load.value_bytes / 1e6, 1)


class Scene:
    """One cluster with one topic, and what is sent to it."""

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self.load = load
        self.cluster = cluster
        cluster.create_topic(TOPIC, partitions=load.partitions, configs={"durability": load.durability})
        self.brokers = processes(found.pid for found in living(cluster.directory))
        self.keys = [b"key-%d" % number for number in range(load.keys)]
        self.value = (b"0123456789abcdef" * (load.value_bytes // 16 + 1))[: load.value_bytes]

    def send(self, producer: Producer, seconds: float, least_bytes: int = 0) -> list[SendFuture]:
        """Send for so long; the last futures (one per chunk), since all before them are decided no later."""
        keys, value, many = self.keys, self.value, self.load.many
        pairs = [(keys[i % len(keys)], value) for i in range(CHUNK)]
        began = time.monotonic()
        futures: list[SendFuture] = []
        while (passed := time.monotonic() - began) < seconds or (
            len(futures) * CHUNK * len(value) < least_bytes and passed < 2 * seconds
        ):
            if many:
                futures.append(producer.send_many(TOPIC, pairs)[-1])
            else:
                for key, _ in pairs:
                    future = producer.send(TOPIC, value, key)
                futures.append(future)
        return futures


def produce(load: Load) -> Throughput:
    """As fast as the producer takes records."""
    found = machine()
    with Cluster(brokers=3) as cluster:
        scene = Scene(cluster, load)
        with Producer(cluster.bootstrap, linger_ms=20, compression=load.compression) as producer:
            scene.send(producer, WARM_UP_S)
            producer.flush(60)
            meter = Meter(scene.brokers)
            futures = scene.send(producer, load.seconds, load.least_bytes)
            producer.flush(120)
            moved = meter.moved(len(futures) * CHUNK)
        failed = sum(future.exception(0) is not None for future in futures)
    return Throughput(found, load, moved, failed)


def consume(load: Load) -> Throughput:
    """Everything that a producer wrote in `seconds`, read from the beginning."""
    found = machine()
    with Cluster(brokers=3) as cluster:
        scene = Scene(cluster, load)
        with Producer(cluster.bootstrap, linger_ms=20, compression=load.compression) as producer:
            expected = len(scene.send(producer, load.seconds, load.least_bytes)) * CHUNK
            producer.flush(120)
        with cluster.consumer(TOPIC, start="earliest") as consumer:
            meter, read = Meter(scene.brokers), 0
            while read < expected:
                records = consumer.poll(10.0)
                if not records:
                    raise BarnabasError(f"{read} of {expected} records came, then none for 10 s")
                read += len(records)
            moved = meter.moved(read)
    return Throughput(found, load, moved)


def load_from(arguments: argparse.Namespace) -> Load:
    """What the options of `produce`, `consume` and `latency` say."""
    return Load(
        seconds=arguments.seconds,
        value_bytes=arguments.size,
        keys=arguments.keys,
        partitions=arguments.partitions,
        durability=arguments.durability,
        many=not getattr(arguments, "one_by_one", False),
        compression=arguments.compression,
    )


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench produce|consume`."""
    report = (produce if arguments.what == "produce" else consume)(load_from(arguments))
    if arguments.json:
        print_json(report)
    else:
        print(report.machine.sentence())
        print(f"{report.moved.records} records of {report.load.value_bytes} B: {sentence(report)}")
    if report.failed:
        print(f"{report.failed} chunks of {CHUNK} records ended with one that failed", file=sys.stderr)
    return 1 if report.failed else 0


def sentence(report: Throughput) -> str:
    """The figures in a line."""
    moved = report.moved
    return (
        f"{moved.records_per_s:,} records/s, {report.mb_per_s} MB/s; CPU seconds per million records: "
        f"client {moved.client_cpu_s_per_million}, brokers {moved.broker_cpu_s_per_million}"
    )
