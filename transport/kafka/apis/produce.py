"""Produce: each batch goes to the broker as it came, a slice of the request's frame.

The broker checks and appends, and answers each batch when its producer may hear of it. With acks=0 nothing is ever
answered; if a batch fails then, the connection is closed, which is how Kafka makes such a client look for the leader.
Since KIP-951 a refusal says who leads now.
"""

from __future__ import annotations

from ....actors.errors import ErrorCode
from ....actors.internal_topics import INTERNAL_TOPICS
from ....actors.kernel import Payload
from ....actors.messages import Partition, Produce, ProduceBatch, Produced, ProducedBatch, TopicId
from ....storage.records import ZSTD
from ..exchange import BROKER, Exchange, Rejected
from ..messages.produce import (
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from ..view import View

HINTS_FROM = 10
"""The first version in which a refusal names the leader (KIP-951)."""

ZSTD_FROM = 7
"""The first version whose clients know zstd (KIP-110)."""

MAGIC_AT, ATTRIBUTES_AT = 16, 22  # bytes of a batch's header

_MOVED = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)
_TOLD = {  # what the broker says -> what Kafka says to producers
    ErrorCode.UNKNOWN_TOPIC_ID: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,  # they named it
    ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT: ErrorCode.INVALID_RECORD,
}


async def produce(request: ProduceRequest, exchange: Exchange) -> ProduceResponse | None:
    batches: list[ProduceBatch] = []
    answers: dict[tuple[str, int], ProducedBatch] = {}
    partitions: dict[tuple[str, int], Partition] = {}
    for topic in request.topic_data:
        known = exchange.view.topic(topic.name)
        for data in topic.partition_data:
            place = (topic.name, data.index)
            partition = Partition(TopicId("") if known is None else known.id, data.index)
            refusal = _refusal(request, topic, data, exchange.version)
            if place in partitions:
                refusal = ErrorCode.INVALID_RECORD  # a partition has exactly one batch
            partitions[place] = partition
            if refusal is not ErrorCode.NONE:
                answers[place] = ProducedBatch(partition, refusal)
            elif known is None or data.index >= known.partitions:
                answers[place] = ProducedBatch(partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            else:
                assert data.records is not None, "that would be refused"
                batches.append(ProduceBatch(partition, -1, Payload(data.records)))
    acks = request.acks or 1  # acks=0: a failure must be known here
    if batches:
        exchange.tell(BROKER, Produce(exchange.number, acks, request.timeout_ms, batches))
        told = await _told(exchange, len(batches))
        answers.update((place, told[partition]) for place, partition in partitions.items() if place not in answers)
    if request.acks == 0:
        _check_unanswered(answers)
        return None
    return _response(request, answers, exchange)


async def _told(exchange: Exchange, count: int) -> dict[Partition, ProducedBatch]:
    """The broker's answers to so many batches; it gives each as soon as it can."""
    told: dict[Partition, ProducedBatch] = {}
    while len(told) < count:
        answer = await exchange.answer(Produced)
        told.update((Partition(*batch.partition), batch) for batch in answer.batches)
    return told


def _refusal(request: ProduceRequest, topic: TopicProduceData, data: PartitionProduceData, version: int) -> ErrorCode:
    """What Kafka refuses before it looks for a leader."""
    records = data.records
    if request.acks not in (-1, 0, 1):
        return ErrorCode.INVALID_REQUIRED_ACKS
    if topic.name in INTERNAL_TOPICS:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    if records is None or len(records) <= ATTRIBUTES_AT or records[MAGIC_AT] != 2:
        return ErrorCode.INVALID_RECORD
    if version < ZSTD_FROM and records[ATTRIBUTES_AT] & 7 == ZSTD:
        return ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    return ErrorCode.NONE


def _check_unanswered(answers: dict[tuple[str, int], ProducedBatch]) -> None:
    for (topic, index), batch in answers.items():
        if batch.error is not ErrorCode.NONE:
            raise Rejected(f"acks=0 and {topic}-{index} answered {batch.error.name}")


def _response(
    request: ProduceRequest, answers: dict[tuple[str, int], ProducedBatch], exchange: Exchange
) -> ProduceResponse:
    hints = exchange.version >= HINTS_FROM
    leaders: dict[int, None] = {}
    topics = []
    for topic in request.topic_data:
        responses = []
        for data in topic.partition_data:
            batch = answers[topic.name, data.index]
            error = _TOLD.get(batch.error, batch.error)
            response = PartitionProduceResponse(
                data.index, error, batch.base_offset, -1, batch.log_start, error_message=batch.reason or None
            )
            if hints and error in _MOVED and batch.leader >= 0:
                response.current_leader = LeaderIdAndEpoch(batch.leader, batch.leader_epoch)
                leaders[batch.leader] = None
            responses.append(response)
        topics.append(TopicProduceResponse(topic.name, responses))
    return ProduceResponse(topics, node_endpoints=_endpoints(leaders, exchange.view))


def _endpoints(leaders: dict[int, None], view: View) -> list[NodeEndpoint]:
    return [NodeEndpoint(*place) for leader in leaders if (place := view.place(leader)) is not None]
