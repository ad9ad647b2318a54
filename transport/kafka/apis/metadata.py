"""Metadata, DescribeTopicPartitions, DescribeCluster: brokers, topics, who leads what, as this broker has applied it.

A topic that is asked for and does not exist is created, if the client and the configuration allow it, with the
cluster's defaults. The answer waits until it has leaders; if that takes longer than a second the client is told
LEADER_NOT_AVAILABLE, which makes it ask again. Leader epochs never go back here, since they are those of the committed
metadata: clients ignore an older one for ever (KIP-320). An answer that would name a leader that may have died a moment
ago waits for what becomes of it (`departed.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from ....actors.client_commands import Command, MakeTopic
from ....actors.errors import ErrorCode
from ....actors.internal_topics import INTERNAL_TOPICS
from ....actors.metadata_state import PartitionState, TopicState
from ....actors.topics import name_problem
from ..departed import DOUBT_MS
from ..exchange import Exchange, Outcome
from ..messages.describe_cluster import DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse
from ..messages.describe_topic_partitions import (
    CursorResponse,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from ..messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from ..view import Standing, View, uuid_of
from ..wire import NO_UUID

CREATED_AT_ONCE = 50
"""Topics that one request may create; the others are LEADER_NOT_AVAILABLE, and the client asks again."""

PARTITIONS_AT_ONCE = 2_000
"""Of one answer to DescribeTopicPartitions, as in Kafka; the client goes on behind the last one."""

CREATION_MS = 1_000
"""How long the answer waits for the leaders of a new topic."""


async def metadata(request: MetadataRequest, exchange: Exchange) -> MetadataResponse:
    view = exchange.view
    if request.topics is None or (exchange.version == 0 and not request.topics):
        await _settled(view.image.topics.values(), exchange)
        topics = [_known(view, view.image.topics[topic]) for _, topic in sorted(view.image.topic_ids.items())]
    else:
        refusals = await _create_missing(request, exchange)
        named = [_found(view, wanted) for wanted in request.topics]
        await _settled([topic for topic in named if topic is not None], exchange)
        topics = [_topic(view, wanted, refusals) for wanted in request.topics]
    places = exchange.door.departed.listed(exchange.door.now)
    return MetadataResponse(
        brokers=[MetadataResponseBroker(*place) for place in places],
        cluster_id=view.cluster_id,
        controller_id=view.controller(),
        topics=topics,
    )


async def describe_cluster(request: DescribeClusterRequest, exchange: Exchange) -> DescribeClusterResponse:
    view = exchange.view
    if request.endpoint_type != 1:  # controllers are asked over ZeroMQ only
        return DescribeClusterResponse(
            error_code=ErrorCode.MISMATCHED_ENDPOINT_TYPE, error_message="Brokers listen here, not controllers."
        )
    brokers = [DescribeClusterBroker(*place) for place in view.brokers()]
    if request.include_fenced_brokers:
        brokers += [DescribeClusterBroker(*place, is_fenced=True) for place in view.fenced()]
    return DescribeClusterResponse(cluster_id=view.cluster_id, controller_id=view.controller(), brokers=brokers)


async def _settled(topics: Iterable[TopicState], exchange: Exchange) -> None:
    """Wait while one of these topics has a leader that may have died."""
    door = exchange.door
    doubted = door.departed.doubted(door.now)
    if doubted and any(state.leader in doubted for topic in topics for state in exchange.view.partitions(topic)):
        await exchange.until(lambda: doubted.isdisjoint(door.departed.doubted(door.now)), DOUBT_MS)


async def _create_missing(request: MetadataRequest, exchange: Exchange) -> dict[str, ErrorCode]:
    """Create the topics that do not exist and may be created; by name, why one is not there afterwards."""
    assert request.topics is not None, "topics are named"
    names = dict.fromkeys(topic.name or "" for topic in request.topics if topic.topic_id == NO_UUID)
    missing = [name for name in names if exchange.view.topic(name) is None]
    refusals = {
        name: ErrorCode.INVALID_TOPIC_EXCEPTION if name_problem(name) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        for name in missing
    }
    if not (exchange.door.limits.auto_create_topics_enable and request.allow_auto_topic_creation):
        return refusals
    wanted = [name for name in missing if not name_problem(name) and name not in INTERNAL_TOPICS]
    refusals.update(dict.fromkeys(wanted, ErrorCode.LEADER_NOT_AVAILABLE))
    making = wanted[:CREATED_AT_ONCE]
    outcomes = await exchange.commands([partial(_make, name) for name in making])
    for name, outcome in zip(making, outcomes, strict=True):
        refusals[name] = _why_not(outcome)
    return refusals


def _make(name: str, token: object) -> Command:
    return MakeTopic(token, name, timeout_ms=CREATION_MS)


def _why_not(outcome: Outcome) -> ErrorCode:
    """What is said of a topic that is not there. A retriable error: also of one that another client has made."""
    if outcome.failure is None or outcome.failure.error in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
        return ErrorCode.LEADER_NOT_AVAILABLE
    return outcome.failure.error


def _found(view: View, wanted: MetadataRequestTopic) -> TopicState | None:
    by_id = wanted.topic_id != NO_UUID  # the name is null then, or empty (Java)
    return view.topic_by_uuid(wanted.topic_id) if by_id else view.topic(wanted.name or "")


def _topic(view: View, wanted: MetadataRequestTopic, refusals: dict[str, ErrorCode]) -> MetadataResponseTopic:
    topic = _found(view, wanted)
    if topic is not None:
        return _known(view, topic)
    if wanted.topic_id != NO_UUID:
        return MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=wanted.topic_id)
    name = wanted.name or ""
    error = refusals.get(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return MetadataResponseTopic(error_code=error, name=name, topic_id=NO_UUID, is_internal=name in INTERNAL_TOPICS)


def _known(view: View, topic: TopicState) -> MetadataResponseTopic:
    standing = view.standing()
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=uuid_of(topic.id),
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=[_partition(standing, state) for state in view.partitions(topic)],
    )


def _partition(standing: Standing, state: PartitionState) -> MetadataResponsePartition:
    led = state.leader in standing.reachable
    hidden = not led and state.leader in standing.alive  # it leads, and does not listen to such clients
    error = ErrorCode.LISTENER_NOT_FOUND if hidden else ErrorCode.LEADER_NOT_AVAILABLE
    return MetadataResponsePartition(
        error_code=ErrorCode.NONE if led else error,
        partition_index=state.partition.index,
        leader_id=state.leader if led else -1,
        leader_epoch=state.leader_epoch,
        replica_nodes=list(state.replicas),
        isr_nodes=list(state.isr),
        offline_replicas=[broker for broker in state.replicas if broker not in standing.alive],
    )


async def describe_topic_partitions(
    request: DescribeTopicPartitionsRequest, exchange: Exchange
) -> DescribeTopicPartitionsResponse:
    """By name, piece by piece: topics in the order of their names, no more partitions than asked for (KIP-966)."""
    view = exchange.view
    names = sorted({topic.name for topic in request.topics} or set(view.image.topic_ids))
    cursor = request.cursor
    start = 0 if cursor is None else max(0, cursor.partition_index)
    if cursor is not None:
        names = [name for name in names if name >= cursor.topic_name]
        start = start if names[:1] == [cursor.topic_name] else 0
    left = min(max(1, request.response_partition_limit), PARTITIONS_AT_ONCE)
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    following: CursorResponse | None = None
    for name in names:
        if left <= 0:
            following = CursorResponse(name, 0)
            break
        topic = view.topic(name)
        if topic is None:
            error = ErrorCode.INVALID_TOPIC_EXCEPTION if name_problem(name) else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            topics.append(DescribeTopicPartitionsResponseTopic(error, name))
            continue
        states = view.partitions(topic)[start : start + left]
        standing = view.standing()
        places = [_described(standing, state) for state in states]
        internal = topic.name in INTERNAL_TOPICS
        topics.append(DescribeTopicPartitionsResponseTopic(0, topic.name, uuid_of(topic.id), internal, places))
        left -= len(states)
        if start + len(states) < topic.partitions:
            following = CursorResponse(name, start + len(states))
            break
        start = 0
    return DescribeTopicPartitionsResponse(topics=topics, next_cursor=following)


def _described(standing: Standing, state: PartitionState) -> DescribeTopicPartitionsResponsePartition:
    known = _partition(standing, state)
    return DescribeTopicPartitionsResponsePartition(
        error_code=known.error_code,
        partition_index=known.partition_index,
        leader_id=known.leader_id,
        leader_epoch=known.leader_epoch,
        replica_nodes=known.replica_nodes,
        isr_nodes=known.isr_nodes,
        eligible_leader_replicas=list(state.elr),
        last_known_elr=list(state.last_known_elr),
        offline_replicas=known.offline_replicas,
    )
