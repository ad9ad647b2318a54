"""The producer: records in, outcomes out.

A router. What waits is in `accumulator.py`; when it leaves, in `departures.py`; what flies, and why nothing is lost,
doubled or reordered, in `in_flight.py`; who leads, in `leadership.py`. Here is what binds them: which partition a
record goes to, one `Produce` per leader with a batch of each partition, the answers, and time.

A partition whose leader moves is sent again at once, to the new leader: nobody waits for the request to the old one.
With acks=0 a batch is acknowledged (offset -1) as soon as it is handed to the network.
"""

from __future__ import annotations

from collections.abc import Sequence

from .accumulator import BATCH_OVERHEAD, Batch
from .client_commands import Close, Failure, Flush, Intake, SendFrom, SendRecords, SendRows, Why
from .departures import Departures, Leaving
from .errors import ErrorCode
from .in_flight import Acked, Identity, Lane, Outcome
from .kernel import Actor, Address, Context, Message, Millis, Payload, Timer, node_of
from .lanes import Lanes, Share
from .leadership import Leaderships, backoff_ms
from .messages import (
    GiveProducerId,
    Leadership,
    LeadershipUpdate,
    Partition,
    PeerBack,
    PeerGone,
    Produce,
    ProduceBatch,
    Produced,
    ProducedBatch,
    ProducerIdGiven,
    Reborn,
)
from .outstanding import Outstanding, Request, Requests, Unresolved
from .producer_outlet import MAX_REQUEST, ProducerOutlet, ProducerPicture, ProducerSettings
from .rows import Rows, rows_of

MAX_MESSAGE = 1_048_588
INTAKE_MS = 2  # between two looks into the intake while records flow: a third of the usual linger, or less
_NOT_YET = -1  # the id of a request that is being put together

_IN_PLACE = frozenset(
    {
        ErrorCode.REQUEST_TIMED_OUT,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode.THROTTLING_QUOTA_EXCEEDED,
        ErrorCode.CORRUPT_MESSAGE,
    }
)
_NOT_WRITTEN = frozenset(
    {
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.THROTTLING_QUOTA_EXCEEDED,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
    }
)
"""Said before anything is appended. NOT_LEADER is not among them: a leader that is deposed says it of what it wrote."""
_SEQUENCE = frozenset(
    {
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.UNKNOWN_PRODUCER_ID,
        ErrorCode.INVALID_PRODUCER_EPOCH,
    }
)
_LARGE = frozenset({ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE})


class Wake(Timer, frozen=True):
    """A linger, a backoff or a deadline is over."""


class RequestDue(Timer, frozen=True):
    """This request has not been answered in time."""

    id: int


class IdentityDue(Timer, frozen=True):
    """Time to ask for a producer id (again)."""


class CloseDue(Timer, frozen=True):
    """Closing has taken long enough."""


class IntakeDue(Timer, frozen=True):
    """There may be more records in the intake."""


class ProducerActor(Actor):
    """One producer: one identity, any number of topics."""

    def __init__(
        self, bootstrap: Sequence[str], outlet: ProducerOutlet, settings: ProducerSettings | None = None
    ) -> None:
        self.settings = settings or ProducerSettings()
        self.leaderships = Leaderships(bootstrap)
        self._outlet = outlet
        self._idempotent = self.settings.numbered
        self._identity: Identity | None = None  # None: not given yet
        self._identity_asked = -1
        self._identity_since = 0  # the first of the questions of which one answer is enough
        self._identity_attempt = 0
        self._lanes = Lanes(self.leaderships, self.settings)
        self._departures = Departures(self.leaderships)  # of the lanes with something to do
        self._unresolved: dict[str, list[Unresolved]] = {}
        self._requests = Requests()
        self._outstanding = Outstanding()
        self._intake: Intake | None = None  # None: nothing came through one
        self._looked_at = Millis(0)  # when it was last looked into
        self._waited = 0  # how long what is being taken from it may have been there
        self._buffered = 0
        self._next_id = 0
        self._wake: Millis | None = None
        self._closing = False
        self._closed = False

    def on_start(self, ctx: Context) -> None:
        self._next_id = ctx.random.getrandbits(40)
        self.leaderships.start(ctx)
        if self._idempotent:
            self._ask_identity(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Produced():
                self._on_produced(message, ctx)
            case SendFrom(intake):
                self._intake = intake
                self._take_in(ctx)
            case SendRecords(topic, records, tokens, partition):
                self._on_send(SendRows(topic, rows_of(records, tokens), partition), ctx)
            case Leadership() | LeadershipUpdate():
                self._moved(self.leaderships.on_message(message, ctx), ctx)
            case ProducerIdGiven():
                self._on_identity(message, ctx)
            case PeerGone(node=node):
                self._lost_at(node)
                self.leaderships.refresh(ctx)
            case PeerBack(node=node):
                self._lost_at(node)
            case Reborn():
                self._lost_at(node_of(sender))
            case Flush(token):
                self._on_flush(token, ctx)
            case Close(timeout_ms):
                self._on_close(timeout_ms, ctx)
            case _:
                return
        self._pump(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if self.leaderships.on_timer(timer, ctx):
            return
        match timer:
            case Wake():
                self._wake = None
                self._expire(ctx)
            case RequestDue(id):
                self._on_request_due(id, ctx)
            case IntakeDue():
                self._take_in(ctx)
            case IdentityDue():
                self._ask_identity(ctx)
            case CloseDue():
                self._give_up(Failure(Why.CLOSED, "the producer was closed before these records could be sent"))
        self._pump(ctx)

    def describe(self) -> ProducerPicture:
        return ProducerPicture(
            self._identity.producer_id if self._identity else -1,
            self._buffered,
            len(self._requests),
            sum(len(lane.queue.waiting) for lane in self._departures),
            sum(len(lane.flying) for lane in self._departures),
        )

    # --- Records come in ---

    def _take_in(self, ctx: Context) -> bool:
        """Take what is in the intake, or as much of it as one turn may last: whether there was anything."""
        pause = min(INTAKE_MS, self.settings.linger_ms // 2)  # 0: whoever puts something there says so
        commands = self._intake.take(again=pause > 0) if self._intake is not None else ()
        # What came by itself has waited since the last look, which counts as linger.
        self._waited = min(pause, ctx.now - self._looked_at)
        self._looked_at = ctx.now
        for command in commands:
            self._on_send(command, ctx)
        self._waited = 0
        if commands:
            ctx.set_timer(IntakeDue(), max(1, pause))
        return bool(commands)

    def _on_send(self, command: SendRows, ctx: Context) -> None:
        if self._closing:
            self._outlet.failed(command.rows.tokens, Failure(Why.CLOSED, "the producer is closed"))
            return
        lanes = self._lanes.of(command.topic, ctx)
        if lanes is not None:
            self._accept(command, lanes, ctx.now + self.settings.delivery_timeout_ms, ctx)
            return
        size = sum(command.rows.sizes)
        if self._buffered + size > self.settings.buffer_bytes:
            self._outlet.failed(command.rows.tokens, self._full())
            return
        self._buffered += size
        deadline = Millis(ctx.now + self.settings.topic_timeout_ms)
        waiting = Unresolved(command, deadline, self._outstanding.new(), size)
        self._unresolved.setdefault(command.topic, []).append(waiting)
        self.leaderships.want(command.topic, ctx)

    def _accept(self, command: SendRows, lanes: list[Lane], deadline: int, ctx: Context) -> list[int]:
        """Put records into batches: the serials of these."""
        fixed, rows = command.partition, command.rows
        if fixed >= len(lanes):
            sentence = f"{command.topic} has {len(lanes)} partitions, there is no partition {fixed}"
            self._outlet.failed(rows.tokens, Failure(Why.REFUSED, sentence, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            return []
        if max(rows.sizes) > MAX_REQUEST or self._buffered + sum(rows.sizes) > self.settings.buffer_bytes:
            admitted = self._admitted(rows)
            if not admitted:
                return []
            rows = rows.pick(admitted)
        if fixed >= 0:
            return self._fill(Share(lanes[fixed], rows), deadline, ctx)
        serials: list[int] = []
        for share in self._lanes.shares(command.topic, rows, ctx):
            serials += self._fill(share, deadline, ctx)
        return serials

    def _admitted(self, rows: Rows) -> list[int]:
        """The places of the records that there is room for; the others have failed."""
        admitted: list[int] = []
        refused: list[object] = []
        room = self.settings.buffer_bytes - self._buffered
        for place, (token, size) in enumerate(zip(rows.tokens, rows.sizes, strict=True)):
            if size > MAX_REQUEST:
                self._too_large(token, size)
            elif size > room:
                refused.append(token)
            else:
                room -= size
                admitted.append(place)
        if refused:
            self._outlet.failed(refused, self._full())
        return admitted

    def _fill(self, share: Share, deadline: int, ctx: Context) -> list[int]:
        """Put records of one partition into the batch at hand, and into more as it gets full: their serials."""
        lane, rows = share
        queue, sizes = lane.queue, rows.sizes
        serials: list[int] = []
        start = 0
        while start < len(sizes):
            stop = start + queue.room_at_hand(sizes[start:])
            batch = queue.with_room(sizes[start])
            if batch is None:
                due = Millis(ctx.now + self.settings.linger_ms - self._waited)
                batch = Batch(self._outstanding.new(), lane.partition, due, Millis(deadline), ctx.wall)
                queue.open(batch)
                self._departures.opened(lane, due)
            self._buffered += batch.add(rows.part(start, stop))
            serials.append(batch.serial)
            start = stop
        return serials

    def _resolve(self, ctx: Context) -> None:
        """Topics have become known: put what waited for them into batches."""
        for topic in [topic for topic in self._unresolved if topic in self.leaderships.topics]:
            lanes = self._lanes.of(topic, ctx)
            assert lanes is not None, "the topic is known"
            for waiting in self._unresolved.pop(topic):
                self._buffered -= waiting.size
                deadline = waiting.deadline - self.settings.topic_timeout_ms + self.settings.delivery_timeout_ms
                serials = self._accept(waiting.command, lanes, deadline, ctx)
                if self._outstanding.became(waiting.serial, serials):
                    for lane in lanes:
                        lane.queue.flush()
                    self._departures.look_at_all()
                self._over(waiting.serial)

    def _full(self) -> Failure:
        limit = self.settings.buffer_bytes
        return Failure(Why.BUFFER_FULL, f"{limit} bytes of records are waiting to be sent: wait, or raise buffer_bytes")

    def _too_large(self, token: object, size: int) -> None:
        sentence = f"a record of about {size} bytes is larger than the {MAX_REQUEST} bytes that a batch may have"
        self._outlet.failed([token], Failure(Why.TOO_LARGE, sentence, ErrorCode.MESSAGE_TOO_LARGE))

    # --- Batches go out ---

    def _pump(self, ctx: Context) -> None:
        """Send all that may go now; then set the timer for what may go later."""
        if self._closed:
            return
        while self._send_due(ctx) and self.settings.acks == 0:
            pass  # nothing flies with acks=0: there may be more
        self._set_wake(ctx)
        if self._closing and not self._outstanding:
            self._closed = True
            ctx.cancel_timer(CloseDue())
            self._outlet.closed()

    def _send_due(self, ctx: Context) -> bool:
        """Send what may fly now: whether there was anything."""
        bundles: dict[Address, list[dict[Partition, Batch]]] = {}
        epochs: dict[Partition, int] = {}
        for leaving in self._departures.leaving(ctx.now):
            self._collect(leaving, bundles, epochs, ctx)
        for to, requests in bundles.items():
            for batches in requests:
                self._send(to, batches, epochs, ctx)
        return bool(bundles)

    def _collect(
        self,
        leaving: Leaving,
        bundles: dict[Address, list[dict[Partition, Batch]]],
        epochs: dict[Partition, int],
        ctx: Context,
    ) -> None:
        lane, route, partial = leaving
        if route is None:
            self._retry_later(lane, ctx)
            self.leaderships.refresh(ctx)
            return
        place = 0
        while (batch := lane.next_batch(ctx.now)) is not None and (partial or lane.is_ripe(batch)):
            if not self._identify(lane, ctx):
                return
            epochs[lane.partition] = route.epoch
            lane.sent(batch, _NOT_YET)
            encoded = batch.encoded or batch.encode(*(lane.identity or (-1, -1)), self.settings.compression)
            if len(encoded) > MAX_MESSAGE:
                sentence = f"a batch of {len(encoded)} bytes is larger than {MAX_MESSAGE}"
                self._report(lane.refused(batch, Failure(Why.TOO_LARGE, sentence, ErrorCode.MESSAGE_TOO_LARGE)))
                continue
            # One batch of a partition per request, in order, and no request beyond its limit.
            requests = bundles.setdefault(route.to, [])
            while place < len(requests) and not _fits(requests[place], lane.partition, len(encoded)):
                place += 1
            if place == len(requests):
                requests.append({})
            requests[place][lane.partition] = batch
            place += 1

    def _send(self, to: Address, batches: dict[Partition, Batch], epochs: dict[Partition, int], ctx: Context) -> None:
        self._next_id += 1
        request_id, settings = self._next_id, self.settings
        wire: list[ProduceBatch] = []
        for partition, batch in batches.items():
            assert batch.encoded is not None, "a batch is encoded before it is sent"
            batch.request = batch.requests[-1] = request_id
            wire.append(ProduceBatch(partition, epochs[partition], Payload(batch.encoded)))
        ctx.send(to, Produce(request_id, settings.acks, settings.request_timeout_ms, wire))
        if settings.acks == 0:
            for partition, batch in batches.items():
                self._report(self._lanes.by_partition[partition].written(batch, -1))
            return
        self._requests.add(request_id, to, batches, ctx.now)
        ctx.set_timer(RequestDue(request_id), settings.request_timeout_ms)

    def _set_wake(self, ctx: Context) -> None:
        """The next time at which something changes by itself."""
        soonest = self._departures.wake(ctx.now)
        for waiting in self._unresolved.values():
            soonest = waiting[0].deadline if soonest is None else min(soonest, waiting[0].deadline)
        if soonest is None or soonest == self._wake:
            return
        self._wake = soonest
        ctx.set_timer(Wake(), max(0, soonest - ctx.now))

    def _retry_later(self, lane: Lane, ctx: Context) -> None:
        lane.not_before = Millis(ctx.now + backoff_ms(lane.attempt, ctx))
        lane.attempt += 1

    # --- Answers ---

    def _on_produced(self, message: Produced, ctx: Context) -> None:
        request = self._requests.get(message.id)
        if request is None:
            return
        if not request.answered:
            request.answered = True
            self._departures.answered(request.to, ctx.now - request.sent_at)
        for answer in message.batches:
            self._departures.look_at(answer.partition)
            batch = request.batches.get(answer.partition)
            lane = self._lanes.by_partition.get(answer.partition)
            if batch is not None and lane is not None and message.id in batch.requests[batch.retired :]:
                self._report(self._judge(lane, batch, request, message.id, answer, ctx))
        if all(batch.request != message.id for batch in request.batches.values()):
            ctx.cancel_timer(RequestDue(message.id))

    def _judge(
        self, lane: Lane, batch: Batch, request: Request, request_id: int, answer: ProducedBatch, ctx: Context
    ) -> list[Outcome]:
        error = answer.error
        if error in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
            return lane.written(batch, answer.base_offset)
        if answer.leader >= 0 and self.leaderships.hint(answer.partition, answer.leader, answer.leader_epoch):
            lane.reroute()
            self._departures.look_at_all()
        if batch.request != request_id:
            return []  # only the present attempt may say no
        if error in _SEQUENCE and self._idempotent:
            outcomes = lane.out_of_order(batch, error, answer.log_start, answer.reason)
            if not batch.hold:
                self._retry_later(lane, ctx)
            return outcomes
        if error.retriable:
            batch.complaint = Failure(Why.REFUSED, answer.reason or error.name, error)
            batch.refusals += error in _NOT_WRITTEN
            batch.request = None
            route = self.leaderships.route(lane.partition)
            if error in _IN_PLACE or route is None or route.to == request.to:
                self._retry_later(lane, ctx)
            if error not in _IN_PLACE:
                self.leaderships.refresh(ctx)
            return []
        sentence = answer.reason or f"{lane.topic}-{lane.partition.index} refused the batch: {error.name}"
        why = Why.TOO_LARGE if error in _LARGE else Why.REFUSED
        return lane.refused(batch, Failure(why, sentence, error))

    def _on_request_due(self, request_id: int, ctx: Context) -> None:
        request = self._requests.get(request_id)
        if request is None:
            return
        lanes = [self._lanes.by_partition[partition] for partition in request.batches]
        again = [lane.lost(request_id) for lane in lanes]
        if any(again):
            self._departures.look_at_all()
            self.leaderships.refresh(ctx)

    def _lost_at(self, node: str) -> None:
        """What is on its way to this node is lost: send it again to whoever leads, once the lane may."""
        for request_id, request in self._requests.at(node):
            for partition in request.batches:
                self._lanes.by_partition[partition].lost(request_id)
        self._departures.look_at_all()

    def _moved(self, partitions: list[Partition], ctx: Context) -> None:
        for partition in partitions:
            lane = self._lanes.by_partition.get(partition)
            if lane is None:
                continue
            if self.leaderships.gone(partition.topic):
                self._report(lane.give_up(Failure(Why.UNKNOWN_TOPIC, f"the topic {lane.topic} was deleted")))
                self._lanes.forget(lane)
                self._departures.forget(partition)
            else:
                lane.reroute()
        self._departures.look_at_all()
        self._resolve(ctx)

    # --- Identity ---

    def _identify(self, lane: Lane, ctx: Context) -> bool:
        """Whether this partition has an identity to send under (or needs none)."""
        if not self._idempotent or lane.identity is not None:
            return True
        if self._identity is not None and self._identity.producer_id != lane.spent_id:
            lane.identity = self._identity
            return True
        self._identity = None
        if self._identity_asked < 0:
            self._ask_identity(ctx)
        return False

    def _ask_identity(self, ctx: Context) -> None:
        if self._identity is not None:
            return
        self._next_id += 1
        if self._identity_asked < 0:
            self._identity_since = self._next_id
        self._identity_asked = self._next_id
        ctx.send(self.leaderships.any_broker(), GiveProducerId(self._next_id))
        ctx.set_timer(IdentityDue(), backoff_ms(self._identity_attempt, ctx, least=100))
        self._identity_attempt += 1

    def _on_identity(self, message: ProducerIdGiven, ctx: Context) -> None:
        # Any answer since this identity is asked for will do, or brokers that answer late would be asked for ever. One
        # from before is of an identity that was given up.
        asked = self._identity_asked >= 0 and message.id >= self._identity_since
        if not asked or message.error is not ErrorCode.NONE:
            return  # the timer asks again
        self._identity = Identity(message.producer_id, message.producer_epoch)
        self._identity_asked = -1
        self._identity_attempt = 0
        self._departures.look_at_all()
        ctx.cancel_timer(IdentityDue())

    # --- Outcomes ---

    def _report(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            batch = outcome.batch
            self._requests.over(batch)
            self._buffered -= batch.size - BATCH_OVERHEAD
            lane = self._lanes.by_partition[batch.partition]
            if isinstance(outcome, Acked):
                offset = outcome.base_offset
                self._outlet.acknowledged(batch.tokens, lane.topic, batch.partition.index, offset, batch.timestamp)
            else:
                self._outlet.failed(batch.tokens, outcome.failure)
            self._over(batch.serial)

    def _over(self, serial: int) -> None:
        for token in self._outstanding.over(serial):
            self._outlet.flushed(token)

    def _expire(self, ctx: Context) -> None:
        for lane in self._departures.late(ctx.now):
            self._report(lane.expire(ctx.now))
        for topic in [*self._unresolved]:
            waiting = self._unresolved[topic]
            while waiting and waiting[0].deadline <= ctx.now:
                late = waiting.pop(0)
                self._buffered -= late.size
                self._outlet.failed(late.command.rows.tokens, self._unknown(topic))
                self._over(late.serial)
            if not waiting:
                del self._unresolved[topic]
                self.leaderships.unwant(topic)

    def _unknown(self, topic: str) -> Failure:
        if not self.leaderships.answered_about(topic):
            places = ", ".join(self.leaderships.bootstrap)
            return Failure(Why.NO_BROKERS, f"nobody answers at {places}: is the cluster up?")
        sentence = f"there is no topic {topic}: create it first, or check its name"
        return Failure(Why.UNKNOWN_TOPIC, sentence, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    # --- Flush and close ---

    def _flush_all(self, ctx: Context) -> None:
        while self._take_in(ctx):
            pass  # what was handed over before counts, however much it is
        for lane in self._departures:
            lane.queue.flush()
        self._departures.look_at_all()

    def _on_flush(self, token: object, ctx: Context) -> None:
        self._flush_all(ctx)
        if not self._outstanding.flush(token):
            self._outlet.flushed(token)

    def _on_close(self, timeout_ms: int, ctx: Context) -> None:
        self._flush_all(ctx)
        self._closing = True
        ctx.set_timer(CloseDue(), timeout_ms)

    def _give_up(self, failure: Failure) -> None:
        for lane in self._departures:
            self._report(lane.give_up(failure))
        for topic in [*self._unresolved]:
            for waiting in self._unresolved.pop(topic):
                self._buffered -= waiting.size
                self._outlet.failed(waiting.command.rows.tokens, failure)
                self._over(waiting.serial)


def _fits(batches: dict[Partition, Batch], partition: Partition, size: int) -> bool:
    if partition in batches:
        return False
    taken = sum(len(batch.encoded) for batch in batches.values() if batch.encoded is not None)
    return not batches or taken + size <= MAX_REQUEST
