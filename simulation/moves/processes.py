"""Processes die, machines lose power, and what runs stands still for a while.

A death says how long it lasts, so it is one line of a schedule. A loss of power has a seed: which of the pending pages
and names were kept does not depend on what else was broken before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...actors.broker import Stop
from ...storage.memory import MemoryDisk
from ..fault import Draws, Fault, Micros, move, seconds

if TYPE_CHECKING:
    from ..nemesis import Nemesis

STAGGER_US = (0, 0, 100_000, 2_000_000)
"""Several die at once, or one after the other within such a span."""


class Crash(Fault, frozen=True):
    """kill -9: what the process wrote is in the page cache."""

    host: str
    down_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        return nemesis.kill(self.host, self.down_us)

    def sentence(self) -> str:
        return f"{self.host} for {seconds(self.down_us)}"


class PowerLoss(Fault, frozen=True):
    """What was not durable is lost or torn, also on a machine whose process is dead already.

    Where the budget does not allow it, the process is only killed.
    """

    host: str
    down_us: Micros
    seed: int

    def strike(self, nemesis: Nemesis) -> bool:
        if not nemesis.budget.may_lose_power(self.host):
            return nemesis.kill(self.host, self.down_us)
        nemesis.kill(self.host, self.down_us)
        disk = nemesis.world.hosts[self.host].disk
        if isinstance(disk, MemoryDisk):
            disk.chance(self.seed)
        nemesis.world.power_loss(self.host)
        nemesis.budget.lost_power(self.host)
        return True

    def sentence(self) -> str:
        return f"{self.host} for {seconds(self.down_us)}"


class KillWithin(Fault, frozen=True):
    """kill -9 in the middle of a handler: so many writes from now, and part of an append may be in the page cache."""

    host: str
    writes: int
    power: bool  # it is the whole machine that goes
    seed: int

    def strike(self, nemesis: Nemesis) -> bool:
        if nemesis.world.hosts[self.host].node is None:
            return False
        disk = nemesis.disk(self.host)
        disk.chance(self.seed)
        disk.dies_in = self.writes
        if self.power:
            nemesis.lose_power_with(self.host)
        return True

    def sentence(self) -> str:
        return f"{self.host} in {self.writes} writes{', with its power' if self.power else ''}"


class Stopped(Fault, frozen=True):
    """SIGTERM: the broker hands over what it leads, and its process ends. Its supervisor starts it again."""

    host: str

    def strike(self, nemesis: Nemesis) -> bool:
        node = nemesis.world.hosts[self.host].node
        if node is None or "broker" not in node.actors:
            return False
        nemesis.world.tell(self.host, "broker", Stop())
        return True


class SlowCpu(Fault, frozen=True):
    """Every input takes so long, and whatever comes meanwhile waits."""

    host: str
    cost_us: Micros
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        host = nemesis.world.hosts[self.host]
        host.cpu_us = self.cost_us
        nemesis.world.at(self.for_us, lambda: setattr(host, "cpu_us", 0))
        return True

    def sentence(self) -> str:
        return f"{self.host} {self.cost_us} us an input for {seconds(self.for_us)}"


class ClientCrash(Fault, frozen=True):
    """The process of a client is killed; another one is started in its place."""

    host: str
    down_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        if nemesis.world.hosts[self.host].node is None:
            return False
        nemesis.world.crash(self.host)
        nemesis.budget.client_died(self.host)
        nemesis.start_later(self.host, self.down_us)
        return True

    def sentence(self) -> str:
        return f"{self.host} for {seconds(self.down_us)}"


class Pause(Fault, frozen=True):
    """SIGSTOP, SIGCONT."""

    host: str
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        if nemesis.world.hosts[self.host].node is None:
            return False
        nemesis.world.pause(self.host, self.for_us)
        return True

    def sentence(self) -> str:
        return f"{self.host} for {seconds(self.for_us)}"


@move
def crash(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, Crash(name, nemesis.down_us(name))


@move
def crash_many(nemesis: Nemesis) -> Draws:
    for delay, name in _staggered(nemesis, nemesis.victims(2)):
        yield delay, Crash(name, nemesis.down_us(name))


@move
def stop_long(nemesis: Nemesis) -> Draws:
    """Down for long, so that others go on without it."""
    for name in nemesis.one_alive():
        yield 0, Crash(name, 4_000_000 + nemesis.exponential(nemesis.swarm.down_us))


@move
def power_loss(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, PowerLoss(name, nemesis.down_us(name), nemesis.seed())


@move
def power_loss_many(nemesis: Nemesis) -> Draws:
    for delay, name in _staggered(nemesis, nemesis.victims(2)):
        yield delay, PowerLoss(name, nemesis.down_us(name), nemesis.seed())


@move
def power_loss_all(nemesis: Nemesis) -> Draws:
    """Those that are dead already lose power too: their page caches are gone."""
    for delay, name in _staggered(nemesis, nemesis.servers):
        yield delay, PowerLoss(name, nemesis.down_us(name), nemesis.seed())


@move
def pause(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, Pause(name, nemesis.random.randint(50_000, nemesis.swarm.pause_us))


@move
def stopped(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        yield 0, Stopped(name)


@move
def kill_within(nemesis: Nemesis) -> Draws:
    for name in nemesis.one_alive():
        power = nemesis.random.random() < 0.5
        yield 0, KillWithin(name, nemesis.random.choice((1, 1, 2, 3, 5, 10, 30)), power, nemesis.seed())


@move
def slow_cpu(nemesis: Nemesis) -> Draws:
    """A handler of 100 us takes up to fifty times as long."""
    for name in nemesis.one_alive():
        cost = 100 * nemesis.random.choice((2, 5, 10, 20, 50))
        yield 0, SlowCpu(name, cost, nemesis.exponential(2_000_000) + 100_000)


@move
def client_crash(nemesis: Nemesis) -> Draws:
    if nemesis.mortal:
        yield 0, ClientCrash(nemesis.chosen(nemesis.mortal), nemesis.exponential(500_000))


def _staggered(nemesis: Nemesis, names: list[str]) -> list[tuple[Micros, str]]:
    spread = nemesis.random.choice(STAGGER_US) if len(names) > 1 else 0
    return [(nemesis.random.randint(0, spread) if spread else 0, name) for name in names]
