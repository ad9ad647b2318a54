"""What Kafka's admin tools ask at the Kafka door: configs, partitions, replicas, leaders, logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka_client import KafkaClient, batch

from barnabas import Cluster
from barnabas.transport.kafka.messages import (
    alter_configs,
    alter_partition_reassignments,
    create_partitions,
    delete_records,
    describe_configs,
    describe_log_dirs,
    describe_topic_partitions,
    elect_leaders,
    incremental_alter_configs,
    list_partition_reassignments,
)

NONE, OUT_OF_RANGE, UNKNOWN_TOPIC, INVALID_PARTITIONS, INVALID_CONFIG, INVALID_REQUEST = 0, 1, 3, 37, 40, 42
TOPIC, BROKER, GROUP = 2, 4, 32
DYNAMIC_TOPIC, DYNAMIC_BROKER, STATIC, DEFAULT = 1, 2, 4, 5


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3, isolation="thread") as running:
        running.create_topic("admin", partitions=2)
        running.await_isr("admin")
        yield running


@pytest.fixture
def client(cluster: Cluster) -> Iterator[KafkaClient]:
    with KafkaClient(cluster.kafka) as connected:
        yield connected


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it comes true soon"
        time.sleep(0.01)


def described(
    client: KafkaClient, kind: int, name: str, keys: list[str] | None = None, version: int = 4
) -> dict[str, describe_configs.DescribeConfigsResourceResult]:
    wanted = describe_configs.DescribeConfigsResource(kind, name, keys)
    [result] = client.ask(describe_configs.DescribeConfigsRequest([wanted], True, True), version).results
    assert (result.error_code, result.resource_type, result.resource_name) == (NONE, kind, name)
    return {config.name: config for config in result.configs}


def altered(
    client: KafkaClient, kind: int, name: str, *changes: tuple[str, int, str | None], only_asked: bool = False
) -> int:
    configs = [incremental_alter_configs.AlterableConfig(*change) for change in changes]
    wanted = incremental_alter_configs.AlterConfigsResource(kind, name, configs)
    [done] = client.ask(incremental_alter_configs.IncrementalAlterConfigsRequest([wanted], only_asked)).responses
    assert (done.error_code == NONE) == (done.error_message is None)
    assert (done.resource_type, done.resource_name) == (kind, name)
    error: int = done.error_code
    return error


# --- Configs


@pytest.mark.parametrize("version", range(1, 5))
def test_configs_of_a_topic_have_values_sources_and_types(client: KafkaClient, version: int) -> None:
    configs = described(client, TOPIC, "admin", version=version)
    retention = configs["retention.ms"]
    assert (retention.value, retention.read_only, retention.is_sensitive) == ("604800000", False, False)
    assert retention.config_source == DEFAULT
    assert [(s.name, s.source) for s in retention.synonyms] == [("log.retention.ms", DEFAULT)]
    assert configs["durability"].read_only
    if version >= 3:
        types = {name: configs[name].config_type for name in ("retention.ms", "cleanup.policy", "max.message.bytes")}
        assert types == {"retention.ms": 5, "cleanup.policy": 7, "max.message.bytes": 3}
        assert configs["retention.ms"].documentation


def test_configs_of_a_broker_have_what_its_door_reads_from_the_cluster_file(
    cluster: Cluster, client: KafkaClient
) -> None:
    configs = described(client, BROKER, "2")
    assert configs["advertised.listeners"].value == f"PLAINTEXT://{cluster.kafka.split(',')[1]}"
    create = configs["auto.create.topics.enable"]
    assert (create.value, create.config_type, create.config_source, create.read_only) == ("true", 1, DEFAULT, True)
    assert configs["broker.id"].value == "2"
    assert configs["message.max.bytes"].value == "1048588"
    some = described(client, BROKER, "1", ["max.connections", "num.partitions", "no.such.config"])
    assert sorted(some) == ["max.connections", "num.partitions"]


def test_what_has_no_configs_is_refused(client: KafkaClient) -> None:
    for kind, name, error in (
        (TOPIC, "nobody", UNKNOWN_TOPIC),
        (BROKER, "9", INVALID_REQUEST),
        (GROUP, "g", INVALID_REQUEST),
    ):
        wanted = describe_configs.DescribeConfigsResource(kind, name, None)
        [result] = client.ask(describe_configs.DescribeConfigsRequest([wanted])).results
        assert result.error_code == error
        assert result.error_message


def test_configs_are_altered_one_by_one(client: KafkaClient) -> None:
    assert altered(client, TOPIC, "admin", ("retention.ms", 0, "1000000"), ("cleanup.policy", 2, "compact")) == NONE
    until(lambda: described(client, TOPIC, "admin")["retention.ms"].value == "1000000")
    configs = described(client, TOPIC, "admin")
    assert configs["retention.ms"].config_source == DYNAMIC_TOPIC
    assert sorted(configs["cleanup.policy"].value.split(",")) == ["compact", "delete"]
    assert altered(client, TOPIC, "admin", ("retention.ms", 1, None), ("cleanup.policy", 1, None)) == NONE
    until(lambda: described(client, TOPIC, "admin")["retention.ms"].config_source == DEFAULT)
    assert altered(client, TOPIC, "admin", ("retention.ms", 0, "5"), only_asked=True) == NONE
    assert described(client, TOPIC, "admin")["retention.ms"].config_source == DEFAULT
    assert altered(client, TOPIC, "admin", ("retention.ms", 0, "soon")) == INVALID_CONFIG
    assert altered(client, TOPIC, "admin", ("no.such.config", 0, "1")) == INVALID_CONFIG
    assert altered(client, TOPIC, "nobody", ("retention.ms", 0, "1")) == UNKNOWN_TOPIC
    assert altered(client, TOPIC, "admin", ("retention.ms", 9, "1")) == INVALID_REQUEST
    assert altered(client, TOPIC, "admin", ("retention.ms", 0, None)) == INVALID_REQUEST
    assert altered(client, GROUP, "g", ("x", 0, "1")) == INVALID_REQUEST


def test_configs_of_brokers_are_altered_while_they_run_unless_the_file_has_them(client: KafkaClient) -> None:
    name = "follower.replication.throttled.rate"
    assert altered(client, BROKER, "1", (name, 0, "1000000000")) == NONE
    until(lambda: described(client, BROKER, "1")[name].config_source == DYNAMIC_BROKER)
    assert altered(client, BROKER, "1", (name, 1, None)) == NONE
    assert altered(client, BROKER, "1", ("max.connections", 0, "5")) == INVALID_REQUEST


@pytest.mark.parametrize("version", range(3))
def test_the_older_way_to_alter_takes_back_what_is_not_named(client: KafkaClient, version: int) -> None:
    def alter(**configs: str) -> int:
        named = [alter_configs.AlterableConfig(name.replace("_", "."), value) for name, value in configs.items()]
        wanted = alter_configs.AlterConfigsResource(TOPIC, "admin", named)
        error: int = client.ask(alter_configs.AlterConfigsRequest([wanted]), version).responses[0].error_code
        return error

    assert alter(retention_ms="2000000", segment_ms="3000000") == NONE
    until(lambda: described(client, TOPIC, "admin")["segment.ms"].value == "3000000")
    assert alter(retention_ms="2000001") == NONE
    until(lambda: described(client, TOPIC, "admin")["retention.ms"].value == "2000001")
    assert described(client, TOPIC, "admin")["segment.ms"].config_source == DEFAULT
    assert alter() == NONE


# --- Partitions


def test_partitions_are_added(client: KafkaClient) -> None:
    client.create("grows")

    def grow(total: int, assigned: list[list[int]] | None = None, only_asked: bool = False, version: int = 3) -> int:
        by_hand = None if assigned is None else [create_partitions.CreatePartitionsAssignment(a) for a in assigned]
        wanted = create_partitions.CreatePartitionsTopic("grows", total, by_hand)
        request = create_partitions.CreatePartitionsRequest([wanted], 5000, only_asked)
        error: int = client.ask(request, version).results[0].error_code
        return error

    assert grow(3, only_asked=True) == NONE
    assert len(client.metadata("grows").partitions) == 1
    for version in range(4):
        assert grow(version + 2, version=version) == NONE
    grown = client.metadata("grows").partitions
    assert [partition.partition_index for partition in grown] == [0, 1, 2, 3, 4]
    assert all(partition.leader_id > 0 for partition in grown), "it was answered when they had leaders"
    assert grow(2) == INVALID_PARTITIONS
    assert grow(6, [[2, 1, 3]]) == NONE
    assert client.metadata("grows").partitions[5].replica_nodes == [2, 1, 3]


def test_topics_are_described_piece_by_piece(client: KafkaClient) -> None:
    """KIP-966: so that no answer is too large."""
    for name in ("piece-a", "piece-b"):
        client.create(name)
    wanted = [create_partitions.CreatePartitionsTopic("piece-a", 5, None)]
    assert client.ask(create_partitions.CreatePartitionsRequest(wanted, 5000)).results[0].error_code == NONE
    names = [describe_topic_partitions.TopicRequest(name) for name in ("piece-b", "piece-a", "nobody")]
    found: list[tuple[str, int, int]] = []
    cursor = None
    for _ in range(20):
        answer = client.ask(describe_topic_partitions.DescribeTopicPartitionsRequest(names, 2, cursor))
        for topic in answer.topics:
            assert topic.error_code in (NONE, UNKNOWN_TOPIC)
            for place in topic.partitions:
                assert (place.eligible_leader_replicas, place.last_known_elr) == ([], []), "null makes Java fail"
                found.append((topic.name, place.partition_index, place.leader_id))
        if answer.next_cursor is None:
            break
        cursor = describe_topic_partitions.Cursor(answer.next_cursor.topic_name, answer.next_cursor.partition_index)
    assert [(name, index) for name, index, _ in found] == [("piece-a", i) for i in range(5)] + [("piece-b", 0)]
    every = client.ask(describe_topic_partitions.DescribeTopicPartitionsRequest())
    assert {"piece-a", "piece-b", "admin"} <= {topic.name for topic in every.topics}


def test_preferred_leaders_are_elected(cluster: Cluster, client: KafkaClient) -> None:
    wanted = [elect_leaders.TopicPartitions("admin", [0, 1]), elect_leaders.TopicPartitions("nobody", [0])]
    for version in range(3):
        answer = client.ask(elect_leaders.ElectLeadersRequest(0, wanted), version)
        told = {
            (result.topic, place.partition_id): place.error_code
            for result in answer.replica_election_results
            for place in result.partition_result
        }
        assert told[("nobody", 0)] == UNKNOWN_TOPIC
        assert {told[("admin", 0)], told[("admin", 1)]} <= {NONE, 84}, "84: the preferred one leads"
    everywhere = client.ask(elect_leaders.ElectLeadersRequest(0, None))
    assert (everywhere.error_code, everywhere.replica_election_results) == (NONE, [])


def test_replicas_are_moved_and_moves_are_listed(client: KafkaClient) -> None:
    client.create("moves")
    before = client.metadata("moves").partitions[0].replica_nodes
    target = before[:-1]

    def move(topic: str, replicas: list[int] | None) -> Any:  # noqa: ANN401
        place = alter_partition_reassignments.ReassignablePartition(0, replicas)
        wanted = [alter_partition_reassignments.ReassignableTopic(topic, [place])]
        answer = client.ask(alter_partition_reassignments.AlterPartitionReassignmentsRequest(5000, wanted))
        assert answer.error_code == NONE
        return answer.responses[0].partitions[0].error_code

    assert move("nobody", [1]) == UNKNOWN_TOPIC
    assert move("moves", None) == 85, "there is no move to cancel"
    assert move("moves", [9]) == 39
    assert move("moves", target) == NONE
    until(lambda: client.metadata("moves").partitions[0].replica_nodes == target)
    listed = client.ask(list_partition_reassignments.ListPartitionReassignmentsRequest(topics=None))
    assert (listed.error_code, listed.error_message) == (NONE, None)
    assert "moves" not in [topic.name for topic in listed.topics]


# --- Logs


@pytest.mark.parametrize("version", range(3))
def test_records_are_deleted_up_to_an_offset(cluster: Cluster, client: KafkaClient, version: int) -> None:
    name = f"deleted{version}"
    cluster.create_topic(name, partitions=1)
    leader = cluster.leader(name, 0)
    with KafkaClient(cluster.kafka.split(",")[leader - 1]) as leading:
        for _ in range(3):
            assert leading.produce(name, batch(b"a", b"b")).error_code == NONE

        def delete(offset: int, index: int = 0) -> tuple[int, int]:
            place = delete_records.DeleteRecordsPartition(index, offset)
            wanted = [delete_records.DeleteRecordsTopic(name, [place])]
            [answer] = leading.ask(delete_records.DeleteRecordsRequest(wanted, 10_000), version).topics[0].partitions
            return answer.error_code, answer.low_watermark

        assert delete(3) == (NONE, 3)
        assert delete(99)[0] == OUT_OF_RANGE
        assert delete(1, index=7) == (UNKNOWN_TOPIC, -1)
        assert delete(-1) == (NONE, 6)
        topic = leading.metadata(name)
        assert leading.fetch(topic, 2).error_code == OUT_OF_RANGE


@pytest.mark.parametrize("version", range(1, 5))
def test_the_size_of_each_log_is_told(cluster: Cluster, client: KafkaClient, version: int) -> None:
    leader = cluster.leader("admin", 0)
    with KafkaClient(cluster.kafka.split(",")[leader - 1]) as leading:
        assert leading.produce("admin", batch(bytes(1000))).error_code == NONE
    wanted = [
        describe_log_dirs.DescribableLogDirTopic("admin", [0, 1]),
        describe_log_dirs.DescribableLogDirTopic("no", [0]),
    ]
    [found] = client.ask(describe_log_dirs.DescribeLogDirsRequest(wanted), version).results
    assert (found.error_code, found.log_dir) == (NONE, str(cluster.directory / "node-1"))
    [topic] = found.topics
    assert topic.name == "admin"
    assert [place.partition_index for place in topic.partitions] == [0, 1]
    until(
        lambda: (
            client.ask(describe_log_dirs.DescribeLogDirsRequest(wanted), version)
            .results[0]
            .topics[0]
            .partitions[0]
            .partition_size
            > 1000
        )
    )
    if version >= 4:
        assert found.total_bytes > found.usable_bytes > 0
    everything = client.ask(describe_log_dirs.DescribeLogDirsRequest(None), version).results[0].topics
    assert "admin" in [topic.name for topic in everything]
