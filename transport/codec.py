"""Envelopes to frames and back: where bytes from outside are checked, so that nothing behind has to.

A message on the wire is `[msgpack(Envelope)] [payload frame]*`. A `Payload` inside the envelope is the number of its
frame, or its bytes if they are few: to send and receive a frame costs as much as to copy 16 KB several times, and an
answer may have a hundred of them. Decoding checks everything that types can say; what is left to the actors is meaning.
Every failure is a `ProtocolError`, which is the peer's fault and never ends a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import msgspec

from ..actors import messages
from ..actors.kernel import Message, Payload
from ..actors.messages import PROTOCOL_VERSION, Envelope
from ..storage.disk import Buffer

MAX_HEADER = 4 << 20
"""Bytes of one envelope without its payloads: 10,000 partitions of a full fetch fit three times."""

EMBEDDED = 16 << 10
"""Bytes of a payload up to which it travels inside its envelope."""

EMBEDDED_ALL = 1 << 20
"""Bytes of all such payloads in one envelope; those that follow get frames."""

MAX_FRAMES = 10_001
"""Frames of one message: as many payloads as there may be partitions at a broker, and the envelope."""


class ProtocolError(ValueError):
    """What arrived is not a message of this protocol: the text says what was expected and what was found."""


_LOCAL_ONLY = {messages.PeerBack, messages.PeerGone}
_WIRE = tuple(
    thing
    for thing in vars(messages).values()
    if isinstance(thing, type) and issubclass(thing, Message) and thing is not Message and thing not in _LOCAL_ONLY
)


class _Wire(Envelope, frozen=True, array_like=True):
    """An envelope whose body is one of the messages that may come from outside."""

    body: Union[_WIRE]  # type: ignore[valid-type]  # noqa: UP007


# What msgspec knows of a struct is built with the first decoder of it, and seen by other threads before it is whole:
# two clients that began at the same moment died of it. An import happens once.
msgspec.msgpack.Decoder(_Wire)


class Codec:
    """One per thread: encoders and decoders are built once and hold the frames of the message at hand."""

    def __init__(self) -> None:
        self._out: list[Buffer] = []
        self._embedded = 0
        self._in: Sequence[Buffer] = ()
        self._used = 0
        self._encoder = msgspec.msgpack.Encoder(enc_hook=self._put)
        self._decoder = msgspec.msgpack.Decoder(_Wire, dec_hook=self._get)

    def encode(self, envelope: Envelope) -> list[Buffer]:
        """The frames of one message; payloads are passed on, not copied."""
        self._out = [b""]
        self._embedded = 0
        self._out[0] = self._encoder.encode(envelope)
        return self._out

    def decode(self, frames: Sequence[Buffer]) -> Envelope:
        """The message in these frames. Raises ProtocolError."""
        if not frames or len(frames) > MAX_FRAMES:
            raise ProtocolError(f"a message has 1 to {MAX_FRAMES} frames, this one has {len(frames)}")
        if len(frames[0]) > MAX_HEADER:
            raise ProtocolError(f"an envelope has at most {MAX_HEADER} bytes, this one has {len(frames[0])}")
        self._in = frames
        self._used = 0
        try:
            envelope = self._decoder.decode(frames[0])
        except msgspec.DecodeError as error:
            raise ProtocolError(f"not an envelope: {error}") from None
        except (RecursionError, UnicodeDecodeError) as error:
            raise ProtocolError(f"not an envelope: {type(error).__name__}") from None
        finally:
            self._in = ()
        if envelope.version != PROTOCOL_VERSION:
            raise ProtocolError(f"this node speaks protocol version {PROTOCOL_VERSION}, the peer {envelope.version}")
        if self._used != len(frames) - 1:
            raise ProtocolError(f"{len(frames) - 1} payload frames, but the envelope names {self._used}")
        return envelope

    def _put(self, value: object) -> int | Buffer:
        if not isinstance(value, Payload):
            raise NotImplementedError(f"{type(value).__name__} is not part of any message")
        size = len(value.data)
        if size <= EMBEDDED and self._embedded + size <= EMBEDDED_ALL:
            self._embedded += size
            return value.data
        self._out.append(value.data)
        return len(self._out) - 1

    def _get(self, kind: type, value: object) -> Payload:
        if type(value) is bytes and kind is Payload:
            return Payload(value)
        if kind is not Payload or type(value) is not int or not 0 < value < len(self._in):
            raise ValueError(f"no payload frame {value!r}")
        self._used += 1
        return Payload(self._in[value])
