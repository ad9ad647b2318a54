"""The blocking consumer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from ..actors.client_commands import Start
from ..actors.messages import EARLIEST, LATEST
from .arrivals import ConsumerRecord as ConsumerRecord
from .arrivals import TopicPartition as TopicPartition
from .consumer_core import KNOWN_WITHIN, ConsumerCore, Where, milliseconds, start_at
from .group_side import CLOSE_TIMEOUT


class Consumer(ConsumerCore):
    """Reads every partition of some topics, or exactly the partitions assigned; `ConsumerCore` tells the options.

    One thread at a time; not after a fork. Records of a partition come in their order; partitions take turns.
    """

    def __iter__(self) -> Iterator[ConsumerRecord]:
        """Records for ever; ends when the consumer is closed. Raises as `poll` does.

        Leave the loop at any record, and the next loop or `poll` goes on with the one after it.
        """
        while not self._guard.closed:
            if self._group is not None:
                self._tend()
            record = self._next()
            if record is not None:
                yield record
            elif not self._load():
                self._await_something(1.0)

    def poll(self, timeout: float = 1.0, max_records: int = 500) -> list[ConsumerRecord]:
        """The next records, in order per partition: at least one, or none after so many seconds.

        Raises what went wrong with a partition, once; the others go on: OffsetOutOfRange (with reset="error"),
        UnknownTopic, CorruptRecord, NoBrokers or Refused. `seek` makes that partition go on. Or Closed, ForkedClient.
        """
        end = time.monotonic() + timeout
        while True:
            self._tend()
            taken = self._take(max_records)
            left = end - time.monotonic()
            if taken or max_records < 1 or left <= 0:
                return taken
            self._await_something(left)

    def seek(self, topic: str, partition: int, to: Where) -> None:
        """Go on there: an offset, "earliest", "latest" or a datetime. Raises UnknownTopic if it is not read here."""
        self._seek(TopicPartition(topic, partition), start_at(to))

    def seek_to_time(self, topic: str, partition: int, timestamp: int | datetime) -> None:
        """Go on with the first record at or after a time (milliseconds since 1970, or a datetime), or at the end."""
        self._seek(TopicPartition(topic, partition), Start(LATEST, milliseconds(timestamp)))

    def position(self, topic: str, partition: int, timeout: float = 10.0) -> int:
        """The offset of the next record that the application gets. Raises OperationTimeout while it is not known."""
        place = self._locate(topic, partition, timeout)
        with self._changed:
            return self._at(place)

    def lag(self, topic: str, partition: int, timeout: float = 10.0) -> int:
        """How many offsets lie between the position and the high watermark, as last heard. Raises as `position`."""
        place = self._locate(topic, partition, timeout)
        with self._changed:
            return self._behind(place)

    def beginning_offsets(
        self, partitions: Sequence[tuple[str, int]], timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """The first offset of each. Raises UnknownTopic, NoBrokers or OperationTimeout."""
        return self._offsets(dict.fromkeys(partitions, EARLIEST), timeout).wait()

    def end_offsets(self, partitions: Sequence[tuple[str, int]], timeout: float = 30.0) -> dict[TopicPartition, int]:
        """The offset after the last committed record of each. Raises as `beginning_offsets`."""
        return self._offsets(dict.fromkeys(partitions, LATEST), timeout).wait()

    def offsets_for_times(
        self, times: Mapping[tuple[str, int], int | datetime], timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """The first record at or after each time; -1 where none is that late. Raises as `beginning_offsets`."""
        return self._offsets({place: milliseconds(when) for place, when in times.items()}, timeout).wait()

    def commit(self, offsets: Mapping[tuple[str, int], int] | None = None, timeout: float = 10.0) -> None:
        """Have the group remember how far it has read: these offsets, or the positions of all that this consumer reads.

        An offset is that of the next record to read. On return every in-sync replica has it. Raises NotAMember if the
        group has given a partition to somebody else: then nothing was committed, and its records may come twice.
        UnknownOutcome: nobody answered in time. ValueError without a group.
        """
        self._commit(offsets, timeout).wait()

    def committed(
        self, partitions: Sequence[tuple[str, int]], timeout: float = 10.0
    ) -> dict[TopicPartition, int | None]:
        """How far the group has read: the offset of the next record to read, None where nothing is committed.

        Raises UnknownTopic, OperationTimeout, and ValueError without a group.
        """
        return self._committed(partitions, timeout).wait()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """End; in a group, commit (with auto_commit) and leave first, within so many seconds. Not for a second time."""
        self._close_and_wait(timeout if self._group is not None else 0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # --- The group ---

    def _tend(self) -> None:
        """Handle what the group has done, before anything more is taken."""
        self._come()
        while (waiting := self._next_rebalance()) is not None:
            rebalance, callback = waiting
            try:
                if callback is not None and rebalance.places:
                    callback(rebalance.places)
            finally:
                self._rebalanced(rebalance)

    # --- Waiting ---

    def _await_something(self, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(self._something, timeout)

    def _seek(self, place: TopicPartition, to: Start) -> None:
        self._guard.check()
        with self._changed:
            if not self._changed.wait_for(lambda: self._reads(place), KNOWN_WITHIN):
                raise self._not_read(place)
        self._go(place, to)

    def _locate(self, topic: str, partition: int, timeout: float) -> TopicPartition:
        self._guard.check()
        place = TopicPartition(topic, partition)
        with self._changed:
            if not self._changed.wait_for(lambda: self._located(place), timeout):
                raise self._not_located(place, timeout)
        return place
