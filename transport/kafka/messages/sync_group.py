"""Kafka's SyncGroup (API key 14), versions 0 to 5.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 14
FLEXIBLE_FROM: int | None = 4


class SyncGroupRequestAssignment(Schema):
    member_id: str = ""
    assignment: bytes = b""


class SyncGroupRequest(Schema):
    group_id: str = ""
    generation_id: int = 0
    member_id: str = ""
    group_instance_id: str | None = None
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignments: list[SyncGroupRequestAssignment] = []


def _read_sync_group_request_assignment(r: Reader, version: int) -> SyncGroupRequestAssignment:
    value = SyncGroupRequestAssignment()
    value.member_id = r.string()
    value.assignment = r.binary()
    r.tags()
    return value


def _write_sync_group_request_assignment(w: Writer, value: SyncGroupRequestAssignment, version: int) -> None:
    w.string(value.member_id)
    w.binary(value.assignment)
    w.tags()


def read_request(r: Reader, version: int) -> SyncGroupRequest:
    value = SyncGroupRequest()
    value.group_id = r.string()
    value.generation_id = r.int32()
    value.member_id = r.string()
    if version >= 3:
        value.group_instance_id = r.nullable_string()
    if version >= 5:
        value.protocol_type = r.nullable_string()
        value.protocol_name = r.nullable_string()
    value.assignments = r.array(2, _read_sync_group_request_assignment, version)
    r.tags()
    return value


def write_request(w: Writer, value: SyncGroupRequest, version: int) -> None:
    w.string(value.group_id)
    w.int32(value.generation_id)
    w.string(value.member_id)
    if version >= 3:
        w.nullable_string(value.group_instance_id)
    if version >= 5:
        w.nullable_string(value.protocol_type)
        w.nullable_string(value.protocol_name)
    w.array(value.assignments, _write_sync_group_request_assignment, version)
    w.tags()


class SyncGroupResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""


def read_response(r: Reader, version: int) -> SyncGroupResponse:
    value = SyncGroupResponse()
    if version >= 1:
        value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    if version >= 5:
        value.protocol_type = r.nullable_string()
        value.protocol_name = r.nullable_string()
    value.assignment = r.binary()
    r.tags()
    return value


def write_response(w: Writer, value: SyncGroupResponse, version: int) -> None:
    if version >= 1:
        w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    if version >= 5:
        w.nullable_string(value.protocol_type)
        w.nullable_string(value.protocol_name)
    w.binary(value.assignment)
    w.tags()
