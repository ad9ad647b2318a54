"""Kafka's DeleteRecords (API key 21), versions 0 to 2.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 21
FLEXIBLE_FROM: int | None = 2


class DeleteRecordsPartition(Schema):
    partition_index: int = 0
    offset: int = 0


class DeleteRecordsTopic(Schema):
    name: str = ""
    partitions: list[DeleteRecordsPartition] = []


class DeleteRecordsRequest(Schema):
    topics: list[DeleteRecordsTopic] = []
    timeout_ms: int = 0


def _read_delete_records_partition(r: Reader, version: int) -> DeleteRecordsPartition:
    value = DeleteRecordsPartition()
    value.partition_index = r.int32()
    value.offset = r.int64()
    r.tags()
    return value


def _write_delete_records_partition(w: Writer, value: DeleteRecordsPartition, version: int) -> None:
    w.int32(value.partition_index)
    w.int64(value.offset)
    w.tags()


def _read_delete_records_topic(r: Reader, version: int) -> DeleteRecordsTopic:
    value = DeleteRecordsTopic()
    value.name = r.string()
    value.partitions = r.array(12, _read_delete_records_partition, version)
    r.tags()
    return value


def _write_delete_records_topic(w: Writer, value: DeleteRecordsTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_delete_records_partition, version)
    w.tags()


def read_request(r: Reader, version: int) -> DeleteRecordsRequest:
    value = DeleteRecordsRequest()
    value.topics = r.array(2, _read_delete_records_topic, version)
    value.timeout_ms = r.int32()
    r.tags()
    return value


def write_request(w: Writer, value: DeleteRecordsRequest, version: int) -> None:
    w.array(value.topics, _write_delete_records_topic, version)
    w.int32(value.timeout_ms)
    w.tags()


class DeleteRecordsPartitionResult(Schema):
    partition_index: int = 0
    low_watermark: int = 0
    error_code: int = 0


class DeleteRecordsTopicResult(Schema):
    name: str = ""
    partitions: list[DeleteRecordsPartitionResult] = []


class DeleteRecordsResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[DeleteRecordsTopicResult] = []


def _read_delete_records_partition_result(r: Reader, version: int) -> DeleteRecordsPartitionResult:
    value = DeleteRecordsPartitionResult()
    value.partition_index = r.int32()
    value.low_watermark = r.int64()
    value.error_code = r.int16()
    r.tags()
    return value


def _write_delete_records_partition_result(w: Writer, value: DeleteRecordsPartitionResult, version: int) -> None:
    w.int32(value.partition_index)
    w.int64(value.low_watermark)
    w.int16(value.error_code)
    w.tags()


def _read_delete_records_topic_result(r: Reader, version: int) -> DeleteRecordsTopicResult:
    value = DeleteRecordsTopicResult()
    value.name = r.string()
    value.partitions = r.array(14, _read_delete_records_partition_result, version)
    r.tags()
    return value


def _write_delete_records_topic_result(w: Writer, value: DeleteRecordsTopicResult, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_delete_records_partition_result, version)
    w.tags()


def read_response(r: Reader, version: int) -> DeleteRecordsResponse:
    value = DeleteRecordsResponse()
    value.throttle_time_ms = r.int32()
    value.topics = r.array(2, _read_delete_records_topic_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: DeleteRecordsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_delete_records_topic_result, version)
    w.tags()
