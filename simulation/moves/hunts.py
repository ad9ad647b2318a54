"""Plots that only intense runs draw, which historic bugs are hunted with.

As in `plots`, each is a few ordinary faults in an order and at distances that matter. They are apart because the seeds
of other runs are to stay what they are: a move more among those that a seed draws makes another run of half of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...actors.events import BrokerFencedEvent
from ..fault import Draws, Fault, Micros, When, move
from .plots import SESSION_US, _between, _rot, _scene
from .processes import Crash, PowerLoss

if TYPE_CHECKING:
    from ..nemesis import Nemesis


@move
def rotten_last(nemesis: Nemesis) -> Draws:
    """All replicas but one die. When they are put out something of that one's log rots, it dies, and is back first."""
    controllers = nemesis.budget.controllers()
    for leader, heirs in _scene(nemesis):
        replicas = [leader, *heirs]
        running = all(nemesis.world.hosts[name].node is not None for name in replicas)
        spoilt = [name for name in replicas if nemesis.budget.may_spoil(name)]
        if not running or not spoilt or not set(replicas).isdisjoint(controllers):
            return
        last = nemesis.random.choice(spoilt)
        power = nemesis.random.random() < 0.5

        def dies(name: str, down: Micros, power: bool = power) -> Fault:
            return PowerLoss(name, down, nemesis.seed()) if power else Crash(name, down)

        def left(last: str = last) -> Draws:
            for rot in _rot(nemesis, last):
                yield 0, rot
            yield _between(nemesis, 0.001, 0.2), dies(last, _between(nemesis, 0.02, 0.3))

        yield 0, When(BrokerFencedEvent, "", SESSION_US + 2_000_000, left)
        for name in replicas:
            if name != last:
                yield 0, dies(name, SESSION_US + _between(nemesis, 1.5, 4))
