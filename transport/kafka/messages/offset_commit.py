"""Kafka's OffsetCommit (API key 8), versions 2 to 9.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 8
FLEXIBLE_FROM: int | None = 8


class OffsetCommitRequestPartition(Schema):
    partition_index: int = 0
    committed_offset: int = 0
    committed_leader_epoch: int = -1
    committed_metadata: str | None = ""


class OffsetCommitRequestTopic(Schema):
    name: str = ""
    partitions: list[OffsetCommitRequestPartition] = []


class OffsetCommitRequest(Schema):
    group_id: str = ""
    generation_id_or_member_epoch: int = -1
    member_id: str = ""
    retention_time_ms: int = -1
    group_instance_id: str | None = None
    topics: list[OffsetCommitRequestTopic] = []


def _read_offset_commit_request_partition(r: Reader, version: int) -> OffsetCommitRequestPartition:
    value = OffsetCommitRequestPartition()
    value.partition_index = r.int32()
    value.committed_offset = r.int64()
    if version >= 6:
        value.committed_leader_epoch = r.int32()
    value.committed_metadata = r.nullable_string()
    r.tags()
    return value


def _write_offset_commit_request_partition(w: Writer, value: OffsetCommitRequestPartition, version: int) -> None:
    w.int32(value.partition_index)
    w.int64(value.committed_offset)
    if version >= 6:
        w.int32(value.committed_leader_epoch)
    w.nullable_string(value.committed_metadata)
    w.tags()


def _read_offset_commit_request_topic(r: Reader, version: int) -> OffsetCommitRequestTopic:
    value = OffsetCommitRequestTopic()
    value.name = r.string()
    value.partitions = r.array(13, _read_offset_commit_request_partition, version)
    r.tags()
    return value


def _write_offset_commit_request_topic(w: Writer, value: OffsetCommitRequestTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_offset_commit_request_partition, version)
    w.tags()


def read_request(r: Reader, version: int) -> OffsetCommitRequest:
    value = OffsetCommitRequest()
    value.group_id = r.string()
    value.generation_id_or_member_epoch = r.int32()
    value.member_id = r.string()
    if version <= 4:
        value.retention_time_ms = r.int64()
    if version >= 7:
        value.group_instance_id = r.nullable_string()
    value.topics = r.array(2, _read_offset_commit_request_topic, version)
    r.tags()
    return value


def write_request(w: Writer, value: OffsetCommitRequest, version: int) -> None:
    w.string(value.group_id)
    w.int32(value.generation_id_or_member_epoch)
    w.string(value.member_id)
    if version <= 4:
        w.int64(value.retention_time_ms)
    if version >= 7:
        w.nullable_string(value.group_instance_id)
    w.array(value.topics, _write_offset_commit_request_topic, version)
    w.tags()


class OffsetCommitResponsePartition(Schema):
    partition_index: int = 0
    error_code: int = 0


class OffsetCommitResponseTopic(Schema):
    name: str = ""
    partitions: list[OffsetCommitResponsePartition] = []


class OffsetCommitResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[OffsetCommitResponseTopic] = []


def _read_offset_commit_response_partition(r: Reader, version: int) -> OffsetCommitResponsePartition:
    value = OffsetCommitResponsePartition()
    value.partition_index = r.int32()
    value.error_code = r.int16()
    r.tags()
    return value


def _write_offset_commit_response_partition(w: Writer, value: OffsetCommitResponsePartition, version: int) -> None:
    w.int32(value.partition_index)
    w.int16(value.error_code)
    w.tags()


def _read_offset_commit_response_topic(r: Reader, version: int) -> OffsetCommitResponseTopic:
    value = OffsetCommitResponseTopic()
    value.name = r.string()
    value.partitions = r.array(6, _read_offset_commit_response_partition, version)
    r.tags()
    return value


def _write_offset_commit_response_topic(w: Writer, value: OffsetCommitResponseTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_offset_commit_response_partition, version)
    w.tags()


def read_response(r: Reader, version: int) -> OffsetCommitResponse:
    value = OffsetCommitResponse()
    if version >= 3:
        value.throttle_time_ms = r.int32()
    value.topics = r.array(2, _read_offset_commit_response_topic, version)
    r.tags()
    return value


def write_response(w: Writer, value: OffsetCommitResponse, version: int) -> None:
    if version >= 3:
        w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_offset_commit_response_topic, version)
    w.tags()
