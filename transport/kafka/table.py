"""The table of Kafka's APIs: their numbers, and the versions that are understood here.

The lowest versions are those that Apache Kafka 4 kept (KIP-896); the highest are as far as this cluster has what they
speak of: topic ids, leader hints (KIP-951), the consumer protocol of KIP-848. What is advertised is in `served`.
"""

from __future__ import annotations

from typing import NamedTuple

API_VERSIONS = 18


class Api(NamedTuple):
    """One API. `name` is Kafka's own, `module` the generated file with its messages."""

    key: int
    name: str
    module: str
    least: int
    newest: int


def _table(*rows: tuple[int, str, int, int]) -> dict[int, Api]:
    return {key: Api(key, name, _snake(name), least, newest) for key, name, least, newest in rows}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


APIS = _table(
    (0, "Produce", 3, 11),
    (1, "Fetch", 4, 16),
    (2, "ListOffsets", 1, 10),
    (3, "Metadata", 0, 13),
    (8, "OffsetCommit", 2, 9),
    (9, "OffsetFetch", 1, 9),
    (10, "FindCoordinator", 0, 5),
    (11, "JoinGroup", 0, 9),
    (12, "Heartbeat", 0, 4),
    (13, "LeaveGroup", 0, 5),
    (14, "SyncGroup", 0, 5),
    (15, "DescribeGroups", 0, 6),
    (16, "ListGroups", 0, 5),
    (17, "SaslHandshake", 0, 1),
    (18, "ApiVersions", 0, 4),
    (19, "CreateTopics", 2, 7),
    (20, "DeleteTopics", 1, 6),
    (21, "DeleteRecords", 0, 2),
    (22, "InitProducerId", 0, 5),
    (23, "OffsetForLeaderEpoch", 2, 4),
    (24, "AddPartitionsToTxn", 0, 3),
    (25, "AddOffsetsToTxn", 0, 4),
    (26, "EndTxn", 0, 4),
    (28, "TxnOffsetCommit", 0, 4),
    (29, "DescribeAcls", 1, 3),
    (30, "CreateAcls", 1, 3),
    (31, "DeleteAcls", 1, 3),
    (32, "DescribeConfigs", 1, 4),
    (33, "AlterConfigs", 0, 2),
    (35, "DescribeLogDirs", 1, 4),
    (36, "SaslAuthenticate", 0, 2),
    (37, "CreatePartitions", 0, 3),
    (42, "DeleteGroups", 0, 2),
    (43, "ElectLeaders", 0, 2),
    (44, "IncrementalAlterConfigs", 0, 1),
    (45, "AlterPartitionReassignments", 0, 0),
    (46, "ListPartitionReassignments", 0, 0),
    (47, "OffsetDelete", 0, 0),
    (48, "DescribeClientQuotas", 0, 1),
    (49, "AlterClientQuotas", 0, 1),
    (50, "DescribeUserScramCredentials", 0, 0),
    (51, "AlterUserScramCredentials", 0, 0),
    (60, "DescribeCluster", 0, 2),
    (61, "DescribeProducers", 0, 0),
    (65, "DescribeTransactions", 0, 0),
    (66, "ListTransactions", 0, 1),
    (68, "ConsumerGroupHeartbeat", 0, 1),
    (69, "ConsumerGroupDescribe", 0, 1),
    (75, "DescribeTopicPartitions", 0, 0),
)
