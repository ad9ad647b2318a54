"""Kafka's AlterPartitionReassignments (API key 45), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 45
FLEXIBLE_FROM: int | None = 0


class ReassignablePartition(Schema):
    partition_index: int = 0
    replicas: list[int] | None = None


class ReassignableTopic(Schema):
    name: str = ""
    partitions: list[ReassignablePartition] = []


class AlterPartitionReassignmentsRequest(Schema):
    timeout_ms: int = 60000
    topics: list[ReassignableTopic] = []


def _read_reassignable_partition(r: Reader, version: int) -> ReassignablePartition:
    value = ReassignablePartition()
    value.partition_index = r.int32()
    value.replicas = r.nullable_values(4, Reader.int32)
    r.tags()
    return value


def _write_reassignable_partition(w: Writer, value: ReassignablePartition, version: int) -> None:
    w.int32(value.partition_index)
    w.nullable_values(value.replicas, Writer.int32)
    w.tags()


def _read_reassignable_topic(r: Reader, version: int) -> ReassignableTopic:
    value = ReassignableTopic()
    value.name = r.string()
    value.partitions = r.array(5, _read_reassignable_partition, version)
    r.tags()
    return value


def _write_reassignable_topic(w: Writer, value: ReassignableTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_reassignable_partition, version)
    w.tags()


def read_request(r: Reader, version: int) -> AlterPartitionReassignmentsRequest:
    value = AlterPartitionReassignmentsRequest()
    value.timeout_ms = r.int32()
    value.topics = r.array(2, _read_reassignable_topic, version)
    r.tags()
    return value


def write_request(w: Writer, value: AlterPartitionReassignmentsRequest, version: int) -> None:
    w.int32(value.timeout_ms)
    w.array(value.topics, _write_reassignable_topic, version)
    w.tags()


class ReassignablePartitionResponse(Schema):
    partition_index: int = 0
    error_code: int = 0
    error_message: str | None = ""


class ReassignableTopicResponse(Schema):
    name: str = ""
    partitions: list[ReassignablePartitionResponse] = []


class AlterPartitionReassignmentsResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = ""
    responses: list[ReassignableTopicResponse] = []


def _read_reassignable_partition_response(r: Reader, version: int) -> ReassignablePartitionResponse:
    value = ReassignablePartitionResponse()
    value.partition_index = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    r.tags()
    return value


def _write_reassignable_partition_response(w: Writer, value: ReassignablePartitionResponse, version: int) -> None:
    w.int32(value.partition_index)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.tags()


def _read_reassignable_topic_response(r: Reader, version: int) -> ReassignableTopicResponse:
    value = ReassignableTopicResponse()
    value.name = r.string()
    value.partitions = r.array(7, _read_reassignable_partition_response, version)
    r.tags()
    return value


def _write_reassignable_topic_response(w: Writer, value: ReassignableTopicResponse, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_reassignable_partition_response, version)
    w.tags()


def read_response(r: Reader, version: int) -> AlterPartitionReassignmentsResponse:
    value = AlterPartitionReassignmentsResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.responses = r.array(2, _read_reassignable_topic_response, version)
    r.tags()
    return value


def write_response(w: Writer, value: AlterPartitionReassignmentsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.responses, _write_reassignable_topic_response, version)
    w.tags()
