"""When a controller writes a metadata snapshot: every so many records, of what it has applied (D25).

The log is the truth; a snapshot only saves replaying it. So a full disk means that there is more to replay, and no
more than that. Any other failure of the disk ends the node, as everywhere.
"""

from __future__ import annotations

from ..storage.disk import DiskFull
from .events import MetadataSnapshotSkipped, MetadataSnapshotWritten
from .kernel import Context
from .metadata import MetadataImage
from .metadata_snapshot import write_snapshot


class Snapshots:
    """One controller's policy: a snapshot every `records` records."""

    def __init__(self, records: int) -> None:
        self.records = records
        self._end = 0  # of the last one, written or tried

    def loaded(self, image: MetadataImage) -> None:
        """The image came from a snapshot."""
        self._end = image.end

    def consider(self, image: MetadataImage, ctx: Context) -> None:
        """Write one if it is time."""
        if image.end - self._end < self.records:
            return
        self._end = image.end
        data = image.to_snapshot()
        try:
            write_snapshot(ctx.disk, data, image.end, image.controller_epoch)
        except DiskFull as error:
            ctx.emit(MetadataSnapshotSkipped(what=str(error), cause="the disk is full"))
            return
        ctx.emit(MetadataSnapshotWritten(end=image.end, size=len(data), cause=f"{self.records} records since the last"))
