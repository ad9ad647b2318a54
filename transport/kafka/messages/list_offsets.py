"""Kafka's ListOffsets (API key 2), versions 1 to 10.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 2
FLEXIBLE_FROM: int | None = 6


class ListOffsetsPartition(Schema):
    partition_index: int = 0
    current_leader_epoch: int = -1
    timestamp: int = 0


class ListOffsetsTopic(Schema):
    name: str = ""
    partitions: list[ListOffsetsPartition] = []


class ListOffsetsRequest(Schema):
    replica_id: int = 0
    isolation_level: int = 0
    topics: list[ListOffsetsTopic] = []
    timeout_ms: int = 0


def _read_list_offsets_partition(r: Reader, version: int) -> ListOffsetsPartition:
    value = ListOffsetsPartition()
    value.partition_index = r.int32()
    if version >= 4:
        value.current_leader_epoch = r.int32()
    value.timestamp = r.int64()
    r.tags()
    return value


def _write_list_offsets_partition(w: Writer, value: ListOffsetsPartition, version: int) -> None:
    w.int32(value.partition_index)
    if version >= 4:
        w.int32(value.current_leader_epoch)
    w.int64(value.timestamp)
    w.tags()


def _read_list_offsets_topic(r: Reader, version: int) -> ListOffsetsTopic:
    value = ListOffsetsTopic()
    value.name = r.string()
    value.partitions = r.array(12, _read_list_offsets_partition, version)
    r.tags()
    return value


def _write_list_offsets_topic(w: Writer, value: ListOffsetsTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_list_offsets_partition, version)
    w.tags()


def read_request(r: Reader, version: int) -> ListOffsetsRequest:
    value = ListOffsetsRequest()
    value.replica_id = r.int32()
    if version >= 2:
        value.isolation_level = r.int8()
    value.topics = r.array(2, _read_list_offsets_topic, version)
    if version >= 10:
        value.timeout_ms = r.int32()
    r.tags()
    return value


def write_request(w: Writer, value: ListOffsetsRequest, version: int) -> None:
    w.int32(value.replica_id)
    if version >= 2:
        w.int8(value.isolation_level)
    w.array(value.topics, _write_list_offsets_topic, version)
    if version >= 10:
        w.int32(value.timeout_ms)
    w.tags()


class ListOffsetsPartitionResponse(Schema):
    partition_index: int = 0
    error_code: int = 0
    timestamp: int = -1
    offset: int = -1
    leader_epoch: int = -1


class ListOffsetsTopicResponse(Schema):
    name: str = ""
    partitions: list[ListOffsetsPartitionResponse] = []


class ListOffsetsResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[ListOffsetsTopicResponse] = []


def _read_list_offsets_partition_response(r: Reader, version: int) -> ListOffsetsPartitionResponse:
    value = ListOffsetsPartitionResponse()
    value.partition_index = r.int32()
    value.error_code = r.int16()
    value.timestamp = r.int64()
    value.offset = r.int64()
    if version >= 4:
        value.leader_epoch = r.int32()
    r.tags()
    return value


def _write_list_offsets_partition_response(w: Writer, value: ListOffsetsPartitionResponse, version: int) -> None:
    w.int32(value.partition_index)
    w.int16(value.error_code)
    w.int64(value.timestamp)
    w.int64(value.offset)
    if version >= 4:
        w.int32(value.leader_epoch)
    w.tags()


def _read_list_offsets_topic_response(r: Reader, version: int) -> ListOffsetsTopicResponse:
    value = ListOffsetsTopicResponse()
    value.name = r.string()
    value.partitions = r.array(22, _read_list_offsets_partition_response, version)
    r.tags()
    return value


def _write_list_offsets_topic_response(w: Writer, value: ListOffsetsTopicResponse, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_list_offsets_partition_response, version)
    w.tags()


def read_response(r: Reader, version: int) -> ListOffsetsResponse:
    value = ListOffsetsResponse()
    if version >= 2:
        value.throttle_time_ms = r.int32()
    value.topics = r.array(2, _read_list_offsets_topic_response, version)
    r.tags()
    return value


def write_response(w: Writer, value: ListOffsetsResponse, version: int) -> None:
    if version >= 2:
        w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_list_offsets_topic_response, version)
    w.tags()
