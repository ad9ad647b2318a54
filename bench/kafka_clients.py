"""How much one process moves through the Kafka door with confluent-kafka, the fastest of Python's Kafka clients.

acks=all, no compression, librdkafka's defaults but for linger.ms; three replicas of each partition. Brokers and client
share the machine, and their processor time is told apart. Any other broker can be measured in the same way, by its
address: then its processor time is not known.

    produce   as fast as the client takes records; an error of any record counts
    consume   everything that was produced, from the beginning, by assignment
    unpaused  the same with fetch.queue.backoff.ms=10
    groups    from the making of a consumer to its first record, each time in a new group, by both protocols

Whoever reads as fast as it can sets that option. By default librdkafka fetches until 100,000 messages wait
(`queued.min.messages`), then leaves the partition alone for a whole second, whoever the broker is: with 100 B records
the queue is empty long before, and what is measured is that pause.
"""

import argparse
import statistics
import sys
import time
from contextlib import nullcontext

import msgspec
import psutil  # type: ignore[import-untyped]

from ..client.errors import BarnabasError
from ..cluster import Cluster
from ..cluster.processes import living
from .machine import Machine, Meter, Moved, machine, print_json

TOPIC = "bench-kafka"
GROUPS_TOPIC = "bench-kafka-groups"
GROUPS = 5  # new ones of each protocol
UNPAUSED: dict[str, str | int | float | bool] = {"fetch.queue.backoff.ms": 10}
WARM_UP_S = 2.0
CHUNK = 1_000  # records between two looks at the clock


class KafkaLoad(msgspec.Struct, frozen=True):
    """What is sent."""

    seconds: float = 20.0
    value_bytes: int = 100
    partitions: int = 6
    linger_ms: int = 5
    bootstrap: str = ""  # of another broker; empty: a cluster of three of ours


class KafkaReport(msgspec.Struct, frozen=True):
    """What `bench kafka --json` prints."""

    machine: Machine
    load: KafkaLoad
    produced: Moved
    consumed: Moved
    consumed_unpaused: Moved
    first_classic_ms: list[float]  # empty if the brokers are not ours
    first_consumer_ms: list[float]
    failed: int


def measure(load: KafkaLoad) -> KafkaReport:
    """Produce for so long, then consume all of it."""
    found = machine()
    with nullcontext() if load.bootstrap else Cluster(brokers=3) as cluster:
        brokers: list[psutil.Process] = []
        if cluster is not None:
            brokers = [psutil.Process(process.pid) for process in living(cluster.directory)]
        bootstrap = load.bootstrap if cluster is None else cluster.kafka
        _create(bootstrap, load, replication=1 if cluster is None else 3)
        classic, new = ([], []) if cluster is None else _groups(bootstrap)
        produced, failed = _produce(bootstrap, load, brokers)
        consumed = _consume(bootstrap, load, brokers, {})
        unpaused = _consume(bootstrap, load, brokers, UNPAUSED)
    return KafkaReport(found, load, produced, consumed, unpaused, classic, new, failed)


def _create(bootstrap: str, load: KafkaLoad, replication: int) -> None:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic  # the admin module does not say that it has it

    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [NewTopic(topic, load.partitions, replication) for topic in (TOPIC, GROUPS_TOPIC)]
    for topic, made in admin.create_topics(topics).items():
        try:
            made.result(30)
        except KafkaException as error:
            raise BarnabasError(f"{bootstrap} makes no topic {topic}: {error.args[0].str()}") from None


def _produce(bootstrap: str, load: KafkaLoad, brokers: list[psutil.Process]) -> tuple[Moved, int]:
    from confluent_kafka import Producer

    failures: list[object] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": load.linger_ms,
            "delivery.report.only.error": True,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    value = (b"0123456789abcdef" * (load.value_bytes // 16 + 1))[: load.value_bytes]

    def send(seconds: float) -> int:
        end, sent = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            for _ in range(CHUNK):
                try:
                    producer.produce(TOPIC, value, on_delivery=lambda error, _: failures.append(error))
                except BufferError:  # the brokers are behind
                    producer.poll(0.01)
                else:
                    sent += 1
            producer.poll(0)
        producer.flush(120)
        return sent

    warm = send(WARM_UP_S)
    meter = Meter(brokers)
    moved = meter.moved(send(load.seconds))
    assert warm, "something was sent"
    return moved, len(failures)


def _consume(
    bootstrap: str, load: KafkaLoad, brokers: list[psutil.Process], settings: dict[str, str | int | float | bool]
) -> Moved:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": TOPIC, "enable.auto.commit": False, **settings})
    partitions = [TopicPartition(TOPIC, index, 0) for index in range(load.partitions)]
    expected = sum(consumer.get_watermark_offsets(partition, timeout=30)[1] for partition in partitions)
    meter = Meter(brokers)
    consumer.assign(partitions)
    read = 0
    while read < expected:
        messages = consumer.consume(min(10_000, expected - read), 10.0)  # it waits until there are so many
        if not messages:
            raise TimeoutError(f"{read} of {expected} records came, then none for 10 s")
        read += len(messages)
    moved = meter.moved(read)
    consumer.close()
    return moved


def _groups(bootstrap: str) -> tuple[list[float], list[float]]:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce(GROUPS_TOPIC, b"first", partition=0)
    producer.flush(30)
    _first(bootstrap, "the first one, which has the topic of groups made", "classic")
    classic = [_first(bootstrap, f"classic-{number}", "classic") for number in range(GROUPS)]
    return classic, [_first(bootstrap, f"consumer-{number}", "consumer") for number in range(GROUPS)]


def _first(bootstrap: str, group: str, protocol: str) -> float:
    from confluent_kafka import Consumer

    began = time.monotonic()
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "group.protocol": protocol, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([GROUPS_TOPIC])
    message = consumer.poll(30)
    passed = time.monotonic() - began
    consumer.close()
    if message is None or message.error() is not None:
        raise TimeoutError(f"no first record of a {protocol} group: {message and message.error()}")
    return round(passed * 1000, 1)


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench kafka`."""
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        sys.stderr.write("confluent-kafka is not installed: pip install confluent-kafka\n")
        return 1
    load = KafkaLoad(
        arguments.seconds, arguments.size, arguments.partitions, arguments.linger_ms, arguments.brokers or ""
    )
    report = measure(load)
    if arguments.json:
        print_json(report)
        return 1 if report.failed else 0
    made_on = report.machine
    print(
        f"{made_on.cores} cores, load {made_on.load}, fdatasync p50 {made_on.fdatasync_p50_ms} ms, "
        f"Python {made_on.python}, {made_on.system}"
    )
    results = {
        "produced": report.produced,
        "consumed": report.consumed,
        "consumed with fetch.queue.backoff.ms=10": report.consumed_unpaused,
    }
    for what, moved in results.items():
        brokers = moved.broker_cpu_s_per_million
        print(
            f"{what} {moved.records} records of {load.value_bytes} B: {moved.records_per_s} records/s; CPU seconds per "
            f"million: client {moved.client_cpu_s_per_million}" + ("" if brokers is None else f", brokers {brokers}")
        )
    for protocol, times in (("classic", report.first_classic_ms), ("consumer", report.first_consumer_ms)):
        if times:
            print(f"first record of a new group, group.protocol={protocol}: p50 {statistics.median(times):.0f} ms")
    if report.failed:
        print(f"{report.failed} failed", file=sys.stderr)
    return 1 if report.failed else 0
