"""Everything that can be said, grouped by conversation.

One frozen, tagged, array-like struct per thing that can be said; new fields last, with defaults. Offsets and epochs
are plain ints, -1 where Kafka says -1. `end` always means the offset after the last record. Times are milliseconds.

Epochs are compared exactly (D1): behind is FENCED (you are stale), ahead is UNKNOWN (I am; try again).
Nobody adopts a leader epoch or a broker epoch from a peer's message: only committed metadata raises those.
"""

from __future__ import annotations

from .admin_messages import AdminDone as AdminDone
from .admin_messages import AlterConfigs as AlterConfigs
from .admin_messages import ConfigsDescribed as ConfigsDescribed
from .admin_messages import CreatePartitions as CreatePartitions
from .admin_messages import CreateTopic as CreateTopic
from .admin_messages import DeleteTopic as DeleteTopic
from .admin_messages import DescribeConfigs as DescribeConfigs
from .admin_messages import DescribeLogs as DescribeLogs
from .admin_messages import DrainBroker as DrainBroker
from .admin_messages import ElectLeaders as ElectLeaders
from .admin_messages import ListReassignments as ListReassignments
from .admin_messages import LogPicture as LogPicture
from .admin_messages import LogsDescribed as LogsDescribed
from .admin_messages import PartitionsDone as PartitionsDone
from .admin_messages import Reassign as Reassign
from .admin_messages import ReassignmentsListed as ReassignmentsListed
from .admin_messages import RemoveBroker as RemoveBroker
from .chronicle_messages import EventsFetched as EventsFetched
from .chronicle_messages import FetchEvents as FetchEvents
from .classic_messages import ClassicHeartbeat as ClassicHeartbeat
from .classic_messages import ClassicHeartbeatDone as ClassicHeartbeatDone
from .classic_messages import GroupJoined as GroupJoined
from .classic_messages import GroupLeft as GroupLeft
from .classic_messages import GroupSynced as GroupSynced
from .classic_messages import JoinGroup as JoinGroup
from .classic_messages import LeaveGroup as LeaveGroup
from .classic_messages import SyncGroup as SyncGroup
from .coordinator_messages import CoordinatorsFound as CoordinatorsFound
from .coordinator_messages import CreateInternalTopic as CreateInternalTopic
from .coordinator_messages import FindCoordinator as FindCoordinator
from .coordinator_messages import InternalTopicCreated as InternalTopicCreated
from .delete_records_messages import DeletedPartition as DeletedPartition
from .delete_records_messages import DeletePartition as DeletePartition
from .delete_records_messages import DeleteRecords as DeleteRecords
from .delete_records_messages import RecordsDeleted as RecordsDeleted
from .envelope import METADATA as METADATA
from .envelope import PROTOCOL_VERSION as PROTOCOL_VERSION
from .envelope import Envelope as Envelope
from .envelope import Part as Part
from .envelope import Partition as Partition
from .envelope import PeerBack as PeerBack
from .envelope import PeerGone as PeerGone
from .envelope import Reborn as Reborn
from .envelope import TopicId as TopicId
from .envelope import TopicName as TopicName
from .epoch_ends_messages import EpochEndsFound as EpochEndsFound
from .epoch_ends_messages import EpochQuery as EpochQuery
from .epoch_ends_messages import FindEpochEnds as FindEpochEnds
from .epoch_ends_messages import FoundEpochEnd as FoundEpochEnd
from .errors import ErrorCode
from .group_admin_messages import DeleteGroup as DeleteGroup
from .group_admin_messages import DescribeGroup as DescribeGroup
from .group_admin_messages import GroupDeleted as GroupDeleted
from .group_admin_messages import GroupDescribed as GroupDescribed
from .group_admin_messages import GroupsListed as GroupsListed
from .group_admin_messages import ListGroups as ListGroups
from .group_messages import GroupHeartbeat as GroupHeartbeat
from .group_messages import GroupHeartbeatDone as GroupHeartbeatDone
from .kernel import Incarnation, Message, Payload
from .measuring_messages import Measure as Measure
from .measuring_messages import Measured as Measured
from .measuring_messages import ReplicaMeasure as ReplicaMeasure
from .offset_messages import CommitOffsets as CommitOffsets
from .offset_messages import DeleteOffsets as DeleteOffsets
from .offset_messages import FetchOffsets as FetchOffsets
from .offset_messages import OffsetsCommitted as OffsetsCommitted
from .offset_messages import OffsetsDeleted as OffsetsDeleted
from .offset_messages import OffsetsFetched as OffsetsFetched
from .pictures import BrokerPicture as BrokerPicture
from .pictures import Describe as Describe
from .pictures import Described as Described
from .pictures import PartitionPicture as PartitionPicture
from .pictures import TopicPicture as TopicPicture

# --- The quorum: votes are pushed, records are pulled (KIP-595, KIP-996 pre-vote) ---------------------------------


class Vote(Message, frozen=True):
    """May I lead? `epoch` is the one that the candidate has (a real vote) or would take next minus one (pre-vote)."""

    cluster_id: str
    pre: bool
    epoch: int
    candidate: int
    directory_id: str
    voter: int
    voter_directory_id: str
    last_epoch: int
    end: int


class Voted(Message, frozen=True):
    """The answer to `Vote` of the same `pre` and epoch; `leader` is -1 when the voter knows none."""

    pre: bool
    epoch: int
    granted: bool
    voter: int
    directory_id: str
    leader: int


class BeginEpoch(Message, frozen=True):
    """I lead this epoch. Repeated to each voter until it fetches."""

    cluster_id: str
    epoch: int
    leader: int
    directory_id: str


class EndEpoch(Message, frozen=True):
    """I stop leading this epoch; the first of `successors` should stand at once (graceful shutdown)."""

    cluster_id: str
    epoch: int
    leader: int
    successors: list[int]


# --- Replication: followers ask (KIP-595 divergence, KIP-227 sessions) -----------------------------------------------


class FetchPartition(Part, frozen=True):
    """What a follower has of one partition and wants next.

    `durable` is the end of what would survive a loss of power at the follower; `hw` what it knows as high watermark.
    `last_epoch` is the epoch of its last record (-1: it has none). `log_start` is where its log begins, durably.
    `purged`: it has no value whose tombstone lies below and is gone (-1: the log has no holes).
    """

    partition: Partition
    leader_epoch: int
    offset: int
    last_epoch: int
    durable: int
    hw: int
    log_start: int = -1
    purged: int = -1


class Fetch(Message, frozen=True):
    """One request per leader for all partitions, long-polled.

    `sequence` 0 lists every partition and opens a session; later ones list only what changed, and what is forgotten.
    """

    id: int
    replica: int
    broker_epoch: int
    directory_id: str
    session: int
    sequence: int
    max_wait_ms: int
    wanted: list[FetchPartition]
    forgotten: list[Partition] = []


class FetchedPartition(Part, frozen=True):
    """Records, or `diverging` (epoch, end) and nothing else, or an error. `hw` is not to be used before truncation.

    `purged`: tombstones below may be gone, and offsets may be missing; -1: the log was never compacted. `producers`:
    a snapshot of who wrote below the log start, with OFFSET_OUT_OF_RANGE, for whoever begins anew there.
    """

    partition: Partition
    error: ErrorCode
    leader_epoch: int
    hw: int
    log_start: int
    diverging: tuple[int, int] | None = None
    records: Payload | None = None
    leader: int = -1
    purged: int = -1
    producers: Payload | None = None


class Fetched(Message, frozen=True):
    """Only partitions with something to tell. A session error asks for a full fetch."""

    id: int
    error: ErrorCode
    session: int
    sequence: int
    partitions: list[FetchedPartition]


class SyncedPartition(Part, frozen=True):
    """How much of one partition is durable at the follower now."""

    partition: Partition
    leader_epoch: int
    durable: int


class Synced(Message, frozen=True):
    """One-way: my durable offsets moved while my fetch is parked with you. Losing it is harmless."""

    replica: int
    broker_epoch: int
    directory_id: str
    partitions: list[SyncedPartition]


# --- Brokers and the controller ----------------------------------------------------------------------------------


class RecoveredReplica(Part, frozen=True):
    """What a starting broker found on its disk. `damaged` says why it cannot prove its records, or is empty."""

    partition: Partition
    end: int
    durable: bool  # durability "fsync": everything below a high watermark was on this disk
    damaged: str = ""
    epoch: int = -1  # of its last record, also if that was deleted; -1: there was none, or it is unknown
    cut: bool = False  # its tail was torn


class Register(Message, frozen=True):
    """A broker starts. Idempotent by incarnation.

    `same_boot`: the machine has not booted since the last life ended, so its page cache survived.
    `clean_epoch`: the broker epoch in the clean-shutdown marker, -1 without one (D3).
    `life`: how often this data directory has been started (`lives`).
    `listeners`: where other protocols are spoken, as advertised: name -> "HOST:PORT".
    """

    id: int
    cluster_id: str
    broker: int
    incarnation: Incarnation
    directory_id: str
    endpoint: str
    rack: str
    recovered: list[RecoveredReplica]
    same_boot: bool
    clean_epoch: int
    life: int = 0
    listeners: dict[str, str] = {}


class Registered(Message, frozen=True):
    """`broker_epoch` is the metadata offset of the registration. `leader` is the active controller's id, or -1."""

    id: int
    error: ErrorCode
    broker_epoch: int = -1
    leader: int = -1
    reason: str = ""


class BrokerHeartbeat(Message, frozen=True):
    """To all controllers, every 250 ms. `metadata_offset`: the end of the metadata that this broker has applied.

    `answered`: the last heartbeat that it knows to be answered, 0 for none (-1: it does not tell).
    """

    sequence: int
    broker: int
    broker_epoch: int
    incarnation: Incarnation
    metadata_offset: int
    want_stop: bool
    answered: int = -1


class HeartbeatReply(Message, frozen=True):
    """Only an answer of the active controller (`error` NONE) renews the lease: of the newest epoch heard of."""

    sequence: int
    error: ErrorCode
    leader: int = -1
    fenced: bool = True
    may_stop: bool = False
    controller_epoch: int = -1


class IsrChange(Part, frozen=True):
    """A proposal as compare-and-set on the partition epoch; members as (broker id, broker epoch) (KIP-903)."""

    partition: Partition
    leader_epoch: int
    partition_epoch: int
    isr: list[tuple[int, int]]


class AlterPartition(Message, frozen=True):
    """A leader proposes in-sync replicas. One in flight per partition; re-sent as it was (D11)."""

    id: int
    broker: int
    broker_epoch: int
    changes: list[IsrChange]


class AlteredPartition(Part, frozen=True):
    """The verdict on one proposal, with the committed state that the leader must follow."""

    partition: Partition
    error: ErrorCode
    leader_epoch: int = -1
    partition_epoch: int = -1
    isr: list[int] = []


class PartitionsAltered(Message, frozen=True):
    """The answer to `AlterPartition`, once committed."""

    id: int
    error: ErrorCode
    results: list[AlteredPartition]
    leader: int = -1


class ReportDamage(Message, frozen=True):
    """A broker's log is damaged: take it out of ISR and ELR and raise this leader epoch, so that it may fetch anew."""

    broker: int
    broker_epoch: int
    partition: Partition
    leader_epoch: int


class ReserveProducerIds(Message, frozen=True):
    """A broker asks for a block of producer ids."""

    id: int
    broker: int
    broker_epoch: int


class ProducerIdsReserved(Message, frozen=True):
    """`count` ids from `first`, this broker's alone for ever."""

    id: int
    error: ErrorCode
    first: int = -1
    count: int = 0
    leader: int = -1


# --- Metadata: PUB/SUB is the hint, the log is the truth (D26) ------------------------------------------------------

TOPIC_METADATA = "M"
TOPIC_LEADERSHIP = "L"


class MetadataUpdate(Message, frozen=True):
    """A link of the metadata chain: it brings you from end offset `previous` to `offset`.

    `records` holds whole committed batches, or None in a heartbeat (then `previous == offset`).
    """

    cluster_id: str
    controller: int
    controller_epoch: int
    previous: int
    offset: int
    records: Payload | None = None


class FetchMetadata(Message, frozen=True):
    """The committed metadata from `offset` on, please: as a range, or as a snapshot if that is trimmed.

    `snapshot_end` and `position` go on with a snapshot that came in pieces; both 0 otherwise.
    """

    id: int
    cluster_id: str
    offset: int
    snapshot_end: int = 0
    position: int = 0


class MetadataRange(Message, frozen=True):
    """Committed batches from `offset` to `end`; `committed` is what the answering controller knows as committed."""

    id: int
    error: ErrorCode
    controller_epoch: int
    leader: int
    offset: int
    end: int
    committed: int
    records: Payload | None = None


class MetadataSnapshot(Message, frozen=True):
    """A piece of the snapshot that stands for all metadata below `end`."""

    id: int
    controller_epoch: int
    leader: int
    end: int
    position: int
    size: int
    data: Payload


class BrokerPlace(Part, frozen=True):
    """Where a broker listens."""

    broker: int
    endpoint: str


class PartitionLeader(Part, frozen=True):
    """Who leads; `leader` is -1 when nobody can."""

    partition: Partition
    leader: int
    leader_epoch: int


class LeadershipUpdate(Message, frozen=True):
    """A link of the leadership chain, for clients: the digest of the metadata, without secrets."""

    cluster_id: str
    controller: int
    controller_epoch: int
    previous: int
    offset: int
    brokers: list[BrokerPlace] = []
    topics: list[TopicName] = []
    leaders: list[PartitionLeader] = []
    deleted: list[TopicId] = []


class FetchLeadership(Message, frozen=True):
    """The digest of these topics (None: of all), from any broker."""

    id: int
    topics: list[str] | None


class Leadership(Message, frozen=True):
    """The digest at metadata offset `offset`. A topic asked for and not listed does not exist there."""

    id: int
    error: ErrorCode
    cluster_id: str = ""
    offset: int = -1
    brokers: list[BrokerPlace] = []
    topics: list[TopicName] = []
    leaders: list[PartitionLeader] = []
    controllers: list[BrokerPlace] = []
    controller: int = -1
    broadcasts: list[str] = []  # endpoints of the controllers' PUB sockets


# --- Producers and consumers -------------------------------------------------------------------------------------


class ProduceBatch(Part, frozen=True):
    """One record batch for one partition. A leader epoch of -1 is not checked."""

    partition: Partition
    leader_epoch: int
    batch: Payload


class Produce(Message, frozen=True):
    """acks: 0 no answer, 1 when the leader wrote it, -1 when every in-sync replica has it (durably, if "fsync")."""

    id: int
    acks: int
    timeout_ms: int
    batches: list[ProduceBatch]


class ProducedBatch(Part, frozen=True):
    """`base_offset` of the batch (the original one for a duplicate); who leads now, if not this broker."""

    partition: Partition
    error: ErrorCode
    base_offset: int = -1
    log_start: int = -1
    leader: int = -1
    leader_epoch: int = -1
    reason: str = ""


class Produced(Message, frozen=True):
    """One answer per batch of the request. Batches of one request may be answered in several `Produced`."""

    id: int
    batches: list[ProducedBatch]


class ConsumePartition(Part, frozen=True):
    """Read from `offset`; a leader epoch of -1 is not checked."""

    partition: Partition
    leader_epoch: int
    offset: int
    max_bytes: int


class Consume(Message, frozen=True):
    """Committed records, please; answered when `min_bytes` are there, something is wrong, or after `max_wait_ms`."""

    id: int
    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    partitions: list[ConsumePartition]


class ConsumedPartition(Part, frozen=True):
    """Whole batches, beginning with the one that contains the offset asked for: skip the records before it.

    `hw` is -1 while a new leader cannot tell what is committed; records below `served` are given out even then.
    """

    partition: Partition
    error: ErrorCode
    hw: int = -1
    log_start: int = -1
    records: Payload | None = None
    leader: int = -1
    leader_epoch: int = -1
    served: int = -1


class Consumed(Message, frozen=True):
    """The answer to `Consume`: every partition that was asked for."""

    id: int
    partitions: list[ConsumedPartition]


EARLIEST = -2
LATEST = -1
NEWEST = -3


class OffsetQuery(Part, frozen=True):
    """`timestamp` is EARLIEST, LATEST, NEWEST (the record with the largest time), or a time: the first one since."""

    partition: Partition
    leader_epoch: int
    timestamp: int


class FindOffsets(Message, frozen=True):
    """Kafka's ListOffsets."""

    id: int
    queries: list[OffsetQuery]


class FoundOffset(Part, frozen=True):
    """`offset` -1 when no record is that late. OFFSET_NOT_AVAILABLE: a new leader does not know yet, ask again.

    `epoch` is the leader epoch in which the record at the offset was written, or would be; -1 if nobody knows.
    """

    partition: Partition
    error: ErrorCode
    offset: int = -1
    timestamp: int = -1
    leader: int = -1
    leader_epoch: int = -1
    epoch: int = -1


class OffsetsFound(Message, frozen=True):
    """The answer to `FindOffsets`."""

    id: int
    offsets: list[FoundOffset]


class GiveProducerId(Message, frozen=True):
    """A producer asks any broker for an identity (Kafka's InitProducerId without a transaction)."""

    id: int


class ProducerIdGiven(Message, frozen=True):
    """Retry on LEADER_NOT_AVAILABLE: the broker is waiting for a block of ids."""

    id: int
    error: ErrorCode
    producer_id: int = -1
    producer_epoch: int = 0
