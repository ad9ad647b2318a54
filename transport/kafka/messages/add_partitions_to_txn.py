"""Kafka's AddPartitionsToTxn (API key 24), versions 0 to 3.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 24
FLEXIBLE_FROM: int | None = 3


class AddPartitionsToTxnTopic(Schema):
    name: str = ""
    partitions: list[int] = []


class AddPartitionsToTxnRequest(Schema):
    v3_and_below_transactional_id: str = ""
    v3_and_below_producer_id: int = 0
    v3_and_below_producer_epoch: int = 0
    v3_and_below_topics: list[AddPartitionsToTxnTopic] = []


def _read_add_partitions_to_txn_topic(r: Reader, version: int) -> AddPartitionsToTxnTopic:
    value = AddPartitionsToTxnTopic()
    value.name = r.string()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_add_partitions_to_txn_topic(w: Writer, value: AddPartitionsToTxnTopic, version: int) -> None:
    w.string(value.name)
    w.values(value.partitions, Writer.int32)
    w.tags()


def read_request(r: Reader, version: int) -> AddPartitionsToTxnRequest:
    value = AddPartitionsToTxnRequest()
    value.v3_and_below_transactional_id = r.string()
    value.v3_and_below_producer_id = r.int64()
    value.v3_and_below_producer_epoch = r.int16()
    value.v3_and_below_topics = r.array(2, _read_add_partitions_to_txn_topic, version)
    r.tags()
    return value


def write_request(w: Writer, value: AddPartitionsToTxnRequest, version: int) -> None:
    w.string(value.v3_and_below_transactional_id)
    w.int64(value.v3_and_below_producer_id)
    w.int16(value.v3_and_below_producer_epoch)
    w.array(value.v3_and_below_topics, _write_add_partitions_to_txn_topic, version)
    w.tags()


class AddPartitionsToTxnPartitionResult(Schema):
    partition_index: int = 0
    partition_error_code: int = 0


class AddPartitionsToTxnTopicResult(Schema):
    name: str = ""
    results_by_partition: list[AddPartitionsToTxnPartitionResult] = []


class AddPartitionsToTxnResponse(Schema):
    throttle_time_ms: int = 0
    results_by_topic_v3_and_below: list[AddPartitionsToTxnTopicResult] = []


def _read_add_partitions_to_txn_partition_result(r: Reader, version: int) -> AddPartitionsToTxnPartitionResult:
    value = AddPartitionsToTxnPartitionResult()
    value.partition_index = r.int32()
    value.partition_error_code = r.int16()
    r.tags()
    return value


def _write_add_partitions_to_txn_partition_result(
    w: Writer, value: AddPartitionsToTxnPartitionResult, version: int
) -> None:
    w.int32(value.partition_index)
    w.int16(value.partition_error_code)
    w.tags()


def _read_add_partitions_to_txn_topic_result(r: Reader, version: int) -> AddPartitionsToTxnTopicResult:
    value = AddPartitionsToTxnTopicResult()
    value.name = r.string()
    value.results_by_partition = r.array(6, _read_add_partitions_to_txn_partition_result, version)
    r.tags()
    return value


def _write_add_partitions_to_txn_topic_result(w: Writer, value: AddPartitionsToTxnTopicResult, version: int) -> None:
    w.string(value.name)
    w.array(value.results_by_partition, _write_add_partitions_to_txn_partition_result, version)
    w.tags()


def read_response(r: Reader, version: int) -> AddPartitionsToTxnResponse:
    value = AddPartitionsToTxnResponse()
    value.throttle_time_ms = r.int32()
    value.results_by_topic_v3_and_below = r.array(2, _read_add_partitions_to_txn_topic_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: AddPartitionsToTxnResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.results_by_topic_v3_and_below, _write_add_partitions_to_txn_topic_result, version)
    w.tags()
