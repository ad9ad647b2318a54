"""The peers that this node asks: one DEALER per endpoint, and what waits for it.

ZMQ_IMMEDIATE lets a DEALER take messages only while it is connected, so what waits, waits here, where it has a budget
of bytes and an age. A peer that has not been spoken to for a while is forgotten, unless it is watched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import zmq

from ..storage.disk import Buffer
from .budget import MAX_AGE, PEER_BYTES, Counters, Lent, send_frames
from .inbox import Inbox
from .monitor import Monitor

IDLE_SECONDS = 60.0


class Peer:
    """One endpoint that is asked. `flush` whenever its socket may be writable, `expire` every now and then."""

    def __init__(
        self, endpoint: str, socket: zmq.Socket[bytes], counters: Counters, now: float, place: str | None = None
    ) -> None:
        self.endpoint = endpoint
        self.place = endpoint if place is None else place  # where to connect: to a proxy that leads there, perhaps
        self.socket = socket
        self.inbox = Inbox(socket)
        self.monitor: Monitor | None = None  # if it is watched
        self.kept = False  # it is not to be forgotten, however idle
        self.connected = False  # as the monitor has it
        self.dropped = False  # the connection was there, and has not come back
        self.probing = False  # somebody is finding out whether it is gone
        self.used = now
        self._counters = counters
        self._lent = Lent()
        self._waiting: deque[tuple[float, Sequence[Buffer], int]] = deque()  # since when, what, bytes
        self._waiting_bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether anything waits for a connection or for room."""
        return bool(self._waiting)

    def send(self, frames: Sequence[Buffer], size: int, now: float) -> None:
        """Send now, or as soon as that is possible; or drop and count."""
        self.used = now
        if self._waiting_bytes + size + self._lent.bytes > PEER_BYTES:
            self._counters.over_budget += 1
        elif self._waiting or not self._push(frames):
            self._waiting.append((now, frames, size))
            self._waiting_bytes += size

    def flush(self) -> None:
        """Send what waits, as far as ZeroMQ takes it."""
        while self._waiting and self._push(self._waiting[0][1]):
            self._waiting_bytes -= self._waiting.popleft()[2]

    def expire(self, now: float) -> None:
        """Drop what has waited for too long."""
        while self._waiting and self._waiting[0][0] + MAX_AGE <= now:
            self._waiting_bytes -= self._waiting.popleft()[2]
            self._counters.expired += 1

    def close(self, linger_ms: int) -> None:
        """End the connection. Nothing is said about the peer any more."""
        self._counters.cut_off += len(self._waiting)
        self._waiting.clear()
        assert self.monitor is None, "unwatch it first"
        self.socket.close(linger_ms)

    def _push(self, frames: Sequence[Buffer]) -> bool:
        taken = send_frames(self.socket, frames, self._lent)
        if taken is False:
            return False
        if taken:
            self._counters.sent += 1
        else:
            self._counters.cut_off += 1
        return True
