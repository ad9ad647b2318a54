"""Shells in threads, for tests with real sockets on loopback: every wait is for an event, with a limit.

`Mailbox` is an actor that keeps what it hears in a queue, and says what a test asks it to. `start` runs it in a shell
of its own and returns once that serves; leaving the `with` ends it and checks that nothing is left over.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

import zmq

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Actor, Address, Context, Incarnation, JobDone, Message, Payload, Timer
from barnabas.actors.messages import BrokerHeartbeat, Envelope, HeartbeatReply, MetadataUpdate
from barnabas.actors.node import Node
from barnabas.storage.disk import Flushable
from barnabas.storage.memory import MemoryDisk
from barnabas.transport.codec import Codec
from barnabas.transport.process import Ended, Ending, Shell

T = TypeVar("T")

LIMIT = 20.0
"""Seconds that any wait may take before the test fails. Nothing here takes a tenth of it."""

ANY_PORT = "tcp://127.0.0.1:*"


class Say(Message, frozen=True):
    """From the test: send this, `times` over, each once `durable` everything written so far."""

    to: Address
    message: Message
    times: int = 1


class Do(Message, frozen=True):
    """From the test: do anything that a handler may."""

    action: Callable[[Context], object]


class Shout(Timer, frozen=True):
    """Publish again."""

    topic: str
    message: Message


class Mailbox(Actor):
    """Keeps what it hears. `reply` says what to answer at once, None for nothing."""

    def __init__(self, reply: Callable[[Message], Message | None] = lambda message: None) -> None:
        self.heard: queue.Queue[tuple[Address, Message]] = queue.Queue()
        self.timers: queue.Queue[Timer] = queue.Queue()
        self.generations: queue.Queue[int] = queue.Queue()
        self.jobs: queue.Queue[JobDone] = queue.Queue()
        self._reply = reply

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if isinstance(message, Say):
            for _ in range(message.times):
                ctx.send(message.to, message.message)
            return
        if isinstance(message, Do):
            message.action(ctx)
            return
        answer = self._reply(message)
        if answer is not None:
            ctx.send(sender, answer)
        self.heard.put((sender, message))

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if isinstance(timer, Shout):
            ctx.publish(timer.topic, timer.message)
            ctx.set_timer(timer, 5)
        else:
            self.timers.put(timer)

    def on_synced(self, generation: int, ctx: Context) -> None:
        self.generations.put(generation)

    def on_job(self, done: JobDone, ctx: Context) -> None:
        self.jobs.put(done)

    def hear(self) -> tuple[Address, Message]:
        """The next message."""
        return self.heard.get(timeout=LIMIT)

    def hear_only(self, kind: type[Message]) -> tuple[Address, Message]:
        """The next message of this kind; others are thrown away."""
        while True:
            sender, message = self.hear()
            if isinstance(message, kind):
                return sender, message


class Running:
    """A shell that serves, the actor in it, and how it ended."""

    def __init__(self, shell: Shell, box: Mailbox) -> None:
        self.shell = shell
        self.box = box
        self.ended: Ended | None = None
        self.thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        return self.shell.endpoint

    @property
    def broker(self) -> Address:
        """The actor's address for others."""
        return Address(f"{self.endpoint}/broker")

    def say(self, to: Address, message: Message, times: int = 1) -> None:
        self.shell.tell("broker", Say(to, message, times))

    def do(self, action: Callable[[Context], object]) -> None:
        self.shell.tell("broker", Do(action))

    def look(self, ask: Callable[[Context], T]) -> T:
        """What `ask` returns, on the loop, after everything that was told before."""
        answer: queue.Queue[T] = queue.Queue()
        self.do(lambda ctx: answer.put(ask(ctx)))
        return answer.get(timeout=LIMIT)

    def ask(self, to: Address, number: int = 1) -> tuple[Address, Message]:
        """Send a heartbeat and wait for its reply."""
        self.say(to, beat(number))
        return self.box.hear_only(HeartbeatReply)

    def end(self) -> Ended:
        """Close, and wait until all is closed."""
        assert self.thread is not None
        self.shell.close()
        self.thread.join(LIMIT)
        assert not self.thread.is_alive(), "a shell closes quickly"
        assert self.ended is not None
        return self.ended

    def wait(self) -> Ended:
        """Wait until it ends by itself."""
        assert self.thread is not None
        self.thread.join(LIMIT)
        assert self.ended is not None, "it was to end by itself"
        return self.ended


def beat(number: int) -> BrokerHeartbeat:
    return BrokerHeartbeat(number, 1, 1, Incarnation(1), 0, want_stop=False)


def bulk(number: int, data: Payload | None) -> MetadataUpdate:
    """Any message that carries bytes will do."""
    return MetadataUpdate("cluster", 1, 1, 0, number, data)


def answer_beats(message: Message) -> Message | None:
    return HeartbeatReply(message.sequence, ErrorCode.NONE) if isinstance(message, BrokerHeartbeat) else None


@contextmanager
def start(
    box: Mailbox | None = None,
    *,
    life: int | None = None,
    disk: Flushable | None = None,
    ends: Ending = Ending.CLOSED,
    **options: Any,  # noqa: ANN401  # what Shell takes
) -> Iterator[Running]:
    """A shell that serves in a thread of its own."""
    random = Random(1)
    box = box or Mailbox(answer_beats)
    incarnation = Incarnation(life or Random().getrandbits(62) | 1)
    disk = disk or MemoryDisk(random)
    serving = threading.Event()

    def make(endpoint: str) -> Node:
        return Node(endpoint, incarnation, disk, random, {"broker": box})

    shell = Shell(make, on_start=lambda _: serving.set(), **options)
    running = Running(shell, box)

    def run() -> None:
        running.ended = shell.run()

    running.thread = threading.Thread(target=run)
    running.thread.start()
    try:
        assert serving.wait(LIMIT), "it serves soon"
        yield running
    finally:
        running.end()
        assert running.ended is not None
        assert running.ended.how is ends, running.ended


@contextmanager
def raw(kind: int, endpoint: str) -> Iterator[zmq.Socket[bytes]]:
    """A bare ZeroMQ socket that is connected to a shell: a peer that does not keep to the protocol."""
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, int(LIMIT * 1000))
        socket.setsockopt(zmq.SNDTIMEO, int(LIMIT * 1000))
        socket.connect(endpoint)
        yield socket


def frames_of(message: Message) -> list[bytes]:
    """The frames of a message as another node would send them."""
    envelope = Envelope(1, "tcp://127.0.0.1:1/broker", Incarnation(5), "broker", Incarnation(0), message)
    return [bytes(frame) for frame in Codec().encode(envelope)]
