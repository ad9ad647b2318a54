"""A metadata snapshot that comes in pieces: who asks for it, asks for one after the other and puts them together.

The pieces of one snapshot are named by its end. One of another snapshot begins anew: the controller that is asked may
hold a newer one by now.
"""

from __future__ import annotations

from .messages import MetadataSnapshot


class SnapshotPieces:
    """Ask from `position` of the snapshot that ends at `end` on; both are 0 before the first piece."""

    def __init__(self) -> None:
        self.end = 0
        self._data = bytearray()

    @property
    def position(self) -> int:
        """How much is here."""
        return len(self._data)

    def add(self, piece: MetadataSnapshot) -> bool:
        """Whether it is the next one. If not, what was there is given up."""
        if self.end != piece.end or piece.position == 0:
            self.end, self._data = piece.end, bytearray()
        if piece.position != len(self._data) or not len(piece.data):
            self.forget()
            return False
        self._data += piece.data.data
        return True

    def whole(self, piece: MetadataSnapshot) -> bytes | None:
        """The snapshot if this was its last piece; then nothing is kept of it here."""
        if len(self._data) < piece.size:
            return None
        data = bytes(self._data)
        self.forget()
        return data

    def forget(self) -> None:
        """Begin anew."""
        self.end, self._data = 0, bytearray()
