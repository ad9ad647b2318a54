"""Kafka's DeleteGroups (API key 42), versions 0 to 2.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 42
FLEXIBLE_FROM: int | None = 2


class DeleteGroupsRequest(Schema):
    groups_names: list[str] = []


def read_request(r: Reader, version: int) -> DeleteGroupsRequest:
    value = DeleteGroupsRequest()
    value.groups_names = r.values(1, Reader.string)
    r.tags()
    return value


def write_request(w: Writer, value: DeleteGroupsRequest, version: int) -> None:
    w.values(value.groups_names, Writer.string)
    w.tags()


class DeletableGroupResult(Schema):
    group_id: str = ""
    error_code: int = 0


class DeleteGroupsResponse(Schema):
    throttle_time_ms: int = 0
    results: list[DeletableGroupResult] = []


def _read_deletable_group_result(r: Reader, version: int) -> DeletableGroupResult:
    value = DeletableGroupResult()
    value.group_id = r.string()
    value.error_code = r.int16()
    r.tags()
    return value


def _write_deletable_group_result(w: Writer, value: DeletableGroupResult, version: int) -> None:
    w.string(value.group_id)
    w.int16(value.error_code)
    w.tags()


def read_response(r: Reader, version: int) -> DeleteGroupsResponse:
    value = DeleteGroupsResponse()
    value.throttle_time_ms = r.int32()
    value.results = r.array(3, _read_deletable_group_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: DeleteGroupsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.results, _write_deletable_group_result, version)
    w.tags()
