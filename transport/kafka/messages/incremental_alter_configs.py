"""Kafka's IncrementalAlterConfigs (API key 44), versions 0 to 1.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 44
FLEXIBLE_FROM: int | None = 1


class AlterableConfig(Schema):
    name: str = ""
    config_operation: int = 0
    value: str | None = ""


class AlterConfigsResource(Schema):
    resource_type: int = 0
    resource_name: str = ""
    configs: list[AlterableConfig] = []


class IncrementalAlterConfigsRequest(Schema):
    resources: list[AlterConfigsResource] = []
    validate_only: bool = False


def _read_alterable_config(r: Reader, version: int) -> AlterableConfig:
    value = AlterableConfig()
    value.name = r.string()
    value.config_operation = r.int8()
    value.value = r.nullable_string()
    r.tags()
    return value


def _write_alterable_config(w: Writer, value: AlterableConfig, version: int) -> None:
    w.string(value.name)
    w.int8(value.config_operation)
    w.nullable_string(value.value)
    w.tags()


def _read_alter_configs_resource(r: Reader, version: int) -> AlterConfigsResource:
    value = AlterConfigsResource()
    value.resource_type = r.int8()
    value.resource_name = r.string()
    value.configs = r.array(3, _read_alterable_config, version)
    r.tags()
    return value


def _write_alter_configs_resource(w: Writer, value: AlterConfigsResource, version: int) -> None:
    w.int8(value.resource_type)
    w.string(value.resource_name)
    w.array(value.configs, _write_alterable_config, version)
    w.tags()


def read_request(r: Reader, version: int) -> IncrementalAlterConfigsRequest:
    value = IncrementalAlterConfigsRequest()
    value.resources = r.array(3, _read_alter_configs_resource, version)
    value.validate_only = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: IncrementalAlterConfigsRequest, version: int) -> None:
    w.array(value.resources, _write_alter_configs_resource, version)
    w.boolean(value.validate_only)
    w.tags()


class AlterConfigsResourceResponse(Schema):
    error_code: int = 0
    error_message: str | None = ""
    resource_type: int = 0
    resource_name: str = ""


class IncrementalAlterConfigsResponse(Schema):
    throttle_time_ms: int = 0
    responses: list[AlterConfigsResourceResponse] = []


def _read_alter_configs_resource_response(r: Reader, version: int) -> AlterConfigsResourceResponse:
    value = AlterConfigsResourceResponse()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.resource_type = r.int8()
    value.resource_name = r.string()
    r.tags()
    return value


def _write_alter_configs_resource_response(w: Writer, value: AlterConfigsResourceResponse, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.int8(value.resource_type)
    w.string(value.resource_name)
    w.tags()


def read_response(r: Reader, version: int) -> IncrementalAlterConfigsResponse:
    value = IncrementalAlterConfigsResponse()
    value.throttle_time_ms = r.int32()
    value.responses = r.array(5, _read_alter_configs_resource_response, version)
    r.tags()
    return value


def write_response(w: Writer, value: IncrementalAlterConfigsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.responses, _write_alter_configs_resource_response, version)
    w.tags()
