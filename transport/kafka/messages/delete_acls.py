"""Kafka's DeleteAcls (API key 31), versions 1 to 3.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 31
FLEXIBLE_FROM: int | None = 2


class DeleteAclsFilter(Schema):
    resource_type_filter: int = 0
    resource_name_filter: str | None = ""
    pattern_type_filter: int = 3
    principal_filter: str | None = ""
    host_filter: str | None = ""
    operation: int = 0
    permission_type: int = 0


class DeleteAclsRequest(Schema):
    filters: list[DeleteAclsFilter] = []


def _read_delete_acls_filter(r: Reader, version: int) -> DeleteAclsFilter:
    value = DeleteAclsFilter()
    value.resource_type_filter = r.int8()
    value.resource_name_filter = r.nullable_string()
    value.pattern_type_filter = r.int8()
    value.principal_filter = r.nullable_string()
    value.host_filter = r.nullable_string()
    value.operation = r.int8()
    value.permission_type = r.int8()
    r.tags()
    return value


def _write_delete_acls_filter(w: Writer, value: DeleteAclsFilter, version: int) -> None:
    w.int8(value.resource_type_filter)
    w.nullable_string(value.resource_name_filter)
    w.int8(value.pattern_type_filter)
    w.nullable_string(value.principal_filter)
    w.nullable_string(value.host_filter)
    w.int8(value.operation)
    w.int8(value.permission_type)
    w.tags()


def read_request(r: Reader, version: int) -> DeleteAclsRequest:
    value = DeleteAclsRequest()
    value.filters = r.array(7, _read_delete_acls_filter, version)
    r.tags()
    return value


def write_request(w: Writer, value: DeleteAclsRequest, version: int) -> None:
    w.array(value.filters, _write_delete_acls_filter, version)
    w.tags()


class DeleteAclsMatchingAcl(Schema):
    error_code: int = 0
    error_message: str | None = ""
    resource_type: int = 0
    resource_name: str = ""
    pattern_type: int = 3
    principal: str = ""
    host: str = ""
    operation: int = 0
    permission_type: int = 0


class DeleteAclsFilterResult(Schema):
    error_code: int = 0
    error_message: str | None = ""
    matching_acls: list[DeleteAclsMatchingAcl] = []


class DeleteAclsResponse(Schema):
    throttle_time_ms: int = 0
    filter_results: list[DeleteAclsFilterResult] = []


def _read_delete_acls_matching_acl(r: Reader, version: int) -> DeleteAclsMatchingAcl:
    value = DeleteAclsMatchingAcl()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.resource_type = r.int8()
    value.resource_name = r.string()
    value.pattern_type = r.int8()
    value.principal = r.string()
    value.host = r.string()
    value.operation = r.int8()
    value.permission_type = r.int8()
    r.tags()
    return value


def _write_delete_acls_matching_acl(w: Writer, value: DeleteAclsMatchingAcl, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.int8(value.resource_type)
    w.string(value.resource_name)
    w.int8(value.pattern_type)
    w.string(value.principal)
    w.string(value.host)
    w.int8(value.operation)
    w.int8(value.permission_type)
    w.tags()


def _read_delete_acls_filter_result(r: Reader, version: int) -> DeleteAclsFilterResult:
    value = DeleteAclsFilterResult()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.matching_acls = r.array(10, _read_delete_acls_matching_acl, version)
    r.tags()
    return value


def _write_delete_acls_filter_result(w: Writer, value: DeleteAclsFilterResult, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.matching_acls, _write_delete_acls_matching_acl, version)
    w.tags()


def read_response(r: Reader, version: int) -> DeleteAclsResponse:
    value = DeleteAclsResponse()
    value.throttle_time_ms = r.int32()
    value.filter_results = r.array(4, _read_delete_acls_filter_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: DeleteAclsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.filter_results, _write_delete_acls_filter_result, version)
    w.tags()
