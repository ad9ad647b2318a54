"""Misfortune that comes in company: several faults around one partition, or one broker, within moments.

Most of what has gone wrong in replicated logs took a sequence: a leader is cut off, writes on, dies, its successor
dies too, and the first one is back before the second. Faults that are spread over a whole cluster and a whole minute
hardly ever make one. So a *siege* chooses a partition and strikes its replicas, its leader above all, a few times in a
row, and an *island* is a part of the servers with a part of the clients, which see nobody else.

It knows who leads from the oracle, as an enemy would. It knows nothing of the code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..fault import Draws, Fault, Micros, move
from ..network import both_ways
from .links import Clog, Cut
from .processes import Crash, Pause, PowerLoss

if TYPE_CHECKING:
    from ..nemesis import Nemesis

Blow = Callable[["Nemesis", str, list[str]], Fault]


@move
def siege(nemesis: Nemesis) -> Draws:
    """Two to six blows at the replicas of one partition, the leader more often than the others."""
    known = nemesis.budget.partitions()
    if not known:
        return
    random = nemesis.random
    leader, replicas = random.choice(known)
    pace = random.choice((20_000, 100_000, 400_000, 1_500_000))
    at = 0
    for _ in range(random.randint(2, 6)):
        victim = leader if leader and random.random() < 0.6 else random.choice(replicas)
        others = [name for name in replicas if name != victim]
        yield at, random.choice(BLOWS)(nemesis, victim, others)
        at += int(random.expovariate(1 / pace)) + 1_000


@move
def besieged_leaders(nemesis: Nemesis) -> Draws:
    """Whoever leads is killed, and so is its successor, and the one after that: as fast as they are elected."""
    known = [(leader, replicas) for leader, replicas in nemesis.budget.partitions() if leader]
    if not known:
        return
    leader, replicas = nemesis.random.choice(known)
    at = 0
    order = [leader, *nemesis.random.sample([name for name in replicas if name != leader], len(replicas) - 1)]
    for name in order:
        yield at, Crash(name, nemesis.random.randint(50_000, 1_500_000))
        at += nemesis.random.randint(30_000, 800_000)


@move
def island(nemesis: Nemesis) -> Draws:
    """Some servers and some clients see each other, and nobody else."""
    random = nemesis.random
    if len(nemesis.servers) < 2:
        return
    servers = random.sample(nemesis.servers, random.randint(1, len(nemesis.servers) - 1))
    clients = [name for name in nemesis.clients if random.random() < 0.4]
    inside = sorted([*servers, *clients])
    outside = sorted({*nemesis.servers, *nemesis.clients} - {*inside})
    what = f"island {'+'.join(inside)}"
    yield 0, Cut(what, tuple(both_ways(inside, outside)), nemesis.exponential(nemesis.swarm.cut_us) + 100_000)


@move
def ungoverned(nemesis: Nemesis) -> Draws:
    """A broker sees other brokers and clients, and no controller but one in its own process; or hears them only."""
    controllers = nemesis.budget.controllers()
    name = nemesis.chosen(nemesis.servers)
    others = [other for other in controllers if other != name]
    if not others:
        return
    links = [(name, other) for other in others]
    if nemesis.random.random() < 0.5:
        links += [(other, name) for other in others]
    yield 0, Cut(f"ungoverned {name}", tuple(links), nemesis.exponential(nemesis.swarm.cut_us) + 100_000)


def _short(nemesis: Nemesis) -> Micros:
    return nemesis.random.choice((50_000, 200_000, 800_000, 2_500_000))


def _crash(nemesis: Nemesis, victim: str, others: list[str]) -> Fault:
    return Crash(victim, _short(nemesis))


def _power_loss(nemesis: Nemesis, victim: str, others: list[str]) -> Fault:
    return PowerLoss(victim, _short(nemesis), nemesis.seed())


def _apart(nemesis: Nemesis, victim: str, others: list[str]) -> Fault:
    """From the other replicas, but not from clients or controllers elsewhere."""
    return Cut(f"apart {victim}", tuple(both_ways([victim], others)), _short(nemesis))


def _mute(nemesis: Nemesis, victim: str, others: list[str]) -> Fault:
    """The others do not hear it."""
    return Cut(f"mute {victim}", tuple((victim, other) for other in others), _short(nemesis))


def _deaf(nemesis: Nemesis, victim: str, others: list[str]) -> Fault:
    """It does not hear the others; what they said may come late."""
    hold = nemesis.random.random() < 0.5
    return Cut(f"deaf {victim}", tuple((other, victim) for other in others), _short(nemesis), hold)


def _late(nemesis: Nemesis, victim: str, others: list[str]) -> Fault:
    return Clog(tuple((other, victim) for other in others), _short(nemesis))


def _pause(nemesis: Nemesis, victim: str, others: list[str]) -> Fault:
    return Pause(victim, _short(nemesis))


BLOWS: tuple[Blow, ...] = (_crash, _crash, _power_loss, _apart, _apart, _mute, _deaf, _late, _pause)
