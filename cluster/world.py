"""A world of many nodes: one event heap, pumped synchronously.

The world stands where processes, sockets, disks' flushers and clocks stand in reality. Pumped directly under virtual
time it is the simulator's; pumped by one thread under wall time it is an embedded cluster. It decides nothing that a
protocol could rely on: the `Network` says what becomes of each message, `Flushing` how long a flush takes, and the
simulator's nemesis crashes, pauses and cuts.

What is said travels on `connections`, which behave like ZeroMQ's; broadcasts go to whoever is there to hear them.
Every message is encoded and decoded, so nodes share no memory, and the trace hash covers every byte said.

Time is in microseconds here, so that a network faster than a millisecond has an order; actors see milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from typing import Protocol

import msgspec

from ..actors.kernel import Actor, Address, Event, Incarnation, Message, Millis
from ..actors.messages import Envelope
from ..actors.node import Node
from ..storage.disk import Flush, Flushable, JobId, StorageError
from ..storage.jobs import Job
from ..storage.memory import Killed
from ..transport.codec import Codec
from .connections import Connection, Connections, Network, Perfect
from .host import EPOCH_WALL_MS, Boot, Clock, Host, Micros

RECONNECT: Micros = 30_000
"""How long a connection that was reset takes to be there again."""

__all__ = ["EPOCH_WALL_MS", "Boot", "Clock", "Host", "Micros", "Network", "Observer", "Perfect", "World"]


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


class Onlooker:
    """An `Observer` of nothing: whoever inherits from it defines what it looks at."""

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        """Not looked at."""

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        """Not looked at."""

    def handled(self, world: World, host: Host) -> None:
        """Not looked at."""

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        """Not looked at."""


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
        self.lets_die: tuple[type[Exception], ...] = (StorageError, Killed)  # end a process; others end the run
        self._codec = Codec()
        self._heap: list[tuple[Micros, bool, int, Callable[[], None]]] = []
        self._sequence = 0
        self._connections = Connections(self)
        self._waiting: dict[str, list[tuple[str, list[bytes]]]] = {}
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
        host.paused_until = host.busy_until = 0
        host.backlog.clear()
        host.flushing = None
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
        for connection in self._connections.of(name):
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
        host = self.hosts[name]
        host.paused_until = 0
        if host.backlog:
            self._push(self.now, lambda: self._drain(host))

    def reset_connections(self, source: str, target: str) -> None:
        """Reset the connection that `source` holds to `target`; what is on it is lost. It is soon made again."""
        connection = self._connections.between(source, target)
        if connection is not None:
            self._note(f"reset {source} {target}")
            self._close(connection)
            host = self.hosts[source]
            self.later(host, RECONNECT, lambda: self._announce_back(host, target))

    def _announce_back(self, host: Host, target: str) -> None:
        """The handshake has succeeded, or so it seems: while the link is cut this is a false hint."""
        node = host.node
        if node is not None and self.hosts[target].node is not None:
            self._note(f"back {host.name} {target}")
            self._input(host, lambda: node.peer_back(target, *self._times(host)))

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
        host.busy_until = self.now + host.cpu_us
        node.ran.clear()
        try:
            action()
        except self.lets_die as error:
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
            self._transmit(host.name, to, [bytes(frame) for frame in self._codec.encode(envelope)])
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

    def _died(self, host: Host, error: Exception) -> None:
        host.stopped = str(error)
        self._note(f"died {host.name} {error}")
        if self.on_failure is not None:
            self.on_failure(host, error)
        self.crash(host.name)

    def later(self, host: Host, delay: Micros, action: Callable[[], None]) -> None:
        """An input for this life of a host: at the earliest when it is not paused and not busy with another."""
        life = host.life

        def run() -> None:
            if host.life != life:
                return
            if host.backlog or self.now < host.paused_until or self.now < host.busy_until:
                host.backlog.append((life, action))
                self._drain_later(host)
            else:
                action()

        self._push(self.now + delay, run)

    def _drain_later(self, host: Host) -> None:
        if not host.draining:
            host.draining = True
            self._push(host.ready_at(self.now), lambda: self._drain(host))

    def _drain(self, host: Host) -> None:
        """One input that has waited, and then the next one."""
        host.draining = False
        while host.backlog and host.backlog[0][0] != host.life:
            host.backlog.popleft()
        if not host.backlog:
            return
        if self.now >= host.ready_at(self.now):
            host.backlog.popleft()[1]()
        self._drain_later(host)

    def _push(self, time: Micros, action: Callable[[], None], *, first: bool = False) -> None:
        self._sequence += 1
        heappush(self._heap, (time, not first, self._sequence, action))

    # --- Disk, jobs, timers ---

    def _schedule_flush(self, host: Host) -> None:
        node = host.node
        if node is None or host.flushing is not None or not host.disk.dirty():
            return
        flush = host.flushing = host.disk.start_flush()
        self.later(host, self.flush_time(host) * host.slowness, lambda: self._flushed(host, flush))

    def hurry(self, host: Host) -> None:
        """The disk is fast again: a flush that is under way ends now."""
        flush = host.flushing
        if flush is not None and host.node is not None:
            self.later(host, 0, lambda: self._flushed(host, flush))

    def _flushed(self, host: Host, flush: Flush) -> None:
        node = host.node
        assert node is not None
        if host.flushing is not flush:
            return  # it was hurried
        host.flushing = None
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

        self.later(host, self.job_time(host) * host.slowness, run)

    def _schedule_alarm(self, host: Host) -> None:
        node = host.node
        deadline = node.deadline if node is not None else None
        if deadline is None:
            return
        alarm, now = host.alarm, self.now
        if alarm is not None and now <= alarm and host.alarm_for == (deadline, host.clock.rate_ppm):
            return  # what most inputs leave as it is
        due = max(now, host.clock.due(deadline))
        if alarm is not None and now <= alarm <= due:
            return
        host.alarm, host.alarm_for = due, (deadline, host.clock.rate_ppm)
        self.later(host, due - self.now, lambda: self._ring(host, due))

    def _ring(self, host: Host, due: Micros) -> None:
        node = host.node
        if node is None or host.alarm != due:
            return
        host.alarm = None
        self._input(host, lambda: node.advance(*self._times(host)))

    # --- The network ---

    def _transmit(self, source: str, to: str, frames: list[bytes]) -> None:
        if to.startswith("@"):
            self._connections.reply(to, frames)
            return
        target = self.hosts.get(to)
        if target is None:
            return
        if target.node is not None:
            self._connections.request(source, to, frames)
        elif self.holds_for_next_life(source, to):
            self._waiting.setdefault(to, []).append((source, frames))

    def receive(self, host: Host, frames: list[bytes], origin: str, actor: str | None = None) -> None:
        """A message has arrived: `origin` is a host's name, or a route to reply to."""
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
                self.later(host, delay, partial(self.receive, host, frames, source, host.subscriber))

    def _close(self, connection: Connection) -> None:
        self._connections.close(connection)
        target = self.hosts[connection.target]
        node = target.node
        delay = self.route_gone_time(connection.target, connection.source)
        if node is not None and delay is not None:
            gone = partial(node.route_gone, connection.route)
            self.later(target, delay, lambda: self._input(target, lambda: gone(*self._times(target))))

    def _announce_gone(self, watcher: str, gone: str, incarnation: Incarnation) -> None:
        host = self.hosts[watcher]
        delay = self.gone_time(watcher, gone)
        if host.node is None or delay is None:
            return

        def hint() -> None:
            if self.hosts[gone].node is None and host.node is not None:
                node = host.node
                self._input(host, lambda: node.peer_gone(gone, incarnation, *self._times(host)))

        self.later(host, delay, hint)

    def _note(self, what: str) -> None:
        self._trace.update(f"{self.now} {what}\n".encode())
