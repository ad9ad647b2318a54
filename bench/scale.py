"""What thousands of partitions cost: until they are led, while nobody uses them, and when their leader dies.

Three brokers that are controllers too, on one machine. A topic of a thousand partitions is made after the other, then
the cluster rests, a node dies by kill -9 and comes back, then the node of the active controller, and in the end the
whole cluster is stopped and started again. What is seen is what a client is told when it asks, again and again, for
the picture of the cluster; asking is part of the load (a picture of 5,000 partitions is 30 ms of a broker's time).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..actors.messages import PartitionPicture
from ..client import Admin
from ..client.errors import BarnabasError
from ..cluster import Cluster
from ..cluster.processes import living
from .machine import Machine, cpu_seconds, machine, print_json, processes

PER_TOPIC = 1_000
REPLICATION = 3
SETTLE = 5.0
PATIENCE = 180.0
ASK_EVERY = 0.05


class Death(msgspec.Struct, frozen=True):
    """A kill -9 of a node, and its return. Seconds."""

    node: int
    controller: bool  # it was the active controller's
    led: int  # partitions
    moved_s: float  # from the kill until others lead all of them
    serves_s: float  # from the restart until the broker serves
    whole_s: float  # from the restart until it is in sync everywhere


class ScaleReport(msgspec.Struct, frozen=True):
    """What `bench scale --json` prints. Seconds are from the command on."""

    machine: Machine
    partitions: int
    created_s: float  # a new cluster, with all topics made, led, and whole
    idle_cpu_percent: float  # of one core, all nodes together
    rss_mb: list[float]  # of each node
    deaths: list[Death]
    stopped_s: float
    serves_s: float  # of the second start: until all brokers serve
    led_s: float  # until every partition has a leader
    whole_s: float  # until every replica is in sync


def scale(partitions: int, idle_s: float, progress: Callable[[str], None] = lambda line: None) -> ScaleReport:
    """Measure it, in a cluster that leaves nothing behind."""
    on = machine()
    with tempfile.TemporaryDirectory(prefix="barnabas-bench-") as directory:
        data = Path(directory) / "data"
        began = time.monotonic()
        with Cluster(brokers=3, data=data) as cluster, cluster.admin() as admin:
            for number, first in enumerate(range(0, partitions, PER_TOPIC)):
                count = min(PER_TOPIC, partitions - first)
                admin.create_topic(f"scale-{number}", count, REPLICATION, timeout=PATIENCE)
            _until(admin, partitions, _whole)
            created = _since(began)
            progress(f"{partitions} partitions are made, led and in sync {created:.1f} s after the start")
            cpu, rss = _idle(cluster, idle_s)
            progress(f"idle: {cpu:.1f} % of one core, {', '.join(f'{size:.0f}' for size in rss)} MB")
            deaths = []
            for controller in (False, True):
                death = _death(cluster, admin, partitions, controller)
                deaths.append(death)
                progress(
                    f"kill -9 of node {death.node}{' (controller)' if controller else ''}: {death.led} leaders moved "
                    f"in {death.moved_s:.2f} s; it served {death.serves_s:.1f} s after its restart, in sync everywhere "
                    f"after {death.whole_s:.1f} s"
                )
            stopping = time.monotonic()
        stopped = _since(stopping)
        began = time.monotonic()
        with Cluster(brokers=3, data=data) as cluster, cluster.admin() as admin:
            serves = _since(began)
            _until(admin, partitions, _led)
            led = _since(began)
            _until(admin, partitions, _whole)
            whole = _since(began)
        progress(
            f"stopped in {stopped:.1f} s; started again: serves {serves:.1f} s, led {led:.1f} s, whole {whole:.1f} s"
        )
    return ScaleReport(on, partitions, created, cpu, rss, deaths, stopped, serves, led, whole)


def _idle(cluster: Cluster, seconds: float) -> tuple[float, list[float]]:
    nodes = processes(found.pid for found in living(cluster.directory))
    time.sleep(SETTLE)  # what making them left to do
    before, began = cpu_seconds(nodes), time.monotonic()
    time.sleep(seconds)
    spent = cpu_seconds(nodes) - before
    percent = 100 * spent / (time.monotonic() - began)
    return round(percent, 1), [round(node.memory_info().rss / 1e6, 1) for node in nodes]


def _death(cluster: Cluster, admin: Admin, partitions: int, controller: bool) -> Death:
    active = cluster.controller()
    victim = active if controller else next(node for node in cluster.nodes if node != active)
    led = sum(part.leader == victim for part in _picture(admin))
    began = time.monotonic()
    cluster.kill(victim)
    _until(admin, partitions, lambda part: part.leader not in (victim, -1))
    moved = _since(began)
    began = time.monotonic()
    cluster.restart(victim)
    serves = _since(began)
    _until(admin, partitions, _whole)
    return Death(victim, controller, led, moved, serves, _since(began))


def _picture(admin: Admin) -> list[PartitionPicture]:
    return [part for topic in admin.describe_cluster(timeout=PATIENCE).topics for part in topic.partitions]


def _led(part: PartitionPicture) -> bool:
    return part.leader >= 0


def _whole(part: PartitionPicture) -> bool:
    return part.leader >= 0 and len(part.isr) == REPLICATION


def _until(admin: Admin, partitions: int, good: Callable[[PartitionPicture], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = _picture(admin)
        bad = len(found) - sum(map(good, found)) if len(found) >= partitions else partitions - len(found)
        if not bad:
            return
        if time.monotonic() > deadline:
            raise BarnabasError(f"{bad} of {partitions} partitions are not as they should be after {PATIENCE:g} s")
        time.sleep(ASK_EVERY)  # nothing tells a client of all partitions: it asks again


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench scale`."""
    quiet: bool = arguments.json
    report = scale(arguments.partitions, arguments.seconds, (lambda line: None) if quiet else _say)
    if quiet:
        print_json(report)
    else:
        _say(report.machine.sentence())
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
