"""Kafka's Fetch (API key 1), versions 4 to 16.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ....storage.disk import Buffer
from ..wire import NO_UUID, Reader, Schema, Writer

KEY = 1
FLEXIBLE_FROM: int | None = 12


class ReplicaState(Schema):
    replica_id: int = -1
    replica_epoch: int = -1


class FetchPartition(Schema):
    partition: int = 0
    current_leader_epoch: int = -1
    fetch_offset: int = 0
    last_fetched_epoch: int = -1
    log_start_offset: int = -1
    partition_max_bytes: int = 0


class FetchTopic(Schema):
    topic: str = ""
    topic_id: bytes = NO_UUID
    partitions: list[FetchPartition] = []


class ForgottenTopic(Schema):
    topic: str = ""
    topic_id: bytes = NO_UUID
    partitions: list[int] = []


class FetchRequest(Schema):
    cluster_id: str | None = None
    replica_id: int = -1
    replica_state: ReplicaState | None = None
    max_wait_ms: int = 0
    min_bytes: int = 0
    max_bytes: int = 2147483647
    isolation_level: int = 0
    session_id: int = 0
    session_epoch: int = -1
    topics: list[FetchTopic] = []
    forgotten_topics_data: list[ForgottenTopic] = []
    rack_id: str = ""


def _read_replica_state(r: Reader, version: int) -> ReplicaState:
    value = ReplicaState()
    value.replica_id = r.int32()
    value.replica_epoch = r.int64()
    r.tags()
    return value


def _write_replica_state(w: Writer, value: ReplicaState, version: int) -> None:
    w.int32(value.replica_id)
    w.int64(value.replica_epoch)
    w.tags()


def _read_fetch_partition(r: Reader, version: int) -> FetchPartition:
    value = FetchPartition()
    value.partition = r.int32()
    if version >= 9:
        value.current_leader_epoch = r.int32()
    value.fetch_offset = r.int64()
    if version >= 12:
        value.last_fetched_epoch = r.int32()
    if version >= 5:
        value.log_start_offset = r.int64()
    value.partition_max_bytes = r.int32()
    r.tags()
    return value


def _write_fetch_partition(w: Writer, value: FetchPartition, version: int) -> None:
    w.int32(value.partition)
    if version >= 9:
        w.int32(value.current_leader_epoch)
    w.int64(value.fetch_offset)
    if version >= 12:
        w.int32(value.last_fetched_epoch)
    if version >= 5:
        w.int64(value.log_start_offset)
    w.int32(value.partition_max_bytes)
    w.tags()


def _read_fetch_topic(r: Reader, version: int) -> FetchTopic:
    value = FetchTopic()
    if version <= 12:
        value.topic = r.string()
    if version >= 13:
        value.topic_id = r.uuid()
    value.partitions = r.array(16, _read_fetch_partition, version)
    r.tags()
    return value


def _write_fetch_topic(w: Writer, value: FetchTopic, version: int) -> None:
    if version <= 12:
        w.string(value.topic)
    if version >= 13:
        w.uuid(value.topic_id)
    w.array(value.partitions, _write_fetch_partition, version)
    w.tags()


def _read_forgotten_topic(r: Reader, version: int) -> ForgottenTopic:
    value = ForgottenTopic()
    if version <= 12:
        value.topic = r.string()
    if version >= 13:
        value.topic_id = r.uuid()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_forgotten_topic(w: Writer, value: ForgottenTopic, version: int) -> None:
    if version <= 12:
        w.string(value.topic)
    if version >= 13:
        w.uuid(value.topic_id)
    w.values(value.partitions, Writer.int32)
    w.tags()


def read_request(r: Reader, version: int) -> FetchRequest:
    value = FetchRequest()
    if version <= 14:
        value.replica_id = r.int32()
    value.max_wait_ms = r.int32()
    value.min_bytes = r.int32()
    value.max_bytes = r.int32()
    value.isolation_level = r.int8()
    if version >= 7:
        value.session_id = r.int32()
        value.session_epoch = r.int32()
    value.topics = r.array(2, _read_fetch_topic, version)
    if version >= 7:
        value.forgotten_topics_data = r.array(2, _read_forgotten_topic, version)
    if version >= 11:
        value.rack_id = r.string()
    for tag, field in r.tags():
        if tag == 0 and version >= 12:
            value.cluster_id = field.nullable_string()
        if tag == 1 and version >= 15:
            value.replica_state = _read_replica_state(field, version)
    return value


def write_request(w: Writer, value: FetchRequest, version: int) -> None:
    if version <= 14:
        w.int32(value.replica_id)
    w.int32(value.max_wait_ms)
    w.int32(value.min_bytes)
    w.int32(value.max_bytes)
    w.int8(value.isolation_level)
    if version >= 7:
        w.int32(value.session_id)
        w.int32(value.session_epoch)
    w.array(value.topics, _write_fetch_topic, version)
    if version >= 7:
        w.array(value.forgotten_topics_data, _write_forgotten_topic, version)
    if version >= 11:
        w.string(value.rack_id)
    tagged: list[tuple[int, Writer]] = []
    if version >= 12 and value.cluster_id is not None:
        field = w.field()
        field.nullable_string(value.cluster_id)
        tagged.append((0, field))
    if version >= 15 and value.replica_state is not None:
        field = w.field()
        _write_replica_state(field, value.replica_state, version)
        tagged.append((1, field))
    w.tags(tagged)


class EpochEndOffset(Schema):
    epoch: int = -1
    end_offset: int = -1


class LeaderIdAndEpoch(Schema):
    leader_id: int = -1
    leader_epoch: int = -1


class SnapshotId(Schema):
    end_offset: int = -1
    epoch: int = -1


class AbortedTransaction(Schema):
    producer_id: int = 0
    first_offset: int = 0


class PartitionData(Schema):
    partition_index: int = 0
    error_code: int = 0
    high_watermark: int = 0
    last_stable_offset: int = -1
    log_start_offset: int = -1
    diverging_epoch: EpochEndOffset | None = None
    current_leader: LeaderIdAndEpoch | None = None
    snapshot_id: SnapshotId | None = None
    aborted_transactions: list[AbortedTransaction] | None = []
    preferred_read_replica: int = -1
    records: Buffer | None = b""


class FetchableTopicResponse(Schema):
    topic: str = ""
    topic_id: bytes = NO_UUID
    partitions: list[PartitionData] = []


class NodeEndpoint(Schema):
    node_id: int = 0
    host: str = ""
    port: int = 0
    rack: str | None = None


class FetchResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    session_id: int = 0
    responses: list[FetchableTopicResponse] = []
    node_endpoints: list[NodeEndpoint] = []


def _read_epoch_end_offset(r: Reader, version: int) -> EpochEndOffset:
    value = EpochEndOffset()
    value.epoch = r.int32()
    value.end_offset = r.int64()
    r.tags()
    return value


def _write_epoch_end_offset(w: Writer, value: EpochEndOffset, version: int) -> None:
    w.int32(value.epoch)
    w.int64(value.end_offset)
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


def _read_snapshot_id(r: Reader, version: int) -> SnapshotId:
    value = SnapshotId()
    value.end_offset = r.int64()
    value.epoch = r.int32()
    r.tags()
    return value


def _write_snapshot_id(w: Writer, value: SnapshotId, version: int) -> None:
    w.int64(value.end_offset)
    w.int32(value.epoch)
    w.tags()


def _read_aborted_transaction(r: Reader, version: int) -> AbortedTransaction:
    value = AbortedTransaction()
    value.producer_id = r.int64()
    value.first_offset = r.int64()
    r.tags()
    return value


def _write_aborted_transaction(w: Writer, value: AbortedTransaction, version: int) -> None:
    w.int64(value.producer_id)
    w.int64(value.first_offset)
    w.tags()


def _read_partition_data(r: Reader, version: int) -> PartitionData:
    value = PartitionData()
    value.partition_index = r.int32()
    value.error_code = r.int16()
    value.high_watermark = r.int64()
    value.last_stable_offset = r.int64()
    if version >= 5:
        value.log_start_offset = r.int64()
    value.aborted_transactions = r.nullable_array(16, _read_aborted_transaction, version)
    if version >= 11:
        value.preferred_read_replica = r.int32()
    value.records = r.nullable_records()
    for tag, field in r.tags():
        if tag == 0 and version >= 12:
            value.diverging_epoch = _read_epoch_end_offset(field, version)
        if tag == 1 and version >= 12:
            value.current_leader = _read_leader_id_and_epoch(field, version)
        if tag == 2 and version >= 12:
            value.snapshot_id = _read_snapshot_id(field, version)
    return value


def _write_partition_data(w: Writer, value: PartitionData, version: int) -> None:
    w.int32(value.partition_index)
    w.int16(value.error_code)
    w.int64(value.high_watermark)
    w.int64(value.last_stable_offset)
    if version >= 5:
        w.int64(value.log_start_offset)
    w.nullable_array(value.aborted_transactions, _write_aborted_transaction, version)
    if version >= 11:
        w.int32(value.preferred_read_replica)
    w.nullable_records(value.records)
    tagged: list[tuple[int, Writer]] = []
    if version >= 12 and value.diverging_epoch is not None:
        field = w.field()
        _write_epoch_end_offset(field, value.diverging_epoch, version)
        tagged.append((0, field))
    if version >= 12 and value.current_leader is not None:
        field = w.field()
        _write_leader_id_and_epoch(field, value.current_leader, version)
        tagged.append((1, field))
    if version >= 12 and value.snapshot_id is not None:
        field = w.field()
        _write_snapshot_id(field, value.snapshot_id, version)
        tagged.append((2, field))
    w.tags(tagged)


def _read_fetchable_topic_response(r: Reader, version: int) -> FetchableTopicResponse:
    value = FetchableTopicResponse()
    if version <= 12:
        value.topic = r.string()
    if version >= 13:
        value.topic_id = r.uuid()
    value.partitions = r.array(24, _read_partition_data, version)
    r.tags()
    return value


def _write_fetchable_topic_response(w: Writer, value: FetchableTopicResponse, version: int) -> None:
    if version <= 12:
        w.string(value.topic)
    if version >= 13:
        w.uuid(value.topic_id)
    w.array(value.partitions, _write_partition_data, version)
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


def read_response(r: Reader, version: int) -> FetchResponse:
    value = FetchResponse()
    value.throttle_time_ms = r.int32()
    if version >= 7:
        value.error_code = r.int16()
        value.session_id = r.int32()
    value.responses = r.array(2, _read_fetchable_topic_response, version)
    for tag, field in r.tags():
        if tag == 0 and version >= 16:
            value.node_endpoints = field.array(10, _read_node_endpoint, version)
    return value


def write_response(w: Writer, value: FetchResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    if version >= 7:
        w.int16(value.error_code)
        w.int32(value.session_id)
    w.array(value.responses, _write_fetchable_topic_response, version)
    tagged: list[tuple[int, Writer]] = []
    if version >= 16 and value.node_endpoints:
        field = w.field()
        field.array(value.node_endpoints, _write_node_endpoint, version)
        tagged.append((0, field))
    w.tags(tagged)
