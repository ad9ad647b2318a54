"""The Kafka door of one broker in this process: what is answered, in which order, and what bad input costs.

A raw client says what well-behaved ones would not. Whatever happens to it, another client is served as before.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator

import pytest
from kafka_client import Closed, KafkaClient, batch, produce_request, values

from barnabas import Cluster
from barnabas.transport.kafka.codec import Header, write_request
from barnabas.transport.kafka.messages import (
    api_versions,
    create_topics,
    delete_topics,
    describe_cluster,
    fetch,
    init_producer_id,
    list_offsets,
    metadata,
    offset_for_leader_epoch,
)
from barnabas.transport.kafka.served import SERVED, shown
from barnabas.transport.kafka.table import APIS

NONE, OUT_OF_RANGE, CORRUPT, UNKNOWN_TOPIC, TOO_LARGE, INVALID_TOPIC, INVALID_RECORD = 0, 1, 2, 3, 10, 17, 87


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=1, isolation="thread") as running:
        yield running


@pytest.fixture
def client(cluster: Cluster) -> Iterator[KafkaClient]:
    with KafkaClient(cluster.kafka) as connected:
        yield connected


@pytest.fixture(scope="module")
def topic(cluster: Cluster) -> metadata.MetadataResponseTopic:
    with KafkaClient(cluster.kafka) as connected:
        return connected.create("there")


def is_served(cluster: Cluster, topic: metadata.MetadataResponseTopic) -> bool:
    """Whether another client can write and read."""
    with KafkaClient(cluster.kafka) as other:
        written = other.produce("there", batch(b"still"))
        return written.error_code == NONE and values(other.fetch(topic, written.base_offset).records) == [b"still"]


# --- What is answered


@pytest.mark.parametrize("version", range(5))
def test_versions_are_told_in_every_version(client: KafkaClient, version: int) -> None:
    answer = client.ask(api_versions.ApiVersionsRequest(), version)
    assert answer.error_code == NONE
    told = {line.api_key: (line.min_version, line.max_version) for line in answer.api_keys}
    assert told == {line.key: (line.least, line.newest) for line in shown()}
    assert told[0] == (0, 11), "old librdkafka looks for Produce 0"
    assert {APIS[key].name for key in told} == set(SERVED)


def test_an_unknown_version_of_the_first_question_is_answered_in_version_0(client: KafkaClient) -> None:
    frame = bytearray(b"".join(write_request(Header(APIS[18], 4, 9, "me"), api_versions.ApiVersionsRequest())))
    struct.pack_into(">h", frame, 6, 99)
    client.send(frame)
    answer = client.hear(Header(APIS[18], 0, 9, None))
    assert answer.error_code == 35
    assert (18, 0, 4) in [(line.api_key, line.min_version, line.max_version) for line in answer.api_keys]
    assert client.ask(api_versions.ApiVersionsRequest()).error_code == NONE, "the connection goes on"


@pytest.mark.parametrize("version", range(14))
def test_metadata_is_told_in_every_version(cluster: Cluster, client: KafkaClient, version: int) -> None:
    name = metadata.MetadataRequestTopic(name="there")
    answer = client.ask(metadata.MetadataRequest(topics=[name]), version)
    [broker] = answer.brokers
    assert f"{broker.host}:{broker.port}" == cluster.kafka
    [found] = answer.topics
    assert (found.error_code, found.name) == (NONE, "there")
    [partition] = found.partitions
    assert (partition.leader_id, partition.replica_nodes, partition.isr_nodes) == (1, [1], [1])
    assert partition.leader_epoch == (0 if version >= 7 else -1)
    if version >= 1:
        assert answer.controller_id == 1
    if version >= 2:
        assert answer.cluster_id == cluster.formatted.cluster_id


def test_all_topics_and_no_topics_are_asked_for_as_kafka_says(
    client: KafkaClient, topic: metadata.MetadataResponseTopic
) -> None:
    everything = [
        client.ask(metadata.MetadataRequest(topics=None), 12),
        client.ask(metadata.MetadataRequest(topics=[]), 0),
    ]
    for answer in everything:
        assert "there" in [found.name for found in answer.topics]
    assert client.ask(metadata.MetadataRequest(topics=[]), 1).topics == []


def test_a_topic_is_found_by_its_id(client: KafkaClient, topic: metadata.MetadataResponseTopic) -> None:
    assert topic.topic_id != bytes(16)
    wanted = [
        metadata.MetadataRequestTopic(topic.topic_id, None),
        metadata.MetadataRequestTopic(topic.topic_id, ""),  # as Java says it
        metadata.MetadataRequestTopic(bytes(15) + b"x", None),
    ]
    known, again, unknown = client.ask(metadata.MetadataRequest(topics=wanted)).topics
    assert (known.name, known.error_code) == ("there", NONE)
    assert known == again
    assert (unknown.name, unknown.error_code) == (None, 100)


def test_a_topic_is_created_when_it_is_asked_for_unless_the_client_forbids_it(client: KafkaClient) -> None:
    assert client.metadata("nobody", create=False).error_code == UNKNOWN_TOPIC
    assert client.metadata("not a name").error_code == INVALID_TOPIC
    began = time.monotonic()
    made = client.metadata("made")
    assert made.error_code == NONE or time.monotonic() - began > 0.9, "the answer waits for the leader, up to a second"
    assert [partition.leader_id for partition in client.create("made").partitions] == [1]


def test_what_is_produced_is_fetched_as_it_was(client: KafkaClient) -> None:
    found = client.create("bytes")
    first = batch(b"a", b"b")
    assert client.produce("bytes", first).base_offset == 0
    assert client.produce("bytes", batch(b"c")).base_offset == 2
    read = client.fetch(found)
    assert values(read.records) == [b"a", b"b", b"c"]
    assert (read.high_watermark, read.last_stable_offset, read.log_start_offset) == (3, 3, 0)
    assert bytes(read.records or b"")[16 : len(first)] == first[16:], "only offset and leader epoch are the broker's"


@pytest.mark.parametrize("version", range(3, 12))
def test_batches_are_taken_in_every_version(client: KafkaClient, version: int) -> None:
    client.create("produced")
    answer = client.ask(produce_request("produced", batch(b"x")), version)
    [response] = answer.responses[0].partition_responses
    assert (response.error_code, response.log_append_time_ms) == (NONE, -1)
    assert response.base_offset >= 0


@pytest.mark.parametrize("version", range(4, 17))
def test_records_are_given_in_every_version(
    client: KafkaClient, version: int, topic: metadata.MetadataResponseTopic
) -> None:
    at = client.produce("there", batch(b"%d" % version)).base_offset
    partition = fetch.FetchPartition(0, fetch_offset=at, partition_max_bytes=1000)
    wanted = [fetch.FetchTopic("there", topic.topic_id, [partition])]
    answer = client.ask(fetch.FetchRequest(max_wait_ms=100, min_bytes=1, topics=wanted, isolation_level=1), version)
    assert (answer.session_id, answer.error_code) == (0, NONE)
    [found] = answer.responses
    assert (found.topic, found.topic_id) == (("there", bytes(16)) if version < 13 else ("", topic.topic_id))
    assert values(found.partitions[0].records) == [b"%d" % version]
    assert found.partitions[0].aborted_transactions == []


def test_a_fetch_waits_for_records_and_is_answered_when_they_come(
    cluster: Cluster, client: KafkaClient, topic: metadata.MetadataResponseTopic
) -> None:
    end = client.produce("there", batch(b"before")).base_offset + 1
    partition = fetch.FetchPartition(0, fetch_offset=end, partition_max_bytes=1000)
    wanted = [fetch.FetchTopic(topic_id=topic.topic_id, partitions=[partition])]
    began = time.monotonic()
    header = client.tell(fetch.FetchRequest(max_wait_ms=15_000, min_bytes=1, topics=wanted))
    with KafkaClient(cluster.kafka) as other:
        other.produce("there", batch(b"now"))
    assert values(client.hear(header).responses[0].partitions[0].records) == [b"now"]
    assert time.monotonic() - began < 10
    empty = client.ask(
        fetch.FetchRequest(
            max_wait_ms=0,
            min_bytes=1,
            topics=[
                fetch.FetchTopic(topic_id=topic.topic_id, partitions=[fetch.FetchPartition(0, fetch_offset=end + 1)])
            ],
        )
    )
    assert empty.responses[0].partitions[0].records == b"", "nothing is zero bytes, not null"


def test_the_first_batch_is_given_even_if_it_is_larger_than_asked_for(client: KafkaClient) -> None:
    """KIP-74: otherwise a consumer would be stuck for ever."""
    found = client.create("large")
    client.produce("large", batch(bytes(50_000)))
    partition = fetch.FetchPartition(0, fetch_offset=0, partition_max_bytes=10)
    wanted = [fetch.FetchTopic(topic_id=found.topic_id, partitions=[partition])]
    answer = client.ask(fetch.FetchRequest(max_wait_ms=0, min_bytes=1, max_bytes=10, topics=wanted))
    assert values(answer.responses[0].partitions[0].records) == [bytes(50_000)]


def test_a_fetch_beyond_the_log_is_out_of_range(client: KafkaClient, topic: metadata.MetadataResponseTopic) -> None:
    for offset in (-1, 1_000_000):
        found = client.fetch(topic, offset)
        assert (found.error_code, found.records) == (OUT_OF_RANGE, b"")


def test_every_partition_that_is_asked_for_is_answered(
    client: KafkaClient, topic: metadata.MetadataResponseTopic
) -> None:
    def asked(*indexes: int) -> list[fetch.FetchPartition]:
        return [fetch.FetchPartition(index, partition_max_bytes=10) for index in indexes]

    wanted = [
        fetch.FetchTopic(topic_id=topic.topic_id, partitions=asked(0, 7)),
        fetch.FetchTopic(topic_id=b"?" * 16, partitions=asked(0)),
    ]
    answer = client.ask(fetch.FetchRequest(max_wait_ms=10_000, min_bytes=1 << 30, topics=wanted))
    told = [
        (found.topic_id, part.partition_index, part.error_code)
        for found in answer.responses
        for part in found.partitions
    ]
    assert told == [(topic.topic_id, 0, NONE), (topic.topic_id, 7, UNKNOWN_TOPIC), (b"?" * 16, 0, 100)]
    named = [fetch.FetchTopic("nobody", partitions=asked(0))]
    answer = client.ask(fetch.FetchRequest(topics=named), 12)
    assert answer.responses[0].partitions[0].error_code == UNKNOWN_TOPIC


def test_fetch_sessions_are_refused(client: KafkaClient) -> None:
    assert client.ask(fetch.FetchRequest(session_id=5, session_epoch=1)).error_code == 70


def test_leader_epochs_are_checked_exactly(client: KafkaClient, topic: metadata.MetadataResponseTopic) -> None:
    for epoch, error in ((0, NONE), (9, 75)):
        partition = fetch.FetchPartition(0, current_leader_epoch=epoch, partition_max_bytes=10)
        wanted = [fetch.FetchTopic(topic_id=topic.topic_id, partitions=[partition])]
        answer = client.ask(fetch.FetchRequest(max_wait_ms=0, topics=wanted))
        assert answer.responses[0].partitions[0].error_code == error


def test_offsets_are_found_by_time_and_by_name(client: KafkaClient) -> None:
    client.create("times")
    now = int(time.time() * 1000)
    for ago in (40, 10, 20):
        client.produce("times", batch(b"x", b"y", timestamp=now - ago))

    def found(timestamp: int, version: int = 10) -> tuple[int, int, int]:
        wanted = list_offsets.ListOffsetsTopic("times", [list_offsets.ListOffsetsPartition(0, -1, timestamp)])
        [place] = client.ask(list_offsets.ListOffsetsRequest(-1, topics=[wanted]), version).topics[0].partitions
        return place.error_code, place.offset, place.timestamp

    assert found(-1) == (NONE, 6, -1)
    assert found(-2) == (NONE, 0, -1)
    assert found(-3) == (NONE, 2, now - 10), "the record with the largest timestamp (KIP-734)"
    assert found(-4) == (NONE, 0, -1)
    assert found(-5) == (NONE, -1, -1), "nothing is tiered"
    assert found(now - 39) == (NONE, 2, now - 10)
    assert found(now - 9) == (NONE, -1, -1)
    assert found(-3, 6)[0] == 35, "version 6 has no word for it"
    assert [found(-1, version)[:2] for version in range(1, 11)] == [(NONE, 6)] * 10
    wanted = list_offsets.ListOffsetsTopic("nobody", [list_offsets.ListOffsetsPartition(0, -1, -1)])
    assert (
        client.ask(list_offsets.ListOffsetsRequest(topics=[wanted])).topics[0].partitions[0].error_code == UNKNOWN_TOPIC
    )


@pytest.mark.parametrize("version", range(2, 5))
def test_the_end_of_a_leader_epoch_is_told(client: KafkaClient, version: int) -> None:
    client.create("epochs")
    end = client.produce("epochs", batch(b"x")).base_offset + 1
    asked = [offset_for_leader_epoch.OffsetForLeaderPartition(0, 0, epoch) for epoch in (0, 5)]
    wanted = [offset_for_leader_epoch.OffsetForLeaderTopic("epochs", asked)]
    answer = client.ask(offset_for_leader_epoch.OffsetForLeaderEpochRequest(-1, wanted), version)
    told = [(part.error_code, part.leader_epoch, part.end_offset) for part in answer.topics[0].partitions]
    assert told == [(NONE, 0, end), (NONE, -1, -1)]


@pytest.mark.parametrize("version", range(6))
def test_producers_get_identities_of_their_own(client: KafkaClient, version: int) -> None:
    given = [client.ask(init_producer_id.InitProducerIdRequest(transactional_id=None), version) for _ in range(2)]
    assert [(answer.error_code, answer.producer_epoch) for answer in given] == [(NONE, 0)] * 2
    assert given[0].producer_id != given[1].producer_id
    assert client.ask(init_producer_id.InitProducerIdRequest(transactional_id="t"), version).error_code == 35


def test_an_idempotent_batch_is_taken_once(client: KafkaClient) -> None:
    client.create("once")
    given = client.ask(init_producer_id.InitProducerIdRequest(transactional_id=None))

    def produced(sequence: int) -> tuple[int, int]:
        numbered = batch(b"x", producer_id=given.producer_id, producer_epoch=0, base_sequence=sequence)
        answer = client.produce("once", numbered)
        return answer.error_code, answer.base_offset

    assert [produced(sequence) for sequence in (0, 1, 0, 1, 5)] == [(0, 0), (0, 1), (0, 0), (0, 1), (45, -1)]


def test_topics_are_created_and_deleted_by_name_and_by_id(client: KafkaClient) -> None:
    def made(
        name: str, partitions: int = 2, replication: int = 1, version: int = 7
    ) -> create_topics.CreatableTopicResult:
        wanted = create_topics.CreatableTopic(name, partitions, replication)
        request = create_topics.CreateTopicsRequest([wanted], timeout_ms=5000)
        found: create_topics.CreatableTopicResult = client.ask(request, version).topics[0]
        return found

    first = made("first")
    assert (first.error_code, first.num_partitions, first.replication_factor) == (NONE, 2, 1)
    assert "retention.ms" in {config.name for config in first.configs}, "null would make the Java client fail"
    assert made("first").error_code == 36
    assert made("first/", 1).error_code == INVALID_TOPIC
    assert made("second", replication=5).error_code == 38
    assert made("second", -1, -1).num_partitions == 1, "the cluster's default"
    assert client.metadata("first").topic_id == first.topic_id

    def deleted(*wanted: delete_topics.DeleteTopicState) -> list[tuple[str | None, int]]:
        answer = client.ask(delete_topics.DeleteTopicsRequest(topics=list(wanted), timeout_ms=5000))
        return [(result.name, result.error_code) for result in answer.responses]

    by_id = delete_topics.DeleteTopicState(topic_id=first.topic_id)
    assert deleted(by_id) == [("first", NONE)]
    assert client.metadata("first", create=False).error_code == UNKNOWN_TOPIC
    assert deleted(by_id) == [(None, 100)]
    assert deleted(delete_topics.DeleteTopicState("second"), delete_topics.DeleteTopicState("nobody")) == [
        ("second", NONE),
        ("nobody", UNKNOWN_TOPIC),
    ]
    for version in range(2, 8):
        assert made(f"v{version}", version=version).error_code == NONE
    for version in range(1, 6):
        request = delete_topics.DeleteTopicsRequest([f"v{version + 1}"], timeout_ms=5000)
        assert client.ask(request, version).responses[0].error_code == NONE


def test_a_topic_may_have_its_replicas_assigned_by_hand_and_be_only_asked_about(client: KafkaClient) -> None:
    def made(*assigned: tuple[int, list[int]], only_asked: bool = False, **other: int) -> int:
        by_hand = [create_topics.CreatableReplicaAssignment(index, brokers) for index, brokers in assigned]
        figures = {"num_partitions": -1, "replication_factor": -1} | other
        wanted = create_topics.CreatableTopic("by-hand", assignments=by_hand, **figures)
        request = create_topics.CreateTopicsRequest([wanted], timeout_ms=5000, validate_only=only_asked)
        error: int = client.ask(request).topics[0].error_code
        return error

    assert made((0, [1]), num_partitions=1) == 42
    assert made((1, [1])) == 39
    assert made((0, [9])) == 39
    assert made((0, [1]), (1, [1]), only_asked=True) == NONE
    assert client.metadata("by-hand", create=False).error_code == UNKNOWN_TOPIC
    assert made((1, [1]), (0, [1])) == NONE
    assert len(client.metadata("by-hand").partitions) == 2
    bad = create_topics.CreatableTopic(
        "bad-config", 1, 1, configs=[create_topics.CreatableTopicConfig("nonsense", "1")]
    )
    answer = client.ask(create_topics.CreateTopicsRequest([bad], timeout_ms=5000)).topics[0]
    assert answer.error_code == 40
    assert "nonsense" in answer.error_message


@pytest.mark.parametrize("version", range(3))
def test_the_cluster_describes_itself(cluster: Cluster, client: KafkaClient, version: int) -> None:
    answer = client.ask(describe_cluster.DescribeClusterRequest(), version)
    assert (answer.error_code, answer.cluster_id, answer.controller_id) == (NONE, cluster.formatted.cluster_id, 1)
    assert [f"{broker.host}:{broker.port}" for broker in answer.brokers] == [cluster.kafka]


# --- In which order


def test_replies_leave_in_the_order_of_requests(client: KafkaClient, topic: metadata.MetadataResponseTopic) -> None:
    """Also a quick one behind one that waits, which Kafka's clients expect."""
    end = client.produce("there", batch(b"x")).base_offset + 1
    partition = fetch.FetchPartition(0, fetch_offset=end, partition_max_bytes=1000)
    slow = client.tell(
        fetch.FetchRequest(
            max_wait_ms=300, min_bytes=1, topics=[fetch.FetchTopic(topic_id=topic.topic_id, partitions=[partition])]
        )
    )
    quick = client.tell(api_versions.ApiVersionsRequest())
    assert client.hear(slow).responses[0].partitions[0].error_code == NONE
    assert client.hear(quick).error_code == NONE


def test_pipelined_batches_are_appended_in_order(client: KafkaClient) -> None:
    found = client.create("pipe")
    requests = [client.tell(produce_request("pipe", batch(b"%d" % number))) for number in range(200)]
    offsets = [client.hear(header).responses[0].partition_responses[0].base_offset for header in requests]
    assert offsets == list(range(200))
    assert values(client.fetch(found).records) == [b"%d" % number for number in range(200)]


def test_acks_0_is_never_answered_and_a_failure_closes_the_connection(cluster: Cluster, client: KafkaClient) -> None:
    found = client.create("unanswered")
    for number in range(3):
        client.tell(produce_request("unanswered", batch(b"%d" % number), acks=0))
    assert client.ask(api_versions.ApiVersionsRequest()).error_code == NONE, "the next reply is for the next request"
    while client.fetch(found).high_watermark < 3:
        pass  # appended is not yet durable
    assert values(client.fetch(found).records) == [b"0", b"1", b"2"]
    client.tell(produce_request("nobody knows it", batch(b"x"), acks=0))
    assert client.is_closed(), "which makes the client look for the leader"


def test_a_frame_may_come_in_any_pieces(client: KafkaClient) -> None:
    frame = b"".join(write_request(Header(APIS[18], 3, 1, "me"), api_versions.ApiVersionsRequest("a", "1")))
    for byte in frame:
        client.send(bytes([byte]))
    assert client.hear(Header(APIS[18], 3, 1, "me")).error_code == NONE
    found = client.create("pieces")
    large = batch(bytes(900_000))
    frame = b"".join(write_request(Header(APIS[0], 9, 2, "me"), produce_request("pieces", large)))
    for position in range(0, len(frame), 70_001):
        client.send(frame[position : position + 70_001])
    assert client.hear(Header(APIS[0], 9, 2, "me")).responses[0].partition_responses[0].error_code == NONE
    assert values(client.fetch(found).records) == [bytes(900_000)]


# --- What bad input costs


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        (2**31 - 1).to_bytes(4) + b"x" * 100,
        (-1).to_bytes(4, signed=True),
        (9).to_bytes(4) + bytes(9),
        bytes(8),
        (50).to_bytes(4) + struct.pack(">hhi", 0, 9, 1) + b"\xff" * 42,
        (14).to_bytes(4) + struct.pack(">hhih", 3, 9, 1, -1) + b"\0\xff\xff\xff",
        (14).to_bytes(4) + struct.pack(">hhih", 2, 1, 1, -1) + b"\0\0\0\0",
        (10).to_bytes(4) + struct.pack(">hhih", 999, 0, 1, -1),
        (10).to_bytes(4) + struct.pack(">hhih", -5, 0, 1, -1),
        (10).to_bytes(4) + struct.pack(">hhih", 0, 2, 1, -1),
        (10).to_bytes(4) + struct.pack(">hhih", 3, 99, 1, -1),
        (10).to_bytes(4) + struct.pack(">hhih", 27, 1, 1, -1),
    ],
    ids=[
        "http", "2 GB", "negative", "too short", "zero", "lying varints", "lying array", "truncated",
        "unknown api", "negative api", "old produce", "new metadata", "between brokers",
    ],
)  # fmt: skip
def test_what_is_no_request_closes_its_connection_and_no_other(
    cluster: Cluster, client: KafkaClient, topic: metadata.MetadataResponseTopic, data: bytes
) -> None:
    client.send(data)
    assert client.is_closed()
    assert is_served(cluster, topic)


def test_random_bytes_close_their_connection_and_no_other(
    cluster: Cluster, topic: metadata.MetadataResponseTopic
) -> None:
    chance = random.Random(4)
    for _ in range(50):
        with KafkaClient(cluster.kafka) as client:
            client.send(b"\x7f" + chance.randbytes(200))
            assert client.is_closed()
    assert is_served(cluster, topic)


def test_a_client_that_leaves_in_the_middle_of_a_frame_costs_nothing(
    cluster: Cluster, topic: metadata.MetadataResponseTopic
) -> None:
    for sent in (1, 3, 4, 5, 100, 100_000):
        with KafkaClient(cluster.kafka) as client:
            client.send(((1 << 20).to_bytes(4) + bytes(100_000))[:sent])
    assert is_served(cluster, topic)


def test_bad_batches_are_refused_with_kafkas_errors(client: KafkaClient) -> None:
    found = client.create("bad")
    good = batch(b"a", b"b")

    def changed(position: int, form: str, value: int) -> bytes:
        data = bytearray(good)
        struct.pack_into(form, data, position, value)
        return bytes(data)

    cases = {
        "a CRC that is wrong": (changed(17, ">I", 1), CORRUPT),
        "a byte that flipped": (good[:-1] + b"!", CORRUPT),
        "a length that lies": (changed(8, ">i", 10_000), INVALID_RECORD),
        "a negative length": (changed(8, ">i", -1), INVALID_RECORD),
        "magic 1": (changed(16, ">b", 1), INVALID_RECORD),
        "counts that differ": (changed(57, ">i", 3), INVALID_RECORD),
        "no records": (b"", INVALID_RECORD),
        "a few bytes": (b"few", INVALID_RECORD),
        "two batches": (good + good, INVALID_RECORD),
        "above the limit": (batch(bytes(1_048_588)), TOO_LARGE),
    }
    told = {what: client.produce("bad", data).error_code for what, (data, _) in cases.items()}
    assert told == {what: error for what, (_, error) in cases.items()}
    assert client.fetch(found).high_watermark == 0
    assert client.produce("bad", good, acks=7).error_code == 21
    assert client.produce("bad", good, index=9).error_code == UNKNOWN_TOPIC
    assert client.produce("nobody", good).error_code == UNKNOWN_TOPIC
    assert client.produce("__consumer_offsets", good).error_code == INVALID_TOPIC
    assert client.produce("bad", good).error_code == NONE
    zstd = changed(21, ">h", 4)
    answer = client.ask(produce_request("bad", zstd), 6)
    assert answer.responses[0].partition_responses[0].error_code == 76, "clients of version 6 cannot read it"


def test_replies_before_a_request_that_is_refused_still_leave(client: KafkaClient) -> None:
    frames = b"".join(write_request(Header(APIS[18], 3, 1, "me"), api_versions.ApiVersionsRequest()))
    client.send(frames + (10).to_bytes(4) + struct.pack(">hhih", 999, 0, 1, -1))
    assert client.hear(Header(APIS[18], 3, 1, "me")).error_code == NONE
    assert client.is_closed()


def test_requests_behind_one_that_is_refused_are_not_answered(client: KafkaClient) -> None:
    client.send((10).to_bytes(4) + struct.pack(">hhih", 999, 0, 1, -1))
    with pytest.raises(Closed):
        client.ask(api_versions.ApiVersionsRequest())
