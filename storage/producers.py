"""What the log knows of its idempotent producers: a pure function of the log.

A producer numbers its batches; the leader accepts each number once and in order, and answers a repeated batch with
the offsets that it got the first time (P22). Each replica replays the batch headers, so whoever becomes leader
judges alike. A snapshot shortens the replay: state(snapshot at s) + replay(s, end) = state(replay(0, end)) (P24).
State changes in `apply` only, after the disk has taken the batch (KAFKA-6683).

A producer that is not known must begin at sequence 0, unless its history may lawfully be gone: the log's start has
moved, or states were forgotten for their age. Then any sequence begins it anew, as in Kafka. A transaction marker
ends what can be a duplicate: the sequence goes on, but no batch before the marker is taken for a repetition.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import NamedTuple

import msgspec
from crc32c import crc32c

from .records import MAX_SEQUENCE, BatchHeader

LEVEL = 1  # of the snapshot format
REMEMBERED = 5  # batches per producer: as many as a client keeps in flight


class Check(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out of order"
    FENCED = "fenced"


class Verdict(NamedTuple):
    check: Check
    base_offset: int = -1  # of the original batch, for a duplicate
    last_offset: int = -1
    timestamp: int = -1
    sentence: str = ""  # why, for a refusal


class Remembered(msgspec.Struct, frozen=True, array_like=True):
    """A batch that may come again."""

    base_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    timestamp: int


class ProducerState(msgspec.Struct, frozen=True, array_like=True):
    epoch: int
    last_sequence: int  # -1: the next one is 0
    last_timestamp: int
    batches: tuple[Remembered, ...]


class _Snapshot(msgspec.Struct, frozen=True, array_like=True):
    level: int
    offset: int
    forgotten: bool
    states: dict[int, ProducerState]


_CRC = struct.Struct(">I")
_NEW = Verdict(Check.NEW)
_decoder = msgspec.msgpack.Decoder(_Snapshot)
_level_decoder = msgspec.msgpack.Decoder(list[object])


class ProducerStates:
    """All producers of one partition."""

    def __init__(self) -> None:
        self.states: dict[int, ProducerState] = {}
        self.forgotten = False  # whether any state was dropped for its age

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProducerStates) and (self.states, self.forgotten) == (other.states, other.forgotten)

    __hash__ = None  # type: ignore[assignment]

    def check(self, header: BatchHeader, log_start: int = 0) -> Verdict:
        """Whether this batch may be appended now. Changes nothing."""
        pid, epoch, sequence = header.producer_id, header.producer_epoch, header.base_sequence
        if pid < 0 or header.is_control:
            return _NEW
        if epoch < 0 or sequence < 0:
            return Verdict(Check.OUT_OF_ORDER, sentence=f"producer {pid} sent epoch {epoch} and sequence {sequence}")
        state = self.states.get(pid)
        if state is None:
            if sequence == 0 or self.forgotten or log_start > 0:
                return _NEW
            return Verdict(Check.OUT_OF_ORDER, sentence=f"producer {pid} is not known and began at sequence {sequence}")
        if epoch < state.epoch:
            return Verdict(Check.FENCED, sentence=f"producer {pid} sent epoch {epoch}, its newest is {state.epoch}")
        if epoch > state.epoch:
            if sequence == 0:
                return _NEW
            return Verdict(Check.OUT_OF_ORDER, sentence=f"producer {pid} began epoch {epoch} at sequence {sequence}")
        for batch in state.batches:
            if batch.base_sequence == sequence and batch.last_sequence == header.last_sequence:
                return Verdict(Check.DUPLICATE, batch.base_offset, batch.last_offset, batch.timestamp)
        expected = (state.last_sequence + 1) & MAX_SEQUENCE
        if sequence == expected:
            return _NEW
        return Verdict(Check.OUT_OF_ORDER, sentence=f"producer {pid} sent sequence {sequence}, expected {expected}")

    def apply(self, header: BatchHeader) -> None:
        """A batch, at its final offset, is in the log."""
        pid, epoch = header.producer_id, header.producer_epoch
        if pid < 0:
            return
        state = self.states.get(pid)
        same = state if state is not None and state.epoch == epoch else None
        if header.is_control:
            last = same.last_sequence if same else -1
            self.states[pid] = ProducerState(epoch, last, header.max_timestamp, ())
            return
        batch = Remembered(
            header.base_sequence, header.last_sequence, header.base_offset, header.last_offset, header.max_timestamp
        )
        batches = (*same.batches[1 - REMEMBERED :], batch) if same else (batch,)
        self.states[pid] = ProducerState(epoch, batch.last_sequence, batch.timestamp, batches)

    def forget_before(self, timestamp: int) -> int:
        """Drop producers whose last batch is older; how many. From then on unknown ones may begin anywhere."""
        old = [pid for pid, state in self.states.items() if state.last_timestamp < timestamp]
        for pid in old:
            del self.states[pid]
        self.forgotten = self.forgotten or bool(old)
        return len(old)

    def before(self, offset: int, most: int) -> ProducerStates:
        """What rests on batches below `offset`, of the `most` producers who wrote last.

        Whoever copies the log from there on and begins with this knows what whoever has all of it knows.
        """
        known = ProducerStates()
        known.forgotten = self.forgotten
        for pid, state in self.states.items():
            batches = tuple(batch for batch in state.batches if batch.last_offset < offset)
            if batches:
                last = batches[-1]
                known.states[pid] = ProducerState(state.epoch, last.last_sequence, last.timestamp, batches)
        if len(known.states) > most:
            newest = sorted(known.states, key=lambda pid: known.states[pid].batches[-1].base_offset)[-most:]
            known.states = {pid: known.states[pid] for pid in newest}
            known.forgotten = True
        return known

    def encode(self, offset: int) -> bytes:
        """A snapshot: the state after every batch below `offset`."""
        body = msgspec.msgpack.encode(_Snapshot(LEVEL, offset, self.forgotten, dict(sorted(self.states.items()))))
        return _CRC.pack(crc32c(body)) + body

    @classmethod
    def decode(cls, data: bytes) -> tuple[int, ProducerStates]:
        """(offset, states) of a snapshot. Raises ValueError, in words, if it cannot be used."""
        if len(data) < _CRC.size or crc32c(data[_CRC.size :]) != _CRC.unpack_from(data)[0]:
            raise ValueError("the CRC of the producer snapshot is wrong")
        try:
            level = _level_decoder.decode(data[_CRC.size :])[0]
            if level != LEVEL:
                raise ValueError(f"the producer snapshot has level {level}, expected {LEVEL}")
            snapshot = _decoder.decode(data[_CRC.size :])
        except (msgspec.MsgspecError, IndexError) as error:
            raise ValueError(f"the producer snapshot is malformed: {error}") from None
        states = cls()
        states.states, states.forgotten = snapshot.states, snapshot.forgotten
        return snapshot.offset, states
