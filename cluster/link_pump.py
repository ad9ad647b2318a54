"""What happens to bytes on their way from one node to another: usually nothing.

A `Way` is what is done to all bytes from one node to another; a `Pump` is one direction of one connection, and carries
bytes along its way. While nothing is done to the way, a pump writes what it is fed at once. Otherwise bytes wait in
its queue: for as long as the way is held, until they are late enough, or until the limit lets them pass. The order
stays, nothing is lost, nothing is cut out of the middle: what is lost on a network, TCP sends again, so that for the
two ends a bad network is a slow one. What ends a connection are the ends themselves, or a reset.

That one side has closed travels as its last byte does: whoever is cut off from a node does not hear of its death.

A pump reads no more while its queue is full or its sink is not taking any, so a stalled way fills the kernel's buffers
and then the sender's own, whose budgets are ours (`transport.budget`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from .link_orders import Change, WayState

MOST_WAITING = 4 << 20
"""Bytes in the queue of a slow pump: 40 MB/s with a delay of 100 ms."""

MOST_HELD = 64 << 10
"""Bytes in the queue of a pump that is held; the rest stays with the sender."""

SLICES_PER_SECOND = 50
"""A limited way lets bytes pass in so many pieces, or a piece that was read at once would arrive at once."""


class Way:
    """Everything that one node says to another one."""

    def __init__(self, source: int, target: int, random: Random) -> None:
        self.state = WayState(source, target)
        self.random = random
        self.clear = True  # nothing is done to it
        self.free_at = 0.0  # when a limited way takes the next piece
        self.bytes = 0
        self.pumps: set[Pump] = set()

    def change(self, order: Change) -> None:
        """From now on."""
        given = {
            key: value
            for key in ("held", "delay_ms", "jitter_ms", "bytes_per_s")
            if (value := getattr(order, key)) is not None
        }
        self._become(replace(self.state, **given))

    def heal(self) -> None:
        """Nothing is done to it any more."""
        self._become(WayState(self.state.source, self.state.target))

    def show(self) -> WayState:
        """How it is."""
        return replace(self.state, connections=len(self.pumps), bytes=self.bytes)

    def _become(self, state: WayState) -> None:
        self.state = state
        self.clear = not state.faulty
        self.free_at = 0.0
        for pump in list(self.pumps):
            pump.run()


class _Piece(NamedTuple):
    """Bytes that wait, since when, and how unlucky they are (0 to 1)."""

    at: float
    luck: float
    data: bytes


class Pump:
    """One direction of one connection. `feed` it, tell it when its source ends, and when its sink takes no more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, way: Way) -> None:
        self.finished = False  # the sink was closed, because the source had ended
        self._loop = loop
        self._way = way
        self._source: asyncio.Transport | None = None
        self._sink: asyncio.Transport | None = None  # None: not connected yet
        self._queue: deque[_Piece] = deque()
        self._size = 0
        self._ended = False  # the source has no more
        self._lost = False  # the sink takes nothing any more: what comes is thrown away
        self._blocked = False  # the sink has enough for now
        self._stopped = False  # we do not read
        self._alarm: asyncio.TimerHandle | None = None
        way.pumps.add(self)

    def connect(self, *, source: asyncio.Transport | None = None, sink: asyncio.Transport | None = None) -> None:
        """One of the two ends is there."""
        self._source = source or self._source
        self._sink = sink or self._sink
        self.run()

    def feed(self, data: bytes) -> None:
        """The source has sent this."""
        way = self._way
        if self._lost:
            return
        if way.clear and not self._queue and self._sink is not None:
            way.bytes += len(data)
            self._sink.write(data)
            return
        self._queue.append(_Piece(self._loop.time(), way.random.random(), data))
        self._size += len(data)
        self.run()

    def end(self) -> None:
        """The source has closed: so will the sink, when it has everything."""
        self._ended = True
        self._source = None
        self.run()

    def lose(self) -> None:
        """The sink is gone. The source need not know yet, so it may go on talking to nobody."""
        self._lost = True
        self._queue.clear()
        self._size = 0
        self.run()

    def block(self, blocked: bool) -> None:
        """The sink has enough for now, or takes more again."""
        self._blocked = blocked
        self.run()

    def close(self) -> None:
        """The connection is over."""
        self._way.pumps.discard(self)
        if self._alarm is not None:
            self._alarm.cancel()

    def run(self) -> None:
        """Let pass what may."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        sink = self._sink
        if sink is not None and not self._lost:
            wait = self._pass_on(sink)
            if wait is not None:
                self._alarm = self._loop.call_at(wait, self.run)
            elif self._ended and not self._queue and not self._way.state.held:
                self.finished = True
                sink.close()  # when it has written what it has
        self._read_or_not()

    def _pass_on(self, sink: asyncio.Transport) -> float | None:
        """Write until something has to wait; until when, None if that is not a question of time."""
        way, now = self._way, self._loop.time()
        state = way.state
        while self._queue and not self._blocked and not state.held:
            piece = self._queue[0]
            due = piece.at + (state.delay_ms + state.jitter_ms * piece.luck) / 1000
            if due > now:
                return due
            data = piece.data
            if state.bytes_per_s:
                if way.free_at > now:
                    return way.free_at
                data = data[: max(1, state.bytes_per_s // SLICES_PER_SECOND)]
                way.free_at = now + len(data) / state.bytes_per_s
            rest = piece.data[len(data) :]
            if rest:
                self._queue[0] = piece._replace(data=rest)
            else:
                self._queue.popleft()
            self._size -= len(data)
            way.bytes += len(data)
            sink.write(data)
        return None

    def _read_or_not(self) -> None:
        most = MOST_HELD if self._sink is None or self._way.state.held else MOST_WAITING
        stop = (self._blocked or self._size >= most) and not self._lost
        if self._source is None or self._source.is_closing() or stop == self._stopped:
            return
        self._stopped = stop
        if stop:
            self._source.pause_reading()
        else:
            self._source.resume_reading()
