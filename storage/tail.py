"""The last batches of a log, kept in memory: followers and live consumers read what was just written."""

from __future__ import annotations

from bisect import bisect_left


class Tail:
    """Bounded by bytes; when there are too many the older half goes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.clear()

    def clear(self) -> None:
        self._bases: list[int] = []
        self._lasts: list[int] = []
        self._batches: list[bytes | bytearray] = []
        self._bytes = 0

    def add(self, base: int, last: int, batch: bytes | bytearray) -> None:
        """The batch that follows the ones before; it must not be changed afterwards."""
        self._bases.append(base)
        self._lasts.append(last)
        self._batches.append(batch)
        self._bytes += len(batch)
        if self._bytes <= self.max_bytes:
            return
        gone = 0
        while self._bytes > self.max_bytes // 2:
            self._bytes -= len(self._batches[gone])
            gone += 1
        del self._bases[:gone], self._lasts[:gone], self._batches[:gone]

    def covers(self, offset: int) -> bool:
        """Whether the batch with this offset, if the log has it, is here."""
        return bool(self._bases) and self._bases[0] <= offset <= self._lasts[-1]

    def read(self, offset: int, max_bytes: int, limit: int, min_one: bool) -> tuple[bytes, int]:
        """As `Log.read`, and the offset after what is given."""
        first = number = bisect_left(self._lasts, offset)
        room = max_bytes
        while number < len(self._lasts) and self._lasts[number] < limit:
            size = len(self._batches[number])
            if size > room and not (min_one and number == first):
                break
            room -= size
            number += 1
        return b"".join(self._batches[first:number]), self._lasts[number - 1] + 1 if number > first else offset

    def forget_below(self, offset: int) -> None:
        """Forget batches that begin below `offset`: on disk there is something else now."""
        gone = bisect_left(self._bases, offset)
        self._bytes -= sum(map(len, self._batches[:gone]))
        del self._bases[:gone], self._lasts[:gone], self._batches[:gone]

    def cut(self, end: int) -> None:
        """Forget batches that reach `end` or beyond."""
        keep = bisect_left(self._lasts, end)
        self._bytes -= sum(map(len, self._batches[keep:]))
        del self._bases[keep:], self._lasts[keep:], self._batches[keep:]
