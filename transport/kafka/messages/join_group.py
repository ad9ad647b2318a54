"""Kafka's JoinGroup (API key 11), versions 0 to 9.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 11
FLEXIBLE_FROM: int | None = 6


class JoinGroupRequestProtocol(Schema):
    name: str = ""
    metadata: bytes = b""


class JoinGroupRequest(Schema):
    group_id: str = ""
    session_timeout_ms: int = 0
    rebalance_timeout_ms: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
    protocol_type: str = ""
    protocols: list[JoinGroupRequestProtocol] = []
    reason: str | None = None


def _read_join_group_request_protocol(r: Reader, version: int) -> JoinGroupRequestProtocol:
    value = JoinGroupRequestProtocol()
    value.name = r.string()
    value.metadata = r.binary()
    r.tags()
    return value


def _write_join_group_request_protocol(w: Writer, value: JoinGroupRequestProtocol, version: int) -> None:
    w.string(value.name)
    w.binary(value.metadata)
    w.tags()


def read_request(r: Reader, version: int) -> JoinGroupRequest:
    value = JoinGroupRequest()
    value.group_id = r.string()
    value.session_timeout_ms = r.int32()
    if version >= 1:
        value.rebalance_timeout_ms = r.int32()
    value.member_id = r.string()
    if version >= 5:
        value.group_instance_id = r.nullable_string()
    value.protocol_type = r.string()
    value.protocols = r.array(2, _read_join_group_request_protocol, version)
    if version >= 8:
        value.reason = r.nullable_string()
    r.tags()
    return value


def write_request(w: Writer, value: JoinGroupRequest, version: int) -> None:
    w.string(value.group_id)
    w.int32(value.session_timeout_ms)
    if version >= 1:
        w.int32(value.rebalance_timeout_ms)
    w.string(value.member_id)
    if version >= 5:
        w.nullable_string(value.group_instance_id)
    w.string(value.protocol_type)
    w.array(value.protocols, _write_join_group_request_protocol, version)
    if version >= 8:
        w.nullable_string(value.reason)
    w.tags()


class JoinGroupResponseMember(Schema):
    member_id: str = ""
    group_instance_id: str | None = None
    metadata: bytes = b""


class JoinGroupResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    generation_id: int = -1
    protocol_type: str | None = None
    protocol_name: str | None = ""
    leader: str = ""
    skip_assignment: bool = False
    member_id: str = ""
    members: list[JoinGroupResponseMember] = []


def _read_join_group_response_member(r: Reader, version: int) -> JoinGroupResponseMember:
    value = JoinGroupResponseMember()
    value.member_id = r.string()
    if version >= 5:
        value.group_instance_id = r.nullable_string()
    value.metadata = r.binary()
    r.tags()
    return value


def _write_join_group_response_member(w: Writer, value: JoinGroupResponseMember, version: int) -> None:
    w.string(value.member_id)
    if version >= 5:
        w.nullable_string(value.group_instance_id)
    w.binary(value.metadata)
    w.tags()


def read_response(r: Reader, version: int) -> JoinGroupResponse:
    value = JoinGroupResponse()
    if version >= 2:
        value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.generation_id = r.int32()
    if version >= 7:
        value.protocol_type = r.nullable_string()
    if version >= 7:
        value.protocol_name = r.nullable_string()
    else:
        value.protocol_name = r.string()
    value.leader = r.string()
    if version >= 9:
        value.skip_assignment = r.boolean()
    value.member_id = r.string()
    value.members = r.array(2, _read_join_group_response_member, version)
    r.tags()
    return value


def write_response(w: Writer, value: JoinGroupResponse, version: int) -> None:
    if version >= 2:
        w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.int32(value.generation_id)
    if version >= 7:
        w.nullable_string(value.protocol_type)
    if version >= 7:
        w.nullable_string(value.protocol_name)
    else:
        w.string(value.protocol_name or "")
    w.string(value.leader)
    if version >= 9:
        w.boolean(value.skip_assignment)
    w.string(value.member_id)
    w.array(value.members, _write_join_group_response_member, version)
    w.tags()
