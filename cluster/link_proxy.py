"""The proxy between the nodes of a cluster: every connection of one node to another goes through it.

It listens at one gate for each ordered pair of nodes (and one for each broadcast that a node listens to), and joins
each connection that comes to one of its own to the node that is meant. What is then done to the bytes: see `link_pump`.

A node must look through its gate as it looks without one. The one thing that nodes notice besides bytes is whether
anybody listens: a refused connection, twice in a row, means that a process is dead (`transport.monitor`). So a gate is
open exactly as long as its node listens. The moment a connection to a node breaks, or is refused, its gates close,
before anybody on this side can know; then the proxy knocks, every few milliseconds, and opens them when it is let in.

Between nodes that are cut off from each other it is another matter: then nothing must tell them anything. Their gate
stays open, connections that come wait, none is refused and none ends, whatever becomes of the node behind, until the
way is healed. A node that is cut off from another one, in whichever direction, can make no new connection to it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from .addresses import Endpoint
from .link_orders import Answer, Change, Heal, Order, Reset, Show
from .link_pump import Pump, Way
from .links import LinkPorts, pairs
from .settings import ClusterConfig, NodeConfig

FIRST_KNOCK = 0.002  # a dying process closes its connections and its listening socket in any order
KNOCK_GROWTH = 1.2
MOST_BETWEEN_KNOCKS = 0.05
KNOCK_TIMEOUT = 1.0
REOPEN_AGAIN = 0.02
ACCEPT_AGAIN = 1.0
BACKLOG = 128
BUFFERED = 256 << 10
"""Bytes that a connection may have waiting for the kernel before its other side is read no more."""

_BREAK = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class _Side(asyncio.Protocol):
    """One of the two connections that are joined."""

    def __init__(self, out: Pump, into: Pump, lost: Callable[[], None]) -> None:
        self.transport: asyncio.Transport | None = None
        self.over = False
        self._out = out  # what this side says
        self._into = into  # what it is told
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a stream"
        self.transport = transport
        transport.set_write_buffer_limits(high=BUFFERED)
        self._out.connect(source=transport)
        self._into.connect(sink=transport)

    def data_received(self, data: bytes) -> None:
        self._out.feed(data)

    def pause_writing(self) -> None:
        self._into.block(True)

    def resume_writing(self) -> None:
        self._into.block(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        self._lost()
        self._into.lose()
        self._out.end()

    def abort(self) -> None:
        """End it at once; the peer sees a reset."""
        if self.transport is not None and not self.over:
            with suppress(OSError):
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _BREAK)
            self.transport.abort()


class _Joined:
    """A connection that came to a gate, and the one behind it."""

    def __init__(self, gate: _Gate) -> None:
        loop = gate.proxy.loop
        self._gate = gate
        self._there = Pump(loop, gate.out)
        self._back = Pump(loop, gate.back)
        self.near = _Side(self._there, self._back, self._near_lost)
        self._far = _Side(self._back, self._there, self._far_lost)
        self._dialling: asyncio.Task[None] | None = None
        self._given_up = False  # it ends because we want it to

    def dial(self) -> None:
        """Connect to the node behind, if that is possible and was not done yet."""
        if self._dialling is None and not self._gate.held:
            self._dialling = self._gate.proxy.begin(self._dial())

    async def _dial(self) -> None:
        host, port = self._gate.target.place
        try:
            await self._gate.proxy.loop.create_connection(lambda: self._far, host, port)
        except ConnectionRefusedError:
            self._gate.target.suspect()
            self.abort()
        except OSError:
            self.abort()

    def _near_lost(self) -> None:
        if self._far.transport is None:  # nobody behind has heard of it
            self._given_up = True
            if self._dialling is not None:
                self._dialling.cancel()
        self._end_if_over()

    def _far_lost(self) -> None:
        if not (self._there.finished or self._given_up):
            self._gate.target.suspect()
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self.near.over and (self._far.over or self._far.transport is None):
            self._there.close()
            self._back.close()
            self._gate.joined.discard(self)

    def abort(self) -> None:
        """Break both connections."""
        self._given_up = True
        if self._dialling is not None:
            self._dialling.cancel()
        self.near.abort()
        self._far.abort()


class _Gate:
    """Where one node finds another one's socket. Open while somebody listens behind, or while nothing may be told."""

    def __init__(self, proxy: Proxy, place: Endpoint, target: _Target, out: Way, back: Way) -> None:
        self.proxy = proxy
        self.place = place
        self.target = target
        self.out = out
        self.back = back
        self.joined: set[_Joined] = set()
        self._listening: socket.socket | None = None
        self._again: asyncio.TimerHandle | None = None

    @property
    def held(self) -> bool:
        """Whether the two nodes are cut off from each other."""
        return self.out.state.held or self.back.state.held

    def changed(self) -> None:
        """The node behind has come or gone, or something is done to a way, or is not any more."""
        if self.held or self.target.listens:
            self._open()
        else:
            self.close()
        for joined in list(self.joined):
            joined.dial()

    def _open(self) -> None:
        if self._listening is not None:
            return
        listening = socket.socket()
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.place.host, self.place.port))
            listening.listen(BACKLOG)
        except OSError as error:  # somebody else has it for a moment
            listening.close()
            if self._again is None:
                self.proxy.log(f"cannot listen on {self.place}, and tries again: {error.strerror}")
                self._again = self.proxy.loop.call_later(REOPEN_AGAIN, self._try_again)
            return
        self._listening = listening
        self.proxy.loop.add_reader(listening.fileno(), self._accept, listening)

    def _try_again(self) -> None:
        self._again = None
        self.changed()

    def _accept(self, listening: socket.socket) -> None:
        while listening is self._listening:
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor is left: whoever came waits
                self.proxy.log(f"cannot accept a connection at {self.place}, and tries again: {error.strerror}")
                self.close()
                self._again = self.proxy.loop.call_later(ACCEPT_AGAIN, self._try_again)
                return
            accepted.setblocking(False)
            joined = _Joined(self)
            self.joined.add(joined)
            self.proxy.begin(self._take(accepted, joined))

    async def _take(self, accepted: socket.socket, joined: _Joined) -> None:
        await self.proxy.loop.connect_accepted_socket(lambda: joined.near, accepted)
        joined.dial()

    def reset(self) -> None:
        """Break the connections that came through it."""
        for joined in list(self.joined):
            joined.abort()

    def close(self) -> None:
        """Listen no more; who is connected stays."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._listening is not None:
            self.proxy.loop.remove_reader(self._listening.fileno())
            self._listening.close()
            self._listening = None


class _Target:
    """A socket of a node, and whether it listens."""

    def __init__(self, proxy: Proxy, endpoint: Endpoint) -> None:
        self.place = (endpoint.host.strip("[]"), endpoint.port)
        self.gates: list[_Gate] = []
        self.listens = False
        self._proxy = proxy
        self._knocking = False

    def suspect(self) -> None:
        """A connection to it broke, or was refused: nobody gets in before it is known to listen."""
        self.listens = False
        for gate in self.gates:
            gate.changed()
        if not self._knocking:
            self._knocking = True
            self._proxy.begin(self._knock())

    async def _knock(self) -> None:
        pause = FIRST_KNOCK
        await asyncio.sleep(pause)
        while await self._refuses():
            await asyncio.sleep(pause)
            pause = min(pause * KNOCK_GROWTH, MOST_BETWEEN_KNOCKS)
        self._knocking = False
        self.listens = True
        for gate in self.gates:
            gate.changed()

    async def _refuses(self) -> bool:
        try:
            async with asyncio.timeout(KNOCK_TIMEOUT):
                transport, _ = await self._proxy.loop.create_connection(asyncio.Protocol, *self.place)
        except ConnectionRefusedError:
            return True
        except OSError:  # no answer, among others: a node that is paused does not refuse
            return False
        transport.abort()
        return False


class Proxy:
    """See the module's essay. Everything happens on the running loop."""

    def __init__(self, config: ClusterConfig, ports: LinkPorts, log: Callable[[str], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.log = log
        self._tasks: set[asyncio.Task[None]] = set()
        random = Random()
        self._ways = {(source.id, target.id): Way(source.id, target.id, random) for source, target in pairs(config)}
        self._targets: dict[Endpoint, _Target] = {}
        self._gates: list[_Gate] = []
        for way in ports.ways:
            target = config.node(way.target)
            self._add(way.source, target, target.endpoint, way.address)
            if way.broadcast is not None:
                self._add(way.source, target, target.broadcast_endpoint, way.broadcast)

    def _add(self, source: int, target: NodeConfig, endpoint: Endpoint, address: str) -> None:
        behind = self._targets.setdefault(endpoint, _Target(self, endpoint))
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        out, back = self._ways[source, target.id], self._ways[target.id, source]
        gate = _Gate(self, Endpoint(host, int(port)), behind, out, back)
        behind.gates.append(gate)
        self._gates.append(gate)

    def start(self) -> None:
        """Look who listens, and open the gates of those."""
        for target in self._targets.values():
            target.suspect()

    def close(self) -> None:
        """Break everything, and listen no more."""
        for task in self._tasks:
            task.cancel()
        for gate in self._gates:
            gate.close()
            gate.reset()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something meanwhile. What it raises is a bug, and the loop's owner hears of it."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.result()

    def obey(self, order: Order) -> Answer:
        """Carry out an order: when this returns, it is in force."""
        if not isinstance(order, Show):
            unknown = [way for way in order.ways if way not in self._ways]
            if unknown:
                source, target = unknown[0]
                return Answer(f"there is no way from node {source} to node {target} in this cluster")
            for way in map(self._ways.__getitem__, order.ways):
                if isinstance(order, Change):
                    way.change(order)
                elif isinstance(order, Heal):
                    way.heal()
            touched = set(order.ways)
            for gate in self._gates:
                there = (gate.out.state.source, gate.out.state.target)
                if not touched.isdisjoint({there, there[::-1]}):
                    if isinstance(order, Reset):
                        gate.reset()
                    gate.changed()
        return Answer(ways=[way.show() for way in self._ways.values()])
