"""Kafka's DescribeAcls (API key 29), versions 1 to 3.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 29
FLEXIBLE_FROM: int | None = 2


class DescribeAclsRequest(Schema):
    resource_type_filter: int = 0
    resource_name_filter: str | None = ""
    pattern_type_filter: int = 3
    principal_filter: str | None = ""
    host_filter: str | None = ""
    operation: int = 0
    permission_type: int = 0


def read_request(r: Reader, version: int) -> DescribeAclsRequest:
    value = DescribeAclsRequest()
    value.resource_type_filter = r.int8()
    value.resource_name_filter = r.nullable_string()
    value.pattern_type_filter = r.int8()
    value.principal_filter = r.nullable_string()
    value.host_filter = r.nullable_string()
    value.operation = r.int8()
    value.permission_type = r.int8()
    r.tags()
    return value


def write_request(w: Writer, value: DescribeAclsRequest, version: int) -> None:
    w.int8(value.resource_type_filter)
    w.nullable_string(value.resource_name_filter)
    w.int8(value.pattern_type_filter)
    w.nullable_string(value.principal_filter)
    w.nullable_string(value.host_filter)
    w.int8(value.operation)
    w.int8(value.permission_type)
    w.tags()


class AclDescription(Schema):
    principal: str = ""
    host: str = ""
    operation: int = 0
    permission_type: int = 0


class DescribeAclsResource(Schema):
    resource_type: int = 0
    resource_name: str = ""
    pattern_type: int = 3
    acls: list[AclDescription] = []


class DescribeAclsResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = ""
    resources: list[DescribeAclsResource] = []


def _read_acl_description(r: Reader, version: int) -> AclDescription:
    value = AclDescription()
    value.principal = r.string()
    value.host = r.string()
    value.operation = r.int8()
    value.permission_type = r.int8()
    r.tags()
    return value


def _write_acl_description(w: Writer, value: AclDescription, version: int) -> None:
    w.string(value.principal)
    w.string(value.host)
    w.int8(value.operation)
    w.int8(value.permission_type)
    w.tags()


def _read_describe_acls_resource(r: Reader, version: int) -> DescribeAclsResource:
    value = DescribeAclsResource()
    value.resource_type = r.int8()
    value.resource_name = r.string()
    value.pattern_type = r.int8()
    value.acls = r.array(4, _read_acl_description, version)
    r.tags()
    return value


def _write_describe_acls_resource(w: Writer, value: DescribeAclsResource, version: int) -> None:
    w.int8(value.resource_type)
    w.string(value.resource_name)
    w.int8(value.pattern_type)
    w.array(value.acls, _write_acl_description, version)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeAclsResponse:
    value = DescribeAclsResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.resources = r.array(4, _read_describe_acls_resource, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeAclsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.resources, _write_describe_acls_resource, version)
    w.tags()
