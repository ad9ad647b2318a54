"""One machine of a world: its disk, its clocks, and the process that lives on it, if one does.

Time is in microseconds; actors see milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from ..actors.kernel import Actor, Incarnation, Millis
from ..actors.node import Node
from ..storage.disk import Flush, Flushable

Micros = int


class Boot(NamedTuple):
    """What a process knows when it starts."""

    name: str
    incarnation: Incarnation
    disk: Flushable
    random: Random


class Clock(msgspec.Struct):
    """How a host sees time. `rate_ppm` drifts its monotonic clock, `wall_offset_ms` shifts its wall clock."""

    rate_ppm: int = 0
    wall_offset_ms: int = 0

    def monotonic(self, now: Micros) -> Millis:
        return Millis((now + now * self.rate_ppm // 1_000_000) // 1000)

    def due(self, at: Millis) -> Micros:
        """The world's time at which `monotonic` reaches `at`."""
        time = at * 1000 * 1_000_000 // (1_000_000 + self.rate_ppm)
        while self.monotonic(time) < at:
            time += 1
        return time


EPOCH_WALL_MS = 1_700_000_000_000


class Host:
    """One machine with at most one living process."""

    def __init__(self, name: str, factory: Callable[[Boot], dict[str, Actor]], disk: Flushable, topics: Sequence[str]):
        self.name = name
        self.factory = factory
        self.disk = disk
        self.subscriptions = tuple(topics)  # of broadcasts, to be delivered to `subscriber`
        self.subscriber = ""
        self.clock = Clock()
        self.node: Node | None = None
        self.life = 0  # counts starts: whatever was scheduled for an earlier one is void
        self.paused_until: Micros = 0
        self.flushing: Flush | None = None  # what is under way
        self.alarm: Micros | None = None  # when its next timer is scheduled
        self.alarm_for = (Millis(-1), 0)  # that timer's deadline, and the rate of the clock that it was reckoned with
        self.stopped: str | None = None  # why the process ended by itself
        self.slowness = 1  # multiplies flush and job times
        self.cpu_us: Micros = 0  # what each input costs: until then it handles nothing else
        self.busy_until: Micros = 0
        self.backlog: deque[tuple[int, Callable[[], None]]] = deque()  # inputs that wait, with the life they are for
        self.draining = False  # somebody will come for them

    def ready_at(self, now: Micros) -> Micros:
        """When it can handle an input: now, or after a pause, or when it has done what it is at."""
        return max(now, self.paused_until, self.busy_until)
