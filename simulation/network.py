"""A network that is meaner than reality.

Two models behind one port, one per run. *Stream* is what TCP and ZeroMQ really do: the messages of one connection
arrive in order or, from some moment on, not at all; nothing is lost in the middle, except broadcasts, which ZeroMQ
drops silently when a subscriber's queue is full. *Datagram* loses, duplicates and reorders whatever it likes, and
delivers copies that are many seconds old, which is harsher than any real network and hardens handlers.

What ZeroMQ does beside that: of what is said on a new connection the beginning may be lost, since a send is accepted
before anybody listens; above the high-water mark of a link messages are dropped without a word; a subscriber whose
connection was renewed may hear no broadcasts for a while; and of what was under way on a connection that breaks, a part
may still arrive.

Delays are exponential above a minimum, scaled per link, so some pairs are far from each other for the whole run. Links
can be cut (one way or both) until a given time, and clogged: what is sent meanwhile comes in a burst afterwards. A cut
of a stream may also *hold*: TCP retransmits, and everything said during the cut arrives after it, long out of date.

The random streams of delays, losses and the rest are independent of each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple, Protocol

import msgspec

Micros = int
Link = tuple[str, str]  # (source, target)

NEVER: Micros = 1 << 62


class NetworkRates(msgspec.Struct, frozen=True):
    """How mean the network is; the swarm draws one per run. Probabilities are per message."""

    stream: bool = True
    min_us: int = 100
    mean_us: int = 400
    far_links: float = 0.0  # probability that a link is slower by a factor of up to `far_scale`
    far_scale: int = 10
    loss: float = 0.0  # datagrams only
    duplicate: float = 0.0  # datagrams only
    old_duplicate: float = 0.0  # datagrams only: a copy up to `old_us` later
    old_us: int = 10_000_000
    broadcast_loss: float = 0.0
    clog: float = 0.0
    clog_us: int = 500_000
    holds: float = 0.0  # probability that what is said into a cut stream comes after it
    connect_loss: float = 0.0  # streams only: probability that a new connection loses what is said first
    connect_us: int = 50_000  # for at most so long
    left_over: float = 0.0  # probability that a part of what is under way survives the end of its connection
    high_water: int = 0  # so many messages may be under way on a link; 0: any number


class Streams(Protocol):
    """Where independent streams of chance come from: a World."""

    def random(self, label: str) -> Random: ...


class _Cut(NamedTuple):
    until: Micros
    hold: bool


class HostileNetwork:
    """`cluster.world.Network`, with switches for the nemesis: `cut`, `clog`, `heal`."""

    def __init__(self, rates: NetworkRates, streams: Streams) -> None:
        self.rates = rates
        self.calm = False  # healed for good: fast, and nothing is lost
        self.sent = 0
        self.lost = 0
        self.duplicated = 0
        self.reordered = 0
        self.unconnected = 0  # lost before the connection stood
        self.overflown = 0  # dropped at the high-water mark
        self.unheard = 0  # broadcasts to who was not subscribed
        self._newest: dict[Link, Micros] = {}
        self._delay = streams.random("network/delay")
        self._loss = streams.random("network/loss")
        self._copies = streams.random("network/copies")
        self._clogs = streams.random("network/clog")
        self._scales = streams.random("network/scale")
        self._scale: dict[Link, float] = {}
        self._cuts: dict[Link, _Cut] = {}
        self._clogged: dict[Link, Micros] = {}
        self._last_broadcast: dict[Link, Micros] = {}
        self._connecting: dict[Link, Micros] = {}
        self._deaf: dict[Link, Micros] = {}
        self._under_way: dict[Link, deque[Micros]] = {}
        self._connects = streams.random("network/connects")
        self._rests = streams.random("network/rests")

    # --- The port ---

    def in_order(self, source: str, target: str) -> bool:
        return self.rates.stream

    def delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        link = (source, target)
        self.sent += 1
        wait = self._wait(link, now)
        if wait is None:
            self.lost += 1
            return ()
        first = wait + self._latency(link, size)
        rates = self.rates
        if self.calm:
            return (first,)
        if rates.high_water and self._full(link, now, now + first):
            self.overflown += 1
            return ()
        if rates.stream:
            if self._connecting and now < self._connecting.get(link, 0):
                self.unconnected += 1
                return ()
            return (first,)
        if rates.loss and self._loss.random() < rates.loss:
            self.lost += 1
            return ()
        copies = [first]
        newest = self._newest.get(link, 0)
        self._newest[link] = max(newest, now + first)
        self.reordered += now + first < newest
        if rates.duplicate and self._copies.random() < rates.duplicate:
            copies.append(wait + self._latency(link, size))
        if rates.old_duplicate and self._copies.random() < rates.old_duplicate:
            copies.append(first + self._copies.randrange(rates.old_us))
        self.duplicated += len(copies) - 1
        return copies

    def broadcast_delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        """PUB/SUB: whole messages are dropped under load, even where the connection is a stream."""
        if not self.calm and self.rates.broadcast_loss and self._loss.random() < self.rates.broadcast_loss:
            self.lost += 1
            return ()
        if self._deaf and now < self._deaf.get((source, target), 0):
            self.unheard += 1
            return ()
        delays = self.delays(source, target, size, now)
        if self.rates.stream and delays:
            arrival = max(now + delays[0], self._last_broadcast.get((source, target), 0))
            self._last_broadcast[source, target] = arrival
            return (arrival - now,)
        return delays

    def connected(self, source: str, target: str, now: Micros) -> None:
        rates = self.rates
        if not self.calm and rates.stream and rates.connect_loss and self._connects.random() < rates.connect_loss:
            self._connecting[source, target] = now + self._connects.randrange(rates.connect_us)

    def left_over(self, source: str, target: str) -> float:
        if self.calm or self._rests.random() >= self.rates.left_over:
            return 0.0
        return self._rests.random()

    # --- Switches ---

    def cut(self, links: Iterable[Link], until: Micros, *, hold: bool = False) -> None:
        """Nothing passes these links until then. With `hold`, what is said into a stream comes afterwards."""
        for link in links:
            self._cuts[link] = _Cut(until, hold and self.rates.stream)

    def is_cut(self, link: Link, now: Micros) -> bool:
        """Whether what is said on it now does not arrive, or not before the cut ends."""
        return link in self._cuts and self._cuts[link].until > now

    def clog(self, links: Iterable[Link], until: Micros) -> None:
        """What is said on these links waits until then."""
        for link in links:
            self._clogged[link] = max(until, self._clogged.get(link, 0))

    def deafen(self, links: Iterable[Link], until: Micros) -> None:
        """The targets do not hear what the sources broadcast until then."""
        for link in links:
            self._deaf[link] = max(until, self._deaf.get(link, 0))

    def mend(self) -> None:
        """All links work again, as badly as before."""
        self._cuts.clear()
        self._clogged.clear()
        self._deaf.clear()

    def heal(self) -> None:
        """From now on the network is a good one. (What is under way stays under way: reset the connections.)"""
        self.mend()
        self._last_broadcast.clear()
        self.calm = True

    def counts(self) -> dict[str, int]:
        """Messages by what became of them."""
        return {
            "sent": self.sent,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "reordered": self.reordered,
            "unconnected": self.unconnected,
            "overflown": self.overflown,
            "unheard": self.unheard,
        }

    # --- Arithmetic ---

    def _wait(self, link: Link, now: Micros) -> Micros | None:
        """How long cuts and clogs keep a message; None: it is lost."""
        wait = 0
        cut = self._cuts.get(link)
        if cut is not None:
            if now >= cut.until:
                del self._cuts[link]
            elif not cut.hold:
                return None
            else:
                wait = cut.until - now
        rates = self.rates
        if rates.clog and not self.calm and self._clogs.random() < rates.clog:
            self.clog([link], now + int(self._clogs.expovariate(1 / rates.clog_us)))
        until = self._clogged.get(link)
        if until is not None:
            if now >= until:
                del self._clogged[link]
            else:
                wait = max(wait, until - now)
        return wait

    def _full(self, link: Link, now: Micros, arrival: Micros) -> bool:
        """Whether a link has as much under way as its queues hold. If not, one more is."""
        waiting = self._under_way.get(link)
        if waiting is None:
            waiting = self._under_way[link] = deque()
        while waiting and waiting[0] <= now:
            waiting.popleft()
        if len(waiting) >= self.rates.high_water:
            return True
        waiting.append(arrival)
        return False

    def _latency(self, link: Link, size: int) -> Micros:
        if self.calm:
            return 100 + size // 1000  # about a gigabyte a second
        scale = self._scale.get(link)
        if scale is None:
            far = self._scales.random() < self.rates.far_links
            scale = self._scale[link] = self._scales.uniform(2, self.rates.far_scale) if far else 1.0
        mean = self.rates.mean_us - self.rates.min_us
        delay = self.rates.min_us + (self._delay.expovariate(1 / mean) if mean > 0 else 0)
        return int(delay * scale) + size // 1000


def both_ways(left: Sequence[str], right: Sequence[str]) -> list[Link]:
    """All links between two groups."""
    return [pair for a in left for b in right for pair in ((a, b), (b, a))]
