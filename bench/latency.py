"""How long a write takes at a given rate, open loop.

Record number n is due at n / rate seconds, whatever became of those before it; its latency is the time from then to
its acknowledgement. So whatever stands still, the cluster, the producer or the generator itself, is charged for every
record that was due meanwhile: nothing is omitted because somebody waited. The generator wakes once a millisecond and
sends what is due, so up to a millisecond of each latency is its own.

To time a record takes a callback, which costs as much as to send one; so one in `EVERY` is timed, by its number, which
has nothing to do with its key, its partition or its place in a batch. Client and brokers share the machine. How late
the generator was is part of the report; if it could not keep up with the rate, that is said, and the figures are about
it and not about the cluster.
"""

import argparse
import sys
import time
from collections.abc import Callable

import msgspec

from ..client import Producer, SendFuture
from ..cluster import Cluster
from .machine import Machine, Meter, Moved, machine, print_json
from .throughput import TOPIC, WARM_UP_S, Load, Scene, load_from

EVERY = 11  # no divisor of the usual numbers of keys and partitions
TICK_S = 0.001
BEHIND_MS = 100.0  # a generator that is so late at the end has not kept up


class Latency(msgspec.Struct, frozen=True):
    """What `bench latency` comes to: milliseconds from when a record was due to its acknowledgement."""

    machine: Machine
    load: Load
    rate: int
    timed: int  # records
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float
    late_p99_ms: float  # how late the generator was with the oldest record that was due
    late_worst_ms: float
    late_last_ms: float
    moved: Moved
    failed: int = 0

    @property
    def kept_up(self) -> bool:
        """Whether the generator sent what was due."""
        return self.late_last_ms < BEHIND_MS


class _Generator:
    """Sends what is due, and times some of it."""

    def __init__(self, scene: Scene, producer: Producer, rate: int) -> None:
        self.times: list[float] = []
        self.late: list[float] = []
        self.failed = 0
        self._scene = scene
        self._producer = producer
        self._rate = rate

    def run(self, seconds: float, *, timed: bool) -> int:
        """Keep up the rate for so long; how many records that were."""
        keys, value, send, rate = self._scene.keys, self._scene.value, self._producer.send, self._rate
        began, sent, total = time.monotonic(), 0, int(seconds * self._rate)
        while sent < total:
            tick = began + (int((time.monotonic() - began) / TICK_S) + 1) * TICK_S
            time.sleep(max(0.0, tick - time.monotonic()))
            now = time.monotonic()
            due = min(total, int((now - began) * rate))
            if timed and due > sent:
                self.late.append(now - (began + sent / rate))
            for number in range(sent, due):
                future = send(TOPIC, value, keys[number % len(keys)])
                if timed and number % EVERY == 0:
                    future.add_done_callback(self._timer(began + number / rate))
            sent = due
        return sent

    def _timer(self, due: float) -> Callable[[SendFuture], None]:
        def done(future: SendFuture) -> None:
            if future.exception() is None:
                self.times.append(time.monotonic() - due)
            else:
                self.failed += 1

        return done


def latency(load: Load, rate: int) -> Latency:
    """Open loop at `rate` records a second, with the producer as it is made by default."""
    found = machine()
    with Cluster(brokers=3) as cluster:
        scene = Scene(cluster, load)
        with Producer(cluster.bootstrap, compression=load.compression) as producer:
            generator = _Generator(scene, producer, rate)
            generator.run(WARM_UP_S, timed=False)
            producer.flush(60)
            meter = Meter(scene.brokers)
            sent = generator.run(load.seconds, timed=True)
            producer.flush(60)
            moved = meter.moved(sent)
    times, late = _Ordered(generator.times), _Ordered(generator.late)
    return Latency(
        machine=found,
        load=load,
        rate=rate,
        timed=len(generator.times),
        p50_ms=times.at(0.5),
        p90_ms=times.at(0.9),
        p99_ms=times.at(0.99),
        p999_ms=times.at(0.999),
        worst_ms=times.at(1.0),
        late_p99_ms=late.at(0.99),
        late_worst_ms=late.at(1.0),
        late_last_ms=round(generator.late[-1] * 1000, 2),
        moved=moved,
        failed=generator.failed,
    )


class _Ordered:
    """Times in seconds, by rank."""

    def __init__(self, times: list[float]) -> None:
        self._times = sorted(times)

    def at(self, share: float) -> float:
        """So much of them is no larger, in milliseconds."""
        return round(self._times[min(len(self._times) - 1, int(len(self._times) * share))] * 1000, 2)


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench latency`."""
    report = latency(load_from(arguments), arguments.rate)
    if arguments.json:
        print_json(report)
    else:
        print(report.machine.sentence())
        print(
            f"{report.rate:,} records/s of {report.load.value_bytes} B to {report.load.partitions} partitions for "
            f"{report.load.seconds:g} s: {sentence(report)}"
        )
    return complaints(report)


def sentence(report: Latency) -> str:
    """The figures in a line."""
    moved = report.moved
    return (
        f"p50 {report.p50_ms} ms, p90 {report.p90_ms}, p99 {report.p99_ms}, p99.9 {report.p999_ms}, worst "
        f"{report.worst_ms}; generator late p99 {report.late_p99_ms} ms, worst {report.late_worst_ms}; CPU seconds per "
        f"million records: client {moved.client_cpu_s_per_million}, brokers {moved.broker_cpu_s_per_million}"
    )


def complaints(report: Latency) -> int:
    """Say what makes the figures worthless; 1 if anything does."""
    if report.failed:
        print(f"{report.failed} of the timed records failed", file=sys.stderr)
    if not report.kept_up:
        print(
            f"the generator could not keep up with {report.rate:,} records/s: it was {report.late_last_ms:g} ms late "
            "in the end, so the figures are about it; choose a lower rate",
            file=sys.stderr,
        )
    return 1 if report.failed or not report.kept_up else 0
