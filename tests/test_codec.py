"""Frames and back. Every message survives; whatever else arrives is a `ProtocolError` and nothing worse."""

from __future__ import annotations

import struct
import subprocess
import sys
import textwrap
from contextlib import suppress
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barnabas.actors import messages
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation, Message, Payload
from barnabas.actors.messages import METADATA, PROTOCOL_VERSION, Consumed, Envelope, PeerGone
from barnabas.transport import codec
from barnabas.transport.codec import Codec, ProtocolError

KINDS = sorted(
    {
        thing
        for thing in vars(messages).values()
        if isinstance(thing, type) and issubclass(thing, Message) and thing not in {Message, *codec._LOCAL_ONLY}
    },
    key=lambda kind: kind.__name__,
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)


def anything(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401
    """Values of a field's type."""
    kind = getattr(kind, "__supertype__", kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of([anything(argument) for argument in arguments])
    if origin is list:
        return st.lists(anything(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(anything(arguments[0]), anything(arguments[1]), max_size=3)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(anything(arguments[0]), max_size=3).map(tuple)
        return st.tuples(*map(anything, arguments))
    if origin is Literal:
        return st.sampled_from(arguments)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if kind is Payload:
        return (st.binary(max_size=40) | st.just(bytes(codec.EMBEDDED + 1))).map(Payload)
    if hasattr(kind, "_fields"):
        return st.builds(kind, *[anything(field) for field in get_type_hints(kind).values()])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        return st.builds(kind, *[anything(hints[field]) for field in kind.__struct_fields__])
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: INTEGERS,
        bool: st.booleans(),
        str: st.text(max_size=8),
        bytes: st.binary(max_size=8),
        float: st.floats(allow_nan=False),
        type(None): st.none(),
    }
    return simple[kind]


def envelope(body: Message) -> Envelope:
    return Envelope(PROTOCOL_VERSION, "b1/broker", Incarnation(5), "broker", Incarnation(7), body)


def frames(body: Message) -> list[bytes]:
    return [bytes(frame) for frame in Codec().encode(envelope(body))]


BULK = b"batch" * codec.EMBEDDED  # too large to be embedded


def consumed(*records: bytes | bytearray) -> Consumed:
    return Consumed(1, [messages.ConsumedPartition(METADATA, ErrorCode.NONE, 1, 0, Payload(data)) for data in records])


SOME = consumed(BULK)


# --- There and back ---


def test_there_are_messages() -> None:
    assert len(KINDS) > 30


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_message_survives(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(anything(kind))
    sent = envelope(message)
    received = Codec().decode([bytes(frame) for frame in Codec().encode(sent)])
    assert received.body == message
    assert (received.sender, received.incarnation, received.to, received.to_incarnation) == (
        *(sent.sender, sent.incarnation),
        *(sent.to, sent.to_incarnation),
    )


def test_large_payloads_travel_in_frames_of_their_own_and_are_not_copied() -> None:
    data = bytearray(BULK)
    encoded = Codec().encode(envelope(consumed(data, data)))
    assert len(encoded) == 3
    assert encoded[1] is data
    assert b"batch" not in bytes(encoded[0])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_small_payloads_travel_inside_the_envelope_up_to_a_mebibyte_in_all(kind: type) -> None:
    small = bytes(codec.EMBEDDED)
    fit = codec.EMBEDDED_ALL // codec.EMBEDDED
    encoded = Codec().encode(envelope(consumed(*[kind(small)] * (fit + 2), kind(b"x"))))
    assert [len(frame) for frame in encoded[1:]] == [codec.EMBEDDED, codec.EMBEDDED, 1]
    assert len(encoded[0]) <= codec.MAX_HEADER
    decoded = Codec().decode([bytes(frame) for frame in encoded])
    assert decoded.body == consumed(*[small] * (fit + 2), b"x")


def test_one_codec_serves_many_messages() -> None:
    both = Codec()
    for _ in range(3):
        assert both.decode([bytes(frame) for frame in both.encode(envelope(SOME))]).body == SOME


# --- What is not a message ---


@settings(max_examples=300, deadline=None)
@given(junk=st.lists(st.binary(max_size=60), max_size=3))
def test_random_bytes_raise_only_protocol_errors(junk: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        Codec().decode(junk)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(KINDS), data=st.data(), place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_message_with_a_changed_byte_is_a_message_or_a_protocol_error(
    kind: type[Message], data: st.DataObject, place: int, byte: int
) -> None:
    changed = frames(data.draw(anything(kind)))
    head = bytearray(changed[0])
    head[place % len(head)] = byte
    with suppress(ProtocolError):
        received = Codec().decode([bytes(head), *changed[1:]])
        assert isinstance(received.body, tuple(KINDS))


@given(cut=st.integers(0, 10_000))
def test_a_message_that_is_cut_off_is_a_protocol_error(cut: int) -> None:
    head, *rest = frames(SOME)
    with pytest.raises(ProtocolError):
        Codec().decode([head[: cut % len(head)], *rest])


def test_no_frames_are_no_message() -> None:
    with pytest.raises(ProtocolError, match="this one has 0"):
        Codec().decode([])


def test_another_protocol_version_is_named() -> None:
    newer = msgspec.structs.replace(envelope(SOME), version=PROTOCOL_VERSION + 1)
    encoded = [bytes(frame) for frame in Codec().encode(newer)]
    with pytest.raises(ProtocolError, match=f"speaks protocol version {PROTOCOL_VERSION}, the peer"):
        Codec().decode(encoded)


def test_a_payload_too_few_or_too_many_is_told() -> None:
    head, payload = frames(SOME)
    with pytest.raises(ProtocolError):
        Codec().decode([head])
    with pytest.raises(ProtocolError, match="2 payload frames, but the envelope names 1"):
        Codec().decode([head, payload, b"more"])


def test_an_envelope_that_is_too_long_is_not_read() -> None:
    with pytest.raises(ProtocolError, match="at most"):
        Codec().decode([bytes(codec.MAX_HEADER + 1)])


def test_too_many_frames_are_not_read() -> None:
    with pytest.raises(ProtocolError, match=f"1 to {codec.MAX_FRAMES} frames"):
        Codec().decode([b""] * (codec.MAX_FRAMES + 1))


def test_deep_nesting_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        Codec().decode([b"\x91" * 100_000])


def test_what_only_a_node_may_tell_its_own_actors_cannot_come_from_outside() -> None:
    with pytest.raises(ProtocolError):
        Codec().decode(frames(PeerGone("b2", Incarnation(1))))


def test_a_huge_length_costs_nothing() -> None:
    with pytest.raises(ProtocolError):
        Codec().decode([b"\xdd" + struct.pack(">I", 0xFFFFFFFF)])


def test_an_error_code_that_nobody_knows_is_a_protocol_error() -> None:
    strange = Consumed(1, [messages.ConsumedPartition(METADATA, 12345)])  # type: ignore[arg-type]
    with pytest.raises(ProtocolError):
        Codec().decode(frames(strange))


def test_clients_that_begin_at_the_same_moment_decode() -> None:
    """msgspec shows the half-built description of a struct to other threads, and a decoder that uses it dies."""
    program = """
        import sys, threading
        from barnabas.actors.messages import Envelope, FetchLeadership
        from barnabas.transport.codec import Codec

        def begin():
            together.wait()
            codec = Codec()
            for _ in range(50):
                codec.decode(codec.encode(Envelope(1, "tcp://x/client", 1, "broker", 0, FetchLeadership(1, ["a"]))))

        sys.setswitchinterval(1e-6)
        together = threading.Barrier(40)
        threads = [threading.Thread(target=begin) for _ in range(40)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60, check=False)
    assert done.returncode == 0
