"""Groups at the Kafka door: what a raw client says in Kafka's words, the coordinator hears in ours, and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka_client import KafkaClient

from barnabas import Cluster
from barnabas.transport.kafka.messages import (
    consumer_group_describe,
    consumer_group_heartbeat,
    delete_groups,
    describe_groups,
    find_coordinator,
    list_groups,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
)

NONE, UNKNOWN_TOPIC, UNKNOWN_MEMBER, INVALID_REQUEST, NON_EMPTY, NOT_FOUND = 0, 3, 25, 42, 68, 69
RETRIED = {14, 15, 16}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=1, isolation="thread") as running:
        running.create_topic("read", partitions=3)
        with KafkaClient(running.kafka) as client:
            coordinator(client, "any")  # the topic of the groups' state is made
        yield running


@pytest.fixture
def client(cluster: Cluster) -> Iterator[KafkaClient]:
    with KafkaClient(cluster.kafka) as connected:
        yield connected


@pytest.fixture
def topic(client: KafkaClient) -> metadata.MetadataResponseTopic:
    return client.create("read")


def coordinator(client: KafkaClient, group: str) -> find_coordinator.Coordinator:
    """Once it has read what is kept of its groups."""
    while True:
        [found] = client.ask(find_coordinator.FindCoordinatorRequest(coordinator_keys=[group])).coordinators
        listed = client.ask(list_groups.ListGroupsRequest())
        if found.error_code not in RETRIED and listed.error_code not in RETRIED:
            assert isinstance(found, find_coordinator.Coordinator)
            return found


def beat(
    client: KafkaClient, request: consumer_group_heartbeat.ConsumerGroupHeartbeatRequest, version: int = 1
) -> consumer_group_heartbeat.ConsumerGroupHeartbeatResponse:
    answer: consumer_group_heartbeat.ConsumerGroupHeartbeatResponse = client.ask(request, version)
    return answer


def join(
    client: KafkaClient, group: str, member: str, version: int = 1
) -> consumer_group_heartbeat.ConsumerGroupHeartbeatResponse:
    return beat(
        client,
        consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(
            group, member, 0, rebalance_timeout_ms=30_000, subscribed_topic_names=["read"]
        ),
        version,
    )


def commit(client: KafkaClient, group: str, offset: int, index: int = 0, topic: str = "read", version: int = 9) -> int:
    partition = offset_commit.OffsetCommitRequestPartition(index, offset, 0, "note")
    wanted = offset_commit.OffsetCommitRequestTopic(topic, [partition])
    answer = client.ask(offset_commit.OffsetCommitRequest(group, topics=[wanted]), version)
    error: int = answer.topics[0].partitions[0].error_code
    return error


def committed(
    client: KafkaClient, group: str, indexes: list[int] | None, version: int = 9
) -> dict[tuple[str, int], int]:
    """Offsets by topic and partition, in the words of either form of the request."""
    if version >= 8:
        topics = None if indexes is None else [offset_fetch.OffsetFetchRequestTopics("read", indexes)]
        [found] = client.ask(
            offset_fetch.OffsetFetchRequest(groups=[offset_fetch.OffsetFetchRequestGroup(group, topics=topics)]),
            version,
        ).groups
    else:
        named = None if indexes is None else [offset_fetch.OffsetFetchRequestTopic("read", indexes)]
        found = client.ask(offset_fetch.OffsetFetchRequest(group, named), version)
    assert found.error_code == NONE
    return {
        (topic.name, partition.partition_index): partition.committed_offset
        for topic in found.topics
        for partition in topic.partitions
    }


@pytest.mark.parametrize("version", range(6))
def test_a_coordinator_is_found_in_every_version(cluster: Cluster, client: KafkaClient, version: int) -> None:
    request = find_coordinator.FindCoordinatorRequest("g", coordinator_keys=["g", "h"])
    answer = client.ask(request, version)
    for found in answer.coordinators if version >= 4 else [answer]:
        assert (found.error_code, found.node_id, f"{found.host}:{found.port}") == (NONE, 1, cluster.kafka)
    if version >= 4:
        assert [found.key for found in answer.coordinators] == ["g", "h"]


def test_transactions_have_no_coordinator_yet(client: KafkaClient) -> None:
    answer = client.ask(find_coordinator.FindCoordinatorRequest("t", key_type=1), 3)
    assert answer.error_code == INVALID_REQUEST
    assert "not transactions" in answer.error_message


@pytest.mark.parametrize("version", range(2))
def test_a_member_is_told_what_to_read(
    client: KafkaClient, topic: metadata.MetadataResponseTopic, version: int
) -> None:
    """KIP-848: joins, has everything, repeats what it has, leaves."""
    group, member = f"told{version}", "me" if version else ""
    joined = join(client, group, member, version)
    assert joined.error_code == NONE
    assert joined.member_id
    assert joined.member_epoch > 0
    assert joined.heartbeat_interval_ms > 0
    assert joined.assignment is not None, "the first answer has an assignment, if only an empty one"
    [assigned] = joined.assignment.topic_partitions
    assert (assigned.topic_id, assigned.partitions) == (topic.topic_id, [0, 1, 2])
    owned = [consumer_group_heartbeat.TopicPartitions(topic.topic_id, [0, 1, 2])]
    again = consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(
        group, joined.member_id, joined.member_epoch, topic_partitions=owned
    )
    assert beat(client, again, version).assignment is None, "nothing is new"
    left = consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(group, joined.member_id, -1, topic_partitions=None)
    assert beat(client, left, version).error_code == NONE
    assert beat(client, again, version).error_code == UNKNOWN_MEMBER


def test_offsets_are_committed_and_fetched_in_every_version(client: KafkaClient) -> None:
    for version in range(2, 10):
        assert commit(client, "offsets", version, version=version) == NONE
        assert committed(client, "offsets", [0]) == {("read", 0): version}
    assert commit(client, "offsets", 5, index=2) == NONE
    for version in range(1, 10):
        assert committed(client, "offsets", [0, 1, 2], version) == {("read", 0): 9, ("read", 1): -1, ("read", 2): 5}
        if version >= 2:
            assert committed(client, "offsets", None, version) == {("read", 0): 9, ("read", 2): 5}


def test_an_offset_has_its_note_and_its_leader_epoch(client: KafkaClient) -> None:
    commit(client, "noted", 7)
    wanted = offset_fetch.OffsetFetchRequestGroup("noted", topics=None)
    [group] = client.ask(offset_fetch.OffsetFetchRequest(groups=[wanted])).groups
    [partition] = group.topics[0].partitions
    assert (partition.committed_offset, partition.committed_leader_epoch, partition.metadata) == (7, 0, "note")


def test_nothing_is_committed_to_what_does_not_exist(client: KafkaClient) -> None:
    assert commit(client, "lost", 1, topic="nobody") == UNKNOWN_TOPIC
    assert commit(client, "lost", 1, index=9) == UNKNOWN_TOPIC


def test_a_group_that_nobody_knows_has_no_offsets_which_is_no_error(client: KafkaClient) -> None:
    assert committed(client, "nobody", [0]) == {("read", 0): -1}
    assert committed(client, "nobody", None) == {}


def test_offsets_are_deleted(client: KafkaClient) -> None:
    commit(client, "forgetful", 3)
    partitions = [offset_delete.OffsetDeleteRequestPartition(index) for index in (0, 9)]
    wanted = [offset_delete.OffsetDeleteRequestTopic("read", partitions)]
    answer = client.ask(offset_delete.OffsetDeleteRequest("forgetful", wanted))
    assert [partition.error_code for partition in answer.topics[0].partitions] == [NONE, UNKNOWN_TOPIC]
    assert committed(client, "forgetful", [0]) == {("read", 0): -1}


def test_groups_are_listed_described_and_deleted(
    cluster: Cluster, client: KafkaClient, topic: metadata.MetadataResponseTopic
) -> None:
    joined = join(client, "living", "me")
    commit(client, "empty", 1)
    for version in range(6):
        listed = {group.group_id: group for group in client.ask(list_groups.ListGroupsRequest(), version).groups}
        assert {"living", "empty"} <= set(listed)
        if version >= 5:
            assert (listed["living"].group_type, listed["empty"].group_type) == ("consumer", "classic")
            assert (listed["living"].group_state, listed["empty"].group_state) == ("Stable", "Empty")
    filtered = client.ask(list_groups.ListGroupsRequest(types_filter=["Consumer"], states_filter=["stable"])).groups
    assert [group.group_id for group in filtered if group.group_id in ("living", "empty")] == ["living"]

    ids = ["living", "empty", "nobody"]
    living, empty, nobody = client.ask(consumer_group_describe.ConsumerGroupDescribeRequest(ids)).groups
    assert (living.group_state, living.group_epoch, living.assignor_name) == ("Stable", joined.member_epoch, "uniform")
    [member] = living.members
    assert (member.member_id, member.client_id, member.client_host) == ("me", "test", "/127.0.0.1")
    assert member.subscribed_topic_names == ["read"]
    [assigned] = member.assignment.topic_partitions
    assert (assigned.topic_id, assigned.topic_name, assigned.partitions) == (topic.topic_id, "read", [0, 1, 2])
    assert (empty.error_code, nobody.error_code) == (NOT_FOUND, NOT_FOUND)

    living, empty, nobody = client.ask(describe_groups.DescribeGroupsRequest(ids)).groups
    assert [(g.error_code, g.group_state) for g in (living, empty, nobody)] == [
        (NOT_FOUND, "Dead"), (NONE, "Empty"), (NOT_FOUND, "Dead"),
    ]  # fmt: skip
    older = client.ask(describe_groups.DescribeGroupsRequest(ids), 5).groups
    assert [(g.error_code, g.group_state) for g in older] == [(NONE, "Dead"), (NONE, "Empty"), (NONE, "Dead")]

    deleted = client.ask(delete_groups.DeleteGroupsRequest(ids)).results
    assert [(d.group_id, d.error_code) for d in deleted] == [
        ("living", NON_EMPTY),
        ("empty", NONE),
        ("nobody", NOT_FOUND),
    ]
