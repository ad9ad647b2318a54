"""The leader's conversation with its followers: sessions, parked requests, answers of bounded size.

A session remembers what each follower last said of each partition. A request is answered at once if there is anything
to tell: records, an error, a divergence; otherwise it is parked. News are collected while the leader handles one
message, and told at its end (`speak`): a `Produce` of many partitions is one answer to each follower, not an answer
with the first partition and a round trip for each of the others. A high watermark alone rides on the next records, or
goes out at most 100 ms later. A partition that was answered with an error or a divergence leaves the session until the
follower lists it again; one that was answered with records gets no more of them until then. A second request may have
been on its way, so until the follower has listed it, what is known of its position is old, and records from there on
would be those that it has.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .errors import ErrorCode
from .kernel import Address, Context, Timer
from .messages import Fetch, Fetched, FetchedPartition, FetchPartition, Partition

_NONE = ErrorCode.NONE  # to ask an enumeration costs more than to look at a partition

MAX_ANSWER_BYTES = 1 << 20
"""Records of one answer: a heartbeat behind it waits no longer than one such message takes."""

HIGH_WATERMARK_DELAY_MS = 100


class SessionTimer(Timer, frozen=True):
    """A parked fetch has waited long enough."""

    replica: int


class HighWatermarkTimer(Timer, frozen=True):
    """High watermarks that moved have waited long enough for records to ride on."""


class Session:
    """What one follower last said, and what there is to tell it."""

    def __init__(self, number: int, broker_epoch: int) -> None:
        self.id = number
        self.sequence = 0  # of the next request
        self.last_id = -1
        self.broker_epoch = broker_epoch
        self.wanted: dict[Partition, FetchPartition] = {}
        self.ready: dict[Partition, None] = {}  # there may be records, or an error
        self.given: dict[Partition, None] = {}  # records are on their way, or the follower has not told what it took
        self.stale: dict[Partition, None] = {}  # the follower's high watermark is behind
        self.parked: tuple[Address, Fetch] | None = None


Answerer = Callable[[FetchPartition, int, Context], FetchedPartition | None]
"""What to say of one partition, with at most that many bytes; None if there is nothing to say."""


class FetchSessions:
    """All sessions of this leader, one per follower."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._sessions: dict[int, Session] = {}
        self._news: dict[int, None] = {}  # followers that wait, and that there is something to tell
        self._hw_timer = False

    def request(self, sender: Address, fetch: Fetch, ctx: Context) -> Session | None:
        """Take in a request; None if it was refused. What it wants is in `fetch.wanted`, to be checked by the owner."""
        session = self._sessions.get(fetch.replica)
        if session is not None and session.broker_epoch == fetch.broker_epoch and fetch.id <= session.last_id:
            return None  # the network delivers again, or late, what was answered or given up
        if fetch.sequence == 0:
            session = Session(ctx.random.getrandbits(31) | 1, fetch.broker_epoch)
            self._sessions[fetch.replica] = session
        elif session is None or session.id != fetch.session or session.broker_epoch != fetch.broker_epoch:
            ctx.send(sender, Fetched(fetch.id, ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0, 0, []))
            return None
        elif session.sequence != fetch.sequence:
            ctx.send(sender, Fetched(fetch.id, ErrorCode.INVALID_FETCH_SESSION_EPOCH, 0, 0, []))
            return None
        if session.parked is not None:
            self._answer(fetch.replica, session, ctx, anyway=True)  # it asks again without waiting for this one
        session.sequence = fetch.sequence + 1
        session.last_id = fetch.id
        session.parked = (sender, fetch)
        for partition in fetch.forgotten:
            session.wanted.pop(partition, None)
            session.ready.pop(partition, None)
            session.given.pop(partition, None)
            session.stale.pop(partition, None)
        for part in fetch.wanted:
            session.wanted[part.partition] = part
            session.ready[part.partition] = None
            session.given.pop(part.partition, None)
        return session

    def park(self, replica: int, ctx: Context) -> None:
        """Answer the request just taken in, or let it wait."""
        session = self._sessions[replica]
        self._answer(replica, session, ctx)
        if session.parked is not None:
            ctx.set_timer(SessionTimer(replica), max(0, min(session.parked[1].max_wait_ms, 1000)))

    def appended(self, partition: Partition) -> None:
        """There are new records, or the partition's role has changed: whoever waits is told by `speak`."""
        for replica, session in self._sessions.items():
            if partition in session.wanted:
                session.ready[partition] = None
                self._news[replica] = None

    def speak(self, ctx: Context) -> None:
        """Answer those who wait for what has happened since the last time."""
        if not self._news:
            return
        news, self._news = self._news, {}
        for replica in news:
            session = self._sessions.get(replica)
            if session is not None and session.parked is not None:
                self._answer(replica, session, ctx)

    def hw_moved(self, partition: Partition, ctx: Context) -> None:
        """The high watermark has moved: it rides on the next records, or goes out a little later."""
        for session in self._sessions.values():
            if partition in session.wanted:
                session.stale[partition] = None
                if not self._hw_timer:
                    self._hw_timer = True
                    ctx.set_timer(HighWatermarkTimer(), HIGH_WATERMARK_DELAY_MS)

    def on_hw_timer(self, ctx: Context) -> None:
        """Tell the high watermarks now."""
        self._hw_timer = False
        for replica, session in self._sessions.items():
            if session.parked is not None and session.stale:
                self._answer(replica, session, ctx, anyway=True)

    def on_timer(self, replica: int, ctx: Context) -> None:
        """Answer a request that waited, if only to say that nothing happened."""
        session = self._sessions.get(replica)
        if session is not None and session.parked is not None:
            self._answer(replica, session, ctx, anyway=True)

    def forget(self, replica: int) -> None:
        """This follower is gone or has begun a new life."""
        self._sessions.pop(replica, None)

    def _answer(self, replica: int, session: Session, ctx: Context, *, anyway: bool = False) -> None:
        assert session.parked is not None
        sender, fetch = session.parked
        parts: list[FetchedPartition] = []
        left = MAX_ANSWER_BYTES
        told = list(session.ready)
        for partition in told:
            wanted = session.wanted.get(partition)
            given = partition in session.given
            part = None if wanted is None else self._answerer(wanted, 0 if given else left, ctx)
            session.ready.pop(partition, None)
            if part is None:
                continue
            wrong = part.error is not _NONE or part.diverging is not None
            if given and not wrong:
                continue
            parts.append(part)
            session.stale.pop(partition, None)
            if wrong:
                del session.wanted[partition]
            if part.records is not None:
                session.given[partition] = None
                left -= len(part.records)
                if left <= 0:
                    break
        if not parts and not anyway:
            return
        for partition in list(session.stale):
            wanted = session.wanted.get(partition)
            part = None if wanted is None else self._answerer(msgspec.structs.replace(wanted, hw=-1), 0, ctx)
            if part is not None:
                parts.append(part)
        session.stale = {}
        session.parked = None
        ctx.cancel_timer(SessionTimer(replica))
        ctx.send(sender, Fetched(fetch.id, ErrorCode.NONE, session.id, fetch.sequence, parts))
