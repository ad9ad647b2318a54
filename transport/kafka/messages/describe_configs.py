"""Kafka's DescribeConfigs (API key 32), versions 1 to 4.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 32
FLEXIBLE_FROM: int | None = 4


class DescribeConfigsResource(Schema):
    resource_type: int = 0
    resource_name: str = ""
    configuration_keys: list[str] | None = []


class DescribeConfigsRequest(Schema):
    resources: list[DescribeConfigsResource] = []
    include_synonyms: bool = False
    include_documentation: bool = False


def _read_describe_configs_resource(r: Reader, version: int) -> DescribeConfigsResource:
    value = DescribeConfigsResource()
    value.resource_type = r.int8()
    value.resource_name = r.string()
    value.configuration_keys = r.nullable_values(1, Reader.string)
    r.tags()
    return value


def _write_describe_configs_resource(w: Writer, value: DescribeConfigsResource, version: int) -> None:
    w.int8(value.resource_type)
    w.string(value.resource_name)
    w.nullable_values(value.configuration_keys, Writer.string)
    w.tags()


def read_request(r: Reader, version: int) -> DescribeConfigsRequest:
    value = DescribeConfigsRequest()
    value.resources = r.array(3, _read_describe_configs_resource, version)
    value.include_synonyms = r.boolean()
    if version >= 3:
        value.include_documentation = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: DescribeConfigsRequest, version: int) -> None:
    w.array(value.resources, _write_describe_configs_resource, version)
    w.boolean(value.include_synonyms)
    if version >= 3:
        w.boolean(value.include_documentation)
    w.tags()


class DescribeConfigsSynonym(Schema):
    name: str = ""
    value: str | None = ""
    source: int = 0


class DescribeConfigsResourceResult(Schema):
    name: str = ""
    value: str | None = ""
    read_only: bool = False
    config_source: int = -1
    is_sensitive: bool = False
    synonyms: list[DescribeConfigsSynonym] = []
    config_type: int = 0
    documentation: str | None = ""


class DescribeConfigsResult(Schema):
    error_code: int = 0
    error_message: str | None = ""
    resource_type: int = 0
    resource_name: str = ""
    configs: list[DescribeConfigsResourceResult] = []


class DescribeConfigsResponse(Schema):
    throttle_time_ms: int = 0
    results: list[DescribeConfigsResult] = []


def _read_describe_configs_synonym(r: Reader, version: int) -> DescribeConfigsSynonym:
    value = DescribeConfigsSynonym()
    value.name = r.string()
    value.value = r.nullable_string()
    value.source = r.int8()
    r.tags()
    return value


def _write_describe_configs_synonym(w: Writer, value: DescribeConfigsSynonym, version: int) -> None:
    w.string(value.name)
    w.nullable_string(value.value)
    w.int8(value.source)
    w.tags()


def _read_describe_configs_resource_result(r: Reader, version: int) -> DescribeConfigsResourceResult:
    value = DescribeConfigsResourceResult()
    value.name = r.string()
    value.value = r.nullable_string()
    value.read_only = r.boolean()
    value.config_source = r.int8()
    value.is_sensitive = r.boolean()
    value.synonyms = r.array(3, _read_describe_configs_synonym, version)
    if version >= 3:
        value.config_type = r.int8()
        value.documentation = r.nullable_string()
    r.tags()
    return value


def _write_describe_configs_resource_result(w: Writer, value: DescribeConfigsResourceResult, version: int) -> None:
    w.string(value.name)
    w.nullable_string(value.value)
    w.boolean(value.read_only)
    w.int8(value.config_source)
    w.boolean(value.is_sensitive)
    w.array(value.synonyms, _write_describe_configs_synonym, version)
    if version >= 3:
        w.int8(value.config_type)
        w.nullable_string(value.documentation)
    w.tags()


def _read_describe_configs_result(r: Reader, version: int) -> DescribeConfigsResult:
    value = DescribeConfigsResult()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.resource_type = r.int8()
    value.resource_name = r.string()
    value.configs = r.array(6, _read_describe_configs_resource_result, version)
    r.tags()
    return value


def _write_describe_configs_result(w: Writer, value: DescribeConfigsResult, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.int8(value.resource_type)
    w.string(value.resource_name)
    w.array(value.configs, _write_describe_configs_resource_result, version)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeConfigsResponse:
    value = DescribeConfigsResponse()
    value.throttle_time_ms = r.int32()
    value.results = r.array(6, _read_describe_configs_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeConfigsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.results, _write_describe_configs_result, version)
    w.tags()
