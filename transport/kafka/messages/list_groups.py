"""Kafka's ListGroups (API key 16), versions 0 to 5.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 16
FLEXIBLE_FROM: int | None = 3


class ListGroupsRequest(Schema):
    states_filter: list[str] = []
    types_filter: list[str] = []


def read_request(r: Reader, version: int) -> ListGroupsRequest:
    value = ListGroupsRequest()
    if version >= 4:
        value.states_filter = r.values(1, Reader.string)
    if version >= 5:
        value.types_filter = r.values(1, Reader.string)
    r.tags()
    return value


def write_request(w: Writer, value: ListGroupsRequest, version: int) -> None:
    if version >= 4:
        w.values(value.states_filter, Writer.string)
    if version >= 5:
        w.values(value.types_filter, Writer.string)
    w.tags()


class ListedGroup(Schema):
    group_id: str = ""
    protocol_type: str = ""
    group_state: str = ""
    group_type: str = ""


class ListGroupsResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    groups: list[ListedGroup] = []


def _read_listed_group(r: Reader, version: int) -> ListedGroup:
    value = ListedGroup()
    value.group_id = r.string()
    value.protocol_type = r.string()
    if version >= 4:
        value.group_state = r.string()
    if version >= 5:
        value.group_type = r.string()
    r.tags()
    return value


def _write_listed_group(w: Writer, value: ListedGroup, version: int) -> None:
    w.string(value.group_id)
    w.string(value.protocol_type)
    if version >= 4:
        w.string(value.group_state)
    if version >= 5:
        w.string(value.group_type)
    w.tags()


def read_response(r: Reader, version: int) -> ListGroupsResponse:
    value = ListGroupsResponse()
    if version >= 1:
        value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.groups = r.array(2, _read_listed_group, version)
    r.tags()
    return value


def write_response(w: Writer, value: ListGroupsResponse, version: int) -> None:
    if version >= 1:
        w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.array(value.groups, _write_listed_group, version)
    w.tags()
