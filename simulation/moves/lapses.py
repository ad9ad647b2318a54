"""Plots about who does not hear of what has happened: in time, or at all.

Replicas fall out with each other over what one of them missed: that it was replaced, that another one had a new life,
that a tail was given up, that a tombstone was there. As in `plots`, each is a few ordinary faults in an order and at
distances that matter, with all figures drawn; some wait for what an actor says (`When`) and strike then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...actors.broker_events import BecameLeader, Truncated
from ..fault import Draws, When, move
from ..network import both_ways
from .links import Clog, Cut
from .plots import SESSION_US, _apart, _between, _scene, _servers
from .processes import Crash, Pause, PowerLoss

if TYPE_CHECKING:
    from ..nemesis import Nemesis


@move
def uninformed(nemesis: Nemesis) -> Draws:
    """A replica hears no controller for a while, and they hear it. Meanwhile the lead goes to another one and comes
    back, or another replica begins a new life.
    """
    for leader, heirs in _scene(nemesis):
        deaf = leader if len(heirs) < 2 or nemesis.random.random() < 0.4 else heirs[-1]
        links = [(name, deaf) for name in nemesis.budget.controllers() if name != deaf]
        yield 0, _apart(f"uninformed {deaf}", links, _between(nemesis, 2, 5))
        at = _between(nemesis, 0.05, 0.5)
        if deaf == leader:
            down = _between(nemesis, 0.02, 0.3)
            lost = nemesis.random.random() < 0.5
            yield at, PowerLoss(heirs[0], down, nemesis.seed()) if lost else Crash(heirs[0], down)
            continue

        def back(heir: str = heirs[0]) -> Draws:
            yield _between(nemesis, 0.2, 1.2), Crash(heir, _between(nemesis, 0.5, 2))

        yield 0, When(BecameLeader, heirs[0], 3_000_000, back)
        yield at, Crash(leader, _between(nemesis, 0.02, 0.2))


@move
def uneven(nemesis: Nemesis) -> Draws:
    """One follower does not hear the leader, the other one does; clients fall silent, and the leader dies. Whoever
    leads next may have less than who follows, and does not meet it at once.
    """
    for leader, heirs in _scene(nemesis, 2):
        behind = heirs[0] if nemesis.random.random() < 0.8 else heirs[-1]
        ahead = [name for name in heirs if name != behind]
        apart = _between(nemesis, 0.01, 0.2)
        silence = _between(nemesis, 0.4, 1.2) if nemesis.random.random() < 0.7 else 0
        yield 0, _apart(f"uneven {behind}", [(leader, behind)], apart + silence)
        yield apart, _apart("uneven silence", both_ways(nemesis.clients, nemesis.servers), silence)
        dies = apart + silence + _between(nemesis, -0.02, 0.05)
        yield dies, Crash(leader, _between(nemesis, 0.5, 3))
        yield dies, _apart(f"uneven {behind}", both_ways([behind], ahead), _between(nemesis, 0.2, 2))


@move
def in_company(nemesis: Nemesis) -> Draws:
    """A leader hears clients and controllers, and no other replica: what it takes in is not committed."""
    for leader, heirs in _scene(nemesis):
        for_us = _between(nemesis, 1.5, 6)
        yield 0, _apart(f"in_company {leader}", both_ways([leader], heirs), for_us)
        if nemesis.random.random() < 0.5:
            yield _between(nemesis, 0.5, 3), Crash(leader, _between(nemesis, 0.1, 3))


@move
def second_thoughts(nemesis: Nemesis) -> Draws:
    """A leader is cut off and writes on. When it gives that up it dies before it can say so, or loses its power."""
    for leader, _ in _scene(nemesis):
        alone = SESSION_US + _between(nemesis, 0, 0.8)

        def killed(name: str = leader) -> Draws:
            after = int(nemesis.random.expovariate(1 / nemesis.random.choice((2_000, 50_000, 400_000))))
            down = _between(nemesis, 0.02, 0.3)
            lost = nemesis.random.random() < 0.3
            yield after, PowerLoss(name, down, nemesis.seed()) if lost else Crash(name, down)

        yield 0, When(Truncated, leader, alone + 2_000_000, killed)
        yield 0, _apart(f"second_thoughts {leader}", both_ways([leader], _servers(nemesis, leader)), alone)


@move
def old_news(nemesis: Nemesis) -> Draws:
    """What a leader says to one follower comes late, all of it; meanwhile leaders change."""
    for leader, heirs in _scene(nemesis):
        follower = heirs[-1]
        span = _between(nemesis, 0.5, 4)
        yield 0, Clog(((leader, follower),), span)
        rest = _servers(nemesis, leader, follower)
        if nemesis.random.random() < 0.6:
            yield 0, Cut(f"old_news {leader}", tuple(both_ways([leader], rest)), SESSION_US + 700_000, True)
        else:
            yield _between(nemesis, 0.1, 1), Pause(leader, SESSION_US + _between(nemesis, 0.2, 1.5))


@move
def long_absence(nemesis: Nemesis) -> Draws:
    """A follower is away for long, and what happens meanwhile is over when it is back; perhaps the leader with it."""
    for leader, heirs in _scene(nemesis):
        away = _between(nemesis, 3, 7)
        yield 0, Crash(heirs[-1], away)
        if nemesis.random.random() < 0.3:
            yield away - _between(nemesis, 0, 0.5), Crash(leader, _between(nemesis, 0.1, 2))
