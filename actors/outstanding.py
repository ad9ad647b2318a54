"""What a producer still owes: requests without an answer, batches without an outcome, flushes that wait for them."""

from __future__ import annotations

from .accumulator import Batch
from .client_commands import SendRows
from .kernel import Address, Millis, node_of
from .messages import Partition


class Request:
    """A `Produce` on its way."""

    __slots__ = ("answered", "batches", "sent_at", "to")

    def __init__(self, to: Address, batches: dict[Partition, Batch], sent_at: Millis) -> None:
        self.to = to
        self.batches = batches
        self.sent_at = sent_at
        self.answered = False  # in part, at least


class Requests:
    """By id. A request is kept until each of its batches has an outcome, since late answers count."""

    def __init__(self) -> None:
        self._by_id: dict[int, Request] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, request_id: int) -> Request | None:
        """The request, if an answer to it still means anything."""
        return self._by_id.get(request_id)

    def add(self, request_id: int, to: Address, batches: dict[Partition, Batch], now: Millis) -> None:
        """It goes out."""
        self._by_id[request_id] = Request(to, batches, now)

    def over(self, batch: Batch) -> None:
        """This batch has its outcome."""
        for request_id in batch.requests:
            request = self._by_id.get(request_id)
            if request is not None:
                request.batches.pop(batch.partition, None)
                if not request.batches:
                    del self._by_id[request_id]

    def at(self, node: str) -> list[tuple[int, Request]]:
        """Those that went to this node."""
        return [(request_id, request) for request_id, request in self._by_id.items() if node_of(request.to) == node]


class Unresolved:
    """Records for a topic that is not known yet."""

    __slots__ = ("command", "deadline", "serial", "size")

    def __init__(self, command: SendRows, deadline: Millis, serial: int, size: int) -> None:
        self.command = command
        self.deadline = deadline
        self.serial = serial
        self.size = size


class Outstanding:
    """All that has no outcome, by serial number; and who waits for it."""

    def __init__(self) -> None:
        self._serial = 0
        self._live: dict[int, None] = {}
        self._flushes: list[tuple[object, set[int]]] = []

    def __bool__(self) -> bool:
        return bool(self._live)

    def new(self) -> int:
        """A serial number for something that will have an outcome."""
        self._serial += 1
        self._live[self._serial] = None
        return self._serial

    def flush(self, token: object) -> bool:
        """Wait for all that is outstanding now; False if nothing is."""
        if self._live:
            self._flushes.append((token, set(self._live)))
        return bool(self._live)

    def became(self, serial: int, serials: list[int]) -> bool:
        """What waited under one number goes on under others: whether somebody flushes it."""
        waits = [left for _, left in self._flushes if serial in left]
        for left in waits:
            left.update(serials)
        return bool(waits)

    def over(self, serial: int) -> list[object]:
        """It has its outcome: the flushes that are complete with that."""
        del self._live[serial]
        for _, left in self._flushes:
            left.discard(serial)
        complete = [token for token, left in self._flushes if not left]
        self._flushes = [flush for flush in self._flushes if flush[1]]
        return complete
