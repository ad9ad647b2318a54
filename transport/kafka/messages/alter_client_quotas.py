"""Kafka's AlterClientQuotas (API key 49), versions 0 to 1.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 49
FLEXIBLE_FROM: int | None = 1


class EntityData(Schema):
    entity_type: str = ""
    entity_name: str | None = ""


class OpData(Schema):
    key: str = ""
    value: float = 0.0
    remove: bool = False


class EntryData(Schema):
    entity: list[EntityData] = []
    ops: list[OpData] = []


class AlterClientQuotasRequest(Schema):
    entries: list[EntryData] = []
    validate_only: bool = False


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


def _read_op_data(r: Reader, version: int) -> OpData:
    value = OpData()
    value.key = r.string()
    value.value = r.float64()
    value.remove = r.boolean()
    r.tags()
    return value


def _write_op_data(w: Writer, value: OpData, version: int) -> None:
    w.string(value.key)
    w.float64(value.value)
    w.boolean(value.remove)
    w.tags()


def _read_entry_data(r: Reader, version: int) -> EntryData:
    value = EntryData()
    value.entity = r.array(2, _read_entity_data, version)
    value.ops = r.array(10, _read_op_data, version)
    r.tags()
    return value


def _write_entry_data(w: Writer, value: EntryData, version: int) -> None:
    w.array(value.entity, _write_entity_data, version)
    w.array(value.ops, _write_op_data, version)
    w.tags()


def read_request(r: Reader, version: int) -> AlterClientQuotasRequest:
    value = AlterClientQuotasRequest()
    value.entries = r.array(2, _read_entry_data, version)
    value.validate_only = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: AlterClientQuotasRequest, version: int) -> None:
    w.array(value.entries, _write_entry_data, version)
    w.boolean(value.validate_only)
    w.tags()


class EntityDataResponse(Schema):
    entity_type: str = ""
    entity_name: str | None = ""


class EntryDataResponse(Schema):
    error_code: int = 0
    error_message: str | None = ""
    entity: list[EntityDataResponse] = []


class AlterClientQuotasResponse(Schema):
    throttle_time_ms: int = 0
    entries: list[EntryDataResponse] = []


def _read_entity_data_response(r: Reader, version: int) -> EntityDataResponse:
    value = EntityDataResponse()
    value.entity_type = r.string()
    value.entity_name = r.nullable_string()
    r.tags()
    return value


def _write_entity_data_response(w: Writer, value: EntityDataResponse, version: int) -> None:
    w.string(value.entity_type)
    w.nullable_string(value.entity_name)
    w.tags()


def _read_entry_data_response(r: Reader, version: int) -> EntryDataResponse:
    value = EntryDataResponse()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.entity = r.array(2, _read_entity_data_response, version)
    r.tags()
    return value


def _write_entry_data_response(w: Writer, value: EntryDataResponse, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.entity, _write_entity_data_response, version)
    w.tags()


def read_response(r: Reader, version: int) -> AlterClientQuotasResponse:
    value = AlterClientQuotasResponse()
    value.throttle_time_ms = r.int32()
    value.entries = r.array(4, _read_entry_data_response, version)
    r.tags()
    return value


def write_response(w: Writer, value: AlterClientQuotasResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.entries, _write_entry_data_response, version)
    w.tags()
