"""The consumer, without the waiting: records come while they are not asked for, and are taken here.

`poll` and the iterators take records from the chunk at hand, which is of one partition, and then from the next one that
is not of a paused partition. A record counts as taken, and the position moves, when it is given to the application.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import repeat

from ..actors.client_commands import (
    Assign,
    Assignment,
    AssignTopics,
    LookUp,
    Pause,
    Resume,
    Seek,
    Start,
    Subscribe,
    Took,
)
from ..actors.consumer import ConsumerActor
from ..actors.consumer_outlet import Chunk, ConsumerSettings, Reset
from ..actors.group_consumer import GroupConsumerActor
from ..actors.group_member import MemberSettings
from ..actors.group_messages import AT_LEADER, RANGE, UNIFORM
from ..actors.group_planning import plan
from ..actors.group_reading import GroupSettings
from ..actors.messages import EARLIEST, LATEST
from ..storage.records import BatchHeader, InvalidBatch, decode_columns, parse_header
from .arrivals import Arrivals, ConsumerRecord, TopicPartition
from .core import Question
from .errors import CorruptRecord, OperationTimeout, UnknownTopic
from .group_part import GroupArrivals, GroupPart, RebalanceCallback
from .group_side import GroupSide
from .runtime import Guard, Runtime, endpoints

KNOWN_WITHIN = 10.0  # seconds: a consumer gets to know its topics
_new_record = partial(tuple.__new__, ConsumerRecord)  # from its fields, as `_make` but without a call in Python
_STARTS = {"earliest": EARLIEST, "latest": LATEST}

Where = str | int | datetime
"""A place in a partition: an offset, "earliest", "latest", or a time: the first record at or after it, or the end."""


class ConsumerCore(GroupSide):
    """Options, and everything but waiting.

    bootstrap           brokers to begin with: "host:port,host:port", or a sequence of these
    topics              read every partition of these, now and when partitions are added; or
    assignments         read exactly these (topic, partition); or
    group               as a member of this group: read what it assigns of `topics`, and of topics whose whole name
                        matches `pattern` (a regular expression)
    start               where to begin: "earliest", "latest", an offset, or a datetime with a time zone (the first
                        record at or after it, or the end)
    reset               where to go on when a position is not in the log any more: "earliest", "latest" or "error"
    prefetch_bytes      what may wait here to be taken; beyond it nothing more is asked for
    max_wait_ms         how long a broker may wait for records before it answers that there are none
    min_bytes           how much a broker waits for
    request_timeout_ms  a broker that has not answered for so long is asked again
    topic_timeout_ms    how long a topic may stay unknown before that is an error

    In a group `start` is where to begin when nothing is committed, and these count too:

    auto_commit         commit what earlier polls gave: every `auto_commit_interval` seconds, before partitions are
                        given up, and when the consumer is closed
    on_assigned         called with the partitions that are read from now on; callbacks run where the application polls
    on_revoked          called with those that are about to be given up, while their positions can still be committed
    on_lost             called with those that somebody else may have already
    client_id           what people see the consumer as (default: the process's id)
    instance            the name of a static member: who comes back under it within its session gets the same again
    assignor            "uniform", "range", or "leader": the group's oldest member assigns
    max_poll_interval   seconds without a poll after which the consumer leaves the group, until the next one
    rebalance_timeout   seconds that it has to give up partitions, before the group goes on without it
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str],
        topics: str | Sequence[str] | None = None,
        *,
        assignments: Sequence[tuple[str, int]] | None = None,
        start: Where = "earliest",
        reset: str = "error",
        prefetch_bytes: int = 8 << 20,
        max_wait_ms: int = 500,
        min_bytes: int = 1,
        request_timeout_ms: int = 3_000,
        topic_timeout_ms: int = 10_000,
        group: str | None = None,
        pattern: str = "",
        auto_commit: bool = True,
        auto_commit_interval: float = 5.0,
        on_assigned: RebalanceCallback | None = None,
        on_revoked: RebalanceCallback | None = None,
        on_lost: RebalanceCallback | None = None,
        client_id: str = "",
        instance: str = "",
        assignor: str = UNIFORM,
        max_poll_interval: float = 300.0,
        rebalance_timeout: float = 60.0,
        runtime: Runtime | None = None,
    ) -> None:
        if group is None and (topics is None) == (assignments is None):
            raise ValueError("give topics or assignments, not both and not neither")
        if group is not None and (assignments is not None or (topics is None and not pattern)):
            raise ValueError("in a group give topics, a pattern or both, and no assignments: the group assigns")
        settings = ConsumerSettings(
            reset=Reset(reset),
            prefetch_bytes=prefetch_bytes,
            max_wait_ms=max_wait_ms,
            min_bytes=min_bytes,
            request_timeout_ms=request_timeout_ms,
            topic_timeout_ms=topic_timeout_ms,
        )
        places = endpoints(bootstrap)
        begin = start_at(start)
        self._group: GroupPart | None = None
        if group is not None:
            self._group = GroupPart(
                auto_commit=auto_commit,
                auto_commit_interval=auto_commit_interval,
                on_assigned=on_assigned,
                on_revoked=on_revoked,
                on_lost=on_lost,
            )
        in_group = GroupArrivals()
        arrivals = Arrivals() if group is None else in_group
        self._arrivals = arrivals
        self._changed = arrivals.changed
        self._ready: deque[ConsumerRecord] = deque()  # of the chunk at hand, of one partition
        self._after = -1  # the position once all of it is taken
        self._paused: set[TopicPartition] = set()
        self._generation = 0
        names = [topics] if isinstance(topics, str) else list(topics or ())
        if group is not None:
            member = MemberSettings(
                group,
                instance,
                client_id=client_id or f"barnabas-{os.getpid()}",
                host=socket.gethostname(),
                assignor=assignor_of(assignor),
                rebalance_timeout_ms=int(rebalance_timeout * 1000),
            )
            joining = GroupSettings(member, begin, int(max_poll_interval * 1000))
            make = partial(GroupConsumerActor, places, in_group, settings, joining, plan)
            self._open(Guard("consumer"), runtime, arrivals.end, make)
            self._runtime.tell(Subscribe(names, pattern))
            return
        self._open(Guard("consumer"), runtime, arrivals.end, lambda: ConsumerActor(places, arrivals, settings))
        if topics is not None:
            self._runtime.tell(AssignTopics(names, begin))
        else:
            wanted = [Assignment(topic, partition, begin) for topic, partition in assignments or ()]
            with self._changed:
                for place in wanted:
                    arrivals.place(place.topic, place.partition)
            self._runtime.tell(Assign(wanted))

    def pause(self, *partitions: tuple[str, int]) -> None:
        """Get no more of these (topic, partition) until `resume`. The others go on."""
        self._guard.check()
        places = [TopicPartition(*place) for place in partitions]
        self._paused.update(places)
        self._runtime.tell(Pause(list(partitions)))
        for place in places:
            with self._changed:
                position = self._at(place) if self._arrivals.waits(place) else -1
            if position >= 0:  # what waits would keep room from the others: it is fetched again
                self._go(place, Start(position))

    def resume(self, *partitions: tuple[str, int]) -> None:
        """Get these again."""
        self._guard.check()
        self._paused.difference_update(TopicPartition(*place) for place in partitions)
        self._runtime.tell(Resume(list(partitions)))

    def paused(self) -> list[TopicPartition]:
        """Those that are paused."""
        return sorted(self._paused)

    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read, as far as they are known."""
        self._guard.check()
        with self._changed:
            return sorted(self._arrivals.places)

    def high_watermark(self, topic: str, partition: int) -> int:
        """The end of what is committed, as last heard; -1: not heard yet."""
        self._guard.check()
        with self._changed:
            place = self._arrivals.places.get(TopicPartition(topic, partition))
            return -1 if place is None else place.hw

    # --- Taking ---

    def _next(self) -> ConsumerRecord | None:
        """The next record of the chunk at hand; None if all of it is taken."""
        if not self._ready or (self._group is not None and self._suspended()):
            return None
        record = self._ready.popleft()
        if not self._ready:
            self._taken()
        return record

    def _take(self, max_records: int) -> list[ConsumerRecord]:
        """What is there, up to so many. Raises what went wrong with a partition, once, if there is nothing to give."""
        self._guard.check()
        if self._group is not None and self._suspended():
            return []
        ready = self._ready
        taken: list[ConsumerRecord] = []
        while len(taken) < max_records and (ready or self._load(raising=not taken)):
            count = min(len(ready), max_records - len(taken))
            taken += [ready.popleft() for _ in range(count)]
            if count and not ready:
                self._taken()
        return taken

    def _taken(self) -> None:
        """The application has all of the chunk at hand."""
        arrivals = self._arrivals
        with self._changed:
            at_hand = arrivals.at_hand
            assert at_hand is not None, "what is taken is of a partition"
            arrivals.at_hand = None
            place = arrivals.places[at_hand]
            place.position = self._after if arrivals.waits(at_hand) else max(self._after, place.reached)

    def _something(self) -> bool:
        """Whether there may be something to take."""
        return bool(
            self._guard.closed
            or self._rebalancing()
            or self._arrivals.errors
            or (not self._suspended() and (self._ready or self._first_chunk() is not None))
        )

    def _load(self, *, raising: bool = True) -> bool:
        """Make the next chunk the one at hand: whether there was one. Raises what went wrong with a partition."""
        self._guard.check_process()
        if self._ready:
            return True
        arrivals = self._arrivals
        with self._changed:
            if self._rebalancing() or self._suspended():
                return False
            if arrivals.errors:
                if raising:
                    raise arrivals.errors.popleft()
                return False
            chunk = self._first_chunk()
            if chunk is None:
                return False
            arrivals.chunks.remove(chunk)
            current = arrivals.place(chunk.topic, chunk.partition).generation == chunk.generation
            arrivals.at_hand = TopicPartition(chunk.topic, chunk.partition) if current else None
        self._runtime.tell(Took(chunk.size))
        if current:
            self._unpack(chunk)
        return True

    def _first_chunk(self) -> Chunk | None:
        """The first one that is not of a paused partition."""
        for chunk in self._arrivals.chunks:
            if not self._paused or TopicPartition(chunk.topic, chunk.partition) not in self._paused:
                return chunk
        return None

    def _unpack(self, chunk: Chunk) -> None:
        """Its records are ready, up to the first batch that cannot be read."""
        topic, partition = chunk.topic, chunk.partition
        self._after = chunk.next
        for data in chunk.batches:
            try:
                keys, values, headers, timestamps, offsets = decode_columns(data)
            except InvalidBatch as invalid:
                self._stop_at(TopicPartition(topic, partition), parse_header(data), invalid)
                break
            fields = zip(repeat(topic), repeat(partition), offsets, timestamps, keys, values, headers, strict=False)
            records: Iterable[ConsumerRecord] = map(_new_record, fields)
            if parse_header(data).base_offset < chunk.first:
                records = (record for record in records if record.offset >= chunk.first)
            self._ready.extend(records)
        if not self._ready:
            with self._changed:
                self._arrivals.at_hand = None

    def _stop_at(self, place: TopicPartition, bad: BatchHeader, invalid: InvalidBatch) -> None:
        """What a producer wrote cannot be read: nothing behind it is given until the application has chosen where."""
        first, behind = bad.base_offset, bad.next_offset
        sentence = (
            f"{place.topic}-{place.partition} has no readable records at offset {first}: {invalid}; "
            f"seek to {behind} to go on behind them"
        )
        with self._changed:
            self._generation += 1
            known = self._arrivals.places[place]
            known.generation = self._generation  # what came or comes without a seek is of an earlier one
            known.position = self._after = first
            known.reached = -1
            self._arrivals.errors.append(CorruptRecord(sentence))

    # --- Positions ---

    def _reads(self, place: TopicPartition) -> bool:
        """Whether this partition is known to be read."""
        return place in self._arrivals.places

    def _not_read(self, place: TopicPartition) -> UnknownTopic:
        return UnknownTopic(f"{place.topic}-{place.partition} is not read by this consumer")

    def _located(self, place: TopicPartition) -> bool:
        """Whether it is known where this partition is read."""
        return place in self._arrivals.places and self._at(place) >= 0

    def _not_located(self, place: TopicPartition, timeout: float) -> OperationTimeout:
        return OperationTimeout(f"the position in {place.topic}-{place.partition} was not known within {timeout:g} s")

    def _at(self, place: TopicPartition) -> int:
        """The offset of the next record that the application gets; -1: not known yet. With the lock."""
        if self._ready and self._arrivals.at_hand == place:
            return self._ready[0].offset
        return self._arrivals.places[place].position

    def _behind(self, place: TopicPartition) -> int:
        """How far that is from the high watermark, as last heard. With the lock."""
        return max(0, self._arrivals.places[place].hw - self._at(place))

    def _go(self, place: TopicPartition, to: Start) -> None:
        """Go on there, with a partition that is read."""
        arrivals = self._arrivals
        with self._changed:
            if arrivals.at_hand == place:
                self._ready.clear()
                arrivals.at_hand = None
            self._generation += 1
            known = arrivals.places[place]
            known.generation = self._generation
            known.position = to.offset if to.offset >= 0 else -1
            known.reached = -1
            old = [chunk for chunk in arrivals.chunks if (chunk.topic, chunk.partition) == place]
            for chunk in old:
                arrivals.chunks.remove(chunk)
        self._runtime.tell(Seek(place.topic, place.partition, to, self._generation))
        freed = sum(chunk.size for chunk in old)
        if freed:
            self._runtime.tell(Took(freed))

    def _offsets(self, queries: Mapping[tuple[str, int], int], timeout: float) -> Question[dict[TopicPartition, int]]:
        asked = [(topic, index, when) for (topic, index), when in queries.items()]
        return self._ask(lambda reply: LookUp(reply, asked, int(timeout * 1000)), timeout, _found)

    def _last_words(self) -> None:
        if self._group is not None and self._group.auto_commit:
            self._commit_silently()
        with self._changed:
            self._arrivals.tell()


def _found(answer: object) -> dict[TopicPartition, int]:
    assert isinstance(answer, dict), "who looks up gets offsets"
    return {TopicPartition(*place): offset for place, (offset, _) in answer.items()}


def assignor_of(name: str) -> str:
    if name not in {UNIFORM, RANGE, AT_LEADER}:
        raise ValueError(f"an assignor is {UNIFORM!r}, {RANGE!r} or {AT_LEADER!r}, not {name!r}")
    return name


def milliseconds(time: int | datetime) -> int:
    """Milliseconds since 1970. A datetime without a time zone is refused: it means another time on another machine."""
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise ValueError(f"{time} has no time zone: a time is an aware datetime, or milliseconds since 1970")
        time = int(time.timestamp() * 1000)
    if time < 0:
        raise ValueError(f"a time is 0 milliseconds since 1970 or later, not {time}")
    return time


def start_at(start: Where) -> Start:
    if isinstance(start, datetime):
        return Start(LATEST, milliseconds(start))
    if isinstance(start, int) and start >= 0:
        return Start(start)
    if start in _STARTS:
        return Start(_STARTS[str(start)])
    raise ValueError(f"start is 'earliest', 'latest', a datetime, or an offset of 0 or more, not {start!r}")
