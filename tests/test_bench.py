"""The measurements measure: a stall is charged to every record that was due meanwhile, whoever stood still."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from barnabas.bench.failover import OURS
from barnabas.bench.kafka_producers import CLIENTS
from barnabas.bench.latency import EVERY, Latency, _Generator, _Ordered
from barnabas.bench.machine import Machine, Meter, Moved
from barnabas.bench.throughput import Load
from barnabas.cli.bench import WRITERS

RATE = 2_000
MACHINE = Machine(2, "3", "system", 0.0, 0.1)


class Sent:
    """A future that is done at once."""

    def exception(self) -> None:
        return None

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        call(self)


class Stalling:
    """A producer whose `send` stands still once."""

    def __init__(self, at: int, seconds: float) -> None:
        self.count = 0
        self._at = at
        self._seconds = seconds

    def send(self, topic: str, value: bytes, key: bytes) -> Sent:
        self.count += 1
        if self.count == self._at:
            time.sleep(self._seconds)
        return Sent()


def generate(producer: Stalling, seconds: float) -> _Generator:
    scene = SimpleNamespace(keys=[b"a", b"b"], value=b"v")
    generator = _Generator(cast(Any, scene), cast(Any, producer), RATE)
    assert generator.run(seconds, timed=True) == producer.count == int(seconds * RATE)
    return generator


def test_every_record_is_sent_and_one_in_so_many_is_timed() -> None:
    generator = generate(Stalling(0, 0), 0.2)
    assert len(generator.times) == -(-int(0.2 * RATE) // EVERY)
    assert generator.failed == 0


def test_a_stall_is_charged_to_all_that_was_due_meanwhile() -> None:
    stall = 0.3
    generator = generate(Stalling(RATE // 10, stall), 0.5)
    due_meanwhile = stall * RATE / EVERY
    late = [each for each in generator.times if each > stall / 2]
    assert len(late) >= due_meanwhile / 2 - 2
    assert max(generator.times) >= stall * 0.9
    assert max(generator.late) >= stall * 0.9


def report(last_ms: float) -> Latency:
    moved = Moved(1, 1, 0.0, 0.0)
    return Latency(MACHINE, Load(), RATE, 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, last_ms, moved)


def test_a_generator_that_fell_behind_says_so() -> None:
    assert report(5.0).kept_up
    assert not report(500.0).kept_up


def test_ranks() -> None:
    ordered = _Ordered([number / 1000 for number in range(100, 0, -1)])
    assert (ordered.at(0.5), ordered.at(0.99), ordered.at(1.0)) == (51.0, 100.0, 100.0)
    assert _Ordered([0.002]).at(0.5) == 2.0


def test_brokers_that_are_not_ours_have_no_processor_time() -> None:
    meter = Meter([])
    sum(range(100_000))
    moved = meter.moved(1_000)
    assert moved.broker_cpu_s_per_million is None
    assert moved.client_cpu_s_per_million >= 0
    assert msgspec.json.decode(msgspec.json.encode(moved), type=Moved) == moved


def test_every_client_that_can_write_through_a_failover_can_be_asked_for() -> None:
    assert (OURS, *CLIENTS) == WRITERS
