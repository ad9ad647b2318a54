"""What an actor is, and all that it may know and ask for.

An actor is a deterministic state machine: it is told something (a message, a timer that fired, a generation that
became durable, a job that finished) and it answers by changing its own state and by asking its context for effects.
It never waits, never reads a clock, never draws chance from anywhere but `ctx.random`. Handlers run to completion.
That is the whole reason why the same classes run as processes over ZeroMQ, embedded in one process, and under a
simulator that loses, delays and duplicates everything.

Addresses are `"<node>/<actor>"`. The node part is an endpoint (`tcp://127.0.0.1:4711`, or `b1` in a simulated world).
The sender of a *request* is seen as `"@<route>/<actor>"`: the connection it came on, never a name that it claims, and
whoever replies sends to exactly that. A route dies with its connection, and what is sent to it then is lost.

Delivery is best effort. Messages are lost, duplicated and reordered; retries, deduplication and order are protocol.
"""

from __future__ import annotations

from random import Random
from typing import NewType, Protocol

import msgspec

from ..storage.disk import Disk, Generation, JobId
from ..storage.jobs import Job

Address = NewType("Address", str)
Millis = NewType("Millis", int)
Incarnation = NewType("Incarnation", int)


def address(node: str, actor: str) -> Address:
    """The address of an actor at a node."""
    return Address(f"{node}/{actor}")


def node_of(of: Address) -> str:
    """The node part: an endpoint, or `@route`."""
    return of.rpartition("/")[0]


def actor_of(of: Address) -> str:
    """The actor part."""
    return of.rpartition("/")[2]


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of everything that can be said. New fields come last, with defaults (msgspec's rule of evolution)."""


class Payload:
    """Bytes that travel as a frame of their own beside the message: record batches. Never copied, never parsed."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Payload) and bytes(self.data) == bytes(other.data)

    def __hash__(self) -> int:
        return hash(bytes(self.data))

    def __repr__(self) -> str:
        return f"<{len(self.data)} B>"


class Timer(msgspec.Struct, frozen=True):
    """Base of timers: small frozen structs, known by their value. Setting an equal one again moves it."""


class Event(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Base of what happened, in the catalogue `events.py`. Every change of state emits one, with its cause."""

    cause: str

    def sentence(self) -> str:
        """One plain sentence for people, without the cause."""
        raise NotImplementedError


class JobDone(msgspec.Struct, frozen=True):
    """A job ended. Exactly one of `result` and `error` counts: `error` is a sentence, or None if all went well."""

    id: JobId
    job: Job
    result: object
    error: str | None = None


class Context(Protocol):
    """All that an actor may know and ask for. The same object for its whole life; use it only while a handler runs."""

    @property
    def me(self) -> Address:
        """This actor's own address."""
        ...

    @property
    def incarnation(self) -> Incarnation:
        """Which life of this node this is: drawn anew at each start of the process."""
        ...

    @property
    def now(self) -> Millis:
        """Monotonic milliseconds. Never compare across nodes."""
        ...

    @property
    def wall(self) -> Millis:
        """Wall clock, milliseconds since 1970. For timestamps only: it jumps."""
        ...

    @property
    def random(self) -> Random:
        """The node's only source of chance."""
        ...

    @property
    def disk(self) -> Disk:
        """The node's data directory."""
        ...

    def send(self, to: Address, message: Message, after: Generation | None = None) -> None:
        """Send once `after` is durable (at once if None or already durable). Held messages die with the node."""
        ...

    def publish(self, topic: str, message: Message) -> None:
        """Broadcast to whoever subscribes to `topic`; subscribers that are slow or away miss it silently."""
        ...

    def set_timer(self, timer: Timer, delay_ms: int) -> None:
        """Fire once after the delay, unless set again or cancelled before."""
        ...

    def cancel_timer(self, timer: Timer) -> None:
        """Forget a timer; nothing happens if it is not set."""
        ...

    def submit(self, job: Job) -> JobId:
        """Run a pure function over immutable files elsewhere; `on_job` tells the result."""
        ...

    def emit(self, event: Event) -> None:
        """Tell the world what changed. Observation is write-only: nothing in the cluster reads it."""
        ...

    def stop(self, reason: str) -> None:
        """Ask that this node's process end after this turn, in good order. The reason is for people."""
        ...


class Actor:
    """A deterministic state machine. Recover in `on_start`: it is the only start path there is."""

    def on_start(self, ctx: Context) -> None:
        """The node has just started; nothing but the disk is left of an earlier life."""

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        """A message arrived. Reply to `sender` and nowhere else."""

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        """A timer fired. It is no longer set."""

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        """All that was written up to `generation` is durable."""

    def on_job(self, done: JobDone, ctx: Context) -> None:
        """A job that this actor submitted has ended."""

    def describe(self) -> msgspec.Struct | None:
        """A picture of the state for dashboards and checkers; it must not be a live reference."""
        return None
