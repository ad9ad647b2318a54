"""What became of every record that was sent: the same account for the demo and the measurements.

A record carries its number in the header `number`. Numbers grow in the order of sending, so within one key (and within
one partition) they must come back growing. Acknowledged and not read: lost. Read twice: duplicated. A record that was
never acknowledged may be there or not; it still must not be there twice.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from ..client import Consumer, ConsumerRecord

HEADER = "number"


class Verdict(msgspec.Struct, frozen=True):
    """The account after reading everything back."""

    sent: int
    acknowledged: int
    read: int
    lost: int
    duplicated: int
    out_of_order: int
    failed: int = 0
    first_failure: str = ""

    @property
    def good(self) -> bool:
        return not (self.lost or self.duplicated or self.out_of_order)


class Outcome(Protocol):
    """The future of one record."""

    def exception(self) -> BaseException | None: ...

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None: ...


class Sender(Protocol):
    """A producer of ours, or of Kafka's clients (`kafka_producers.py`)."""

    def send(
        self,
        topic: str,
        value: bytes,
        key: bytes | None = None,
        *,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> Outcome: ...

    def flush(self, timeout: float) -> None: ...


class Flow:
    """Numbered records on their way, and when each was acknowledged. `send` on one thread; the rest on any."""

    def __init__(self, producer: Sender, topic: str) -> None:
        self.topic = topic
        self.sent = 0
        self.acknowledgements: list[tuple[float, int]] = []  # (when, number), in the order of time
        self.failures: list[str] = []
        self._producer = producer
        self._changed = threading.Condition()

    def send(self, value: bytes, key: bytes | None = None, partition: int | None = None) -> int:
        """Send one record; its number."""
        number = self.sent
        headers = ((HEADER, str(number).encode()),)
        future = self._producer.send(self.topic, value, key, headers=headers, partition=partition)
        with self._changed:
            self.sent += 1
            self._changed.notify_all()
        future.add_done_callback(lambda done: self._done(number, done))
        return number

    def _done(self, number: int, future: Outcome) -> None:
        error = future.exception()
        with self._changed:
            if error is None:
                self.acknowledgements.append((time.monotonic(), number))
            else:
                self.failures.append(str(error))
            self._changed.notify_all()

    def await_sent(self, count: int, timeout: float) -> bool:
        """Wait until so many are sent."""
        with self._changed:
            return self._changed.wait_for(lambda: self.sent >= count, timeout)

    def await_acknowledged_from(self, number: int, timeout: float) -> bool:
        """Wait until a record with this number or a later one is acknowledged."""
        with self._changed:
            return self._changed.wait_for(
                lambda: bool(self.acknowledgements) and self.acknowledgements[-1][1] >= number, timeout
            )

    def longest_gap(self, since: float | None = None, until: float | None = None) -> float:
        """The longest time between two acknowledgements that follow each other and overlap the span; in seconds."""
        with self._changed:
            times = [when for when, _ in self.acknowledgements]
        gaps = (
            later - earlier
            for earlier, later in pairwise(times)
            if (since is None or later >= since) and (until is None or earlier <= until)
        )
        return max(gaps, default=0.0)

    def judge(self, consumer: "Consumer", partitions: int, timeout: float = 60.0) -> Verdict:
        """Read everything back, from the first record to the end, and compare."""
        read: dict[int, int] = {}
        newest: dict[tuple[int, bytes | None], int] = {}
        out_of_order = 0
        for record in read_all(consumer, self.topic, partitions, timeout):
            number = int(dict(record.headers)[HEADER] or b"-1")
            read[number] = read.get(number, 0) + 1
            place = (record.partition, record.key)
            out_of_order += number < newest.get(place, -1)
            newest[place] = max(number, newest.get(place, -1))
        acknowledged = {number for _, number in self.acknowledgements}
        return Verdict(
            sent=self.sent,
            acknowledged=len(acknowledged),
            read=sum(read.values()),
            lost=len(acknowledged - read.keys()),
            duplicated=sum(count - 1 for count in read.values()),
            out_of_order=out_of_order,
            failed=len(self.failures),
            first_failure=self.failures[0] if self.failures else "",
        )


def read_all(consumer: "Consumer", topic: str, partitions: int, timeout: float) -> "Iterator[ConsumerRecord]":
    """Every committed record of a topic. Stops early, with what came, after so many seconds without any."""
    ends = consumer.end_offsets([(topic, index) for index in range(partitions)], timeout)
    waiting = {place.partition: end for place, end in ends.items() if end > 0}
    last = time.monotonic()
    while waiting and time.monotonic() - last < timeout:
        records = consumer.poll(1.0, 10_000)
        for record in records:
            yield record
            if record.offset + 1 >= waiting.get(record.partition, 1 << 63):
                del waiting[record.partition]
        if records:
            last = time.monotonic()
