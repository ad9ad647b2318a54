"""Noticing that a peer has died, within milliseconds.

When a process is killed its kernel closes its connections, and ZeroMQ's monitor says DISCONNECTED. That alone means
little: a connection also drops when a network hiccups, or when a peer does not like what we sent. But a process that
is gone is not listening any more, and its kernel refuses new connections at once, while the kernel of a paused process
or of a living one accepts them. So we knock: up to three times, 20 ms apart, and refused twice in a row means gone.
Everything else (accepted, no answer, unreachable) means nothing, and leaves the matter to session timeouts.

A dying process closes its connections and its listening socket in any order. So the first knock comes after 2 ms, and
there is a third one, in case the dying accepted the first.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import NamedTuple

import zmq

from .flags import AT_ONCE, READABLE, events_of

KNOCKS = 3
FIRST_KNOCK = 0.002
KNOCK_EVERY = 0.020
KNOCK_TIMEOUT = 0.2

_EVENT = struct.Struct("=HI")  # zmq_socket_monitor(3): number and value, then a frame with the endpoint


class SocketEvent(NamedTuple):
    """What a monitor tells: which event, and its value (often a file descriptor)."""

    event: int
    value: int


class Monitor:
    """The monitor of one socket: a second socket that tells what happens to the connections of the first."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], events: int) -> None:
        self._watched = socket
        self.socket = context.socket(zmq.PAIR)
        self.socket.setsockopt(zmq.LINGER, 0)
        # Without a limit: ZeroMQ's I/O thread, and all our connections with it, would wait for us to read.
        self.socket.setsockopt(zmq.RCVHWM, 0)
        address = f"inproc://monitor.{id(self):x}"
        socket.monitor(address, events)
        self.socket.connect(address)
        self.descriptor = int(self.socket.get(zmq.FD))

    def read(self) -> list[SocketEvent]:
        """All that happened since the last time."""
        events: list[SocketEvent] = []
        while events_of(self.socket) & READABLE:
            frames = self.socket.recv_multipart(AT_ONCE)
            events.append(SocketEvent(*_EVENT.unpack_from(frames[0])))
        return events

    def close(self) -> None:
        """Before the watched socket closes, so that nothing is said about that."""
        self._watched.disable_monitor()
        self.socket.close()


def host_and_port(endpoint: str) -> tuple[str, int]:
    """Of a `tcp://` endpoint."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


async def is_gone(endpoint: str, still_away: Callable[[], bool]) -> bool:
    """Knock at an endpoint whose connection has dropped. False as soon as `still_away` says that it has come back."""
    refused = 0
    for knock in range(KNOCKS):
        await asyncio.sleep(KNOCK_EVERY if knock else FIRST_KNOCK)
        if not still_away():
            return False
        refused = refused + 1 if await _refuses(endpoint) else 0
        if refused == 2:
            return still_away()
    return False


async def _refuses(endpoint: str) -> bool:
    try:
        async with asyncio.timeout(KNOCK_TIMEOUT):
            transport, _ = await asyncio.get_running_loop().create_connection(
                asyncio.Protocol, *host_and_port(endpoint)
            )
    except ConnectionRefusedError:
        return True
    except OSError:  # a timeout among others: nothing that proves a death
        return False
    transport.abort()
    return False
