"""Kafka's CreateTopics (API key 19), versions 2 to 7.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import NO_UUID, Reader, Schema, Writer

KEY = 19
FLEXIBLE_FROM: int | None = 5


class CreatableReplicaAssignment(Schema):
    partition_index: int = 0
    broker_ids: list[int] = []


class CreatableTopicConfig(Schema):
    name: str = ""
    value: str | None = ""


class CreatableTopic(Schema):
    name: str = ""
    num_partitions: int = 0
    replication_factor: int = 0
    assignments: list[CreatableReplicaAssignment] = []
    configs: list[CreatableTopicConfig] = []


class CreateTopicsRequest(Schema):
    topics: list[CreatableTopic] = []
    timeout_ms: int = 60000
    validate_only: bool = False


def _read_creatable_replica_assignment(r: Reader, version: int) -> CreatableReplicaAssignment:
    value = CreatableReplicaAssignment()
    value.partition_index = r.int32()
    value.broker_ids = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_creatable_replica_assignment(w: Writer, value: CreatableReplicaAssignment, version: int) -> None:
    w.int32(value.partition_index)
    w.values(value.broker_ids, Writer.int32)
    w.tags()


def _read_creatable_topic_config(r: Reader, version: int) -> CreatableTopicConfig:
    value = CreatableTopicConfig()
    value.name = r.string()
    value.value = r.nullable_string()
    r.tags()
    return value


def _write_creatable_topic_config(w: Writer, value: CreatableTopicConfig, version: int) -> None:
    w.string(value.name)
    w.nullable_string(value.value)
    w.tags()


def _read_creatable_topic(r: Reader, version: int) -> CreatableTopic:
    value = CreatableTopic()
    value.name = r.string()
    value.num_partitions = r.int32()
    value.replication_factor = r.int16()
    value.assignments = r.array(5, _read_creatable_replica_assignment, version)
    value.configs = r.array(2, _read_creatable_topic_config, version)
    r.tags()
    return value


def _write_creatable_topic(w: Writer, value: CreatableTopic, version: int) -> None:
    w.string(value.name)
    w.int32(value.num_partitions)
    w.int16(value.replication_factor)
    w.array(value.assignments, _write_creatable_replica_assignment, version)
    w.array(value.configs, _write_creatable_topic_config, version)
    w.tags()


def read_request(r: Reader, version: int) -> CreateTopicsRequest:
    value = CreateTopicsRequest()
    value.topics = r.array(9, _read_creatable_topic, version)
    value.timeout_ms = r.int32()
    value.validate_only = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: CreateTopicsRequest, version: int) -> None:
    w.array(value.topics, _write_creatable_topic, version)
    w.int32(value.timeout_ms)
    w.boolean(value.validate_only)
    w.tags()


class CreatableTopicConfigs(Schema):
    name: str = ""
    value: str | None = ""
    read_only: bool = False
    config_source: int = -1
    is_sensitive: bool = False


class CreatableTopicResult(Schema):
    name: str = ""
    topic_id: bytes = NO_UUID
    error_code: int = 0
    error_message: str | None = ""
    topic_config_error_code: int = 0
    num_partitions: int = -1
    replication_factor: int = -1
    configs: list[CreatableTopicConfigs] | None = []


class CreateTopicsResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[CreatableTopicResult] = []


def _read_creatable_topic_configs(r: Reader, version: int) -> CreatableTopicConfigs:
    value = CreatableTopicConfigs()
    value.name = r.string()
    value.value = r.nullable_string()
    value.read_only = r.boolean()
    value.config_source = r.int8()
    value.is_sensitive = r.boolean()
    r.tags()
    return value


def _write_creatable_topic_configs(w: Writer, value: CreatableTopicConfigs, version: int) -> None:
    w.string(value.name)
    w.nullable_string(value.value)
    w.boolean(value.read_only)
    w.int8(value.config_source)
    w.boolean(value.is_sensitive)
    w.tags()


def _read_creatable_topic_result(r: Reader, version: int) -> CreatableTopicResult:
    value = CreatableTopicResult()
    value.name = r.string()
    if version >= 7:
        value.topic_id = r.uuid()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    if version >= 5:
        value.num_partitions = r.int32()
        value.replication_factor = r.int16()
        value.configs = r.nullable_array(5, _read_creatable_topic_configs, version)
    for tag, field in r.tags():
        if tag == 0 and version >= 5:
            value.topic_config_error_code = field.int16()
    return value


def _write_creatable_topic_result(w: Writer, value: CreatableTopicResult, version: int) -> None:
    w.string(value.name)
    if version >= 7:
        w.uuid(value.topic_id)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    if version >= 5:
        w.int32(value.num_partitions)
        w.int16(value.replication_factor)
        w.nullable_array(value.configs, _write_creatable_topic_configs, version)
    tagged: list[tuple[int, Writer]] = []
    if version >= 5 and value.topic_config_error_code:
        field = w.field()
        field.int16(value.topic_config_error_code)
        tagged.append((0, field))
    w.tags(tagged)


def read_response(r: Reader, version: int) -> CreateTopicsResponse:
    value = CreateTopicsResponse()
    value.throttle_time_ms = r.int32()
    value.topics = r.array(4, _read_creatable_topic_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: CreateTopicsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_creatable_topic_result, version)
    w.tags()
