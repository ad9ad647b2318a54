"""Kafka's ConsumerGroupHeartbeat (API key 68), versions 0 to 1.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import NO_UUID, Reader, Schema, Writer

KEY = 68
FLEXIBLE_FROM: int | None = 0


class TopicPartitions(Schema):
    topic_id: bytes = NO_UUID
    partitions: list[int] = []


class ConsumerGroupHeartbeatRequest(Schema):
    group_id: str = ""
    member_id: str = ""
    member_epoch: int = 0
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    subscribed_topic_names: list[str] | None = None
    subscribed_topic_regex: str | None = None
    server_assignor: str | None = None
    topic_partitions: list[TopicPartitions] | None = []


def _read_topic_partitions(r: Reader, version: int) -> TopicPartitions:
    value = TopicPartitions()
    value.topic_id = r.uuid()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_topic_partitions(w: Writer, value: TopicPartitions, version: int) -> None:
    w.uuid(value.topic_id)
    w.values(value.partitions, Writer.int32)
    w.tags()


def read_request(r: Reader, version: int) -> ConsumerGroupHeartbeatRequest:
    value = ConsumerGroupHeartbeatRequest()
    value.group_id = r.string()
    value.member_id = r.string()
    value.member_epoch = r.int32()
    value.instance_id = r.nullable_string()
    value.rack_id = r.nullable_string()
    value.rebalance_timeout_ms = r.int32()
    value.subscribed_topic_names = r.nullable_values(1, Reader.string)
    if version >= 1:
        value.subscribed_topic_regex = r.nullable_string()
    value.server_assignor = r.nullable_string()
    value.topic_partitions = r.nullable_array(17, _read_topic_partitions, version)
    r.tags()
    return value


def write_request(w: Writer, value: ConsumerGroupHeartbeatRequest, version: int) -> None:
    w.string(value.group_id)
    w.string(value.member_id)
    w.int32(value.member_epoch)
    w.nullable_string(value.instance_id)
    w.nullable_string(value.rack_id)
    w.int32(value.rebalance_timeout_ms)
    w.nullable_values(value.subscribed_topic_names, Writer.string)
    if version >= 1:
        w.nullable_string(value.subscribed_topic_regex)
    w.nullable_string(value.server_assignor)
    w.nullable_array(value.topic_partitions, _write_topic_partitions, version)
    w.tags()


class TopicPartitionsResponse(Schema):
    topic_id: bytes = NO_UUID
    partitions: list[int] = []


class Assignment(Schema):
    topic_partitions: list[TopicPartitionsResponse] = []


class ConsumerGroupHeartbeatResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = None
    member_id: str | None = None
    member_epoch: int = 0
    heartbeat_interval_ms: int = 0
    assignment: Assignment | None = None


def _read_topic_partitions_response(r: Reader, version: int) -> TopicPartitionsResponse:
    value = TopicPartitionsResponse()
    value.topic_id = r.uuid()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_topic_partitions_response(w: Writer, value: TopicPartitionsResponse, version: int) -> None:
    w.uuid(value.topic_id)
    w.values(value.partitions, Writer.int32)
    w.tags()


def _read_assignment(r: Reader, version: int) -> Assignment:
    value = Assignment()
    value.topic_partitions = r.array(17, _read_topic_partitions_response, version)
    r.tags()
    return value


def _write_assignment(w: Writer, value: Assignment, version: int) -> None:
    w.array(value.topic_partitions, _write_topic_partitions_response, version)
    w.tags()


def read_response(r: Reader, version: int) -> ConsumerGroupHeartbeatResponse:
    value = ConsumerGroupHeartbeatResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.member_id = r.nullable_string()
    value.member_epoch = r.int32()
    value.heartbeat_interval_ms = r.int32()
    value.assignment = _read_assignment(r, version) if r.present() else None
    r.tags()
    return value


def write_response(w: Writer, value: ConsumerGroupHeartbeatResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.nullable_string(value.member_id)
    w.int32(value.member_epoch)
    w.int32(value.heartbeat_interval_ms)
    w.present(value.assignment)
    if value.assignment is not None:
        _write_assignment(w, value.assignment, version)
    w.tags()
