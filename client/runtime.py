"""Where an actor of an application runs: the narrow port between an application's calls and the I/O thread.

A runtime owns one node with one actor, and whatever turns it: a thread with sockets, or a world in the same process.
The outer classes know nothing else of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol

from ..actors.kernel import Actor, Message
from .errors import Closed, ForkedClient


class Runtime(Protocol):
    """Runs one actor. The actor's outlet is called on whatever thread turns it, never concurrently."""

    def start(self, make: Callable[[], Actor]) -> None:
        """Make the actor, and begin to turn it. Called once."""
        ...

    def tell(self, message: Message) -> None:
        """Hand a command to the actor and wake its loop. From any thread; in order; never blocks for long."""
        ...

    def close(self) -> None:
        """Stop turning: no outlet is called after this returns. A second call does nothing."""
        ...


def new_runtime() -> Runtime:
    """A runtime for a client that was not given one: a thread with sockets."""
    from .zeromq_runtime import ZeroMqRuntime  # here, since it brings asyncio and ZeroMQ with it

    return ZeroMqRuntime()


def endpoints(bootstrap: str | Sequence[str]) -> list[str]:
    """`"host:port,host:port"`, or a sequence of these, as ZeroMQ endpoints."""
    given = bootstrap.split(",") if isinstance(bootstrap, str) else list(bootstrap)
    places = [place.strip() for place in given if place.strip()]
    if not places:
        raise ValueError("bootstrap names no broker: expected 'host:port', or several with commas between")
    return [place if "://" in place else f"tcp://{place}" for place in places]


def as_bytes(what: str, value: bytes | str | None) -> bytes | None:
    """Bytes as they are, text as UTF-8."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"a {what} is bytes, str (sent as UTF-8) or None, not {type(value).__name__}")


class _Forks:
    """How many forks lie between the first process and this one. Looking costs a tenth of asking for the pid."""

    count = 0

    @classmethod
    def one_more(cls) -> None:
        cls.count += 1


os.register_at_fork(after_in_child=_Forks.one_more)


def forks() -> int:
    """A number that is another one in every child process (of `os.fork`)."""
    return _Forks.count


class Guard:
    """What every client checks before it does anything: that it is open, and in the process that made it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._forks = _Forks.count
        self.closed = False

    def check(self) -> None:
        """Raise `ForkedClient` or `Closed`."""
        if self.closed or self._forks != _Forks.count:
            self.check_process()
            raise Closed(f"this {self._what} is closed")

    def check_process(self) -> None:
        """Raise `ForkedClient`."""
        if self._forks != _Forks.count:
            raise ForkedClient(f"this {self._what} was made before a fork: make a new one in the child process")

    @property
    def forked(self) -> bool:
        """Whether this is a child of the process that made the client."""
        return self._forks != _Forks.count
