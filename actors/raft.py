"""The controllers' quorum: Raft over the metadata log, with pulled records (KIP-595, KIP-996).

Votes are pushed, records are pulled: a leader is told what its followers have by their fetches, and its high
watermark is the end that a majority has *durably*. One leader at most per epoch, because a voter votes once per epoch
and its vote is durable before it is said; the elected leader's log holds everything committed, because voters refuse a
candidate whose log ends before theirs (Raft §5.4.1); and a leader commits only through a record of its own epoch
(§5.4.2), the `LeaderChanged` record that begins it. The leader's half is `quorum_term`, the log `quorum_log`.

    unattached/following --election timeout--> prospective --majority of pre-votes--> candidate --votes--> leading
            ^                                      |  heard from the leader                  |                |
            +--------------------------------------+--------- higher epoch ------------------+---- no majority+

Pre-votes cost no epoch: a node that was cut off cannot disturb a quorum that works (KIP-996). A leader that no majority
fetches from resigns (check-quorum, KAFKA-15489). After a restart nobody leads again in the epoch that it led before
(KAFKA-10527): it voted for itself there, and stands only in a new one.

Nothing is sent that shows an epoch which is not durable here (`after=`). Who is so far behind that the leader's log
begins later says so to its owner (`wants_snapshot`), and goes on asking. What this file does not do: membership
changes; the voters are those of the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from msgspec.structs import replace

from ..storage.disk import Generation
from ..storage.log import Log
from . import quorum_state
from .bugs import bug
from .copying import Copying
from .election_pace import ElectionPace
from .errors import ErrorCode
from .events import QuorumLeaderElected, QuorumLeaderResigned
from .kernel import Address, Context, JobDone, Message, Millis, Timer, address
from .messages import (
    METADATA,
    BeginEpoch,
    EndEpoch,
    Fetch,
    Fetched,
    FetchedPartition,
    PeerGone,
    Synced,
    SyncedPartition,
    Vote,
    Voted,
)
from .metadata_codec import encode_records
from .metadata_records import LeaderChanged
from .quorum_log import DIRECTORY as DIRECTORY
from .quorum_log import NOTHING, Base, QuorumLog
from .quorum_state import QuorumState
from .quorum_term import HEARD_TIMEOUT_FACTOR, QuorumTerm, reply_to_fetch
from .raft_config import (
    CheckpointTimer,
    ElectionTimer,
    FetchTimer,
    LeaderTimer,
    ParkedTimer,
    Role,
)
from .raft_config import RaftConfig as RaftConfig
from .raft_config import Voter as Voter


class Raft:
    """One voter. The owner forwards inputs; committed batches are read with `read` up to `hw`."""

    def __init__(self, config: RaftConfig) -> None:
        self.config = config
        self.id = config.id
        self.voters = config.voters
        self.role: Role = "recovering"
        self.epoch = 0
        self.voted_for = -1
        self.leader = -1
        self.hw = 0
        self._behind = False  # the leader's log begins beyond the end of this one
        self.epoch_start = -1  # offset of the own LeaderChanged record while leading
        self._persisted = Generation(0)  # when the present epoch and vote are durable
        self._granted: set[int] = set()
        self._heard_at = Millis(-1_000_000)  # from a leader of the present epoch
        self._suspect = False  # the leader's connection was refused: do not wait to hear from it
        self._pace = ElectionPace(config)
        self._term: QuorumTerm | None = None  # None unless leading
        self._copying: Copying | None = None
        self._fetch_id = 0
        self._asking: int | None = None  # id of the fetch that is out
        self._unasked = False  # one is due as soon as what was given up is gone for good
        self._told_durable = 0  # what the leader knows of our durable end
        self._records = QuorumLog(config.settings)

    # --- What the owner may ask ---

    @property
    def leading(self) -> bool:
        """Whether this voter leads, as far as it knows."""
        return self.role == "leading"

    @property
    def log(self) -> Log | None:
        """The log; None until it has been read."""
        return self._records.log

    @property
    def wants_snapshot(self) -> bool:
        """Whether the leader's log begins beyond the end of this one: then `load` one of the leader's."""
        return self._behind and not self._records.loading

    @property
    def log_end(self) -> int:
        """The end of the log, committed or not."""
        return self.log.end if self.log is not None else 0

    @property
    def log_start(self) -> int:
        """The first offset that is still there."""
        return self.log.start if self.log is not None else 0

    def read(self, offset: int, max_bytes: int) -> bytes:
        """Whole committed batches from `offset`; empty at the high watermark."""
        if self.log is None or offset >= self.hw:
            return b""
        return bytes(self.log.read(offset, max_bytes, limit=self.hw))

    def append(self, batch: bytes, ctx: Context) -> int:
        """Append a decision as leader; it is committed once `hw` reaches the returned end."""
        assert self._term is not None and self.log is not None, "only the leader appends"
        appended = self.log.append(bytearray(batch), self.epoch, ctx.wall)
        self._advance_hw(ctx)
        self._term.answer_all(self.hw, ctx)
        return appended.last_offset + 1

    def trim(self, base: Base) -> None:
        """A durable snapshot stands for everything below its end: the log begins there now. May raise DiskFull."""
        assert base.end <= self.hw, f"trimming to {base.end}, committed is {self.hw}"
        self._records.trim(base)

    def load(self, base: Base, ctx: Context) -> None:
        """A durable snapshot from the leader stands for more than the log has: it begins anew there, soon."""
        assert self._term is None, "who leads has everything"
        self._records.load(base, ctx.disk)
        if not self._records.loading:
            self._loaded(ctx)

    def _loaded(self, ctx: Context) -> None:
        self._behind = False
        self.hw = max(self.hw, self.log_start)
        if self.role == "recovering":
            self._begin(ctx)
        elif self._copying is not None:
            self._copy(ctx)

    def resign(self, ctx: Context) -> None:
        """Stop leading in good order: name the best follower as successor."""
        if self._term is None:
            return
        ends = {voter: self._term.durable(voter) for voter in self.voters if voter != self.id}
        successors = sorted(ends, key=lambda voter: (-ends[voter], voter))
        for voter in successors:
            self._say(voter, EndEpoch(self.config.cluster_id, self.epoch, self.id, successors), ctx)
        self._unattach(self.epoch, ctx, "it stops")

    # --- Inputs ---

    def start(self, ctx: Context, newest: Base = NOTHING, snapshots: Mapping[int, int] | None = None) -> None:
        """Read the vote, then recover the log as a job; nothing is answered before that is done.

        `newest`: the snapshot that the owner has loaded; `snapshots`: the ends of all that there are, with their
        epochs.
        """
        state = quorum_state.read(ctx.disk) or QuorumState()
        self.epoch, self.voted_for = state.epoch, state.voted_for
        self._pace.led(state.epoch)
        if state.epoch > 0:  # what an earlier life wrote may be no further than the page cache
            self._persisted = quorum_state.write(ctx.disk, state)
        fresh = ctx.disk.size(quorum_state.PATH) is None
        self._records.recover(newest, snapshots or {}, ctx, fresh=fresh)

    def on_job(self, done: JobDone, ctx: Context) -> bool:
        """The log has been read. Returns whether the job was ours."""
        if not self._records.ours(done):
            return False
        why = self._records.open(done, ctx)
        if why is not None:
            ctx.stop(why)
            return True
        self.hw = self._records.committed
        if not self._records.loading:
            self._begin(ctx)
        return True

    def _begin(self, ctx: Context) -> None:
        """The log is what it should be: take part."""
        self.role = "unattached"
        self._reset_election(ctx, soon=self.epoch == 0)
        ctx.set_timer(CheckpointTimer(), 1000)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        """Anything of the quorum's conversation."""
        if self.role == "recovering":
            return
        match message:
            case Fetch():
                self._on_fetch(sender, message, ctx)
            case Fetched():
                self._on_fetched(message, ctx)
            case Synced():
                self._on_synced_message(message, ctx)
            case Vote():
                self._on_vote(sender, message, ctx)
            case Voted():
                self._on_voted(message, ctx)
            case BeginEpoch():
                self._on_begin_epoch(message, ctx)
            case EndEpoch():
                self._on_end_epoch(message, ctx)
            case PeerGone():
                self._on_peer_gone(message, ctx)
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        """Returns whether the timer was ours."""
        match timer:
            case ElectionTimer():
                self._on_election_timeout(ctx)
            case FetchTimer():
                self._asking = None
                self._fetch(ctx)
            case LeaderTimer():
                self._on_leader_timer(ctx)
            case ParkedTimer() if self._term is not None:
                self._term.answer(timer.voter, self.hw, ctx, anyway=True)
            case ParkedTimer():
                pass  # the term is over
            case CheckpointTimer():
                if self._copying is None or self._copying.cutting is None:
                    self._records.checkpoint(ctx.disk)
                ctx.set_timer(CheckpointTimer(), 1000)
            case _:
                return False
        return True

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        """More of the log, or our vote, is durable."""
        if self.log is None:
            return
        moved, loaded = self._records.synced(generation)
        if loaded:
            self._loaded(ctx)
        if self.role == "candidate" and self._persisted <= generation and self.id not in self._granted:
            self._granted.add(self.id)
            self._count_votes(ctx)
        if self._copying is not None:
            if self._copying.synced(generation) or self._unasked:
                self._fetch(ctx)
            elif moved and self._asking is not None and self.log.durable_end > self._told_durable:
                self._told_durable = self.log.durable_end
                part = SyncedPartition(METADATA, self.epoch, self.log.durable_end)
                self._say(self.leader, Synced(self.id, -1, self.config.directory_id, [part]), ctx)
        if moved and self._term is not None:
            self._advance_hw(ctx)

    # --- Roles ---

    def _become(self, role: Role, ctx: Context) -> None:
        """Leave a role behind with all that belongs to it."""
        if self._term is not None:
            self._term.refuse_all(ctx)
            ctx.cancel_timer(LeaderTimer())
        self._term = None
        self.epoch_start = -1
        if role not in ("following", "prospective"):
            self._copying = None
            self._asking = None
            ctx.cancel_timer(FetchTimer())
        self._granted = set()
        self.role = role

    def _persist(self, epoch: int, voted_for: int, ctx: Context) -> None:
        assert epoch >= self.epoch, f"epoch {epoch} after {self.epoch}"
        self.epoch, self.voted_for = epoch, voted_for
        state = QuorumState(epoch, voted_for, self.leader)
        self._persisted = quorum_state.write(ctx.disk, state)
        if bug("vote-before-durable"):
            self._persisted = Generation(0)

    def _unattach(self, epoch: int, ctx: Context, cause: str) -> None:
        """No known leader: wait for one to announce itself, or stand."""
        if self.role == "leading":
            ctx.emit(QuorumLeaderResigned(controller=self.id, epoch=self.epoch, cause=cause))
        self._become("unattached", ctx)
        self.leader = -1
        if epoch > self.epoch:
            self._persist(epoch, -1, ctx)
        self._reset_election(ctx)

    def _follow(self, epoch: int, leader: int, ctx: Context) -> None:
        if epoch < self.epoch or leader == self.id or leader not in self.voters:
            return
        if epoch == self.epoch and self.leader == leader and self.role in ("following", "prospective"):
            self._become("following", ctx)
            return
        if epoch == self.epoch and self.role == "leading":
            return
        assert self.log is not None
        self._become("following", ctx)
        self.leader = leader
        if epoch > self.epoch:
            self._persist(epoch, -1, ctx)
        self._suspect = False
        self._behind = False
        self._heard(ctx)
        self._copy(ctx)

    def _copy(self, ctx: Context) -> None:
        """Copy from where the log ends now."""
        assert self.log is not None
        lower = partial(self._records.point.lower_to, disk=ctx.disk)
        self._copying = Copying(METADATA, self.log, self.epoch, self.hw, lower)
        self._asking = None
        self._fetch(ctx)

    def _heard(self, ctx: Context) -> None:
        self._heard_at = ctx.now
        self._suspect = False
        self._pace.led(self.epoch)
        self._reset_election(ctx)

    def _reset_election(self, ctx: Context, *, soon: bool = False) -> None:
        """Stand if nothing is heard for a while; `soon`: when this voter's turn has come (`election_pace`)."""
        delay = self._pace.timeout(self.epoch, ctx.random)
        if len(self.voters) == 1 and self.role != "candidate":  # a candidate waits for its own vote to be durable
            delay = 0
        elif soon:
            others = sorted(voter for voter in self.voters if voter != self.leader)
            delay = self._pace.turn(others.index(self.id), ctx.random)
        ctx.set_timer(ElectionTimer(), delay)

    # --- Elections ---

    def _on_election_timeout(self, ctx: Context) -> None:
        if self.role == "leading" or self.id not in self.voters:
            return
        self._become("prospective", ctx)
        self._granted = {self.id}
        self._pace.asked()
        self._reset_election(ctx, soon=self._suspect)
        self._ask_votes(pre=True, ctx=ctx)
        self._count_votes(ctx)

    def _stand(self, ctx: Context) -> None:
        """Raise the epoch and ask for votes; our own counts once it is durable."""
        self._become("candidate", ctx)
        self.leader = -1
        self._persist(self.epoch + 1, self.id, ctx)
        self._reset_election(ctx)
        self._ask_votes(pre=False, ctx=ctx)
        if self._persisted <= ctx.disk.synced:
            self._granted.add(self.id)
            self._count_votes(ctx)

    def _ask_votes(self, *, pre: bool, ctx: Context) -> None:
        assert self.log is not None
        for number, voter in sorted(self.voters.items()):
            if number != self.id:
                vote = Vote(
                    self.config.cluster_id,
                    pre,
                    self.epoch,
                    self.id,
                    self.config.directory_id,
                    number,
                    voter.directory_id,
                    self._records.last_epoch,
                    self.log.end,
                )
                self._say(number, vote, ctx)

    def _on_vote(self, sender: Address, vote: Vote, ctx: Context) -> None:
        candidate = self.voters.get(vote.candidate)
        if (
            vote.cluster_id != self.config.cluster_id
            or candidate is None
            or candidate.directory_id != vote.directory_id
            or vote.voter != self.id
            or vote.voter_directory_id != self.config.directory_id
        ):
            return
        assert self.log is not None
        if not vote.pre and vote.epoch > self.epoch:
            self._unattach(vote.epoch, ctx, f"controller {vote.candidate} stands in epoch {vote.epoch}")
        current = (vote.last_epoch, vote.end) >= (self._records.last_epoch, self.log.end)
        if vote.pre:
            granted = vote.epoch >= self.epoch and current and not self._content(ctx)
        else:
            free = self.voted_for in (-1, vote.candidate) and (self.leader in (-1, vote.candidate))
            granted = vote.epoch == self.epoch and free and current and self.role != "leading"
            if granted and self.voted_for == -1:
                self._persist(self.epoch, vote.candidate, ctx)
            if granted:
                self._reset_election(ctx)
        reply = Voted(vote.pre, self.epoch, granted, self.id, self.config.directory_id, self.leader)
        ctx.send(sender, reply, after=None if vote.pre and granted else self._persisted)

    def _content(self, ctx: Context) -> bool:
        """Whether there is a leader that this voter has no reason to replace."""
        if self.role == "leading":
            return True
        return self.leader >= 0 and not self._suspect and ctx.now - self._heard_at < self.config.election_min_ms

    def _on_voted(self, reply: Voted, ctx: Context) -> None:
        voter = self.voters.get(reply.voter)
        if voter is None or voter.directory_id != reply.directory_id:
            return
        if reply.epoch > self.epoch:
            self._unattach(reply.epoch, ctx, f"controller {reply.voter} is in epoch {reply.epoch}")
        if reply.leader >= 0 and reply.epoch == self.epoch and not (self._suspect and reply.leader == self.leader):
            if self.leader != reply.leader:
                self._follow(reply.epoch, reply.leader, ctx)
            if self.role == "following":
                return
        wanted = "prospective" if reply.pre else "candidate"
        if reply.granted and self.role == wanted and (reply.pre or reply.epoch == self.epoch):
            self._granted.add(reply.voter)
            self._count_votes(ctx)

    def _count_votes(self, ctx: Context) -> None:
        if len(self._granted) * 2 <= len(self.voters):
            return
        if self.role == "prospective":
            self._stand(ctx)
        elif self.role == "candidate":
            self._lead(ctx)

    # --- Leading ---

    def _lead(self, ctx: Context) -> None:
        assert self.log is not None and self.role == "candidate"
        self._become("leading", ctx)
        self.leader = self.id
        self._pace.led(self.epoch)
        ctx.cancel_timer(ElectionTimer())
        self._term = QuorumTerm(self.config, self.log, self.epoch, self._persisted, ctx.now)
        self.epoch_start = self.log.end
        ctx.emit(QuorumLeaderElected(controller=self.id, epoch=self.epoch, cause="a majority of the voters chose it"))
        self.append(encode_records([LeaderChanged(self.epoch, self.id, sorted(self.voters))]), ctx)
        self._on_leader_timer(ctx)

    def _on_leader_timer(self, ctx: Context) -> None:
        term = self._term
        if term is None:
            return
        for voter in term.unaware(ctx.now):
            self._say(voter, BeginEpoch(self.config.cluster_id, self.epoch, self.id, self.config.directory_id), ctx)
        silent = term.silent(ctx.now)
        if silent:
            limit = self.config.election_min_ms * HEARD_TIMEOUT_FACTOR
            self._unattach(self.epoch, ctx, f"no fetch from controllers {silent} for {limit} ms")
            return
        ctx.set_timer(LeaderTimer(), self.config.retry_ms)

    def _advance_hw(self, ctx: Context) -> None:
        assert self._term is not None
        hw = self._term.high_watermark(self.hw)
        if hw > self.hw:
            self.hw = hw
            self._term.answer_all(hw, ctx)

    def _on_fetch(self, sender: Address, fetch: Fetch, ctx: Context) -> None:
        voter = self.voters.get(fetch.replica)
        if len(fetch.wanted) != 1 or voter is None or voter.directory_id != fetch.directory_id:
            return
        wanted = fetch.wanted[0]
        error = ErrorCode.NONE
        if wanted.leader_epoch < self.epoch:
            error = ErrorCode.FENCED_LEADER_EPOCH
        elif wanted.leader_epoch > self.epoch:
            error = ErrorCode.UNKNOWN_LEADER_EPOCH
        elif self._term is None:
            error = ErrorCode.NOT_LEADER_OR_FOLLOWER
        if error is not ErrorCode.NONE or self._term is None or wanted.partition != METADATA:
            part = FetchedPartition(METADATA, error, self.epoch, -1, -1, leader=self.leader)
            reply_to_fetch(sender, fetch, part, self._persisted, ctx)
        elif self._term.on_fetch(sender, fetch, self._records.base, ctx):
            self._advance_hw(ctx)
            self._term.park(fetch.replica, self.hw, ctx)

    def _on_synced_message(self, message: Synced, ctx: Context) -> None:
        voter = self.voters.get(message.replica)
        if self._term is None or voter is None or voter.directory_id != message.directory_id:
            return
        for part in message.partitions:
            if part.partition == METADATA and self._term.on_synced(message.replica, part, ctx.now):
                self._advance_hw(ctx)

    # --- Following ---

    def _fetch(self, ctx: Context) -> None:
        copying = self._copying
        if copying is None or self._asking is not None or self.leader < 0:
            return
        wanted = None if self._records.loading else copying.wanted()
        self._unasked = wanted is None
        if wanted is None:
            return  # until what was given up is gone for good
        wanted = replace(wanted, last_epoch=self._records.last_epoch)
        self._fetch_id += 1
        self._asking = self._fetch_id
        self._told_durable = wanted.durable
        fetch = Fetch(self._fetch_id, self.id, -1, self.config.directory_id, 0, 0, self.config.fetch_wait_ms, [wanted])
        self._say(self.leader, fetch, ctx)
        ctx.set_timer(FetchTimer(), self.config.fetch_wait_ms + self.config.retry_ms)

    def _on_fetched(self, answer: Fetched, ctx: Context) -> None:
        copying = self._copying
        if answer.id != self._asking or len(answer.partitions) != 1:
            return
        self._asking = None
        part = answer.partitions[0]
        if part.leader_epoch > self.epoch:
            if part.leader >= 0:
                self._follow(part.leader_epoch, part.leader, ctx)
            else:
                self._unattach(part.leader_epoch, ctx, "the leader is in a higher epoch")
            return
        if copying is None or part.leader_epoch != copying.epoch:
            return
        if part.error is ErrorCode.OFFSET_OUT_OF_RANGE:
            self._behind = True  # the owner will see to it; meanwhile both go on knowing of each other
            self._become("following", ctx)
            self._heard(ctx)
            ctx.set_timer(FetchTimer(), self.config.retry_ms)
            return
        if part.error is not ErrorCode.NONE:
            ctx.set_timer(FetchTimer(), self.config.retry_ms)
            return
        self._behind = False
        self._become("following", ctx)
        self._heard(ctx)
        if part.diverging is not None:
            assert self.log is not None
            copying.diverged(*part.diverging)
            cut = copying.cutting[1] if copying.cutting is not None else self.log.end
            assert cut >= self.hw, f"the leader wants a cut to {cut} below the high watermark {self.hw} (R8)"
        else:
            copying.take(part)
            self.hw = max(self.hw, copying.hw)
        self._fetch(ctx)

    def _on_begin_epoch(self, message: BeginEpoch, ctx: Context) -> None:
        voter = self.voters.get(message.leader)
        if message.cluster_id != self.config.cluster_id or voter is None:
            return
        if voter.directory_id != message.directory_id or message.epoch < self.epoch:
            return
        self._follow(message.epoch, message.leader, ctx)

    def _on_end_epoch(self, message: EndEpoch, ctx: Context) -> None:
        if message.cluster_id != self.config.cluster_id or message.epoch != self.epoch:
            return
        if message.leader != self.leader or self.role not in ("following", "prospective"):
            return
        self._unattach(self.epoch, ctx, "the leader stops")
        place = message.successors.index(self.id) if self.id in message.successors else len(self.voters)
        ctx.set_timer(ElectionTimer(), place * self.config.election_min_ms)

    def _on_peer_gone(self, message: PeerGone, ctx: Context) -> None:
        """The leader's socket is refused: do not wait to hear from it, ask for pre-votes, one after the other."""
        leader = self.voters.get(self.leader)
        if self.role not in ("following", "prospective") or leader is None or leader.endpoint != message.node:
            return
        self._suspect = True
        self._reset_election(ctx, soon=True)

    def _say(self, voter: int, message: Message, ctx: Context) -> None:
        to = address(self.voters[voter].endpoint, "controller")
        pre = isinstance(message, Vote) and message.pre
        ctx.send(to, message, after=None if pre else self._persisted)
