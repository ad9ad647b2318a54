"""The network between hosts: cut, clogged, reset, and wrong about who is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ..fault import Draws, Fault, Micros, move, seconds
from ..network import Link, both_ways

if TYPE_CHECKING:
    from ..nemesis import Nemesis


class Cut(Fault, frozen=True):
    """Nothing passes these links for a while. Some connections are reset, others notice by silence only.

    With `hold` a stream retransmits, and what was said meanwhile arrives afterwards.
    """

    what: str  # "isolate b1", for people
    links: tuple[Link, ...]
    for_us: Micros
    hold: bool = False
    reset: tuple[Link, ...] = ()  # those that the kernel gave up

    def strike(self, nemesis: Nemesis) -> bool:
        if not self.links:
            return False
        nemesis.network.cut(self.links, nemesis.world.now + self.for_us, hold=self.hold)
        for source, target in self.reset:
            nemesis.world.reset_connections(source, target)
        return True

    @property
    def kind(self) -> str:
        return self.what.partition(" ")[0]

    def sentence(self) -> str:
        return f"{self.what.partition(' ')[2]} for {seconds(self.for_us)}{', held' if self.hold else ''}"


class Clog(Fault, frozen=True):
    """What is said on these links waits, and comes in a burst."""

    links: tuple[Link, ...]
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.network.clog(self.links, nemesis.world.now + self.for_us)
        return bool(self.links)

    def sentence(self) -> str:
        of = f"{self.links[0][0]} to {self.links[0][1]}" if len(self.links) == 1 else f"{len(self.links)} links"
        return f"{of} for {seconds(self.for_us)}"


class Reset(Fault, frozen=True):
    """A connection is reset; what is on it is lost."""

    source: str
    target: str

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.world.reset_connections(self.source, self.target)
        return True

    def sentence(self) -> str:
        return f"{self.source} to {self.target}"


class FalseGone(Fault, frozen=True):
    """Somebody is told that a living node is gone."""

    watcher: str
    gone: str

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.world.hint_gone(self.watcher, self.gone)
        return True

    def sentence(self) -> str:
        return f"{self.watcher} is told that {self.gone} is gone"


@move
def cut(nemesis: Nemesis) -> Draws:
    """Two sides."""
    names = nemesis.shuffled()
    left = sorted(names[: nemesis.random.randint(1, max(1, len(names) - 1))])
    right = sorted(set(names) - set(left))
    yield from _cut(nemesis, f"cut {'+'.join(left)} from {'+'.join(right)}", both_ways(left, right))


@move
def cut_one_way(nemesis: Nemesis) -> Draws:
    for source, target in nemesis.pair(nemesis.servers):
        yield from _cut(nemesis, f"cut_one_way {source} to {target}", [(source, target)])


@move
def isolate(nemesis: Nemesis) -> Draws:
    """One server, from servers and clients alike."""
    name = nemesis.chosen(nemesis.servers)
    others = [other for other in [*nemesis.servers, *nemesis.clients] if other != name]
    yield from _cut(nemesis, f"isolate {name}", both_ways([name], others))


class LostSubscription(Fault, frozen=True):
    """A connection was renewed, and the subscription with it was lost: nothing of what is broadcast is heard."""

    publisher: str
    subscriber: str
    for_us: Micros

    def strike(self, nemesis: Nemesis) -> bool:
        nemesis.world.reset_connections(self.subscriber, self.publisher)
        nemesis.network.deafen([(self.publisher, self.subscriber)], nemesis.world.now + self.for_us)
        return True

    def sentence(self) -> str:
        return f"{self.subscriber} does not hear {self.publisher} for {seconds(self.for_us)}"


@move
def lost_subscription(nemesis: Nemesis) -> Draws:
    publisher = nemesis.chosen(nemesis.servers)
    subscriber = nemesis.chosen([name for name in [*nemesis.servers, *nemesis.clients] if name != publisher])
    yield 0, LostSubscription(publisher, subscriber, nemesis.exponential(5_000_000) + 500_000)


@move
def ring(nemesis: Nemesis) -> Draws:
    """Each sees its neighbours only: every node has a majority, and no two the same. Of three nodes each hears one."""
    names = nemesis.shuffled()
    near = {*pairwise([*names, names[0]])}
    if len(names) > 3:
        near |= {(target, source) for source, target in near}
    far = [(a, b) for a in names for b in names if a != b and (a, b) not in near]
    yield from _cut(nemesis, f"ring {' '.join(names)}", far)


@move
def bridge(nemesis: Nemesis) -> Draws:
    """One node sees both sides, which do not see each other."""
    names = nemesis.shuffled()
    middle = (len(names) - 1) // 2
    left, right = names[1 : 1 + middle], names[1 + middle :]
    what = f"bridge {'+'.join(left)} and {'+'.join(right)} over {names[0]}"
    yield from _cut(nemesis, what, both_ways(left, right))


@move
def clients_cut(nemesis: Nemesis) -> Draws:
    """Servers see each other; the clients do not see one of them."""
    name = nemesis.chosen(nemesis.servers)
    yield from _cut(nemesis, f"clients_cut {name}", both_ways([name], nemesis.clients))


@move
def clog(nemesis: Nemesis) -> Draws:
    for link in nemesis.pair([*nemesis.servers, *nemesis.clients]):
        yield 0, Clog((link,), nemesis.exponential(nemesis.swarm.network.clog_us))


@move
def swizzle(nemesis: Nemesis) -> Draws:
    """Stop the links of a random subset one by one, and let them go in another order (FoundationDB)."""
    names = nemesis.victims()
    if not names:
        return
    order = nemesis.random.sample(names, len(names))
    step = nemesis.random.randint(50_000, 800_000)
    for place, name in enumerate(names):
        links = both_ways([name], [other for other in nemesis.servers if other != name])
        yield step * place, Clog(tuple(links), step * (len(names) + order.index(name) + 1 - place))


@move
def reset(nemesis: Nemesis) -> Draws:
    for source, target in nemesis.pair([*nemesis.servers, *nemesis.clients]):
        yield 0, Reset(source, target)


@move
def false_gone(nemesis: Nemesis) -> Draws:
    for watcher, gone in nemesis.pair(nemesis.servers):
        yield 0, FalseGone(watcher, gone)


def _cut(nemesis: Nemesis, what: str, links: Sequence[Link]) -> Iterable[tuple[Micros, Fault]]:
    if not links:
        return
    duration = nemesis.exponential(nemesis.swarm.cut_us) + 100_000
    hold = nemesis.random.random() < nemesis.swarm.network.holds
    noticed = () if hold else tuple(link for link in sorted(set(links)) if nemesis.random.random() < 0.5)
    yield 0, Cut(what, tuple(links), duration, hold, noticed)
