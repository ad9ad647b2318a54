"""From decisions to events: what a batch of metadata records changes, told to people.

The active controller narrates each decision of its own once, when it is committed, with the cause that it knew.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    BrokerFenced,
    BrokerRegistered,
    BrokerStopping,
    BrokerUnfenced,
    ClusterDefaults,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    TopicCreated,
    TopicDeleted,
)


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
            case _:
                pass
    return events


def _topic(record: TopicCreated, records: Sequence[MetadataRecord], cause: str) -> Event:
    created = [r for r in records if isinstance(r, PartitionCreated) and r.partition[0] == record.id]
    replication = len(created[0].replicas) if created else 0
    return TopicCreatedEvent(
        name=record.name, topic_id=record.id, partitions=len(created), replication=replication, cause=cause
    )


def _partition(image: MetadataImage, record: PartitionChanged, cause: str) -> list[Event]:
    before = image.partitions[Partition(*record.partition)]
    name = image.name(before.partition)
    events: list[Event] = []
    if record.leader != before.leader:
        events.append(
            PartitionLeaderChanged(
                partition=name,
                before=before.leader,
                leader=record.leader,
                leader_epoch=record.leader_epoch,
                cause=cause,
            )
        )
    if (tuple(record.isr), tuple(record.elr)) != (before.isr, before.elr):
        isr, elr = list(record.isr), list(record.elr)
        events.append(IsrChanged(partition=name, before=list(before.isr), isr=isr, elr=elr, cause=cause))
    return events
