"""OffsetCommit, OffsetFetch, OffsetDelete: how far a group has read.

Kafka's clients name topics, the coordinator knows their ids: a topic that was deleted and made again has no offsets.
A negative offset is committed to have none: kafkajs resets groups in this way (-2, -1), so that their members begin
where `fromBeginning` says. Kafka keeps the number; here the offset goes, and clients, which take both alike, read -1.
"""

from __future__ import annotations

from ....actors.errors import ErrorCode
from ....actors.messages import Partition
from ....actors.offset_messages import (
    CommitOffsets,
    CommittedOffset,
    DeleteOffsets,
    FetchOffsets,
    NewOffset,
    OffsetsCommitted,
    OffsetsDeleted,
    OffsetsFetched,
)
from ..exchange import GROUPS, Exchange
from ..messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from ..messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from ..messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from ..view import View
from .classic_groups import ANY_TERM

MANY_FROM = 8
"""The first version of OffsetFetch that asks for several groups at once (KIP-709)."""

ERROR_FROM = 2
"""The first version of OffsetFetch with an error of its own beside those of partitions."""

UNKNOWN = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


async def offset_commit(request: OffsetCommitRequest, exchange: Exchange) -> OffsetCommitResponse:
    offsets: list[NewOffset] = []
    for topic in request.topics:
        for asked in topic.partitions:
            partition = _known(exchange.view, topic.name, asked.partition_index)
            if partition is not None:
                metadata = asked.committed_metadata or ""
                offset, epoch = asked.committed_offset, asked.committed_leader_epoch
                offsets.append(NewOffset(partition, offset, epoch, metadata, forget=offset < 0))
    outcomes: dict[Partition, ErrorCode] = {}
    error = ErrorCode.NONE
    if offsets or not request.topics:
        commit = CommitOffsets(
            id=exchange.number,
            group=request.group_id,
            leader_epoch=ANY_TERM,
            member=request.member_id,
            epoch=request.generation_id_or_member_epoch,
            offsets=offsets,
            instance=request.group_instance_id or "",
        )
        answer = await exchange.ask(GROUPS, commit, OffsetsCommitted)
        error = answer.error
        outcomes = {Partition(*outcome.partition): outcome.error for outcome in answer.partitions}

    def outcome(name: str, index: int) -> ErrorCode:
        partition = _known(exchange.view, name, index)
        if partition is None:
            return UNKNOWN
        return error if error is not ErrorCode.NONE else outcomes.get(partition, UNKNOWN)

    return OffsetCommitResponse(
        topics=[
            OffsetCommitResponseTopic(
                topic.name,
                [
                    OffsetCommitResponsePartition(asked.partition_index, outcome(topic.name, asked.partition_index))
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


async def offset_fetch(request: OffsetFetchRequest, exchange: Exchange) -> OffsetFetchResponse:
    if exchange.version >= MANY_FROM:
        return OffsetFetchResponse(groups=await _fetch(request.groups, request.require_stable, exchange))
    topics = request.topics
    named = None if topics is None else [OffsetFetchRequestTopics(t.name, t.partition_indexes) for t in topics]
    [group] = await _fetch([OffsetFetchRequestGroup(request.group_id, topics=named)], request.require_stable, exchange)
    if exchange.version < ERROR_FROM and group.error_code != ErrorCode.NONE:
        refused = OffsetFetchResponsePartitions(0, -1, error_code=group.error_code)
        group.topics = [_each(topic, refused) for topic in named or ()]
    return OffsetFetchResponse(error_code=group.error_code, topics=[_old(topic) for topic in group.topics])


async def _fetch(
    groups: list[OffsetFetchRequestGroup], require_stable: bool, exchange: Exchange
) -> list[OffsetFetchResponseGroup]:
    view = exchange.view
    asked = [
        FetchOffsets(
            id=place,
            group=group.group_id,
            leader_epoch=ANY_TERM,
            partitions=None if group.topics is None else _wanted(view, group.topics),
            member=group.member_id or "",
            epoch=group.member_epoch,
            require_stable=require_stable,
        )
        for place, group in enumerate(groups)
    ]
    answers = await exchange.ask_each(GROUPS, asked, OffsetsFetched)
    return [_fetched(view, group, answer) for group, answer in zip(groups, answers, strict=True)]


def _wanted(view: View, topics: list[OffsetFetchRequestTopics]) -> list[Partition]:
    places = [_known(view, topic.name, index) for topic in topics for index in topic.partition_indexes]
    return [place for place in places if place is not None]


def _fetched(view: View, group: OffsetFetchRequestGroup, answer: OffsetsFetched) -> OffsetFetchResponseGroup:
    """A partition without an offset has -1, and is no error, whether it exists or not."""
    if answer.error is not ErrorCode.NONE:
        return OffsetFetchResponseGroup(group.group_id, [], answer.error)
    found = {Partition(*offset.partition): offset for offset in answer.offsets}
    topics = []
    if group.topics is None:
        by_name: dict[str, list[CommittedOffset]] = {}
        for partition in sorted(found):
            topic = view.image.topics.get(partition.topic)
            if topic is not None:
                by_name.setdefault(topic.name, []).append(found[partition])
        topics = [
            OffsetFetchResponseTopics(name, [_offset(o.partition.index, o) for o in offsets])
            for name, offsets in sorted(by_name.items())
        ]
    else:
        for wanted in group.topics:
            places = [(index, _known(view, wanted.name, index)) for index in wanted.partition_indexes]
            partitions = [_offset(index, None if place is None else found.get(place)) for index, place in places]
            topics.append(OffsetFetchResponseTopics(wanted.name, partitions))
    return OffsetFetchResponseGroup(group.group_id, topics, ErrorCode.NONE)


def _offset(index: int, offset: CommittedOffset | None) -> OffsetFetchResponsePartitions:
    if offset is None:
        return OffsetFetchResponsePartitions(index, -1)
    return OffsetFetchResponsePartitions(index, offset.offset, offset.leader_epoch, offset.metadata, offset.error)


def _each(topic: OffsetFetchRequestTopics, same: OffsetFetchResponsePartitions) -> OffsetFetchResponseTopics:
    partitions = [
        OffsetFetchResponsePartitions(index, same.committed_offset, error_code=same.error_code)
        for index in topic.partition_indexes
    ]
    return OffsetFetchResponseTopics(topic.name, partitions)


def _old(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic:
    """As the versions for one group have it."""
    partitions = [
        OffsetFetchResponsePartition(
            p.partition_index, p.committed_offset, p.committed_leader_epoch, p.metadata, p.error_code
        )
        for p in topic.partitions
    ]
    return OffsetFetchResponseTopic(topic.name, partitions)


async def offset_delete(request: OffsetDeleteRequest, exchange: Exchange) -> OffsetDeleteResponse:
    view = exchange.view
    wanted = [_known(view, topic.name, asked.partition_index) for topic in request.topics for asked in topic.partitions]
    partitions = [partition for partition in wanted if partition is not None]
    asked_for = DeleteOffsets(exchange.number, request.group_id, ANY_TERM, partitions)
    answer = await exchange.ask(GROUPS, asked_for, OffsetsDeleted)
    if answer.error is not ErrorCode.NONE:
        return OffsetDeleteResponse(answer.error)
    outcomes = {Partition(*outcome.partition): outcome.error for outcome in answer.partitions}

    def outcome(name: str, index: int) -> ErrorCode:
        partition = _known(view, name, index)
        return UNKNOWN if partition is None else outcomes.get(partition, UNKNOWN)

    return OffsetDeleteResponse(
        topics=[
            OffsetDeleteResponseTopic(
                topic.name,
                [
                    OffsetDeleteResponsePartition(asked.partition_index, outcome(topic.name, asked.partition_index))
                    for asked in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )


def _known(view: View, name: str, index: int) -> Partition | None:
    topic = view.topic(name)
    return None if topic is None or not 0 <= index < topic.partitions else Partition(topic.id, index)
