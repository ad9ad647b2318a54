"""One partition of a producer: what waits, what flies, and what an answer means.

An idempotent producer numbers its records per partition. The leader takes each number once and in order, and answers a
repeated batch with the offset it got the first time, so any doubt is settled by sending the very same bytes again, to
whoever leads now. What makes that safe, on a network that loses, doubles and reorders:

* A batch keeps its sequence, its bytes and its identity for as long as it flies, at most five of them from the oldest
  unacknowledged one on: the leader remembers no more than five to recognise.
* The first batch of an identity flies alone: to a leader that does not know a producer any sequence may be the first.
* "It is written" counts from any attempt. "No" counts from the present attempt only: an older one may have met a
  leader that was behind.
* OUT_OF_ORDER says that the leader lacks what came before. For a batch that was sent while others before it were
  unacknowledged that is the network's doing: it waits until it is the head, and goes again. For one that was
  sent as the head it is the truth: acknowledged records are gone from the log.
* A number once spent on a batch that flew is never spent on another. If the head will never be written (refused, or its
  time is over and nobody knows), those behind it cannot be either, since the leader insists on order. The partition
  then takes a higher producer epoch and counts from zero. Its first record fences all that may still be on the way.

After a refusal nothing of the head was written, so those behind it fly again under the new epoch, in order. After an
unknown outcome they may have been written, each of them; to send them again could double them, so they fail as well:
unknown, all of them. What never flew is unaffected.

An answer for a later batch proves the earlier ones of the same identity, so a head whose time is over while a later
batch is acknowledged is acknowledged too, with offset -1: written, who knows where.

With acks=1 without idempotence nothing is recognised, so one batch flies at a time to keep the order.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .accumulator import Accumulator, Batch
from .client_commands import Failure, Why
from .errors import ErrorCode
from .kernel import Millis
from .messages import Partition

MAX_IN_FLIGHT = 5
MAX_EPOCH = 32_767
SEQUENCE_MASK = 0x7FFFFFFF


class Identity(NamedTuple):
    """Who numbers."""

    producer_id: int
    epoch: int


class Acked(NamedTuple):
    """A batch is in the log, beginning at `base_offset` (-1: nobody knows)."""

    batch: Batch
    base_offset: int


class Failed(NamedTuple):
    """A batch has failed."""

    batch: Batch
    failure: Failure


Outcome = Acked | Failed


class Lane:
    """One partition's batches. Methods that end batches return their outcomes; the caller reports them."""

    def __init__(self, topic: str, partition: Partition, batch_bytes: int, *, idempotent: bool, acks: int) -> None:
        self.topic = topic
        self.partition = partition
        self.queue = Accumulator(partition, batch_bytes)
        self.flying: deque[Batch] = deque()  # by sequence; the first one is never done
        self.identity: Identity | None = None  # None: take the producer's before the next batch flies
        self.spent_id = -1  # a producer id that this partition must not use again
        self.not_before = Millis(0)
        self.attempt = 0
        self._idempotent = idempotent
        self._acks = acks
        self._next_sequence = 0
        self._proven = False  # a batch of this identity was acknowledged
        self._last_acked = -1

    @property
    def busy(self) -> bool:
        """Whether anything waits or flies."""
        return bool(self.flying or self.queue.waiting)

    @property
    def unanswered(self) -> bool:
        """Whether a request is under way."""
        return any(batch.request is not None for batch in self.flying)

    # --- Sending ---

    def next_batch(self, now: Millis) -> Batch | None:
        """What may go next: first those that must go again, then what waits. The caller calls `sent`."""
        if now < self.not_before:
            return None
        for batch in self.flying:
            if batch.refusal is not None:
                return None
            if batch.done or batch.request is not None:
                continue
            if batch.hold and batch is not self.flying[0]:
                return None
            return batch
        if self.flying and (not self._idempotent or not self._proven or len(self.flying) >= MAX_IN_FLIGHT):
            return None
        return self.queue.waiting[0] if self.queue.waiting else None

    def is_ripe(self, batch: Batch) -> bool:
        """Whether the next batch need not wait for its linger, nor for others that may go along."""
        return batch.base_sequence >= 0 or self.queue.is_full()

    def next_time(self, now: Millis) -> Millis | None:
        """When something changes by itself: a linger, a pause, or somebody's patience is over."""
        waiting = self.queue.waiting
        soonest = self.flying[0].deadline if self.flying else None
        if waiting:
            first = waiting[0]
            soonest = first.deadline if soonest is None else min(soonest, first.deadline)
            if now < first.due < soonest:
                soonest = first.due
        if now < self.not_before and (soonest is None or self.not_before < soonest):
            soonest = self.not_before
        return soonest

    def sent(self, batch: Batch, request: int) -> None:
        """This batch goes out now, with that request."""
        if batch.base_sequence < 0:
            assert self.queue.waiting[0] is batch, "batches leave the queue in order"
            self.queue.waiting.popleft()
            batch.base_sequence = self._next_sequence
            self._next_sequence = (self._next_sequence + len(batch)) & SEQUENCE_MASK
            self.flying.append(batch)
        assert len(self.flying) <= MAX_IN_FLIGHT, f"{len(self.flying)} batches in flight"
        batch.request = request
        batch.requests.append(request)
        batch.attempts += 1
        batch.hold = False
        batch.sent_as_head = batch is self.flying[0]

    def reroute(self) -> None:
        """The leader is another: everything that flies goes again, at once."""
        self.not_before = Millis(0)
        self.attempt = 0
        for batch in self.flying:
            if not batch.done:
                batch.request = None
                batch.hold = False

    def lost(self, request: int) -> bool:
        """No answer came to this attempt: whether anything goes again for that."""
        again = False
        for batch in self.flying:
            if batch.request == request and not batch.done:
                batch.request = None
                again = True
        return again

    # --- Answers ---

    def written(self, batch: Batch, base_offset: int) -> list[Outcome]:
        """The leader has it, says an answer to any of its attempts."""
        if batch.done or batch not in self.flying:
            return []
        batch.done = True
        batch.request = None
        self.attempt = 0
        self._proven = True
        self._last_acked = max(self._last_acked, base_offset + len(batch) - 1)
        return [Acked(batch, base_offset), *self._settle()]

    def refused(self, batch: Batch, refusal: Failure) -> list[Outcome]:
        """The leader will never take it. Told once all before it have an outcome."""
        batch.refusal = refusal
        batch.request = None
        return self._settle()

    def out_of_order(self, batch: Batch, error: ErrorCode, log_start: int, reason: str) -> list[Outcome]:
        """The leader lacks what comes before this batch, or does not know this producer (any more)."""
        batch.request = None
        fenced = error is ErrorCode.INVALID_PRODUCER_EPOCH
        if batch is not self.flying[0] or not batch.sent_as_head:
            batch.hold = True
            return []
        # Nothing that flies is written at this leader. With acks=1 that may lawfully happen to acknowledged records;
        # and retention may have taken the last record of a producer, and its memory with it.
        forgotten = log_start > self._last_acked >= 0 and batch.attempts == 1
        if not fenced and (self._acks == 1 or forgotten):
            self._restart(new_id=False)
            return []
        sentence = reason or f"the leader of {self.topic}-{self.partition.index} lacks records it acknowledged"
        return self._fail_flying(Failure(Why.UNKNOWN_OUTCOME, sentence, error), new_id=fenced)

    def expire(self, now: Millis) -> list[Outcome]:
        """Fail what has waited for too long."""
        outcomes: list[Outcome] = []
        while self.flying and self.flying[0].deadline <= now:
            head = self.flying[0]
            if any(batch.done for batch in self.flying):
                head.done = True
                outcomes += [Acked(head, -1), *self._settle()]
            else:
                outcomes += self._fail_flying(self._unanswered(head), new_id=False)
        waiting = self.queue.waiting
        while waiting and waiting[0].deadline <= now:
            batch = waiting.popleft()
            outcomes.append(Failed(batch, self._too_late(batch)))
        return outcomes

    def give_up(self, failure: Failure) -> list[Outcome]:
        """Everything fails: what flies with an unknown outcome, what waits with this failure."""
        unknown = Failure(Why.UNKNOWN_OUTCOME, failure.sentence, failure.error)
        outcomes = self._fail_flying(unknown, new_id=False)
        outcomes += [Failed(batch, failure) for batch in self.queue.waiting]
        self.queue.waiting.clear()
        return outcomes

    # --- The rules ---

    def _unanswered(self, batch: Batch) -> Failure:
        """Its time is over. If every attempt was answered with a refusal it was certainly not written."""
        place = f"{self.topic}-{self.partition.index}"
        complaint = batch.complaint
        if complaint is not None and batch.refusals == batch.attempts:
            return Failure(Why.TIMED_OUT, f"{place} did not take the records: {complaint.sentence}", complaint.error)
        why = "" if complaint is None else f" (the last answer was: {complaint.sentence})"
        sentence = (
            f"no answer for a batch of {place} in time{why}: it may have been written; "
            "read the end of the partition before sending it again"
        )
        return Failure(Why.UNKNOWN_OUTCOME, sentence)

    def _too_late(self, batch: Batch) -> Failure:
        place = f"{self.topic}-{self.partition.index}"
        if batch.attempts:
            return Failure(
                Why.UNKNOWN_OUTCOME, f"records for {place} were sent, and nobody knows whether they are written"
            )
        sentence = f"{place} had no leader that took the records in time; they were not written: are its brokers up?"
        return Failure(Why.TIMED_OUT, sentence)

    def _settle(self) -> list[Outcome]:
        """What the head's outcome means for those behind it."""
        outcomes: list[Outcome] = []
        while self.flying:
            head = self.flying[0]
            if head.done:
                self.flying.popleft()
            elif head.refusal is not None:
                self.flying.popleft()
                outcomes.append(Failed(head, head.refusal))
                self._restart(new_id=False)
            else:
                break
        return outcomes

    def _fail_flying(self, failure: Failure, *, new_id: bool) -> list[Outcome]:
        if not self.flying:
            return []
        outcomes: list[Outcome] = [Failed(batch, batch.refusal or failure) for batch in self.flying if not batch.done]
        self.flying.clear()
        self._restart(new_id=new_id)
        return outcomes

    def _restart(self, *, new_id: bool) -> None:
        """Another epoch, sequences from zero: what flies lands, and flies again in order."""
        while self.flying:
            batch = self.flying.pop()
            if not batch.done:
                batch.land()
                self.queue.waiting.appendleft(batch)
        self._next_sequence = 0
        self._proven = False
        if self.identity is None:
            return
        if new_id or self.identity.epoch >= MAX_EPOCH:
            self.spent_id = self.identity.producer_id
            self.identity = None
        else:
            self.identity = Identity(self.identity.producer_id, self.identity.epoch + 1)
