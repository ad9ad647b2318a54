"""The connections that requests come on: one ROUTER, which every peer of this node connects to.

A request's origin is `@` and the connection's routing id in hex, and the reply goes to exactly that. ZeroMQ makes the
routing id up, so nobody can claim another's. A route dies with its connection: the monitor tells which descriptor was
closed, and each route knows its descriptor. The kernel uses a descriptor again at once, and what the monitor tells
comes on a channel of its own, so a descriptor may have two routes for a moment: the older one is the closed one.
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from ..storage.disk import Buffer
from .budget import PEER_BYTES, Counters, Lent, send_frames
from .flags import MORE, send_frame
from .inbox import Inbox
from .monitor import Monitor


class _Route:
    __slots__ = ("descriptor", "lent", "origin")

    def __init__(self, origin: str, descriptor: int) -> None:
        self.origin = origin
        self.descriptor = descriptor
        self.lent = Lent()


class Routes:
    """The bound ROUTER. `send` says False for a route that is gone."""

    def __init__(self, socket: zmq.Socket[bytes], monitor: Monitor, counters: Counters) -> None:
        self.socket = socket
        self.inbox = Inbox(socket)
        self.monitor = monitor
        self._counters = counters
        self._by_id: dict[bytes, _Route] = {}
        self._by_descriptor: dict[int, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def origin(self, label: zmq.Frame) -> str:
        """Where a request came from."""
        routing_id = label.bytes
        route = self._by_id.get(routing_id)
        if route is None:
            descriptor = int(label.get(zmq.SRCFD))
            route = self._by_id[routing_id] = _Route("@" + routing_id.hex(), descriptor)
            self._by_descriptor.setdefault(descriptor, []).append(routing_id)
        return route.origin

    def send(self, origin: str, frames: Sequence[Buffer], size: int) -> bool:
        """Reply on the connection that a request came on, or drop and count. False: there is no such connection."""
        routing_id = bytes.fromhex(origin[1:])
        route = self._by_id.get(routing_id)
        if route is None:
            self._counters.unroutable += 1
            return False
        if size + route.lent.bytes > PEER_BYTES:
            self._counters.over_budget += 1
            return True
        try:
            send_frame(self.socket, routing_id, MORE)
        except zmq.Again:  # this peer has 256 messages to read
            self._counters.over_budget += 1
            return True
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._counters.unroutable += 1
            self._forget(routing_id)
            return False
        send_frames(self.socket, frames, route.lent, begun=True)
        self._counters.sent += 1
        return True

    def disconnected(self) -> list[str]:
        """The origins whose connections have closed since the last time."""
        gone: list[str] = []
        for event in self.monitor.read():
            routing_ids = self._by_descriptor.get(event.value)
            if routing_ids:
                gone.append(self._by_id[routing_ids[0]].origin)
                self._forget(routing_ids[0])
        return gone

    def close(self, linger_ms: int) -> None:
        """Close all connections, and listen no more."""
        self.monitor.close()
        self.socket.close(linger_ms)

    def _forget(self, routing_id: bytes) -> None:
        route = self._by_id.pop(routing_id)
        routing_ids = self._by_descriptor[route.descriptor]
        routing_ids.remove(routing_id)
        if not routing_ids:
            del self._by_descriptor[route.descriptor]
