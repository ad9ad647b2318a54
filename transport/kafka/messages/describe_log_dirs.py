"""Kafka's DescribeLogDirs (API key 35), versions 1 to 4.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 35
FLEXIBLE_FROM: int | None = 2


class DescribableLogDirTopic(Schema):
    topic: str = ""
    partitions: list[int] = []


class DescribeLogDirsRequest(Schema):
    topics: list[DescribableLogDirTopic] | None = []


def _read_describable_log_dir_topic(r: Reader, version: int) -> DescribableLogDirTopic:
    value = DescribableLogDirTopic()
    value.topic = r.string()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_describable_log_dir_topic(w: Writer, value: DescribableLogDirTopic, version: int) -> None:
    w.string(value.topic)
    w.values(value.partitions, Writer.int32)
    w.tags()


def read_request(r: Reader, version: int) -> DescribeLogDirsRequest:
    value = DescribeLogDirsRequest()
    value.topics = r.nullable_array(2, _read_describable_log_dir_topic, version)
    r.tags()
    return value


def write_request(w: Writer, value: DescribeLogDirsRequest, version: int) -> None:
    w.nullable_array(value.topics, _write_describable_log_dir_topic, version)
    w.tags()


class DescribeLogDirsPartition(Schema):
    partition_index: int = 0
    partition_size: int = 0
    offset_lag: int = 0
    is_future_key: bool = False


class DescribeLogDirsTopic(Schema):
    name: str = ""
    partitions: list[DescribeLogDirsPartition] = []


class DescribeLogDirsResult(Schema):
    error_code: int = 0
    log_dir: str = ""
    topics: list[DescribeLogDirsTopic] = []
    total_bytes: int = -1
    usable_bytes: int = -1


class DescribeLogDirsResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    results: list[DescribeLogDirsResult] = []


def _read_describe_log_dirs_partition(r: Reader, version: int) -> DescribeLogDirsPartition:
    value = DescribeLogDirsPartition()
    value.partition_index = r.int32()
    value.partition_size = r.int64()
    value.offset_lag = r.int64()
    value.is_future_key = r.boolean()
    r.tags()
    return value


def _write_describe_log_dirs_partition(w: Writer, value: DescribeLogDirsPartition, version: int) -> None:
    w.int32(value.partition_index)
    w.int64(value.partition_size)
    w.int64(value.offset_lag)
    w.boolean(value.is_future_key)
    w.tags()


def _read_describe_log_dirs_topic(r: Reader, version: int) -> DescribeLogDirsTopic:
    value = DescribeLogDirsTopic()
    value.name = r.string()
    value.partitions = r.array(21, _read_describe_log_dirs_partition, version)
    r.tags()
    return value


def _write_describe_log_dirs_topic(w: Writer, value: DescribeLogDirsTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_describe_log_dirs_partition, version)
    w.tags()


def _read_describe_log_dirs_result(r: Reader, version: int) -> DescribeLogDirsResult:
    value = DescribeLogDirsResult()
    value.error_code = r.int16()
    value.log_dir = r.string()
    value.topics = r.array(2, _read_describe_log_dirs_topic, version)
    if version >= 4:
        value.total_bytes = r.int64()
        value.usable_bytes = r.int64()
    r.tags()
    return value


def _write_describe_log_dirs_result(w: Writer, value: DescribeLogDirsResult, version: int) -> None:
    w.int16(value.error_code)
    w.string(value.log_dir)
    w.array(value.topics, _write_describe_log_dirs_topic, version)
    if version >= 4:
        w.int64(value.total_bytes)
        w.int64(value.usable_bytes)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeLogDirsResponse:
    value = DescribeLogDirsResponse()
    value.throttle_time_ms = r.int32()
    if version >= 3:
        value.error_code = r.int16()
    value.results = r.array(4, _read_describe_log_dirs_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeLogDirsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    if version >= 3:
        w.int16(value.error_code)
    w.array(value.results, _write_describe_log_dirs_result, version)
    w.tags()
