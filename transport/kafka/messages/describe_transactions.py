"""Kafka's DescribeTransactions (API key 65), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 65
FLEXIBLE_FROM: int | None = 0


class DescribeTransactionsRequest(Schema):
    transactional_ids: list[str] = []


def read_request(r: Reader, version: int) -> DescribeTransactionsRequest:
    value = DescribeTransactionsRequest()
    value.transactional_ids = r.values(1, Reader.string)
    r.tags()
    return value


def write_request(w: Writer, value: DescribeTransactionsRequest, version: int) -> None:
    w.values(value.transactional_ids, Writer.string)
    w.tags()


class TopicData(Schema):
    topic: str = ""
    partitions: list[int] = []


class TransactionState(Schema):
    error_code: int = 0
    transactional_id: str = ""
    transaction_state: str = ""
    transaction_timeout_ms: int = 0
    transaction_start_time_ms: int = 0
    producer_id: int = 0
    producer_epoch: int = 0
    topics: list[TopicData] = []


class DescribeTransactionsResponse(Schema):
    throttle_time_ms: int = 0
    transaction_states: list[TransactionState] = []


def _read_topic_data(r: Reader, version: int) -> TopicData:
    value = TopicData()
    value.topic = r.string()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_topic_data(w: Writer, value: TopicData, version: int) -> None:
    w.string(value.topic)
    w.values(value.partitions, Writer.int32)
    w.tags()


def _read_transaction_state(r: Reader, version: int) -> TransactionState:
    value = TransactionState()
    value.error_code = r.int16()
    value.transactional_id = r.string()
    value.transaction_state = r.string()
    value.transaction_timeout_ms = r.int32()
    value.transaction_start_time_ms = r.int64()
    value.producer_id = r.int64()
    value.producer_epoch = r.int16()
    value.topics = r.array(2, _read_topic_data, version)
    r.tags()
    return value


def _write_transaction_state(w: Writer, value: TransactionState, version: int) -> None:
    w.int16(value.error_code)
    w.string(value.transactional_id)
    w.string(value.transaction_state)
    w.int32(value.transaction_timeout_ms)
    w.int64(value.transaction_start_time_ms)
    w.int64(value.producer_id)
    w.int16(value.producer_epoch)
    w.array(value.topics, _write_topic_data, version)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeTransactionsResponse:
    value = DescribeTransactionsResponse()
    value.throttle_time_ms = r.int32()
    value.transaction_states = r.array(27, _read_transaction_state, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeTransactionsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.transaction_states, _write_transaction_state, version)
    w.tags()
