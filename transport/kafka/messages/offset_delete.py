"""Kafka's OffsetDelete (API key 47), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 47
FLEXIBLE_FROM: int | None = None


class OffsetDeleteRequestPartition(Schema):
    partition_index: int = 0


class OffsetDeleteRequestTopic(Schema):
    name: str = ""
    partitions: list[OffsetDeleteRequestPartition] = []


class OffsetDeleteRequest(Schema):
    group_id: str = ""
    topics: list[OffsetDeleteRequestTopic] = []


def _read_offset_delete_request_partition(r: Reader, version: int) -> OffsetDeleteRequestPartition:
    value = OffsetDeleteRequestPartition()
    value.partition_index = r.int32()
    return value


def _write_offset_delete_request_partition(w: Writer, value: OffsetDeleteRequestPartition, version: int) -> None:
    w.int32(value.partition_index)


def _read_offset_delete_request_topic(r: Reader, version: int) -> OffsetDeleteRequestTopic:
    value = OffsetDeleteRequestTopic()
    value.name = r.string()
    value.partitions = r.array(4, _read_offset_delete_request_partition, version)
    return value


def _write_offset_delete_request_topic(w: Writer, value: OffsetDeleteRequestTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_offset_delete_request_partition, version)


def read_request(r: Reader, version: int) -> OffsetDeleteRequest:
    value = OffsetDeleteRequest()
    value.group_id = r.string()
    value.topics = r.array(2, _read_offset_delete_request_topic, version)
    return value


def write_request(w: Writer, value: OffsetDeleteRequest, version: int) -> None:
    w.string(value.group_id)
    w.array(value.topics, _write_offset_delete_request_topic, version)


class OffsetDeleteResponsePartition(Schema):
    partition_index: int = 0
    error_code: int = 0


class OffsetDeleteResponseTopic(Schema):
    name: str = ""
    partitions: list[OffsetDeleteResponsePartition] = []


class OffsetDeleteResponse(Schema):
    error_code: int = 0
    throttle_time_ms: int = 0
    topics: list[OffsetDeleteResponseTopic] = []


def _read_offset_delete_response_partition(r: Reader, version: int) -> OffsetDeleteResponsePartition:
    value = OffsetDeleteResponsePartition()
    value.partition_index = r.int32()
    value.error_code = r.int16()
    return value


def _write_offset_delete_response_partition(w: Writer, value: OffsetDeleteResponsePartition, version: int) -> None:
    w.int32(value.partition_index)
    w.int16(value.error_code)


def _read_offset_delete_response_topic(r: Reader, version: int) -> OffsetDeleteResponseTopic:
    value = OffsetDeleteResponseTopic()
    value.name = r.string()
    value.partitions = r.array(6, _read_offset_delete_response_partition, version)
    return value


def _write_offset_delete_response_topic(w: Writer, value: OffsetDeleteResponseTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_offset_delete_response_partition, version)


def read_response(r: Reader, version: int) -> OffsetDeleteResponse:
    value = OffsetDeleteResponse()
    value.error_code = r.int16()
    value.throttle_time_ms = r.int32()
    value.topics = r.array(2, _read_offset_delete_response_topic, version)
    return value


def write_response(w: Writer, value: OffsetDeleteResponse, version: int) -> None:
    w.int16(value.error_code)
    w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_offset_delete_response_topic, version)
