"""Kafka's CreatePartitions (API key 37), versions 0 to 3.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 37
FLEXIBLE_FROM: int | None = 2


class CreatePartitionsAssignment(Schema):
    broker_ids: list[int] = []


class CreatePartitionsTopic(Schema):
    name: str = ""
    count: int = 0
    assignments: list[CreatePartitionsAssignment] | None = []


class CreatePartitionsRequest(Schema):
    topics: list[CreatePartitionsTopic] = []
    timeout_ms: int = 0
    validate_only: bool = False


def _read_create_partitions_assignment(r: Reader, version: int) -> CreatePartitionsAssignment:
    value = CreatePartitionsAssignment()
    value.broker_ids = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_create_partitions_assignment(w: Writer, value: CreatePartitionsAssignment, version: int) -> None:
    w.values(value.broker_ids, Writer.int32)
    w.tags()


def _read_create_partitions_topic(r: Reader, version: int) -> CreatePartitionsTopic:
    value = CreatePartitionsTopic()
    value.name = r.string()
    value.count = r.int32()
    value.assignments = r.nullable_array(1, _read_create_partitions_assignment, version)
    r.tags()
    return value


def _write_create_partitions_topic(w: Writer, value: CreatePartitionsTopic, version: int) -> None:
    w.string(value.name)
    w.int32(value.count)
    w.nullable_array(value.assignments, _write_create_partitions_assignment, version)
    w.tags()


def read_request(r: Reader, version: int) -> CreatePartitionsRequest:
    value = CreatePartitionsRequest()
    value.topics = r.array(6, _read_create_partitions_topic, version)
    value.timeout_ms = r.int32()
    value.validate_only = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: CreatePartitionsRequest, version: int) -> None:
    w.array(value.topics, _write_create_partitions_topic, version)
    w.int32(value.timeout_ms)
    w.boolean(value.validate_only)
    w.tags()


class CreatePartitionsTopicResult(Schema):
    name: str = ""
    error_code: int = 0
    error_message: str | None = None


class CreatePartitionsResponse(Schema):
    throttle_time_ms: int = 0
    results: list[CreatePartitionsTopicResult] = []


def _read_create_partitions_topic_result(r: Reader, version: int) -> CreatePartitionsTopicResult:
    value = CreatePartitionsTopicResult()
    value.name = r.string()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    r.tags()
    return value


def _write_create_partitions_topic_result(w: Writer, value: CreatePartitionsTopicResult, version: int) -> None:
    w.string(value.name)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.tags()


def read_response(r: Reader, version: int) -> CreatePartitionsResponse:
    value = CreatePartitionsResponse()
    value.throttle_time_ms = r.int32()
    value.results = r.array(4, _read_create_partitions_topic_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: CreatePartitionsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.results, _write_create_partitions_topic_result, version)
    w.tags()
