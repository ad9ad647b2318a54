"""Kafka's DescribeTopicPartitions (API key 75), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import NO_UUID, Reader, Schema, Writer

KEY = 75
FLEXIBLE_FROM: int | None = 0


class TopicRequest(Schema):
    name: str = ""


class Cursor(Schema):
    topic_name: str = ""
    partition_index: int = 0


class DescribeTopicPartitionsRequest(Schema):
    topics: list[TopicRequest] = []
    response_partition_limit: int = 2000
    cursor: Cursor | None = None


def _read_topic_request(r: Reader, version: int) -> TopicRequest:
    value = TopicRequest()
    value.name = r.string()
    r.tags()
    return value


def _write_topic_request(w: Writer, value: TopicRequest, version: int) -> None:
    w.string(value.name)
    w.tags()


def _read_cursor(r: Reader, version: int) -> Cursor:
    value = Cursor()
    value.topic_name = r.string()
    value.partition_index = r.int32()
    r.tags()
    return value


def _write_cursor(w: Writer, value: Cursor, version: int) -> None:
    w.string(value.topic_name)
    w.int32(value.partition_index)
    w.tags()


def read_request(r: Reader, version: int) -> DescribeTopicPartitionsRequest:
    value = DescribeTopicPartitionsRequest()
    value.topics = r.array(1, _read_topic_request, version)
    value.response_partition_limit = r.int32()
    value.cursor = _read_cursor(r, version) if r.present() else None
    r.tags()
    return value


def write_request(w: Writer, value: DescribeTopicPartitionsRequest, version: int) -> None:
    w.array(value.topics, _write_topic_request, version)
    w.int32(value.response_partition_limit)
    w.present(value.cursor)
    if value.cursor is not None:
        _write_cursor(w, value.cursor, version)
    w.tags()


class DescribeTopicPartitionsResponsePartition(Schema):
    error_code: int = 0
    partition_index: int = 0
    leader_id: int = 0
    leader_epoch: int = -1
    replica_nodes: list[int] = []
    isr_nodes: list[int] = []
    eligible_leader_replicas: list[int] | None = None
    last_known_elr: list[int] | None = None
    offline_replicas: list[int] = []


class DescribeTopicPartitionsResponseTopic(Schema):
    error_code: int = 0
    name: str | None = ""
    topic_id: bytes = NO_UUID
    is_internal: bool = False
    partitions: list[DescribeTopicPartitionsResponsePartition] = []
    topic_authorized_operations: int = -2147483648


class CursorResponse(Schema):
    topic_name: str = ""
    partition_index: int = 0


class DescribeTopicPartitionsResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    next_cursor: CursorResponse | None = None


def _read_describe_topic_partitions_response_partition(
    r: Reader, version: int
) -> DescribeTopicPartitionsResponsePartition:
    value = DescribeTopicPartitionsResponsePartition()
    value.error_code = r.int16()
    value.partition_index = r.int32()
    value.leader_id = r.int32()
    value.leader_epoch = r.int32()
    value.replica_nodes = r.values(4, Reader.int32)
    value.isr_nodes = r.values(4, Reader.int32)
    value.eligible_leader_replicas = r.nullable_values(4, Reader.int32)
    value.last_known_elr = r.nullable_values(4, Reader.int32)
    value.offline_replicas = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_describe_topic_partitions_response_partition(
    w: Writer, value: DescribeTopicPartitionsResponsePartition, version: int
) -> None:
    w.int16(value.error_code)
    w.int32(value.partition_index)
    w.int32(value.leader_id)
    w.int32(value.leader_epoch)
    w.values(value.replica_nodes, Writer.int32)
    w.values(value.isr_nodes, Writer.int32)
    w.nullable_values(value.eligible_leader_replicas, Writer.int32)
    w.nullable_values(value.last_known_elr, Writer.int32)
    w.values(value.offline_replicas, Writer.int32)
    w.tags()


def _read_describe_topic_partitions_response_topic(r: Reader, version: int) -> DescribeTopicPartitionsResponseTopic:
    value = DescribeTopicPartitionsResponseTopic()
    value.error_code = r.int16()
    value.name = r.nullable_string()
    value.topic_id = r.uuid()
    value.is_internal = r.boolean()
    value.partitions = r.array(19, _read_describe_topic_partitions_response_partition, version)
    value.topic_authorized_operations = r.int32()
    r.tags()
    return value


def _write_describe_topic_partitions_response_topic(
    w: Writer, value: DescribeTopicPartitionsResponseTopic, version: int
) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.name)
    w.uuid(value.topic_id)
    w.boolean(value.is_internal)
    w.array(value.partitions, _write_describe_topic_partitions_response_partition, version)
    w.int32(value.topic_authorized_operations)
    w.tags()


def _read_cursor_response(r: Reader, version: int) -> CursorResponse:
    value = CursorResponse()
    value.topic_name = r.string()
    value.partition_index = r.int32()
    r.tags()
    return value


def _write_cursor_response(w: Writer, value: CursorResponse, version: int) -> None:
    w.string(value.topic_name)
    w.int32(value.partition_index)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeTopicPartitionsResponse:
    value = DescribeTopicPartitionsResponse()
    value.throttle_time_ms = r.int32()
    value.topics = r.array(25, _read_describe_topic_partitions_response_topic, version)
    value.next_cursor = _read_cursor_response(r, version) if r.present() else None
    r.tags()
    return value


def write_response(w: Writer, value: DescribeTopicPartitionsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_describe_topic_partitions_response_topic, version)
    w.present(value.next_cursor)
    if value.next_cursor is not None:
        _write_cursor_response(w, value.next_cursor, version)
    w.tags()
