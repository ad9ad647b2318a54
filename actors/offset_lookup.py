"""Asking for offsets: the beginning and the end of partitions, and offsets by time.

A sub-machine of the consumer. A query is asked of the partition's leader until that answers, whoever it is by then: an
answer is final, a refusal is not. A leader that has just been elected says OFFSET_NOT_AVAILABLE until it knows its
own high watermark: to believe an older number would be to go back in time.
"""

from __future__ import annotations

from typing import NamedTuple

from .client_commands import Failure, Why
from .errors import ErrorCode
from .kernel import Address, Context, Millis, Timer
from .leadership import Leaderships, backoff_ms
from .messages import FindOffsets, FoundOffset, OffsetQuery, OffsetsFound, Partition


class LookupDue(Timer, frozen=True):
    """A query has to be asked again, or its time is over."""


class Query:
    """One offset that somebody wants to know."""

    __slots__ = ("attempt", "deadline", "index", "known_by", "next_at", "owner", "partition", "timestamp", "topic")

    def __init__(
        self,
        owner: object,
        topic: str,
        index: int,
        timestamp: int,
        deadline: Millis | None,
        known_by: Millis | None = None,
    ) -> None:
        self.owner = owner  # whoever asks: handed back with the answer
        self.topic = topic
        self.index = index
        self.timestamp = timestamp
        self.deadline = deadline  # None: for ever
        self.known_by = known_by  # when it is settled that there is no such partition; None: at the deadline
        self.next_at = Millis(0)  # when to ask (again)
        self.attempt = 0
        self.partition: Partition | None = None  # as last asked


class Answer(NamedTuple):
    """What became of a query: exactly one of the two counts."""

    query: Query
    found: FoundOffset | None
    failure: Failure | None = None


class OffsetLookup:
    """All the queries of one consumer."""

    def __init__(self, leaderships: Leaderships, request_timeout_ms: int) -> None:
        self._leaderships = leaderships
        self._timeout_ms = request_timeout_ms
        self._queries: list[Query] = []
        self._flights: dict[int, list[Query]] = {}
        self._next_id = 0

    def start(self, ctx: Context) -> None:
        """Begin."""
        self._next_id = ctx.random.getrandbits(40)

    def ask(self, query: Query, ctx: Context) -> None:
        """One more query; `pump` sends it."""
        self._queries.append(query)
        self._leaderships.want(query.topic, ctx)  # known or not: it is asked for again when its leader moves

    def cancel(self, owner: object) -> None:
        """Whoever asked does not want to know any more."""
        self._queries = [query for query in self._queries if query.owner is not owner]

    def moved(self) -> None:
        """Somebody else leads: ask again at once what is on its way."""
        for query in self._queries:
            query.next_at = Millis(0)

    def pump(self, ctx: Context) -> list[Answer]:
        """Ask what is due, one request per leader; the queries whose time is over."""
        late = [query for query in self._queries if self._late(query, ctx.now)]
        requests: dict[Address, list[tuple[Query, OffsetQuery]]] = {}
        for query in self._queries:
            if query in late or query.next_at > ctx.now:
                continue
            name = self._leaderships.topics.get(query.topic)
            query.next_at = Millis(ctx.now + backoff_ms(query.attempt, ctx))
            if name is None or query.index >= name.partitions:
                continue
            partition = Partition(name.id, query.index)
            route = self._leaderships.route(partition)
            if route is None:
                query.attempt += 1
                self._leaderships.refresh(ctx)
                continue
            query.partition = partition
            query.next_at = Millis(ctx.now + self._timeout_ms)
            requests.setdefault(route.to, []).append((query, OffsetQuery(partition, route.epoch, query.timestamp)))
        for to, asked in requests.items():
            self._next_id += 1
            self._flights[self._next_id] = [query for query, _ in asked]
            ctx.send(to, FindOffsets(self._next_id, [wire for _, wire in asked]))
        self._queries = [query for query in self._queries if query not in late]
        if not self._queries:
            self._flights.clear()
        times = [query.next_at for query in self._queries]
        times += [query.deadline for query in self._queries if query.deadline is not None]
        times += [query.known_by for query in self._queries if query.known_by is not None and self._unknown(query)]
        if times:
            ctx.set_timer(LookupDue(), max(1, min(times) - ctx.now))
        return [Answer(query, None, self._too_late(query)) for query in late]

    def on_found(self, message: OffsetsFound, ctx: Context) -> list[Answer]:
        """Answers to queries. A second answer to the same query finds nobody who asks."""
        asked = self._flights.pop(message.id, [])
        answers: list[Answer] = []
        for query, found in zip(asked, message.offsets, strict=False):  # in the order in which they were asked
            if query.partition != found.partition or query not in self._queries:
                continue
            if found.error is ErrorCode.NONE:
                self._queries.remove(query)
                answers.append(Answer(query, found))
            elif found.error.retriable:
                query.attempt += 1
                query.next_at = Millis(ctx.now + backoff_ms(query.attempt, ctx))
                if self._leaderships.hint(found.partition, found.leader, found.leader_epoch):
                    query.next_at = ctx.now
                elif found.error is not ErrorCode.OFFSET_NOT_AVAILABLE:
                    self._leaderships.refresh(ctx)
            else:
                self._queries.remove(query)
                sentence = f"{query.topic}-{query.index} has no such offset: {found.error.name}"
                answers.append(Answer(query, None, Failure(Why.REFUSED, sentence, found.error)))
        return answers

    def _late(self, query: Query, now: Millis) -> bool:
        if query.deadline is not None and query.deadline <= now:
            return True
        return query.known_by is not None and query.known_by <= now and self._unknown(query)

    def _unknown(self, query: Query) -> bool:
        """Whether brokers answer, and none of them knows of that partition."""
        name = self._leaderships.topics.get(query.topic)
        return self._leaderships.answered_about(query.topic) and (name is None or query.index >= name.partitions)

    def _too_late(self, query: Query) -> Failure:
        if not self._leaderships.answered_about(query.topic):
            places = ", ".join(self._leaderships.bootstrap)
            return Failure(Why.NO_BROKERS, f"nobody answers at {places}: is the cluster up?")
        name = self._leaderships.topics.get(query.topic)
        if name is None:
            return Failure(Why.UNKNOWN_TOPIC, f"there is no topic {query.topic}: create it first, or check its name")
        if query.index >= name.partitions:
            sentence = f"{query.topic} has {name.partitions} partitions, there is no partition {query.index}"
            return Failure(Why.UNKNOWN_TOPIC, sentence)
        return Failure(Why.TIMED_OUT, f"the leader of {query.topic}-{query.index} did not tell its offsets in time")
