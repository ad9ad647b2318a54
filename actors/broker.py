"""The broker: it keeps logs, and knows nothing of what is in them.

The actor is a router. It finds the replica, calls it, and turns its answer into messages; the conversations live in
files of their own: `membership` (registration, heartbeats, lease), `metadata_follower` (what the cluster has decided),
`replicas` (the logs on disk), `fetcher` and `fetch_sessions` (replication, both halves), `isr_proposals`, `writes` and
`reads` (producers and consumers), `producer_ids`, `coordinator_lookup` and `coordinator_logs` (for the coordinators of
groups, which are actors of their own in the same node).

What it does when: it reads its logs, follows the metadata, registers, and serves nothing until it has applied metadata
past its own registration. From then on committed metadata alone says which partitions it leads or follows. It serves
as leader only while it holds its lease. When a log turns out damaged it reports that, and once the controller has taken
the replica out of ISR and ELR it sets the log aside and fetches anew; until then it serves nothing of it.
"""

from __future__ import annotations

from functools import partial

import msgspec

from ..storage.checkpoint import read_clean_shutdown, remove_clean_shutdown
from ..storage.disk import Generation
from . import broker_events as events
from . import lives
from .ahead import Ahead, AheadTimer, Request, asked_for
from .bugs import bug
from .cleaner import Cleaner, CleanerTimer
from .coordinator_log_messages import AppendRecords
from .coordinator_logs import CoordinatorLogs
from .coordinator_lookup import CoordinatorLookup, InternalTopicTimer, LookupTimer, refusal
from .damage import Damage
from .delete_records import DeletionTimer, RecordDeletion
from .errors import ErrorCode
from .fetch_sessions import HighWatermarkTimer, SessionTimer
from .fetcher import FetcherTimer, RestTimer
from .fetchers import Fetchers
from .followers import Followers
from .in_sync import InSync
from .isr_proposals import IsrProposals, ProposalTimer
from .kernel import Actor, Address, Context, JobDone, Message, Timer
from .measuring import Measuring
from .membership import HeartbeatTimer, Membership, RegisterTimer
from .messages import (
    Consume,
    DeleteRecords,
    Describe,
    DescribeConfigs,
    DescribeLogs,
    Fetch,
    Fetched,
    FetchLeadership,
    FindCoordinator,
    FindEpochEnds,
    FindOffsets,
    GiveProducerId,
    HeartbeatReply,
    InternalTopicCreated,
    ListReassignments,
    Measure,
    MetadataRange,
    MetadataSnapshot,
    MetadataUpdate,
    Partition,
    PartitionsAltered,
    PeerGone,
    Produce,
    ProducerIdsReserved,
    Registered,
    Synced,
)
from .metadata import MetadataImage
from .metadata_follower import MetadataFollower
from .pending_roles import PendingRoles, RolesTimer
from .producer_id_pool import ProducerIdPool, ProducerIdTimer
from .questions import Questions
from .reads import Reads, ReadTimer
from .replica import PartitionLeading, Replica
from .replicas import Replicas
from .retention import Retention
from .stopping import Stopping, StopTimer
from .writes import AckTimer, Writes


class BrokerConfig(msgspec.Struct, frozen=True):
    """Who this broker is, where the controllers are, and its times in milliseconds."""

    id: int
    cluster_id: str
    directory_id: str
    controllers: dict[int, str]
    broadcasts: tuple[str, ...] = ()  # endpoints of the controllers' PUB sockets
    rack: str = ""
    listeners: dict[str, str] = {}  # where other protocols are spoken, as advertised: name -> "HOST:PORT"
    boot_id: str = ""  # of the machine: equal to the last life's means that the page cache survived
    heartbeat_ms: int = 250
    lease_ms: int = 2700
    replica_lag_ms: int = 5000
    fetch_wait_ms: int = 250
    fetch_retry_ms: int = 250
    grace_ms: int = 60_000  # before directories that no topic owns are removed
    stop_ms: int = 10_000  # a controlled shutdown that takes longer is given up
    roles_at_once: int = 10  # taken on before anybody else is heard: up to a millisecond each, more on a busy disk
    coordinators: tuple[str, ...] = ()  # the coordinators that live in the same node, by the names of their actors


class HousekeepingTimer(Timer, frozen=True):
    """Once a second: checkpoints, in-sync replicas that lag."""


class StrangersTimer(Timer, frozen=True):
    """The grace period is over."""


class Stop(Message, frozen=True):
    """Local: hand over leadership, then end (SIGTERM)."""


HOUSEKEEPING_MS = 1000


class Broker(Actor):
    """See the module's essay."""

    def __init__(self, config: BrokerConfig) -> None:
        self.config = config
        self.me = config.id
        self.membership = Membership(
            config.id,
            config.cluster_id,
            config.directory_id,
            config.rack,
            config.controllers,
            config.heartbeat_ms,
            config.lease_ms,
            config.listeners,
        )
        self.metadata = MetadataFollower(config.cluster_id, config.controllers)
        self.logs = Replicas()
        self.damage = Damage(
            config.id, config.controllers, self.logs, self.membership, lambda: self.image, lambda: self.writes
        )
        self.proposals = IsrProposals(config.id, config.controllers)
        self.followers = Followers(
            self.logs.open, lambda: self.image, self.proposals, self._advance, self.damage.found, config.replica_lag_ms
        )
        self.in_sync = InSync(
            *(self.logs.open, self.proposals, self.followers, self.membership),
            *(lambda: self.image, self._isr_changed),
        )
        self.fetchers = Fetchers(
            config.id,
            config.directory_id,
            self.logs.open,
            lambda: self.image,
            config.fetch_wait_ms,
            config.fetch_retry_ms,
        )
        self.questions = Questions(
            config.id, config.cluster_id, config.controllers, config.broadcasts, lambda: self.image, self.logs.open
        )
        self.producer_ids = ProducerIdPool(config.id, config.controllers)
        self.reads = Reads(self._find, self._where, self.damage.found)
        self.writes = Writes(self._find, self._where, self._appended, self._advance)
        self.measuring = Measuring(config.id, self.logs.open, self.membership)
        self.lookup = CoordinatorLookup(config.id, config.controllers, self.membership, lambda: self.image)
        self.coordinators = CoordinatorLogs(self._find, lambda: self.image, self._appended, config.coordinators)
        self.retention = Retention(config.id, self.logs.open, lambda: self.image, self._start_moved)
        self.cleaner = Cleaner(config.id, self.logs.open, lambda: self.image, self._touched, self.damage.found)
        self.deletion = RecordDeletion(config.id, self._find, self._where, lambda: self.image, self._start_moved)
        self.stopping = Stopping(self.membership, self.logs, config.stop_ms)
        self._pending = PendingRoles(config.id, config.roles_at_once)
        self._unsynced: dict[Partition, None] = {}
        self._ahead = Ahead()
        self._same_boot = False
        self._life = (0, Generation(0))  # its number, and when that is durable
        self._serving = False  # metadata is applied past the own registration

    # --- What others may ask ---

    @property
    def image(self) -> MetadataImage:
        """The committed metadata as this broker has applied it."""
        return self.metadata.image

    @property
    def replicas(self) -> dict[Partition, Replica]:
        """The open replicas."""
        return self.logs.open

    @property
    def broker_epoch(self) -> int:
        """The offset of this life's registration; -1 before it."""
        return self.membership.broker_epoch

    @property
    def serving(self) -> bool:
        """Whether metadata is applied past this life's registration: before that its image says nothing."""
        return self._serving

    # --- Inputs ---

    def on_start(self, ctx: Context) -> None:
        marker = read_clean_shutdown(ctx.disk)
        if marker is not None:
            self.stopping.inherited = marker.broker_epoch
            remove_clean_shutdown(ctx.disk)
        self._same_boot = bool(self.config.boot_id) and _read_boot(ctx) == self.config.boot_id
        self._life = lives.begin(ctx.disk)
        self.logs.recover(clean=marker is not None, ctx=ctx)
        self.metadata.start(ctx)
        self._maybe_register(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        self._hear(sender, message, ctx)
        self._speak(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        self._wake(timer, ctx)
        self._speak(ctx)

    def _speak(self, ctx: Context) -> None:
        """Answer whoever waited for what has just happened, once for all of it."""
        self.followers.sessions.speak(ctx)
        self.writes.acks.speak(ctx)
        self.reads.speak(ctx)

    def _hear(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Produce() | Consume() | FindOffsets() | FindEpochEnds():
                if self._ahead.park(sender, message, self.image, ctx):
                    self.metadata.refresh(ctx)
                else:
                    self._serve(sender, message, ctx)
            case Fetch():
                self.followers.on_fetch(sender, message, ctx)
                self.in_sync.propose(ctx)
            case Fetched():
                self._unsynced.update(dict.fromkeys(self.fetchers.answered(sender, message, self.broker_epoch, ctx)))
            case Synced():
                self.followers.on_synced(message, ctx)
                self.in_sync.propose(ctx)
            case MetadataUpdate():
                self._adopt(self.metadata.on_update(message, ctx), ctx)
                self.membership.hear_of(self.metadata.active, ctx)
            case MetadataRange():
                self._adopt(self.metadata.on_range(message, ctx), ctx)
            case MetadataSnapshot():
                self._adopt(self.metadata.on_snapshot(message, ctx), ctx)
            case HeartbeatReply():
                self.membership.on_reply(message, ctx, self.metadata.epoch)
                self.coordinators.leased(self.membership.lease_until, ctx)
                self.stopping.maybe_finish(ctx)
            case PartitionsAltered():
                self.in_sync.on_altered(message, ctx)
            case Registered():
                if self.membership.on_registered(message, ctx):
                    # Only now: a life that never registered must not vouch for the one before it.
                    ctx.disk.replace(BOOT_PATH, self.config.boot_id.encode())
                    self._adopt(True, ctx)
            case AppendRecords():
                self.coordinators.append(sender, message, ctx)
            case FetchLeadership() | Describe() | DescribeConfigs() | ListReassignments() | DescribeLogs():
                self.questions.answer(sender, message, self._serving, ctx)
            case Measure():
                ctx.send(sender, self.measuring.answer(message, self.image, ctx))
            case FindCoordinator():
                if self._serving:
                    self.lookup.find(sender, message, ctx)
                else:
                    ctx.send(sender, refusal(message, ErrorCode.COORDINATOR_NOT_AVAILABLE, "this broker is starting"))
            case InternalTopicCreated():
                self.lookup.created(message, ctx)
            case DeleteRecords():
                self._settle(message, ctx)
                self.deletion.delete(sender, message, ctx)
            case GiveProducerId():
                self.producer_ids.give(sender, message, self.membership.active, self.broker_epoch, ctx)
            case ProducerIdsReserved():
                self.producer_ids.reserved(message, ctx)
            case PeerGone():
                self.metadata.on_peer_gone(message.node, ctx)
            case Stop():
                self.stopping.begin(self.image.end, ctx)
            case _:
                pass

    def _wake(self, timer: Timer, ctx: Context) -> None:
        match timer:
            case FetcherTimer() | RestTimer():
                self.fetchers.on_timer(timer, self.broker_epoch, ctx)
            case SessionTimer():
                self.followers.sessions.on_timer(timer.replica, ctx)
            case HighWatermarkTimer():
                self.followers.sessions.on_hw_timer(ctx)
            case ReadTimer():
                self.reads.on_timer(timer.number, ctx)
            case AckTimer():
                self.writes.on_timer(ctx)
            case CleanerTimer() if not self.stopping.closed:
                self.cleaner.on_timer(ctx)
            case DeletionTimer():
                self.deletion.on_timer(timer, ctx)
            case HeartbeatTimer():
                self.membership.heartbeat(self.image.end, ctx)
            case RegisterTimer():
                self.membership.on_register_timer(ctx)
            case ProposalTimer():
                self.in_sync.on_timer(ctx)
            case ProducerIdTimer():
                self.producer_ids.on_timer(self.membership.active, self.broker_epoch, ctx)
            case LookupTimer() | InternalTopicTimer():
                self.lookup.on_timer(timer, ctx)
            case HousekeepingTimer():
                self._housekeeping(ctx)
            case AheadTimer():
                self._serve_waiting(timer.number, ctx)
            case RolesTimer():
                self._take_on(ctx)
            case StrangersTimer() if self._pending:
                ctx.set_timer(StrangersTimer(), self.config.grace_ms)  # what is found may still be opened
            case StrangersTimer():
                self.logs.remove_strangers(self.image, ctx)
            case StopTimer():
                self.stopping.finish(ctx)
            case _:
                self._adopt(self.metadata.on_timer(timer, ctx), ctx)

    def on_job(self, done: JobDone, ctx: Context) -> None:
        if self.logs.on_job(done):
            self._maybe_register(ctx)
        elif self.cleaner.on_job(done, ctx):
            self._speak(ctx)

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        moved: dict[int, list[Partition]] = {}
        for partition in list(self._unsynced):
            replica = self.replicas.get(partition)
            if replica is None:
                del self._unsynced[partition]
                continue
            copying = replica.copying
            cut = cutting = False
            if copying is not None and copying.cutting is not None:
                cut = copying.synced(generation)
                cutting = copying.cutting is not None
            changed = replica.log.synced(generation) or cut
            if replica.log.settled and not cutting:
                del self._unsynced[partition]
            if not changed:
                continue
            if replica.leading is not None:
                self._advance(replica, ctx)
            elif copying is not None:
                moved.setdefault(replica.leader, []).append(partition)
        self.fetchers.synced(moved, self.broker_epoch, ctx)
        self.cleaner.synced(ctx)
        self.stopping.synced(generation, ctx)
        self._speak(ctx)

    # --- Membership ---

    def _maybe_register(self, ctx: Context) -> None:
        """The logs are read: ask for a place."""
        if self.membership.state != "recovering" or not self.logs.recovered:
            return
        claims, nameless = self.logs.claims(ctx.disk)
        life, after = self._life
        self.membership.register(claims, nameless, self._same_boot, self.stopping.inherited, ctx, life, after)
        ctx.set_timer(HousekeepingTimer(), HOUSEKEEPING_MS)

    # --- Metadata ---

    def _adopt(self, changed: bool, ctx: Context) -> None:
        """Committed metadata has moved (or this broker has just been registered): take on the roles that it gives."""
        if not changed:
            return
        if self.broker_epoch < 0 or self.image.end <= self.broker_epoch:
            return
        partitions = self.metadata.take_changed()
        if not self._serving:
            self._serving = True
            partitions = None
            self.membership.heartbeat(self.image.end, ctx)
            ctx.set_timer(StrangersTimer(), self.config.grace_ms)
            self.cleaner.start(ctx)
        self.coordinators.adopted(partitions, ctx)
        if partitions is None:
            partitions = sorted({*self.image.partitions, *self.replicas})
        self._pending.add(partitions, self.image)
        if self.membership.fenced and self.image.may_lead(self.me):
            self.membership.heartbeat(self.image.end, ctx)  # just unfenced: it may be made leader before the next one
        self.lookup.adopted(ctx)
        self._take_on(ctx)
        self._serve_waiting(None, ctx)

    def _take_on(self, ctx: Context) -> None:
        """Take on some of the roles that wait, and go on later: whoever has sent something is heard between."""
        partitions = self._pending.take()
        for partition in partitions:
            self._reconcile(partition, ctx)
        if self._pending:
            ctx.set_timer(RolesTimer(), 1)  # not 0: that would be before anybody is heard
        self._speak(ctx)
        self.fetchers.poll(self.broker_epoch, ctx)
        self.in_sync.consider(partitions, ctx)

    def _reconcile(self, partition: Partition, ctx: Context) -> None:
        state = self.image.partitions.get(partition)
        if state is None or self.me not in state.replicas:
            replica = self.replicas.get(partition)
            if replica is not None:
                self._leave_role(replica, ctx)
                self.logs.delete(partition, ctx)
                self.followers.sessions.appended(partition)
                self.reads.committed(partition)
            return
        replica = self.logs.ensure(state, self.image, ctx)
        self._unsynced[partition] = None  # what an earlier life wrote may be no further than the page cache
        if replica.damaged:
            if self.damage.counts(replica, state):
                self.damage.report(replica, ctx)
                return
            self._leave_role(replica, ctx)
            replica = self.damage.replace(replica, ctx)
        if state.leader_epoch < replica.leader_epoch:
            return
        if state.leader_epoch == replica.leader_epoch and replica.leader == state.leader:
            self._commit_isr(replica, ctx)
            return
        self._leave_role(replica, ctx)
        if state.leader == self.me:
            replica.lead(self.me, state, ctx.now)
            ctx.emit(
                events.BecameLeader(
                    broker=self.me,
                    partition=self.image.name(partition),
                    epoch=state.leader_epoch,
                    end=replica.log.end,
                    hw=replica.hw,
                    cause="the controller chose it",
                )
            )
            self.coordinators.began(replica, ctx)
            self._advance(replica, ctx)
        elif state.leader >= 0:
            copying = replica.follow(state, partial(self._lower, replica, ctx))
            self.fetchers.follow(state.leader, copying)
        else:
            replica.wait(state)
        self.followers.sessions.appended(partition)
        self.reads.committed(partition)

    def _commit_isr(self, replica: Replica, ctx: Context) -> None:
        leading = replica.leading
        if leading is None:
            return
        before = leading.min_insync
        news = self.in_sync.committed(replica, self.image.partitions[replica.partition], ctx)
        if not news and leading.min_insync != before:  # the topic was altered
            self._advance(replica, ctx)

    def _isr_changed(self, replica: Replica, leading: PartitionLeading, ctx: Context) -> None:
        if not leading.enough:
            self.writes.acks.refuse(replica.partition, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
        self._advance(replica, ctx)

    def _leave_role(self, replica: Replica, ctx: Context) -> None:
        """Leave leadership or following behind; whoever waits is told where to go."""
        partition = replica.partition
        state = self.image.partitions.get(partition)
        if replica.leading is not None:
            self.coordinators.ended(partition, ctx)
            self.proposals.settle(partition)
            leader, epoch = (-1, -1) if state is None else (state.leader, state.leader_epoch)
            self.writes.acks.refuse(partition, ErrorCode.NOT_LEADER_OR_FOLLOWER, leader, epoch)
            self.deletion.refuse(partition, ctx)
        elif replica.copying is not None:
            self.fetchers.leave(replica.leader, partition)

    # --- Serving ---

    def _find(self, partition: Partition, leader_epoch: int, ctx: Context) -> Replica | ErrorCode:
        """The replica that may serve a request as leader now, or why not (D1, D4)."""
        replica = self.replicas.get(partition)
        if replica is None:
            known = partition in self.image.partitions
            return ErrorCode.NOT_LEADER_OR_FOLLOWER if known else ErrorCode.UNKNOWN_TOPIC_ID
        if leader_epoch >= 0 and leader_epoch != replica.leader_epoch:
            behind = leader_epoch < replica.leader_epoch
            return ErrorCode.FENCED_LEADER_EPOCH if behind else ErrorCode.UNKNOWN_LEADER_EPOCH
        if replica.leading is None or replica.damaged:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        if not self.membership.holds_lease(ctx.now) and not bug("no-lease"):
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        return replica

    def _where(self, partition: Partition) -> tuple[int, int]:
        """Who leads, and in which epoch, as far as this broker knows: for whoever asked the wrong one (KIP-951)."""
        state = self.image.partitions.get(partition)
        return (-1, -1) if state is None else (state.leader, state.leader_epoch)

    def _settle(self, request: Request | DeleteRecords, ctx: Context) -> None:
        """Take on the roles that wait of the partitions that a request names, before anything is done for it."""
        if not self._pending:
            return
        waited = [partition for partition, _ in asked_for(request) if self._pending.settle(partition)]
        for partition in waited:
            self._reconcile(partition, ctx)
        if waited:
            self.fetchers.poll(self.broker_epoch, ctx)

    def _serve(self, sender: Address, request: Request, ctx: Context) -> None:
        self._settle(request, ctx)
        match request:
            case Produce():
                self.writes.produce(sender, request, ctx)
            case Consume():
                self.reads.consume(sender, request, ctx)
            case FindOffsets():
                self.reads.find_offsets(sender, request, ctx)
            case FindEpochEnds():
                self.reads.find_epoch_ends(sender, request, ctx)

    def _serve_waiting(self, number: int | None, ctx: Context) -> None:
        for sender, request in self._ahead.take(number, ctx):
            self._serve(sender, request, ctx)

    def _appended(self, replica: Replica, ctx: Context) -> None:
        self._unsynced[replica.partition] = None
        leading = replica.leading
        if leading is not None:
            leading.grew(ctx.now)
            if replica.log.lazy or leading.held:
                self._advance(replica, ctx)  # otherwise nothing counts before a disk or a follower has said so
        self.followers.sessions.appended(replica.partition)
        self.retention.appended(replica, ctx)

    def _touched(self, replica: Replica) -> None:
        """Its log waits for a flush."""
        self._unsynced[replica.partition] = None

    def _start_moved(self, replica: Replica, ctx: Context) -> None:
        """A leader's log begins later now: followers must hear of it, and the disk has to do."""
        self._unsynced[replica.partition] = None
        self.followers.sessions.hw_moved(replica.partition, ctx)

    def _advance(self, replica: Replica, ctx: Context) -> None:
        """Recompute the high watermark, and let go of whoever waited for it."""
        leading = replica.leading
        if leading is None:
            return
        hw = leading.high_watermark(replica.hw)
        if hw > replica.hw:
            replica.hw = hw
            self.followers.sessions.hw_moved(replica.partition, ctx)
            self.reads.committed(replica.partition)
        self.coordinators.committed(replica, ctx)
        self.deletion.progressed(replica, ctx)
        leading.held = not (leading.enough and (self.membership.holds_lease(ctx.now) or bug("no-lease")))
        if not leading.held:
            self.writes.acks.release(replica.partition, replica.hw, leading.epoch, replica.log.start)

    def _lower(self, replica: Replica, ctx: Context, offset: int) -> Generation | None:
        return self.logs.lower(replica, offset, ctx.disk)

    # --- Once a second ---

    def _housekeeping(self, ctx: Context) -> None:
        ctx.set_timer(HousekeepingTimer(), HOUSEKEEPING_MS)
        if not self.stopping.closed:
            self.logs.checkpoint_some(ctx.disk)
        for replica in list(self.replicas.values()):
            if replica.damaged:
                if replica.partition in self.image.partitions and self._serving:
                    self._reconcile(replica.partition, ctx)
            elif replica.leading is not None:
                self.in_sync.review(replica, replica.leading, self.config.replica_lag_ms, ctx)
        self.in_sync.propose(ctx)
        if not self.stopping.closed:
            self.retention.tick(ctx)


BOOT_PATH = "boot-id"


def _read_boot(ctx: Context) -> str:
    """The machine's boot id of the last life that was registered; empty if there was none."""
    size = ctx.disk.size(BOOT_PATH)
    return "" if size is None else ctx.disk.read(BOOT_PATH, 0, size).decode("ascii", "replace")
