"""The metadata image: what all committed metadata adds up to.

Controllers, standbys and brokers hold one each, and they are equal at equal offsets (R5): the image changes in `apply`
and nowhere else, and `apply` is a pure function of the records. It knows no clock, no chance and no disk.

A record that cannot follow from the image that it meets means that this node and the log disagree on what was
decided. There is nothing to do about it here: `apply` raises, the node dies, and the others go on (R12, KAFKA-14275).
The checks here are on single records; `violations` looks at the whole picture (P19) for checkers and tests, since
within one batch a broker is fenced before its partitions have moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

from msgspec.structs import replace

from ..storage.disk import Reader
from .broker_configs import ALL_BROKERS, DEFINITIONS, topic_defaults
from .claims import kept
from .kernel import Incarnation
from .messages import Partition, TopicId
from .metadata_records import (
    LEVEL,
    BrokerDraining,
    BrokerFenced,
    BrokerRegistered,
    BrokerRemoved,
    BrokersConfigured,
    BrokerStopping,
    BrokerUnfenced,
    ClusterDefaults,
    LeaderChanged,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    RequestDone,
    TopicConfigured,
    TopicCreated,
    TopicDeleted,
)
from .metadata_snapshot import BadSnapshot, Snapshot, decode_snapshot, encode_snapshot, read_snapshots
from .metadata_state import BrokerState, PartitionState, TopicState
from .topic_configs import TopicConfigs

REMEMBERED_MS = 600_000  # answers to admin requests are kept for ten minutes of the controllers' wall clocks
RETIRED = 8  # so many earlier incarnations of a broker are known as dead

__all__ = ["BrokerState", "ImpossibleRecord", "MetadataImage", "PartitionState", "TopicState", "load_latest", "shape"]


class ImpossibleRecord(AssertionError):
    """A committed record does not follow from the state that it meets. Fatal."""


class MetadataImage:
    """Read freely, write by `apply` only. The states inside are frozen: a reference to one is a picture of its time."""

    def __init__(self) -> None:
        self.end = 0  # the offset after the last applied record
        self.level = LEVEL
        self.controller = -1  # the leader of the newest epoch, -1 before the first
        self.controller_epoch = -1
        self.voters: tuple[int, ...] = ()
        self.defaults: ClusterDefaults | None = None  # None until the first active controller has written them
        self.next_producer_id = 0
        self.brokers: dict[int, BrokerState] = {}
        self.removed: dict[int, BrokerState] = {}  # as they were when they were forgotten: their lives are over
        self.topics: dict[TopicId, TopicState] = {}
        self.topic_ids: dict[str, TopicId] = {}
        self.partitions: dict[Partition, PartitionState] = {}
        self.requests: dict[tuple[Incarnation, int], RequestDone] = {}  # oldest first
        self.broker_configs: dict[int, dict[str, str]] = {}  # by broker, ALL_BROKERS for all
        self.topic_defaults: dict[str, str] = {}  # what holds for topics that do not say otherwise

    # --- reading

    def topic(self, name: str) -> TopicState | None:
        """The topic of that name, or None."""
        topic_id = self.topic_ids.get(name)
        return None if topic_id is None else self.topics[topic_id]

    def partitions_of(self, topic_id: TopicId) -> list[PartitionState]:
        """A topic's partitions by index; the topic must exist."""
        return [self.partitions[Partition(topic_id, index)] for index in range(self.topics[topic_id].partitions)]

    def configs(self, topic_id: TopicId) -> TopicConfigs:
        """The configs in force for a topic, which must exist."""
        return TopicConfigs(self.topics[topic_id].configs, self.topic_defaults)

    def topic_defaults_with(self, configs: Mapping[str, str]) -> dict[str, str]:
        """What would hold for topics that do not say otherwise, if this were set for all brokers."""
        return {**({} if self.defaults is None else self.defaults.configs), **topic_defaults(configs)}

    def broker_config(self, name: str, broker: int = ALL_BROKERS) -> str:
        """What is set for a broker, else for all, else by default. The name must be in the table."""
        for of in (broker, ALL_BROKERS):
            value = self.broker_configs.get(of, {}).get(name)
            if value is not None:
                return value
        return DEFINITIONS[name].default

    def min_insync(self, state: PartitionState) -> int:
        """The effective min.insync.replicas of a partition; while it moves, as before."""
        return self.configs(state.partition.topic).effective_min_insync(len(state.replicas) - len(state.adding))

    def _pristine(self, state: PartitionState) -> bool:
        """Whether it has never had enough in sync to commit anything. Whoever lets fewer suffice says it of each."""
        return state.pristine and len(state.isr) < self.min_insync(state)

    def may_lead(self, broker: int) -> bool:
        """Whether a broker may lead or be in sync: registered, unfenced, not stopping (KIP-841)."""
        state = self.brokers.get(broker)
        return state is not None and not state.fenced and not state.stopping

    def name(self, partition: Partition) -> str:
        """`orders-0`, for people; the topic's id if it is gone."""
        topic = self.topics.get(partition.topic)
        return f"{partition.topic if topic is None else topic.name}-{partition.index}"

    # --- writing

    def apply(self, records: Sequence[MetadataRecord], first_offset: int) -> None:
        """Apply one decision, or several that follow each other. Raises ImpossibleRecord: then this image is lost."""
        self._expect(first_offset == self.end, f"records at offset {first_offset}, applied up to {self.end}")
        for record in records:
            self._apply(record)
            self.end += 1

    def _apply(self, record: MetadataRecord) -> None:
        match record:
            case PartitionChanged():
                self._partition_changed(record)
            case PartitionCreated():
                self._partition_created(record)
            case BrokerRegistered():
                self._broker_registered(record)
            case BrokerFenced(broker=broker, broker_epoch=epoch):
                self.brokers[broker] = replace(self._known(broker, epoch), fenced=True)
            case BrokerUnfenced(broker=broker, broker_epoch=epoch):
                self.brokers[broker] = replace(self._known(broker, epoch), fenced=False)
            case BrokerStopping(broker=broker, broker_epoch=epoch):
                self.brokers[broker] = replace(self._known(broker, epoch), stopping=True)
            case TopicCreated(id=topic_id, name=name, configs=configs):
                self._expect(topic_id not in self.topics, f"topic {topic_id} exists")
                self._expect(name not in self.topic_ids, f"topic {name!r} exists")
                self.topics[topic_id] = TopicState(topic_id, name, dict(configs), 0)
                self.topic_ids[name] = topic_id
            case TopicDeleted(id=topic_id):
                self._expect(topic_id in self.topics, f"topic {topic_id} does not exist")
                topic = self.topics.pop(topic_id)
                del self.topic_ids[topic.name]
                for index in range(topic.partitions):
                    del self.partitions[Partition(topic_id, index)]
            case ProducerIdsTaken(next=following):
                self._expect(following > self.next_producer_id, f"producer ids up to {following} were taken before")
                self.next_producer_id = following
            case RequestDone():
                self._request_done(record)
            case LeaderChanged(epoch=epoch, leader=leader, voters=voters, level=level):
                self._expect(epoch > self.controller_epoch, f"epoch {epoch} after epoch {self.controller_epoch}")
                self._expect(level >= self.level, f"level {level} after level {self.level}")
                self.controller, self.controller_epoch = leader, epoch
                self.voters, self.level = tuple(voters), level
            case ClusterDefaults():
                self._expect(self.defaults is None, "the cluster's defaults are fixed")
                self.defaults = record
                self.topic_defaults = self.topic_defaults_with(self.broker_configs.get(ALL_BROKERS, {}))
            case BrokerDraining(broker=broker, draining=draining):
                self._expect(broker in self.brokers, f"b{broker} is unknown")
                self.brokers[broker] = replace(self.brokers[broker], draining=draining)
            case BrokerRemoved(broker=broker, broker_epoch=epoch):
                self.removed[broker] = replace(self._known(broker, epoch), draining=False)
                del self.brokers[broker]
                self.broker_configs.pop(broker, None)
            case TopicConfigured(id=topic_id, configs=configs):
                self._expect(topic_id in self.topics, f"topic {topic_id} does not exist")
                self.topics[topic_id] = replace(self.topics[topic_id], configs=dict(configs))
            case BrokersConfigured(broker=broker, configs=configs):
                self._expect(broker == ALL_BROKERS or broker in self.brokers, f"b{broker} is unknown")
                self.broker_configs[broker] = dict(configs)
                self.topic_defaults = self.topic_defaults_with(self.broker_configs.get(ALL_BROKERS, {}))
            case _:
                raise ImpossibleRecord(f"at offset {self.end}: a record that cannot be applied: {record!r}")

    def _broker_registered(self, record: BrokerRegistered) -> None:
        earlier = self.brokers.get(record.broker) or self.removed.pop(record.broker, None)
        retired: tuple[Incarnation, ...] = ()
        if earlier is not None:
            retired = (*earlier.retired, earlier.incarnation)[-RETIRED:]
            self._expect(record.incarnation not in retired, f"b{record.broker} was {record.incarnation} before")
        self.brokers[record.broker] = BrokerState(
            id=record.broker,
            incarnation=record.incarnation,
            directory_id=record.directory_id,
            endpoint=record.endpoint,
            rack=record.rack,
            epoch=self.end,
            fenced=True,
            stopping=False,
            retired=retired,
            life=record.life,
            listeners=record.listeners,
            draining=earlier is not None and earlier.draining,
        )

    def _partition_created(self, record: PartitionCreated) -> None:
        partition = Partition(*record.partition)
        topic = self.topics.get(partition.topic)
        if topic is None or partition.index != topic.partitions:
            raise ImpossibleRecord(f"at offset {self.end}: {partition} does not follow the topic's partitions")
        state = PartitionState(
            partition=partition,
            replicas=tuple(record.replicas),
            isr=tuple(record.isr),
            elr=(),
            last_known_elr=(),
            leader=record.leader,
            leader_epoch=0,
            partition_epoch=0,
            pristine=True,
        )
        state = replace(state, pristine=self._pristine(state))
        self._shape(state)
        self.topics[partition.topic] = replace(topic, partitions=topic.partitions + 1)
        self.partitions[partition] = state

    def _partition_changed(self, record: PartitionChanged) -> None:
        partition = Partition(*record.partition)
        before = self.partitions.get(partition)
        if before is None:
            raise ImpossibleRecord(f"at offset {self.end}: partition {partition} does not exist")
        if record.unclean:  # by hand, where nobody leads: the only one that is in sync then is the one who leads
            alone = before.leader == -1 and record.leader != -1 and record.isr == [record.leader]
            self._expect(alone, f"an unclean election of {self.name(partition)} while b{before.leader} leads")
        self._expect(
            record.partition_epoch == before.partition_epoch + 1,
            f"{self.name(partition)} goes from partition epoch {before.partition_epoch} to {record.partition_epoch}",
        )
        bumped = record.leader_epoch - before.leader_epoch
        self._expect(
            bumped == 1 or (bumped == 0 and record.leader == before.leader),
            f"{self.name(partition)} goes from leader {before.leader} in epoch {before.leader_epoch}"
            f" to leader {record.leader} in epoch {record.leader_epoch}",
        )
        after = replace(
            before,
            replicas=tuple(record.replicas) or before.replicas,
            isr=tuple(record.isr),
            elr=tuple(record.elr),
            last_known_elr=tuple(record.last_known_elr),
            leader=record.leader,
            leader_epoch=record.leader_epoch,
            partition_epoch=record.partition_epoch,
            target=tuple(record.target),
            adding=tuple(record.adding),
            claims=kept((*before.claims, *record.claims), record.elr),
        )
        after = replace(after, pristine=self._pristine(after))
        self._shape(after)
        self.partitions[partition] = after

    def _request_done(self, record: RequestDone) -> None:
        for key, done in list(self.requests.items()):
            if done.wall + REMEMBERED_MS > record.wall:
                break  # the clock may have jumped between controllers: then some are kept longer
            del self.requests[key]
        key = (record.client, record.request)
        self._expect(key not in self.requests, f"request {record.request} of {record.client} was done before")
        self.requests[key] = record

    def _shape(self, state: PartitionState) -> None:
        for sentence in shape(state):
            raise ImpossibleRecord(f"at offset {self.end}: {self.name(state.partition)}: {sentence}")

    def _known(self, broker: int, epoch: int) -> BrokerState:
        state = self.brokers.get(broker)
        if state is None or state.epoch != epoch:
            known = "unknown" if state is None else f"in epoch {state.epoch}"
            raise ImpossibleRecord(f"at offset {self.end}: b{broker} is {known}, the record says epoch {epoch}")
        return state

    def _expect(self, true: bool, sentence: str) -> None:
        if not true:
            raise ImpossibleRecord(f"at offset {self.end}: {sentence}")

    # --- the whole of it

    def _picture(self) -> Snapshot:
        return Snapshot(
            end=self.end,
            controller=self.controller,
            controller_epoch=self.controller_epoch,
            voters=self.voters,
            metadata_level=self.level,
            defaults=self.defaults,
            next_producer_id=self.next_producer_id,
            brokers=[self.brokers[broker] for broker in sorted(self.brokers)],
            topics=[self.topics[topic_id] for topic_id in sorted(self.topics)],
            partitions=[self.partitions[partition] for partition in sorted(self.partitions)],
            requests=list(self.requests.values()),
            removed=[self.removed[broker] for broker in sorted(self.removed)],
            broker_configs=[BrokersConfigured(b, self.broker_configs[b]) for b in sorted(self.broker_configs)],
        )

    def state_hash(self) -> str:
        """A digest of the whole state, equal on every node at equal offsets. It costs as much as a snapshot."""
        return blake2b(encode_snapshot(self._picture()), digest_size=16).hexdigest()

    def to_snapshot(self) -> bytes:
        """The whole state, to be loaded instead of replaying the log below `end`."""
        return encode_snapshot(self._picture())

    @classmethod
    def from_snapshot(cls, data: bytes) -> MetadataImage:
        """The image that was written. Raises BadSnapshot if the bytes are not whole."""
        snapshot = decode_snapshot(data)
        image = cls()
        image.end, image.level = snapshot.end, snapshot.metadata_level
        image.controller, image.controller_epoch = snapshot.controller, snapshot.controller_epoch
        image.voters, image.defaults = snapshot.voters, snapshot.defaults
        image.next_producer_id = snapshot.next_producer_id
        image.brokers = {broker.id: broker for broker in snapshot.brokers}
        image.topics = {topic.id: topic for topic in snapshot.topics}
        image.topic_ids = {topic.name: topic.id for topic in snapshot.topics}
        image.partitions = {Partition(*state.partition): state for state in snapshot.partitions}
        image.requests = {(done.client, done.request): done for done in snapshot.requests}
        image.removed = {broker.id: broker for broker in snapshot.removed}
        image.broker_configs = {of.broker: of.configs for of in snapshot.broker_configs}
        image.topic_defaults = image.topic_defaults_with(image.broker_configs.get(ALL_BROKERS, {}))
        return image

    def violations(self) -> list[str]:
        """What is wrong with the whole picture, one sentence each (P19). Empty between any two decisions."""
        found = []
        for partition in sorted(self.partitions):
            state = self.partitions[partition]
            problems = shape(state)
            min_insync = self.min_insync(state)
            if len(state.isr) >= min_insync and (state.elr or state.last_known_elr):
                problems.append(f"ISR {list(state.isr)} suffices, yet ELR {list(state.elr)} is kept")
            if len(state.isr) >= min_insync and state.pristine:
                problems.append(f"ISR {list(state.isr)} suffices, yet nothing is said to have been committed ever")
            if not state.isr and not state.elr and not 1 <= len(state.last_known_elr) <= min_insync:
                problems.append(f"ISR and ELR are empty and {list(state.last_known_elr)} is the last known ELR")
            fenced = [broker for broker in state.isr if broker not in self.brokers or self.brokers[broker].fenced]
            if fenced:
                problems.append(f"fenced brokers {fenced} are in the ISR")
            found += [f"{self.name(partition)}: {problem}" for problem in problems]
        return found


def load_latest(reader: Reader) -> tuple[MetadataImage, list[str]]:
    """The image of the newest whole snapshot (an empty one without any), and why newer ones were passed over."""
    refused: list[str] = []
    for path, data in read_snapshots(reader):
        try:
            if isinstance(data, str):
                raise BadSnapshot(data)
            return MetadataImage.from_snapshot(data), refused
        except BadSnapshot as error:
            refused.append(f"{path}: {error}")
    return MetadataImage(), refused


def shape(state: PartitionState) -> list[str]:
    """What is wrong with one partition by itself (the part of P19 that needs no other state)."""
    problems = []
    replicas, isr, elr, last_known = set(state.replicas), set(state.isr), set(state.elr), set(state.last_known_elr)
    if not replicas or _repeats(state.replicas) or _repeats((*state.isr, *state.elr, *state.last_known_elr)):
        problems.append(f"a broker is listed twice, or none: {state!r}")
    if not isr | elr | last_known <= replicas:
        problems.append(f"ISR {list(state.isr)} or ELR {list(state.elr)} are not among replicas {list(state.replicas)}")
    adding, target = set(state.adding), set(state.target)
    if not adding <= target <= replicas or _repeats(state.target) or not state.original:
        problems.append(f"{list(state.adding)} of {list(state.target)} cannot come to {list(state.replicas)}")
    if state.leader != -1 and state.leader not in isr:
        problems.append(f"leader {state.leader} is not in ISR {list(state.isr)}")
    return problems


def _repeats(brokers: Iterable[int]) -> bool:
    listed = list(brokers)
    return len(set(listed)) != len(listed)
