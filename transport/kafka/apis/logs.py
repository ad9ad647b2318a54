"""DeleteRecords and DescribeLogDirs: what a broker's own logs hold, and from where on."""

from __future__ import annotations

from ....actors.admin_messages import DescribeLogs, LogsDescribed
from ....actors.delete_records_messages import DeletedPartition, DeletePartition, DeleteRecords, RecordsDeleted
from ....actors.errors import ErrorCode
from ....actors.messages import Partition
from ..exchange import BROKER, Exchange
from ..messages.delete_records import (
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from ..messages.describe_log_dirs import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)


async def delete_records(request: DeleteRecordsRequest, exchange: Exchange) -> DeleteRecordsResponse:
    """Asked of the partitions' leader; answered when all replicas that are up begin there, or the time is over."""
    view = exchange.view
    wanted: dict[Partition, int] = {}
    for topic in request.topics:
        known = view.topic(topic.name)
        for asked in topic.partitions:
            if known is not None and 0 <= asked.partition_index < known.partitions:
                wanted[Partition(known.id, asked.partition_index)] = asked.offset
    told: dict[Partition, DeletedPartition] = {}
    if wanted:
        partitions = [DeletePartition(partition, -1, offset) for partition, offset in wanted.items()]
        exchange.tell(BROKER, DeleteRecords(exchange.number, max(request.timeout_ms, 0), partitions))
    while len(told) < len(wanted):
        answer = await exchange.answer(RecordsDeleted)
        told.update((Partition(*deleted.partition), deleted) for deleted in answer.partitions)

    def result(name: str, index: int) -> DeleteRecordsPartitionResult:
        known = view.topic(name)
        deleted = None if known is None else told.get(Partition(known.id, index))
        if deleted is None or deleted.error is ErrorCode.UNKNOWN_TOPIC_ID:
            return DeleteRecordsPartitionResult(index, -1, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return DeleteRecordsPartitionResult(index, deleted.log_start, deleted.error)

    topics = [
        DeleteRecordsTopicResult(topic.name, [result(topic.name, asked.partition_index) for asked in topic.partitions])
        for topic in request.topics
    ]
    return DeleteRecordsResponse(topics=topics)


async def describe_log_dirs(request: DescribeLogDirsRequest, exchange: Exchange) -> DescribeLogDirsResponse:
    """This broker's one data directory. The lag is what a copy lacks of what is committed, as far as it knows."""
    view = exchange.view
    wanted = None
    if request.topics is not None:
        named = [(view.topic(topic.topic), topic.partitions) for topic in request.topics]
        wanted = [Partition(topic.id, index) for topic, indexes in named if topic is not None for index in indexes]
    found = await exchange.ask(BROKER, DescribeLogs(exchange.number, wanted), LogsDescribed)
    topics: dict[str, list[DescribeLogDirsPartition]] = {}
    for log in found.logs:
        topic = view.image.topics.get(log.partition.topic)
        if topic is not None:
            place = DescribeLogDirsPartition(log.partition.index, log.size, max(0, log.hw - log.end))
            topics.setdefault(topic.name, []).append(place)
    total, usable = view.space()
    result = DescribeLogDirsResult(
        found.error,
        view.directory,
        [DescribeLogDirsTopic(name, places) for name, places in sorted(topics.items())],
        total,
        usable,
    )
    return DescribeLogDirsResponse(results=[result])
