"""A node: what crashes together.

One disk, one clock reading, one seeded random, and the actors of one process. A node is sans-IO (aioquic's shape): the
world around it calls one of the inputs (`start`, `deliver`, `advance`, `synced`, `job_done`, `tell`, `peer_gone`,
`peer_back`), then takes the effects with `flush()` and asks for the next `deadline`. It does nothing by itself.

The order of effects is a contract: what was sent with `after=generation` is handed out only once that generation is
durable, and dies with the node before that. Messages to the node's own actors are delivered within the same input.

Every envelope names the life that it is meant for. One for another life is dropped and answered with `Reborn`, since
a connection delivers to a restarted process what was queued for the dead one.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from ..storage.disk import Disk, Generation, JobId
from ..storage.jobs import Job
from .envelope import RouteGone
from .kernel import (
    Actor,
    Address,
    Context,
    Event,
    Incarnation,
    JobDone,
    Message,
    Millis,
    Timer,
    actor_of,
    address,
    node_of,
)
from .messages import PROTOCOL_VERSION, Envelope, PeerBack, PeerGone, Reborn

LOCAL = Address("local")
"""The sender of what the process itself tells an actor."""


class Outgoing(NamedTuple):
    """An envelope for a node (an endpoint) or a route (`@...`)."""

    to: str
    envelope: Envelope


class Effects(NamedTuple):
    """What a node wants done. Sending comes after everything that it must wait for; nothing else is ordered."""

    outgoing: list[Outgoing]
    published: list[tuple[str, Envelope]]
    jobs: list[tuple[JobId, Job]]
    events: list[tuple[Address, Event]]
    stop: str | None  # why this node wants its process to end, or None


class _Context(Context):
    """One actor's view of its node."""

    def __init__(self, node: Node, actor: str) -> None:
        self._node = node
        self._actor = actor
        self._me = address(node.endpoint, actor)

    @property
    def me(self) -> Address:
        return self._me

    @property
    def incarnation(self) -> Incarnation:
        return self._node.incarnation

    @property
    def now(self) -> Millis:
        return self._node.now

    @property
    def wall(self) -> Millis:
        return self._node.wall

    @property
    def random(self) -> Random:
        return self._node.random

    @property
    def disk(self) -> Disk:
        return self._node.disk

    def send(self, to: Address, message: Message, after: Generation | None = None) -> None:
        self._node._send(self._actor, to, message, after)

    def publish(self, topic: str, message: Message) -> None:
        self._node._publish(self._actor, topic, message)

    def set_timer(self, timer: Timer, delay_ms: int) -> None:
        self._node._set_timer(self._actor, timer, delay_ms)

    def cancel_timer(self, timer: Timer) -> None:
        self._node._timers.pop((self._actor, timer), None)

    def submit(self, job: Job) -> JobId:
        return self._node._submit(self._actor, job)

    def emit(self, event: Event) -> None:
        self._node._events.append((self._me, event))

    def stop(self, reason: str) -> None:
        self._node._stop = self._node._stop or reason


class Node:
    """The actors of one process around one disk. After every input take `flush()` and look at `deadline`."""

    def __init__(
        self, endpoint: str, incarnation: Incarnation, disk: Disk, random: Random, actors: dict[str, Actor]
    ) -> None:
        self.endpoint = endpoint
        self.incarnation = incarnation
        self.disk = disk
        self.random = random
        self.actors = actors
        self.now = Millis(0)
        self.wall = Millis(0)
        self.dropped = 0  # messages for another life, or for an actor that does not live here
        self.ran: set[str] = set()  # who has handled anything since a watcher emptied it: the others are as before
        self._contexts = {name: _Context(self, name) for name in actors}
        self._lives: dict[str, Incarnation] = {}  # by endpoint and by route: the life last heard from
        self._timers: dict[tuple[str, Timer], tuple[Millis, int]] = {}
        self._heap: list[tuple[Millis, int, str, Timer]] = []
        self._sequence = 0
        self._held: deque[tuple[Generation, Outgoing]] = deque()
        self._local: deque[tuple[str, Address, Message]] = deque()
        self._jobs: dict[JobId, tuple[str, Job]] = {}
        self._outgoing: list[Outgoing] = []
        self._published: list[tuple[str, Envelope]] = []
        self._submitted: list[tuple[JobId, Job]] = []
        self._events: list[tuple[Address, Event]] = []
        self._stop: str | None = None

    # --- Inputs ---

    def start(self, now: Millis, wall: Millis) -> None:
        """Begin: every actor recovers from the disk."""
        self.now, self.wall = now, wall
        self.ran.update(self.actors)
        for name, actor in self.actors.items():
            actor.on_start(self._contexts[name])
        self._drain()

    def deliver(self, envelope: Envelope, origin: str, now: Millis, wall: Millis) -> None:
        """A message came from `origin`: a route (`@...`) for requests, an endpoint for replies and broadcasts."""
        self.now, self.wall = now, wall
        self._lives[origin] = envelope.incarnation
        body = envelope.body
        if envelope.to_incarnation not in (0, self.incarnation):
            self.dropped += 1
            if type(body) is not Reborn:
                to = address(origin, actor_of(Address(envelope.sender)))
                self._hand_out(Outgoing(origin, self._envelope(envelope.to, to, Reborn())))
            return
        actor = self.actors.get(envelope.to)
        if actor is None:
            self.dropped += type(body) is not Reborn
            return
        sender = address(origin, actor_of(Address(envelope.sender)))
        self.ran.add(envelope.to)
        actor.on_message(sender, body, self._contexts[envelope.to])
        self._drain()

    def tell(self, actor: str, message: Message, now: Millis, wall: Millis) -> None:
        """The process itself says something to one of its actors."""
        self.now, self.wall = now, wall
        self.ran.add(actor)
        self.actors[actor].on_message(LOCAL, message, self._contexts[actor])
        self._drain()

    def peer_gone(self, node: str, incarnation: Incarnation, now: Millis, wall: Millis) -> None:
        """Nobody listens at `node` any more: a hint to all actors. Incarnation 0: the life last heard from."""
        self.now, self.wall = now, wall
        known = self._lives.pop(node, Incarnation(0))
        gone = PeerGone(node, incarnation or known, disconnected_at=now)
        self.ran.update(self.actors)
        for name, actor in self.actors.items():
            actor.on_message(LOCAL, gone, self._contexts[name])
        self._drain()

    def peer_back(self, node: str, now: Millis, wall: Millis) -> None:
        """The connection to `node` had dropped and is there again: a hint to all actors."""
        self.now, self.wall = now, wall
        self.ran.update(self.actors)
        for name, actor in self.actors.items():
            actor.on_message(LOCAL, PeerBack(node), self._contexts[name])
        self._drain()

    def route_gone(self, route: str, now: Millis, wall: Millis) -> None:
        """The connection behind a route has closed; replies to it are lost. A hint to all actors."""
        self.now, self.wall = now, wall
        self._lives.pop(route, None)
        gone = RouteGone(route)
        self.ran.update(self.actors)
        for name, actor in self.actors.items():
            actor.on_message(LOCAL, gone, self._contexts[name])
        self._drain()

    def advance(self, now: Millis, wall: Millis) -> None:
        """Time has passed: fire what is due, in the order of deadlines."""
        self.now, self.wall = now, wall
        while self._heap and self._heap[0][0] <= now:
            due, sequence, name, timer = heappop(self._heap)
            if self._timers.get((name, timer)) != (due, sequence):
                continue
            del self._timers[name, timer]
            self.ran.add(name)
            self.actors[name].on_timer(timer, self._contexts[name])
            self._drain()

    def synced(self, generation: Generation, now: Millis, wall: Millis) -> None:
        """Everything written up to `generation` is durable: let go of what waited for it, then tell the actors."""
        self.now, self.wall = now, wall
        keep: deque[tuple[Generation, Outgoing]] = deque()
        for after, outgoing in self._held:
            if after <= generation:
                self._hand_out(outgoing)
            else:
                keep.append((after, outgoing))
        self._held = keep
        self.ran.update(self.actors)
        for name, actor in self.actors.items():
            actor.on_synced(generation, self._contexts[name])
        self._drain()

    def job_done(self, job_id: JobId, result: object, error: str | None, now: Millis, wall: Millis) -> None:
        """A submitted job has ended."""
        self.now, self.wall = now, wall
        name, job = self._jobs.pop(job_id)
        self.ran.add(name)
        self.actors[name].on_job(JobDone(job_id, job, result, error), self._contexts[name])
        self._drain()

    # --- Outputs ---

    def flush(self) -> Effects:
        """Take all effects since the last time."""
        effects = Effects(self._outgoing, self._published, self._submitted, self._events, self._stop)
        self._outgoing, self._published, self._submitted, self._events = [], [], [], []
        return effects

    @property
    def deadline(self) -> Millis | None:
        """When `advance` has something to do, or None."""
        while self._heap:
            due, sequence, name, timer = self._heap[0]
            if self._timers.get((name, timer)) == (due, sequence):
                return due
            heappop(self._heap)
        return None

    # --- What contexts ask for ---

    def _envelope(self, actor: str, to: Address, body: Message) -> Envelope:
        node, _, target = to.rpartition("/")
        life = self._lives.get(node, Incarnation(0))
        return Envelope(PROTOCOL_VERSION, address(self.endpoint, actor), self.incarnation, target, life, body)

    def _send(self, actor: str, to: Address, message: Message, after: Generation | None) -> None:
        outgoing = Outgoing(node_of(to), self._envelope(actor, to, message))
        if after is None or after <= self.disk.synced:
            self._hand_out(outgoing)
        else:
            self._held.append((after, outgoing))

    def _hand_out(self, outgoing: Outgoing) -> None:
        if outgoing.to == self.endpoint:
            envelope = outgoing.envelope
            self._local.append((envelope.to, Address(envelope.sender), envelope.body))
        else:
            self._outgoing.append(outgoing)

    def _publish(self, actor: str, topic: str, message: Message) -> None:
        envelope = Envelope(
            PROTOCOL_VERSION, address(self.endpoint, actor), self.incarnation, "", Incarnation(0), message
        )
        self._published.append((topic, envelope))

    def _set_timer(self, actor: str, timer: Timer, delay_ms: int) -> None:
        due = Millis(self.now + max(0, delay_ms))
        self._sequence += 1
        self._timers[actor, timer] = (due, self._sequence)
        heappush(self._heap, (due, self._sequence, actor, timer))

    def _submit(self, actor: str, job: Job) -> JobId:
        self._sequence += 1
        job_id = JobId(self._sequence)
        self._jobs[job_id] = (actor, job)
        self._submitted.append((job_id, job))
        return job_id

    def _drain(self) -> None:
        """Deliver what the node's actors say to each other."""
        while self._local:
            name, sender, message = self._local.popleft()
            actor = self.actors.get(name)
            if actor is None:
                self.dropped += 1
                continue
            self.ran.add(name)
            actor.on_message(sender, message, self._contexts[name])
