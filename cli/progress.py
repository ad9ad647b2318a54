"""How far long work has come: one line on standard error that is written again and again, and gone at the end.

Only where a person sees it: on a terminal, and where nothing else is written to the same one meanwhile.
"""

from __future__ import annotations

import sys
import time

AGAIN = 0.25  # seconds between two looks


class Progress:
    """Counts; does nothing more unless `shown`."""

    def __init__(self, did: str, *, shown: bool) -> None:
        self.count = 0
        self.bytes = 0
        self._did = did
        self._shown = shown and sys.stderr.isatty()
        self._began = self._last = time.monotonic()

    def add(self, count: int, size: int) -> None:
        """So much more is done."""
        self.count += count
        self.bytes += size
        if self._shown:
            now = time.monotonic()
            if now - self._last >= AGAIN:
                self._last = now
                self._write(now)

    def _write(self, now: float) -> None:
        passed = now - self._began
        line = (
            f"{self._did} {self.count:,} events, {self.bytes / 1e6:,.1f} MB, {self.count / passed:,.0f}/s, "
            f"{self.bytes / 1e6 / passed:,.1f} MB/s"
        )
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    def end(self) -> None:
        """Take the line away."""
        if self._shown and self._last > self._began:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
