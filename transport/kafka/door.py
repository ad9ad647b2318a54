"""The Kafka door of one node: a TCP port at which Kafka's clients find this broker.

    client --frame--> Connection --request--> Exchange --message--> the node's actors
           <--reply-- Connection <--response-          <--message--

The door decides nothing and remembers nothing but its connections. A request becomes messages to actors of the same
node (`apis/` says which), each connection is a route (`@kafka-7`) and each request an actor on it, so what the actors
reply leaves the node as a message to `@kafka-7/3`, and the shell hands it back to the door. What needs no decision is
read from the metadata that the broker has applied (`view.py`).

Who does what when. Bytes come on the loop and become frames at once; everything else happens in the shell's turns,
one `step` at a time, under the same bounds as ZeroMQ's messages. An exception out of an actor ends the node, as always.
One out of the translation of a request ends that connection, with a traceback and a count: requests come from outside,
and no request may cost more than its connection. Limits and their reasons are in `limits.py`.

The port is bound when the node starts, so that a taken one is found then; clients are let in once the broker serves,
and until then find the port closed and go to another broker.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ...actors.kernel import Address, Incarnation, Message, Millis, actor_of
from ...actors.messages import PROTOCOL_VERSION, Envelope
from ...actors.node import Node
from ..errors import TransportError
from .codec import UnknownApi, read_header, read_request
from .connection import Connection
from .departed import Departed
from .exchange import Exchange, Rejected, Unfinished
from .limits import SCRATCH, SILENT_S, Counted, Limits
from .served import handler_of, unsupported_version
from .table import API_VERSIONS
from .view import View
from .wire import Malformed

AT_ONCE = 128
"""Connections that are accepted in one go: a few milliseconds."""

PENDING = 1_024
"""Connections that wait in the system for that; those of a thousand clients that all lost another broker."""


DEFAULTS = Limits()

LINES = 10
"""Closed connections that are written to the node's log between two sweeps: a stranger must not fill the disk."""


class _Watch(NamedTuple):
    """What an exchange waits to see, and until when."""

    true: Callable[[], bool]
    deadline: asyncio.TimerHandle


class _Said(NamedTuple):
    """What an exchange tells an actor."""

    exchange: Exchange
    actor: str
    message: Message


class Door:
    """See the module's essay. `address` is "HOST:PORT" to listen at, with its real port once it is bound."""

    routes = "@kafka-"  # those of ZeroMQ's peers are hexadecimal

    def __init__(
        self, address: str, view: View, limits: Limits = DEFAULTS, log: Callable[[str], None] = lambda text: None
    ) -> None:
        self.address = address
        self.view = view
        self.departed = Departed(view)
        self.limits = limits
        self.counted = Counted()
        self.now = 0.0  # the loop's clock, as of this turn
        self.scratch = memoryview(bytearray(SCRATCH))  # what any connection reads into, for as long as a callback runs
        self.buffered = 0  # bytes of frames that are here and not handled
        self.owed = 0  # bytes of replies that clients do not take
        self.starved: dict[Connection, None] = {}  # they wait until less is buffered
        self.silent: dict[Connection, None] = {}  # they have never asked for anything; the oldest first
        self._log = log
        self._ready: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._connections: dict[str, Connection] = {}
        self._routes_gone: deque[str] = deque()
        self._requests: deque[Connection] = deque()  # whose next request may begin
        self._answers: deque[tuple[Exchange, object]] = deque()
        self._said: deque[_Said] = deque()
        self._watching: dict[Exchange, _Watch] = {}
        self._replying: dict[Connection, None] = {}
        self._number = 0
        self._most = limits.max_connections  # connections that descriptors are left for, at most
        self._open = False
        self._opening: asyncio.Task[None] | None = None
        self._lines_left = LINES
        self._emptied = asyncio.Event()

    # --- What the shell asks ---

    async def bind(self, loop: asyncio.AbstractEventLoop, ready: Callable[[], None]) -> None:
        """Take the port. `ready` is called when there is something to do. Raises TransportError."""
        self._loop, self._ready = loop, ready
        host, _, port = self.address.rpartition(":")
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host.strip("[]*"), int(port)), family=family)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise TransportError(f"cannot listen for Kafka clients at {self.address}: {reason}") from None
        self.address = f"{host}:{listener.getsockname()[1]}"
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if descriptors != resource.RLIM_INFINITY and descriptors // 2 < self._most:  # the other half is for logs
            self._most = descriptors // 2
            self._log(f"at most {self._most} Kafka clients, since this process may have {descriptors} descriptors")
        self._listener = listener
        self._server = await loop.create_server(self._accept, sock=listener, backlog=AT_ONCE, start_serving=False)

    @property
    def pending(self) -> bool:
        """Whether `step` has something to do."""
        return bool(self._said or self._answers or self._requests or self._routes_gone)

    def turned(self) -> None:
        """After each turn: replies leave, and clients are let in as soon as the broker serves."""
        assert self._loop is not None, "it is bound"
        self.now = self._loop.time()
        self._flush()
        self.departed.notice(self.now)
        if not self._open and self._server is not None and self.view.serving:
            self._open = True
            self._opening = self._loop.create_task(self._let_in(self._server))
            self._sweeping = self._loop.call_later(self.limits.sweep_ms / 1000, self._sweep)
        for exchange in [exchange for exchange, watch in self._watching.items() if watch.true()]:
            self._seen(exchange)

    async def _let_in(self, server: asyncio.Server) -> None:
        await server.start_serving()
        assert self._listener is not None, "it is bound"
        self._listener.listen(PENDING)  # asyncio has one number for both

    def step(self, node: Node, now: Millis, wall: Millis) -> str:
        """Do one thing: give the node one input, or an exchange one answer, or begin one request. Says what it was."""
        assert self._loop is not None, "it is bound"
        self.now = self._loop.time()
        if self._routes_gone:
            node.route_gone(self._routes_gone.popleft(), now, wall)
            return "the end of a connection"
        what = "nothing"
        if not self._said and self._answers:
            exchange, answer = self._answers.popleft()
            self._resume(exchange, answer)
            what = exchange.header.api.name
        elif not self._said and self._requests:
            what = self._begin(self._requests.popleft())
        if self._said:
            exchange, actor, message = self._said.popleft()
            sender = f"{exchange.route}/{exchange.number}"
            envelope = Envelope(PROTOCOL_VERSION, sender, Incarnation(0), actor, Incarnation(0), message)
            node.deliver(envelope, exchange.route, now, wall)
            what = exchange.header.api.name
        return what

    def reply(self, to: str, envelope: Envelope) -> None:
        """An actor has answered: `to` is a connection's route, the envelope's addressee the number of its exchange."""
        connection = self._connections.get(to)
        if connection is None:
            return
        number = int(actor_of(Address(envelope.to)))
        for exchange in connection.exchanges:
            if exchange.number == number:
                self.answered(exchange, envelope.body)
                return

    def peer_dropped(self, endpoint: str) -> None:
        """The connection to another node has dropped: what its broker leads may soon be led by others."""
        if self._loop is not None:
            self.departed.dropped(endpoint, self._loop.time())

    def peer_back(self, endpoint: str) -> None:
        """It is there again."""
        self.departed.back(endpoint)

    def answered(self, exchange: Exchange, answer: object) -> None:
        """What an exchange waits for has come."""
        self._answers.append((exchange, answer))

    async def drain(self, seconds: float) -> None:
        """At a graceful end: let nobody in, and give replies that are on their way a moment to leave."""
        if self._server is not None:
            self._server.close()
        while self._answers:  # the node says nothing more
            self._resume(*self._answers.popleft())
        self._flush()
        self._emptied.clear()
        for connection in [*self._connections.values()]:
            connection.close()
        if self._connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)

    def close(self) -> None:
        """Close everything at once. A second call does nothing."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in [*self._connections.values()]:
            connection.close(abort=True)

    # --- What connections tell ---

    def opened(self, connection: Connection) -> None:
        """A client has connected."""
        assert self._loop is not None, "it is bound"
        self.now = self._loop.time()
        self.counted.accepted += 1
        if len(self._connections) >= self._most and not self._makes_room():
            self.counted.refused += 1
            connection.close(abort=True)
            return
        self._number += 1
        connection.route = f"{self.routes}{self._number}"
        connection.active = self.now
        self._connections[connection.route] = connection
        self.silent[connection] = None

    def _makes_room(self) -> bool:
        """Close a connection that has never asked for anything: clients that work do so at once."""
        oldest = next(iter(self.silent), None)
        if oldest is None or self.now - oldest.active < SILENT_S:
            return False
        del self.silent[oldest]
        self._cut(oldest, "idle", "it has never asked for anything, and others want its place")
        return True

    def closed(self, connection: Connection) -> None:
        """It is gone, and with it whoever would hear its replies."""
        self.starved.pop(connection, None)
        self.silent.pop(connection, None)
        self.owed -= connection.blocked
        connection.blocked = 0
        if self._connections.pop(connection.route, None) is None:
            return
        self._routes_gone.append(connection.route)
        self._ready()
        if not self._connections:
            self._emptied.set()
        for exchange in connection.exchanges:
            watch = self._watching.pop(exchange, None)
            if watch is not None:
                watch.deadline.cancel()
            if exchange.coroutine is not None:
                exchange.coroutine.close()
        connection.exchanges.clear()
        self._unstarve()

    def host_of(self, route: str) -> str:
        """Where a connection comes from, as Kafka prints it: /127.0.0.1"""
        connection = self._connections.get(route)
        place = None if connection is None or connection.transport is None else connection.transport
        peer = None if place is None else place.get_extra_info("peername")
        return f"/{peer[0]}" if peer else "/"

    def has_request(self, connection: Connection) -> None:
        """Its next request may begin."""
        self._requests.append(connection)
        self._ready()

    def blocked(self, connection: Connection, size: int) -> None:
        """Its client leaves so many bytes of replies unread; 0: it keeps up again."""
        self.owed += size - connection.blocked
        connection.blocked = size
        if self.owed > self.limits.queued_max_response_bytes:
            self._cut(connection, "over_budget", f"{self.owed} bytes of replies wait to be read")

    @property
    def full(self) -> bool:
        """Whether as many bytes of frames are here as may be."""
        return self.buffered > self.limits.queued_max_request_bytes

    def over_budget(self, connection: Connection) -> None:
        """Its frame would grow while too much is buffered."""
        self._cut(connection, "over_budget", f"{self.buffered} bytes of requests wait to be handled")

    def malformed(self, connection: Connection, why: str) -> None:
        """What it sent is no request of this protocol."""
        self._cut(connection, "malformed", why)

    # --- Requests ---

    def _accept(self) -> Connection:
        return Connection(self)

    def said(self, exchange: Exchange, actor: str, message: Message) -> None:
        """An exchange tells an actor something: in one of the next steps."""
        self._said.append(_Said(exchange, actor, message))

    def watch(self, exchange: Exchange, true: Callable[[], bool], timeout_ms: int) -> None:
        """Tell an exchange when the view makes something true, or after so long."""
        assert self._loop is not None, "it is bound"
        deadline = self._loop.call_later(timeout_ms / 1000, self._seen, exchange)
        self._watching[exchange] = _Watch(true, deadline)

    def _seen(self, exchange: Exchange) -> None:
        self._watching.pop(exchange).deadline.cancel()
        self.answered(exchange, None)
        self._ready()

    def _begin(self, connection: Connection) -> str:
        """Begin a connection's next request; its name."""
        connection.waiting = False
        if not connection.may_begin():
            return "nothing"
        frame = connection.next_frame()
        self.counted.requests += 1
        self._number += 1
        try:
            header, reader = read_header(frame)
            run = handler_of(header)
            request = read_request(header, reader)
        except UnknownApi as unknown:
            if unknown.key != API_VERSIONS:
                self._cut(connection, "unknown", str(unknown))
            else:
                connection.send(unsupported_version(unknown))  # the one refusal that every client can read
                connection.more()
            return "an unknown API"
        except Malformed as error:
            self._cut(connection, "malformed", str(error))
            return "a malformed request"
        exchange = Exchange(self, connection.route, self._number, header)
        exchange.coroutine = run(request, exchange)
        connection.exchanges.append(exchange)
        self._resume(exchange, None)
        self._unstarve()
        connection.more()
        return header.api.name

    def _resume(self, exchange: Exchange, answer: object) -> None:
        connection = self._connections.get(exchange.route)
        if connection is None or exchange.done or exchange.coroutine is None:
            return  # nobody hears it any more
        try:
            response = exchange.go_on(answer)
        except Unfinished:
            return
        except Rejected as rejected:
            self._cut(connection, "rejected", str(rejected))
        except Exception:  # noqa: BLE001  # see the essay: no request may cost more than its connection
            self._log(f"{exchange.header}: {traceback.format_exc().rstrip()}")
            self._cut(connection, "failed", f"{exchange.header.api.name} could not be translated")
        else:
            exchange.done, exchange.parts = True, response
            self._release(connection)

    def _release(self, connection: Connection) -> None:
        """Send what is done, in the order of requests."""
        while connection.exchanges and connection.exchanges[0].done:
            exchange = connection.exchanges.popleft()
            if exchange.parts:
                self.counted.responses += 1
                self.counted.bytes_out += sum(map(len, exchange.parts))
                connection.send(exchange.parts)
        connection.more()

    def _cut(self, connection: Connection, count: str, why: str) -> None:
        """Close one connection, and count why."""
        if connection.closing:
            return
        setattr(self.counted, count, getattr(self.counted, count) + 1)
        self._lines_left -= 1
        if self._lines_left > 0:
            self._log(f"a Kafka client's connection was closed ({count}): {why}")
        elif self._lines_left == 0:
            self._log(f"more connections of Kafka clients are being closed; so far: {self.counted}")
        connection.close(abort=count in ("over_budget", "stuck"))

    def replies(self, connection: Connection) -> None:
        """It has something to send at the end of this turn."""
        self._replying[connection] = None

    def _flush(self) -> None:
        if self._replying:
            replying, self._replying = self._replying, {}
            for connection in replying:
                connection.flush()

    # --- Now and then ---

    def _unstarve(self) -> None:
        while self.starved and not self.full:
            connection = next(iter(self.starved))
            del self.starved[connection]
            connection.resume()

    def _sweep(self) -> None:
        assert self._loop is not None, "it is bound"
        self.now = self._loop.time()
        self._sweeping = self._loop.call_later(self.limits.sweep_ms / 1000, self._sweep)
        self._lines_left = LINES
        idle, stuck = self.limits.connections_max_idle_ms / 1000, self.limits.stuck_ms / 1000
        for connection in [*self._connections.values()]:
            quiet = self.now - connection.active
            if quiet > stuck and (connection.amid or connection.blocked):
                self._cut(connection, "stuck", f"no progress for {quiet:.0f} s")
            elif quiet > idle and not connection.exchanges:
                self._cut(connection, "idle", f"no request for {quiet:.0f} s")
