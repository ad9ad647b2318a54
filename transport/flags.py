"""ZeroMQ's flags as plain numbers: its enumerations cost more than some of its calls do."""

from __future__ import annotations

import zmq

READABLE = int(zmq.POLLIN)
WRITABLE = int(zmq.POLLOUT)
AT_ONCE = int(zmq.NOBLOCK)
MORE = int(zmq.NOBLOCK) | int(zmq.SNDMORE)

_EVENTS = int(zmq.EVENTS)


def events_of(socket: zmq.Socket[bytes]) -> int:
    """What the socket can do now (READABLE, WRITABLE): ask after everything that was done with it."""
    events = socket.get(_EVENTS)
    assert isinstance(events, int), "ZMQ_EVENTS is a number"
    return events
