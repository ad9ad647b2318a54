"""Kafka's AddOffsetsToTxn (API key 25), versions 0 to 4.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 25
FLEXIBLE_FROM: int | None = 3


class AddOffsetsToTxnRequest(Schema):
    transactional_id: str = ""
    producer_id: int = 0
    producer_epoch: int = 0
    group_id: str = ""


def read_request(r: Reader, version: int) -> AddOffsetsToTxnRequest:
    value = AddOffsetsToTxnRequest()
    value.transactional_id = r.string()
    value.producer_id = r.int64()
    value.producer_epoch = r.int16()
    value.group_id = r.string()
    r.tags()
    return value


def write_request(w: Writer, value: AddOffsetsToTxnRequest, version: int) -> None:
    w.string(value.transactional_id)
    w.int64(value.producer_id)
    w.int16(value.producer_epoch)
    w.string(value.group_id)
    w.tags()


class AddOffsetsToTxnResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0


def read_response(r: Reader, version: int) -> AddOffsetsToTxnResponse:
    value = AddOffsetsToTxnResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    r.tags()
    return value


def write_response(w: Writer, value: AddOffsetsToTxnResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.tags()
