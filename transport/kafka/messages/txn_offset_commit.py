"""Kafka's TxnOffsetCommit (API key 28), versions 0 to 4.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 28
FLEXIBLE_FROM: int | None = 3


class TxnOffsetCommitRequestPartition(Schema):
    partition_index: int = 0
    committed_offset: int = 0
    committed_leader_epoch: int = -1
    committed_metadata: str | None = ""


class TxnOffsetCommitRequestTopic(Schema):
    name: str = ""
    partitions: list[TxnOffsetCommitRequestPartition] = []


class TxnOffsetCommitRequest(Schema):
    transactional_id: str = ""
    group_id: str = ""
    producer_id: int = 0
    producer_epoch: int = 0
    generation_id: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
    topics: list[TxnOffsetCommitRequestTopic] = []


def _read_txn_offset_commit_request_partition(r: Reader, version: int) -> TxnOffsetCommitRequestPartition:
    value = TxnOffsetCommitRequestPartition()
    value.partition_index = r.int32()
    value.committed_offset = r.int64()
    if version >= 2:
        value.committed_leader_epoch = r.int32()
    value.committed_metadata = r.nullable_string()
    r.tags()
    return value


def _write_txn_offset_commit_request_partition(w: Writer, value: TxnOffsetCommitRequestPartition, version: int) -> None:
    w.int32(value.partition_index)
    w.int64(value.committed_offset)
    if version >= 2:
        w.int32(value.committed_leader_epoch)
    w.nullable_string(value.committed_metadata)
    w.tags()


def _read_txn_offset_commit_request_topic(r: Reader, version: int) -> TxnOffsetCommitRequestTopic:
    value = TxnOffsetCommitRequestTopic()
    value.name = r.string()
    value.partitions = r.array(13, _read_txn_offset_commit_request_partition, version)
    r.tags()
    return value


def _write_txn_offset_commit_request_topic(w: Writer, value: TxnOffsetCommitRequestTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_txn_offset_commit_request_partition, version)
    w.tags()


def read_request(r: Reader, version: int) -> TxnOffsetCommitRequest:
    value = TxnOffsetCommitRequest()
    value.transactional_id = r.string()
    value.group_id = r.string()
    value.producer_id = r.int64()
    value.producer_epoch = r.int16()
    if version >= 3:
        value.generation_id = r.int32()
        value.member_id = r.string()
        value.group_instance_id = r.nullable_string()
    value.topics = r.array(2, _read_txn_offset_commit_request_topic, version)
    r.tags()
    return value


def write_request(w: Writer, value: TxnOffsetCommitRequest, version: int) -> None:
    w.string(value.transactional_id)
    w.string(value.group_id)
    w.int64(value.producer_id)
    w.int16(value.producer_epoch)
    if version >= 3:
        w.int32(value.generation_id)
        w.string(value.member_id)
        w.nullable_string(value.group_instance_id)
    w.array(value.topics, _write_txn_offset_commit_request_topic, version)
    w.tags()


class TxnOffsetCommitResponsePartition(Schema):
    partition_index: int = 0
    error_code: int = 0


class TxnOffsetCommitResponseTopic(Schema):
    name: str = ""
    partitions: list[TxnOffsetCommitResponsePartition] = []


class TxnOffsetCommitResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[TxnOffsetCommitResponseTopic] = []


def _read_txn_offset_commit_response_partition(r: Reader, version: int) -> TxnOffsetCommitResponsePartition:
    value = TxnOffsetCommitResponsePartition()
    value.partition_index = r.int32()
    value.error_code = r.int16()
    r.tags()
    return value


def _write_txn_offset_commit_response_partition(
    w: Writer, value: TxnOffsetCommitResponsePartition, version: int
) -> None:
    w.int32(value.partition_index)
    w.int16(value.error_code)
    w.tags()


def _read_txn_offset_commit_response_topic(r: Reader, version: int) -> TxnOffsetCommitResponseTopic:
    value = TxnOffsetCommitResponseTopic()
    value.name = r.string()
    value.partitions = r.array(6, _read_txn_offset_commit_response_partition, version)
    r.tags()
    return value


def _write_txn_offset_commit_response_topic(w: Writer, value: TxnOffsetCommitResponseTopic, version: int) -> None:
    w.string(value.name)
    w.array(value.partitions, _write_txn_offset_commit_response_partition, version)
    w.tags()


def read_response(r: Reader, version: int) -> TxnOffsetCommitResponse:
    value = TxnOffsetCommitResponse()
    value.throttle_time_ms = r.int32()
    value.topics = r.array(2, _read_txn_offset_commit_response_topic, version)
    r.tags()
    return value


def write_response(w: Writer, value: TxnOffsetCommitResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_txn_offset_commit_response_topic, version)
    w.tags()
