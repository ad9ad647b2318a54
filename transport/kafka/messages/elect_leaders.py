"""Kafka's ElectLeaders (API key 43), versions 0 to 2.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 43
FLEXIBLE_FROM: int | None = 2


class TopicPartitions(Schema):
    topic: str = ""
    partitions: list[int] = []


class ElectLeadersRequest(Schema):
    election_type: int = 0
    topic_partitions: list[TopicPartitions] | None = []
    timeout_ms: int = 60000


def _read_topic_partitions(r: Reader, version: int) -> TopicPartitions:
    value = TopicPartitions()
    value.topic = r.string()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_topic_partitions(w: Writer, value: TopicPartitions, version: int) -> None:
    w.string(value.topic)
    w.values(value.partitions, Writer.int32)
    w.tags()


def read_request(r: Reader, version: int) -> ElectLeadersRequest:
    value = ElectLeadersRequest()
    if version >= 1:
        value.election_type = r.int8()
    value.topic_partitions = r.nullable_array(2, _read_topic_partitions, version)
    value.timeout_ms = r.int32()
    r.tags()
    return value


def write_request(w: Writer, value: ElectLeadersRequest, version: int) -> None:
    if version >= 1:
        w.int8(value.election_type)
    w.nullable_array(value.topic_partitions, _write_topic_partitions, version)
    w.int32(value.timeout_ms)
    w.tags()


class PartitionResult(Schema):
    partition_id: int = 0
    error_code: int = 0
    error_message: str | None = ""


class ReplicaElectionResult(Schema):
    topic: str = ""
    partition_result: list[PartitionResult] = []


class ElectLeadersResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    replica_election_results: list[ReplicaElectionResult] = []


def _read_partition_result(r: Reader, version: int) -> PartitionResult:
    value = PartitionResult()
    value.partition_id = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    r.tags()
    return value


def _write_partition_result(w: Writer, value: PartitionResult, version: int) -> None:
    w.int32(value.partition_id)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.tags()


def _read_replica_election_result(r: Reader, version: int) -> ReplicaElectionResult:
    value = ReplicaElectionResult()
    value.topic = r.string()
    value.partition_result = r.array(7, _read_partition_result, version)
    r.tags()
    return value


def _write_replica_election_result(w: Writer, value: ReplicaElectionResult, version: int) -> None:
    w.string(value.topic)
    w.array(value.partition_result, _write_partition_result, version)
    w.tags()


def read_response(r: Reader, version: int) -> ElectLeadersResponse:
    value = ElectLeadersResponse()
    value.throttle_time_ms = r.int32()
    if version >= 1:
        value.error_code = r.int16()
    value.replica_election_results = r.array(2, _read_replica_election_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: ElectLeadersResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    if version >= 1:
        w.int16(value.error_code)
    w.array(value.replica_election_results, _write_replica_election_result, version)
    w.tags()
