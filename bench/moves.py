"""What it costs writers when partitions move: a broker comes and takes its share, and another one goes.

Three brokers keep the partitions, three replicas each, and a producer writes to all of them at a steady rate with
acks=all. Then what a person types is typed: `broker add`, `reassign execute`, `broker decommission 1`, each a process
of its own. Afterwards everything is read back. A write that failed, a record that was lost, or a replica that moved
although the ring had not promised it make the run a bad one.

The ring promises: whoever comes as the N+1st takes no more than 1.5/(N+1) of all replicas and nothing moves between the
others; whoever goes gives away what it has, and nothing else moves.
"""

import argparse
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..client import Admin, Consumer, Producer
from ..client.errors import BarnabasError
from ..cluster.supervisor import find, stop
from .account import Flow, Verdict
from .machine import Machine, machine, print_json
from .start import barnabas

TOPIC = "moves"
BROKERS = 3
REPLICATION = 3
BEFORE = 5.0  # seconds of traffic before anything moves, and after
PATIENCE = 60.0

Sets = list[frozenset[int]]


class Step(msgspec.Struct, frozen=True):
    """One of the two changes."""

    command: str
    seconds: float
    moved: int  # replicas that are on another broker now
    share: float  # of all replicas
    promised: float  # it may not be more
    others: int  # replicas that moved between brokers which neither came nor went: none is promised
    gap_ms: float  # the longest time between two acknowledgements meanwhile

    @property
    def good(self) -> bool:
        return self.share <= self.promised and not self.others


class MovesReport(msgspec.Struct, frozen=True):
    """What `bench moves --json` prints."""

    machine: Machine
    partitions: int
    rate: int
    steps: list[Step]
    load: dict[int, int]  # replicas of each broker in the end
    verdict: Verdict

    @property
    def good(self) -> bool:
        return self.verdict.good and not self.verdict.failed and all(step.good for step in self.steps)


class _Traffic(threading.Thread):
    """So many records a second, one partition after the other, whatever becomes of them."""

    def __init__(self, flow: Flow, partitions: int, rate: int, size: int) -> None:
        super().__init__(name="traffic", daemon=True)
        self._flow = flow
        self._partitions = partitions
        self._every = 1 / rate
        self._value = bytes(size)
        self._over = threading.Event()

    def run(self) -> None:
        began, number = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + number * self._every - time.monotonic())):
            try:
                self._flow.send(self._value, partition=number % self._partitions)
            except BarnabasError as error:
                self._flow.failures.append(str(error))
            number += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def moves(partitions: int, rate: int, size: int, progress: Callable[[str], None] = lambda line: None) -> MovesReport:
    """Run it in a cluster of its own, which leaves nothing behind."""
    on = machine()
    directory = Path(tempfile.mkdtemp(prefix="barnabas-bench-"))
    data = ["--data", str(directory / "data")]
    try:
        barnabas(["up", "--detach", *data])
        bootstrap = find(directory / "data").bootstrap
        with Admin(bootstrap) as admin, Producer(bootstrap) as producer:
            admin.create_topic(TOPIC, partitions, REPLICATION)
            flow = Flow(producer, TOPIC)
            traffic = _Traffic(flow, partitions, rate, size)
            traffic.start()
            try:
                time.sleep(BEFORE)
                barnabas(["broker", "add", *data])
                came = BROKERS + 1
                steps = [_step(["reassign", "execute", *data], admin, flow, came, 1.5 / came)]
                progress(_sentence(steps[-1]))
                own = sum(1 in members for members in _sets(admin)) / (partitions * REPLICATION)
                steps.append(_step(["broker", "decommission", "1", *data], admin, flow, 1, own))
                progress(_sentence(steps[-1]))
                time.sleep(BEFORE)
            finally:
                traffic.stop()
            producer.flush(PATIENCE)
            sets = _sets(admin)
            with Consumer(bootstrap, [TOPIC]) as consumer:
                verdict = flow.judge(consumer, partitions)
    finally:
        stop(directory / "data", 0.0)
        shutil.rmtree(directory)
    load = {broker: sum(broker in members for members in sets) for broker in range(1, BROKERS + 2)}
    return MovesReport(on, partitions, rate, steps, load, verdict)


def _step(words: list[str], admin: Admin, flow: Flow, who: int, promised: float) -> Step:
    before, began = _sets(admin), time.monotonic()
    seconds = barnabas(words, timeout=600.0)
    until = time.monotonic()
    flow.await_acknowledged_from(flow.sent, PATIENCE)
    after = _sets(admin)
    moved = sum(len(then - now) for now, then in zip(before, after, strict=True))
    others = sum(len((then ^ now) - {who}) - len(then - now) for now, then in zip(before, after, strict=True))
    total = sum(map(len, before))
    gap = round(1000 * flow.longest_gap(began, until), 1)
    return Step(" ".join(words[:-2]), seconds, moved, round(moved / total, 4), round(promised, 4), others, gap)


def _sets(admin: Admin) -> Sets:
    [topic] = admin.describe_topics([TOPIC])
    return [frozenset(part.replicas) for part in topic.partitions]


def _sentence(step: Step) -> str:
    return (
        f"{step.command}: {step.seconds:.1f} s, {step.moved} replicas moved ({100 * step.share:.1f} %, promised were "
        f"{100 * step.promised:.1f} % at most), {step.others} of them between others; {step.gap_ms:.0f} ms without an "
        "acknowledgement at most"
    )


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench moves`."""
    quiet: bool = arguments.json
    report = moves(arguments.partitions, arguments.rate, arguments.size, (lambda line: None) if quiet else _say)
    if quiet:
        print_json(report)
    else:
        verdict = report.verdict
        _say(f"replicas: {', '.join(f'broker {broker} {count}' for broker, count in report.load.items())}")
        _say(
            f"sent {verdict.sent}, acknowledged {verdict.acknowledged}, failed {verdict.failed}, lost {verdict.lost}, "
            f"duplicated {verdict.duplicated}, out of order {verdict.out_of_order}"
        )
        _say(report.machine.sentence())
    return 0 if report.good else 1


def _say(line: str) -> None:
    print(line, flush=True)
