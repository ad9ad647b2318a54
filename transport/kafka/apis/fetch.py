"""Fetch: committed records as the log has them, waited for at the broker.

Every fetch is a full one: sessions (KIP-227) are refused with session id 0, which all clients accept, so every
partition that was asked for is answered. Topics are named up to version 12, and are ids from version 13 on; the answer
has the form of the question. Without transactions everything below the high watermark is stable, and nothing aborted.
"""

from __future__ import annotations

from typing import NamedTuple

from ....actors.errors import ErrorCode
from ....actors.messages import Consume, Consumed, ConsumedPartition, ConsumePartition, Partition
from ..exchange import BROKER, Exchange
from ..messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)

IDS_FROM = 13
"""The first version that names topics by their ids."""

HINTS_FROM = 16
"""The first version in which a refusal names the leader (KIP-951)."""

READ_COMMITTED = 1

_MOVED = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


class _Wanted(NamedTuple):
    """One partition of the request: why it cannot be read, or the number of the answer."""

    asked: FetchPartition
    error: ErrorCode
    number: int


async def fetch(request: FetchRequest, exchange: Exchange) -> FetchResponse:
    if request.session_id != 0:
        return FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    by_id = exchange.version >= IDS_FROM
    view = exchange.view
    parts: list[ConsumePartition] = []
    wanted: list[list[_Wanted]] = []
    failed = False
    for topic in request.topics:
        known = view.topic_by_uuid(topic.topic_id) if by_id else view.topic(topic.topic)
        unknown = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        places: list[_Wanted] = []
        wanted.append(places)
        for asked in topic.partitions:
            if known is None or not 0 <= asked.partition < known.partitions:
                error = unknown if known is None else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
                places.append(_Wanted(asked, error, -1))
                failed = True
                continue
            places.append(_Wanted(asked, ErrorCode.NONE, len(parts)))
            partition = Partition(known.id, asked.partition)
            most = max(0, asked.partition_max_bytes)
            parts.append(ConsumePartition(partition, asked.current_leader_epoch, asked.fetch_offset, most))
    answers: list[ConsumedPartition] = []
    if parts:
        wait = 0 if failed or request.min_bytes <= 0 else max(0, request.max_wait_ms)
        most = max(0, min(request.max_bytes, exchange.door.limits.fetch_max_bytes))
        consume = Consume(exchange.number, wait, request.min_bytes, most, parts)
        answers = (await exchange.ask(BROKER, consume, Consumed)).partitions
    return _response(request, wanted, answers, exchange)


def _response(
    request: FetchRequest, wanted: list[list[_Wanted]], answers: list[ConsumedPartition], exchange: Exchange
) -> FetchResponse:
    leaders: dict[int, None] = {}
    hints = exchange.version >= HINTS_FROM
    aborted = request.isolation_level == READ_COMMITTED
    topics = []
    for topic, places in zip(request.topics, wanted, strict=True):
        partitions = []
        for asked, error, number in places:
            if number < 0:
                partitions.append(_refused(asked, error))
                continue
            found = answers[number]
            if found.error is not ErrorCode.NONE:
                refused = _refused(asked, found.error if topic.topic == "" else _named(found.error))
                if hints and found.error in _MOVED and found.leader >= 0:
                    refused.current_leader = LeaderIdAndEpoch(found.leader, found.leader_epoch)
                    leaders[found.leader] = None
                partitions.append(refused)
                continue
            partitions.append(
                PartitionData(
                    asked.partition,
                    ErrorCode.NONE,
                    found.served,
                    found.served,
                    found.log_start,
                    aborted_transactions=[] if aborted else None,
                    records=b"" if found.records is None else found.records.data,
                )
            )
        topics.append(FetchableTopicResponse(topic.topic, topic.topic_id, partitions))
    places_of = [place for leader in leaders if (place := exchange.view.place(leader)) is not None]
    return FetchResponse(responses=topics, node_endpoints=[NodeEndpoint(*place) for place in places_of])


def _named(error: ErrorCode) -> ErrorCode:
    """The error for who named the topic, which may have been deleted meanwhile."""
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if error is ErrorCode.UNKNOWN_TOPIC_ID else error


def _refused(asked: FetchPartition, error: ErrorCode) -> PartitionData:
    return PartitionData(asked.partition, error, -1, -1, -1, aborted_transactions=None)
