"""The active controller speaks: committed metadata for brokers (chain M), its digest for clients (chain L) (D26).

A frame names the metadata offset that it brings one to and the previous frame's, so whoever misses one knows. A
heartbeat frame tells the same to those who missed the last one: it repeats where each chain is and moves neither.

How to follow M: apply a frame if `previous` is one's own end. How to follow L: a frame holds the new state of what
changed, whole, so it is safe to apply whenever `previous` is not beyond what one knows; then one knows everything up
to `offset`. Most decisions change nothing for clients; L has no frame for those, and its next one names the last.

Only what is committed is published (R10), and by the active controller only; whoever hears two follows the higher
controller epoch.
"""

from __future__ import annotations

from collections.abc import Sequence

from .kernel import Context, Payload
from .messages import (
    TOPIC_LEADERSHIP,
    TOPIC_METADATA,
    BrokerPlace,
    LeadershipUpdate,
    MetadataUpdate,
    Partition,
    PartitionLeader,
    TopicId,
    TopicName,
)
from .metadata import MetadataImage
from .metadata_records import BrokerRegistered, MetadataRecord, PartitionChanged, PartitionCreated, TopicDeleted


class Publisher:
    """Both chains of one controller in one epoch, beginning at `start`: where the log ended when it was elected.

    So whoever knew everything before the election applies the first frame, and need not ask.
    """

    def __init__(self, cluster_id: str, controller: int, epoch: int, image: MetadataImage, start: int) -> None:
        self._cluster_id = cluster_id
        self._controller = controller
        self._epoch = epoch
        self._image = image
        self._metadata = start
        self._leadership = start

    def heartbeat(self, ctx: Context) -> None:
        """Say where the chains are."""
        self._say_metadata(self._metadata, None, ctx)
        ctx.publish(TOPIC_LEADERSHIP, self._frame(self._leadership))

    def applied(self, data: bytes, records: Sequence[MetadataRecord], ctx: Context) -> None:
        """These batches, whole, have just been applied to the image."""
        self._say_metadata(self._image.end, data, ctx)
        self._metadata = self._image.end
        frame = self._digest(records)
        if frame is not None:
            ctx.publish(TOPIC_LEADERSHIP, frame)
            self._leadership = self._image.end

    def _say_metadata(self, end: int, data: bytes | None, ctx: Context) -> None:
        payload = None if data is None else Payload(data)
        update = MetadataUpdate(self._cluster_id, self._controller, self._epoch, self._metadata, end, payload)
        ctx.publish(TOPIC_METADATA, update)

    def _frame(self, offset: int) -> LeadershipUpdate:
        return LeadershipUpdate(self._cluster_id, self._controller, self._epoch, self._leadership, offset)

    def _digest(self, records: Sequence[MetadataRecord]) -> LeadershipUpdate | None:
        """What these records change for clients, as it is now; None if nothing."""
        image = self._image
        brokers: dict[int, None] = {}
        topics: dict[TopicId, None] = {}
        changed: dict[Partition, None] = {}
        deleted: list[TopicId] = []
        for record in records:
            match record:
                case PartitionChanged(partition=partition) if Partition(*partition) in image.partitions:
                    changed[Partition(*partition)] = None
                case PartitionCreated(partition=partition) if Partition(*partition) in image.partitions:
                    changed[Partition(*partition)] = None
                    topics[partition[0]] = None
                case TopicDeleted(id=topic_id):
                    deleted.append(topic_id)
                case BrokerRegistered(broker=broker):
                    brokers[broker] = None
                case _:
                    pass
        leaders = [
            PartitionLeader(partition, image.partitions[partition].leader, image.partitions[partition].leader_epoch)
            for partition in changed
        ]
        if not (brokers or topics or leaders or deleted):
            return None
        brokers.update((leader.leader, None) for leader in leaders if leader.leader != -1)
        frame = self._frame(image.end)
        return LeadershipUpdate(
            *(frame.cluster_id, frame.controller, frame.controller_epoch, frame.previous, frame.offset),
            brokers=[BrokerPlace(broker, image.brokers[broker].endpoint) for broker in sorted(brokers)],
            topics=[
                TopicName(topic.id, topic.name, topic.partitions) for topic in map(image.topics.__getitem__, topics)
            ],
            leaders=leaders,
            deleted=deleted,
        )
