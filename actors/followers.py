"""The leader's half of replication at a broker: followers' fetches, their progress, and who may join.

A fetch is honoured only from the broker's present life, as far as this broker's metadata knows (CVE-2018-1288,
KIP-903), and counts as progress only in the leader epoch that it names.
"""

from __future__ import annotations

from collections.abc import Callable

from ..storage.log import CorruptLog
from .bugs import bug
from .errors import ErrorCode
from .fetch_sessions import FetchSessions
from .isr_proposals import IsrProposals
from .kernel import Address, Context, Payload
from .leading import Diverging
from .messages import Fetch, Fetched, FetchedPartition, FetchPartition, Partition, Synced
from .metadata import MetadataImage
from .replica import PartitionLeading, Replica

_NONE = ErrorCode.NONE  # to ask an enumeration costs more than to make the answer
MAX_PRODUCERS = 5_000
"""Told to a follower that begins anew: those who wrote last. A snapshot of so many has about 1 MiB."""


class Followers:
    """What followers ask of this broker. `advance` is called when a high watermark may move."""

    def __init__(
        self,
        replicas: dict[Partition, Replica],
        image: Callable[[], MetadataImage],
        proposals: IsrProposals,
        advance: Callable[[Replica, Context], None],
        damaged: Callable[[Replica, str, Context], None],
        lag_ms: int,
    ) -> None:
        self._replicas = replicas
        self._image = image
        self._proposals = proposals
        self._advance = advance
        self._damaged = damaged
        self._lag_ms = lag_ms
        self.sessions = FetchSessions(self._answer)

    def on_fetch(self, sender: Address, fetch: Fetch, ctx: Context) -> None:
        """Take in what a follower has, then answer or park."""
        follower = self._image().brokers.get(fetch.replica)
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
            replica = self._replicas.get(wanted.partition)
            leading = None if replica is None else replica.leading
            if replica is None or leading is None:
                continue
            if wanted.leader_epoch != leading.epoch and not bug("fetch-without-epoch"):
                continue
            if leading.check(wanted) is None or bug("divergence-is-progress"):
                moved = leading.fetched(fetch.replica, fetch.broker_epoch, wanted, ctx.now)
                self._progressed(replica, leading, fetch.replica, moved, ctx)
        self.sessions.park(fetch.replica, ctx)

    def on_synced(self, message: Synced, ctx: Context) -> None:
        """More of what was fetched is durable at a follower."""
        for part in message.partitions:
            replica = self._replicas.get(part.partition)
            leading = None if replica is None else replica.leading
            if replica is None or leading is None or part.leader_epoch != leading.epoch:
                continue
            if leading.synced(message.replica, message.broker_epoch, part.durable, ctx.now):
                self._progressed(replica, leading, message.replica, True, ctx)

    def eligible(self, broker: int) -> int | None:
        """The broker epoch of a broker that may be in sync, or None (KIP-841, KIP-903)."""
        image = self._image()
        if bug("fenced-may-join"):
            return image.brokers[broker].epoch
        return image.brokers[broker].epoch if image.may_lead(broker) else None

    def consider(self, replica: Replica, leading: PartitionLeading, ctx: Context) -> None:
        """Propose whoever has caught up and is not in sync yet."""
        for follower in sorted(leading.followers):
            self._consider(replica, leading, follower, ctx)

    def _progressed(
        self, replica: Replica, leading: PartitionLeading, follower: int, moved: bool, ctx: Context
    ) -> None:
        """A follower has been heard: what that may change. Most fetches move nothing that counts; `Synced` does."""
        if moved or leading.held:
            self._advance(replica, ctx)
        if follower not in leading.isr:
            self._consider(replica, leading, follower, ctx)

    def _consider(self, replica: Replica, leading: PartitionLeading, follower: int, ctx: Context) -> None:
        state = self._image().partitions.get(replica.partition)
        if state is None or follower not in state.replicas:
            return  # it knows that it is to be one, and this leader does not yet
        change = leading.propose_join(follower, replica.hw, self.eligible, ctx.now, self._lag_ms)
        if change is not None:
            self._proposals.propose(change)

    def _answer(self, wanted: FetchPartition, left: int, ctx: Context) -> FetchedPartition | None:
        """What to tell a follower of one partition: None if nothing is new to it."""
        partition = wanted.partition
        replica = self._replicas.get(partition)
        if replica is None:
            return FetchedPartition(partition, ErrorCode.NOT_LEADER_OR_FOLLOWER, -1, -1, -1)
        leading, log = replica.leading, replica.log
        if leading is None or wanted.leader_epoch != leading.epoch or replica.damaged:
            error = ErrorCode.NOT_LEADER_OR_FOLLOWER
            if wanted.leader_epoch != replica.leader_epoch:
                behind = wanted.leader_epoch < replica.leader_epoch
                error = ErrorCode.FENCED_LEADER_EPOCH if behind else ErrorCode.UNKNOWN_LEADER_EPOCH
            return FetchedPartition(partition, error, replica.leader_epoch, -1, -1)
        verdict = leading.check(wanted)
        if isinstance(verdict, ErrorCode):
            producers = Payload(log.producers.before(log.start, MAX_PRODUCERS).encode(log.start))
            return FetchedPartition(
                partition, verdict, leading.epoch, -1, log.start, purged=log.purged, producers=producers
            )
        if isinstance(verdict, Diverging):
            point = (verdict.epoch, verdict.end)
            return FetchedPartition(partition, ErrorCode.NONE, leading.epoch, replica.hw, log.start, diverging=point)
        records = None
        if log.end > wanted.offset and left > 0:
            try:
                records = Payload(log.read(wanted.offset, left, limit=log.end))
            except CorruptLog as problem:
                self._damaged(replica, str(problem), ctx)
                return FetchedPartition(partition, ErrorCode.KAFKA_STORAGE_ERROR, leading.epoch, -1, -1)
        if records is None and wanted.hw >= replica.hw:
            return None
        return FetchedPartition(
            partition, _NONE, leading.epoch, replica.hw, log.start, records=records, purged=log.purged
        )
