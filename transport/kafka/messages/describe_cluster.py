"""Kafka's DescribeCluster (API key 60), versions 0 to 2.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 60
FLEXIBLE_FROM: int | None = 0


class DescribeClusterRequest(Schema):
    include_cluster_authorized_operations: bool = False
    endpoint_type: int = 1
    include_fenced_brokers: bool = False


def read_request(r: Reader, version: int) -> DescribeClusterRequest:
    value = DescribeClusterRequest()
    value.include_cluster_authorized_operations = r.boolean()
    if version >= 1:
        value.endpoint_type = r.int8()
    if version >= 2:
        value.include_fenced_brokers = r.boolean()
    r.tags()
    return value


def write_request(w: Writer, value: DescribeClusterRequest, version: int) -> None:
    w.boolean(value.include_cluster_authorized_operations)
    if version >= 1:
        w.int8(value.endpoint_type)
    if version >= 2:
        w.boolean(value.include_fenced_brokers)
    w.tags()


class DescribeClusterBroker(Schema):
    broker_id: int = 0
    host: str = ""
    port: int = 0
    rack: str | None = None
    is_fenced: bool = False


class DescribeClusterResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = None
    endpoint_type: int = 1
    cluster_id: str = ""
    controller_id: int = -1
    brokers: list[DescribeClusterBroker] = []
    cluster_authorized_operations: int = -2147483648


def _read_describe_cluster_broker(r: Reader, version: int) -> DescribeClusterBroker:
    value = DescribeClusterBroker()
    value.broker_id = r.int32()
    value.host = r.string()
    value.port = r.int32()
    value.rack = r.nullable_string()
    if version >= 2:
        value.is_fenced = r.boolean()
    r.tags()
    return value


def _write_describe_cluster_broker(w: Writer, value: DescribeClusterBroker, version: int) -> None:
    w.int32(value.broker_id)
    w.string(value.host)
    w.int32(value.port)
    w.nullable_string(value.rack)
    if version >= 2:
        w.boolean(value.is_fenced)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeClusterResponse:
    value = DescribeClusterResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    if version >= 1:
        value.endpoint_type = r.int8()
    value.cluster_id = r.string()
    value.controller_id = r.int32()
    value.brokers = r.array(10, _read_describe_cluster_broker, version)
    value.cluster_authorized_operations = r.int32()
    r.tags()
    return value


def write_response(w: Writer, value: DescribeClusterResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    if version >= 1:
        w.int8(value.endpoint_type)
    w.string(value.cluster_id)
    w.int32(value.controller_id)
    w.array(value.brokers, _write_describe_cluster_broker, version)
    w.int32(value.cluster_authorized_operations)
    w.tags()
