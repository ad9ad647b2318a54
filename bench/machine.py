"""What a figure was measured on: without it a figure says nothing."""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

SYNCS = 50


class Machine(msgspec.Struct, frozen=True):
    """Printed with every measurement."""

    cores: int
    python: str
    system: str
    load: float  # of the last minute, before the measurement: above 0.5 other work disturbed it
    fdatasync_p50_ms: float  # of a 4 KiB append, on the disk of the data


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
