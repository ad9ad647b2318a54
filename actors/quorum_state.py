"""What a voter must never forget: the epoch that it is in, and whom it voted for.

One small file, replaced whole. A file that cannot be read stops the voter: to guess is to vote twice (R3).
"""

from __future__ import annotations

import msgspec
from crc32c import crc32c

from ..storage.disk import Disk, Generation, Reader

PATH = "metadata/quorum-state"
LEVEL = 1


class QuorumState(msgspec.Struct, frozen=True):
    """Persisted before any message that reveals it."""

    epoch: int = 0
    voted_for: int = -1
    leader: int = -1
    level: int = LEVEL


class DamagedQuorumState(Exception):
    """The file is there and cannot be trusted. A person must decide; the voter does not run."""


def read(reader: Reader) -> QuorumState | None:
    """The state on disk; None if there has never been one. Raises DamagedQuorumState, StorageError."""
    size = reader.size(PATH)
    if size is None:
        return None
    text = reader.read(PATH, 0, size)
    body, _, digest = text.rpartition(b"\n")
    try:
        if int(digest, 16) != crc32c(body):
            raise ValueError("checksum")
        state = msgspec.json.decode(body, type=QuorumState)
    except (ValueError, msgspec.DecodeError) as error:
        raise DamagedQuorumState(f"{PATH} is damaged ({error}): this controller does not vote on a guess") from None
    if state.level > LEVEL:
        raise DamagedQuorumState(f"{PATH} has level {state.level}, this version reads {LEVEL}")
    return state


def write(disk: Disk, state: QuorumState) -> Generation:
    """Replace the state; durable at the returned generation."""
    body = msgspec.json.encode(state)
    return disk.replace(PATH, body + b"\n%08x" % crc32c(body))
