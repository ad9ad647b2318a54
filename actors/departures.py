"""When batches leave: to each leader few requests at a time, each with all that waits for it.

What a request costs, at the client, at the leader and at its followers, hardly depends on how much is in it. So there
should be few, as long as nobody waits the longer for that. Batches are grouped by the leader they go to:

* A batch is *due* when its linger is over, and *full* when it takes no more records or somebody flushes it.
* When one batch is due, every leader gets what waits for its partitions, due or not (Kafka's clients do that for one
  leader): one request to each in a linger, at the same time, so that brokers flush once for all that they lead and
  follow.
* While a request to a leader is unanswered only full batches leave for it; what is due goes on taking records until
  the answer comes (Nagle's rule, RFC 896), or for `PATIENCE_MS`, if the answer has far to go. And departures are
  `PACE` times as far apart as answers take. So a cluster that is slow, or has many partitions, gets fewer and larger
  batches by itself, the machines do not work on small ones all of their time, and latency under load stays a small
  multiple of the time an answer takes. Without that a hundred partitions mean 20,000 batches a second, whatever the
  load, and queues that only grow.
* An answer that has far to go always takes long. One that takes much longer than the quickest has waited in a queue,
  and a second request would only wait behind the first (TCP Vegas tells the two apart in the same way). So patience is
  at least `PACE` times what answers take beyond the quickest: a busy cluster is not given five requests to queue. In a
  queue all answers are late. One that is late alone has met a slow disk, and nobody should wait the longer for that: so
  what answers take is the median of the last five.
* What must go again goes at once.

None of this is about order or safety: that is the business of a `Lane`. Whoever changes a lane says so (`opened`,
`look_at`, `look_at_all`), and `leaving` looks at those leaders only: to look at all lanes at every message would cost
more than the messages do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from .in_flight import Lane
from .kernel import Address, Millis
from .leadership import Leaderships, Route
from .messages import Partition

PACE = 1.5
"""Departures are at least so many times as far apart as answers take: then whoever answers has time for others too."""

PATIENCE_MS = 50
"""For so long after a request to a leader, while that is unanswered, only full batches leave for it."""

MOST_MS = 500
"""An answer that took longer counts as this."""


class _Answers:
    """How long the answers of one leader take, in milliseconds."""

    __slots__ = ("least", "recent", "usual")

    def __init__(self) -> None:
        self.usual = 0.0  # smoothed, none counting as more than `PATIENCE_MS`
        self.least = float(MOST_MS)  # the quickest; it rises slowly, should the way have become longer
        self.recent: deque[int] = deque(maxlen=5)

    def took(self, milliseconds: int) -> None:
        """One more answer."""
        took = min(milliseconds, MOST_MS)
        self.usual += (min(took, PATIENCE_MS) - self.usual) / 8
        self.least = min(took, self.least + (took - self.least) / 256)
        self.recent.append(took)

    @property
    def apart(self) -> float:
        """How far departures should be apart."""
        return PACE * self.usual

    @property
    def patience(self) -> float:
        """For how long only full batches should leave while one is on its way."""
        return max(PATIENCE_MS, PACE * (sorted(self.recent)[len(self.recent) // 2] - self.least))


class Leaving(NamedTuple):
    """Batches of this lane may go, to its leader (None: nobody leads). `partial`: also one that is not full."""

    lane: Lane
    route: Route | None
    partial: bool


class _Leader:
    """The lanes that have something to do with one leader (None: those without)."""

    __slots__ = ("due", "held", "lanes", "stale")

    def __init__(self) -> None:
        self.lanes: dict[Partition, Lane] = {}
        self.stale = True  # something has changed: look at once
        self.due: Millis | None = None  # look then; None: only when something changes
        self.held: Millis | None = None  # what is due waits for an answer, until then


class Departures:
    """All lanes of one producer that have something waiting or flying."""

    def __init__(self, leaderships: Leaderships) -> None:
        self._leaderships = leaderships
        self._leaders: dict[Address | None, _Leader] = {}
        self._at: dict[Partition, _Leader] = {}
        self._sent_at: dict[Address, Millis] = {}  # the last request with batches that were not full
        self._departed = Millis(0)  # the newest of these
        self._answers: dict[Address, _Answers] = {}

    def __iter__(self) -> Iterator[Lane]:
        """The busy lanes."""
        for leader in list(self._leaders.values()):
            yield from list(leader.lanes.values())

    def opened(self, lane: Lane, due: Millis) -> None:
        """A batch was opened that is due then. One before it may be full now."""
        leader = self._at.get(lane.partition) or self._place(lane)
        if len(lane.queue.waiting) > 1:
            leader.stale = True
        elif leader.due is None or due < leader.due:
            leader.due = due

    def look_at(self, partition: Partition) -> None:
        """Something was answered, or has changed otherwise."""
        leader = self._at.get(partition)
        if leader is not None:
            leader.stale = True

    def answered(self, to: Address, took_ms: int) -> None:
        """A request was answered after so long."""
        if to not in self._answers:
            self._answers[to] = _Answers()
        self._answers[to].took(took_ms)

    def look_at_all(self) -> None:
        """Anything may have changed, also who leads."""
        lanes = list(self)
        self._leaders.clear()
        self._at.clear()
        for lane in lanes:
            self._place(lane)

    def forget(self, partition: Partition) -> None:
        """The partition is gone."""
        leader = self._at.pop(partition, None)
        if leader is not None:
            del leader.lanes[partition]

    def leaving(self, now: Millis) -> list[Leaving]:
        """What may go now. Whoever asks sends it, and then asks for `wake`."""
        going: list[Leaving] = []
        due = any(leader.due is not None and leader.due <= now for leader in self._leaders.values())
        for to, leader in self._leaders.items():
            if leader.stale or due:
                leader.stale = True  # for `wake`
                self._look(to, leader, now, due, going)
        return going

    def late(self, now: Millis) -> list[Lane]:
        """The lanes in which somebody's patience may be over."""
        leaders = [leader for leader in self._leaders.values() if leader.due is not None and leader.due <= now]
        for leader in leaders:
            leader.stale = True
        return [lane for leader in leaders for lane in leader.lanes.values()]

    def wake(self, now: Millis) -> Millis | None:
        """When to ask again if nothing changes before."""
        for to, leader in list(self._leaders.items()):
            if leader.stale:
                leader.stale = False
                leader.due = _next(leader, now)
                if not leader.lanes:
                    del self._leaders[to]
        return min((leader.due for leader in self._leaders.values() if leader.due is not None), default=None)

    def _place(self, lane: Lane) -> _Leader:
        route = self._leaderships.route(lane.partition)
        to = None if route is None else route.to
        leader = self._leaders.get(to)
        if leader is None:
            leader = self._leaders[to] = _Leader()
        leader.stale = True
        leader.lanes[lane.partition] = lane
        self._at[lane.partition] = leader
        return leader

    def _apart_ms(self) -> int:
        """How far departures are apart: by the slowest of those that something waits for."""
        known = self._answers
        return int(max((known[to].apart for to in self._leaders if to is not None and to in known), default=0.0))

    def _look(self, to: Address | None, leader: _Leader, now: Millis, due: bool, going: list[Leaving]) -> None:
        unanswered = False
        waiting: list[Lane] = []
        for lane in list(leader.lanes.values()):
            if not lane.busy:
                self.forget(lane.partition)
                continue
            unanswered = unanswered or lane.unanswered
            batch = lane.next_batch(now)
            if batch is None:
                pass
            elif lane.is_ripe(batch):
                going.append(Leaving(lane, self._leaderships.route(lane.partition), partial=False))
            else:
                waiting.append(lane)
                due = due or batch.due <= now
        leader.held = None
        if not due or not waiting:
            return
        if to is not None:
            held = self._departed + self._apart_ms() if self._departed < now else now  # others leave now: so may this
            if unanswered:
                patience = self._answers[to].patience if to in self._answers else PATIENCE_MS
                held = max(held, self._sent_at.get(to, now) + int(patience))
            if held > now:
                leader.held = Millis(held)
                return
            self._sent_at[to] = self._departed = now
        going += [Leaving(lane, self._leaderships.route(lane.partition), partial=True) for lane in waiting]


def _next(leader: _Leader, now: Millis) -> Millis | None:
    """The next time at which something changes by itself: a linger, a pause or somebody's patience is over."""
    times = [time for lane in leader.lanes.values() if (time := lane.next_time(now)) is not None]
    if leader.held is not None:
        times.append(leader.held)
    return min(times, default=None)
