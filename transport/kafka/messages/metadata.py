"""Kafka's Metadata (API key 3), versions 0 to 13.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import NO_UUID, Reader, Schema, Writer

KEY = 3
FLEXIBLE_FROM: int | None = 9


class MetadataRequestTopic(Schema):
    topic_id: bytes = NO_UUID
    name: str | None = ""


class MetadataRequest(Schema):
    topics: list[MetadataRequestTopic] | None = []
    allow_auto_topic_creation: bool = True
    include_cluster_authorized_operations: bool = False
    include_topic_authorized_operations: bool = False


def _read_metadata_request_topic(r: Reader, version: int) -> MetadataRequestTopic:
    value = MetadataRequestTopic()
    if version >= 10:
        value.topic_id = r.uuid()
    if version >= 10:
        value.name = r.nullable_string()
    else:
        value.name = r.string()
    r.tags()
    return value


def _write_metadata_request_topic(w: Writer, value: MetadataRequestTopic, version: int) -> None:
    if version >= 10:
        w.uuid(value.topic_id)
    if version >= 10:
        w.nullable_string(value.name)
    else:
        w.string(value.name or "")
    w.tags()


def read_request(r: Reader, version: int) -> MetadataRequest:
    value = MetadataRequest()
    if version >= 1:
        value.topics = r.nullable_array(1, _read_metadata_request_topic, version)
    else:
        value.topics = r.array(1, _read_metadata_request_topic, version)
    if version >= 4:
        value.allow_auto_topic_creation = r.boolean()
    if 8 <= version <= 10:
        value.include_cluster_authorized_operations = r.boolean()
    if version >= 8:
        value.include_topic_authorized_operations = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: MetadataRequest, version: int) -> None:
    if version >= 1:
        w.nullable_array(value.topics, _write_metadata_request_topic, version)
    else:
        w.array(value.topics or (), _write_metadata_request_topic, version)
    if version >= 4:
        w.boolean(value.allow_auto_topic_creation)
    if 8 <= version <= 10:
        w.boolean(value.include_cluster_authorized_operations)
    if version >= 8:
        w.boolean(value.include_topic_authorized_operations)
    w.tags()


class MetadataResponseBroker(Schema):
    node_id: int = 0
    host: str = ""
    port: int = 0
    rack: str | None = None


class MetadataResponsePartition(Schema):
    error_code: int = 0
    partition_index: int = 0
    leader_id: int = 0
    leader_epoch: int = -1
    replica_nodes: list[int] = []
    isr_nodes: list[int] = []
    offline_replicas: list[int] = []


class MetadataResponseTopic(Schema):
    error_code: int = 0
    name: str | None = ""
    topic_id: bytes = NO_UUID
    is_internal: bool = False
    partitions: list[MetadataResponsePartition] = []
    topic_authorized_operations: int = -2147483648


class MetadataResponse(Schema):
    throttle_time_ms: int = 0
    brokers: list[MetadataResponseBroker] = []
    cluster_id: str | None = None
    controller_id: int = -1
    topics: list[MetadataResponseTopic] = []
    cluster_authorized_operations: int = -2147483648
    error_code: int = 0


def _read_metadata_response_broker(r: Reader, version: int) -> MetadataResponseBroker:
    value = MetadataResponseBroker()
    value.node_id = r.int32()
    value.host = r.string()
    value.port = r.int32()
    if version >= 1:
        value.rack = r.nullable_string()
    r.tags()
    return value


def _write_metadata_response_broker(w: Writer, value: MetadataResponseBroker, version: int) -> None:
    w.int32(value.node_id)
    w.string(value.host)
    w.int32(value.port)
    if version >= 1:
        w.nullable_string(value.rack)
    w.tags()


def _read_metadata_response_partition(r: Reader, version: int) -> MetadataResponsePartition:
    value = MetadataResponsePartition()
    value.error_code = r.int16()
    value.partition_index = r.int32()
    value.leader_id = r.int32()
    if version >= 7:
        value.leader_epoch = r.int32()
    value.replica_nodes = r.values(4, Reader.int32)
    value.isr_nodes = r.values(4, Reader.int32)
    if version >= 5:
        value.offline_replicas = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_metadata_response_partition(w: Writer, value: MetadataResponsePartition, version: int) -> None:
    w.int16(value.error_code)
    w.int32(value.partition_index)
    w.int32(value.leader_id)
    if version >= 7:
        w.int32(value.leader_epoch)
    w.values(value.replica_nodes, Writer.int32)
    w.values(value.isr_nodes, Writer.int32)
    if version >= 5:
        w.values(value.offline_replicas, Writer.int32)
    w.tags()


def _read_metadata_response_topic(r: Reader, version: int) -> MetadataResponseTopic:
    value = MetadataResponseTopic()
    value.error_code = r.int16()
    if version >= 12:
        value.name = r.nullable_string()
    else:
        value.name = r.string()
    if version >= 10:
        value.topic_id = r.uuid()
    if version >= 1:
        value.is_internal = r.boolean()
    value.partitions = r.array(12, _read_metadata_response_partition, version)
    if version >= 8:
        value.topic_authorized_operations = r.int32()
    r.tags()
    return value


def _write_metadata_response_topic(w: Writer, value: MetadataResponseTopic, version: int) -> None:
    w.int16(value.error_code)
    if version >= 12:
        w.nullable_string(value.name)
    else:
        w.string(value.name or "")
    if version >= 10:
        w.uuid(value.topic_id)
    if version >= 1:
        w.boolean(value.is_internal)
    w.array(value.partitions, _write_metadata_response_partition, version)
    if version >= 8:
        w.int32(value.topic_authorized_operations)
    w.tags()


def read_response(r: Reader, version: int) -> MetadataResponse:
    value = MetadataResponse()
    if version >= 3:
        value.throttle_time_ms = r.int32()
    value.brokers = r.array(9, _read_metadata_response_broker, version)
    if version >= 2:
        value.cluster_id = r.nullable_string()
    if version >= 1:
        value.controller_id = r.int32()
    value.topics = r.array(4, _read_metadata_response_topic, version)
    if 8 <= version <= 10:
        value.cluster_authorized_operations = r.int32()
    if version >= 13:
        value.error_code = r.int16()
    r.tags()
    return value


def write_response(w: Writer, value: MetadataResponse, version: int) -> None:
    if version >= 3:
        w.int32(value.throttle_time_ms)
    w.array(value.brokers, _write_metadata_response_broker, version)
    if version >= 2:
        w.nullable_string(value.cluster_id)
    if version >= 1:
        w.int32(value.controller_id)
    w.array(value.topics, _write_metadata_response_topic, version)
    if 8 <= version <= 10:
        w.int32(value.cluster_authorized_operations)
    if version >= 13:
        w.int16(value.error_code)
    w.tags()
