"""What a client knows of who leads what, and how it keeps knowing.

Every client actor (producer, consumer, admin) owns one `Leaderships`. It asks any broker for the digest of the topics
that its owner wants, then follows the controllers' broadcast, so that a new leader is known as soon as it is
committed and not when a request to the old one has failed.

Broadcasts are the hint, the log is the truth: frames are lost, late and duplicated. A frame names the metadata offset
that it brings one to, and the previous frame's. Whoever knows everything up to `previous` may move on to `offset`.
Behind a gap, the frame's leaders are still news (a leader epoch never comes twice with different leaders, so a higher
one is always right), but the chain does not move, and what was missed is fetched: one fetch at a time, with a little
chance in its time, so that a thousand clients that miss one frame do not ask in one millisecond. Silence is a gap too.

What holds: per partition leader epochs only rise, whoever tells them (a broadcast, a fetch, the hint in a refusal);
a topic that was deleted never comes back under the same id, however late the broker that still lists it.

Many clients must not keep a slow cluster slow. Whoever is not answered asks the next broker, later and later; an answer
to any question since this began will do, so brokers that answer late are not asked for ever. Silence is a gap at longer
and longer intervals, and that another controller speaks, without a gap, is no hurry.

The owner calls `on_message` for `Leadership` and `LeadershipUpdate`, and `on_timer` for every timer that it does not
know; both say which partitions have moved. The shell subscribes to `broadcasts`, which it reads after each turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .errors import ErrorCode
from .kernel import Address, Context, Timer, address
from .messages import (
    BrokerPlace,
    FetchLeadership,
    Leadership,
    LeadershipUpdate,
    Partition,
    PartitionLeader,
    TopicId,
    TopicName,
)

HEARTBEAT_MS = 250
SILENCE_MS = 2 * HEARTBEAT_MS
MOST_SILENCE_MS = 4_000
JITTER_MS = 50
SUCCESSION_JITTER_MS = 1_000
RETRY_MIN_MS = 20
RETRY_MAX_MS = 500
UNANSWERED_MAX_MS = 2_000


class FetchDue(Timer, frozen=True):
    """Time to ask for the digest (again)."""


class Silence(Timer, frozen=True):
    """No broadcast for two heartbeats."""


class Leader(NamedTuple):
    """Who leads a partition: the broker's id (-1: nobody) and the leader epoch."""

    broker: int
    epoch: int


class Route(NamedTuple):
    """Where to send what is meant for a partition, and the leader epoch to say."""

    to: Address
    epoch: int


NOBODY = Leader(-1, -1)


def backoff_ms(attempt: int, ctx: Context, least: int = RETRY_MIN_MS, most: int = RETRY_MAX_MS) -> int:
    """Exponential backoff with jitter: between half and all of `least * 2**attempt`, at most `most`."""
    full = min(most, least << min(attempt, 16))
    return ctx.random.randint(full // 2, full)


class Leaderships:
    """The digest of the topics that are wanted (None: of all topics)."""

    def __init__(self, bootstrap: Sequence[str], *, everything: bool = False) -> None:
        assert bootstrap, "at least one bootstrap endpoint"
        self.bootstrap = list(dict.fromkeys(bootstrap))
        self.broadcasts: list[str] = []  # endpoints of the controllers' PUB sockets: the shell subscribes to these
        self.brokers: dict[int, str] = {}
        self.topics: dict[str, TopicName] = {}
        self.leaders: dict[Partition, Leader] = {}
        self.controllers: dict[int, str] = {}
        self.controller = -1
        self.cluster_id = ""
        self.offset = -1  # everything that was committed below this is known
        self.controller_epoch = -1
        self.answered = False  # whether any broker ever answered
        self._everything = everything
        self._wanted: dict[str, None] = {}
        self._gone: set[TopicId] = set()
        self._asked: dict[int, list[str]] = {}  # the topics of the questions since `_asking_since`
        self._told: set[str] = set()  # topics about which a broker has answered
        self._target = -1  # the newest offset that was heard of
        self._flight: FetchLeadership | None = None
        self._due = False  # a timer for the next fetch is set
        self._attempt = 0
        self._asking_since = 0  # the first question of those that one answer settles
        self._silence = SILENCE_MS
        self._turn = 0
        self._next_id = 0

    # --- What the owner asks ---

    def start(self, ctx: Context) -> None:
        """Begin: ask the first broker at once."""
        self._next_id = ctx.random.getrandbits(40)
        self._turn = ctx.random.randrange(len(self.bootstrap))
        self._ask(ctx)

    def want(self, topic: str, ctx: Context) -> None:
        """Get to know this topic, and ask until it exists or is no longer wanted."""
        waiting = topic in self._wanted and (self._flight is not None or self._due)
        self._wanted[topic] = None
        if topic not in self.topics and not waiting:
            self._ask(ctx)

    def answered_about(self, topic: str) -> bool:
        """Whether a broker was asked about this topic, and has answered: if it is not known then, there is none."""
        return topic in self._told or topic in self.topics

    def unwant(self, topic: str) -> None:
        """Stop asking for this topic."""
        self._wanted.pop(topic, None)

    def refresh(self, ctx: Context, within_ms: int = JITTER_MS) -> None:
        """What is known has proved stale: ask soon, unless that is under way."""
        if self._flight is None and not self._due:
            self._ask_in(ctx.random.randint(0, within_ms), ctx)

    def route(self, partition: Partition) -> Route | None:
        """Where the leader is; None while there is none, or its endpoint is not known."""
        leader = self.leaders.get(partition, NOBODY)
        endpoint = self.brokers.get(leader.broker)
        return None if endpoint is None else Route(address(endpoint, "broker"), leader.epoch)

    def any_broker(self) -> Address:
        """Another broker at each call: the known ones and the bootstrap endpoints in turn."""
        endpoints = list(dict.fromkeys([*(self.brokers[b] for b in sorted(self.brokers)), *self.bootstrap]))
        self._turn += 1
        return address(endpoints[self._turn % len(endpoints)], "broker")

    def any_controller(self, attempt: int) -> Address | None:
        """The active controller first, then the others in turn; None while none is known."""
        ids = sorted(self.controllers)
        if not ids:
            return None
        if attempt == 0 and self.controller in self.controllers:
            return address(self.controllers[self.controller], "controller")
        return address(self.controllers[ids[attempt % len(ids)]], "controller")

    def led(self, topic: str) -> bool:
        """Whether the topic is known and every partition of it has a leader."""
        known = self.topics.get(topic)
        return known is not None and all(
            self.leaders.get(Partition(known.id, i), NOBODY).broker >= 0 for i in range(known.partitions)
        )

    # --- What the owner tells ---

    def hint(self, partition: Partition, leader: int, epoch: int) -> bool:
        """A reply named the leader: whether that was news. A lower or equal epoch is not."""
        return self._lead(PartitionLeader(partition, leader, epoch))

    def on_message(self, message: Leadership | LeadershipUpdate, ctx: Context) -> list[Partition]:
        """News: the partitions that have another leader, or another epoch, or are gone."""
        if isinstance(message, Leadership):
            return self._on_digest(message, ctx)
        return self._on_update(message, ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        """Whether the timer was one of ours."""
        if isinstance(timer, FetchDue):
            self._due = False
            self._flight = None
            self._ask(ctx)
            return True
        if isinstance(timer, Silence):
            self._silence = min(2 * self._silence, MOST_SILENCE_MS)
            ctx.set_timer(Silence(), self._silence + ctx.random.randint(0, JITTER_MS))
            self.refresh(ctx)
            return True
        return False

    # --- Fetching ---

    def _ask(self, ctx: Context) -> None:
        self._next_id += 1
        if self._attempt == 0:
            self._asking_since = self._next_id
            self._asked.clear()
        topics = None if self._everything else list(self._wanted)
        self._asked[self._next_id] = topics or []
        self._flight = FetchLeadership(self._next_id, topics)
        ctx.send(self.any_broker(), self._flight)
        # The next broker in turn, should this one not answer. A late answer is welcome all the same.
        self._ask_in(backoff_ms(self._attempt, ctx, most=UNANSWERED_MAX_MS), ctx)
        self._attempt += 1

    def _ask_in(self, delay_ms: int, ctx: Context) -> None:
        self._due = True
        ctx.set_timer(FetchDue(), delay_ms)

    def _on_digest(self, digest: Leadership, ctx: Context) -> list[Partition]:
        if digest.error is not ErrorCode.NONE or self._foreign(digest.cluster_id):
            return []
        self.answered = True
        self._told.update(self._asked.get(digest.id, ()))
        moved = self._merge(digest.brokers, digest.topics, digest.leaders, digest.offset >= self.offset)
        if digest.offset >= self.offset:
            self.offset = digest.offset
            self.controllers = {place.broker: place.endpoint for place in digest.controllers} or self.controllers
            self.controller = digest.controller
            self.broadcasts = list(digest.broadcasts) or self.broadcasts
            if self._flight is not None and self._flight.id == digest.id and digest.offset >= self._target:
                moved += self._forget_unlisted(digest, self._flight.topics)
        if self._flight is None or not self._asking_since <= digest.id <= self._flight.id:
            return moved
        self._flight = None
        if self.offset >= self._target and all(topic in self.topics for topic in self._wanted):
            self._due = False
            self._attempt = 0
            ctx.cancel_timer(FetchDue())
        else:
            self._ask_in(backoff_ms(self._attempt, ctx), ctx)
        ctx.set_timer(Silence(), self._silence + ctx.random.randint(0, JITTER_MS))
        return moved

    def _forget_unlisted(self, digest: Leadership, asked: Iterable[str] | None) -> list[Partition]:
        """A topic that was asked for and is not listed, by a broker that knows as much as we do, is gone."""
        listed = {topic.name for topic in digest.topics}
        names = [name for name in (self.topics if asked is None else asked) if name not in listed]
        moved: list[Partition] = []
        for name in names:
            if name in self.topics:
                moved += self._forget(self.topics[name].id)
        return moved

    # --- The broadcast ---

    def _on_update(self, update: LeadershipUpdate, ctx: Context) -> list[Partition]:
        if self._foreign(update.cluster_id) or update.controller_epoch < self.controller_epoch:
            return []
        if not self.answered:
            return []  # the first digest says where the chain begins
        if self._silence > SILENCE_MS and self._flight is not None:  # whoever did not answer may do so now
            self._ask_in(ctx.random.randint(0, JITTER_MS), ctx)
        self._silence = SILENCE_MS
        ctx.set_timer(Silence(), SILENCE_MS + ctx.random.randint(0, JITTER_MS))
        other = self.controller_epoch not in (-1, update.controller_epoch)
        self.controller_epoch = update.controller_epoch
        self.controller = update.controller
        self._target = max(self._target, update.offset)
        contiguous = update.previous <= self.offset
        moved = self._merge(update.brokers, update.topics, update.leaders, contiguous)
        for topic in update.deleted:
            moved += self._forget(topic)
        if contiguous:
            self.offset = max(self.offset, update.offset)
        if not contiguous:
            self.refresh(ctx)
        elif other:
            self.refresh(ctx, SUCCESSION_JITTER_MS)
        return moved

    # --- What is known ---

    def _foreign(self, cluster_id: str) -> bool:
        self.cluster_id = self.cluster_id or cluster_id
        return cluster_id != self.cluster_id

    def _merge(
        self, brokers: list[BrokerPlace], topics: list[TopicName], leaders: list[PartitionLeader], current: bool
    ) -> list[Partition]:
        """Take what is new. `current`: at least as new as all that is known, so it may replace an endpoint or id."""
        moved: list[Partition] = []
        for place in brokers:
            if current or place.broker not in self.brokers:
                if self.brokers.get(place.broker, place.endpoint) != place.endpoint:
                    moved += [p for p, leader in self.leaders.items() if leader.broker == place.broker]
                self.brokers[place.broker] = place.endpoint
        for topic in topics:
            known = self.topics.get(topic.name)
            if topic.id in self._gone or (known is not None and known.id != topic.id and not current):
                continue
            if known is not None and known.id != topic.id:
                moved += self._forget(known.id)
            elif known is not None and known.partitions > topic.partitions:
                continue  # partitions are added, never removed
            self.topics[topic.name] = topic
        moved += [leader.partition for leader in leaders if self._lead(leader)]
        return moved

    def _lead(self, news: PartitionLeader) -> bool:
        known = self.leaders.get(news.partition, NOBODY)
        if news.leader_epoch <= known.epoch or news.partition.topic in self._gone:
            return False
        self.leaders[news.partition] = Leader(news.leader, news.leader_epoch)
        return True

    def _forget(self, topic: TopicId) -> list[Partition]:
        self._gone.add(topic)
        for name in [name for name, known in self.topics.items() if known.id == topic]:
            del self.topics[name]
        moved = [partition for partition in self.leaders if partition.topic == topic]
        for partition in moved:
            del self.leaders[partition]
        return moved

    def gone(self, topic: TopicId) -> bool:
        """Whether a topic is known to have been deleted."""
        return topic in self._gone
