"""Kafka's OffsetForLeaderEpoch (API key 23), versions 2 to 4.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 23
FLEXIBLE_FROM: int | None = 4


class OffsetForLeaderPartition(Schema):
    partition: int = 0
    current_leader_epoch: int = -1
    leader_epoch: int = 0


class OffsetForLeaderTopic(Schema):
    topic: str = ""
    partitions: list[OffsetForLeaderPartition] = []


class OffsetForLeaderEpochRequest(Schema):
    replica_id: int = -2
    topics: list[OffsetForLeaderTopic] = []


def _read_offset_for_leader_partition(r: Reader, version: int) -> OffsetForLeaderPartition:
    value = OffsetForLeaderPartition()
    value.partition = r.int32()
    value.current_leader_epoch = r.int32()
    value.leader_epoch = r.int32()
    r.tags()
    return value


def _write_offset_for_leader_partition(w: Writer, value: OffsetForLeaderPartition, version: int) -> None:
    w.int32(value.partition)
    w.int32(value.current_leader_epoch)
    w.int32(value.leader_epoch)
    w.tags()


def _read_offset_for_leader_topic(r: Reader, version: int) -> OffsetForLeaderTopic:
    value = OffsetForLeaderTopic()
    value.topic = r.string()
    value.partitions = r.array(12, _read_offset_for_leader_partition, version)
    r.tags()
    return value


def _write_offset_for_leader_topic(w: Writer, value: OffsetForLeaderTopic, version: int) -> None:
    w.string(value.topic)
    w.array(value.partitions, _write_offset_for_leader_partition, version)
    w.tags()


def read_request(r: Reader, version: int) -> OffsetForLeaderEpochRequest:
    value = OffsetForLeaderEpochRequest()
    if version >= 3:
        value.replica_id = r.int32()
    value.topics = r.array(2, _read_offset_for_leader_topic, version)
    r.tags()
    return value


def write_request(w: Writer, value: OffsetForLeaderEpochRequest, version: int) -> None:
    if version >= 3:
        w.int32(value.replica_id)
    w.array(value.topics, _write_offset_for_leader_topic, version)
    w.tags()


class EpochEndOffset(Schema):
    error_code: int = 0
    partition: int = 0
    leader_epoch: int = -1
    end_offset: int = -1


class OffsetForLeaderTopicResult(Schema):
    topic: str = ""
    partitions: list[EpochEndOffset] = []


class OffsetForLeaderEpochResponse(Schema):
    throttle_time_ms: int = 0
    topics: list[OffsetForLeaderTopicResult] = []


def _read_epoch_end_offset(r: Reader, version: int) -> EpochEndOffset:
    value = EpochEndOffset()
    value.error_code = r.int16()
    value.partition = r.int32()
    value.leader_epoch = r.int32()
    value.end_offset = r.int64()
    r.tags()
    return value


def _write_epoch_end_offset(w: Writer, value: EpochEndOffset, version: int) -> None:
    w.int16(value.error_code)
    w.int32(value.partition)
    w.int32(value.leader_epoch)
    w.int64(value.end_offset)
    w.tags()


def _read_offset_for_leader_topic_result(r: Reader, version: int) -> OffsetForLeaderTopicResult:
    value = OffsetForLeaderTopicResult()
    value.topic = r.string()
    value.partitions = r.array(18, _read_epoch_end_offset, version)
    r.tags()
    return value


def _write_offset_for_leader_topic_result(w: Writer, value: OffsetForLeaderTopicResult, version: int) -> None:
    w.string(value.topic)
    w.array(value.partitions, _write_epoch_end_offset, version)
    w.tags()


def read_response(r: Reader, version: int) -> OffsetForLeaderEpochResponse:
    value = OffsetForLeaderEpochResponse()
    value.throttle_time_ms = r.int32()
    value.topics = r.array(2, _read_offset_for_leader_topic_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: OffsetForLeaderEpochResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.topics, _write_offset_for_leader_topic_result, version)
    w.tags()
