"""Connections between hosts of a world, faithful to ZeroMQ.

A request travels on the connection that its sender holds to the addressee, a reply on the connection that the request
came on. A connection dies with either end, or when it is reset. What was on it is lost from some message on; what came
before that was in the receiver's hands already and still arrives, perhaps after what is said on the next connection.
Nobody can reply on a dead one. What is said to a host without a process is lost or, if it waited in the sender's queue
for a process that comes back, delivered to the next life.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from .host import Host, Micros


class Network(Protocol):
    """What becomes of what is sent."""

    def delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        """How long each copy takes; empty: lost."""
        ...

    def broadcast_delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        """The same for one subscriber's copy of a broadcast."""
        ...

    def in_order(self, source: str, target: str) -> bool:
        """Whether one connection delivers in the order of sending (a stream) or not (datagrams)."""
        ...

    def connected(self, source: str, target: str, now: Micros) -> None:
        """A connection is made; what is said before it stands may be lost."""
        ...

    def left_over(self, source: str, target: str) -> float:
        """Which part of what is under way from one to the other still arrives although the connection breaks."""
        ...


class Perfect:
    """A network that loses nothing and takes 100 µs."""

    def delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        return (100,)

    def broadcast_delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        return (100,)

    def in_order(self, source: str, target: str) -> bool:
        return True

    def connected(self, source: str, target: str, now: Micros) -> None:
        pass

    def left_over(self, source: str, target: str) -> float:
        return 0.0


class _Way(msgspec.Struct, eq=False):
    """One direction of a connection."""

    said: int = 0
    arrived: int = 0
    until: int = 1 << 62  # messages after this one are lost
    busy: Micros = 0  # nothing overtakes on a stream


class Connection(msgspec.Struct, eq=False):
    """A DEALER's connection, made by `source`."""

    number: int
    source: str
    target: str
    there: _Way = msgspec.field(default_factory=_Way)
    back: _Way = msgspec.field(default_factory=_Way)
    open: bool = True

    @property
    def route(self) -> str:
        return f"@{self.source}#{self.number}"


Deliver = Callable[[Host, list[bytes], str], None]
"""Frames for a host, and where they came from: a host's name, or a route to reply to."""


class Pump(Protocol):
    """What connections need of a World."""

    network: Network
    hosts: dict[str, Host]
    now: Micros

    def later(self, host: Host, delay: Micros, action: Callable[[], None]) -> None:
        """An input for this life of a host."""
        ...

    def receive(self, host: Host, frames: list[bytes], origin: str) -> None:
        """A message has arrived: `origin` is a host's name, or a route to reply to."""
        ...


class Connections:
    """All of a world's."""

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._between: dict[tuple[str, str], Connection] = {}
        self._by_route: dict[str, Connection] = {}
        self._count = 0

    def request(self, source: str, target: str, frames: list[bytes]) -> None:
        """On the connection that `source` holds to `target`, made if there is none."""
        connection = self._between.get((source, target))
        if connection is None:
            self._count += 1
            connection = Connection(self._count, source, target)
            self._between[source, target] = connection
            self._by_route[connection.route] = connection
            self._pump.network.connected(source, target, self._pump.now)
        self._carry(connection, connection.there, source, target, connection.route, frames)

    def reply(self, route: str, frames: list[bytes]) -> None:
        """On a connection that somebody made; lost without a word if it is gone."""
        connection = self._by_route.get(route)
        if connection is not None:
            self._carry(connection, connection.back, connection.target, connection.source, connection.target, frames)

    def between(self, source: str, target: str) -> Connection | None:
        """The connection that `source` holds to `target`."""
        return self._between.get((source, target))

    def of(self, name: str) -> list[Connection]:
        """All that end at a host."""
        return [found for found in self._between.values() if name in (found.source, found.target)]

    def close(self, connection: Connection) -> None:
        """It breaks. From some message on everything on it is lost."""
        network = self._pump.network
        connection.open = False
        self._between.pop((connection.source, connection.target), None)
        self._by_route.pop(connection.route, None)
        for way, source, target in (
            (connection.there, connection.source, connection.target),
            (connection.back, connection.target, connection.source),
        ):
            under_way = way.said - way.arrived
            kept = int(under_way * network.left_over(source, target)) if under_way else 0
            way.until = way.arrived + kept

    def _carry(
        self, connection: Connection, way: _Way, source: str, target: str, origin: str, frames: list[bytes]
    ) -> None:
        pump = self._pump
        network = pump.network
        in_order = network.in_order(source, target)
        host = pump.hosts[target]
        for delay in network.delays(source, target, sum(map(len, frames)), pump.now):
            time = pump.now + delay
            if in_order:
                time = way.busy = max(time, way.busy)
            way.said += 1
            number = way.said

            def arrive(number: int = number) -> None:
                way.arrived = max(way.arrived, number)
                if number <= way.until:
                    pump.receive(host, frames, origin)

            pump.later(host, time - pump.now, arrive)
