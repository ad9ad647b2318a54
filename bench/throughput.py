"""How much one producer and one consumer process move, and how long a write takes at a given rate.

Three replicas, `partitions` partitions, acks=all. The keys are drawn once, so that hashing them costs what it costs an
application. The first seconds are not counted. CPU seconds are those of all processes, the client's included.

    produce   as fast as the producer takes records, by `send` or `send_many`
    consume   everything that was produced, from the beginning
    latency   open loop: records are sent at their times whatever the answers do; from when it was due to its answer
"""

import argparse
import statistics
import sys
import time
from typing import Literal

import msgspec
import psutil  # type: ignore[import-untyped]

from ..client import Producer, SendFuture
from ..client.errors import BarnabasError
from ..cluster import Cluster
from ..cluster.processes import living
from .machine import Machine, cpu_seconds, machine

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


class Produced(msgspec.Struct, frozen=True):
    """What `bench produce` and `bench consume` come to."""

    machine: Machine
    load: Load
    records: int
    records_per_s: int
    mb_per_s: float  # of values
    cpu_s: float
    failed: int = 0


class Latency(msgspec.Struct, frozen=True):
    """What `bench latency` comes to: milliseconds from the due time to the acknowledgement."""

    machine: Machine
    load: Load
    rate: int
    records: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    cpu_s: float
    failed: int = 0


class _Run:
    """One cluster with one topic, and the processes that are charged for what happens."""

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self.load = load
        self.cluster = cluster
        cluster.create_topic("bench", partitions=load.partitions, configs={"durability": load.durability})
        self.processes = [psutil.Process(found.pid) for found in living(cluster.directory)] + [psutil.Process()]
        self.keys = [b"key-%d" % number for number in range(load.keys)]
        self.value = (b"0123456789abcdef" * (load.value_bytes // 16 + 1))[: load.value_bytes]

    def send(self, producer: Producer, seconds: float) -> list[SendFuture]:
        """Send for so long; the last futures (one per call), since all before them are decided no later."""
        keys, value, many = self.keys, self.value, self.load.many
        pairs = [(keys[i % len(keys)], value) for i in range(CHUNK)]
        end = time.monotonic() + seconds
        futures: list[SendFuture] = []
        while time.monotonic() < end:
            if many:
                futures.append(producer.send_many("bench", pairs)[-1])
            else:
                for key, _ in pairs:
                    future = producer.send("bench", value, key)
                futures.append(future)
        return futures


def produce(load: Load) -> Produced:
    """As fast as the producer takes records."""
    found = machine()
    with Cluster(brokers=3) as cluster:
        run = _Run(cluster, load)
        with Producer(cluster.bootstrap, linger_ms=20, compression=load.compression) as producer:
            run.send(producer, WARM_UP_S)
            producer.flush(60)
            cpu, began = cpu_seconds(run.processes), time.monotonic()
            futures = run.send(producer, load.seconds)
            producer.flush(120)
            passed, spent = time.monotonic() - began, cpu_seconds(run.processes) - cpu
        failed = sum(future.exception(0) is not None for future in futures)
    return _account(found, load, len(futures) * CHUNK, passed, spent, failed)


def consume(load: Load) -> Produced:
    """Everything that a producer wrote in `seconds`, read from the beginning."""
    found = machine()
    with Cluster(brokers=3) as cluster:
        run = _Run(cluster, load)
        with Producer(cluster.bootstrap, linger_ms=20, compression=load.compression) as producer:
            expected = len(run.send(producer, load.seconds)) * CHUNK
            producer.flush(120)
        with cluster.consumer("bench", start="earliest") as consumer:
            cpu, began, read = cpu_seconds(run.processes), time.monotonic(), 0
            while read < expected:
                records = consumer.poll(10.0)
                if not records:
                    raise BarnabasError(f"{read} of {expected} records came, then none for 10 s")
                read += len(records)
            passed, spent = time.monotonic() - began, cpu_seconds(run.processes) - cpu
    return _account(found, load, read, passed, spent, 0)


def latency(load: Load, rate: int) -> Latency:
    """Open loop at `rate` records a second."""
    found = machine()
    with Cluster(brokers=3) as cluster:
        run = _Run(cluster, load)
        times: list[float] = []
        failures: list[str] = []
        with cluster.producer() as producer:
            cpu, began, sent = cpu_seconds(run.processes), time.monotonic(), 0
            end = began + WARM_UP_S + load.seconds
            while (now := time.monotonic()) < end:
                due_count = int((now - began) * rate)
                for number in range(sent, due_count):
                    _send_one(run, producer, began + number / rate, began + WARM_UP_S, times, failures)
                sent = due_count
                time.sleep(max(0.0, min(0.001, began + (sent + 1) / rate - time.monotonic())))
            producer.flush(60)
            spent = cpu_seconds(run.processes) - cpu
    ordered = sorted(times)
    return Latency(
        machine=found,
        load=load,
        rate=rate,
        records=len(ordered),
        p50_ms=round(statistics.median(ordered) * 1000, 2),
        p99_ms=round(ordered[int(len(ordered) * 0.99)] * 1000, 2),
        worst_ms=round(ordered[-1] * 1000, 2),
        cpu_s=round(spent, 1),
        failed=len(failures),
    )


def _send_one(
    run: _Run, producer: Producer, due: float, counted_from: float, times: list[float], failures: list[str]
) -> None:
    def done(future: SendFuture) -> None:
        error = future.exception()
        if error is not None:
            failures.append(str(error))
        elif due >= counted_from:
            times.append(time.monotonic() - due)

    key = run.keys[len(times) % len(run.keys)]
    producer.send("bench", run.value, key).add_done_callback(done)


def _account(found: Machine, load: Load, records: int, passed: float, spent: float, failed: int) -> Produced:
    return Produced(
        machine=found,
        load=load,
        records=records,
        records_per_s=round(records / passed),
        mb_per_s=round(records * load.value_bytes / passed / 1e6, 1),
        cpu_s=round(spent, 1),
        failed=failed,
    )


def _load(arguments: argparse.Namespace) -> Load:
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
    """`barnabas bench produce|consume|latency`."""
    load = _load(arguments)
    report: Produced | Latency
    if arguments.what == "latency":
        report = latency(load, arguments.rate)
    else:
        report = (produce if arguments.what == "produce" else consume)(load)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
        return 1 if report.failed else 0
    made_on = report.machine
    print(
        f"{made_on.cores} cores, load {made_on.load}, fdatasync p50 {made_on.fdatasync_p50_ms} ms, "
        f"Python {made_on.python}, {made_on.system}"
    )
    if isinstance(report, Latency):
        print(
            f"{report.rate} records/s of {load.value_bytes} B for {load.seconds:g} s: p50 {report.p50_ms} ms, "
            f"p99 {report.p99_ms} ms, worst {report.worst_ms} ms; {report.cpu_s} CPU seconds"
        )
    else:
        print(
            f"{report.records} records of {load.value_bytes} B: {report.records_per_s} records/s, "
            f"{report.mb_per_s} MB/s; {report.cpu_s} CPU seconds"
        )
    if report.failed:
        print(f"{report.failed} failed", file=sys.stderr)
    return 1 if report.failed else 0
