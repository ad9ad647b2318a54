"""Kafka's DescribeProducers (API key 61), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 61
FLEXIBLE_FROM: int | None = 0


class TopicRequest(Schema):
    name: str = ""
    partition_indexes: list[int] = []


class DescribeProducersRequest(Schema):
    topics: list[TopicRequest] = []


def _read_topic_request(r: Reader, version: int) -> TopicRequest:
    value = TopicRequest()
    value.name = r.string()
    value.partition_indexes = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_topic_request(w: Writer, value: TopicRequest, version: int) -> None:
    w.string(value.name)
    w.values(value.partition_indexes, Writer.int32)
    w.tags()


def read_request(r: Reader, version: int) -> DescribeProducersRequest:
    value = DescribeProducersRequest()
    value.topics = r.array(2, _read_topic_request, version)
    r.tags()
    return value


def write_request(w: Writer, value: DescribeProducersRequest, version: int) -> None:
    w.array(value.topics, _write_topic_request, version)
    w.tags()


class ProducerState(Schema):
    producer_id: int = 0
    producer_epoch: int = 0
    last_sequence: int = -1
    last_timestamp: int = -1
    coordinator_epoch: int = 0
    current_txn_start_offset: int = -1


class PartitionResponse(Schema):
    partition_index: int = 0
    error_code: int = 0
    error_message: str | None = None
    active_producers: list[ProducerState] = []


class TopicResponse(Schema):
    name: str = ""
    partitions: list[PartitionResponse] = []


class DescribeProducersResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[TopicResponse] = []


def _read_producer_state(r: Reader, version: int) -> ProducerState:
    value = ProducerState()
    value.producer_id = r.int64()
    value.producer_epoch = r.int32()
    value.last_sequence = r.int32()
    value.last_timestamp = r.int64()
    value.coordinator_epoch = r.int32()
    value.current_txn_start_offset = r.int64()
    r.tags()
    return value


def _write_producer_state(w: Writer, value: ProducerState, version: int) -> None:
    w.int64(value.producer_id)
    w.int32(value.producer_epoch)
    w.int32(value.last_sequence)
    w.int64(value.last_timestamp)
    w.int32(value.coordinator_epoch)
    w.int64(value.current_txn_start_offset)
    w.tags()


def _read_partition_response(r: Reader, version: int) -> PartitionResponse:
    value = PartitionResponse()
    value.partition_index = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.active_producers = r.array(36, _read_producer_state, version)
    r.tags()
    return value


def _write_partition_response(w: Writer, value: PartitionResponse, version: int) -> None:
    w.int32(value.partition_index)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.active_producers, _write_producer_state, version)
    w.tags()


def _read_topic_response(r: Reader, version: int) -> TopicResponse:
    value = TopicResponse()
    value.name = r.string()
    value.partitions = r.array(8, _read_partition_response, version)
    r.tags()
    return value


def _write_topic_response(w: Writer, value: TopicResponse, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_partition_response, version)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeProducersResponse:
    value = DescribeProducersResponse()
    value.throttle_time_ms = r.int32()
    value.topics = r.array(2, _read_topic_response, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeProducersResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_topic_response, version)
    w.tags()
