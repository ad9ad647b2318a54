"""Questions about metadata, answered from an image: at controllers from the log too, at brokers from the image alone.

`MetadataSource` answers `FetchMetadata`: a range of the log, cut at whole batches near 1 MiB, or, below the log's
start, a snapshot in pieces of 1 MiB. The pieces of one snapshot are named by its end; one that is no longer held
begins again with the one that is. The functions answer what any broker may be asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..storage.records import iter_headers
from .errors import ErrorCode
from .internal_topics import INTERNAL_TOPICS
from .kernel import Payload
from .messages import (
    BrokerPicture,
    BrokerPlace,
    Describe,
    Described,
    FetchLeadership,
    FetchMetadata,
    Leadership,
    MetadataRange,
    MetadataSnapshot,
    PartitionLeader,
    PartitionPicture,
    TopicName,
    TopicPicture,
)
from .metadata import MetadataImage
from .metadata_state import PartitionState, TopicState

PIECE = 1 << 20


class CommittedLog(Protocol):
    """What is read of the metadata log."""

    hw: int
    leader: int

    @property
    def log_start(self) -> int: ...
    def read(self, offset: int, max_bytes: int) -> bytes: ...


class MetadataSource:
    """A controller's answers to `FetchMetadata`."""

    def __init__(self, cluster_id: str, image: MetadataImage, log: CommittedLog) -> None:
        self._cluster_id = cluster_id
        self._image = image
        self._log = log
        self._snapshot: tuple[int, int, bytes] | None = None  # end, epoch, bytes: the one that is being handed out

    def answer(self, request: FetchMetadata) -> MetadataRange | MetadataSnapshot:
        """The next piece of what was asked for."""
        if request.cluster_id != self._cluster_id:
            return self._range(request, ErrorCode.INCONSISTENT_CLUSTER_ID, request.offset, None)
        if request.offset < 0 or request.position < 0:
            return self._range(request, ErrorCode.INVALID_REQUEST, request.offset, None)
        if request.offset < self._log.log_start or (request.snapshot_end and self._holds(request.snapshot_end)):
            return self._piece(request)
        data = self._log.read(request.offset, PIECE) if request.offset < self._log.hw else b""
        end = request.offset
        for _, header in iter_headers(data):
            end = header.next_offset
        return self._range(request, ErrorCode.NONE, end, data or None)

    def _range(self, request: FetchMetadata, error: ErrorCode, end: int, data: bytes | None) -> MetadataRange:
        return MetadataRange(
            id=request.id,
            error=error,
            controller_epoch=self._image.controller_epoch,
            leader=self._log.leader,
            offset=request.offset,
            end=end,
            committed=max(self._log.hw, self._image.end),
            records=None if data is None else Payload(data),
        )

    def _holds(self, end: int) -> bool:
        return self._snapshot is not None and self._snapshot[0] == end

    def _piece(self, request: FetchMetadata) -> MetadataSnapshot:
        position = request.position if self._holds(request.snapshot_end) else 0
        if self._snapshot is None or (position == 0 and self._snapshot[0] < self._log.log_start):
            self._snapshot = (self._image.end, self._image.controller_epoch, self._image.to_snapshot())
        end, epoch, data = self._snapshot
        piece = Payload(data[position : position + PIECE])
        return MetadataSnapshot(request.id, epoch, self._log.leader, end, position, len(data), piece)


def leadership(
    image: MetadataImage,
    request: FetchLeadership,
    cluster_id: str,
    controllers: Mapping[int, str],
    broadcasts: Sequence[str],
) -> Leadership:
    """The digest for clients, as this image has it. `controllers`: id to endpoint."""
    topics = _topics(image, request.topics)
    leaders = [
        PartitionLeader(state.partition, state.leader, state.leader_epoch)
        for topic in topics
        for state in image.partitions_of(topic.id)
    ]
    return Leadership(
        id=request.id,
        error=ErrorCode.NONE,
        cluster_id=cluster_id,
        offset=image.end,
        brokers=[BrokerPlace(broker, image.brokers[broker].endpoint) for broker in sorted(image.brokers)],
        topics=[TopicName(topic.id, topic.name, topic.partitions) for topic in topics],
        leaders=leaders,
        controllers=[BrokerPlace(controller, controllers[controller]) for controller in sorted(controllers)],
        controller=image.controller,
        broadcasts=list(broadcasts),
    )


def describe(image: MetadataImage, request: Describe, cluster_id: str) -> Described:
    """The picture of the cluster, as this image has it. Topics that do not exist are left out."""
    return Described(
        id=request.id,
        error=ErrorCode.NONE,
        cluster_id=cluster_id,
        offset=image.end,
        controller=image.controller,
        controller_epoch=image.controller_epoch,
        brokers=[
            BrokerPicture(
                state.id,
                state.endpoint,
                state.rack,
                state.epoch,
                state.fenced,
                state.stopping,
                state.listeners,
                state.draining,
            )
            for _, state in sorted(image.brokers.items())
        ],
        topics=[_topic(image, topic) for topic in _topics(image, request.names)],
    )


def _topics(image: MetadataImage, names: Sequence[str] | None) -> list[TopicState]:
    wanted = sorted(image.topic_ids) if names is None else list(dict.fromkeys(names))
    return [image.topics[image.topic_ids[name]] for name in wanted if name in image.topic_ids]


def _topic(image: MetadataImage, topic: TopicState) -> TopicPicture:
    partitions = [_partition(state) for state in image.partitions_of(topic.id)]
    configs = image.configs(topic.id).all()
    return TopicPicture(topic.id, topic.name, configs, partitions, topic.name in INTERNAL_TOPICS)


def _partition(state: PartitionState) -> PartitionPicture:
    return PartitionPicture(
        index=state.partition.index,
        replicas=list(state.replicas),
        isr=list(state.isr),
        elr=list(state.elr),
        leader=state.leader,
        leader_epoch=state.leader_epoch,
        partition_epoch=state.partition_epoch,
        target=list(state.target),
        adding=list(state.adding),
    )
