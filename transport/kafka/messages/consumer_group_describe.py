"""Kafka's ConsumerGroupDescribe (API key 69), versions 0 to 1.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

import msgspec

from ..wire import NO_UUID, Reader, Schema, Writer

KEY = 69
FLEXIBLE_FROM: int | None = 0


class ConsumerGroupDescribeRequest(Schema):
    group_ids: list[str] = []
    include_authorized_operations: bool = False


def read_request(r: Reader, version: int) -> ConsumerGroupDescribeRequest:
    value = ConsumerGroupDescribeRequest()
    value.group_ids = r.values(1, Reader.string)
    value.include_authorized_operations = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: ConsumerGroupDescribeRequest, version: int) -> None:
    w.values(value.group_ids, Writer.string)
    w.boolean(value.include_authorized_operations)
    w.tags()


class TopicPartitions(Schema):
    topic_id: bytes = NO_UUID
    topic_name: str = ""
    partitions: list[int] = []


class Assignment(Schema):
    topic_partitions: list[TopicPartitions] = []


class Member(Schema):
    member_id: str = ""
    instance_id: str | None = None
    rack_id: str | None = None
    member_epoch: int = 0
    client_id: str = ""
    client_host: str = ""
    subscribed_topic_names: list[str] = []
    subscribed_topic_regex: str | None = None
    assignment: Assignment = msgspec.field(default_factory=Assignment)
    target_assignment: Assignment = msgspec.field(default_factory=Assignment)
    member_type: int = -1


class DescribedGroup(Schema):
    error_code: int = 0
    error_message: str | None = None
    group_id: str = ""
    group_state: str = ""
    group_epoch: int = 0
    assignment_epoch: int = 0
    assignor_name: str = ""
    members: list[Member] = []
    authorized_operations: int = -2147483648


class ConsumerGroupDescribeResponse(Schema):
    throttle_time_ms: int = 0
    groups: list[DescribedGroup] = []


def _read_topic_partitions(r: Reader, version: int) -> TopicPartitions:
    value = TopicPartitions()
    value.topic_id = r.uuid()
    value.topic_name = r.string()
    value.partitions = r.values(4, Reader.int32)
    r.tags()
    return value


def _write_topic_partitions(w: Writer, value: TopicPartitions, version: int) -> None:
    w.uuid(value.topic_id)
    w.string(value.topic_name)
    w.values(value.partitions, Writer.int32)
    w.tags()


def _read_assignment(r: Reader, version: int) -> Assignment:
    value = Assignment()
    value.topic_partitions = r.array(18, _read_topic_partitions, version)
    r.tags()
    return value


def _write_assignment(w: Writer, value: Assignment, version: int) -> None:
    w.array(value.topic_partitions, _write_topic_partitions, version)
    w.tags()


def _read_member(r: Reader, version: int) -> Member:
    value = Member()
    value.member_id = r.string()
    value.instance_id = r.nullable_string()
    value.rack_id = r.nullable_string()
    value.member_epoch = r.int32()
    value.client_id = r.string()
    value.client_host = r.string()
    value.subscribed_topic_names = r.values(1, Reader.string)
    value.subscribed_topic_regex = r.nullable_string()
    value.assignment = _read_assignment(r, version)
    value.target_assignment = _read_assignment(r, version)
    if version >= 1:
        value.member_type = r.int8()
    r.tags()
    return value


def _write_member(w: Writer, value: Member, version: int) -> None:
    w.string(value.member_id)
    w.nullable_string(value.instance_id)
    w.nullable_string(value.rack_id)
    w.int32(value.member_epoch)
    w.string(value.client_id)
    w.string(value.client_host)
    w.values(value.subscribed_topic_names, Writer.string)
    w.nullable_string(value.subscribed_topic_regex)
    _write_assignment(w, value.assignment, version)
    _write_assignment(w, value.target_assignment, version)
    if version >= 1:
        w.int8(value.member_type)
    w.tags()


def _read_described_group(r: Reader, version: int) -> DescribedGroup:
    value = DescribedGroup()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.group_id = r.string()
    value.group_state = r.string()
    value.group_epoch = r.int32()
    value.assignment_epoch = r.int32()
    value.assignor_name = r.string()
    value.members = r.array(13, _read_member, version)
    value.authorized_operations = r.int32()
    r.tags()
    return value


def _write_described_group(w: Writer, value: DescribedGroup, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.string(value.group_id)
    w.string(value.group_state)
    w.int32(value.group_epoch)
    w.int32(value.assignment_epoch)
    w.string(value.assignor_name)
    w.array(value.members, _write_member, version)
    w.int32(value.authorized_operations)
    w.tags()


def read_response(r: Reader, version: int) -> ConsumerGroupDescribeResponse:
    value = ConsumerGroupDescribeResponse()
    value.throttle_time_ms = r.int32()
    value.groups = r.array(19, _read_described_group, version)
    r.tags()
    return value


def write_response(w: Writer, value: ConsumerGroupDescribeResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.groups, _write_described_group, version)
    w.tags()
