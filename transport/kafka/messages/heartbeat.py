"""Kafka's Heartbeat (API key 12), versions 0 to 4.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 12
FLEXIBLE_FROM: int | None = 4


class HeartbeatRequest(Schema):
    group_id: str = ""
    generation_id: int = 0
    member_id: str = ""
    group_instance_id: str | None = None


def read_request(r: Reader, version: int) -> HeartbeatRequest:
    value = HeartbeatRequest()
    value.group_id = r.string()
    value.generation_id = r.int32()
    value.member_id = r.string()
    if version >= 3:
        value.group_instance_id = r.nullable_string()
    r.tags()
    return value


def write_request(w: Writer, value: HeartbeatRequest, version: int) -> None:
    w.string(value.group_id)
    w.int32(value.generation_id)
    w.string(value.member_id)
    if version >= 3:
        w.nullable_string(value.group_instance_id)
    w.tags()


class HeartbeatResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0


def read_response(r: Reader, version: int) -> HeartbeatResponse:
    value = HeartbeatResponse()
    if version >= 1:
        value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    r.tags()
    return value


def write_response(w: Writer, value: HeartbeatResponse, version: int) -> None:
    if version >= 1:
        w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.tags()
