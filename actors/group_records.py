"""The records of `__consumer_offsets`: all that coordinators have decided about groups.

A record is a key and a value, msgpack of array-like structs; a record without a value says that there is nothing under
its key any more. The newest one of a key counts, so the topic may be compacted. A decision is one record batch, so it
is there as a whole or not at all. What an entry means in memory (`Entry`) and what it is on disk differ in one place:
partitions are sets here, and sorted lists per topic there.

New fields come last with defaults. A key or value that cannot be read was written by a newer program: `Unreadable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple, assert_never

import msgspec

from ..storage.records import Record, decode_batch, encode_batch, iter_headers
from .classic_messages import JoinProtocol
from .envelope import Partition, TopicId
from .group_messages import TopicPartitions


class Unreadable(ValueError):
    """An intact record that this program does not know."""


# --- Keys ---


class OffsetKey(msgspec.Struct, frozen=True, array_like=True, tag="offset"):
    """A committed offset."""

    group: str
    topic: TopicId
    index: int


class GroupKey(msgspec.Struct, frozen=True, array_like=True, tag="group"):
    """A group of the heartbeat protocol."""

    group: str


class MemberKey(msgspec.Struct, frozen=True, array_like=True, tag="member"):
    """A member of it."""

    group: str
    member: str


class ClassicKey(msgspec.Struct, frozen=True, array_like=True, tag="classic"):
    """A generation of a group of the classic protocol, with its members."""

    group: str


Key = OffsetKey | GroupKey | MemberKey | ClassicKey


# --- Values ---


class OffsetValue(msgspec.Struct, frozen=True, array_like=True):
    """`stamp`: when it was committed, by the coordinator's wall clock."""

    offset: int
    leader_epoch: int
    metadata: str
    stamp: int


class GroupValue(msgspec.Struct, frozen=True, array_like=True):
    """Epochs rise with each change of what members want (`epoch`) and of what they shall get (`assignment_epoch`).

    `joined` counts all members that ever joined. `stamp`: when the last one left; 0 while there are members.
    """

    epoch: int
    assignment_epoch: int
    assignor: str
    leader: str
    joined: int
    stamp: int


class MemberState(IntEnum):
    """What a member's assignment waits for (KIP-848)."""

    STABLE = 0  # it has what it shall have
    UNREVOKED = 1  # the member itself: it must give something up, and say so
    UNRELEASED = 2  # other members: what it shall get is not free yet


class Member(msgspec.Struct, frozen=True):
    """A member of a group of the heartbeat protocol.

    `epoch` is its member epoch: the assignment epoch that it has reached; `previous` the one that it said itself last.
    It owns `assigned` and, until it says otherwise, `revoking`; `target` is what the assignor gave it.
    """

    joined: int
    epoch: int
    previous: int
    state: MemberState
    assigned: frozenset[Partition]
    revoking: frozenset[Partition]
    target: frozenset[Partition]
    topics: tuple[str, ...]
    pattern: str
    assignor: str
    instance: str
    rack: str
    client_id: str
    host: str
    rebalance_timeout_ms: int
    grace_ms: int | None
    metadata: bytes


class _StoredMember(msgspec.Struct, frozen=True, array_like=True):
    joined: int
    epoch: int
    previous: int
    state: MemberState
    assigned: list[TopicPartitions]
    revoking: list[TopicPartitions]
    target: list[TopicPartitions]
    topics: tuple[str, ...]
    pattern: str
    assignor: str
    instance: str
    rack: str
    client_id: str
    host: str
    rebalance_timeout_ms: int
    grace_ms: int | None
    metadata: bytes


class ClassicMember(msgspec.Struct, frozen=True, array_like=True):
    """A member of a generation. `protocols`: those that it knows; after a load only the one in use is known."""

    member: str
    instance: str
    client_id: str
    host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: list[JoinProtocol]
    assignment: bytes
    grace_ms: int | None = None


class ClassicValue(msgspec.Struct, frozen=True, array_like=True):
    """A generation as its leader has assigned it; or an empty group. `stamp` as in `GroupValue`."""

    generation: int
    protocol_type: str
    protocol: str
    leader: str
    members: list[ClassicMember]
    stamp: int


Value = OffsetValue | GroupValue | Member | ClassicValue


class Entry(NamedTuple):
    """What the state has under a key from now on; None: nothing."""

    key: Key
    value: Value | None


# --- Bytes ---

_ENCODER = msgspec.msgpack.Encoder()
_KEYS = msgspec.msgpack.Decoder(Key)
_OFFSETS = msgspec.msgpack.Decoder(OffsetValue)
_GROUPS = msgspec.msgpack.Decoder(GroupValue)
_MEMBERS = msgspec.msgpack.Decoder(_StoredMember)
_CLASSICS = msgspec.msgpack.Decoder(ClassicValue)


def encode_entries(entries: Sequence[Entry], wall: int) -> bytes:
    """One batch of at least one entry."""
    records = [Record(_ENCODER.encode(key), _encode(value)) for key, value in entries]
    return encode_batch(records, timestamp=wall)


def decode_entries(data: bytes | memoryview) -> list[Entry]:
    """The entries of whole batches, in order. Raises Unreadable; InvalidBatch if they are damaged."""
    view = memoryview(data)
    entries = []
    for position, header in iter_headers(view):
        if header.is_control:
            continue
        for record in decode_batch(view[position : position + header.size]):
            try:
                entries.append(_decode(record))
            except msgspec.DecodeError as error:
                raise Unreadable(f"the record at offset {record.offset} is of another kind: {error}") from None
    return entries


def partitions_of(grouped: Iterable[TopicPartitions]) -> frozenset[Partition]:
    """As a set."""
    return frozenset(Partition(share.topic, index) for share in grouped for index in share.partitions)


def grouped(partitions: Iterable[Partition]) -> list[TopicPartitions]:
    """As sorted lists per topic."""
    shares: dict[TopicId, list[int]] = {}
    for topic, index in sorted(partitions):
        shares.setdefault(topic, []).append(index)
    return [TopicPartitions(topic, indexes) for topic, indexes in shares.items()]


_SETS = ("assigned", "revoking", "target")
_FIELDS = Member.__struct_fields__
assert _StoredMember.__struct_fields__ == _FIELDS, "a member is stored as it is"


def _encode(value: Value | None) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, Member):
        fields = {name: getattr(value, name) for name in _FIELDS}
        return _ENCODER.encode(_StoredMember(**{**fields, **{name: grouped(fields[name]) for name in _SETS}}))
    return _ENCODER.encode(value)


def _decode(record: Record) -> Entry:
    key: Key = _KEYS.decode(record.key or b"")
    data = record.value
    if data is None:
        return Entry(key, None)
    match key:
        case OffsetKey():
            return Entry(key, _OFFSETS.decode(data))
        case GroupKey():
            return Entry(key, _GROUPS.decode(data))
        case ClassicKey():
            return Entry(key, _CLASSICS.decode(data))
        case MemberKey():
            stored = _MEMBERS.decode(data)
            fields = {name: getattr(stored, name) for name in _FIELDS}
            return Entry(key, Member(**{**fields, **{name: partitions_of(fields[name]) for name in _SETS}}))
        case _:
            assert_never(key)
