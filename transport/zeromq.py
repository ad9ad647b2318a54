"""All sockets of one node, and how they are read.

A node binds one ROUTER (requests come, replies leave), opens one DEALER per endpoint that it asks (requests leave,
replies come), may bind one PUB, and has one SUB for all broadcasters that it listens to. Delivery is best effort:
whatever cannot be sent now, or soon, is dropped and counted (`budget.Counters`). Whatever arrives and is not a message
is dropped and counted too; nothing that comes from outside raises.

ZeroMQ's file descriptor is edge-triggered and says only that *something* changed; what, tells ZMQ_EVENTS. A send or a
receive may swallow the change that another was waiting for. Hence the rule: after a batch of sends and receives, call
`settle`, which looks at the EVENTS of every socket that was touched. Whoever forgets that waits for ever, some day.

Where an endpoint is. Endpoints are names: a peer is known by its own, and so are its replies, also where `dial` says to
connect somewhere else, to a proxy that leads there.

Origins. A request's is its route (`@...`), a reply's the endpoint that its DEALER asks, whatever the envelope claims.
A broadcast's is the node that its envelope names: a PUB socket has another port than its node, broadcasts are hints,
and they come from endpoints that we chose ourselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec
import zmq

from ..actors.kernel import Address, node_of
from ..actors.messages import Envelope
from ..storage.disk import Buffer
from .budget import MAX_AGE, Counters, sendable, size_of
from .codec import Codec, ProtocolError
from .flags import AT_ONCE, READABLE, WRITABLE, events_of
from .inbox import Inbox
from .monitor import Monitor
from .options import bind, new_context, new_socket
from .peers import IDLE_SECONDS, Peer
from .routes import Routes
from .watcher import Watcher

SWEEP_SECONDS = 10.0
"""How often idle peers are looked for."""


class Received(NamedTuple):
    """A message for the node, and where it came from."""

    envelope: Envelope
    origin: str


class Listener(Protocol):
    """Whom the sockets tell. None of these may call back into the sockets at once, except to send."""

    def ready(self) -> None:
        """There is something to `receive`."""
        ...

    def peer_disconnected(self, endpoint: str) -> Callable[[], None]:
        """The connection to a watched peer dropped just now. What is returned is called if the peer proves gone."""
        ...

    def peer_back(self, endpoint: str) -> None:
        """The connection to a watched peer had dropped and is there again."""
        ...

    def route_gone(self, route: str) -> None:
        """The connection behind a route has closed."""
        ...


class _Line:
    """A socket that can be read, and what there is to do about it."""

    __slots__ = ("descriptor", "inbox", "peer", "queued", "socket", "touched")

    def __init__(self, socket: zmq.Socket[bytes], inbox: Inbox, peer: Peer | None = None) -> None:
        self.socket = socket
        self.descriptor = int(socket.get(zmq.FD))
        self.inbox = inbox
        self.peer = peer
        self.queued = False  # it is among the ready ones
        self.touched = False  # its EVENTS must be looked at again


class Sockets:
    """See the module's essay. Everything runs on the loop's thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: Listener,
        topics: Mapping[str, str],
        *,
        watch_all: bool = False,
        insecure: bool = False,
        dial: Mapping[str, str] | None = None,
    ) -> None:
        self.counters = Counters()
        self._loop = loop
        self._listener = listener
        self._topics = {topic.encode(): actor for topic, actor in topics.items()}
        self._watch_all = watch_all
        self._insecure = insecure
        self._dial = dict(dial or {})  # endpoint -> where to connect instead: a proxy
        self._context = new_context()
        self._codec = Codec()
        self._routes: Routes | None = None  # a client has none
        self._router: _Line | None = None
        self._publisher: zmq.Socket[bytes] | None = None
        self._subscriber: _Line | None = None  # opened for the first broadcaster
        self._subscribed: set[str] = set()
        self._peers: dict[str, _Line] = {}
        self._ready: deque[_Line] = deque()
        self._touched: list[_Line] = []
        self._watcher = Watcher(loop, self._context, listener.peer_disconnected, listener.peer_back)
        self._expiry: asyncio.TimerHandle | None = None
        self._sweep_timer = loop.call_later(SWEEP_SECONDS, self._sweep)
        self._closed = False

    # --- Opening ---

    def bind(self, endpoint: str) -> str:
        """Listen for requests. Returns the endpoint with its real port. Raises TransportError."""
        socket = new_socket(self._context, zmq.ROUTER, endpoint)
        monitor = Monitor(self._context, socket, zmq.EVENT_DISCONNECTED)
        self._routes = Routes(socket, monitor, self.counters)
        bound = bind(socket, endpoint, insecure=self._insecure)
        self._router = self._open(_Line(socket, self._routes.inbox))
        self._loop.add_reader(monitor.descriptor, self._read_routes, self._routes)
        self._read_routes(self._routes)
        return bound

    def bind_broadcast(self, endpoint: str) -> str:
        """Be ready to publish. Returns the endpoint with its real port. Raises TransportError."""
        self._publisher = new_socket(self._context, zmq.PUB, endpoint)
        return bind(self._publisher, endpoint, insecure=self._insecure)

    def subscribe(self, endpoint: str) -> None:
        """Listen to what is published there. A second time does nothing; an impossible endpoint is counted."""
        if endpoint in self._subscribed:
            return
        self._subscribed.add(endpoint)
        if self._subscriber is None:
            socket = new_socket(self._context, zmq.SUB, endpoint)
            for topic in self._topics:
                socket.setsockopt(zmq.SUBSCRIBE, topic)
            self._subscriber = self._open(_Line(socket, Inbox(socket)))
        if "[" in endpoint:
            self._subscriber.socket.setsockopt(zmq.IPV6, 1)
        if not _connect(self._subscriber.socket, self._place_of(endpoint)):
            self.counters.foreign += 1

    def unsubscribe(self, endpoint: str) -> None:
        """Listen to that no longer."""
        if endpoint in self._subscribed and self._subscriber is not None:
            self._subscribed.discard(endpoint)
            _disconnect(self._subscriber.socket, self._place_of(endpoint))

    def watch(self, endpoint: str) -> None:
        """Keep a connection to a peer, and tell the listener when it proves gone. A second time does nothing."""
        line = self._line_to(endpoint)
        if line is not None and line.peer is not None:
            line.peer.kept = True
            with suppress(zmq.ZMQError):  # too many sockets: it is not watched, which is as if hints were lost
                self._watcher.watch(line.peer)

    def unwatch(self, endpoint: str) -> None:
        """A peer may be forgotten again once it is idle."""
        line = self._peers.get(endpoint)
        if line is not None and line.peer is not None:
            line.peer.kept = False
            if not self._watch_all:
                self._watcher.unwatch(line.peer)

    # --- Sending ---

    def send(self, to: str, envelope: Envelope) -> None:
        """Send to an endpoint or a route, now or soon or never. Afterwards `settle`."""
        frames = self._codec.encode(envelope)
        size = size_of(frames)
        if not sendable(frames, size):
            self.counters.too_large += 1
        elif to.startswith("@"):
            self._reply(to, frames, size)
        else:
            self._ask(to, frames, size)

    def publish(self, topic: str, envelope: Envelope) -> None:
        """Broadcast to whoever is subscribed and keeps up."""
        frames = self._codec.encode(envelope)
        if not sendable(frames, size_of(frames)):
            self.counters.too_large += 1
        elif self._publisher is not None:
            self._publisher.send_multipart([topic.encode(), *frames], AT_ONCE)
            self.counters.published += 1

    # --- Receiving ---

    @property
    def pending(self) -> bool:
        """Whether `receive` may have something."""
        return bool(self._ready)

    def receive(self) -> Received | None:
        """The next message, from each socket in turn. None: it was refused, or is not there. `settle` afterwards."""
        line = self._ready.popleft()
        line.queued = False
        self._touch(line)
        refused = line.inbox.refused
        found = line.inbox.receive(labelled=line.peer is None)
        self.counters.malformed += line.inbox.refused - refused
        if found is None:
            return None
        label, frames = found
        try:
            envelope = self._codec.decode(frames)
        except ProtocolError:
            self.counters.malformed += 1
            return None
        if line.peer is not None:
            line.peer.used = self._loop.time()
            self.counters.received += 1
            return Received(envelope, line.peer.endpoint)
        assert label is not None, "only a DEALER's messages have no label"
        if line is self._subscriber:
            return self._broadcast(label.bytes, envelope)
        assert self._routes is not None, "a ROUTER's message"
        self.counters.received += 1
        return Received(envelope, self._routes.origin(label))

    def settle(self) -> bool:
        """Look again at all sockets that were used. True: there is something to `receive`, so come back soon."""
        while self._touched:
            touched, self._touched = self._touched, []
            for line in touched:
                line.touched = False
                self._look(line)
        return bool(self._ready)

    # --- Closing ---

    def close(self, linger_ms: int = 0) -> None:
        """Close everything; what is on its way has `linger_ms` to leave. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._sweep_timer.cancel()
        if self._expiry is not None:
            self._expiry.cancel()
        self._watcher.close()
        if self._routes is not None:
            self._loop.remove_reader(self._routes.monitor.descriptor)
            if self._router is not None:
                self._loop.remove_reader(self._router.descriptor)
            self._routes.close(linger_ms)
        if self._publisher is not None:
            self._publisher.close(linger_ms)
        if self._subscriber is not None:
            self._loop.remove_reader(self._subscriber.descriptor)
            self._subscriber.socket.close(0)
        for line in list(self._peers.values()):
            self._forget(line, linger_ms)
        self._ready.clear()
        self._touched.clear()
        self._context.term()

    # --- Inside ---

    def _open(self, line: _Line) -> _Line:
        self._loop.add_reader(line.descriptor, self._woken, line)
        self._touch(line)
        self._loop.call_soon(self._woken, line)  # what came before we listened made no edge
        return line

    def _woken(self, line: _Line) -> None:
        if not self._closed and not line.socket.closed:
            if not line.queued:  # nearly always there is a message: to look first would cost as much as to try
                line.queued = True
                self._ready.append(line)
            self._listener.ready()

    def _look(self, line: _Line) -> None:
        events = events_of(line.socket)
        if events & READABLE and not line.queued:
            line.queued = True
            self._ready.append(line)
        if events & WRITABLE and line.peer is not None and line.peer.waiting:
            line.peer.flush()
            self._touch(line)

    def _touch(self, line: _Line) -> None:
        if not line.touched:
            line.touched = True
            self._touched.append(line)

    def _reply(self, to: str, frames: list[Buffer], size: int) -> None:
        if self._routes is None or self._router is None:
            self.counters.unroutable += 1
            return
        self._touch(self._router)
        if not self._routes.send(to, frames, size):
            self._listener.route_gone(to)

    def _ask(self, to: str, frames: list[Buffer], size: int) -> None:
        line = self._line_to(to)
        if line is None or line.peer is None:
            self.counters.unroutable += 1
            return
        self._touch(line)
        line.peer.send(frames, size, self._loop.time())
        if line.peer.waiting and self._expiry is None:
            self._expiry = self._loop.call_later(MAX_AGE, self._expire)

    def _broadcast(self, topic: bytes, envelope: Envelope) -> Received | None:
        actor = self._topics.get(topic)
        origin = node_of(Address(envelope.sender))
        if actor is None or not origin.startswith("tcp://"):
            self.counters.foreign += 1
            return None
        self.counters.broadcasts += 1
        return Received(msgspec.structs.replace(envelope, to=actor), origin)

    def _line_to(self, endpoint: str) -> _Line | None:
        """The connection to an endpoint, opened if need be; None if that is not a possible endpoint."""
        line = self._peers.get(endpoint)
        if line is not None:
            return line
        if self._closed or not endpoint.startswith("tcp://"):
            return None
        try:
            socket = new_socket(self._context, zmq.DEALER, endpoint)
        except zmq.ZMQError:  # too many sockets: as good as unreachable
            return None
        peer = Peer(endpoint, socket, self.counters, self._loop.time(), self._place_of(endpoint))
        if self._watch_all:
            with suppress(zmq.ZMQError):  # as in `watch`
                self._watcher.watch(peer)
        line = self._peers[endpoint] = self._open(_Line(socket, peer.inbox, peer))
        if not _connect(socket, peer.place):
            self._forget(line, 0)
            return None
        return line

    def _place_of(self, endpoint: str) -> str:
        return self._dial.get(endpoint, endpoint)

    def _forget(self, line: _Line, linger_ms: int) -> None:
        assert line.peer is not None, "only peers are forgotten"
        self._loop.remove_reader(line.descriptor)
        self._watcher.unwatch(line.peer)
        if line.queued:
            self._ready.remove(line)
        if line.touched:
            self._touched.remove(line)
        del self._peers[line.peer.endpoint]
        line.peer.close(linger_ms)

    def _expire(self) -> None:
        self._expiry = None
        now = self._loop.time()
        waiting = False
        for line in self._peers.values():
            if line.peer is not None and line.peer.waiting:
                line.peer.expire(now)
                waiting = waiting or line.peer.waiting
        if waiting:
            self._expiry = self._loop.call_later(MAX_AGE / 4, self._expire)

    def _sweep(self) -> None:
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        now = self._loop.time()
        for line in list(self._peers.values()):
            peer = line.peer
            if peer is not None and not peer.kept and not peer.waiting and now - peer.used > IDLE_SECONDS:
                self._forget(line, 0)

    def _read_routes(self, routes: Routes) -> None:
        for origin in routes.disconnected():
            self._listener.route_gone(origin)


def _connect(socket: zmq.Socket[bytes], endpoint: str) -> bool:
    try:
        socket.connect(endpoint)
    except zmq.ZMQError:  # not an endpoint: what peers tell us may be anything
        return False
    return True


def _disconnect(socket: zmq.Socket[bytes], endpoint: str) -> None:
    try:
        socket.disconnect(endpoint)
    except zmq.ZMQError:  # it never was a possible one
        return
