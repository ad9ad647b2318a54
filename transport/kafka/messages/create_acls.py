"""Kafka's CreateAcls (API key 30), versions 1 to 3.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 30
FLEXIBLE_FROM: int | None = 2


class AclCreation(Schema):
    resource_type: int = 0
    resource_name: str = ""
    resource_pattern_type: int = 3
    principal: str = ""
    host: str = ""
    operation: int = 0
    permission_type: int = 0


class CreateAclsRequest(Schema):
    creations: list[AclCreation] = []


def _read_acl_creation(r: Reader, version: int) -> AclCreation:
    value = AclCreation()
    value.resource_type = r.int8()
    value.resource_name = r.string()
    value.resource_pattern_type = r.int8()
    value.principal = r.string()
    value.host = r.string()
    value.operation = r.int8()
    value.permission_type = r.int8()
    r.tags()
    return value


def _write_acl_creation(w: Writer, value: AclCreation, version: int) -> None:
    w.int8(value.resource_type)
    w.string(value.resource_name)
    w.int8(value.resource_pattern_type)
    w.string(value.principal)
    w.string(value.host)
    w.int8(value.operation)
    w.int8(value.permission_type)
    w.tags()


def read_request(r: Reader, version: int) -> CreateAclsRequest:
    value = CreateAclsRequest()
    value.creations = r.array(7, _read_acl_creation, version)
    r.tags()
    return value


def write_request(w: Writer, value: CreateAclsRequest, version: int) -> None:
    w.array(value.creations, _write_acl_creation, version)
    w.tags()


class AclCreationResult(Schema):
    error_code: int = 0
    error_message: str | None = ""


class CreateAclsResponse(Schema):
    throttle_time_ms: int = 0
    results: list[AclCreationResult] = []


def _read_acl_creation_result(r: Reader, version: int) -> AclCreationResult:
    value = AclCreationResult()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    r.tags()
    return value


def _write_acl_creation_result(w: Writer, value: AclCreationResult, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.tags()


def read_response(r: Reader, version: int) -> CreateAclsResponse:
    value = CreateAclsResponse()
    value.throttle_time_ms = r.int32()
    value.results = r.array(3, _read_acl_creation_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: CreateAclsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.results, _write_acl_creation_result, version)
    w.tags()
