"""Kafka's FindCoordinator (API key 10), versions 0 to 5.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 10
FLEXIBLE_FROM: int | None = 3


class FindCoordinatorRequest(Schema):
    key: str = ""
    key_type: int = 0
    coordinator_keys: list[str] = []


def read_request(r: Reader, version: int) -> FindCoordinatorRequest:
    value = FindCoordinatorRequest()
    if version <= 3:
        value.key = r.string()
    if version >= 1:
        value.key_type = r.int8()
    if version >= 4:
        value.coordinator_keys = r.values(1, Reader.string)
    r.tags()
    return value


def write_request(w: Writer, value: FindCoordinatorRequest, version: int) -> None:
    if version <= 3:
        w.string(value.key)
    if version >= 1:
        w.int8(value.key_type)
    if version >= 4:
        w.values(value.coordinator_keys, Writer.string)
    w.tags()


class Coordinator(Schema):
    key: str = ""
    node_id: int = 0
    host: str = ""
    port: int = 0
    error_code: int = 0
    error_message: str | None = ""


class FindCoordinatorResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = ""
    node_id: int = 0
    host: str = ""
    port: int = 0
    coordinators: list[Coordinator] = []


def _read_coordinator(r: Reader, version: int) -> Coordinator:
    value = Coordinator()
    value.key = r.string()
    value.node_id = r.int32()
    value.host = r.string()
    value.port = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    r.tags()
    return value


def _write_coordinator(w: Writer, value: Coordinator, version: int) -> None:
    w.string(value.key)
    w.int32(value.node_id)
    w.string(value.host)
    w.int32(value.port)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.tags()


def read_response(r: Reader, version: int) -> FindCoordinatorResponse:
    value = FindCoordinatorResponse()
    if version >= 1:
        value.throttle_time_ms = r.int32()
    if version <= 3:
        value.error_code = r.int16()
    if 1 <= version <= 3:
        value.error_message = r.nullable_string()
    if version <= 3:
        value.node_id = r.int32()
        value.host = r.string()
        value.port = r.int32()
    if version >= 4:
        value.coordinators = r.array(13, _read_coordinator, version)
    r.tags()
    return value


def write_response(w: Writer, value: FindCoordinatorResponse, version: int) -> None:
    if version >= 1:
        w.int32(value.throttle_time_ms)
    if version <= 3:
        w.int16(value.error_code)
    if 1 <= version <= 3:
        w.nullable_string(value.error_message)
    if version <= 3:
        w.int32(value.node_id)
        w.string(value.host)
        w.int32(value.port)
    if version >= 4:
        w.array(value.coordinators, _write_coordinator, version)
    w.tags()
