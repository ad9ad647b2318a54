"""Small files at the top of a data directory: offsets by partition, whose it is, and whether it was left in order.

Offsets are kept in Kafka's text: a version, a count, and a line `topic partition offset` for each. They only save
work, so a damaged file is not an error but an absence with a reason, and whoever reads it takes the safe side: no
recovery point (scan everything, and trust nothing below as proven), no high watermark (the start of the log), nothing
cleaned (all is cleaned again).

Identity is different. Guessing whose directory this is could let a node vote twice or serve another cluster's
data, so `read_identity` and `check_identity` stop with a sentence for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from crc32c import crc32c

from .disk import Disk, Generation, Reader

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"
CLEANED = "cleaner-offset-checkpoint"
IDENTITY = "meta.properties"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
LEVEL = 1  # of the identity and the clean-shutdown marker

PartitionKey = tuple[str, int]  # (topic, partition)


class Offsets(NamedTuple):
    """A checkpoint file as read: `offsets` is None if it is missing or damaged, and `reason` says which."""

    offsets: dict[PartitionKey, int] | None
    reason: str | None


def read_offsets(reader: Reader, name: str) -> Offsets:
    """All offsets of one checkpoint file, or why there are none."""
    data = _content(reader, name)
    if data is None:
        return Offsets(None, f"there is no {name}")
    try:
        return Offsets(decode_offsets(data), None)
    except ValueError as error:
        return Offsets(None, f"{name} cannot be used: {error}")


def write_offsets(disk: Disk, name: str, offsets: Mapping[PartitionKey, int]) -> Generation:
    """Replace one checkpoint file; durable with the generation."""
    return disk.replace(name, encode_offsets(offsets))


def encode_offsets(offsets: Mapping[PartitionKey, int]) -> bytes:
    lines = ["0", str(len(offsets))]
    lines += [f"{topic} {partition} {offset}" for (topic, partition), offset in sorted(offsets.items())]
    return ("\n".join(lines) + "\n").encode()


def decode_offsets(data: bytes) -> dict[PartitionKey, int]:
    """Raises ValueError, in words, for anything that `encode_offsets` does not write."""
    if not data.isascii() or not data.endswith(b"\n"):
        raise ValueError("it is cut off or not text")
    lines = data.decode("ascii")[:-1].split("\n")
    if lines[0] != "0":
        raise ValueError(f"it has version {lines[0][:20]!r}, expected 0")
    if len(lines) < 2 or lines[1] != str(len(lines) - 2):
        raise ValueError("it does not have as many lines as it says")
    offsets: dict[PartitionKey, int] = {}
    for line in lines[2:]:
        words = line.split(" ")
        if len(words) != 3 or not words[0] or not all(_is_number(word) for word in words[1:]):
            raise ValueError(f"it has the line {line[:60]!r}")
        key = (words[0], int(words[1]))
        if key in offsets:
            raise ValueError(f"it names {words[0]}-{words[1]} twice")
        offsets[key] = int(words[2])
    return offsets


def _is_number(word: str) -> bool:
    return word.isdecimal() and len(word) <= 19 and (word == "0" or not word.startswith("0"))


def _content(reader: Reader, name: str) -> bytes | None:
    size = reader.size(name)
    return None if size is None else reader.read(name, 0, size)


class Identity(msgspec.Struct, frozen=True):
    """`meta.properties`: whose data directory this is."""

    cluster_id: str
    node_id: int
    directory_id: str
    voters: tuple[int, ...] = ()
    level: int = LEVEL


class ForeignDirectory(Exception):
    """The data directory belongs to someone else, or cannot be read: a person must look."""


def read_identity(reader: Reader) -> Identity | None:
    """Who wrote this directory; None if nobody has yet. ForeignDirectory if it cannot be told."""
    data = _content(reader, IDENTITY)
    if data is None:
        return None
    found = _properties(data)
    if found is None:
        raise ForeignDirectory(f"{IDENTITY} is damaged: restore it, or start this node with an empty directory")
    try:
        level = int(found["level"])
        if level != LEVEL:
            raise ForeignDirectory(f"{IDENTITY} has level {level}, this version knows {LEVEL}: use a newer version")
        voters = tuple(int(word) for word in found["voters"].split(",") if word)
        return Identity(found["cluster.id"], int(found["node.id"]), found["directory.id"], voters, level)
    except (KeyError, ValueError) as error:
        raise ForeignDirectory(f"{IDENTITY} is not ours: it lacks a proper {error}") from None


def write_identity(disk: Disk, identity: Identity) -> Generation:
    """Only ever written into a directory without one."""
    return disk.replace(
        IDENTITY,
        _encode_properties(
            {
                "version": "1",
                "level": str(identity.level),
                "cluster.id": identity.cluster_id,
                "node.id": str(identity.node_id),
                "directory.id": identity.directory_id,
                "voters": ",".join(map(str, identity.voters)),
            }
        ),
    )


def check_identity(found: Identity, *, cluster_id: str, node_id: int, voters: tuple[int, ...]) -> None:
    """Refuse, in words, a directory of another cluster or node, and a changed list of voters."""
    if found.cluster_id != cluster_id:
        raise ForeignDirectory(f"the directory belongs to cluster {found.cluster_id}, this is cluster {cluster_id}")
    if found.node_id != node_id:
        raise ForeignDirectory(f"the directory belongs to node {found.node_id}, this is node {node_id}")
    if sorted(found.voters) != sorted(voters):
        raise ForeignDirectory(
            f"the directory was made for the controllers {sorted(found.voters)}, the config has {sorted(voters)}: "
            "the controllers of a cluster cannot be changed"
        )


class CleanShutdown(msgspec.Struct, frozen=True):
    """Left behind by a node that stopped in order, removed when it starts."""

    broker_epoch: int


def read_clean_shutdown(reader: Reader) -> CleanShutdown | None:
    """None if the node did not stop cleanly, as far as anyone can tell."""
    found = _properties(_content(reader, CLEAN_SHUTDOWN) or b"")
    if found is None or found.get("level") != str(LEVEL):
        return None
    epoch = found.get("broker.epoch", "")
    return CleanShutdown(int(epoch)) if epoch.removeprefix("-").isdecimal() else None


def write_clean_shutdown(disk: Disk, marker: CleanShutdown) -> Generation:
    """The last write of a node; wait for its generation before leaving."""
    properties = {"level": str(LEVEL), "broker.epoch": str(marker.broker_epoch)}
    return disk.replace(CLEAN_SHUTDOWN, _encode_properties(properties))


def remove_clean_shutdown(disk: Disk) -> Generation:
    """Before anything else is written: wait for the generation, or a crash would look like a clean stop."""
    return disk.delete(CLEAN_SHUTDOWN)


def _encode_properties(properties: Mapping[str, str]) -> bytes:
    assert not any("\n" in value or "=" in key for key, value in properties.items())
    body = "".join(f"{key}={value}\n" for key, value in properties.items()).encode()
    return body + f"crc={crc32c(body):08x}\n".encode()


def _properties(data: bytes) -> dict[str, str] | None:
    """The lines of a properties file, None if its checksum is wrong or missing."""
    body, separator, crc = data.rpartition(b"crc=")
    if not separator or crc != f"{crc32c(body):08x}\n".encode():
        return None
    try:
        lines = body.decode().splitlines()
    except UnicodeDecodeError:
        return None
    return {key: value for key, _, value in (line.partition("=") for line in lines)}
