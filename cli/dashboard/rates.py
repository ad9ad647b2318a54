"""From counters to rates: what flowed in the last second, and in each of the sixty before it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

BARS = 60


class Rate(NamedTuple):
    """Per second."""

    records_in: float
    bytes_in: float
    records_out: float
    bytes_out: float


STILL = Rate(0.0, 0.0, 0.0, 0.0)


class Flow:
    """Records and bytes through one place."""

    __slots__ = ("_began", "_sums", "history", "rate")

    def __init__(self) -> None:
        self.rate = STILL
        self.history: deque[Rate] = deque(maxlen=BARS)  # the newest last; as long as it was watched
        self._sums = (0, 0, 0, 0)
        self._began = -1  # when the second at hand began; -1: at the first tick

    def begin(self, at: int) -> None:
        """The second at hand began then, if none has begun yet."""
        if self._began < 0:
            self._began = at

    def add(self, records_in: int, bytes_in: int, records_out: int, bytes_out: int) -> None:
        """So much more has flowed. A log that was cut flows backwards, which is no flow."""
        one, two, three, four = self._sums
        self._sums = (
            one + max(0, records_in),
            two + max(0, bytes_in),
            three + max(0, records_out),
            four + max(0, bytes_out),
        )

    def tick(self, at: int) -> None:
        """The second at hand is over, at this time in milliseconds."""
        if self._began >= 0 and at > self._began:
            seconds = (at - self._began) / 1000
            self.rate = Rate(*(amount / seconds for amount in self._sums))
            self.history.append(self.rate)
        self._sums = (0, 0, 0, 0)
        self._began = at
