"""Kafka's DeleteTopics (API key 20), versions 1 to 6.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import NO_UUID, Reader, Schema, Writer

KEY = 20
FLEXIBLE_FROM: int | None = 4


class DeleteTopicState(Schema):
    name: str | None = None
    topic_id: bytes = NO_UUID


class DeleteTopicsRequest(Schema):
    topic_names: list[str] = []
    topics: list[DeleteTopicState] = []
    timeout_ms: int = 0


def _read_delete_topic_state(r: Reader, version: int) -> DeleteTopicState:
    value = DeleteTopicState()
    value.name = r.nullable_string()
    value.topic_id = r.uuid()
    r.tags()
    return value


def _write_delete_topic_state(w: Writer, value: DeleteTopicState, version: int) -> None:
    w.nullable_string(value.name)
    w.uuid(value.topic_id)
    w.tags()


def read_request(r: Reader, version: int) -> DeleteTopicsRequest:
    value = DeleteTopicsRequest()
    if version <= 5:
        value.topic_names = r.values(1, Reader.string)
    if version >= 6:
        value.topics = r.array(17, _read_delete_topic_state, version)
    value.timeout_ms = r.int32()
    r.tags()
    return value


def write_request(w: Writer, value: DeleteTopicsRequest, version: int) -> None:
    if version <= 5:
        w.values(value.topic_names, Writer.string)
    if version >= 6:
        w.array(value.topics, _write_delete_topic_state, version)
    w.int32(value.timeout_ms)
    w.tags()


class DeletableTopicResult(Schema):
    name: str | None = ""
    topic_id: bytes = NO_UUID
    error_code: int = 0
    error_message: str | None = None


class DeleteTopicsResponse(Schema):
    throttle_time_ms: int = 0
    responses: list[DeletableTopicResult] = []


def _read_deletable_topic_result(r: Reader, version: int) -> DeletableTopicResult:
    value = DeletableTopicResult()
    if version >= 6:
        value.name = r.nullable_string()
    else:
        value.name = r.string()
    if version >= 6:
        value.topic_id = r.uuid()
    value.error_code = r.int16()
    if version >= 5:
        value.error_message = r.nullable_string()
    r.tags()
    return value


def _write_deletable_topic_result(w: Writer, value: DeletableTopicResult, version: int) -> None:
    if version >= 6:
        w.nullable_string(value.name)
    else:
        w.string(value.name or "")
    if version >= 6:
        w.uuid(value.topic_id)
    w.int16(value.error_code)
    if version >= 5:
        w.nullable_string(value.error_message)
    w.tags()


def read_response(r: Reader, version: int) -> DeleteTopicsResponse:
    value = DeleteTopicsResponse()
    value.throttle_time_ms = r.int32()
    value.responses = r.array(3, _read_deletable_topic_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: DeleteTopicsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.responses, _write_deletable_topic_result, version)
    w.tags()
