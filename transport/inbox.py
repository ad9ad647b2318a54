"""Messages out of one socket: whole, or not at all.

ZeroMQ hands over a message frame by frame, and limits the size of a frame but neither their number nor their sum. A
message of a million empty frames must cost us no memory and no long turn, so what is too large or too many is read
and thrown away, a little at each turn.
"""

from __future__ import annotations

import zmq

from ..storage.disk import Buffer
from .budget import MAX_MESSAGE, ZERO_COPY
from .codec import MAX_FRAMES
from .flags import AT_ONCE, receive_frame

SKIP_AT_ONCE = 2_000
"""Frames of a refused message that are thrown away in one go: about 2 ms."""


class Inbox:
    """The receiving half of a socket. To be asked when the socket may have something."""

    __slots__ = ("_skipping", "_socket", "refused")

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._skipping = False
        self.refused = 0  # messages with too many frames or bytes

    def receive(self, *, labelled: bool) -> tuple[zmq.Frame | None, list[Buffer]] | None:
        """The next message: its label (routing id or topic; None where sockets have none) and its frames.

        None: there was only (a part of) a message that is refused, or nothing. Call again while it has something.
        """
        if self._skipping:
            self._skip()
            return None
        try:
            frame = receive_frame(self._socket, AT_ONCE, False)
        except zmq.Again:  # the socket woke us for something else, or what was there has gone with its connection
            return None
        label: zmq.Frame | None = None
        if labelled:
            label = frame
            if not frame.more:
                return label, []
            frame = receive_frame(self._socket, AT_ONCE, False)
        size = len(frame)
        frames: list[Buffer] = [frame.bytes if size < ZERO_COPY else frame.buffer]
        while frame.more:
            if len(frames) >= MAX_FRAMES or size > MAX_MESSAGE:
                self._skipping = True
                self.refused += 1
                return None
            frame = receive_frame(self._socket, AT_ONCE, False)
            length = len(frame)
            size += length
            frames.append(frame.bytes if length < ZERO_COPY else frame.buffer)
        if size > MAX_MESSAGE:
            self.refused += 1
            return None
        return label, frames

    def _skip(self) -> None:
        for _ in range(SKIP_AT_ONCE):
            if not receive_frame(self._socket, AT_ONCE, False).more:
                self._skipping = False
                return
