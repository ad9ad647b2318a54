"""The recovery point of the metadata log: everything below it is durable and need not be scanned at the next start."""

from __future__ import annotations

from ..storage.checkpoint import read_offsets, write_offsets
from ..storage.disk import Disk, Generation, Reader

PATH = "metadata/recovery-point-offset-checkpoint"
_KEY = ("__cluster_metadata", 0)


class RecoveryPoint:
    """One number in a file of its own. It is lowered durably before the log is cut below it."""

    def __init__(self) -> None:
        self.offset: int | None = None  # as last written; None if it is not known

    def read(self, reader: Reader, *, fresh: bool) -> int | None:
        """The point on disk; 0 on a fresh disk; None if it is lost, so that everything must be scanned."""
        offsets = read_offsets(reader, PATH).offsets
        self.offset = None if offsets is None else offsets.get(_KEY)
        if self.offset is None and fresh:
            self.offset = 0
        return self.offset

    def raise_to(self, offset: int, disk: Disk) -> None:
        """Everything below `offset` is durable."""
        if offset != self.offset:
            self.offset = offset
            write_offsets(disk, PATH, {_KEY: offset})

    def lower_to(self, offset: int, disk: Disk) -> Generation | None:
        """The log will be cut at `offset` once the returned generation is durable; None: it may be cut now."""
        if self.offset is not None and self.offset <= offset:
            return None
        self.offset = offset
        return write_offsets(disk, PATH, {_KEY: offset})
