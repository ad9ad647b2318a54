"""The process around a node: one loop that gives it messages, time, durability and results, and does what it asks.

A node is sans-IO, so this is all there is. One asyncio loop, and turns on it. A turn takes a few messages (at most 64,
or 5 ms of them), lets due timers fire, carries out the effects of each input at once, and at its end looks at the
sockets again, starts a flush if anything is dirty, and sets one alarm for the next timer. Two things run
elsewhere and come back as inputs: flushes, in one thread, and jobs, in a few.

How it ends. `close`, or the node's own `stop`: a last flush is finished, what waited for it is sent, everything is
closed. A failing disk, or any exception out of a handler: everything is closed at once, nothing more is written or
sent; that is what a crash is, and every protocol is made for it. Nothing is caught on the way: the loop hands every
exception of its callbacks to `_escaped`, so none can be swallowed.

The order of effects: the node gives out what must wait for durability only when `synced` told it so, and everything
it gives out is sent before the next input.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter
from typing import NamedTuple, Protocol, cast

from ..actors.kernel import Address, Event, Incarnation, Message, Millis
from ..actors.messages import Envelope
from ..actors.node import Node
from ..storage.disk import Flushable, Generation, JobId, StorageError
from .budget import Counters
from .clock import monotonic_ns, now_and_wall
from .elsewhere import Elsewhere
from .zeromq import Sockets

TURN_MESSAGES = 64
TURN_SECONDS = 0.005
SLOW_SECONDS = 0.020
LINGER_MS = 100  # at a graceful end: the last replies are with ZeroMQ, but perhaps not yet with the kernel

CLIENT = "client"
"""What a node calls itself that listens nowhere."""


class Ending(Enum):
    """The ways in which a shell ends."""

    CLOSED = "closed"  # somebody called `close`
    STOPPED = "stopped"  # the node asked for it
    STORAGE = "storage"  # the disk has failed
    BUG = "bug"  # an exception came out of a handler


class Door(Protocol):
    """Another way into the node than its ZeroMQ sockets: the Kafka door. It hears of replies to its own routes."""

    routes: str
    """What its routes begin with."""

    async def bind(self, loop: asyncio.AbstractEventLoop, ready: Callable[[], None]) -> None:
        """Take its port, before any actor has started. `ready` is for calling when `pending`. Raises TransportError."""
        ...

    @property
    def pending(self) -> bool:
        """Whether `step` has something to do."""
        ...

    def step(self, node: Node, now: Millis, wall: Millis) -> str:
        """Do one thing, which gives the node at most one input. What it was about, in a word, in case it was slow."""
        ...

    def reply(self, to: str, envelope: Envelope) -> None:
        """An actor's reply to one of its routes. It must not call the node from here."""
        ...

    def turned(self) -> None:
        """A turn is over."""
        ...

    def peer_dropped(self, endpoint: str) -> None:
        """The connection to a watched peer has dropped; that it is gone is not certain."""
        ...

    def peer_back(self, endpoint: str) -> None:
        """It is there again."""
        ...

    async def drain(self, seconds: float) -> None:
        """A graceful end: what is on its way has so long to leave."""
        ...

    def close(self) -> None:
        """The end."""
        ...


GRACEFUL = (Ending.CLOSED, Ending.STOPPED)


class Ended(NamedTuple):
    """How a shell ended, and a sentence for people."""

    how: Ending
    reason: str


def _nothing(*_: object) -> None:
    """The default of every callback."""


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")


class Shell:
    """One process's node. `run` or `serve` it once; `tell` and `close` may be called from any thread, at any time.

    node         the node, or what makes it once the endpoint is known: the bound one with its real port, or `CLIENT`
    disk         the node's disk, if that is not the one it holds; it is closed at the end
    bind         where the ROUTER listens; None: nowhere (clients)
    broadcast    where the PUB listens; None: this node publishes nothing
    subscribe    PUB endpoints to listen to; more with `subscribe()`
    topics       broadcast topic -> the actor that gets its messages
    dial         endpoint -> where to connect instead: a proxy that leads there
    watch        endpoints of peers whose death is to be noticed; more with `watch()`. `watch_all`: every peer asked
    door         another way in, with routes of its own
    on_turn      after each turn, on the loop: to look what the actors have learned, and subscribe or watch accordingly
    on_slow      a handler took so many seconds: what it was given, and how long
    log          text for people: tracebacks
    signals      signal number -> what to do on the loop; only where `run` is called in the main thread
    """

    def __init__(
        self,
        node: Node | Callable[[str], Node],
        *,
        disk: Flushable | None = None,
        bind: str | None = None,
        broadcast: str | None = None,
        subscribe: Sequence[str] = (),
        topics: Mapping[str, str] | None = None,
        watch: Sequence[str] = (),
        watch_all: bool = False,
        insecure: bool = False,
        dial: Mapping[str, str] | None = None,
        door: Door | None = None,
        on_start: Callable[[Shell], None] = _nothing,
        on_event: Callable[[Address, Event], None] = _nothing,
        on_turn: Callable[[Shell], None] = _nothing,
        on_slow: Callable[[str, float], None] = _nothing,
        on_stop: Callable[[Ended], None] = _nothing,
        log: Callable[[str], None] = _to_stderr,
        signals: Mapping[int, Callable[[], None]] | None = None,
    ) -> None:
        self.endpoint = ""  # known from `on_start` on
        self.broadcast_endpoint: str | None = None
        self.ended: Ended | None = None
        self._make = (lambda _: node) if isinstance(node, Node) else node
        self._disk = disk
        self._bind = bind
        self._broadcast = broadcast
        self._first_subscriptions = tuple(subscribe)
        self._topics = dict(topics or {})
        self._first_watched = tuple(watch)
        self._watch_all = watch_all
        self._insecure = insecure
        self._dial = dict(dial or {})
        self._door = door
        self._on_start = on_start
        self._on_event = on_event
        self._on_turn = on_turn
        self._on_slow = on_slow
        self._on_stop = on_stop
        self._log = log
        self._signals = dict(signals or {})
        self._told: deque[tuple[str, Message]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = True  # somebody has made sure that `_told` will be looked at
        self._over: asyncio.Future[None] | None = None
        self._node: Node | None = None
        self._sockets: Sockets | None = None
        self._elsewhere: Elsewhere | None = None
        self._scheduled = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: Millis | None = None

    # --- From any thread ---

    def tell(self, actor: str, message: Message) -> None:
        """Say something to one of the node's actors. In order; does not wait; after the end it is not heard."""
        self._told.append((actor, message))
        if not self._woken:
            self._woken = True
            self._post(self._listen)

    def close(self, reason: str = "it was closed") -> None:
        """End in good order, soon. `run` or `serve` returns when it is done."""
        if self._loop is None:
            self._finish(Ended(Ending.CLOSED, reason))
        else:
            self._post(partial(self._finish, Ended(Ending.CLOSED, reason)))

    # --- On the loop ---

    def subscribe(self, endpoint: str) -> None:
        """Listen to one more broadcaster. A second time does nothing."""
        self._open_sockets.subscribe(endpoint)

    def unsubscribe(self, endpoint: str) -> None:
        """Listen to it no longer."""
        self._open_sockets.unsubscribe(endpoint)

    def watch(self, endpoint: str) -> None:
        """Keep a connection to a peer, and tell all actors `PeerGone` when it has died. A second time does nothing."""
        if endpoint not in (self.endpoint, self.node.endpoint):
            self._open_sockets.watch(endpoint)

    def unwatch(self, endpoint: str) -> None:
        """Its death is not to be noticed any more."""
        self._open_sockets.unwatch(endpoint)

    @property
    def node(self) -> Node:
        """The node, from `on_start` on."""
        assert self._node is not None, "the shell has not started"
        return self._node

    @property
    def counters(self) -> Counters:
        """What went through the sockets."""
        return self._open_sockets.counters

    # --- Running ---

    def run(self) -> Ended:
        """Serve on a loop of its own (uvloop's, if that is installed) until the end. Raises TransportError."""
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(self.serve())

    async def serve(self) -> Ended:
        """Serve on the running loop until the end. Raises TransportError, before any actor has started."""
        assert self._loop is None, "a shell runs once"
        loop = self._loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(self._escaped)
        over = self._over = loop.create_future()
        self._sockets = Sockets(
            loop, self, self._topics, watch_all=self._watch_all, insecure=self._insecure, dial=self._dial
        )
        try:
            if self.ended is None:
                self._listen_at(self._sockets)
                if self._door is not None:
                    await self._door.bind(loop, self.ready)
                for number, action in self._signals.items():
                    loop.add_signal_handler(number, action)
                loop.call_soon(self._begin)
                await over
            assert self.ended is not None, "it is over"
            if self._door is not None and self.ended.how in GRACEFUL:
                await self._door.drain(LINGER_MS / 1000)
            return self.ended
        finally:
            self._close()
            for number in self._signals:
                loop.remove_signal_handler(number)
            loop.set_exception_handler(before)
            if self.ended is not None:
                self._on_stop(self.ended)

    def _listen_at(self, sockets: Sockets) -> None:
        """Before the actors start: whoever hears of them can reach them."""
        self.endpoint = CLIENT if self._bind is None else sockets.bind(self._bind)
        if self._broadcast is not None:
            self.broadcast_endpoint = sockets.bind_broadcast(self._broadcast)

    def _begin(self) -> None:
        node = self._node = self._make(self.endpoint)
        disk = self._disk or cast(Flushable, node.disk)  # every disk can be flushed; actors need not know
        self._elsewhere = Elsewhere(disk, self._post, self._synced, self._job_done)
        for endpoint in self._first_subscriptions:
            self.subscribe(endpoint)
        for endpoint in self._first_watched:
            self.watch(endpoint)
        self._on_start(self)
        node.start(*now_and_wall())
        self._carry_out(node)
        self._listen()
        self._turn()

    # --- Turns ---

    def ready(self) -> None:
        """The sockets have something."""
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _listen(self) -> None:
        self._woken = False  # before looking: what is told from now on wakes us again
        if self._told:
            self.ready()

    def _turn(self) -> None:
        self._scheduled = False
        node, sockets = self._node, self._sockets
        if node is None or sockets is None or self.ended is not None:
            return
        began = at = perf_counter()
        door = self._door
        for _ in range(TURN_MESSAGES):
            if self._told:
                actor, message = self._told.popleft()
                node.tell(actor, message, *now_and_wall())
                self._carry_out(node)
                at = self._timed(at, message)
            elif not sockets.pending and (door is None or not door.pending) and not sockets.settle():
                break
            if door is not None and door.pending and not self._ending():
                what = door.step(node, *now_and_wall())
                self._carry_out(node)
                at = self._timed(at, what)
            if sockets.pending and not self._ending():
                received = sockets.receive()
                if received is not None:
                    node.deliver(received.envelope, received.origin, *now_and_wall())
                    self._carry_out(node)
                    at = self._timed(at, received.envelope.body)
            if self._ending() or at - began > TURN_SECONDS:
                break
        self._advance(node)
        self._settle(node, sockets)

    def _advance(self, node: Node) -> None:
        deadline = node.deadline
        now, wall = now_and_wall()
        if deadline is not None and deadline <= now and self.ended is None:
            began = perf_counter()
            node.advance(now, wall)
            self._carry_out(node)
            self._timed(began, "timers")

    def _settle(self, node: Node, sockets: Sockets) -> None:
        """The end of every turn."""
        if self.ended is None:
            self._on_turn(self)
        if self._door is not None:
            self._door.turned()
        if sockets.settle() or self._told or (self._door is not None and self._door.pending):
            self.ready()
        if self._elsewhere is not None:
            self._elsewhere.flush()
        self._set_alarm(node)

    def _carry_out(self, node: Node) -> None:
        effects = node.flush()
        assert self._sockets is not None and self._elsewhere is not None, "made before the node starts"
        for actor, event in effects.events:
            self._on_event(actor, event)
        door = self._door
        for to, envelope in effects.outgoing:
            if door is not None and to.startswith(door.routes):
                door.reply(to, envelope)
            else:
                self._sockets.send(to, envelope)
        for topic, envelope in effects.published:
            self._sockets.publish(topic, envelope)
        for job_id, job in effects.jobs:
            self._elsewhere.submit(job_id, job)
        if effects.stop is not None:
            self._finish(Ended(Ending.STOPPED, effects.stop))

    def _input(self, what: str, give: Callable[[Millis, Millis], None]) -> None:
        """An input that did not come through `_turn`."""
        node, sockets = self._node, self._sockets
        if node is None or sockets is None or self._over is None or self._over.done():
            return
        began = perf_counter()
        give(*now_and_wall())
        self._carry_out(node)
        self._timed(began, what)
        self._settle(node, sockets)

    def _timed(self, began: float, what: object) -> float:
        now = perf_counter()
        if now - began > SLOW_SECONDS:
            self._on_slow(what if isinstance(what, str) else type(what).__name__, now - began)
        return now

    # --- Timers ---

    def _set_alarm(self, node: Node) -> None:
        """One alarm, never too late. It may ring too early: a timer that was cancelled is not worth another alarm."""
        deadline = node.deadline
        if deadline is None or self._loop is None or self.ended is not None:
            return
        if self._alarm is not None:
            if self._alarm_at is not None and self._alarm_at <= deadline:
                return
            self._alarm.cancel()
        self._alarm_at = deadline
        delay = (deadline * 1_000_000 - monotonic_ns()) / 1e9
        self._alarm = self._loop.call_later(max(0.0, delay), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._turn()

    # --- What comes back from elsewhere ---

    def _synced(self, generation: Generation) -> None:
        self._input("synced", partial(self.node.synced, generation))
        self._finish_if_flushed()

    def _job_done(self, job_id: JobId, result: object, failure: str | None) -> None:
        if self.ended is None:
            self._input("a job's result", partial(self.node.job_done, job_id, result, failure))

    # --- What the sockets tell ---

    def peer_disconnected(self, endpoint: str) -> Callable[[], None]:
        """See `Listener`."""
        if self._door is not None:
            self._door.peer_dropped(endpoint)
        return partial(self._peer_gone, endpoint)

    def peer_back(self, endpoint: str) -> None:
        """See `Listener`."""
        if self._door is not None:
            self._door.peer_back(endpoint)
        if self._node is not None and self.ended is None:
            self._input("a peer's return", partial(self._node.peer_back, endpoint))

    def route_gone(self, route: str) -> None:
        """See `Listener`. It may be told in the middle of a send, so it is an input of its own, soon."""
        if self._loop is not None:
            self._loop.call_soon(self._route_gone, route)

    def _route_gone(self, route: str) -> None:
        if self.ended is None and self._node is not None:
            self._input("a connection's end", partial(self._node.route_gone, route))

    def _peer_gone(self, endpoint: str) -> None:
        if self.ended is None:
            self._input("a peer's death", partial(self.node.peer_gone, endpoint, Incarnation(0)))

    # --- The end ---

    def _finish(self, ended: Ended) -> None:
        """Begin to end in good order: no more inputs but the last flush."""
        if self.ended is None:
            self.ended = ended
            if self._loop is not None:
                self._loop.call_soon(self._finish_if_flushed)

    def _finish_if_flushed(self) -> None:
        if self.ended is None or self._over is None or self._over.done():
            return
        if self._elsewhere is not None:
            self._elsewhere.flush()
        if self._elsewhere is None or not self._elsewhere.flushing:
            self._over.set_result(None)

    def _ending(self) -> bool:
        return self.ended is not None

    def _escaped(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """An exception came out of a callback: the node's state can no longer be trusted, or its disk."""
        error = context.get("exception")
        if not isinstance(error, Exception) or "handle" not in context:
            loop.default_exception_handler(context)
            return
        if isinstance(error, StorageError):
            self.ended = Ended(Ending.STORAGE, str(error))
        else:
            self._log("".join(traceback.format_exception(error)).rstrip())
            self.ended = Ended(Ending.BUG, f"{type(error).__name__}: {error}")
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _close(self) -> None:
        graceful = self.ended is not None and self.ended.how in GRACEFUL
        if self._alarm is not None:
            self._alarm.cancel()
        if self._door is not None:
            self._door.close()
        if self._sockets is not None:
            self._sockets.close(LINGER_MS if graceful else 0)
        if self._elsewhere is not None:
            self._elsewhere.close(wait=graceful)

    def _post(self, action: Callable[[], None]) -> None:
        """Do something on the loop, from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to hear it
                self._loop.call_soon_threadsafe(action)

    @property
    def _open_sockets(self) -> Sockets:
        assert self._sockets is not None, "the shell has not started"
        return self._sockets


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes uvloop's loops, where it is installed; None: asyncio's own."""
    if find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return factory
