"""Kafka's ListPartitionReassignments (API key 46), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 46
FLEXIBLE_FROM: int | None = 0


class ListPartitionReassignmentsTopics(Schema):
    name: str = ""
    partition_indexes: list[int] = []


class ListPartitionReassignmentsRequest(Schema):
    timeout_ms: int = 60000
    topics: list[ListPartitionReassignmentsTopics] | None = []


def _read_list_partition_reassignments_topics(r: Reader, version: int) -> ListPartitionReassignmentsTopics:
    value = ListPartitionReassignmentsTopics()
    value.name = r.string()
    value.partition_indexes = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_list_partition_reassignments_topics(
    w: Writer, value: ListPartitionReassignmentsTopics, version: int
) -> None:
    w.string(value.name)
    w.values(value.partition_indexes, Writer.int32)
    w.tags()


def read_request(r: Reader, version: int) -> ListPartitionReassignmentsRequest:
    value = ListPartitionReassignmentsRequest()
    value.timeout_ms = r.int32()
    value.topics = r.nullable_array(2, _read_list_partition_reassignments_topics, version)
    r.tags()
    return value


def write_request(w: Writer, value: ListPartitionReassignmentsRequest, version: int) -> None:
    w.int32(value.timeout_ms)
    w.nullable_array(value.topics, _write_list_partition_reassignments_topics, version)
    w.tags()


class OngoingPartitionReassignment(Schema):
    partition_index: int = 0
    replicas: list[int] = []
    adding_replicas: list[int] = []
    removing_replicas: list[int] = []


class OngoingTopicReassignment(Schema):
    name: str = ""
    partitions: list[OngoingPartitionReassignment] = []


class ListPartitionReassignmentsResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = ""
    topics: list[OngoingTopicReassignment] = []


def _read_ongoing_partition_reassignment(r: Reader, version: int) -> OngoingPartitionReassignment:
    value = OngoingPartitionReassignment()
    value.partition_index = r.int32()
    value.replicas = r.values(4, Reader.int32)
    value.adding_replicas = r.values(4, Reader.int32)
    value.removing_replicas = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_ongoing_partition_reassignment(w: Writer, value: OngoingPartitionReassignment, version: int) -> None:
    w.int32(value.partition_index)
    w.values(value.replicas, Writer.int32)
    w.values(value.adding_replicas, Writer.int32)
    w.values(value.removing_replicas, Writer.int32)
    w.tags()


def _read_ongoing_topic_reassignment(r: Reader, version: int) -> OngoingTopicReassignment:
    value = OngoingTopicReassignment()
    value.name = r.string()
    value.partitions = r.array(7, _read_ongoing_partition_reassignment, version)
    r.tags()
    return value


def _write_ongoing_topic_reassignment(w: Writer, value: OngoingTopicReassignment, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_ongoing_partition_reassignment, version)
    w.tags()


def read_response(r: Reader, version: int) -> ListPartitionReassignmentsResponse:
    value = ListPartitionReassignmentsResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.topics = r.array(2, _read_ongoing_topic_reassignment, version)
    r.tags()
    return value


def write_response(w: Writer, value: ListPartitionReassignmentsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.topics, _write_ongoing_topic_reassignment, version)
    w.tags()
