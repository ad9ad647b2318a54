"""From decisions to events: what a batch of metadata records changes, told to people.

The active controller narrates each decision of its own once, when it is committed, with the cause that it knew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .admin_events import (
    BrokerDrainingEvent,
    BrokerRemovedEvent,
    BrokerStaysEvent,
    ConfigsAltered,
    MoveCancelled,
    PartitionMoved,
    PartitionMoving,
    PartitionsAdded,
    UncleanElection,
)
from .broker_configs import ALL_BROKERS
from .events import (
    BrokerFencedEvent,
    BrokerRegisteredEvent,
    BrokerStoppingEvent,
    BrokerUnfencedEvent,
    DefaultsFixed,
    IsrChanged,
    PartitionLeaderChanged,
    ProducerIdsReservedEvent,
    TopicCreatedEvent,
    TopicDeletedEvent,
)
from .kernel import Event
from .messages import Partition
from .metadata import MetadataImage
from .metadata_records import (
    BrokerDraining,
    BrokerFenced,
    BrokerRegistered,
    BrokerRemoved,
    BrokersConfigured,
    BrokerStopping,
    BrokerUnfenced,
    ClusterDefaults,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    TopicConfigured,
    TopicCreated,
    TopicDeleted,
)
from .metadata_state import PartitionState


def narrate(image: MetadataImage, records: Sequence[MetadataRecord], first_offset: int, cause: str) -> list[Event]:
    """The events of one decision. `image` is the one that it will be applied to, still without it."""
    events: list[Event] = []
    for offset, record in enumerate(records, first_offset):
        match record:
            case PartitionChanged():
                events += _partition(image, record, cause)
            case BrokerRegistered(broker=broker, endpoint=endpoint):
                events.append(BrokerRegisteredEvent(broker=broker, broker_epoch=offset, endpoint=endpoint, cause=cause))
            case BrokerFenced(broker=broker, broker_epoch=epoch):
                events.append(BrokerFencedEvent(broker=broker, broker_epoch=epoch, cause=cause))
            case BrokerUnfenced(broker=broker, broker_epoch=epoch):
                events.append(BrokerUnfencedEvent(broker=broker, broker_epoch=epoch, cause=cause))
            case BrokerStopping(broker=broker, broker_epoch=epoch):
                events.append(BrokerStoppingEvent(broker=broker, broker_epoch=epoch, cause=cause))
            case TopicCreated():
                events.append(_topic(record, records, cause))
            case TopicDeleted(id=topic_id):
                events.append(TopicDeletedEvent(name=image.topics[topic_id].name, topic_id=topic_id, cause=cause))
            case ProducerIdsTaken(broker=broker, next=following):
                events.append(ProducerIdsReservedEvent(broker=broker, end=following, cause=cause))
            case ClusterDefaults(partitions=partitions, replication=replication):
                events.append(DefaultsFixed(partitions=partitions, replication=replication, cause=cause))
            case BrokerDraining(broker=broker, draining=draining):
                kind = BrokerDrainingEvent if draining else BrokerStaysEvent
                events.append(kind(broker=broker, cause=cause))
            case BrokerRemoved(broker=broker):
                events.append(BrokerRemovedEvent(broker=broker, cause=cause))
            case TopicConfigured(id=topic_id, configs=after):
                topic = image.topics[topic_id]
                of = f"topic {topic.name!r}"
                events.append(ConfigsAltered(of=of, changes=_altered(topic.configs, after), cause=cause))
            case BrokersConfigured(broker=broker, configs=after):
                of = "all brokers" if broker == ALL_BROKERS else f"b{broker}"
                changes = _altered(image.broker_configs.get(broker, {}), after)
                events.append(ConfigsAltered(of=of, changes=changes, cause=cause))
            case _:
                pass
    return events + _grown(image, records, cause)


def _grown(image: MetadataImage, records: Sequence[MetadataRecord], cause: str) -> list[Event]:
    added = Counter(record.partition[0] for record in records if isinstance(record, PartitionCreated))
    return [
        PartitionsAdded(
            topic=image.topics[topic_id].name,
            partitions=image.topics[topic_id].partitions + count,
            added=count,
            cause=cause,
        )
        for topic_id, count in added.items()
        if topic_id in image.topics
    ]


def _altered(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    changed: list[str] = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return {name: after.get(name) for name in changed}


def _topic(record: TopicCreated, records: Sequence[MetadataRecord], cause: str) -> Event:
    created = [r for r in records if isinstance(r, PartitionCreated) and r.partition[0] == record.id]
    replication = len(created[0].replicas) if created else 0
    return TopicCreatedEvent(
        name=record.name, topic_id=record.id, partitions=len(created), replication=replication, cause=cause
    )


def _partition(image: MetadataImage, record: PartitionChanged, cause: str) -> list[Event]:
    before = image.partitions[Partition(*record.partition)]
    name = image.name(before.partition)
    events = _moves(name, before, record, cause)
    if record.unclean:
        unclean = UncleanElection(partition=name, leader=record.leader, leader_epoch=record.leader_epoch, cause=cause)
        events.append(unclean)
    elif record.leader != before.leader:
        events.append(
            PartitionLeaderChanged(
                partition=name,
                before=before.leader,
                leader=record.leader,
                leader_epoch=record.leader_epoch,
                cause=cause,
            )
        )
    if (set(record.isr), set(record.elr)) != (set(before.isr), set(before.elr)):
        isr, elr = list(record.isr), list(record.elr)
        events.append(IsrChanged(partition=name, before=list(before.isr), isr=isr, elr=elr, cause=cause))
    return events


def _moves(name: str, before: PartitionState, record: PartitionChanged, cause: str) -> list[Event]:
    replicas, target = record.replicas or list(before.replicas), record.target
    original = list(before.original)
    if target:
        if tuple(target) == before.target:
            return []
        return [PartitionMoving(partition=name, replicas=original, target=target, cause=cause)]
    if before.moving and replicas == original != list(before.target):
        return [MoveCancelled(partition=name, replicas=replicas, target=list(before.target), cause=cause)]
    if before.moving or replicas != original:
        return [PartitionMoved(partition=name, before=original, replicas=replicas, cause=cause)]
    return []
