"""Real clients that use the cluster while it is broken, and write down what they saw.

Producers send unique values to all partitions at a steady rate, whatever happens; consumers read every partition from
its beginning and go on; one more client asks now and then where the ends are. Each outcome is a line of the history, in
the format of `simulation.history`, written as it happens. All times are of one clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from ...client import Consumer, Producer, SendFuture, TopicPartition
from ...client.errors import BarnabasError, UnknownOutcome
from ...simulation.history import Op, Outcome, dump
from .scenario import TOPIC, WorkloadPart

MOST_WAITING = 2_000  # records of one producer without an outcome; it sends no more until there are fewer
ASK_EVERY = 0.7  # seconds between two questions for the ends
DELIVERY_S = 60.0  # a record has its outcome after so long


def now_us() -> int:
    """The clock of histories."""
    return time.monotonic_ns() // 1000


class Record:
    """What was seen so far. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self.ops: list[Op] = []
        self.complaints: dict[str, int] = {}  # what clients were told that is no outcome, and how often
        self._file = path.open("wb")
        self._lock = threading.Lock()

    def add(self, *ops: Op) -> None:
        with self._lock:
            self.ops += ops
            self._file.write(dump(ops))

    def complain(self, error: BarnabasError) -> None:
        with self._lock:
            text = str(error)
            self.complaints[text] = self.complaints.get(text, 0) + 1

    def sends(self) -> list[Op]:
        """Those that have an outcome."""
        with self._lock:
            return [op for op in self.ops if op.kind == "send"]

    def close(self) -> None:
        with self._lock:
            self._file.close()


class Workload:
    """All clients. Use: `start`, then `stop`, then `read_all`."""

    def __init__(self, bootstrap: str, part: WorkloadPart, record: Record, seed: int) -> None:
        self._bootstrap = bootstrap
        self._part = part
        self.record = record
        self._seed = seed
        self._places = [TopicPartition(TOPIC, index) for index in range(part.partitions)]
        self._over = threading.Event()  # nothing more is sent
        self._quiet = threading.Event()  # nothing more is read
        self._senders: list[threading.Thread] = []
        self._readers: list[threading.Thread] = []

    def start(self) -> None:
        part = self._part
        for number in range(1, part.producers + 1):
            self._senders.append(self._begin(f"p{number}", self._produce))
        for number in range(1, part.consumers + 1):
            self._readers.append(self._begin(f"c{number}", self._consume))
        self._readers.append(self._begin("asker", self._ask))
        if part.reread_every:
            self._readers.append(self._begin("again", self._reread))

    def _begin(self, name: str, run: Callable[[str], None]) -> threading.Thread:
        thread = threading.Thread(target=run, args=(name,), name=name, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Send no more, and wait until everything has its outcome; then read no more."""
        self._over.set()
        for thread in self._senders:
            thread.join()
        self._quiet.set()
        for thread in self._readers:
            thread.join()

    # --- Clients ---

    def _produce(self, name: str) -> None:
        part, chance = self._part, Random(f"{self._seed}/{name}")
        waiting = threading.Semaphore(MOST_WAITING)
        every = part.producers / part.rate
        began, number = time.monotonic(), 0
        with Producer(
            self._bootstrap, acks=part.acks, linger_ms=2, delivery_timeout_ms=int(DELIVERY_S * 1000)
        ) as producer:
            while not self._over.wait(max(0.0, began + number * every - time.monotonic())):
                number += 1
                if not waiting.acquire(timeout=1.0):
                    continue
                index = chance.randrange(part.partitions)
                value = f"{name}-{number}"
                called = now_us()
                try:
                    future = producer.send(TOPIC, value.ljust(part.value_bytes, "."), partition=index)
                except BarnabasError as error:  # the buffer is full: it was not sent
                    waiting.release()
                    self.record.complain(error)
                    continue
                future.add_done_callback(self._done(name, f"{TOPIC}-{index}", value, called, waiting))
            producer.flush()

    def _done(
        self, name: str, key: str, value: str, called: int, waiting: threading.Semaphore
    ) -> Callable[[SendFuture], object]:
        once = self._part.acks == "all"

        def done(future: SendFuture) -> None:
            error = future.exception()
            outcome: Outcome = "ok" if error is None else "info" if isinstance(error, UnknownOutcome) else "fail"
            offset = future.result().offset if error is None else -1
            self.record.add(Op(name, "send", key, called, now_us(), outcome, value, offset, once=once))
            if error is not None:
                self.record.complain(error)
            waiting.release()

        return done

    def _consume(self, name: str) -> None:
        with Consumer(self._bootstrap, assignments=self._places, start="earliest") as consumer:
            moment = now_us()
            self.record.add(*(Op(name, "assign", _key(place), moment, moment) for place in self._places))
            while not self._quiet.is_set():
                self._poll(consumer, name, 0.5, final=False)

    def _reread(self, name: str) -> None:
        """Consumers that come, read everything from the beginning to the end, and go."""
        number = 0
        while not self._quiet.wait(self._part.reread_every):
            number += 1
            with Consumer(self._bootstrap, assignments=self._places, start="earliest") as consumer:
                try:
                    ends = consumer.end_offsets(self._places, 5.0)
                    while not self._quiet.is_set() and self._behind(consumer, ends):
                        self._poll(consumer, f"{name}{number}", 1.0, final=False)
                except BarnabasError as error:
                    self.record.complain(error)

    def _poll(self, consumer: Consumer, name: str, timeout: float, *, final: bool) -> int:
        """One poll, written down; how many records it brought."""
        called = now_us()
        try:
            records = consumer.poll(timeout, 2_000)
        except BarnabasError as error:
            self.record.complain(error)
            return 0
        read: dict[str, list[tuple[int, str]]] = {}
        for record in records:
            value = (record.value or b"").decode("utf-8", "replace").rstrip(".")
            read.setdefault(f"{record.topic}-{record.partition}", []).append((record.offset, value))
        done = now_us()
        self.record.add(*(Op(name, "poll", key, called, done, read=read[key], final=final) for key in sorted(read)))
        return len(records)

    def _ask(self, name: str) -> None:
        with Consumer(self._bootstrap, assignments=self._places, start="latest") as consumer:
            while not self._quiet.wait(ASK_EVERY):
                called = now_us()
                try:
                    ends = consumer.end_offsets(self._places, timeout=5.0)
                except BarnabasError as error:
                    self.record.complain(error)
                    continue
                done = now_us()
                self.record.add(
                    *(Op(name, "latest", _key(place), called, done, offset=ends[place]) for place in self._places)
                )

    # --- The end ---

    def read_all(self, timeout: float) -> bool:
        """Read every partition from the beginning to the end; whether that was reached in time."""
        known = {_key(place): 0 for place in self._places}
        for op in self.record.sends():
            known[op.key] = max(known[op.key], op.offset + 1)
        deadline = time.monotonic() + timeout
        with Consumer(self._bootstrap, assignments=self._places, start="earliest") as consumer:
            ends = consumer.end_offsets(self._places, timeout)
            for place in self._places:
                key = _key(place)
                known[key] = max(known[key], ends[place])
                self.record.add(Op("final", "poll", key, now_us(), now_us(), final=True))
            while time.monotonic() < deadline:
                if not self._behind(consumer, {place: known[_key(place)] for place in self._places}):
                    return True
                self._poll(consumer, "final", 0.5, final=True)
        return False

    def _behind(self, consumer: Consumer, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether there is something before these ends that this consumer has not read."""
        return any(consumer.position(*place, timeout=10.0) < end for place, end in ends.items())


def _key(place: TopicPartition) -> str:
    """A partition as histories call it."""
    return f"{place.topic}-{place.partition}"
