"""Kafka's ListTransactions (API key 66), versions 0 to 1.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 66
FLEXIBLE_FROM: int | None = 0


class ListTransactionsRequest(Schema):
    state_filters: list[str] = []
    producer_id_filters: list[int] = []
    duration_filter: int = -1


def read_request(r: Reader, version: int) -> ListTransactionsRequest:
    value = ListTransactionsRequest()
    value.state_filters = r.values(1, Reader.string)
    value.producer_id_filters = r.values(8, Reader.int64)
    if version >= 1:
        value.duration_filter = r.int64()
    r.tags()
    return value


def write_request(w: Writer, value: ListTransactionsRequest, version: int) -> None:
    w.values(value.state_filters, Writer.string)
    w.values(value.producer_id_filters, Writer.int64)
    if version >= 1:
        w.int64(value.duration_filter)
    w.tags()


class TransactionState(Schema):
    transactional_id: str = ""
    producer_id: int = 0
    transaction_state: str = ""


class ListTransactionsResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    unknown_state_filters: list[str] = []
    transaction_states: list[TransactionState] = []


def _read_transaction_state(r: Reader, version: int) -> TransactionState:
    value = TransactionState()
    value.transactional_id = r.string()
    value.producer_id = r.int64()
    value.transaction_state = r.string()
    r.tags()
    return value


def _write_transaction_state(w: Writer, value: TransactionState, version: int) -> None:
    w.string(value.transactional_id)
    w.int64(value.producer_id)
    w.string(value.transaction_state)
    w.tags()


def read_response(r: Reader, version: int) -> ListTransactionsResponse:
    value = ListTransactionsResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.unknown_state_filters = r.values(1, Reader.string)
    value.transaction_states = r.array(10, _read_transaction_state, version)
    r.tags()
    return value


def write_response(w: Writer, value: ListTransactionsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.values(value.unknown_state_filters, Writer.string)
    w.array(value.transaction_states, _write_transaction_state, version)
    w.tags()
