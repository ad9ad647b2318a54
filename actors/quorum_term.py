"""A term of leading the quorum: what the leader knows of its followers, and what it tells them.

Followers ask for records. A fetch that fits proves what they have; it waits here until there is something to tell, new
records or a high watermark that moved. The high watermark is the end that a majority has durably, and moves only
through a record of the term's own epoch (Raft §5.4.2). A leader that no majority asks any more is none (check-quorum,
KAFKA-15489): any fetch in this epoch counts as a word, whatever comes of it.

The log may begin with a snapshot (`base`). Who ends there and has the epoch that it says fits; who ends before must
load one.
"""

from __future__ import annotations

import msgspec

from ..storage.disk import Generation
from ..storage.log import Log
from .bugs import bug
from .errors import ErrorCode
from .kernel import Address, Context, Millis, Payload
from .leading import Diverging, Leading, majority
from .messages import METADATA, Fetch, Fetched, FetchedPartition, SyncedPartition
from .quorum_log import Base
from .raft_config import ParkedTimer, RaftConfig

MAX_FETCH_BYTES = 1 << 20
HEARD_TIMEOUT_FACTOR = 3  # check-quorum: a leader resigns after this many shortest election timeouts of silence


class _Parked(msgspec.Struct, frozen=True):
    sender: Address
    fetch: Fetch


class QuorumTerm:
    """One epoch in which this voter leads. `persisted`: when the epoch is durable here; nothing is said before."""

    def __init__(self, config: RaftConfig, log: Log, epoch: int, persisted: Generation, now: Millis) -> None:
        self.config = config
        self.log = log
        self.epoch = epoch
        self.start = log.end  # offset of the own LeaderChanged record
        self._persisted = persisted
        self._leading = Leading(log, epoch, now)
        self._heard: dict[int, Millis] = {}  # by voter: its last fetch in this epoch
        self._parked: dict[int, _Parked] = {}

    # --- What the majority has

    def durable(self, voter: int) -> int:
        """How much of this log is durable at a voter, as far as it has proven it."""
        return self.log.durable_end if voter == self.config.id else self._leading.durable(voter)

    def high_watermark(self, present: int) -> int:
        """The high watermark after what is known now; never below `present`."""
        end = majority([self.durable(voter) for voter in self.config.voters])
        return max(present, end) if end > self.start or bug("commit-old-epoch") else present

    def silent(self, now: Millis) -> list[int]:
        """The voters that have not asked for too long, unless a majority still does."""
        limit = self.config.election_min_ms * HEARD_TIMEOUT_FACTOR
        others = [voter for voter in sorted(self.config.voters) if voter != self.config.id]
        silent = [v for v in others if v not in self._parked and now - self._heard_at(v) > limit]
        return silent if len(silent) * 2 >= len(self.config.voters) and not bug("no-check-quorum") else []

    def unaware(self, now: Millis) -> list[int]:
        """The voters that must be told of this epoch (again)."""
        others = [voter for voter in sorted(self.config.voters) if voter != self.config.id]
        return [v for v in others if v not in self._heard or now - self._heard_at(v) > self.config.election_min_ms]

    def _heard_at(self, voter: int) -> Millis:
        return self._heard.get(voter, self._leading.since)

    # --- Fetches

    def on_fetch(self, sender: Address, fetch: Fetch, base: Base, ctx: Context) -> bool:
        """Take in a fetch of this epoch; whether it is progress: then the high watermark may have moved. `answer`
        it."""
        wanted = fetch.wanted[0]
        self._heard[fetch.replica] = ctx.now
        at_base = (wanted.offset, wanted.last_epoch) == (self.log.start, base.epoch) == (base.end, base.epoch)
        verdict = None if at_base else self._leading.check(wanted)
        if isinstance(verdict, ErrorCode):
            self._reply(sender, fetch, self._part(verdict), ctx)
            return False
        if isinstance(verdict, Diverging):
            part = self._part(ErrorCode.NONE, diverging=(verdict.epoch, verdict.end))
            self._reply(sender, fetch, part, ctx)
            if bug("divergence-is-progress"):
                self._leading.fetched(fetch.replica, -1, wanted, ctx.now)
            return False
        self._leading.fetched(fetch.replica, -1, wanted, ctx.now)
        self._parked[fetch.replica] = _Parked(sender, fetch)
        return True

    def on_synced(self, replica: int, part: SyncedPartition, now: Millis) -> bool:
        """More is durable at a follower; whether that is news."""
        return part.leader_epoch == self.epoch and self._leading.synced(replica, -1, part.durable, now)

    def park(self, voter: int, hw: int, ctx: Context) -> None:
        """Answer the fetch just taken in, or let it wait."""
        parked = self._parked.get(voter)
        if parked is not None and not self.answer(voter, hw, ctx):
            ctx.set_timer(ParkedTimer(voter), max(0, min(parked.fetch.max_wait_ms, self.config.fetch_wait_ms)))

    def answer_all(self, hw: int, ctx: Context) -> None:
        """There may be something to tell to whoever waits."""
        for voter in sorted(self._parked):
            self.answer(voter, hw, ctx)

    def answer(self, voter: int, hw: int, ctx: Context, *, anyway: bool = False) -> bool:
        """Answer a parked fetch if there is something to tell: records, or a high watermark that moved."""
        parked = self._parked.get(voter)
        if parked is None:
            return False
        wanted = parked.fetch.wanted[0]
        if self.log.end <= wanted.offset and hw <= wanted.hw and not anyway:
            return False
        del self._parked[voter]
        ctx.cancel_timer(ParkedTimer(voter))
        records = None
        if wanted.offset < self.log.start:  # trimmed while it waited
            self._reply(parked.sender, parked.fetch, self._part(ErrorCode.OFFSET_OUT_OF_RANGE), ctx)
            return True
        if self.log.end > wanted.offset:
            records = Payload(self.log.read(wanted.offset, MAX_FETCH_BYTES, limit=self.log.end))
        self._heard[voter] = ctx.now
        self._reply(parked.sender, parked.fetch, self._part(ErrorCode.NONE, hw=hw, records=records), ctx)
        return True

    def refuse_all(self, ctx: Context) -> None:
        """The term is over: whoever waits is told."""
        for voter in sorted(self._parked):
            parked = self._parked[voter]
            part = FetchedPartition(METADATA, ErrorCode.NOT_LEADER_OR_FOLLOWER, self.epoch, -1, -1)
            self._reply(parked.sender, parked.fetch, part, ctx)
            ctx.cancel_timer(ParkedTimer(voter))
        self._parked = {}

    def _part(
        self,
        error: ErrorCode,
        *,
        hw: int = -1,
        diverging: tuple[int, int] | None = None,
        records: Payload | None = None,
    ) -> FetchedPartition:
        start = self.log.start if diverging is None else -1
        return FetchedPartition(
            METADATA, error, self.epoch, hw, start, diverging=diverging, records=records, leader=self.config.id
        )

    def _reply(self, sender: Address, fetch: Fetch, part: FetchedPartition, ctx: Context) -> None:
        reply_to_fetch(sender, fetch, part, self._persisted, ctx)


def reply_to_fetch(sender: Address, fetch: Fetch, part: FetchedPartition, after: Generation, ctx: Context) -> None:
    """The answer to a voter's fetch, which is of one partition."""
    ctx.send(sender, Fetched(fetch.id, ErrorCode.NONE, fetch.session, fetch.sequence, [part]), after=after)
