"""ListOffsets and OffsetForLeaderEpoch: where a partition begins and ends, which record is the first of a time, and
where a leader epoch ended."""

from __future__ import annotations

from ....actors.errors import ErrorCode
from ....actors.messages import (
    EARLIEST,
    LATEST,
    NEWEST,
    EpochEndsFound,
    EpochQuery,
    FindEpochEnds,
    FindOffsets,
    FoundEpochEnd,
    FoundOffset,
    OffsetQuery,
    OffsetsFound,
    Partition,
)
from ..exchange import BROKER, Exchange
from ..messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from ..messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderTopicResult,
)

EARLIEST_LOCAL, LATEST_TIERED = -4, -5
"""Kafka's words for logs that lie elsewhere in part; these never do, so all is local and nothing is tiered."""

_ASKED = {LATEST: LATEST, EARLIEST: EARLIEST, NEWEST: NEWEST, EARLIEST_LOCAL: EARLIEST}
_SINCE = {NEWEST: 7, EARLIEST_LOCAL: 8, LATEST_TIERED: 9}  # versions


async def list_offsets(request: ListOffsetsRequest, exchange: Exchange) -> ListOffsetsResponse:
    queries: list[OffsetQuery] = []
    topics: list[ListOffsetsTopicResponse] = []
    waiting: list[ListOffsetsPartitionResponse] = []  # one per query
    for topic in request.topics:
        known = exchange.view.topic(topic.name)
        partitions = []
        for asked in topic.partitions:
            place = ListOffsetsPartitionResponse(asked.partition_index)
            partitions.append(place)
            if known is None or not 0 <= asked.partition_index < known.partitions:
                place.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            elif not _speakable(asked, exchange.version):
                place.error_code = ErrorCode.UNSUPPORTED_VERSION
            elif asked.timestamp != LATEST_TIERED:  # nothing is tiered: offset -1
                partition = Partition(known.id, asked.partition_index)
                timestamp = _ASKED.get(asked.timestamp, asked.timestamp)
                queries.append(OffsetQuery(partition, asked.current_leader_epoch, timestamp))
                waiting.append(place)
        topics.append(ListOffsetsTopicResponse(topic.name, partitions))
    if queries:
        found = await exchange.ask(BROKER, FindOffsets(exchange.number, queries), OffsetsFound)
        for place, answer in zip(waiting, found.offsets, strict=True):
            _fill(place, answer)
    return ListOffsetsResponse(topics=topics)


def _speakable(asked: ListOffsetsPartition, version: int) -> bool:
    """Whether the version has a word for what is asked."""
    return asked.timestamp >= LATEST_TIERED and version >= _SINCE.get(asked.timestamp, 0)


def _fill(place: ListOffsetsPartitionResponse, answer: FoundOffset) -> None:
    place.error_code = _named(answer.error)
    if answer.error is ErrorCode.NONE:
        place.timestamp, place.offset, place.leader_epoch = answer.timestamp, answer.offset, answer.epoch


async def offset_for_leader_epoch(
    request: OffsetForLeaderEpochRequest, exchange: Exchange
) -> OffsetForLeaderEpochResponse:
    queries: list[EpochQuery] = []
    topics: list[OffsetForLeaderTopicResult] = []
    waiting: list[EpochEndOffset] = []
    for topic in request.topics:
        known = exchange.view.topic(topic.topic)
        partitions = []
        for asked in topic.partitions:
            place = EpochEndOffset(partition=asked.partition)
            partitions.append(place)
            if known is None or not 0 <= asked.partition < known.partitions:
                place.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                continue
            partition = Partition(known.id, asked.partition)
            queries.append(EpochQuery(partition, asked.current_leader_epoch, asked.leader_epoch))
            waiting.append(place)
        topics.append(OffsetForLeaderTopicResult(topic.topic, partitions))
    if queries:
        found = await exchange.ask(BROKER, FindEpochEnds(exchange.number, queries), EpochEndsFound)
        for place, answer in zip(waiting, found.ends, strict=True):
            _fill_end(place, answer)
    return OffsetForLeaderEpochResponse(topics=topics)


def _fill_end(place: EpochEndOffset, answer: FoundEpochEnd) -> None:
    place.error_code = _named(answer.error)
    place.leader_epoch, place.end_offset = answer.epoch, answer.end


def _named(error: ErrorCode) -> ErrorCode:
    """The error for who named the topic, which may have been deleted meanwhile."""
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if error is ErrorCode.UNKNOWN_TOPIC_ID else error
