"""Which APIs are served, by whom, and what is said of them in ApiVersions.

To serve another API: write a coroutine `async def name(request, exchange) -> response` in a module of `apis/` (a family
of APIs per module), with the generated classes of `messages/`, and add its line here. It is advertised from then on,
in the versions that `table` has; then write the page about it anew: `python tools/kafka_compatibility.py`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import NamedTuple

from ...storage.disk import Buffer
from .codec import Header, UnknownApi, write_response
from .exchange import Handler, handler
from .table import API_VERSIONS, APIS

SERVED = {  # API -> module of `apis`; the coroutine has the name of the API's messages
    "Produce": "produce",
    "Fetch": "fetch",
    "ListOffsets": "offsets",
    "Metadata": "metadata",
    "ApiVersions": "versions",
    "CreateTopics": "topics",
    "DeleteTopics": "topics",
    "InitProducerId": "producer_ids",
    "OffsetForLeaderEpoch": "offsets",
    "DescribeCluster": "metadata",
    "DescribeTopicPartitions": "metadata",
    "CreatePartitions": "partitions",
    "ElectLeaders": "partitions",
    "AlterPartitionReassignments": "partitions",
    "ListPartitionReassignments": "partitions",
    "DescribeConfigs": "configs",
    "AlterConfigs": "configs",
    "IncrementalAlterConfigs": "configs",
    "DeleteRecords": "logs",
    "DescribeLogDirs": "logs",
    "FindCoordinator": "coordinators",
    "JoinGroup": "classic_groups",
    "SyncGroup": "classic_groups",
    "Heartbeat": "classic_groups",
    "LeaveGroup": "classic_groups",
    "OffsetCommit": "group_offsets",
    "OffsetFetch": "group_offsets",
    "OffsetDelete": "group_offsets",
    "DescribeGroups": "group_admin",
    "ListGroups": "group_admin",
    "DeleteGroups": "group_admin",
    "ConsumerGroupHeartbeat": "consumer_groups",
    "ConsumerGroupDescribe": "consumer_groups",
}

SHOWN_FROM = {"Produce": 0}
"""Lower versions than are served: old librdkafka compresses only if it sees Produce 0 (KAFKA-18659), and sends 7."""


class Shown(NamedTuple):
    """One line of ApiVersions."""

    key: int
    name: str
    least: int
    newest: int


def shown() -> list[Shown]:
    """What is advertised, by API key."""
    return [
        Shown(api.key, api.name, SHOWN_FROM.get(api.name, api.least), api.newest)
        for api in APIS.values()
        if api.name in SERVED
    ]


def handler_of(header: Header) -> Handler:
    """Who serves this request. Raises UnknownApi."""
    if header.api.name not in SERVED:
        raise UnknownApi(header.api.key, header.version, header.correlation)
    return _handler(header.api.key)


@cache
def _handler(key: int) -> Handler:
    api = APIS[key]
    module = import_module(f".apis.{SERVED[api.name]}", __package__)
    return handler(getattr(module, api.module))


def unsupported_version(unknown: UnknownApi) -> list[Buffer]:
    """The answer to ApiVersions in a version that is not known: version 0, which every client can read."""
    from .apis.versions import refusal

    return write_response(Header(APIS[API_VERSIONS], 0, unknown.correlation, None), refusal())
