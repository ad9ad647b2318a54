"""What a figure was measured on: without it a figure says nothing."""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

SYNCS = 50


def print_json(report: msgspec.Struct) -> None:
    """What a measurement came to, as one JSON document."""
    print(msgspec.json.format(msgspec.json.encode(report)).decode())


class Machine(msgspec.Struct, frozen=True):
    """Printed with every measurement."""

    cores: int
    python: str
    system: str
    load: float  # of the last minute, before the measurement: above 0.5 other work disturbed it
    fdatasync_p50_ms: float  # of a 4 KiB append, on the disk of the data

    def sentence(self) -> str:
        """In a line."""
        return (
            f"{self.cores} cores, load {self.load}, fdatasync p50 {self.fdatasync_p50_ms} ms, Python {self.python}, "
            f"{self.system}"
        )


class Moved(msgspec.Struct, frozen=True):
    """Records that went somewhere, and what that took."""

    records: int
    records_per_s: int
    client_cpu_s_per_million: float
    broker_cpu_s_per_million: float | None  # of all brokers together; None if they are not ours


def machine(directory: Path | None = None) -> Machine:
    """This machine; the disk is that of `directory` (default: where temporary clusters live)."""
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        load=round(os.getloadavg()[0], 2),
        fdatasync_p50_ms=_fdatasync_p50_ms(directory),
    )


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Processor time of these processes so far, user and system."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def processes(pids: Iterable[int]) -> list[psutil.Process]:
    """To be charged for what happens."""
    return [psutil.Process(pid) for pid in pids]


class Meter:
    """Time, and processor time of this process and of the brokers (none: they are not ours), from here on."""

    def __init__(self, brokers: list[psutil.Process]) -> None:
        self._brokers = brokers
        self._client = [psutil.Process()]
        self._cpu = cpu_seconds(self._client), cpu_seconds(brokers)
        self._began = time.monotonic()

    def moved(self, records: int) -> Moved:
        """What it took."""
        passed = time.monotonic() - self._began
        client, brokers = cpu_seconds(self._client) - self._cpu[0], cpu_seconds(self._brokers) - self._cpu[1]
        return Moved(
            records=records,
            records_per_s=round(records / passed),
            client_cpu_s_per_million=round(client / records * 1e6, 2),
            broker_cpu_s_per_million=round(brokers / records * 1e6, 2) if self._brokers else None,
        )


def _fdatasync_p50_ms(directory: Path | None) -> float:
    sync = getattr(os, "fdatasync", os.fsync)
    times = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(SYNCS):
            os.write(file.fileno(), bytes(4096))
            began = time.perf_counter()
            sync(file.fileno())
            times.append(time.perf_counter() - began)
    return round(statistics.median(times) * 1000, 3)
