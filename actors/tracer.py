"""One record's way through the cluster: a client that sends it, and watches every place that it comes to.

    sent -> the leader has it -> followers have it -> it is on their disks -> the high watermark passes it
         -> the producer is told -> a consumer that was waiting has it -> followers know that it is committed

Nothing is stamped along the way, so the record takes the way of every other one. Each replica is asked over and over
how far it is (`Measure` for this partition alone, the next question as soon as the last is answered), a consumer's read
is parked at the leader before the record is sent, and the outlet, which has a clock, notes when each question went out
and each answer came. When the answers show all, `done` is said; what happened between two answers is known no better
than that, and is told so.

It is one attempt: if the leadership moves meanwhile, or nobody answers, that is the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..storage.records import Record, encode_batch, iter_headers
from .client_commands import Close, Command, Failure, Why
from .errors import ErrorCode
from .kernel import Actor, Address, Context, Message, Millis, Payload, Timer, address
from .leadership import Leaderships
from .messages import (
    Consume,
    Consumed,
    ConsumePartition,
    Describe,
    Described,
    Leadership,
    LeadershipUpdate,
    Measure,
    Measured,
    Partition,
    PartitionPicture,
    Produce,
    ProduceBatch,
    Produced,
    ReplicaMeasure,
)

AGAIN_MS = 100  # before what had no answer is asked again


class Trace(Command, frozen=True):
    """Send this value to a partition and watch it; `done` or `failed` is said once."""

    topic: str
    partition: int
    value: bytes
    timeout_ms: int


class TracerOutlet(Protocol):
    """Where things are told as they happen; it notes the time. None of these calls may raise."""

    def began(self, picture: PartitionPicture) -> None:
        """The partition, and who has a replica of it."""
        ...

    def asked(self, broker: int) -> None:
        """A replica is being asked how far it is."""
        ...

    def answered(self, broker: int, measure: ReplicaMeasure | None) -> None:
        """It has answered (None: it has no such replica)."""
        ...

    def sent(self) -> None:
        """The record is on its way to the leader."""
        ...

    def acknowledged(self, offset: int) -> None:
        """The producer was told that every in-sync replica has it."""
        ...

    def consumed(self) -> None:
        """The consumer has it."""
        ...

    def done(self) -> None:
        """Every place that can be reached has been seen to have it."""
        ...

    def failed(self, failure: Failure) -> None:
        """It did not come to that."""
        ...

    def closed(self) -> None:
        """Nothing more will be said."""
        ...


class TraceDue(Timer, frozen=True):
    """Ask again, or give up."""


class TracerActor(Actor):
    """See the module's essay. One trace at a time."""

    def __init__(self, bootstrap: Sequence[str], outlet: TracerOutlet) -> None:
        self.leaderships = Leaderships(bootstrap)
        self._outlet = outlet
        self._next_id = 0
        self._forget()

    def _forget(self) -> None:
        self._trace: Trace | None = None  # None: nothing is traced
        self._deadline = Millis(0)
        self._partition: Partition | None = None  # known once the picture is here
        self._picture: PartitionPicture | None = None
        self._asking: dict[int, tuple[int, Millis]] = {}  # by broker: the question that is out, and since when
        self._measures: dict[int, ReplicaMeasure] = {}  # the newest answers
        self._silent: set[int] = set()  # replicas that do not answer
        self._offset = -1  # of the record, once the producer was told
        self._from = -1  # where the consumer reads from; -1: not yet
        self._sent = False
        self._consumed = False

    def on_start(self, ctx: Context) -> None:
        self._next_id = ctx.random.getrandbits(40)
        self.leaderships.start(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Trace():
                self._forget()
                self._trace, self._deadline = message, Millis(ctx.now + message.timeout_ms)
                self._look(ctx)
            case Leadership() | LeadershipUpdate():
                self.leaderships.on_message(message, ctx)
            case Described() if self._trace is not None and self._picture is None:
                self._on_picture(message, ctx)
            case Measured() if self._trace is not None:
                self._on_measured(message, ctx)
            case Produced() if self._trace is not None:
                self._on_produced(message, ctx)
            case Consumed() if self._trace is not None:
                self._on_consumed(message, ctx)
            case Close():
                self._outlet.closed()
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if self.leaderships.on_timer(timer, ctx) or not isinstance(timer, TraceDue) or self._trace is None:
            return
        if ctx.now >= self._deadline:
            self._give_up(Why.TIMED_OUT, self._missing(), ctx)
        elif self._picture is None:
            self._look(ctx)
        else:
            ctx.set_timer(TraceDue(), AGAIN_MS)
            for broker in self._picture.replicas:
                _, since = self._asking.get(broker, (-1, Millis(0)))
                if ctx.now - since >= AGAIN_MS:
                    self._silent.add(broker)
                    self._ask(broker, ctx)
            self._finish_if_seen(ctx)

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

    # --- Who has a replica ---

    def _look(self, ctx: Context) -> None:
        assert self._trace is not None
        ctx.send(self.leaderships.any_broker(), Describe(self._id(), [self._trace.topic]))
        ctx.set_timer(TraceDue(), AGAIN_MS)

    def _on_picture(self, picture: Described, ctx: Context) -> None:
        trace = self._trace
        if trace is None or picture.error is not ErrorCode.NONE or picture.id != self._next_id:
            return
        found = next((topic for topic in picture.topics if topic.name == trace.topic), None)
        if found is None or trace.partition >= len(found.partitions):
            known = f"it has partitions 0 to {len(found.partitions) - 1}" if found is not None else "create it first"
            self._give_up(Why.UNKNOWN_TOPIC, f"there is no partition {trace.topic}-{trace.partition}: {known}", ctx)
            return
        partition = next(one for one in found.partitions if one.index == trace.partition)
        if partition.leader < 0:
            why = f"nobody leads {trace.topic}-{trace.partition}: `barnabas explain` says why"
            self._give_up(Why.REFUSED, why, ctx)
            return
        self._picture, self._partition = partition, Partition(found.id, partition.index)
        self._outlet.began(partition)
        for broker in partition.replicas:
            self._ask(broker, ctx)
        ctx.set_timer(TraceDue(), AGAIN_MS)

    # --- How far each replica is ---

    def _ask(self, broker: int, ctx: Context) -> None:
        endpoint = self.leaderships.brokers.get(broker)
        if endpoint is None or self._partition is None:
            return
        self._asking[broker] = (self._id(), ctx.now)
        self._outlet.asked(broker)
        ctx.send(address(endpoint, "broker"), Measure(self._next_id, partitions=[self._partition]))

    def _on_measured(self, answer: Measured, ctx: Context) -> None:
        if self._asking.get(answer.broker, (-1, 0))[0] != answer.id or self._picture is None:
            return
        self._silent.discard(answer.broker)
        measure = answer.replicas[0] if answer.replicas else None
        self._outlet.answered(answer.broker, measure)
        if measure is not None:
            self._measures[answer.broker] = measure
        if answer.broker == self._picture.leader and measure is not None and not self._sent:
            if not measure.leading:
                self._give_up(Why.REFUSED, f"b{answer.broker} leads no more: try again", ctx)
                return
            self._send(measure.hw, ctx)
        self._finish_if_seen(ctx)
        if self._trace is not None:
            self._ask(answer.broker, ctx)

    # --- The record ---

    def _send(self, hw: int, ctx: Context) -> None:
        """Let a consumer wait for it, then send it. It is not part of any producer's sequence: it is sent once."""
        trace, partition = self._trace, self._partition
        assert trace is not None and partition is not None
        self._sent = True
        self._from = hw
        self._consume(ctx)
        batch = encode_batch([Record(None, trace.value, (("trace", b"1"),), ctx.wall)])
        self._outlet.sent()
        request = Produce(self._id(), -1, trace.timeout_ms, [ProduceBatch(partition, -1, Payload(batch))])
        ctx.send(self._leader(), request)

    def _leader(self) -> Address:
        assert self._picture is not None
        return address(self.leaderships.brokers[self._picture.leader], "broker")

    def _on_produced(self, answer: Produced, ctx: Context) -> None:
        [batch] = answer.batches
        if batch.partition != self._partition:
            return
        if batch.error is not ErrorCode.NONE:
            reason = batch.reason or batch.error.name
            self._give_up(Why.REFUSED, f"the leader did not take the record: {reason}", ctx)
            return
        self._offset = batch.base_offset
        self._outlet.acknowledged(batch.base_offset)
        self._finish_if_seen(ctx)

    def _consume(self, ctx: Context) -> None:
        assert self._partition is not None and self._trace is not None
        part = ConsumePartition(self._partition, -1, self._from, 1 << 20)
        ctx.send(self._leader(), Consume(self._id(), self._trace.timeout_ms, 1, 1 << 20, [part]))

    def _on_consumed(self, answer: Consumed, ctx: Context) -> None:
        trace = self._trace
        [part] = answer.partitions
        if part.partition != self._partition or trace is None or self._consumed:
            return
        data = b"" if part.records is None else bytes(part.records.data)
        if trace.value in data:
            self._consumed = True
            self._outlet.consumed()
            self._finish_if_seen(ctx)
            return
        for _, header in iter_headers(data):  # what others wrote meanwhile
            self._from = header.next_offset
        if part.error is ErrorCode.NONE:
            self._consume(ctx)

    # --- The end ---

    def _finish_if_seen(self, ctx: Context) -> None:
        """Whether every replica that answers has it on disk and knows that it is committed."""
        if self._picture is None or self._offset < 0 or not self._consumed:
            return
        for broker in self._picture.replicas:
            measure = self._measures.get(broker)
            if broker in self._silent or (measure is None and broker not in self._picture.isr):
                continue
            if measure is None or min(measure.durable, measure.hw) <= self._offset:
                return
        self._outlet.done()
        self._end(ctx)

    def _missing(self) -> str:
        """What was not seen in time."""
        if self._picture is None:
            return "no broker has told in time who has this partition: is the cluster up?"
        if not self._sent:
            return f"b{self._picture.leader}, the leader, does not answer: try again when another one leads"
        if self._offset < 0:
            return "the record was not acknowledged in time: it may be written later, or not"
        return "not every in-sync replica was seen to have the record in time"

    def _give_up(self, why: Why, sentence: str, ctx: Context) -> None:
        self._outlet.failed(Failure(why, sentence))
        self._end(ctx)

    def _end(self, ctx: Context) -> None:
        self._trace = None
        self._asking.clear()
        ctx.cancel_timer(TraceDue())
