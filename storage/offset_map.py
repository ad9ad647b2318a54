"""What a cleaner remembers: of each key the offset of its last record, within a number of bytes.

A dictionary, because nothing in Python is as fast, and a budget, because a log may have any number of keys. Full means
that the cleaner stops mapping and cleans with what it has; the rest is left for the next time.
"""

from __future__ import annotations

from collections.abc import Mapping

ENTRY_BYTES = 180
"""What one key costs: 150 to 175 bytes were measured for keys of 8 to 24 bytes (a test measures it again)."""


class OffsetMap:
    """Keys by the names of `keys.name_of`."""

    def __init__(self, max_bytes: int) -> None:
        self.latest: dict[bytes, int] = {}
        self.max_keys = max(1, max_bytes // ENTRY_BYTES)

    @property
    def room(self) -> int:
        """Keys that still fit."""
        return max(0, self.max_keys - len(self.latest))

    def add(self, latest: Mapping[bytes, int]) -> None:
        """What a later slice has."""
        self.latest.update(latest)
