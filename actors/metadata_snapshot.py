"""Snapshots of the metadata image: as bytes, and as files.

A snapshot stands for all metadata below its `end` (D25). Its header says level, (end, epoch), count and length; its
footer says level, (end, epoch) and count again, and the CRC of everything before the CRC. A file that was cut short,
or patched together from two, fails one of these and is passed over: an older snapshot plus more of the log gives the
same state.
"""

from __future__ import annotations

import struct

import crc32c
import msgspec

from ..storage.disk import Disk, Generation, Reader, StorageError
from .metadata_records import LEVEL, BrokersConfigured, ClusterDefaults, RequestDone
from .metadata_state import BrokerState, PartitionState, TopicState

DIRECTORY = "snapshots"
SUFFIX = ".checkpoint"
KEPT = 2
MAGIC = b"BARNABAS"
FORMAT_LEVEL = 1

_HEADER = struct.Struct(">8sIqiIQ")  # magic, level, end, epoch, count, length of the body
_FOOTER = struct.Struct(">8sIqiII")  # magic, level, end, epoch, count, crc


class BadSnapshot(Exception):
    """These bytes are not a whole snapshot that this program can read; the sentence says why."""


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The whole state, in a canonical order: equal states are equal bytes."""

    end: int
    controller: int
    controller_epoch: int
    voters: tuple[int, ...]
    metadata_level: int
    defaults: ClusterDefaults | None
    next_producer_id: int
    brokers: list[BrokerState]
    topics: list[TopicState]
    partitions: list[PartitionState]
    requests: list[RequestDone]
    broker_configs: list[BrokersConfigured] = []
    removed: list[BrokerState] = []

    @property
    def count(self) -> int:
        """How many things it holds."""
        lists = (self.brokers, self.topics, self.partitions, self.requests, self.broker_configs, self.removed)
        return sum(len(things) for things in lists)


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Header, body, footer."""
    body = _encoder.encode(snapshot)
    identity = (MAGIC, FORMAT_LEVEL, snapshot.end, snapshot.controller_epoch, snapshot.count)
    data = _HEADER.pack(*identity, len(body)) + body + _FOOTER.pack(*identity, 0)[:-4]
    return data + struct.pack(">I", crc32c.crc32c(data))


def decode_snapshot(data: bytes) -> Snapshot:
    """What was encoded. Raises BadSnapshot."""
    if len(data) < _HEADER.size + _FOOTER.size:
        raise BadSnapshot(f"a snapshot has at least {_HEADER.size + _FOOTER.size} bytes, this one {len(data)}")
    *identity, length = _HEADER.unpack_from(data)
    *repeated, crc = _FOOTER.unpack_from(data, len(data) - _FOOTER.size)
    if identity[0] != MAGIC:
        raise BadSnapshot("this is not a metadata snapshot: it begins with other bytes")
    if identity[1] > FORMAT_LEVEL:
        raise BadSnapshot(f"the snapshot has level {identity[1]}, this program knows {FORMAT_LEVEL}: upgrade it")
    if len(data) != _HEADER.size + length + _FOOTER.size or identity != repeated:
        raise BadSnapshot("the snapshot's header and footer do not belong together")
    if crc32c.crc32c(data[:-4]) != crc:
        raise BadSnapshot("the snapshot fails its CRC")
    try:
        snapshot = _decoder.decode(data[_HEADER.size : _HEADER.size + length])
    except msgspec.DecodeError as error:
        raise BadSnapshot(f"the snapshot cannot be read: {error}") from error
    if (snapshot.end, snapshot.controller_epoch, snapshot.count) != tuple(identity[2:]):
        raise BadSnapshot("the snapshot's header does not describe its content")
    if snapshot.metadata_level > LEVEL:
        raise BadSnapshot(f"the metadata has level {snapshot.metadata_level}, this program knows {LEVEL}: upgrade it")
    return snapshot


def path_of(end: int, epoch: int) -> str:
    """Where the snapshot of that end is kept; names sort by offset, as Kafka's do."""
    return f"{DIRECTORY}/{end:020d}-{epoch:010d}{SUFFIX}"


def snapshot_files(reader: Reader) -> list[str]:
    """The paths of all snapshots, the newest first."""
    return [f"{DIRECTORY}/{name}" for name in sorted(reader.list(DIRECTORY), reverse=True) if name.endswith(SUFFIX)]


def bases(reader: Reader) -> dict[int, int]:
    """The ends of all snapshots, each with the epoch of its last record, as their names say."""
    found = {}
    for path in snapshot_files(reader):
        end, _, epoch = path.removeprefix(f"{DIRECTORY}/").removesuffix(SUFFIX).partition("-")
        if end.isdecimal() and epoch.isdecimal():
            found[int(end)] = int(epoch)
    return found


def write_snapshot(disk: Disk, data: bytes, end: int, epoch: int, needed: int = 1 << 62) -> Generation:
    """Write one, and delete all but the newest `KEPT` and this one: those were durable before it was begun.

    Those that end at `needed` or later are kept too: the log may begin there.
    """
    earlier = snapshot_files(disk)
    generation = disk.replace(path_of(end, epoch), data)
    for path in earlier[KEPT:]:
        if path < path_of(needed, 0):
            disk.delete(path)
    return generation


def read_snapshots(reader: Reader) -> list[tuple[str, bytes | str]]:
    """Each snapshot's path and its bytes, newest first; a sentence in place of bytes that cannot be read at all."""
    found: list[tuple[str, bytes | str]] = []
    for path in snapshot_files(reader):
        try:
            found.append((path, reader.read(path, 0, reader.size(path) or 0)))
        except StorageError as error:
            found.append((path, str(error)))
    return found
