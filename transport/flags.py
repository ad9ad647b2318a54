"""ZeroMQ's flags as plain numbers, and its calls without their outermost layer: both cost more than what they wrap."""

from __future__ import annotations

import zmq
from zmq.backend import Socket as Backend

READABLE = int(zmq.POLLIN)
WRITABLE = int(zmq.POLLOUT)
AT_ONCE = int(zmq.NOBLOCK)
MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)

_EVENTS = int(zmq.EVENTS)
_get = Backend.get

send_frame = Backend.send
"""`send_frame(socket, data, flags, copy, track)`: as `Socket.send`, for sockets that know no groups."""

receive_frame = Backend.recv
"""`receive_frame(socket, flags, copy)`: as `Socket.recv`."""


def events_of(socket: zmq.Socket[bytes]) -> int:
    """What the socket can do now (READABLE, WRITABLE): ask after everything that was done with it."""
    events = _get(socket, _EVENTS)
    assert isinstance(events, int), "ZMQ_EVENTS is a number"
    return events
