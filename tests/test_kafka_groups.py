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
    heartbeat,
    join_group,
    leave_group,
    list_groups,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    sync_group,
)

NONE, UNKNOWN_TOPIC, ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING, INVALID_REQUEST, NON_EMPTY, NOT_FOUND = (
    0,
    3,
    22,
    25,
    27,
    42,
    68,
    69,
)
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


def test_a_negative_offset_takes_back_what_was_committed_and_is_no_error(client: KafkaClient) -> None:
    """kafkajs resets a group to the earliest or latest offset by committing -2 or -1."""
    for negative in (-1, -2):
        assert commit(client, "reset", 4) == NONE
        assert commit(client, "reset", negative) == NONE
        assert committed(client, "reset", [0]) == {("read", 0): -1}
        assert committed(client, "reset", None) == {}
    assert commit(client, "reset", -2) == NONE, "also if there is none"


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


# --- The classic protocol


def classic(
    client: KafkaClient, group: str, member: str = "", version: int = 9, **other: str
) -> join_group.JoinGroupResponse:
    """Join; whoever is told an id first comes again with it."""
    protocols = [
        join_group.JoinGroupRequestProtocol("range", b"what I want"),
        join_group.JoinGroupRequestProtocol("odd"),
    ]
    request = join_group.JoinGroupRequest(
        group, 10_000, 5_000, member, protocol_type="consumer", protocols=protocols, **other
    )
    answer: join_group.JoinGroupResponse = client.ask(request, version)
    if answer.error_code == 79:
        assert version >= 4
        return classic(client, group, answer.member_id, version, **other)
    return answer


def share(
    client: KafkaClient, group: str, joined: join_group.JoinGroupResponse, version: int = 5, **parts: bytes
) -> sync_group.SyncGroupResponse:
    """Sync; the leader brings everybody's part, by member id."""
    assignments = [sync_group.SyncGroupRequestAssignment(member, part) for member, part in parts.items()]
    request = sync_group.SyncGroupRequest(
        group, joined.generation_id, joined.member_id, None, "consumer", "range", assignments
    )
    answer: sync_group.SyncGroupResponse = client.ask(request, version)
    return answer


def beats(client: KafkaClient, group: str, member: str, generation: int, version: int = 4) -> int:
    error: int = client.ask(heartbeat.HeartbeatRequest(group, generation, member), version).error_code
    return error


@pytest.mark.parametrize("version", range(10))
def test_a_member_joins_gets_its_part_and_leaves_in_every_version(client: KafkaClient, version: int) -> None:
    group = f"classic{version}"
    joined = classic(client, group, version=version)
    assert (joined.error_code, joined.protocol_name, joined.leader) == (NONE, "range", joined.member_id)
    assert joined.protocol_type == ("consumer" if version >= 7 else None)
    [me] = joined.members
    assert (me.member_id, me.metadata) == (joined.member_id, b"what I want")
    synced = share(client, group, joined, min(version, 5), **{joined.member_id: b"my part"})
    assert (synced.error_code, synced.assignment) == (NONE, b"my part")
    assert synced.protocol_name == ("range" if version >= 5 else None)
    assert beats(client, group, joined.member_id, joined.generation_id, min(version, 4)) == NONE
    assert beats(client, group, joined.member_id, joined.generation_id + 1, min(version, 4)) == ILLEGAL_GENERATION
    leaving = leave_group.LeaveGroupRequest(group, joined.member_id, [leave_group.MemberIdentity(joined.member_id)])
    left = client.ask(leaving, min(version, 5))
    assert left.error_code == NONE
    if version >= 3:
        assert [(member.member_id, member.error_code) for member in left.members] == [(joined.member_id, NONE)]
    assert beats(client, group, joined.member_id, joined.generation_id, min(version, 4)) == UNKNOWN_MEMBER


def test_a_classic_member_that_says_so_is_told_its_offsets(client: KafkaClient) -> None:
    """franz-go names itself and its generation in OffsetFetch 9, which have a meaning in the other protocol only."""
    joined = classic(client, "named")
    share(client, "named", joined, 5, **{joined.member_id: b"my part"})
    topics = [offset_fetch.OffsetFetchRequestTopics("read", [0])]
    wanted = offset_fetch.OffsetFetchRequestGroup("named", joined.member_id, joined.generation_id, topics)
    [group] = client.ask(offset_fetch.OffsetFetchRequest(groups=[wanted]), 9).groups
    assert group.error_code == NONE
    assert group.topics[0].partitions[0].committed_offset == -1


def test_who_is_no_member_cannot_leave_and_hears_it_at_the_right_place(client: KafkaClient) -> None:
    stranger = leave_group.LeaveGroupRequest("nobody", "me", [leave_group.MemberIdentity("me")])
    assert client.ask(stranger, 2).error_code == UNKNOWN_MEMBER
    left = client.ask(stranger, 5)
    assert (left.error_code, [member.error_code for member in left.members]) in [
        (NONE, [UNKNOWN_MEMBER]),
        (UNKNOWN_MEMBER, []),
    ]


def test_two_members_share_and_the_first_one_leads(cluster: Cluster, client: KafkaClient) -> None:
    """Each has a connection of its own, as clients do, since a join waits for the other member."""
    first = classic(client, "pair")
    share(client, "pair", first, **{first.member_id: b"all"})
    with KafkaClient(cluster.kafka) as other:
        unknown = other.ask(
            join_group.JoinGroupRequest(
                "pair",
                10_000,
                5_000,
                "",
                protocol_type="consumer",
                protocols=[join_group.JoinGroupRequestProtocol("range", b"second")],
            )
        )
        request = join_group.JoinGroupRequest(
            "pair",
            10_000,
            5_000,
            unknown.member_id,
            protocol_type="consumer",
            protocols=[join_group.JoinGroupRequestProtocol("range", b"second")],
        )
        waiting = other.tell(request)
        while beats(client, "pair", first.member_id, first.generation_id) == NONE:
            pass
        assert beats(client, "pair", first.member_id, first.generation_id) == REBALANCING
        leader = classic(client, "pair", first.member_id)
        follower = other.hear(waiting)
        assert leader.generation_id == follower.generation_id == first.generation_id + 1
        assert leader.leader == follower.leader == first.member_id
        assert sorted(member.metadata for member in leader.members) == [b"second", b"what I want"]
        assert follower.members == []
        waiting = other.tell(
            sync_group.SyncGroupRequest("pair", follower.generation_id, follower.member_id, None, "consumer", "range")
        )
        parts = {leader.member_id: b"left half", follower.member_id: b"right half"}
        assert share(client, "pair", leader, **parts).assignment == b"left half"
        assert other.hear(waiting).assignment == b"right half"
        [group] = client.ask(describe_groups.DescribeGroupsRequest(["pair"])).groups
        assert (group.group_state, group.protocol_type, group.protocol_data) == ("Stable", "consumer", "range")
        assert {member.member_id: member.member_assignment for member in group.members} == parts
        assert {member.client_host for member in group.members} == {"/127.0.0.1"}


def test_a_static_member_keeps_its_place(cluster: Cluster, client: KafkaClient) -> None:
    """KIP-345: it comes back without an id, and gets what it had without a rebalance."""
    first = classic(client, "static", group_instance_id="one")
    share(client, "static", first, **{first.member_id: b"everything"})
    with KafkaClient(cluster.kafka) as again:
        back = classic(again, "static", group_instance_id="one")
        assert (back.error_code, back.generation_id) == (NONE, first.generation_id)
        assert back.member_id != first.member_id
        assert share(again, "static", back).assignment == b"everything"
