"""The clocks of a real process."""

from __future__ import annotations

import time

from ..actors.kernel import Millis

_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # leases must see that a machine was asleep


def monotonic_ns() -> int:
    """Nanoseconds that never jump, and go on while the machine sleeps."""
    return time.clock_gettime_ns(_MONOTONIC)


def shift_wall(ms: int) -> None:
    """From now on the wall clock of this process's nodes is so many milliseconds ahead (exercises: `injection`)."""
    global _shift_ms  # noqa: PLW0603  one process, one clock
    _shift_ms = ms


_shift_ms = 0


def now_and_wall() -> tuple[Millis, Millis]:
    """One reading of both clocks, as a node wants it."""
    return Millis(time.clock_gettime_ns(_MONOTONIC) // 1_000_000), Millis(time.time_ns() // 1_000_000 + _shift_ms)
