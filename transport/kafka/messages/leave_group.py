"""Kafka's LeaveGroup (API key 13), versions 0 to 5.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 13
FLEXIBLE_FROM: int | None = 4


class MemberIdentity(Schema):
    member_id: str = ""
    group_instance_id: str | None = None
    reason: str | None = None


class LeaveGroupRequest(Schema):
    group_id: str = ""
    member_id: str = ""
    members: list[MemberIdentity] = []


def _read_member_identity(r: Reader, version: int) -> MemberIdentity:
    value = MemberIdentity()
    value.member_id = r.string()
    value.group_instance_id = r.nullable_string()
    if version >= 5:
        value.reason = r.nullable_string()
    r.tags()
    return value


def _write_member_identity(w: Writer, value: MemberIdentity, version: int) -> None:
    w.string(value.member_id)
    w.nullable_string(value.group_instance_id)
    if version >= 5:
        w.nullable_string(value.reason)
    w.tags()


def read_request(r: Reader, version: int) -> LeaveGroupRequest:
    value = LeaveGroupRequest()
    value.group_id = r.string()
    if version <= 2:
        value.member_id = r.string()
    if version >= 3:
        value.members = r.array(2, _read_member_identity, version)
    r.tags()
    return value


def write_request(w: Writer, value: LeaveGroupRequest, version: int) -> None:
    w.string(value.group_id)
    if version <= 2:
        w.string(value.member_id)
    if version >= 3:
        w.array(value.members, _write_member_identity, version)
    w.tags()


class MemberResponse(Schema):
    member_id: str = ""
    group_instance_id: str | None = ""
    error_code: int = 0


class LeaveGroupResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    members: list[MemberResponse] = []


def _read_member_response(r: Reader, version: int) -> MemberResponse:
    value = MemberResponse()
    value.member_id = r.string()
    value.group_instance_id = r.nullable_string()
    value.error_code = r.int16()
    r.tags()
    return value


def _write_member_response(w: Writer, value: MemberResponse, version: int) -> None:
    w.string(value.member_id)
    w.nullable_string(value.group_instance_id)
    w.int16(value.error_code)
    w.tags()


def read_response(r: Reader, version: int) -> LeaveGroupResponse:
    value = LeaveGroupResponse()
    if version >= 1:
        value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    if version >= 3:
        value.members = r.array(4, _read_member_response, version)
    r.tags()
    return value


def write_response(w: Writer, value: LeaveGroupResponse, version: int) -> None:
    if version >= 1:
        w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    if version >= 3:
        w.array(value.members, _write_member_response, version)
    w.tags()
