"""The blocking consumer: records come while they are not asked for, and wait here."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from ..actors.client_commands import (
    Assign,
    Assignment,
    AssignTopics,
    Close,
    Failure,
    LookUp,
    Pause,
    Resume,
    Seek,
    Start,
    Took,
)
from ..actors.consumer import ConsumerActor
from ..actors.consumer_outlet import Chunk, ConsumerSettings, Reset
from ..actors.messages import EARLIEST, LATEST
from ..storage.records import InvalidBatch
from .errors import BarnabasError, CorruptRecord, OperationTimeout, UnknownTopic, error_of
from .runtime import Guard, Reply, Runtime, endpoints, new_runtime

KNOWN_WITHIN = 10.0  # seconds: a consumer gets to know its topics
_STARTS = {"earliest": EARLIEST, "latest": LATEST}


class TopicPartition(NamedTuple):
    """One partition, by the name of its topic."""

    topic: str
    partition: int


class ConsumerRecord(NamedTuple):
    """A record, and where it is."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class _Place:
    """What this side knows of one partition."""

    def __init__(self) -> None:
        self.generation = 0
        self.position = -1  # of the next record that the application gets; -1: not known yet
        self.reached = -1  # by the actor, where that goes beyond the records
        self.hw = -1


class _Outlet:
    """Chunks, from the I/O thread. `changed` guards all of it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.places: dict[TopicPartition, _Place] = {}
        self.chunks: deque[Chunk] = deque()
        self.at_hand: TopicPartition | None = None  # the application is taking a chunk of this partition
        self.errors: deque[BarnabasError] = deque()
        self.end = Reply()

    def place(self, topic: str, partition: int) -> _Place:
        return self.places.setdefault(TopicPartition(topic, partition), _Place())

    def fetched(self, chunk: Chunk) -> None:
        with self.changed:
            place = self.place(chunk.topic, chunk.partition)
            place.hw = max(place.hw, chunk.hw)
            if place.position < 0:
                place.position = chunk.first
            self.chunks.append(chunk)
            self.changed.notify_all()

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        with self.changed:
            place = self.place(topic, partition)
            place.hw = max(place.hw, hw)
            if generation == place.generation:
                place.reached = position
                # Chunks that the application has not taken come before this position.
                if not self.waits(TopicPartition(topic, partition)):
                    place.position = position
            self.changed.notify_all()

    def waits(self, place: TopicPartition) -> bool:
        """Whether there are records of this partition that the application has not taken."""
        return place == self.at_hand or any((chunk.topic, chunk.partition) == place for chunk in self.chunks)

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        with self.changed:
            if partition < 0 or generation == self.place(topic, partition).generation:
                self.errors.append(error_of(failure))
                self.changed.notify_all()

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        assert isinstance(token, Reply)
        token.set(found)

    def lookup_failed(self, token: object, failure: Failure) -> None:
        assert isinstance(token, Reply)
        token.set(error=error_of(failure))

    def closed(self) -> None:
        self.end.set()


class Consumer:
    """Reads every partition of some topics, or exactly the partitions assigned. One thread at a time; not after a fork.

    `start` is "earliest", "latest" or an offset; `reset` ("earliest", "latest" or "error") says where to go on when a
    position is not in the log any more.
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str],
        topics: str | Sequence[str] | None = None,
        *,
        assignments: Sequence[tuple[str, int]] | None = None,
        start: str | int = "earliest",
        reset: str = "error",
        prefetch_bytes: int = 8 << 20,
        max_wait_ms: int = 500,
        min_bytes: int = 1,
        request_timeout_ms: int = 3_000,
        topic_timeout_ms: int = 10_000,
        runtime: Runtime | None = None,
    ) -> None:
        if (topics is None) == (assignments is None):
            raise ValueError("give topics or assignments, not both and not neither")
        settings = ConsumerSettings(
            reset=Reset(reset),
            prefetch_bytes=prefetch_bytes,
            max_wait_ms=max_wait_ms,
            min_bytes=min_bytes,
            request_timeout_ms=request_timeout_ms,
            topic_timeout_ms=topic_timeout_ms,
        )
        places = endpoints(bootstrap)
        begin = _start(start)
        self._guard = Guard("consumer")
        self._outlet = outlet = _Outlet()
        self._ready: deque[ConsumerRecord] = deque()  # of the chunk at hand, of one partition
        self._after = -1  # the position once all of it is taken
        self._paused: set[TopicPartition] = set()
        self._generation = 0
        self._runtime = runtime or new_runtime()
        self._runtime.start(lambda: ConsumerActor(places, outlet, settings))
        if topics is not None:
            names = [topics] if isinstance(topics, str) else list(topics)
            self._runtime.tell(AssignTopics(names, begin))
        else:
            wanted = [Assignment(topic, partition, begin) for topic, partition in assignments or ()]
            for place in wanted:
                outlet.place(place.topic, place.partition)
            self._runtime.tell(Assign(wanted))

    def __iter__(self) -> Iterator[ConsumerRecord]:
        """Records for ever; ends when the consumer is closed."""
        while not self._guard.closed:
            yield from self.poll(1.0, 1_000)

    def poll(self, timeout: float = 1.0, max_records: int = 500) -> list[ConsumerRecord]:
        """The next records, in order per partition: at least one, or none after so many seconds.

        Raises what went wrong with a partition, once; the others go on.
        """
        self._guard.check()
        end = time.monotonic() + timeout
        taken: list[ConsumerRecord] = []
        while len(taken) < max_records:
            if self._ready:
                self._take(taken, max_records)
                continue
            if not self._next_chunk(0.0 if taken else max(0.0, end - time.monotonic())) and (
                taken or time.monotonic() >= end
            ):
                break
        return taken

    def seek(self, topic: str, partition: int, to: str | int) -> None:
        """Go on there: an offset, "earliest" or "latest"."""
        self._seek(TopicPartition(topic, partition), _start(to))

    def seek_to_time(self, topic: str, partition: int, timestamp: int) -> None:
        """Go on with the first record at or after a time (milliseconds since 1970), or at the end."""
        self._seek(TopicPartition(topic, partition), Start(LATEST, timestamp))

    def pause(self, *partitions: tuple[str, int]) -> None:
        """Get no more of these until `resume`."""
        self._guard.check()
        self._paused.update(TopicPartition(*place) for place in partitions)
        self._runtime.tell(Pause(list(partitions)))
        for place in [TopicPartition(*place) for place in partitions]:
            with self._outlet.changed:
                waits = self._outlet.waits(place)
                position = self._outlet.place(*place).position if waits else -1
            if waits:  # what waits would keep room from the others: it is fetched again
                self._seek(place, Start(position))

    def resume(self, *partitions: tuple[str, int]) -> None:
        """Get these again."""
        self._guard.check()
        self._paused.difference_update(TopicPartition(*place) for place in partitions)
        self._runtime.tell(Resume(list(partitions)))

    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read, as far as they are known."""
        with self._outlet.changed:
            return sorted(self._outlet.places)

    def position(self, topic: str, partition: int, timeout: float = 10.0) -> int:
        """The offset of the next record that `poll` returns."""
        return self._known(topic, partition, timeout).position

    def lag(self, topic: str, partition: int, timeout: float = 10.0) -> int:
        """How many offsets lie between the position and the high watermark, as last heard."""
        place = self._known(topic, partition, timeout)
        return max(0, place.hw - place.position)

    def high_watermark(self, topic: str, partition: int) -> int:
        """The end of what is committed, as last heard; -1: not heard yet."""
        with self._outlet.changed:
            return self._outlet.place(topic, partition).hw

    def beginning_offsets(
        self, partitions: Sequence[tuple[str, int]], timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """The first offset of each."""
        return self._offsets([(topic, index, EARLIEST) for topic, index in partitions], timeout)

    def end_offsets(self, partitions: Sequence[tuple[str, int]], timeout: float = 30.0) -> dict[TopicPartition, int]:
        """The offset after the last committed record of each."""
        return self._offsets([(topic, index, LATEST) for topic, index in partitions], timeout)

    def offsets_for_times(self, times: dict[tuple[str, int], int], timeout: float = 30.0) -> dict[TopicPartition, int]:
        """The first record at or after each time; -1 where none is that late."""
        return self._offsets([(topic, index, when) for (topic, index), when in times.items()], timeout)

    def close(self) -> None:
        """End. A second call does nothing."""
        if self._guard.closed or self._guard.forked:
            return
        self._guard.closed = True
        self._runtime.tell(Close())
        self._outlet.end.wait(5.0)
        self._runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # --- Within ---

    def _take(self, taken: list[ConsumerRecord], max_records: int) -> None:
        """From the chunk at hand to the caller."""
        ready = self._ready
        first = ready[0]
        count = min(len(ready), max_records - len(taken))
        taken += [ready.popleft() for _ in range(count)]
        with self._outlet.changed:
            place = self._outlet.place(first.topic, first.partition)
            if ready:
                place.position = taken[-1].offset + 1
                return
            self._outlet.at_hand = None
            waits = self._outlet.waits(TopicPartition(first.topic, first.partition))
            place.position = self._after if waits else max(self._after, place.reached)

    def _next_chunk(self, wait: float) -> bool:
        """Make the next chunk the one at hand: whether there was one. Raises what went wrong with a partition."""
        outlet = self._outlet
        with outlet.changed:
            if not outlet.errors and self._first_chunk() is None and wait > 0:
                outlet.changed.wait(wait)
            if outlet.errors:
                raise outlet.errors.popleft()
            chunk = self._first_chunk()
            if chunk is None:
                return False
            outlet.chunks.remove(chunk)
            current = outlet.place(chunk.topic, chunk.partition).generation == chunk.generation
            outlet.at_hand = TopicPartition(chunk.topic, chunk.partition) if current else None
        self._runtime.tell(Took(chunk.size))
        if current:
            self._unpack(chunk)
        return True

    def _first_chunk(self) -> Chunk | None:
        """The first one that is not of a paused partition."""
        for chunk in self._outlet.chunks:
            if not self._paused or TopicPartition(chunk.topic, chunk.partition) not in self._paused:
                return chunk
        return None

    def _unpack(self, chunk: Chunk) -> None:
        topic, partition = chunk.topic, chunk.partition
        try:
            records = chunk.records()
        except InvalidBatch as invalid:
            with self._outlet.changed:
                self._outlet.at_hand = None
            raise CorruptRecord(
                f"{topic}-{partition} has no readable records at offset {chunk.first}: {invalid}; "
                f"seek to {chunk.next} to go on behind them"
            ) from None
        self._after = chunk.next
        self._ready.extend(
            ConsumerRecord(topic, partition, offset, timestamp, key, value, headers)
            for key, value, headers, timestamp, offset in records
        )
        if not self._ready:
            with self._outlet.changed:
                self._outlet.at_hand = None

    def _seek(self, place: TopicPartition, to: Start) -> None:
        self._guard.check()
        outlet = self._outlet
        with outlet.changed:
            if not outlet.changed.wait_for(lambda: place in outlet.places, KNOWN_WITHIN):
                raise UnknownTopic(f"{place.topic}-{place.partition} is not read by this consumer")
            if outlet.at_hand == place:
                self._ready.clear()
                outlet.at_hand = None
            self._generation += 1
            known = outlet.places[place]
            known.generation = self._generation
            known.position = to.offset if to.offset >= 0 else -1
            known.reached = -1
            old = [chunk for chunk in outlet.chunks if (chunk.topic, chunk.partition) == place]
            for chunk in old:
                outlet.chunks.remove(chunk)
        self._runtime.tell(Seek(place.topic, place.partition, to, self._generation))
        freed = sum(chunk.size for chunk in old)
        if freed:
            self._runtime.tell(Took(freed))

    def _known(self, topic: str, partition: int, timeout: float) -> _Place:
        self._guard.check()
        outlet = self._outlet
        with outlet.changed:
            wanted = TopicPartition(topic, partition)

            def known() -> bool:
                return wanted in outlet.places and outlet.places[wanted].position >= 0

            if not outlet.changed.wait_for(known, timeout):
                raise OperationTimeout(f"the position in {topic}-{partition} was not known within {timeout:g} s")
            return outlet.places[wanted]

    def _offsets(self, queries: list[tuple[str, int, int]], timeout: float) -> dict[TopicPartition, int]:
        self._guard.check()
        reply = Reply()
        self._runtime.tell(LookUp(reply, queries, int(timeout * 1000)))
        if not reply.wait(timeout + 5.0):
            raise OperationTimeout(f"no answer within {timeout:g} s")
        found = reply.result()
        assert isinstance(found, dict)
        return {TopicPartition(*place): offset for place, (offset, _) in found.items()}


def _start(start: str | int) -> Start:
    if isinstance(start, int) and start >= 0:
        return Start(start)
    if start in _STARTS:
        return Start(_STARTS[str(start)])
    raise ValueError(f"start is 'earliest', 'latest' or an offset of 0 or more, not {start!r}")
