"""Kafka's Produce (API key 0), versions 3 to 11.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ....storage.disk import Buffer
from ..wire import Reader, Schema, Writer

KEY = 0
FLEXIBLE_FROM: int | None = 9


class PartitionProduceData(Schema):
    index: int = 0
    records: Buffer | None = b""


class TopicProduceData(Schema):
    name: str = ""
    partition_data: list[PartitionProduceData] = []


class ProduceRequest(Schema):
    transactional_id: str | None = None
    acks: int = 0
    timeout_ms: int = 0
    topic_data: list[TopicProduceData] = []


def _read_partition_produce_data(r: Reader, version: int) -> PartitionProduceData:
    value = PartitionProduceData()
    value.index = r.int32()
    value.records = r.nullable_records()
    r.tags()
    return value


def _write_partition_produce_data(w: Writer, value: PartitionProduceData, version: int) -> None:
    w.int32(value.index)
    w.nullable_records(value.records)
    w.tags()


def _read_topic_produce_data(r: Reader, version: int) -> TopicProduceData:
    value = TopicProduceData()
    value.name = r.string()
    value.partition_data = r.array(5, _read_partition_produce_data, version)
    r.tags()
    return value


def _write_topic_produce_data(w: Writer, value: TopicProduceData, version: int) -> None:
    w.string(value.name)
    w.array(value.partition_data, _write_partition_produce_data, version)
    w.tags()


def read_request(r: Reader, version: int) -> ProduceRequest:
    value = ProduceRequest()
    value.transactional_id = r.nullable_string()
    value.acks = r.int16()
    value.timeout_ms = r.int32()
    value.topic_data = r.array(2, _read_topic_produce_data, version)
    r.tags()
    return value


def write_request(w: Writer, value: ProduceRequest, version: int) -> None:
    w.nullable_string(value.transactional_id)
    w.int16(value.acks)
    w.int32(value.timeout_ms)
    w.array(value.topic_data, _write_topic_produce_data, version)
    w.tags()


class BatchIndexAndErrorMessage(Schema):
    batch_index: int = 0
    batch_index_error_message: str | None = None


class LeaderIdAndEpoch(Schema):
    leader_id: int = -1
    leader_epoch: int = -1


class PartitionProduceResponse(Schema):
    index: int = 0
    error_code: int = 0
    base_offset: int = 0
    log_append_time_ms: int = -1
    log_start_offset: int = -1
    record_errors: list[BatchIndexAndErrorMessage] = []
    error_message: str | None = None
    current_leader: LeaderIdAndEpoch | None = None


class TopicProduceResponse(Schema):
    name: str = ""
    partition_responses: list[PartitionProduceResponse] = []


class NodeEndpoint(Schema):
    node_id: int = 0
    host: str = ""
    port: int = 0
    rack: str | None = None


class ProduceResponse(Schema):
    responses: list[TopicProduceResponse] = []
    throttle_time_ms: int = 0
    node_endpoints: list[NodeEndpoint] = []


def _read_batch_index_and_error_message(r: Reader, version: int) -> BatchIndexAndErrorMessage:
    value = BatchIndexAndErrorMessage()
    value.batch_index = r.int32()
    value.batch_index_error_message = r.nullable_string()
    r.tags()
    return value


def _write_batch_index_and_error_message(w: Writer, value: BatchIndexAndErrorMessage, version: int) -> None:
    w.int32(value.batch_index)
    w.nullable_string(value.batch_index_error_message)
    w.tags()


def _read_leader_id_and_epoch(r: Reader, version: int) -> LeaderIdAndEpoch:
    value = LeaderIdAndEpoch()
    value.leader_id = r.int32()
    value.leader_epoch = r.int32()
    r.tags()
    return value


def _write_leader_id_and_epoch(w: Writer, value: LeaderIdAndEpoch, version: int) -> None:
    w.int32(value.leader_id)
    w.int32(value.leader_epoch)
    w.tags()


def _read_partition_produce_response(r: Reader, version: int) -> PartitionProduceResponse:
    value = PartitionProduceResponse()
    value.index = r.int32()
    value.error_code = r.int16()
    value.base_offset = r.int64()
    value.log_append_time_ms = r.int64()
    if version >= 5:
        value.log_start_offset = r.int64()
    if version >= 8:
        value.record_errors = r.array(5, _read_batch_index_and_error_message, version)
        value.error_message = r.nullable_string()
    for tag, field in r.tags():
        if tag == 0 and version >= 10:
            value.current_leader = _read_leader_id_and_epoch(field, version)
    return value


def _write_partition_produce_response(w: Writer, value: PartitionProduceResponse, version: int) -> None:
    w.int32(value.index)
    w.int16(value.error_code)
    w.int64(value.base_offset)
    w.int64(value.log_append_time_ms)
    if version >= 5:
        w.int64(value.log_start_offset)
    if version >= 8:
        w.array(value.record_errors, _write_batch_index_and_error_message, version)
        w.nullable_string(value.error_message)
    tagged: list[tuple[int, Writer]] = []
    if version >= 10 and value.current_leader is not None:
        field = w.field()
        _write_leader_id_and_epoch(field, value.current_leader, version)
        tagged.append((0, field))
    w.tags(tagged)


def _read_topic_produce_response(r: Reader, version: int) -> TopicProduceResponse:
    value = TopicProduceResponse()
    value.name = r.string()
    value.partition_responses = r.array(22, _read_partition_produce_response, version)
    r.tags()
    return value


def _write_topic_produce_response(w: Writer, value: TopicProduceResponse, version: int) -> None:
    w.string(value.name)
    w.array(value.partition_responses, _write_partition_produce_response, version)
    w.tags()


def _read_node_endpoint(r: Reader, version: int) -> NodeEndpoint:
    value = NodeEndpoint()
    value.node_id = r.int32()
    value.host = r.string()
    value.port = r.int32()
    value.rack = r.nullable_string()
    r.tags()
    return value


def _write_node_endpoint(w: Writer, value: NodeEndpoint, version: int) -> None:
    w.int32(value.node_id)
    w.string(value.host)
    w.int32(value.port)
    w.nullable_string(value.rack)
    w.tags()


def read_response(r: Reader, version: int) -> ProduceResponse:
    value = ProduceResponse()
    value.responses = r.array(2, _read_topic_produce_response, version)
    value.throttle_time_ms = r.int32()
    for tag, field in r.tags():
        if tag == 0 and version >= 10:
            value.node_endpoints = field.array(10, _read_node_endpoint, version)
    return value


def write_response(w: Writer, value: ProduceResponse, version: int) -> None:
    w.array(value.responses, _write_topic_produce_response, version)
    w.int32(value.throttle_time_ms)
    tagged: list[tuple[int, Writer]] = []
    if version >= 10 and value.node_endpoints:
        field = w.field()
        field.array(value.node_endpoints, _write_node_endpoint, version)
        tagged.append((0, field))
    w.tags(tagged)
