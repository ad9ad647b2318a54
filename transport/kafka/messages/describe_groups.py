"""Kafka's DescribeGroups (API key 15), versions 0 to 6.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 15
FLEXIBLE_FROM: int | None = 5


class DescribeGroupsRequest(Schema):
    groups: list[str] = []
    include_authorized_operations: bool = False


def read_request(r: Reader, version: int) -> DescribeGroupsRequest:
    value = DescribeGroupsRequest()
    value.groups = r.values(1, Reader.string)
    if version >= 3:
        value.include_authorized_operations = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: DescribeGroupsRequest, version: int) -> None:
    w.values(value.groups, Writer.string)
    if version >= 3:
        w.boolean(value.include_authorized_operations)
    w.tags()


class DescribedGroupMember(Schema):
    member_id: str = ""
    group_instance_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    member_metadata: bytes = b""
    member_assignment: bytes = b""


class DescribedGroup(Schema):
    error_code: int = 0
    error_message: str | None = None
    group_id: str = ""
    group_state: str = ""
    protocol_type: str = ""
    protocol_data: str = ""
    members: list[DescribedGroupMember] = []
    authorized_operations: int = -2147483648


class DescribeGroupsResponse(Schema):
    throttle_time_ms: int = 0
    groups: list[DescribedGroup] = []


def _read_described_group_member(r: Reader, version: int) -> DescribedGroupMember:
    value = DescribedGroupMember()
    value.member_id = r.string()
    if version >= 4:
        value.group_instance_id = r.nullable_string()
    value.client_id = r.string()
    value.client_host = r.string()
    value.member_metadata = r.binary()
    value.member_assignment = r.binary()
    r.tags()
    return value


def _write_described_group_member(w: Writer, value: DescribedGroupMember, version: int) -> None:
    w.string(value.member_id)
    if version >= 4:
        w.nullable_string(value.group_instance_id)
    w.string(value.client_id)
    w.string(value.client_host)
    w.binary(value.member_metadata)
    w.binary(value.member_assignment)
    w.tags()


def _read_described_group(r: Reader, version: int) -> DescribedGroup:
    value = DescribedGroup()
    value.error_code = r.int16()
    if version >= 6:
        value.error_message = r.nullable_string()
    value.group_id = r.string()
    value.group_state = r.string()
    value.protocol_type = r.string()
    value.protocol_data = r.string()
    value.members = r.array(5, _read_described_group_member, version)
    if version >= 3:
        value.authorized_operations = r.int32()
    r.tags()
    return value


def _write_described_group(w: Writer, value: DescribedGroup, version: int) -> None:
    w.int16(value.error_code)
    if version >= 6:
        w.nullable_string(value.error_message)
    w.string(value.group_id)
    w.string(value.group_state)
    w.string(value.protocol_type)
    w.string(value.protocol_data)
    w.array(value.members, _write_described_group_member, version)
    if version >= 3:
        w.int32(value.authorized_operations)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeGroupsResponse:
    value = DescribeGroupsResponse()
    if version >= 1:
        value.throttle_time_ms = r.int32()
    value.groups = r.array(7, _read_described_group, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeGroupsResponse, version: int) -> None:
    if version >= 1:
        w.int32(value.throttle_time_ms)
    w.array(value.groups, _write_described_group, version)
    w.tags()
