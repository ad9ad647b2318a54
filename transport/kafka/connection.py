"""One client's connection: bytes to frames, frames to requests in order, replies in the order of their requests.

Order. Kafka handles one request of a connection after the other, so a request that waits (a fetch for records, a join
for other members) holds up those behind it, and clients know that. Here produce requests are the exception: the next
one may begin while the former waits for its acknowledgement. They reach the partition in the order in which they came,
which idempotent producers rely on; only their acknowledgements wait. Replies leave in the order of requests.

Memory. Small frames are slices of what was read at once. A large one is filled in place by the kernel, and its length
is believed only as far as bytes have come (`limits.STEP`). Whoever sends ahead is read no further, whoever does not
read its replies has its next request wait; frames and replies of all connections together have budgets at the door.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from socket import SO_KEEPALIVE, SOL_SOCKET
from typing import TYPE_CHECKING, cast

from ...storage.disk import Buffer
from .codec import HEADER_LEAST
from .limits import LARGE, PIPELINED, READ_AHEAD_BYTES, READ_AHEAD_FRAMES, STEP, WRITE_AHEAD

if TYPE_CHECKING:
    from .door import Door
    from .exchange import Exchange

PRODUCE = b"\0\0"  # the API key of a produce request, as it stands in front of a frame


class Connection(asyncio.BufferedProtocol):
    """See the module's essay. Everything runs on the loop's thread."""

    __slots__ = (
        "_door",
        "_ending",
        "_filled",
        "_frame",
        "_full",
        "_leaving",
        "_length",
        "_paused",
        "_start",
        "active",
        "blocked",
        "exchanges",
        "frames",
        "queued",
        "replies",
        "route",
        "transport",
        "unsent",
        "waiting",
    )

    def __init__(self, door: Door) -> None:
        self.route = ""
        self.transport: asyncio.Transport | None = None
        self.frames: deque[memoryview] = deque()  # whole ones that nobody has looked at
        self.queued = 0  # their bytes
        self.exchanges: deque[Exchange] = deque()  # begun, in the order of requests
        self.replies: list[Buffer] = []  # of this turn, in buffers
        self.unsent = 0  # their bytes
        self._leaving: deque[memoryview] = deque()  # what the transport has not been given yet
        self._full = False  # it has as much as it takes
        self._ending = False  # it is to be closed once everything has left
        self.blocked = 0  # bytes of replies that the client does not read; 0: it keeps up
        self.waiting = False  # the door knows that there is something to begin
        self.active = 0.0  # when something last moved, on the loop's clock
        self._door = door
        self._start = b""  # the first bytes of a frame whose length has not come whole
        self._frame: bytearray | None = None  # a frame that is being filled
        self._length = 0  # how long it says it is
        self._filled = 0
        self._paused = False

    # --- The transport tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=WRITE_AHEAD)
        self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)  # a client may vanish unheard
        self._door.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.buffered -= self.queued + len(self._frame or b"")
        self._frame, self._start, self.queued = None, b"", 0
        self.frames.clear()
        self._door.closed(self)

    def eof_received(self) -> bool:
        return False  # a client that says no more is not owed anything

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self.active = self._door.now
        self._push()
        self.more()

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._frame is None:
            return self._door.scratch
        return memoryview(self._frame)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self.active = self._door.now
        self._door.counted.bytes_in += nbytes
        if self._frame is None:
            self._parse(self._start + bytes(self._door.scratch[:nbytes]))
        else:
            self._filled += nbytes
            self._fill()
        self.more()

    # --- Frames ---

    def _parse(self, data: bytes) -> None:
        """Cut what came into frames; begin to fill the last one if it is not whole."""
        view = memoryview(data)
        position, end = 0, len(data)
        while end - position >= 4:
            length = int.from_bytes(view[position : position + 4], signed=True)
            if not HEADER_LEAST <= length <= self._door.limits.socket_request_max_bytes:
                self._door.malformed(self, f"a frame of {length} bytes")
                return
            if end - position - 4 < length:
                self._begin(length, view[position + 4 :])
                return
            self._whole(view[position + 4 : position + 4 + length])
            position += 4 + length
        self._start = bytes(view[position:])

    def _begin(self, length: int, start: memoryview) -> None:
        self._start = b""
        self._length, self._filled = length, len(start)
        self._frame = bytearray(max(min(length, STEP), len(start)))
        self._frame[: len(start)] = start
        self._door.buffered += len(self._frame)
        if self._door.full and length > LARGE:
            self._pause()
            self._door.starved[self] = None

    def _fill(self) -> None:
        frame = self._frame
        assert frame is not None, "something is being filled"
        if self._filled < len(frame):
            return
        if len(frame) == self._length:
            self._frame = None
            self._door.buffered -= len(frame)
            self._whole(memoryview(frame))
        elif self._door.full:
            self._door.over_budget(self)
        else:
            larger = bytearray(
                min(self._length, 2 * len(frame))
            )  # who reads still holds the old one, so it cannot grow
            larger[: len(frame)] = frame
            self._door.buffered += len(larger) - len(frame)
            self._frame = larger

    def _whole(self, frame: memoryview) -> None:
        self.frames.append(frame)
        self.queued += len(frame)
        self._door.buffered += len(frame)
        self._door.silent.pop(self, None)

    @property
    def closing(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self._ending or self.transport is None or self.transport.is_closing()

    @property
    def amid(self) -> bool:
        """Whether a frame is begun and not whole, and it is not us who do not read on."""
        return not self._paused and (self._frame is not None or bool(self._start))

    # --- Requests ---

    def more(self) -> None:
        """Something has changed: see whether a request may begin, and whether to read on."""
        if not self.waiting and self.may_begin():
            self.waiting = True
            self._door.has_request(self)
        ahead = len(self.frames) > READ_AHEAD_FRAMES or self.queued > READ_AHEAD_BYTES
        ahead = ahead or (self.queued > 0 and self._door.full)
        if ahead and not self._paused:
            self._pause()
        elif not ahead and self._paused and self not in self._door.starved:
            self.resume()

    def may_begin(self) -> bool:
        """Whether the next request's turn has come."""
        if not self.frames or self.blocked or self.unsent > WRITE_AHEAD or self.closing:
            return False
        if not self.exchanges:
            return True
        if len(self.exchanges) >= PIPELINED or self.frames[0][:2] != PRODUCE:
            return False
        return self.exchanges[-1].header.api.key == 0

    def next_frame(self) -> memoryview:
        """The frame of the request that begins now."""
        frame = self.frames.popleft()
        self.queued -= len(frame)
        self._door.buffered -= len(frame)
        return frame

    def send(self, parts: Sequence[Buffer]) -> None:
        """A reply whose turn has come: it leaves with the other ones of this turn of the loop."""
        if not self.replies:
            self._door.replies(self)
        self.replies += parts
        self.unsent += sum(map(len, parts))

    def flush(self) -> None:
        """Let the replies leave, in as few writes as their sizes allow: what is large is not copied."""
        parts, self.replies, self.unsent = self.replies, [], 0
        if self.closing:
            return
        self.active = self._door.now
        small: list[Buffer] = []
        for part in parts:
            if len(part) <= LARGE:
                small.append(part)
                continue
            self._queue(small)
            small = []
            self._queue([part])
        self._queue(small)
        self._push()
        self.more()

    def _queue(self, parts: list[Buffer]) -> None:
        if parts:
            self._leaving.append(memoryview(parts[0] if len(parts) == 1 else b"".join(parts)))

    def _push(self) -> None:
        """Hand the transport what it takes, piece by piece: what it cannot send at once it copies."""
        assert self.transport is not None, "it was connected"
        leaving = self._leaving
        while leaving and not self._full and not self.transport.is_closing():
            part = leaving[0]
            if len(part) <= WRITE_AHEAD:
                leaving.popleft()
                self.transport.write(part)
            else:
                leaving[0] = part[WRITE_AHEAD:]
                self.transport.write(part[:WRITE_AHEAD])
        if leaving or self._full:
            self._door.blocked(self, self.transport.get_write_buffer_size() + sum(map(len, leaving)))
        else:
            self._door.blocked(self, 0)
            if self._ending:
                self.transport.close()

    # --- Reading ---

    def _pause(self) -> None:
        if self.transport is not None and not self._paused and not self.closing:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.transport is not None and self._paused and not self.closing:
            self._paused = False
            self.active = self._door.now
            self.transport.resume_reading()

    def close(self, *, abort: bool = False) -> None:
        """End it; what is on its way to the client still leaves unless it is aborted."""
        if self.transport is None:
            return
        if abort:
            self.transport.abort()
        elif not self._ending:
            self.flush()
            self._ending = True
            self._push()
