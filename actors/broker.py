"""The broker: it keeps logs, and knows nothing of what is in them.

The actor is a router. It finds the replica, calls it, and turns its answer into messages; the conversations live in
files of their own: `membership` (registration, heartbeats, lease), `metadata_follower` (what the cluster has decided),
`replicas` (the logs on disk), `fetcher` and `fetch_sessions` (replication, both halves), `isr_proposals`, `writes` and
`reads` (producers and consumers), `producer_ids`.

What it does when: it reads its logs, follows the metadata, registers, and serves nothing until it has applied metadata
past its own registration. From then on committed metadata alone says which partitions it leads or follows. It serves
as leader only while it holds its lease. When a log turns out damaged it reports that, and once the controller has taken
the replica out of ISR and ELR it sets the log aside and fetches anew; until then it serves nothing of it.
"""

from __future__ import annotations

from functools import partial

import msgspec

from ..storage.checkpoint import (
    CleanShutdown,
    read_clean_shutdown,
    remove_clean_shutdown,
    write_clean_shutdown,
)
from ..storage.disk import Generation
from ..storage.log import CorruptLog
from ..storage.records import InvalidBatch
from . import events
from .bugs import bug
from .copying import Copying
from .errors import ErrorCode
from .fetch_sessions import FetchSessions, HighWatermarkTimer, SessionTimer
from .fetcher import Fetcher, FetcherTimer
from .isr_proposals import IsrProposals, ProposalTimer
from .kernel import Actor, Address, Context, JobDone, Message, Millis, Payload, Timer, address
from .leading import Diverging
from .membership import HeartbeatTimer, Membership, RegisterTimer
from .messages import (
    METADATA,
    Consume,
    Describe,
    Fetch,
    Fetched,
    FetchedPartition,
    FetchLeadership,
    FetchPartition,
    FindOffsets,
    GiveProducerId,
    HeartbeatReply,
    MetadataRange,
    MetadataSnapshot,
    MetadataUpdate,
    Partition,
    PartitionsAltered,
    Produce,
    ProducerIdsReserved,
    Registered,
    ReportDamage,
    Synced,
)
from .metadata import MetadataImage
from .metadata_follower import MetadataFollower
from .metadata_service import describe, leadership
from .producer_ids import ProducerIds, ProducerIdTimer
from .reads import Reads, ReadTimer
from .replica import PartitionLeading, Replica
from .replicas import Replicas
from .writes import AckTimer, Writes


class BrokerConfig(msgspec.Struct, frozen=True):
    """Who this broker is, where the controllers are, and its times in milliseconds."""

    id: int
    cluster_id: str
    directory_id: str
    controllers: dict[int, str]
    broadcasts: dict[int, str] = {}
    rack: str = ""
    boot_id: str = ""  # of the machine: equal to the last life's means that the page cache survived
    heartbeat_ms: int = 250
    lease_ms: int = 2700
    replica_lag_ms: int = 5000
    fetch_wait_ms: int = 250
    fetch_retry_ms: int = 250
    grace_ms: int = 60_000  # before directories that no topic owns are removed
    stop_ms: int = 10_000  # a controlled shutdown that takes longer is given up


class HousekeepingTimer(Timer, frozen=True):
    """Once a second: checkpoints, in-sync replicas that lag."""


class StrangersTimer(Timer, frozen=True):
    """The grace period is over."""


class StopTimer(Timer, frozen=True):
    """Controlled shutdown takes too long."""


class AheadTimer(Timer, frozen=True):
    """A request that was ahead of this broker's metadata has waited long enough."""

    number: int


class Stop(Message, frozen=True):
    """Local: hand over leadership, then end (SIGTERM)."""


HOUSEKEEPING_MS = 1000
AHEAD_WAIT_MS = 100
MAX_AHEAD = 1000
"""Requests parked because they know a newer leader epoch; one more is answered UNKNOWN_LEADER_EPOCH at once."""


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
        )
        self.metadata = MetadataFollower(config.cluster_id, config.controllers)
        self.logs = Replicas()
        self.sessions: FetchSessions
        self.fetchers: dict[int, Fetcher] = {}
        self.proposals = IsrProposals(config.id, config.controllers)
        self.producer_ids = ProducerIds(config.id, config.controllers)
        self.reads: Reads
        self.writes: Writes
        self._fetch_id = 0
        self._unsynced: dict[Partition, None] = {}
        self._ahead: dict[int, tuple[Address, Message]] = {}
        self._ahead_number = 0
        self._clean_epoch = -1
        self._same_boot = False
        self._serving = False  # metadata is applied past the own registration
        self._stopped_at: Generation | None = None  # the last checkpoint of a controlled shutdown

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

    # --- Inputs ---

    def on_start(self, ctx: Context) -> None:
        marker = read_clean_shutdown(ctx.disk)
        if marker is not None:
            self._clean_epoch = marker.broker_epoch
            self._same_boot = bool(self.config.boot_id) and marker.boot_id == self.config.boot_id
            remove_clean_shutdown(ctx.disk)
        boot = _read_boot(ctx)
        self._same_boot = self._same_boot or (bool(self.config.boot_id) and boot == self.config.boot_id)
        ctx.disk.replace(BOOT_PATH, self.config.boot_id.encode())
        self.sessions = FetchSessions(partial(self._answer_fetch, ctx))
        self.reads = Reads(partial(self._find, ctx), partial(self._damaged, ctx))
        self.writes = Writes(partial(self._find, ctx), self._appended)
        self.logs.recover(clean=marker is not None, ctx=ctx)
        self.metadata.start(ctx)
        self._maybe_register(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Produce():
                if not self._park_if_ahead(sender, message, ctx):
                    self.writes.produce(sender, message, ctx)
            case Fetch():
                self._on_fetch(sender, message, ctx)
            case Fetched():
                self._on_fetched(sender, message, ctx)
            case Synced():
                self._on_synced_message(message, ctx)
            case Consume():
                if not self._park_if_ahead(sender, message, ctx):
                    self.reads.consume(sender, message, ctx)
            case MetadataUpdate():
                self._adopt(self.metadata.on_update(message, ctx), ctx)
            case MetadataRange():
                self._adopt(self.metadata.on_range(message, ctx), ctx)
            case MetadataSnapshot():
                self._adopt(self.metadata.on_snapshot(message, ctx), ctx)
            case HeartbeatReply():
                self.membership.on_reply(message, ctx)
                self._maybe_stopped(ctx)
            case PartitionsAltered():
                self._on_altered(message, ctx)
            case Registered():
                if self.membership.on_registered(message, ctx):
                    self._adopt(True, ctx)
            case FindOffsets():
                if not self._park_if_ahead(sender, message, ctx):
                    self.reads.find_offsets(sender, message, ctx)
            case FetchLeadership():
                active, broadcasts = self.membership.active, self.config.broadcasts
                ctx.send(sender, leadership(self.image, message, self.config, active, broadcasts))
            case Describe():
                ctx.send(sender, describe(self.image, message, self.config.cluster_id))
            case GiveProducerId():
                self.producer_ids.give(sender, message, self.membership.active, self.broker_epoch, ctx)
            case ProducerIdsReserved():
                self.producer_ids.reserved(message, ctx)
            case Stop():
                self._stop(ctx)
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        match timer:
            case FetcherTimer():
                fetcher = self.fetchers.get(timer.leader)
                if fetcher is not None:
                    fetcher.on_timer(ctx)
                    self._poll(fetcher, ctx)
            case SessionTimer():
                self.sessions.on_timer(timer.replica, ctx)
            case HighWatermarkTimer():
                self.sessions.on_hw_timer(ctx)
            case ReadTimer():
                self.reads.on_timer(timer.number, ctx)
            case AckTimer():
                self.writes.on_timer(ctx)
            case HeartbeatTimer():
                self.membership.heartbeat(self.image.end, ctx)
            case RegisterTimer():
                self.membership.on_register_timer(ctx)
            case ProposalTimer():
                self.proposals.on_timer(self.membership.active, self.broker_epoch, ctx)
            case ProducerIdTimer():
                self.producer_ids.on_timer(self.membership.active, self.broker_epoch, ctx)
            case HousekeepingTimer():
                self._housekeeping(ctx)
            case AheadTimer():
                self._let_go(timer.number, ctx)
            case StrangersTimer():
                self.logs.remove_strangers(self.image, ctx)
            case StopTimer():
                self._finish_stop(ctx)
            case _:
                self._adopt(self.metadata.on_timer(timer, ctx), ctx)

    def on_job(self, done: JobDone, ctx: Context) -> None:
        if self.logs.on_job(done):
            self._maybe_register(ctx)

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        moved: dict[int, list[Partition]] = {}
        for partition in list(self._unsynced):
            replica = self.replicas.get(partition)
            if replica is None:
                del self._unsynced[partition]
                continue
            cut = replica.copying is not None and replica.copying.synced(generation)
            changed = replica.log.synced(generation) or cut
            if replica.log.durable_end >= replica.log.end and not self._cutting(replica):
                del self._unsynced[partition]
            if not changed:
                continue
            if replica.leading is not None:
                self._advance(replica, ctx)
            elif replica.copying is not None:
                moved.setdefault(replica.leader, []).append(partition)
        for leader in sorted(moved):
            fetcher = self.fetchers.get(leader)
            if fetcher is not None:
                fetcher.tell_synced(self._broker_at(leader), self.broker_epoch, moved[leader], ctx)
                self._poll(fetcher, ctx)
        if self._stopped_at is not None and generation >= self._stopped_at:
            ctx.stop("controlled shutdown is complete")

    # --- Membership ---

    def _maybe_register(self, ctx: Context) -> None:
        """The logs are read and the metadata is known: ask for a place."""
        if self.membership.state != "recovering" or not self.logs.recovered or not self.metadata.caught_up:
            return
        claims = self.logs.claims(self.image)
        self.membership.register(claims, self._same_boot, self._clean_epoch, ctx)
        ctx.set_timer(HousekeepingTimer(), HOUSEKEEPING_MS)

    def _stop(self, ctx: Context) -> None:
        if self.membership.state != "running":
            self._finish_stop(ctx)
            return
        self.membership.stop()
        self.membership.heartbeat(self.image.end, ctx)
        ctx.set_timer(StopTimer(), self.config.stop_ms)

    def _maybe_stopped(self, ctx: Context) -> None:
        if self.membership.state == "stopping" and self.membership.may_stop:
            self._finish_stop(ctx)

    def _finish_stop(self, ctx: Context) -> None:
        if self._stopped_at is not None:
            return
        for partition in sorted(self.replicas):
            self.replicas[partition].log.close_clean()
        self.logs.checkpoint(ctx.disk)
        self._stopped_at = write_clean_shutdown(ctx.disk, CleanShutdown(self.broker_epoch, self.config.boot_id))

    # --- Metadata ---

    def _adopt(self, changed: bool, ctx: Context) -> None:
        """Committed metadata has moved (or this broker has just been registered): take on the roles that it gives."""
        if not changed:
            return
        if self.membership.state == "recovering":
            self._maybe_register(ctx)
            return
        if self.broker_epoch < 0 or self.image.end <= self.broker_epoch:
            return
        partitions = self.metadata.take_changed()
        if not self._serving:
            self._serving = True
            partitions = None
            self.membership.heartbeat(self.image.end, ctx)
            ctx.set_timer(StrangersTimer(), self.config.grace_ms)
        if partitions is None:
            partitions = sorted({*self.image.partitions, *self.replicas})
        for partition in partitions:
            self._reconcile(partition, ctx)
        for fetcher in list(self.fetchers.values()):
            if not fetcher.copies:
                del self.fetchers[fetcher.leader]
                continue
            self._poll(fetcher, ctx)
        self.proposals.poll(self.membership.active, self.broker_epoch, ctx)
        for number in list(self._ahead):
            self._let_go(number, ctx)

    def _reconcile(self, partition: Partition, ctx: Context) -> None:
        state = self.image.partitions.get(partition)
        if state is None or self.me not in state.replicas:
            replica = self.replicas.get(partition)
            if replica is not None:
                self._leave_role(replica, ctx)
                self.logs.delete(partition, ctx)
                self.sessions.appended(partition, ctx)
                self.reads.committed(partition, ctx)
            return
        replica = self.logs.ensure(state, self.image, ctx)
        if replica.damaged:
            if self.me in state.isr or self.me in state.elr:
                self._report_damage(replica, ctx)
                return
            replica = self._replace_damaged(replica, ctx)
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
            self._advance(replica, ctx)
        elif state.leader >= 0:
            copying = replica.follow(state, partial(self._lower, replica, ctx))
            if copying.cutting is not None:
                self._unsynced[partition] = None
            self._fetcher(state.leader).add(copying)
        else:
            replica.wait(state)
        self.sessions.appended(partition, ctx)
        self.reads.committed(partition, ctx)

    def _commit_isr(self, replica: Replica, ctx: Context) -> None:
        leading = replica.leading
        state = self.image.partitions[replica.partition]
        if leading is None:
            return
        if leading.commit(state.isr, state.partition_epoch, replica.min_insync):
            self.proposals.settle(replica.partition)
            self._isr_changed(replica, leading, ctx)
        elif leading.min_insync != replica.min_insync:
            leading.min_insync = replica.min_insync
            self._advance(replica, ctx)

    def _isr_changed(self, replica: Replica, leading: PartitionLeading, ctx: Context) -> None:
        if not leading.enough:
            self.writes.acks.refuse(replica.partition, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, ctx)
        self._advance(replica, ctx)

    def _leave_role(self, replica: Replica, ctx: Context) -> None:
        """Leave leadership or following behind; whoever waits is told where to go."""
        partition = replica.partition
        state = self.image.partitions.get(partition)
        if replica.leading is not None:
            self.proposals.settle(partition)
            leader, epoch = (-1, -1) if state is None else (state.leader, state.leader_epoch)
            self.writes.acks.refuse(partition, ErrorCode.NOT_LEADER_OR_FOLLOWER, ctx, leader, epoch)
        elif replica.copying is not None:
            fetcher = self.fetchers.get(replica.leader)
            if fetcher is not None:
                fetcher.remove(partition)

    # --- Serving ---

    def _find(self, ctx: Context, partition: Partition, leader_epoch: int) -> Replica | ErrorCode:
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

    def _park_if_ahead(self, sender: Address, message: Produce | Consume | FindOffsets, ctx: Context) -> bool:
        """Leadership is pushed to clients too: one that is ahead waits a moment for our metadata to arrive."""
        if isinstance(message, Produce):
            asked = [(batch.partition, batch.leader_epoch) for batch in message.batches]
        elif isinstance(message, Consume):
            asked = [(part.partition, part.leader_epoch) for part in message.partitions]
        else:
            asked = [(query.partition, query.leader_epoch) for query in message.queries]
        for partition, epoch in asked:
            state = self.image.partitions.get(partition)
            if (state is None or epoch > state.leader_epoch) and epoch >= 0 and len(self._ahead) < MAX_AHEAD:
                self._ahead_number += 1
                self._ahead[self._ahead_number] = (sender, message)
                ctx.set_timer(AheadTimer(self._ahead_number), AHEAD_WAIT_MS)
                self.metadata.refresh(ctx)
                return True
        return False

    def _let_go(self, number: int, ctx: Context) -> None:
        parked = self._ahead.pop(number, None)
        if parked is None:
            return
        ctx.cancel_timer(AheadTimer(number))
        sender, message = parked
        if isinstance(message, Produce):
            self.writes.produce(sender, message, ctx)
        elif isinstance(message, Consume):
            self.reads.consume(sender, message, ctx)
        elif isinstance(message, FindOffsets):
            self.reads.find_offsets(sender, message, ctx)

    def _appended(self, replica: Replica, ctx: Context) -> None:
        self._unsynced[replica.partition] = None
        self.sessions.appended(replica.partition, ctx)
        self._advance(replica, ctx)

    def _advance(self, replica: Replica, ctx: Context) -> None:
        """Recompute the high watermark, and let go of whoever waited for it."""
        leading = replica.leading
        if leading is None:
            return
        hw = leading.high_watermark(replica.hw)
        if hw > replica.hw:
            replica.hw = hw
            self.sessions.hw_moved(replica.partition, ctx)
            self.reads.committed(replica.partition, ctx)
        if leading.enough and (self.membership.holds_lease(ctx.now) or bug("no-lease")):
            self.writes.acks.release(replica.partition, replica.hw, leading.epoch, replica.log.start, ctx)

    # --- Replication: the leader's half ---

    def _on_fetch(self, sender: Address, fetch: Fetch, ctx: Context) -> None:
        follower = self.image.brokers.get(fetch.replica)
        error = ErrorCode.NONE
        if follower is None or fetch.broker_epoch > follower.epoch:
            error = ErrorCode.UNKNOWN_LEADER_EPOCH  # it knows more of the cluster than we do
        elif fetch.broker_epoch < follower.epoch:
            error = ErrorCode.STALE_BROKER_EPOCH
        if error is not ErrorCode.NONE and not bug("any-broker-epoch"):
            ctx.send(sender, Fetched(fetch.id, error, 0, 0, []))
            return
        if self.sessions.request(sender, fetch, ctx) is None:
            return
        for wanted in fetch.wanted:
            replica = self.replicas.get(wanted.partition)
            leading = None if replica is None else replica.leading
            if replica is None or leading is None:
                continue
            if wanted.leader_epoch != leading.epoch and not bug("fetch-without-epoch"):
                continue
            if leading.check(wanted) is None or bug("divergence-is-progress"):
                leading.fetched(fetch.replica, fetch.broker_epoch, wanted, ctx.now)
                self._advance(replica, ctx)
                self._consider(replica, leading, fetch.replica, ctx)
        for partition in self.sessions.listed(fetch.replica):
            leading = self._leading(partition)
            if leading is not None and fetch.replica in leading.followers:
                leading.touch(fetch.replica, ctx.now)
        self.sessions.park(fetch.replica, ctx)
        self.proposals.poll(self.membership.active, self.broker_epoch, ctx)

    def _answer_fetch(self, ctx: Context, wanted: FetchPartition, left: int) -> FetchedPartition | None:
        """What to tell a follower of one partition: None if nothing is new to it."""
        partition = wanted.partition
        replica = self.replicas.get(partition)
        error = ErrorCode.NONE
        if replica is None or replica.damaged:
            error = ErrorCode.NOT_LEADER_OR_FOLLOWER
        elif wanted.leader_epoch < replica.leader_epoch:
            error = ErrorCode.FENCED_LEADER_EPOCH
        elif wanted.leader_epoch > replica.leader_epoch:
            error = ErrorCode.UNKNOWN_LEADER_EPOCH
        elif replica.leading is None:
            error = ErrorCode.NOT_LEADER_OR_FOLLOWER
        if replica is None or error is not ErrorCode.NONE:
            return FetchedPartition(partition, error, -1 if replica is None else replica.leader_epoch, -1, -1)
        leading, log = replica.leading, replica.log
        assert leading is not None
        verdict = leading.check(wanted)
        if isinstance(verdict, ErrorCode):
            return FetchedPartition(partition, verdict, leading.epoch, -1, log.start)
        if isinstance(verdict, Diverging):
            point = (verdict.epoch, verdict.end)
            return FetchedPartition(partition, ErrorCode.NONE, leading.epoch, -1, log.start, diverging=point)
        records = None
        if log.end > wanted.offset and left > 0:
            try:
                records = Payload(log.read(wanted.offset, left, limit=log.end))
            except CorruptLog as problem:
                self._damaged(ctx, replica, str(problem))
                return FetchedPartition(partition, ErrorCode.KAFKA_STORAGE_ERROR, leading.epoch, -1, -1)
        if records is None and wanted.hw >= replica.hw:
            return None
        return FetchedPartition(partition, ErrorCode.NONE, leading.epoch, replica.hw, log.start, records=records)

    def _on_synced_message(self, message: Synced, ctx: Context) -> None:
        for part in message.partitions:
            replica = self.replicas.get(part.partition)
            leading = None if replica is None else replica.leading
            if replica is None or leading is None or part.leader_epoch != leading.epoch:
                continue
            if leading.synced(message.replica, message.broker_epoch, part.durable, ctx.now):
                self._advance(replica, ctx)
                self._consider(replica, leading, message.replica, ctx)
        self.proposals.poll(self.membership.active, self.broker_epoch, ctx)

    def _consider(self, replica: Replica, leading: PartitionLeading, follower: int, ctx: Context) -> None:
        change = leading.propose_join(follower, replica.hw, self._eligible)
        if change is not None:
            self.proposals.propose(change)

    def _eligible(self, broker: int) -> int | None:
        """The broker epoch of a broker that may be in sync, or None (KIP-841, KIP-903)."""
        state = self.image.brokers.get(broker)
        return None if state is None or not self.image.may_lead(broker) else state.epoch

    def _on_altered(self, answer: PartitionsAltered, ctx: Context) -> None:
        if not self.proposals.answered(answer.id, ctx):
            return
        if answer.error is not ErrorCode.NONE:
            if answer.leader >= 0:
                self.membership.active = answer.leader
            ctx.set_timer(ProposalTimer(), 50)
            return
        for result in answer.results:
            leading = self._leading(result.partition)
            self.proposals.settle(result.partition)
            if leading is None or result.leader_epoch not in (leading.epoch, -1):
                continue
            if result.error is ErrorCode.NONE:
                replica = self.replicas[result.partition]
                if leading.commit(result.isr, result.partition_epoch, leading.min_insync):
                    self._isr_changed(replica, leading, ctx)
            elif leading.proposal is not None and leading.proposal.partition_epoch >= result.partition_epoch:
                leading.proposal = None
        self.proposals.poll(self.membership.active, self.broker_epoch, ctx)

    def _leading(self, partition: Partition) -> PartitionLeading | None:
        replica = self.replicas.get(partition)
        return None if replica is None else replica.leading

    # --- Replication: the follower's half ---

    def _fetcher(self, leader: int) -> Fetcher:
        fetcher = self.fetchers.get(leader)
        if fetcher is None:
            config = self.config
            fetcher = Fetcher(self.me, config.directory_id, leader, config.fetch_wait_ms, config.fetch_retry_ms)
            self.fetchers[leader] = fetcher
        return fetcher

    def _broker_at(self, broker: int) -> Address:
        return address(self.image.brokers[broker].endpoint, "broker")

    def _poll(self, fetcher: Fetcher, ctx: Context) -> None:
        self._fetch_id += 1
        fetcher.poll(self._broker_at(fetcher.leader), self.broker_epoch, self._fetch_id, ctx)

    def _on_fetched(self, sender: Address, answer: Fetched, ctx: Context) -> None:
        for fetcher in list(self.fetchers.values()):
            if self._broker_at(fetcher.leader) != sender:
                continue
            for part in fetcher.answered(answer, ctx):
                self._take(fetcher, part, ctx)
            self._poll(fetcher, ctx)

    def _take(self, fetcher: Fetcher, part: FetchedPartition, ctx: Context) -> None:
        """One partition of an answer."""
        replica = self.replicas.get(part.partition)
        copying = None if replica is None else replica.copying
        if replica is None or copying is None or copying.cutting is not None:
            return
        if part.leader_epoch != copying.epoch and not bug("answers-of-other-epochs"):
            fetcher.dropped(part.partition, ctx, rest=True)
            return
        if part.error is ErrorCode.OFFSET_OUT_OF_RANGE:
            copying.reset(part.log_start)
            fetcher.dropped(part.partition, ctx, rest=False)
        elif part.error is not ErrorCode.NONE:
            fetcher.dropped(part.partition, ctx, rest=True)
        elif part.diverging is not None:
            if bug("hw-before-truncation"):
                copying.hw = min(part.hw, copying.log.end)
            copying.diverged(*part.diverging)
            self._tell_truncation(replica, copying, ctx)
            fetcher.dropped(part.partition, ctx, rest=False)
        else:
            try:
                copying.take(part)
            except InvalidBatch as error:
                ctx.emit(
                    events.BadRecords(
                        broker=self.me,
                        partition=self.image.name(part.partition),
                        leader=fetcher.leader,
                        cause=str(error),
                    )
                )
                fetcher.dropped(part.partition, ctx, rest=True)
                return
            fetcher.change(part.partition)
        self._unsynced[part.partition] = None

    def _tell_truncation(self, replica: Replica, copying: Copying, ctx: Context) -> None:
        if copying.truncated > 0:
            ctx.emit(
                events.Truncated(
                    broker=self.me,
                    partition=self.image.name(replica.partition),
                    records=copying.truncated,
                    cause=f"its log parts from that of broker {replica.leader}, the leader of epoch {copying.epoch}",
                )
            )

    def _lower(self, replica: Replica, ctx: Context, offset: int) -> Generation | None:
        return self.logs.lower(replica, offset, ctx.disk)

    def _cutting(self, replica: Replica) -> bool:
        return replica.copying is not None and replica.copying.cutting is not None

    # --- Damage ---

    def _damaged(self, ctx: Context, replica: Replica, why: str) -> None:
        """Bytes on disk are not what was written: serve nothing of this log any more, and say so (D19)."""
        if replica.damaged:
            return
        replica.damaged = why
        ctx.emit(events.LogDamaged(broker=self.me, partition=self.image.name(replica.partition), cause=why))
        self.writes.acks.refuse(replica.partition, ErrorCode.KAFKA_STORAGE_ERROR, ctx)
        self._report_damage(replica, ctx)

    def _report_damage(self, replica: Replica, ctx: Context) -> None:
        active = self.config.controllers.get(self.membership.active)
        if active is not None:
            report = ReportDamage(self.me, self.broker_epoch, [replica.partition])
            ctx.send(address(active, "controller"), report)

    def _replace_damaged(self, replica: Replica, ctx: Context) -> Replica:
        """The cluster does not count on this copy any more: set it aside and begin again from the leader."""
        self._leave_role(replica, ctx)
        name = self.logs.quarantine(replica.partition, ctx)
        ctx.emit(
            events.LogQuarantined(
                broker=self.me, partition=self.image.name(replica.partition), directory=name, cause=replica.damaged
            )
        )
        return self.logs.ensure(self.image.partitions[replica.partition], self.image, ctx)

    # --- Once a second ---

    def _housekeeping(self, ctx: Context) -> None:
        ctx.set_timer(HousekeepingTimer(), HOUSEKEEPING_MS)
        if self._stopped_at is None:
            self.logs.checkpoint(ctx.disk)
        for partition in sorted(self.replicas):
            replica = self.replicas[partition]
            if replica.damaged:
                state = self.image.partitions.get(partition)
                if state is not None and self._serving:
                    self._reconcile(partition, ctx)
                continue
            leading = replica.leading
            if leading is None:
                continue
            change = leading.propose_leave(ctx.now, self.config.replica_lag_ms, self._eligible)
            if change is not None:
                self.proposals.propose(change)
        self.proposals.poll(self.membership.active, self.broker_epoch, ctx)


BOOT_PATH = "boot-id"


def _read_boot(ctx: Context) -> str:
    """The machine's boot id of the life before this one; empty if there was none."""
    size = ctx.disk.size(BOOT_PATH)
    return "" if size is None else ctx.disk.read(BOOT_PATH, 0, size).decode("ascii", "replace")


