"""The clocks of a real process."""

from __future__ import annotations

import time

from ..actors.kernel import Millis

_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # leases must see that a machine was asleep


def monotonic_ns() -> int:
    """Nanoseconds that never jump, and go on while the machine sleeps."""
    return time.clock_gettime_ns(_MONOTONIC)


def now_and_wall() -> tuple[Millis, Millis]:
    """One reading of both clocks, as a node wants it."""
    return Millis(time.clock_gettime_ns(_MONOTONIC) // 1_000_000), Millis(time.time_ns() // 1_000_000)
