"""Compaction, the part that reads: of each key the last record stays (jobs; see `cleaning` for the whole).

Two passes over sealed segments, a slice at a time. The first maps keys to the offset of their last record
(`MapKeys`); the second goes over the segments from the beginning and gives back what stays (`CleanSegment`). Offsets
never change: a record keeps its offset, a batch its first and last one, and where a whole batch has gone there is a
hole. Records are copied as they are; only a batch that was compressed is compressed again, with its own codec.

A record goes if a later one of its key is in the map. A record without a key stays. So does a tombstone, a record
without a value, until everybody had time to see it: when the cleaner meets it first it writes the moment at which it
may go (the *delete horizon*: now and `delete.retention.ms`) into its batch, as Kafka does (KIP-534): a bit of the
attributes says that the base timestamp is that moment, and the records' own timestamps are told relative to it. A
tombstone goes when its time is over, and when every replica that is up has it (`purge_below`): otherwise a copy of an
older value could come to life again.

Some batches stay although nothing is left in them, as a header without records (61 bytes), because the log must go on
saying what it said:

- the last batch of a cleaned segment: so segments still end where the next ones begin, and a missing one is noticed;
- the first batch of each leader epoch: epochs can be derived from the log, at this replica and at whoever copies it;
- the batches that a producer may repeat (`producers`), and its last one: so replaying the log gives the same states.
  Their newest timestamp stays too, which is part of those states.

What a client put there and calls a record need not be one. A batch that cannot be parsed is nobody's to throw away: it
stays. But a CRC that is wrong is damage, and ends the cleaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from .disk import Reader
from .epochs import EpochCache, EpochEntry
from .keys import Span, body_of, name_of, spans
from .producers import ProducerStates
from .records import (
    DELETE_HORIZON,
    HEADER,
    HEADER_SIZE,
    MAX_BATCH,
    BatchHeader,
    InvalidBatch,
    check_crc,
    compress,
    rebuild,
    varint,
)
from .segment import BadBatch, batch_fault, snapshot_path, walk


class Unreadable(Exception):
    """A segment holds what was not written there."""


class Slice(msgspec.Struct, frozen=True):
    """The part of a segment that a job looks at, from the batch at `position` on, and what must hold there."""

    path: str
    position: int
    size: int  # of the segment
    offset: int  # no batch from `position` on begins before
    end: int  # of the segment: where its last batch ends
    epochs: tuple[EpochEntry, ...]  # of the log
    most_bytes: int


class Mapped(msgspec.Struct, frozen=True):
    """What `MapKeys` found: the keys of a slice, and where the next slice begins. `damage`: the log cannot be used."""

    latest: dict[bytes, int]
    position: int
    offset: int  # every record below is in the map
    damage: str | None = None


class MapKeys(msgspec.Struct, frozen=True):
    """A job: the last offset of each key in one slice of a segment."""

    slice: Slice
    dirty: int  # what lies below was cleaned before
    most_keys: int  # stop before the map has more than these

    @property
    def name(self) -> str:
        return f"map keys of {self.slice.path} from {self.slice.position}"

    def run(self, reader: Reader) -> Mapped:
        latest: dict[bytes, int] = {}
        position, offset = self.slice.position, self.slice.offset
        try:
            for at, header, data in _batches(reader, self.slice):
                found = _last_offsets(header, data) if header.next_offset > self.dirty else {}
                if latest and len(latest) + len(found) > self.most_keys:
                    break
                latest.update(found)
                position, offset = at + header.size, header.next_offset
        except Unreadable as damage:
            return Mapped({}, position, offset, str(damage))
        return Mapped(latest, position, offset)


class Replayed(msgspec.Struct, frozen=True):
    """What `ReplayProducers` found: the producers as of an offset."""

    states: ProducerStates
    damage: str | None = None


class ReplayProducers(msgspec.Struct, frozen=True):
    """A job: the producers as of `limit`, from the newest snapshot below and the headers after it.

    Those of the log's end are not enough. What was not committed may be cut, and then a producer's last batches are
    others, which must be there.
    """

    directory: str
    limit: int  # where one of the segments ends
    snapshots: tuple[int, ...]  # offsets of producer snapshots
    segments: tuple[tuple[str, int, int, int], ...]  # path, base, end and size, in order

    @property
    def name(self) -> str:
        return f"replay producers of {self.directory} up to {self.limit}"

    def run(self, reader: Reader) -> Replayed:
        states, offset = ProducerStates(), 0
        for taken in sorted((taken for taken in self.snapshots if taken <= self.limit), reverse=True):
            path = snapshot_path(self.directory, taken)
            try:
                offset, states = ProducerStates.decode(reader.read(path, 0, reader.size(path) or 0))
                break
            except ValueError:
                continue
        try:
            for path, base, end, size in self.segments:
                if not offset < end <= self.limit:
                    continue
                for _, header in walk(reader, path, position=0, expected=base, stop=size, compacted=True):
                    if header.base_offset >= offset:
                        states.apply(header)
        except BadBatch as bad:
            return Replayed(states, f"{path}, byte {bad.position}: {bad.sentence}")
        return Replayed(states)


class Rules(msgspec.Struct, frozen=True):
    """What stays. The same for all slices of a cleaning."""

    latest: Mapping[bytes, int]  # the last offset of each key, for keys that occur below `mapped_to`
    mapped_to: int
    repeatable: frozenset[int]  # base offsets of batches that a producer may repeat
    last_sequences: Mapping[int, tuple[int, int]]  # producer id -> its epoch and last sequence
    now_ms: int
    delete_retention_ms: int
    purge_below: int  # tombstones from here on stay


class Cleaned(msgspec.Struct, frozen=True):
    """What stays of a slice: batches to be appended to the new segment, with their headers."""

    data: bytes
    headers: list[BatchHeader]
    position: int  # where the next slice begins
    offset: int  # the same as an offset
    epoch: int  # of the last batch that was looked at
    records_before: int = 0
    records_after: int = 0
    purged: int = 0  # offset after the last tombstone that was removed; 0 for none
    changed: bool = False  # whether anything of it is not as it was
    damage: str | None = None


class CleanSegment(msgspec.Struct, frozen=True):
    """A job: what stays of one slice of a segment."""

    slice: Slice
    group_end: int  # the offset at which this segment's group ends
    epoch: int  # of the batch before
    rules: Rules

    @property
    def name(self) -> str:
        return f"clean {self.slice.path} from {self.slice.position}"

    def run(self, reader: Reader) -> Cleaned:
        parts: list[bytes] = []
        headers: list[BatchHeader] = []
        position, offset, epoch = self.slice.position, self.slice.offset, self.epoch
        before, purged, changed = 0, 0, False
        try:
            for at, header, data in _batches(reader, self.slice):
                needed = header.leader_epoch > epoch or header.next_offset == self.group_end
                kept, gone = clean(data, header, self.rules, needed=needed)
                purged, changed = max(purged, gone), changed or kept != data
                before += header.count
                if kept:
                    parts.append(kept)
                    headers.append(BatchHeader._make(HEADER.unpack_from(kept)))
                position, offset, epoch = at + header.size, header.next_offset, header.leader_epoch
        except Unreadable as damage:
            return Cleaned(b"", [], position, offset, epoch, damage=str(damage))
        after = sum(header.count for header in headers)
        return Cleaned(b"".join(parts), headers, position, offset, epoch, before, after, purged, changed)


def clean(data: memoryview, header: BatchHeader, rules: Rules, *, needed: bool) -> tuple[bytes, int]:
    """(what stays of a batch, or nothing; the offset after the last tombstone that was removed, or 0).

    `needed`: at least its header stays.
    """
    if header.is_control:
        return bytes(data), 0
    remembered = header.producer_id >= 0 and (
        header.base_offset in rules.repeatable
        or rules.last_sequences.get(header.producer_id) == (header.producer_epoch, header.last_sequence)
    )
    if not header.count:
        return bytes(data) if needed or remembered else b"", 0
    try:
        body = body_of(data, header)
        found = spans(body, header.count)
    except InvalidBatch:
        return bytes(data), 0
    horizon = header.delete_horizon
    stay, purged = _stay(found, header, rules)
    if not stay:
        return rebuild(header, b"", 0) if needed or remembered else b"", purged
    if horizon is None and header.next_offset <= rules.mapped_to and any(span.tombstone for span in stay):
        horizon = rules.now_ms + rules.delete_retention_ms
    if len(stay) == len(found) and horizon == header.delete_horizon:
        return bytes(data), purged
    newest = header.max_timestamp
    if not remembered and not header.append_time:
        newest = header.base_timestamp + max(span.timestamp for span in stay)
    if horizon == header.delete_horizon:
        records = b"".join(body[span.start : span.end] for span in stay)
    else:
        assert horizon is not None, "a horizon is never taken back"
        records = _moved(body, stay, header.base_timestamp - horizon)
        header = header._replace(base_timestamp=horizon, attributes=header.attributes | DELETE_HORIZON)
    if header.compression:
        records = compress(records, header.compression)
    return rebuild(header._replace(max_timestamp=newest), records, len(stay)), purged


def _stay(found: list[Span], header: BatchHeader, rules: Rules) -> tuple[list[Span], int]:
    """The records of a batch that stay, and the offset after the last tombstone that goes."""
    stay: list[Span] = []
    base, latest, purged = header.base_offset, rules.latest, 0
    expired = header.delete_horizon is not None and header.delete_horizon <= rules.now_ms
    for span in found:
        if span.key is not None:
            offset = base + span.delta
            if latest.get(name_of(span.key), -1) > offset:
                continue
            if expired and span.tombstone and offset < rules.purge_below:
                purged = offset + 1
                continue
        stay.append(span)
    return stay, purged


def _moved(body: bytes, stay: list[Span], by: int) -> bytes:
    """The records with other timestamp deltas: the base has moved."""
    parts: list[bytes] = []
    for span in stay:
        timestamp, rest = varint(span.timestamp + by), body[span.rest : span.end]
        parts += (varint(1 + len(timestamp) + len(rest)), b"\0", timestamp, rest)
    return b"".join(parts)


def _last_offsets(header: BatchHeader, data: memoryview) -> dict[bytes, int]:
    """The last offset of each key of a batch."""
    if header.is_control or not header.count:
        return {}
    try:
        found = spans(body_of(data, header), header.count)
    except InvalidBatch:
        return {}
    base = header.base_offset
    return {name_of(span.key): base + span.delta for span in found if span.key is not None}


def _batches(reader: Reader, part: Slice) -> Iterator[tuple[int, BatchHeader, memoryview]]:
    """(position, header, bytes) of the whole batches in a slice; at least one. Raises Unreadable.

    All that can be wrong with a batch is looked at, also outside of its CRC: what passes here is written anew.
    """
    epochs, expected, position, path = EpochCache(part.epochs), part.offset, part.position, part.path
    window = memoryview(reader.read(path, position, min(part.most_bytes, part.size - position)))
    at = 0
    while at < len(window) or position + at == part.position:
        if len(window) - at < HEADER_SIZE:
            if at and position + len(window) < part.size:
                return
            raise Unreadable(f"{path}, byte {position + at}: {len(window) - at} bytes are left where a batch begins")
        header = BatchHeader._make(HEADER.unpack_from(window, at))
        if at + header.size > len(window):
            if at:
                return  # the next slice begins with it
            window = memoryview(reader.read(path, position, header.size if header.size <= MAX_BATCH else HEADER_SIZE))
        data = window[at : at + header.size]
        epoch = epochs.epoch_at(header.base_offset)
        fault = batch_fault(header, expected, -1, compacted=True)
        if fault is None and epoch not in (header.leader_epoch, -1):
            fault = f"leader epoch {header.leader_epoch}, the epoch checkpoint has {epoch}"
        if fault is None and (header.next_offset == part.end) != (position + at + header.size == part.size):
            fault = f"a batch ends at {header.next_offset}, its segment at {part.end}"
        if fault is None and not check_crc(data, header):
            fault = f"the CRC of the batch is not {header.crc:#010x}"
        if fault:
            raise Unreadable(f"{path}, byte {position + at}: {fault}")
        yield position + at, header, data
        at += header.size
        expected = header.next_offset
