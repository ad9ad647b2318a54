"""Kafka's InitProducerId (API key 22), versions 0 to 5.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 22
FLEXIBLE_FROM: int | None = 2


class InitProducerIdRequest(Schema):
    transactional_id: str | None = ""
    transaction_timeout_ms: int = 0
    producer_id: int = -1
    producer_epoch: int = -1


def read_request(r: Reader, version: int) -> InitProducerIdRequest:
    value = InitProducerIdRequest()
    value.transactional_id = r.nullable_string()
    value.transaction_timeout_ms = r.int32()
    if version >= 3:
        value.producer_id = r.int64()
        value.producer_epoch = r.int16()
    r.tags()
    return value


def write_request(w: Writer, value: InitProducerIdRequest, version: int) -> None:
    w.nullable_string(value.transactional_id)
    w.int32(value.transaction_timeout_ms)
    if version >= 3:
        w.int64(value.producer_id)
        w.int16(value.producer_epoch)
    w.tags()


class InitProducerIdResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    producer_id: int = -1
    producer_epoch: int = 0


def read_response(r: Reader, version: int) -> InitProducerIdResponse:
    value = InitProducerIdResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.producer_id = r.int64()
    value.producer_epoch = r.int16()
    r.tags()
    return value


def write_response(w: Writer, value: InitProducerIdResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.int64(value.producer_id)
    w.int16(value.producer_epoch)
    w.tags()
