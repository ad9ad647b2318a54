"""A world of many nodes: one event heap, pumped synchronously.

The world stands where processes, sockets, disks' flushers and clocks stand in reality. Pumped directly under virtual
time it is the simulator's; pumped by one thread under wall time it is an embedded cluster. It decides nothing that a
protocol could rely on: the `Network` says what becomes of each message, `Flushing` how long a flush takes, and the
simulator's nemesis crashes, pauses and cuts.

What it keeps faithful to ZeroMQ: a request travels on the connection that its sender holds to the addressee, a reply
on the connection that the request came on. A connection dies with either end; what was on it is lost or, if it waited
for a process that comes back, delivered to the next life. Subscribers get broadcasts only while they are connected.
Every message is encoded and decoded, so nodes share no memory, and the trace hash covers every byte said.

Time is in microseconds here, so that a network faster than a millisecond has an order; actors see milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple, Protocol

import msgspec

from ..actors.kernel import Actor, Address, Event, Incarnation, Message, Millis
from ..actors.messages import Envelope
from ..actors.node import Node
from ..storage.disk import Buffer, Flush, Flushable, JobId, StorageError
from ..storage.jobs import Job
from ..transport.codec import Codec

Micros = int


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


class Perfect:
    """A network that loses nothing and takes 100 µs."""

    def delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        return (100,)

    def broadcast_delays(self, source: str, target: str, size: int, now: Micros) -> Sequence[Micros]:
        return (100,)

    def in_order(self, source: str, target: str) -> bool:
        return True


class Boot(NamedTuple):
    """What a process knows when it starts."""

    name: str
    incarnation: Incarnation
    disk: Flushable
    random: Random


class Clock(msgspec.Struct):
    """How a host sees time. `rate_ppm` drifts its monotonic clock, `wall_offset_ms` shifts its wall clock."""

    rate_ppm: int = 0
    wall_offset_ms: int = 0

    def monotonic(self, now: Micros) -> Millis:
        return Millis((now + now * self.rate_ppm // 1_000_000) // 1000)

    def due(self, at: Millis) -> Micros:
        """The world's time at which `monotonic` reaches `at`."""
        time = at * 1000 * 1_000_000 // (1_000_000 + self.rate_ppm)
        while self.monotonic(time) < at:
            time += 1
        return time


EPOCH_WALL_MS = 1_700_000_000_000


class Host:
    """One machine with at most one living process."""

    def __init__(self, name: str, factory: Callable[[Boot], dict[str, Actor]], disk: Flushable, topics: Sequence[str]):
        self.name = name
        self.factory = factory
        self.disk = disk
        self.subscriptions = tuple(topics)  # of broadcasts, to be delivered to `subscriber`
        self.subscriber = ""
        self.clock = Clock()
        self.node: Node | None = None
        self.life = 0  # counts starts: whatever was scheduled for an earlier one is void
        self.paused_until: Micros = 0
        self.flushing = False
        self.alarm: Micros | None = None  # when its next timer is scheduled
        self.stopped: str | None = None  # why the process ended by itself
        self.slowness = 1  # multiplies flush and job times


class _Connection(msgspec.Struct, eq=False):
    """A DEALER's connection: made by `source`, it lives until either end dies or it is reset."""

    number: int
    source: str
    target: str
    lives: tuple[int, int]
    open: bool = True
    busy_there: Micros = 0  # nothing overtakes on a stream
    busy_back: Micros = 0

    @property
    def route(self) -> str:
        return f"@{self.source}#{self.number}"


class Observer(Protocol):
    """Somebody who watches everything and changes nothing."""

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        """Let out by `source`, before the network decides."""

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        """About to be handled."""

    def handled(self, world: World, host: Host) -> None:
        """After every single input of a node, its effects taken."""

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        """An actor emitted an event."""


class World:
    """See the module's essay. Use: `add`, `start`, then `run_until` or `step`."""

    def __init__(self, seed: int, network: Network | None = None, observers: Sequence[Observer] = ()) -> None:
        self.seed = seed
        self.now: Micros = 0
        self.network = network or Perfect()
        self.observers = list(observers)
        self.hosts: dict[str, Host] = {}
        self.steps = 0
        self.flush_time: Callable[[Host], Micros] = lambda host: 300
        self.job_time: Callable[[Host], Micros] = lambda host: 500
        self.gone_time: Callable[[str, str], Micros | None] = lambda watcher, gone: 25_000
        self.route_gone_time: Callable[[str, str], Micros | None] = lambda watcher, gone: 1_000
        self.holds_for_next_life: Callable[[str, str], bool] = lambda source, target: False
        self.on_failure: Callable[[Host, Exception], None] | None = None
        self._codec = Codec()
        self._heap: list[tuple[Micros, bool, int, Callable[[], None]]] = []
        self._sequence = 0
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._by_route: dict[str, _Connection] = {}
        self._connection_count = 0
        self._waiting: dict[str, list[tuple[str, list[Buffer]]]] = {}
        self._trace = blake2b(digest_size=16)

    # --- Building and breaking ---

    def random(self, label: str) -> Random:
        """An independent stream of chance: a call more in one place does not shift the others."""
        return Random(blake2b(f"{self.seed}/{label}".encode(), digest_size=8).digest())

    def add(
        self,
        name: str,
        factory: Callable[[Boot], dict[str, Actor]],
        disk: Flushable,
        subscriptions: Sequence[str] = (),
        subscriber: str = "",
    ) -> Host:
        """A machine. `subscriptions` are broadcast topics delivered to its actor `subscriber`."""
        host = self.hosts[name] = Host(name, factory, disk, subscriptions)
        host.subscriber = subscriber
        return host

    def start(self, name: str) -> None:
        """Start the process of a host that has none."""
        host = self.hosts[name]
        assert host.node is None, f"{name} runs already"
        host.life += 1
        host.stopped = None
        host.paused_until = 0
        host.flushing = False
        host.alarm = None
        random = self.random(f"{name}/{host.life}")
        incarnation = Incarnation(random.getrandbits(62) | 1)
        boot = Boot(name, incarnation, host.disk, random)
        host.node = Node(name, incarnation, host.disk, random, host.factory(boot))
        self._note(f"start {name}")
        node = host.node
        self._input(host, lambda: node.start(*self._times(host)))
        for source, frames in self._waiting.pop(name, []):
            if source in self.hosts:
                self._transmit(source, name, frames)

    def crash(self, name: str) -> None:
        """kill -9: the process is gone, its page cache stays. Watchers of its connections may hear of it."""
        host = self.hosts[name]
        node = host.node
        if node is None:
            return
        self._note(f"crash {name}")
        host.node = None
        host.life += 1
        for connection in list(self._connections.values()):
            if name in (connection.source, connection.target):
                self._close(connection)
        crash = getattr(host.disk, "crash", None)
        if crash is not None:
            crash()
        for watcher in sorted(self.hosts):
            if watcher != name:
                self._announce_gone(watcher, name, node.incarnation)

    def power_loss(self, name: str) -> None:
        """The machine loses power: what was not durable is lost or torn."""
        self.crash(name)
        self._note(f"power {name}")
        self.hosts[name].disk.power_loss()  # type: ignore[attr-defined]

    def pause(self, name: str, duration: Micros) -> None:
        """SIGSTOP, then SIGCONT: nothing runs meanwhile, then everything that waited comes in a burst."""
        self._note(f"pause {name} {duration}")
        self.hosts[name].paused_until = max(self.hosts[name].paused_until, self.now + duration)

    def resume(self, name: str) -> None:
        """SIGCONT now."""
        self.hosts[name].paused_until = 0

    def reset_connections(self, source: str, target: str) -> None:
        """Reset the connection that `source` holds to `target`; what is on it is lost."""
        connection = self._connections.get((source, target))
        if connection is not None:
            self._note(f"reset {source} {target}")
            self._close(connection)

    def hint_gone(self, watcher: str, name: str) -> None:
        """A false hint: `watcher` is told that `name` is gone."""
        host = self.hosts[watcher]
        if host.node is not None:
            node = host.node
            self._input(host, lambda: node.peer_gone(name, Incarnation(0), *self._times(host)))

    def tell(self, name: str, actor: str, message: Message) -> None:
        """The process of `name` tells one of its actors something (clients' commands)."""
        host = self.hosts[name]
        if host.node is not None:
            node = host.node
            self._input(host, lambda: node.tell(actor, message, *self._times(host)))

    def at(self, delay: Micros, action: Callable[[], None], *, first: bool = False) -> None:
        """Do something later: for the nemesis and workloads. `first`: before all else that happens at that instant."""
        self._push(self.now + max(0, delay), action, first=first)

    # --- Running ---

    def step(self) -> bool:
        """Handle the next event. False when there is none."""
        if not self._heap:
            return False
        self.now, _, _, action = heappop(self._heap)
        self.steps += 1
        action()
        return True

    def run_until(self, time: Micros) -> None:
        """Handle everything up to `time`."""
        while self._heap and self._heap[0][0] <= time:
            self.step()
        self.now = max(self.now, time)

    def run_while(self, condition: Callable[[], bool], limit: Micros) -> bool:
        """Run while the condition holds, at most for `limit`. True if it stopped holding."""
        end = self.now + limit
        while condition():
            if not self._heap or self._heap[0][0] > end:
                self.now = end
                return False
            self.step()
        return True

    def trace_hash(self) -> str:
        """Digest of everything that happened so far: equal seeds give equal digests."""
        return self._trace.hexdigest()

    # --- One input of one node ---

    def _times(self, host: Host) -> tuple[Millis, Millis]:
        return host.clock.monotonic(self.now), Millis(EPOCH_WALL_MS + self.now // 1000 + host.clock.wall_offset_ms)

    def _input(self, host: Host, action: Callable[[], None]) -> None:
        """Give a living node an input, then carry out its effects."""
        node = host.node
        if node is None:
            return
        try:
            action()
        except StorageError as error:
            self._died(host, error)
            return
        effects = node.flush()
        for actor, event in effects.events:
            self._note(f"event {actor} {event!r}")
            for observer in self.observers:
                observer.happened(self, host, actor, event)
        for to, envelope in effects.outgoing:
            for observer in self.observers:
                observer.sent(self, host.name, to, envelope)
            self._transmit(host.name, to, self._codec.encode(envelope))
        for topic, envelope in effects.published:
            self._broadcast(host.name, topic, envelope)
        for job_id, job in effects.jobs:
            self._schedule_job(host, job_id, job)
        self._schedule_flush(host)
        self._schedule_alarm(host)
        for observer in self.observers:
            observer.handled(self, host)
        if effects.stop is not None and host.node is node:
            host.stopped = effects.stop
            self._note(f"stop {host.name} {effects.stop}")
            self.crash(host.name)

    def _died(self, host: Host, error: StorageError) -> None:
        host.stopped = str(error)
        self._note(f"died {host.name} {error}")
        if self.on_failure is not None:
            self.on_failure(host, error)
        self.crash(host.name)

    def _later(self, host: Host, delay: Micros, action: Callable[[], None]) -> None:
        """An input for this life of a host, postponed while it is paused."""
        life = host.life

        def run() -> None:
            if host.life != life:
                return
            if self.now < host.paused_until:
                self._push(host.paused_until, run)
                return
            action()

        self._push(self.now + delay, run)

    def _push(self, time: Micros, action: Callable[[], None], *, first: bool = False) -> None:
        self._sequence += 1
        heappush(self._heap, (time, not first, self._sequence, action))

    # --- Disk, jobs, timers ---

    def _schedule_flush(self, host: Host) -> None:
        node = host.node
        if node is None or host.flushing or not host.disk.dirty():
            return
        host.flushing = True
        flush = host.disk.start_flush()
        self._later(host, self.flush_time(host) * host.slowness, lambda: self._flushed(host, flush))

    def _flushed(self, host: Host, flush: Flush) -> None:
        node = host.node
        assert node is not None
        host.flushing = False
        try:
            flush.run()
            generation = host.disk.finish_flush(flush)
        except StorageError as error:
            self._died(host, error)
            return
        self._note(f"synced {host.name} {generation}")
        self._input(host, lambda: node.synced(generation, *self._times(host)))

    def _schedule_job(self, host: Host, job_id: JobId, job: Job) -> None:
        def run() -> None:
            node = host.node
            assert node is not None
            result: object = None
            failure: str | None = None
            try:
                result = job.run(host.disk)
            except StorageError as error:
                failure = str(error)
            self._note(f"job {host.name} {job.name} {failure}")
            self._input(host, lambda: node.job_done(job_id, result, failure, *self._times(host)))

        self._later(host, self.job_time(host) * host.slowness, run)

    def _schedule_alarm(self, host: Host) -> None:
        node = host.node
        deadline = node.deadline if node is not None else None
        if deadline is None:
            return
        due = max(self.now, host.clock.due(deadline))
        if host.alarm is not None and self.now <= host.alarm <= due:
            return
        host.alarm = due
        self._later(host, due - self.now, lambda: self._ring(host, due))

    def _ring(self, host: Host, due: Micros) -> None:
        node = host.node
        if node is None or host.alarm != due:
            return
        host.alarm = None
        self._input(host, lambda: node.advance(*self._times(host)))

    # --- The network ---

    def _transmit(self, source: str, to: str, frames: list[Buffer]) -> None:
        if to.startswith("@"):
            connection = self._by_route.get(to)
            if connection is None or not connection.open:
                return
            self._carry(connection, frames, back=True)
            return
        target = self.hosts.get(to)
        if target is None:
            return
        if target.node is None:
            if self.holds_for_next_life(source, to):
                self._waiting.setdefault(to, []).append((source, frames))
            return
        self._carry(self._connect(source, to), frames, back=False)

    def _connect(self, source: str, target: str) -> _Connection:
        connection = self._connections.get((source, target))
        if connection is None:
            self._connection_count += 1
            lives = (self.hosts[source].life, self.hosts[target].life)
            connection = _Connection(self._connection_count, source, target, lives)
            self._connections[source, target] = connection
            self._by_route[connection.route] = connection
        return connection

    def _carry(self, connection: _Connection, frames: list[Buffer], *, back: bool) -> None:
        source, target = (connection.target, connection.source) if back else (connection.source, connection.target)
        frozen = [bytes(frame) for frame in frames]
        size = sum(map(len, frozen))
        in_order = self.network.in_order(source, target)
        host = self.hosts[target]
        origin = source if back else connection.route

        def arrive() -> None:
            if connection.open:
                self._receive(host, frozen, origin)

        for delay in self.network.delays(source, target, size, self.now):
            time = self.now + delay
            if in_order:
                time = max(time, connection.busy_back if back else connection.busy_there)
                if back:
                    connection.busy_back = time
                else:
                    connection.busy_there = time
            self._later(host, time - self.now, arrive)

    def _receive(self, host: Host, frames: list[bytes], origin: str, actor: str | None = None) -> None:
        node = host.node
        if node is None:
            return
        self._note(f"deliver {origin} {host.name}")
        for frame in frames:
            self._trace.update(frame)
        envelope = self._codec.decode(frames)
        if actor is not None:
            envelope = msgspec.structs.replace(envelope, to=actor)
        for observer in self.observers:
            observer.delivered(self, host.name, envelope)
        self._input(host, lambda: node.deliver(envelope, origin, *self._times(host)))

    def _broadcast(self, source: str, topic: str, envelope: Envelope) -> None:
        for observer in self.observers:
            observer.sent(self, source, topic, envelope)
        frames = [bytes(frame) for frame in self._codec.encode(envelope)]
        size = sum(map(len, frames))
        for name in sorted(self.hosts):
            host = self.hosts[name]
            if topic not in host.subscriptions or host.node is None:
                continue
            network = self.network
            delays = network.broadcast_delays(source, name, size, self.now) if name != source else (50,)
            for delay in delays:
                self._later(host, delay, partial(self._receive, host, frames, source, host.subscriber))

    def _close(self, connection: _Connection) -> None:
        connection.open = False
        self._connections.pop((connection.source, connection.target), None)
        self._by_route.pop(connection.route, None)
        target = self.hosts[connection.target]
        node = target.node
        delay = self.route_gone_time(connection.target, connection.source)
        if node is not None and delay is not None:
            gone = partial(node.route_gone, connection.route)
            self._later(target, delay, lambda: self._input(target, lambda: gone(*self._times(target))))

    def _announce_gone(self, watcher: str, gone: str, incarnation: Incarnation) -> None:
        host = self.hosts[watcher]
        delay = self.gone_time(watcher, gone)
        if host.node is None or delay is None:
            return

        def hint() -> None:
            if self.hosts[gone].node is None and host.node is not None:
                node = host.node
                self._input(host, lambda: node.peer_gone(gone, incarnation, *self._times(host)))

        self._later(host, delay, hint)

    def _note(self, what: str) -> None:
        self._trace.update(f"{self.now} {what}\n".encode())
