"""Kafka's OffsetFetch (API key 9), versions 1 to 9.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 9
FLEXIBLE_FROM: int | None = 6


class OffsetFetchRequestTopic(Schema):
    name: str = ""
    partition_indexes: list[int] = []


class OffsetFetchRequestTopics(Schema):
    name: str = ""
    partition_indexes: list[int] = []


class OffsetFetchRequestGroup(Schema):
    group_id: str = ""
    member_id: str | None = None
    member_epoch: int = -1
    topics: list[OffsetFetchRequestTopics] | None = []


class OffsetFetchRequest(Schema):
    group_id: str = ""
    topics: list[OffsetFetchRequestTopic] | None = []
    groups: list[OffsetFetchRequestGroup] = []
    require_stable: bool = False


def _read_offset_fetch_request_topic(r: Reader, version: int) -> OffsetFetchRequestTopic:
    value = OffsetFetchRequestTopic()
    value.name = r.string()
    value.partition_indexes = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_offset_fetch_request_topic(w: Writer, value: OffsetFetchRequestTopic, version: int) -> None:
    w.string(value.name)
    w.values(value.partition_indexes, Writer.int32)
    w.tags()


def _read_offset_fetch_request_topics(r: Reader, version: int) -> OffsetFetchRequestTopics:
    value = OffsetFetchRequestTopics()
    value.name = r.string()
    value.partition_indexes = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_offset_fetch_request_topics(w: Writer, value: OffsetFetchRequestTopics, version: int) -> None:
    w.string(value.name)
    w.values(value.partition_indexes, Writer.int32)
    w.tags()


def _read_offset_fetch_request_group(r: Reader, version: int) -> OffsetFetchRequestGroup:
    value = OffsetFetchRequestGroup()
    value.group_id = r.string()
    if version >= 9:
        value.member_id = r.nullable_string()
        value.member_epoch = r.int32()
    value.topics = r.nullable_array(2, _read_offset_fetch_request_topics, version)
    r.tags()
    return value


def _write_offset_fetch_request_group(w: Writer, value: OffsetFetchRequestGroup, version: int) -> None:
    w.string(value.group_id)
    if version >= 9:
        w.nullable_string(value.member_id)
        w.int32(value.member_epoch)
    w.nullable_array(value.topics, _write_offset_fetch_request_topics, version)
    w.tags()


def read_request(r: Reader, version: int) -> OffsetFetchRequest:
    value = OffsetFetchRequest()
    if version <= 7:
        value.group_id = r.string()
        if version >= 2:
            value.topics = r.nullable_array(2, _read_offset_fetch_request_topic, version)
        else:
            value.topics = r.array(2, _read_offset_fetch_request_topic, version)
    if version >= 8:
        value.groups = r.array(2, _read_offset_fetch_request_group, version)
    if version >= 7:
        value.require_stable = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: OffsetFetchRequest, version: int) -> None:
    if version <= 7:
        w.string(value.group_id)
        if version >= 2:
            w.nullable_array(value.topics, _write_offset_fetch_request_topic, version)
        else:
            w.array(value.topics or (), _write_offset_fetch_request_topic, version)
    if version >= 8:
        w.array(value.groups, _write_offset_fetch_request_group, version)
    if version >= 7:
        w.boolean(value.require_stable)
    w.tags()


class OffsetFetchResponsePartition(Schema):
    partition_index: int = 0
    committed_offset: int = 0
    committed_leader_epoch: int = -1
    metadata: str | None = ""
    error_code: int = 0


class OffsetFetchResponseTopic(Schema):
    name: str = ""
    partitions: list[OffsetFetchResponsePartition] = []


class OffsetFetchResponsePartitions(Schema):
    partition_index: int = 0
    committed_offset: int = 0
    committed_leader_epoch: int = -1
    metadata: str | None = ""
    error_code: int = 0


class OffsetFetchResponseTopics(Schema):
    name: str = ""
    partitions: list[OffsetFetchResponsePartitions] = []


class OffsetFetchResponseGroup(Schema):
    group_id: str = ""
    topics: list[OffsetFetchResponseTopics] = []
    error_code: int = 0


class OffsetFetchResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[OffsetFetchResponseTopic] = []
    error_code: int = 0
    groups: list[OffsetFetchResponseGroup] = []


def _read_offset_fetch_response_partition(r: Reader, version: int) -> OffsetFetchResponsePartition:
    value = OffsetFetchResponsePartition()
    value.partition_index = r.int32()
    value.committed_offset = r.int64()
    if version >= 5:
        value.committed_leader_epoch = r.int32()
    value.metadata = r.nullable_string()
    value.error_code = r.int16()
    r.tags()
    return value


def _write_offset_fetch_response_partition(w: Writer, value: OffsetFetchResponsePartition, version: int) -> None:
    w.int32(value.partition_index)
    w.int64(value.committed_offset)
    if version >= 5:
        w.int32(value.committed_leader_epoch)
    w.nullable_string(value.metadata)
    w.int16(value.error_code)
    w.tags()


def _read_offset_fetch_response_topic(r: Reader, version: int) -> OffsetFetchResponseTopic:
    value = OffsetFetchResponseTopic()
    value.name = r.string()
    value.partitions = r.array(15, _read_offset_fetch_response_partition, version)
    r.tags()
    return value


def _write_offset_fetch_response_topic(w: Writer, value: OffsetFetchResponseTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_offset_fetch_response_partition, version)
    w.tags()


def _read_offset_fetch_response_partitions(r: Reader, version: int) -> OffsetFetchResponsePartitions:
    value = OffsetFetchResponsePartitions()
    value.partition_index = r.int32()
    value.committed_offset = r.int64()
    value.committed_leader_epoch = r.int32()
    value.metadata = r.nullable_string()
    value.error_code = r.int16()
    r.tags()
    return value


def _write_offset_fetch_response_partitions(w: Writer, value: OffsetFetchResponsePartitions, version: int) -> None:
    w.int32(value.partition_index)
    w.int64(value.committed_offset)
    w.int32(value.committed_leader_epoch)
    w.nullable_string(value.metadata)
    w.int16(value.error_code)
    w.tags()


def _read_offset_fetch_response_topics(r: Reader, version: int) -> OffsetFetchResponseTopics:
    value = OffsetFetchResponseTopics()
    value.name = r.string()
    value.partitions = r.array(19, _read_offset_fetch_response_partitions, version)
    r.tags()
    return value


def _write_offset_fetch_response_topics(w: Writer, value: OffsetFetchResponseTopics, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_offset_fetch_response_partitions, version)
    w.tags()


def _read_offset_fetch_response_group(r: Reader, version: int) -> OffsetFetchResponseGroup:
    value = OffsetFetchResponseGroup()
    value.group_id = r.string()
    value.topics = r.array(2, _read_offset_fetch_response_topics, version)
    value.error_code = r.int16()
    r.tags()
    return value


def _write_offset_fetch_response_group(w: Writer, value: OffsetFetchResponseGroup, version: int) -> None:
    w.string(value.group_id)
    w.array(value.topics, _write_offset_fetch_response_topics, version)
    w.int16(value.error_code)
    w.tags()


def read_response(r: Reader, version: int) -> OffsetFetchResponse:
    value = OffsetFetchResponse()
    if version >= 3:
        value.throttle_time_ms = r.int32()
    if version <= 7:
        value.topics = r.array(2, _read_offset_fetch_response_topic, version)
    if 2 <= version <= 7:
        value.error_code = r.int16()
    if version >= 8:
        value.groups = r.array(4, _read_offset_fetch_response_group, version)
    r.tags()
    return value


def write_response(w: Writer, value: OffsetFetchResponse, version: int) -> None:
    if version >= 3:
        w.int32(value.throttle_time_ms)
    if version <= 7:
        w.array(value.topics, _write_offset_fetch_response_topic, version)
    if 2 <= version <= 7:
        w.int16(value.error_code)
    if version >= 8:
        w.array(value.groups, _write_offset_fetch_response_group, version)
    w.tags()
