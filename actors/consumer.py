"""The consumer: every committed record of its partitions, once and in order.

A position per partition, and one `Consume` per leader that waits there until there is something to read. As soon
as it is answered the next one goes out, before the application has seen the first: the application finds its records
waiting, up to a budget of bytes, beyond which nothing more is asked for.

What makes it exactly once and in order, on a network that loses, doubles and reorders: a partition is in at most one
request at a time, and an answer counts only if it is to that one; a position moves only to the end of a batch whose
place and checksum were right. A lost answer costs a repetition of the question, nothing else. When leadership moves,
what waits at the old leader is forgotten and asked of the new one at once.

A position that is not in the log (OFFSET_OUT_OF_RANGE) is reset by policy, or is an error. OFFSET_NOT_AVAILABLE is
not that: a new leader is still learning how far the log is committed, and is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..storage.records import InvalidBatch, check_crc, iter_headers
from .client_commands import (
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
    Why,
)
from .consumer_outlet import Chunk, ConsumerOutlet, ConsumerPicture, ConsumerSettings, Reset
from .errors import ErrorCode
from .kernel import Actor, Address, Context, Message, Millis, Timer, node_of
from .leadership import Leaderships, backoff_ms
from .lookups import Lookups
from .messages import (
    EARLIEST,
    LATEST,
    Consume,
    Consumed,
    ConsumedPartition,
    ConsumePartition,
    Leadership,
    LeadershipUpdate,
    OffsetsFound,
    Partition,
    PeerBack,
    PeerGone,
    Reborn,
)
from .offset_lookup import Answer, LookupDue, OffsetLookup, Query

MAX_CORRUPT = 5  # answers in a row, before a partition is given up


class ConsumeDue(Timer, frozen=True):
    """This request has not been answered in time."""

    id: int


class Wake(Timer, frozen=True):
    """A backoff is over."""


class TopicDue(Timer, frozen=True):
    """A topic has been unknown for too long."""

    topic: str


class _Reader:
    """One partition that is read."""

    __slots__ = (
        "attempt",
        "corrupt",
        "failed",
        "flight",
        "generation",
        "hw",
        "index",
        "not_before",
        "partition",
        "position",
        "start",
        "topic",
    )

    def __init__(self, topic: str, index: int, start: Start, generation: int) -> None:
        self.topic = topic
        self.index = index
        self.start = start
        self.generation = generation
        self.partition: Partition | None = None  # None: the topic is not known
        self.position: int | None = None  # None: not known yet where to begin
        self.flight: int | None = None  # the one request whose answer counts
        self.failed = False
        self.hw = -1
        self.not_before = Millis(0)
        self.attempt = 0
        self.corrupt = 0


class ConsumerActor(Actor):
    """One consumer of assigned partitions."""

    def __init__(
        self, bootstrap: Sequence[str], outlet: ConsumerOutlet, settings: ConsumerSettings | None = None
    ) -> None:
        self.settings = settings or ConsumerSettings()
        self.leaderships = Leaderships(bootstrap)
        self._outlet = outlet
        self._lookup = OffsetLookup(self.leaderships, self.settings.request_timeout_ms)
        self._lookups = Lookups(self._lookup, outlet, self.settings.topic_timeout_ms)
        self._readers: dict[tuple[str, int], _Reader] = {}  # those that were served last come last
        self._topics: dict[str, Start] = {}  # read whole
        self._flights: dict[int, tuple[Address, dict[Partition, _Reader]]] = {}
        self._paused: dict[tuple[str, int], None] = {}  # may be said before the partition is known
        self._buffered = 0
        self._next_id = 0
        self._closed = False

    def on_start(self, ctx: Context) -> None:
        self._next_id = ctx.random.getrandbits(40)
        self._lookup.start(ctx)
        self.leaderships.start(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if self._closed:
            return
        match message:
            case Consumed():
                self._on_consumed(message, ctx)
            case Took(size):
                self._buffered -= size
            case Leadership() | LeadershipUpdate():
                self._moved(self.leaderships.on_message(message, ctx), ctx)
            case OffsetsFound():
                self._on_answers(self._lookup.on_found(message, ctx), ctx)
            case Assign(assignments):
                self.assign(assignments, ctx)
            case AssignTopics(topics, start):
                self._topics = dict.fromkeys(topics, start)
                self._keep([place for place in self._readers if place[0] in self._topics])
                for topic in topics:
                    self._want(topic, ctx)
            case Seek(topic, partition, start, generation):
                self._seek(topic, partition, start, generation, ctx)
            case Pause(partitions) | Resume(partitions):
                for place in partitions:
                    if isinstance(message, Pause):
                        self._paused[place] = None
                    else:
                        self._paused.pop(place, None)
            case LookUp():
                self._lookups.ask(message, ctx)
            case PeerGone(node=node):
                self._lost_at(node)
                self.leaderships.refresh(ctx)
            case PeerBack(node=node):
                self._lost_at(node)
            case Reborn():
                self._lost_at(node_of(sender))
            case Close():
                self._closed = True
                self._outlet.closed()
                return
            case _:
                return
        self._pump(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if self._closed or self.leaderships.on_timer(timer, ctx):
            return
        match timer:
            case ConsumeDue(id):
                _, readers = self._flights.pop(id, (None, {}))
                lost = [reader for reader in readers.values() if reader.flight == id]
                for reader in lost:
                    reader.flight = None
                if lost:
                    self.leaderships.refresh(ctx)
            case TopicDue(topic):
                if topic not in self.leaderships.topics:
                    self._unknown(topic)
            case Wake() | LookupDue():
                pass
        self._pump(ctx)

    def describe(self) -> ConsumerPicture:
        positions = [
            (reader.topic, reader.index, -1 if reader.position is None else reader.position, reader.hw)
            for _, reader in sorted(self._readers.items())
        ]
        return ConsumerPicture(self._buffered, len(self._flights), positions)

    # --- What to read ---

    def assign(self, assignments: Sequence[Assignment], ctx: Context) -> None:
        """Read exactly these. One that is read already in this generation goes on where it is."""
        wanted = {(a.topic, a.partition): a for a in assignments}
        self._topics.clear()
        self._keep([*wanted])
        for place, a in wanted.items():
            known = self._readers.get(place)
            if known is None or known.generation != a.generation:
                self._read(_Reader(a.topic, a.partition, a.start, a.generation), ctx)

    def _read(self, reader: _Reader, ctx: Context) -> None:
        self._readers[reader.topic, reader.index] = reader
        self._want(reader.topic, ctx)
        self._begin(reader, ctx)

    def _want(self, topic: str, ctx: Context) -> None:
        self.leaderships.want(topic, ctx)
        if topic in self.leaderships.topics:
            self._resolve(ctx)
        else:
            ctx.set_timer(TopicDue(topic), self.settings.topic_timeout_ms)

    def _begin(self, reader: _Reader, ctx: Context) -> None:
        """Find the position to begin at."""
        self._lookup.cancel(reader)
        offset, timestamp = reader.start
        reader.flight = None
        reader.failed = False
        reader.not_before = Millis(0)
        reader.attempt = reader.corrupt = 0
        if offset >= 0:
            self._place(reader, offset)
            return
        reader.position = None
        wanted = timestamp if timestamp >= 0 else offset
        self._lookup.ask(Query(reader, reader.topic, reader.index, wanted, None), ctx)

    def _place(self, reader: _Reader, offset: int) -> None:
        reader.position = offset
        self._outlet.progressed(reader.topic, reader.index, reader.generation, offset, reader.hw)

    def _keep(self, places: Sequence[tuple[str, int]]) -> None:
        for place in [place for place in self._readers if place not in places]:
            self._lookup.cancel(self._readers.pop(place))

    def _seek(self, topic: str, index: int, start: Start, generation: int, ctx: Context) -> None:
        reader = self._readers.get((topic, index))
        if reader is None:
            return  # it was unassigned meanwhile
        reader.start, reader.generation = start, generation
        self._begin(reader, ctx)

    def _resolve(self, ctx: Context) -> None:
        """Topics have become known, or larger."""
        for topic, start in self._topics.items():
            name = self.leaderships.topics.get(topic)
            if name is None:
                continue
            before = any(place[0] == topic for place in self._readers)
            for index in range(name.partitions):
                if (topic, index) not in self._readers:
                    # A partition that is added later is read whole: its first records came after we began.
                    begin = Start(EARLIEST) if before else start
                    reader = self._readers[topic, index] = _Reader(topic, index, begin, 0)
                    self._begin(reader, ctx)
        for reader in [*self._readers.values()]:
            name = self.leaderships.topics.get(reader.topic)
            if reader.partition is None and name is not None and not reader.failed:
                if reader.index >= name.partitions:
                    self._beyond(reader, name.partitions, ctx)
                else:
                    reader.partition = Partition(name.id, reader.index)

    def _beyond(self, reader: _Reader, partitions: int, ctx: Context) -> None:
        """The topic has fewer partitions, as far as is known."""
        sentence = f"{reader.topic} has {partitions} partitions, there is no {reader.index}"
        self._fail(reader, Failure(Why.UNKNOWN_TOPIC, sentence))

    def _unknown(self, topic: str) -> None:
        if not self.leaderships.answered_about(topic):
            places = ", ".join(self.leaderships.bootstrap)
            failure = Failure(Why.NO_BROKERS, f"nobody answers at {places}: is the cluster up?")
        else:
            failure = Failure(Why.UNKNOWN_TOPIC, f"there is no topic {topic}: create it first, or check its name")
        self._outlet.failed(topic, -1, 0, failure)

    def _fail(self, reader: _Reader, failure: Failure) -> None:
        reader.failed = True
        reader.flight = None
        self._lookup.cancel(reader)
        self._outlet.failed(reader.topic, reader.index, reader.generation, failure)

    # --- Asking ---

    def _pump(self, ctx: Context) -> None:
        self._on_answers(self._lookup.pump(ctx), ctx)
        if self._buffered < self.settings.prefetch_bytes:
            self._ask(ctx)
        waits = [reader.not_before for reader in self._readers.values() if reader.not_before > ctx.now]
        if waits:
            ctx.set_timer(Wake(), min(waits) - ctx.now)

    def _ask(self, ctx: Context) -> None:
        settings = self.settings
        requests: dict[Address, tuple[list[ConsumePartition], dict[Partition, _Reader]]] = {}
        for reader in self._readers.values():
            if reader.failed or reader.flight is not None or reader.not_before > ctx.now:
                continue
            if (reader.topic, reader.index) in self._paused:
                continue
            if reader.position is None or reader.partition is None:
                continue
            route = self.leaderships.route(reader.partition)
            if route is None:
                self._retry_later(reader, ctx)
                self.leaderships.refresh(ctx)
                continue
            wanted, readers = requests.setdefault(route.to, ([], {}))
            wanted.append(ConsumePartition(reader.partition, route.epoch, reader.position, settings.fetch_max_bytes))
            readers[reader.partition] = reader
        for to, (wanted, readers) in requests.items():
            self._next_id += 1
            request_id = self._next_id
            for reader in readers.values():
                reader.flight = request_id
            self._flights[request_id] = (to, readers)
            message = Consume(request_id, settings.max_wait_ms, settings.min_bytes, settings.fetch_max_bytes, wanted)
            ctx.send(to, message)
            ctx.set_timer(ConsumeDue(request_id), settings.max_wait_ms + settings.request_timeout_ms)

    def _retry_later(self, reader: _Reader, ctx: Context) -> None:
        reader.not_before = Millis(ctx.now + backoff_ms(reader.attempt, ctx))
        reader.attempt += 1

    def _lost_at(self, node: str) -> None:
        for request_id, (to, readers) in self._flights.items():
            if node_of(to) == node:
                for reader in readers.values():
                    if reader.flight == request_id:
                        reader.flight = None

    def _moved(self, partitions: list[Partition], ctx: Context) -> None:
        """Somebody else leads: forget what waits at the old leader."""
        news = dict.fromkeys(partitions)
        for reader in self._readers.values():
            if reader.partition is None or reader.partition not in news:
                continue
            if self.leaderships.gone(reader.partition.topic):
                self._fail(reader, Failure(Why.UNKNOWN_TOPIC, f"the topic {reader.topic} was deleted"))
                continue
            reader.flight = None
            reader.not_before = Millis(0)
            reader.attempt = 0
        if partitions:
            self._lookup.moved()
        self._resolve(ctx)

    # --- Answers ---

    def _on_consumed(self, message: Consumed, ctx: Context) -> None:
        _, readers = self._flights.pop(message.id, (None, {}))
        if not readers:
            return
        ctx.cancel_timer(ConsumeDue(message.id))
        for answer in message.partitions:
            reader = readers.get(answer.partition)
            if reader is None or reader.flight != message.id:
                continue  # it was asked for again since, elsewhere or from another position
            if self._readers.get((reader.topic, reader.index)) is not reader:
                continue  # it was assigned anew since
            reader.flight = None
            if answer.error is ErrorCode.NONE:
                self._take(reader, answer, ctx)
            else:
                self._refused(reader, answer, ctx)
        for reader in readers.values():
            if reader.flight == message.id:  # the answer does not mention it
                reader.flight = None
                self._retry_later(reader, ctx)

    def _take(self, reader: _Reader, answer: ConsumedPartition, ctx: Context) -> None:
        hw, reader.hw = reader.hw, max(reader.hw, answer.hw)
        assert reader.position is not None, "only readers with a position ask"
        if answer.records is None or not len(answer.records):
            reader.attempt = 0
            if reader.hw != hw:
                self._place(reader, reader.position)
            return
        try:
            chunk = self._check(reader, answer, reader.position)
        except InvalidBatch as invalid:
            reader.corrupt += 1
            if reader.corrupt >= MAX_CORRUPT:
                sentence = f"{reader.topic}-{reader.index} cannot be read at offset {reader.position}: {invalid}"
                self._fail(reader, Failure(Why.CORRUPT, sentence, ErrorCode.CORRUPT_MESSAGE))
            else:
                self._retry_later(reader, ctx)
            return
        if chunk.next == reader.position:
            self._retry_later(reader, ctx)  # nothing new in it: do not ask in a tight loop
            return
        reader.position = chunk.next
        reader.attempt = reader.corrupt = 0
        self._readers[reader.topic, reader.index] = self._readers.pop((reader.topic, reader.index))
        if not chunk.batches:
            self._place(reader, chunk.next)
            return
        self._buffered += chunk.size
        self._outlet.fetched(chunk)

    def _check(self, reader: _Reader, answer: ConsumedPartition, position: int) -> Chunk:
        """What is new in the answer. Raises InvalidBatch if it is not a row of whole, right batches."""
        assert answer.records is not None, "there is something to check"
        data = memoryview(answer.records.data)
        chunk = Chunk(reader.topic, reader.index, reader.generation, position, reader.hw)
        end = -1
        for at, header in iter_headers(data):
            if header.base_offset < end:
                raise InvalidBatch("malformed", f"a batch begins at {header.base_offset}, the one before ends at {end}")
            end = header.next_offset
            if end <= position:
                continue
            if not check_crc(data, header, at):
                raise InvalidBatch("bad_crc", f"the CRC of the batch at {header.base_offset} is wrong")
            if header.count and not header.is_control:
                chunk.batches.append(data[at : at + header.size])
                chunk.size += header.size
            chunk.next = end
        return chunk

    def _refused(self, reader: _Reader, answer: ConsumedPartition, ctx: Context) -> None:
        error = answer.error
        if error is ErrorCode.OFFSET_OUT_OF_RANGE:
            self._out_of_range(reader, answer, ctx)
        elif answer.leader >= 0 and self.leaderships.hint(answer.partition, answer.leader, answer.leader_epoch):
            reader.not_before = Millis(0)
        elif error.retriable:
            self._retry_later(reader, ctx)
            if error is not ErrorCode.OFFSET_NOT_AVAILABLE:
                self.leaderships.refresh(ctx)
        else:
            sentence = f"{reader.topic}-{reader.index} cannot be read: {error.name}"
            self._fail(reader, Failure(Why.REFUSED, sentence, error))

    def _out_of_range(self, reader: _Reader, answer: ConsumedPartition, ctx: Context) -> None:
        if self.settings.reset is Reset.ERROR:
            sentence = (
                f"offset {reader.position} of {reader.topic}-{reader.index} is not in the log, which has offsets "
                f"{answer.log_start} to {answer.hw}: seek, or choose reset='earliest' or 'latest'"
            )
            self._fail(reader, Failure(Why.OUT_OF_RANGE, sentence, answer.error))
            return
        reader.start = Start(EARLIEST if self.settings.reset is Reset.EARLIEST else LATEST)
        self._begin(reader, ctx)

    # --- Offsets ---

    def _on_answers(self, answers: list[Answer], ctx: Context) -> None:
        for answer in answers:
            reader = answer.query.owner
            if self._lookups.take(answer) or not isinstance(reader, _Reader):
                continue
            if answer.found is None:
                self._fail(reader, answer.failure or Failure(Why.REFUSED, "no offset"))
            elif answer.found.offset < 0:  # no record is that late: begin with the next one
                reader.start = Start(LATEST)
                self._begin(reader, ctx)
            else:
                self._place(reader, answer.found.offset)
