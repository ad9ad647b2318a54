"""Metadata records as bytes: one decision is one Kafka record batch, its values msgpack of tagged structs.

The log patches base offset and leader epoch in place (both lie outside the CRC), so who decides need not know them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import msgspec

from ..storage.disk import Buffer
from ..storage.records import InvalidBatch, Record, check_crc, decode_batch, encode_batch, iter_headers
from .metadata_records import (
    LEVEL,
    BrokerDraining,
    BrokerFenced,
    BrokerRegistered,
    BrokerRemoved,
    BrokersConfigured,
    BrokerStopping,
    BrokerUnfenced,
    ClusterDefaults,
    LeaderChanged,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    RequestDone,
    TopicConfigured,
    TopicCreated,
    TopicDeleted,
)

RECORDS: tuple[type[MetadataRecord], ...] = (
    LeaderChanged,
    ClusterDefaults,
    BrokerRegistered,
    BrokerFenced,
    BrokerUnfenced,
    BrokerStopping,
    TopicCreated,
    TopicDeleted,
    PartitionCreated,
    PartitionChanged,
    ProducerIdsTaken,
    RequestDone,
    TopicConfigured,
    BrokersConfigured,
    BrokerDraining,
    BrokerRemoved,
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[MetadataRecord] = msgspec.msgpack.Decoder(reduce(or_, RECORDS))


class UnreadableMetadata(Exception):
    """Committed metadata that this program cannot read: written by a newer one, or corrupted. A node stops on it."""


def encode_records(
    records: Sequence[MetadataRecord], *, base_offset: int = 0, leader_epoch: int = -1, timestamp: int = -1
) -> bytes:
    """One record batch: a decision, to be applied whole."""
    assert records, "a decision without records is not written"
    return encode_batch(
        [Record(None, _encoder.encode(record), timestamp=timestamp) for record in records],
        base_offset=base_offset,
        leader_epoch=leader_epoch,
    )


def decode_batches(data: Buffer) -> list[tuple[int, int, list[MetadataRecord]]]:
    """Every batch as (first offset, epoch, records). InvalidBatch if bytes are damaged, else UnreadableMetadata."""
    view = memoryview(data)
    batches = []
    for position, header in iter_headers(view):
        if not check_crc(view, header, position):
            raise InvalidBatch("bad_crc", f"the metadata batch at offset {header.base_offset} fails its CRC")
        batch = view[position : position + header.size]
        records = [_decode(record.value, header.base_offset) for record in decode_batch(batch)]
        batches.append((header.base_offset, header.leader_epoch, records))
    return batches


def _decode(value: bytes | None, offset: int) -> MetadataRecord:
    try:
        record = _decoder.decode(value or b"")
    except msgspec.DecodeError as error:
        raise UnreadableMetadata(f"a record of the metadata batch at {offset} cannot be read: {error}") from error
    if isinstance(record, LeaderChanged) and record.level > LEVEL:
        raise UnreadableMetadata(
            f"the metadata from offset {offset} on has level {record.level}, this program knows {LEVEL}: upgrade it"
        )
    return record
