"""How long it takes from nothing to an acknowledged write, and what a quiet cluster costs.

A start is measured as a person sees it: the command `up --detach`, then the command `produce` with one event and
acks=all, each a process of its own. The topic exists already, as it does when a cluster is started again. Idle is a
cluster with one topic of 6 partitions and no client: processor time and proportional memory of all its processes.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from ..client.errors import BarnabasError
from ..cluster import Cluster
from ..cluster.processes import living
from ..cluster.supervisor import stop
from .machine import print_json


class StartReport(msgspec.Struct, frozen=True):
    """What `bench start --json` prints."""

    up_s: list[float]
    produce_s: list[float]
    median_s: float  # of both together
    down_s: list[float]


class IdleReport(msgspec.Struct, frozen=True):
    """What `bench idle --json` prints."""

    seconds: float
    cpu_percent: float  # of one core, all nodes together
    pss_mb: float


def start(times: int) -> StartReport:
    """Start, write one event, stop; again and again on the same data."""
    directory = Path(tempfile.mkdtemp(prefix="barnabas-bench-"))
    data = ["--data", str(directory / "data")]
    ups: list[float] = []
    writes: list[float] = []
    downs: list[float] = []
    try:
        barnabas(["up", "--detach", *data])
        barnabas(["topic", "create", "bench", *data])
        barnabas(["down", *data])
        for _ in range(times):
            ups.append(barnabas(["up", "--detach", *data]))
            writes.append(barnabas(["produce", "bench", *data], b"an event\n"))
            downs.append(barnabas(["down", *data]))
    finally:
        stop(directory / "data", 0.0)
        shutil.rmtree(directory)
    both = [up + write for up, write in zip(ups, writes, strict=True)]
    return StartReport(ups, writes, round(statistics.median(both), 3), downs)


def idle(seconds: float) -> IdleReport:
    """A cluster with one topic of 6 partitions that nobody uses."""
    with Cluster(brokers=3) as cluster:
        cluster.create_topic("idle", partitions=6)
        processes = [psutil.Process(found.pid) for found in living(cluster.directory)]
        time.sleep(5.0)  # what the start left to do
        before, began = _cpu(processes), time.monotonic()
        time.sleep(seconds)
        spent, passed = _cpu(processes) - before, time.monotonic() - began
        pss = sum(process.memory_full_info().pss for process in processes)
    return IdleReport(round(passed, 1), round(100 * spent / passed, 2), round(pss / 1e6, 1))


def _cpu(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def barnabas(words: list[str], given: bytes = b"", timeout: float = 60.0) -> float:
    """Run one command; how many seconds it took. Raises BarnabasError if it fails."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as installed
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "barnabas", *words],
        input=given,
        env=kept,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode != 0:
        raise BarnabasError(f"`barnabas {' '.join(words)}` failed: {done.stderr.decode().strip()}")
    return round(time.monotonic() - began, 3)


def run_start(arguments: argparse.Namespace) -> int:
    """`barnabas bench start`."""
    report = start(arguments.times)
    if arguments.json:
        print_json(report)
    else:
        print(
            f"up and one write: median {report.median_s:.2f} s of {len(report.up_s)} (up "
            f"{statistics.median(report.up_s):.2f} s, produce {statistics.median(report.produce_s):.2f} s, down "
            f"{statistics.median(report.down_s):.2f} s)"
        )
    return 0


def run_idle(arguments: argparse.Namespace) -> int:
    """`barnabas bench idle`."""
    report = idle(arguments.seconds)
    if arguments.json:
        print_json(report)
    else:
        print(f"idle for {report.seconds:.0f} s: {report.cpu_percent:.1f} % of one core, {report.pss_mb:.0f} MB PSS")
    return 0
