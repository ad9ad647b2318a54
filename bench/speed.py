"""The table of `docs/performance.md`, measured anew: everything that one producer and one consumer process can do.

Each line is a cluster of its own: three brokers as processes, three replicas, acks=all. Latency is measured at half of
what `send` came to, which is said. A line is printed when it is known.
"""

import argparse
from collections.abc import Callable, Iterator

import msgspec

from .latency import Latency, complaints, latency
from .latency import sentence as latency_sentence
from .machine import Machine, machine, print_json
from .start import IdleReport, StartReport, idle, start
from .throughput import Load, Throughput, consume, produce
from .throughput import sentence as throughput_sentence

GIGABYTES_3 = 3_000_000_000
Line = Throughput | Latency | StartReport | IdleReport


class SpeedReport(msgspec.Struct, frozen=True):
    """What `bench speed --json` prints."""

    machine: Machine
    lines: dict[str, Line]


def speed(seconds: float, say: Callable[[str, Line], None]) -> SpeedReport:
    """Measure all of it; `say` is told of each line."""
    found = machine()
    lines: dict[str, Line] = {}
    for name, line in _lines(Load(seconds=seconds)):
        lines[name] = line
        say(name, line)
    return SpeedReport(found, lines)


def _lines(small: Load) -> Iterator[tuple[str, Line]]:
    change = msgspec.structs.replace
    one_by_one = produce(change(small, many=False))
    yield "send, 100 B, fsync", one_by_one
    yield "send_many, 100 B, fsync", produce(small)
    large = change(small, value_bytes=1000, least_bytes=GIGABYTES_3)
    yield "send_many, 1 KB, fsync", produce(large)
    yield "send_many, 1 KB, os", produce(change(large, durability="os"))
    yield "consume, 100 B", consume(small)
    yield "consume, 1 KB", consume(large)
    half = one_by_one.moved.records_per_s // 2
    for partitions in (6, 100):
        yield f"latency at {half:,}/s, {partitions} partitions", latency(change(small, partitions=partitions), half)
    yield "start", start(10)
    yield "idle", idle(2 * small.seconds)


def _figures(line: Line) -> str:
    match line:
        case Throughput():
            return throughput_sentence(line)
        case Latency():
            return latency_sentence(line)
        case StartReport():
            return f"up and one write {line.median_s:.2f} s, median of {len(line.up_s)}"
        case IdleReport():
            return f"{line.cpu_percent:.1f} % of one core, {line.pss_mb:.0f} MB"


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench speed`."""
    bad = 0

    def say(name: str, line: Line) -> None:
        nonlocal bad
        if not arguments.json:
            print(f"{name}: {_figures(line)}", flush=True)
        if isinstance(line, Latency):
            bad = max(bad, complaints(line))
        elif isinstance(line, Throughput):
            bad = max(bad, int(line.failed > 0))

    if not arguments.json:
        print(machine().sentence(), flush=True)
    report = speed(arguments.seconds, say)
    if arguments.json:
        print_json(report)
    return bad
