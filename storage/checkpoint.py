"""Small files beside the logs: offsets by partition, who this node is, and whether it stopped cleanly (API; bodies follow)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from .disk import Disk, Generation, Reader

RECOVERY_POINTS = "recovery-point-offset-checkpoint"
HIGH_WATERMARKS = "replication-offset-checkpoint"
LOG_STARTS = "log-start-offset-checkpoint"

PartitionKey = tuple[str, int]  # (topic, partition)


class Offsets(NamedTuple):
    """A checkpoint file as read: `offsets` is None if it is missing or damaged, and `reason` says which."""

    offsets: dict[PartitionKey, int] | None
    reason: str | None


def read_offsets(reader: Reader, name: str) -> Offsets: raise NotImplementedError
def write_offsets(disk: Disk, name: str, offsets: Mapping[PartitionKey, int]) -> Generation: raise NotImplementedError


class Identity(msgspec.Struct, frozen=True):
    """`meta.properties`: whose data directory this is."""

    cluster_id: str
    node_id: int
    directory_id: str
    voters: tuple[int, ...] = ()
    level: int = 1


class ForeignDirectory(Exception):
    """The data directory belongs to someone else, or cannot be read: a person must look."""


def read_identity(reader: Reader) -> Identity | None: raise NotImplementedError  # None: no file; ForeignDirectory
def write_identity(disk: Disk, identity: Identity) -> Generation: raise NotImplementedError
def check_identity(found: Identity, *, cluster_id: str, node_id: int, voters: tuple[int, ...]) -> None:
    raise NotImplementedError  # ForeignDirectory


class CleanShutdown(msgspec.Struct, frozen=True):
    broker_epoch: int
    boot_id: str


def read_clean_shutdown(reader: Reader) -> CleanShutdown | None: raise NotImplementedError
def write_clean_shutdown(disk: Disk, marker: CleanShutdown) -> Generation: raise NotImplementedError
def remove_clean_shutdown(disk: Disk) -> Generation: raise NotImplementedError
