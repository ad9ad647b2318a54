"""Kafka's DescribeClientQuotas (API key 48), versions 0 to 1.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 48
FLEXIBLE_FROM: int | None = 1


class ComponentData(Schema):
    entity_type: str = ""
    match_type: int = 0
    match: str | None = ""


class DescribeClientQuotasRequest(Schema):
    components: list[ComponentData] = []
    strict: bool = False


def _read_component_data(r: Reader, version: int) -> ComponentData:
    value = ComponentData()
    value.entity_type = r.string()
    value.match_type = r.int8()
    value.match = r.nullable_string()
    r.tags()
    return value


def _write_component_data(w: Writer, value: ComponentData, version: int) -> None:
    w.string(value.entity_type)
    w.int8(value.match_type)
    w.nullable_string(value.match)
    w.tags()


def read_request(r: Reader, version: int) -> DescribeClientQuotasRequest:
    value = DescribeClientQuotasRequest()
    value.components = r.array(3, _read_component_data, version)
    value.strict = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: DescribeClientQuotasRequest, version: int) -> None:
    w.array(value.components, _write_component_data, version)
    w.boolean(value.strict)
    w.tags()


class EntityData(Schema):
    entity_type: str = ""
    entity_name: str | None = ""


class ValueData(Schema):
    key: str = ""
    value: float = 0.0


class EntryData(Schema):
    entity: list[EntityData] = []
    values: list[ValueData] = []


class DescribeClientQuotasResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = ""
    entries: list[EntryData] | None = []


def _read_entity_data(r: Reader, version: int) -> EntityData:
    value = EntityData()
    value.entity_type = r.string()
    value.entity_name = r.nullable_string()
    r.tags()
    return value


def _write_entity_data(w: Writer, value: EntityData, version: int) -> None:
    w.string(value.entity_type)
    w.nullable_string(value.entity_name)
    w.tags()


def _read_value_data(r: Reader, version: int) -> ValueData:
    value = ValueData()
    value.key = r.string()
    value.value = r.float64()
    r.tags()
    return value


def _write_value_data(w: Writer, value: ValueData, version: int) -> None:
    w.string(value.key)
    w.float64(value.value)
    w.tags()


def _read_entry_data(r: Reader, version: int) -> EntryData:
    value = EntryData()
    value.entity = r.array(2, _read_entity_data, version)
    value.values = r.array(9, _read_value_data, version)
    r.tags()
    return value


def _write_entry_data(w: Writer, value: EntryData, version: int) -> None:
    w.array(value.entity, _write_entity_data, version)
    w.array(value.values, _write_value_data, version)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeClientQuotasResponse:
    value = DescribeClientQuotasResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.entries = r.nullable_array(2, _read_entry_data, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeClientQuotasResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.nullable_array(value.entries, _write_entry_data, version)
    w.tags()
