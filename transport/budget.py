"""How much may be on its way, and what became of what was too much.

ZeroMQ counts messages, not bytes: 256 messages of 1 MiB that a stopped peer does not read are 256 MiB. So we count
bytes ourselves: what waits in our outboxes, and what ZeroMQ holds of large frames (it lets go of a frame's memory when
the kernel has taken it). What exceeds a budget is dropped and counted: every protocol above retries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import zmq

from ..storage.disk import Buffer
from .flags import AT_ONCE, MORE, send_frame

MAX_FRAME = 32 << 20
"""Bytes of one frame: a larger one costs its sender the connection (ZMQ_MAXMSGSIZE), so it is never sent."""

MAX_MESSAGE = 48 << 20
"""Bytes of all frames of one message; ZeroMQ limits frames only."""

PEER_BYTES = 64 << 20
"""Bytes on their way to one peer."""

MAX_AGE = 1.0
"""Seconds that a message waits for its connection: whoever sent it asks again long before it would still help."""

HIGH_WATER_MARK = 256
"""Messages that ZeroMQ holds per peer and direction."""

ZERO_COPY = 128 << 10
"""From this size on, lending a frame to ZeroMQ is cheaper than copying it (measured: 64 KiB 55 against 41 us, 256 KiB
92 against 219 us)."""


class Counters(msgspec.Struct):
    """What went through a node's sockets since it started, in messages. Nothing here is ever an error of the node."""

    sent: int = 0
    received: int = 0
    published: int = 0
    broadcasts: int = 0  # received
    unroutable: int = 0  # replies whose connection is gone
    over_budget: int = 0  # outgoing: too many bytes, or messages, on their way to one peer
    expired: int = 0  # outgoing: no connection for too long
    cut_off: int = 0  # outgoing: the connection closed between two frames, or waiting when its peer was given up
    too_large: int = 0  # outgoing: more than any peer accepts
    malformed: int = 0  # incoming: not a message of this protocol, or too large a one
    foreign: int = 0  # incoming: a broadcast under a topic, or from a sender, that makes no sense


def size_of(frames: Sequence[Buffer]) -> int:
    """Bytes of a message."""
    return len(frames[0]) if len(frames) == 1 else sum(map(len, frames))


def sendable(frames: Sequence[Buffer], size: int) -> bool:
    """Whether a peer would accept this."""
    return size <= MAX_MESSAGE and (size <= MAX_FRAME or max(map(len, frames)) <= MAX_FRAME)


class Lent:
    """Bytes of large frames that ZeroMQ still holds for one peer, in the order of sending."""

    __slots__ = ("_bytes", "_frames")

    def __init__(self) -> None:
        self._frames: deque[tuple[zmq.MessageTracker, int]] = deque()
        self._bytes = 0

    def add(self, tracker: zmq.MessageTracker, size: int) -> None:
        """ZeroMQ has been given a frame."""
        self._frames.append((tracker, size))
        self._bytes += size

    @property
    def bytes(self) -> int:
        """What has not been given back yet."""
        frames = self._frames
        while frames and frames[0][0].done:
            self._bytes -= frames.popleft()[1]
        return self._bytes


def send_frames(socket: zmq.Socket[bytes], frames: Sequence[Buffer], lent: Lent, *, begun: bool = False) -> bool | None:
    """Send one message: True if ZeroMQ has taken it, False if it cannot now, None if it was lost half-way.

    `begun`: a routing id went before. A connection that closes between two frames loses the message, but the frames
    that are left must be offered all the same, else ZeroMQ takes the next message for the rest of this one.
    """
    whole = True
    last = len(frames) - 1
    for index, frame in enumerate(frames):
        flags = MORE if index < last else AT_ONCE
        try:
            if len(frame) < ZERO_COPY:
                send_frame(socket, frame, flags)
            else:
                tracker = send_frame(socket, frame, flags, False, True)
                assert tracker is not None, "asked for a tracker"
                lent.add(tracker, len(frame))
        except zmq.Again:
            if index == 0 and not begun:
                return False
            whole = False
    return True if whole else None
