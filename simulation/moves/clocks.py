"""Clocks: the wall clock jumps, the monotonic one runs up to 1% too fast or too slow.

A running process cannot see its monotonic clock jump, so the rate changes with a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...cluster.world import EPOCH_WALL_MS, Clock
from ..fault import Draws, Fault, Micros, move

if TYPE_CHECKING:
    from ..nemesis import Nemesis

YEAR_MS = 365 * 24 * 3600 * 1000


class WallJump(Fault, frozen=True):
    """The wall clock is off by so much."""

    host: str
    offset_ms: int

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.world.hosts[self.host].clock.wall_offset_ms = max(self.offset_ms, 1 - EPOCH_WALL_MS)
        return True

    def sentence(self) -> str:
        return f"{self.host} by {self.offset_ms} ms"


class Drift(Fault, frozen=True):
    """The next life has a clock of this rate."""

    host: str
    rate_ppm: int
    down_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        host = nemesis.world.hosts[self.host]
        if not nemesis.kill(self.host, self.down_us):
            return False
        host.clock = Clock(self.rate_ppm, host.clock.wall_offset_ms)
        return True

    def sentence(self) -> str:
        return f"{self.host} restarts with {self.rate_ppm} ppm"


@move
def wall_jump(nemesis: Nemesis) -> Draws:
    span = nemesis.random.choice((200, 60_000, 3_600_000, YEAR_MS))
    yield 0, WallJump(nemesis.chosen(nemesis.servers), nemesis.random.randint(-span, span))


@move
def drift(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, Drift(name, nemesis.random.randint(-10_000, 10_000), nemesis.down_us(name))
