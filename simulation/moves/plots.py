"""Sequences that history has shown to be dangerous: each a few faults, in an order and at distances that matter.

A log that replicates loses what it promised by a story, not by an accident: a leader is cut off and writes on, another
one leads, and the first is killed the moment it is back. `sieges` strike one partition at random and find the short
ones; the longer ones they find too seldom. So here stand the stories themselves, with all their figures drawn: who it
happens to, how long it lasts, what comes a little early or late. It is what clusters went through, whatever they were
made of, and does no harm to one that keeps its promises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...actors.writes import RESERVE_BYTES
from ..fault import Draws, Fault, Micros, move
from ..network import Link, both_ways
from .disks import DiskFull
from .links import Cut
from .processes import Crash, PowerLoss
from .spoilt_disks import BitRot, guarded

if TYPE_CHECKING:
    from ..nemesis import Nemesis

SESSION_US = 3_000_000
"""After so much silence a broker is put out, if nobody knew before that it was gone."""


ASKERS = ("asker", "gasker")
"""Clients that only ask, and so notice what is old."""


class _Scene(NamedTuple):
    """A partition: who leads it, and its other replicas in the order in which they would."""

    leader: str
    heirs: list[str]


def _scene(nemesis: Nemesis, heirs: int = 1) -> list[_Scene]:
    """One that is led and has so many other replicas, as a list of one. Mostly one in which something happens."""
    busy = nemesis.budget.busy() if nemesis.random.random() < 0.8 else []
    known = [(leader, replicas) for leader, replicas in busy or nemesis.budget.partitions() if leader]
    scenes = [_Scene(leader, [name for name in replicas if name != leader]) for leader, replicas in known]
    scenes = [scene for scene in scenes if len(scene.heirs) >= heirs]
    return [nemesis.random.choice(scenes)] if scenes else []


def _servers(nemesis: Nemesis, *but: str) -> list[str]:
    return [name for name in nemesis.servers if name not in but]


def _between(nemesis: Nemesis, low: float, high: float) -> Micros:
    """A span, from seconds."""
    return nemesis.random.randint(int(low * 1e6), int(high * 1e6))


def _apart(what: str, links: list[Link], for_us: Micros) -> Cut:
    return Cut(what, tuple(links), for_us)


@move
def comeback(nemesis: Nemesis) -> Draws:
    """A leader sees its clients only, and writes on until another one leads. Often it is killed as soon as it is back,
    which is when it gives up what it wrote.
    """
    for leader, _ in _scene(nemesis):
        alone = SESSION_US + _between(nemesis, 0, 1.5)
        yield 0, _apart(f"comeback {leader}", both_ways([leader], _servers(nemesis, leader)), alone)
        if nemesis.random.random() < 0.7:
            after = alone + int(nemesis.random.expovariate(1 / nemesis.random.choice((50_000, 300_000))))
            yield after, Crash(leader, _between(nemesis, 0.05, 0.5))


@move
def exile(nemesis: Nemesis) -> Draws:
    """A leader and a few clients see each other, and nobody else, for long. Elsewhere life goes on."""
    network, now = nemesis.network, nemesis.world.now
    away = any(network.is_cut((name, server), now) for name in ASKERS for server in nemesis.servers)
    for leader, _ in _scene(nemesis) if not away else ():
        company = [name for name in nemesis.clients if name in ASKERS or nemesis.random.random() < 0.15]
        inside = sorted([leader, *company])
        outside = sorted({*nemesis.servers, *nemesis.clients} - {*inside})
        yield 0, _apart(f"exile {'+'.join(inside)}", both_ways(inside, outside), _between(nemesis, 7.5, 11))


@move
def orphans(nemesis: Nemesis) -> Draws:
    """A leader dies, and those it leaves behind do not see each other: whoever leads next knows little, for a while."""
    for leader, heirs in _scene(nemesis, 2):
        links = both_ways([heirs[0]], heirs[1:])
        if nemesis.random.random() < 0.5:
            links = [(heirs[0], name) for name in heirs[1:]]
        yield 0, _apart(f"orphans {'+'.join(heirs)}", links, _between(nemesis, 0.3, 3))
        yield int(nemesis.random.expovariate(1 / 10_000)), Crash(leader, _between(nemesis, 0.1, 4))


@move
def left_behind(nemesis: Nemesis) -> Draws:
    """A follower dies, the leader right after it, and the follower is back while there is little else."""
    for leader, heirs in _scene(nemesis):
        follower = heirs[-1]
        yield 0, Crash(follower, _between(nemesis, 0.1, 0.8))
        yield _between(nemesis, 0.005, 0.4), Crash(leader, _between(nemesis, 0.5, 4))


@move
def quiet_terms(nemesis: Nemesis) -> Draws:
    """No client sees a server for a while, and leaders come and go that have nothing to write."""
    for leader, heirs in _scene(nemesis):
        dies = nemesis.random.random() < 0.7
        silence = (1 if dies else 2) * SESSION_US + _between(nemesis, 2, 4)
        yield 0, _apart("quiet_terms", both_ways(nemesis.clients, nemesis.servers), silence)
        at = _between(nemesis, 0.05, 0.5)
        if dies:
            yield at, Crash(leader, silence)
        else:
            yield at, _apart(f"quiet_terms {leader}", both_ways([leader], _servers(nemesis, leader)), silence)
            at += SESSION_US
        at += _between(nemesis, 0.2, 1)
        for heir in heirs[:1]:
            yield at, _apart(f"quiet_terms {heir}", both_ways([heir], _servers(nemesis, heir)), SESSION_US + 700_000)


@move
def seesaw(nemesis: Nemesis) -> Draws:
    """Two replicas lead in turn, each writes what the other one does not hear of, and the first to lead leads again."""
    for leader, heirs in _scene(nemesis):
        second, others = heirs[0], heirs[1:]
        for name in others:
            yield 0, Crash(name, _between(nemesis, 4, 6))
        at = _between(nemesis, 0.2, 0.6) if others else 0
        yield at, _apart(f"seesaw {leader}", both_ways([leader], [second]), 500_000)
        at += _between(nemesis, 0.02, 0.2)
        yield at, Crash(leader, _between(nemesis, 0.8, 1.6))
        yield at + _between(nemesis, 0.1, 0.7), Crash(second, _between(nemesis, 1.5, 3))


@move
def last_standing(nemesis: Nemesis) -> Draws:
    """One replica loses power and is back at once; the others die before it can have learnt much."""
    for leader, heirs in _scene(nemesis):
        victim = nemesis.random.choice([leader, *heirs])
        rest = [name for name in (leader, *heirs) if name != victim]
        for name in rest[1:]:
            yield 0, Crash(name, _between(nemesis, 2, 5))
        at = _between(nemesis, 0.05, 0.6) if rest[1:] else 0
        yield at, _apart(f"last_standing {rest[0]}", both_ways([victim], rest), _between(nemesis, 0.5, 2))
        yield at, PowerLoss(victim, _between(nemesis, 0.02, 0.2), nemesis.seed())
        yield at + _between(nemesis, 0.1, 1.5), Crash(rest[0], _between(nemesis, 0.5, 3))


@move
def blackout(nemesis: Nemesis) -> Draws:
    """Brokers are away for longer than a session, and whoever governs has just begun to: all sessions end at once."""
    controllers = nemesis.budget.controllers()
    brokers = [name for name in nemesis.servers if name not in controllers]
    if not brokers:
        return
    for name in controllers:
        yield 0, Crash(name, _between(nemesis, 0.05, 0.3))
    if nemesis.random.random() < 0.5:
        for name in brokers:
            yield _between(nemesis, 0, 0.02), Crash(name, SESSION_US + _between(nemesis, 1.3, 2.5))
    else:
        yield 0, _apart("blackout", both_ways(controllers, brokers), SESSION_US + _between(nemesis, 1.3, 2.5))


@move
def alone_in_charge(nemesis: Nemesis) -> Draws:
    """A controller does not see the others, but brokers and clients see it. Or they do not hear it, or it them."""
    controllers = nemesis.budget.controllers()
    if len(controllers) < 2:
        return
    name = nemesis.chosen(controllers)
    others = [other for other in controllers if other != name]
    way = nemesis.random.randrange(3)
    links = both_ways([name], others) if way == 0 else [(o, name) if way == 1 else (name, o) for o in others]
    yield 0, _apart(f"alone_in_charge {name}", links, _between(nemesis, 3, 7))


@move
def no_room(nemesis: Nemesis) -> Draws:
    """A leader's disk has no room for users' records, a moment later it has, and a moment later none again."""
    at = 0
    for leader, _ in _scene(nemesis):
        for _ in range(nemesis.random.randint(1, 3)):
            for_us = _between(nemesis, 0.05, 0.6)
            yield at, DiskFull(leader, RESERVE_BYTES // 2, for_us)
            at += for_us + _between(nemesis, 0.05, 0.6)


@move
def rotten_first(nemesis: Nemesis) -> Draws:
    """Something of a log rots, all replicas die, and the one with the rot is back before the others."""
    for leader, heirs in _scene(nemesis):
        replicas = [leader, *heirs]
        rotten = [(name, rot) for name in replicas for rot in _rot(nemesis, name)]
        if not rotten:
            return
        name, rot = nemesis.random.choice(rotten)
        yield 0, rot
        power = nemesis.random.random() < 0.5
        for other in replicas:
            down = _between(nemesis, 0.02, 0.3) if other == name else _between(nemesis, 1.5, 6)
            at = 1_000 if other != name else _between(nemesis, 0.001, 0.2)  # often it is the last one in sync
            yield at, PowerLoss(other, down, nemesis.seed()) if power else Crash(other, down)


def _rot(nemesis: Nemesis, name: str) -> list[Fault]:
    """A bit of a log of this host, where one may rot, as a list of one. Mostly of what was written last."""
    if name not in nemesis.servers or not nemesis.budget.may_spoil(name):
        return []
    disk = nemesis.disk(name)
    folders = [entry for entry in disk.list("") if entry.endswith("/") and nemesis.budget.may_spoil(name, entry[:-1])]
    logs = {folder: sorted(file for file in disk.list(folder) if file.endswith(".log")) for folder in folders}
    newest = nemesis.random.random() < 0.7
    paths = [f"{folder}{file}" for folder, files in logs.items() for file in (files[-1:] if newest else files)]
    paths = [path for path in paths if disk.size(path)]
    for _ in range(8 if paths else 0):
        path = nemesis.chosen(paths)
        size = disk.size(path) or 0
        offset = max(0, size - 1 - int(nemesis.random.expovariate(1 / 500)))
        if nemesis.random.random() < 0.4:
            offset = nemesis.random.randrange(size)
        if guarded(disk, path, offset, 1):
            return [BitRot(name, path, offset, nemesis.random.randrange(8))]
    return []
