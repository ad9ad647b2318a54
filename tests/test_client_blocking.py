"""The blocking producer, consumer and admin, over a fake cluster in real time."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
from client_runtime import WorldRuntime
from client_world import ClientWorld

from barnabas.client import Admin, Consumer, FailedRecord, Producer, SendFuture
from barnabas.client.errors import (
    BufferFull,
    Closed,
    CorruptRecord,
    ForkedClient,
    NoBrokers,
    OffsetOutOfRange,
    OperationTimeout,
    RecordTooLarge,
    TopicExists,
    UnknownTopic,
)
from barnabas.storage.records import COMPRESSIONS, MAX_BATCH, NO_COMPRESSION, Record, encode_batch, parse_header


@pytest.fixture
def world() -> ClientWorld:
    world = ClientWorld()
    world.create("t", 2)
    return world


def producer_in(world: ClientWorld, **options: object) -> Producer:
    return Producer(["x://b1", "x://b2"], runtime=WorldRuntime(world), **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def plain_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake cluster's brokers are called b1, b2 and b3."""
    for module in ("producer_core", "consumer_core", "admin_core"):
        monkeypatch.setattr(f"barnabas.client.{module}.endpoints", lambda given: ["b1", "b2", "b3"])


def test_a_record_has_a_place(world: ClientWorld) -> None:
    with producer_in(world) as producer:
        place = producer.send("t", "text", key="k", headers={"h": b"1"}, partition=1).result(5)
    assert place[:3] == ("t", 1, 0)
    assert place.timestamp > 0
    (record,) = world.topics["t"].records(1)
    assert (record.key, record.value, record.headers) == (b"k", b"text", (("h", b"1"),))


def test_many_records_wake_the_loop_a_few_times_and_keep_their_order(world: ClientWorld) -> None:
    with producer_in(world, linger_ms=1) as producer:
        futures = producer.send_many("t", ((b"k", b"%d" % i) for i in range(2_000)))
        producer.flush(10)
        assert [future.result(0).offset for future in futures] == [*range(2_000)]
        assert producer._runtime.wakes < 500  # type: ignore[attr-defined]


def test_order_holds_between_records_with_and_without_a_partition(world: ClientWorld) -> None:
    with producer_in(world, linger_ms=1) as producer:
        first = producer.send("t", b"0", key=b"k").result(5)
        for i in range(1, 100):
            producer.send("t", b"%d" % i, key=b"k", partition=first.partition if i % 3 else None)
    assert world.topics["t"].values(first.partition) == [b"%d" % i for i in range(100)]


def test_send_blocks_while_the_buffer_is_full_and_then_says_so(world: ClientWorld) -> None:
    world.lead("t", 0, -1, tell=False)
    producer = producer_in(world, buffer_bytes=1_000, max_block_ms=50)
    producer.send("t", b"x" * 800, partition=0)
    with pytest.raises(BufferFull, match="is the cluster reachable"):
        producer.send("t", b"x" * 800, partition=0)
    producer.close(0.1)
    with pytest.raises(Closed):
        producer.send("t", b"x")


def test_what_had_room_before_the_buffer_was_full_is_delivered_and_has_its_futures(world: ClientWorld) -> None:
    for index in (0, 1):
        world.lead("t", index, -1, tell=False)
    with producer_in(world, buffer_bytes=1_000, max_block_ms=50) as producer:
        with pytest.raises(BufferFull) as full:
            producer.send_many("t", ((None, b"x" * 100) for _ in range(20)))
        handed = [future for future in full.value.handed if isinstance(future, SendFuture)]
        assert 0 < len(handed) == len(full.value.handed) < 20
        for index in (0, 1):
            world.lead("t", index, 1)
        assert {future.result(10).topic for future in handed} == {"t"}


def test_errors_have_types(world: ClientWorld) -> None:
    with producer_in(world, topic_timeout_ms=100) as producer:
        with pytest.raises(RecordTooLarge):
            producer.send("t", b"x" * (1 << 20)).result(5)
        with pytest.raises(UnknownTopic, match="no topic nope"):
            producer.send("nope", b"x").result(5)
        with pytest.raises(UnknownTopic, match="no partition 9"):
            producer.send("t", b"x", partition=9).result(5)
        with pytest.raises(TypeError, match="not int"):
            producer.send("t", 7)  # type: ignore[arg-type]


def test_nobody_answers(world: ClientWorld) -> None:
    world.down = {"b1", "b2", "b3"}
    with producer_in(world, topic_timeout_ms=100) as producer, pytest.raises(NoBrokers, match="nobody answers at b1"):
        producer.send("t", b"x").result(5)


def test_a_callback_is_told_before_and_after(world: ClientWorld) -> None:
    seen: list[int] = []
    with producer_in(world) as producer:
        future = producer.send("t", b"x", partition=0)
        future.add_done_callback(lambda done: seen.append(done.result(0).offset))
        future.result(5)
        future.add_done_callback(lambda done: seen.append(done.result(0).offset))
        producer.flush(5)
    assert seen == [0, 0]


def test_a_future_that_waits_too_long_says_so(world: ClientWorld) -> None:
    world.down = {"b1", "b2", "b3"}
    producer = producer_in(world)
    with pytest.raises(OperationTimeout):
        producer.send("t", b"x").result(0.01)
    producer.close(0)


def test_a_child_process_cannot_use_its_parents_client(world: ClientWorld) -> None:
    producer = producer_in(world)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with pytest.raises(ForkedClient, match="make a new one"):
                producer.send("t", b"x")
            producer.close()
            code = 0
        finally:
            os._exit(code)  # whatever happens, the child must not go on with the tests
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    producer.send("t", b"x")
    producer.close(0)


def consumer_in(world: ClientWorld, *args: object, **options: object) -> Consumer:
    return Consumer("x", *args, runtime=WorldRuntime(world), **options)  # type: ignore[arg-type]


def drain(consumer: Consumer, count: int) -> list[bytes | None]:
    values: list[bytes | None] = []
    for record in consumer:
        values.append(record.value)
        if len(values) == count:
            break
    return values


def test_a_consumer_reads_a_topic_from_the_beginning(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1", b"2"])
    world.append("t", [b"3"], 1)
    with consumer_in(world, "t") as consumer:
        assert sorted(filter(None, drain(consumer, 4))) == [b"0", b"1", b"2", b"3"]
        assert consumer.position("t", 0) == 3
        assert consumer.lag("t", 0) == 0
        assert consumer.end_offsets([("t", 0), ("t", 1)]) == {("t", 0): 3, ("t", 1): 1}
        assert consumer.beginning_offsets([("t", 0)]) == {("t", 0): 0}


def test_poll_takes_no_more_than_it_is_asked_for(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1", b"2"])
    with consumer_in(world, assignments=[("t", 0)], start=1) as consumer:
        assert [record.value for record in consumer.poll(5, 1)] == [b"1"]
        assert consumer.position("t", 0) == 2
        assert consumer.lag("t", 0) == 1
        assert [record.value for record in consumer.poll(5, 1)] == [b"2"]
        assert consumer.poll(0.02) == []


def test_latest_begins_with_what_comes(world: ClientWorld) -> None:
    world.append("t", [b"0"])
    with consumer_in(world, assignments=[("t", 0)], start="latest") as consumer:
        assert consumer.position("t", 0) == 1
        world.append("t", [b"1"])
        assert drain(consumer, 1) == [b"1"]


def test_seek_drops_what_was_fetched_before(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1", b"2"])
    with consumer_in(world, assignments=[("t", 0)]) as consumer:
        assert len(consumer.poll(5, 2)) == 2
        consumer.seek("t", 0, 1)
        assert drain(consumer, 2) == [b"1", b"2"]
        consumer.seek("t", 0, "earliest")
        assert drain(consumer, 3) == [b"0", b"1", b"2"]


def test_a_paused_partition_gives_nothing_until_it_is_resumed(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1"])
    with consumer_in(world, assignments=[("t", 0)]) as consumer:
        assert [record.value for record in consumer.poll(5, 1)] == [b"0"]
        consumer.pause(("t", 0))
        assert consumer.poll(0.1) == []
        consumer.resume(("t", 0))
        assert drain(consumer, 1) == [b"1"]


def test_a_position_that_is_gone_is_an_error_or_is_reset(world: ClientWorld) -> None:
    world.append("t", [b"0"])
    with consumer_in(world, assignments=[("t", 0)], start=7) as consumer:
        with pytest.raises(OffsetOutOfRange, match="seek, or choose reset"):
            consumer.poll(5)
        consumer.seek("t", 0, 0)
        assert drain(consumer, 1) == [b"0"]


def test_a_position_that_is_gone_is_reset_if_asked_for() -> None:
    other = ClientWorld()
    other.create("t")
    other.append("t", [b"0"])
    with consumer_in(other, assignments=[("t", 0)], start=7, reset="earliest") as consumer:
        assert drain(consumer, 1) == [b"0"]


def test_an_unknown_topic_is_an_error(world: ClientWorld) -> None:
    with consumer_in(world, "nope", topic_timeout_ms=50) as consumer, pytest.raises(UnknownTopic):
        consumer.poll(5)


def test_an_admin_creates_and_deletes_topics(world: ClientWorld) -> None:
    world.controller = 2
    with Admin("x", runtime=WorldRuntime(world)) as admin:
        made = admin.create_topic("new", partitions=3, timeout=5)
        assert world.topics["new"].id == made
        with pytest.raises(TopicExists):
            admin.create_topic("new", timeout=5)
        admin.delete_topic("new", timeout=5)
        with pytest.raises(UnknownTopic):
            admin.delete_topic("new", timeout=5)
        assert admin.describe_cluster(timeout=5).cluster_id == "c"


def test_an_admin_loses_answers_and_still_creates_one_topic() -> None:
    lossy = ClientWorld(seed=3, loss=0.4, double=0.3)
    with Admin("x", runtime=WorldRuntime(lossy)) as admin:
        made = admin.create_topic("new", partitions=1, timeout=20)
    assert lossy.topics["new"].id == made


def test_an_admin_says_that_nobody_answers(world: ClientWorld) -> None:
    world.down = {"b1", "b2", "b3"}
    with Admin("x", runtime=WorldRuntime(world)) as admin, pytest.raises(NoBrokers):
        admin.create_topic("new", timeout=0.1)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_records_go_compressed_and_come_back_as_they_were(world: ClientWorld, compression: str) -> None:
    values = [b"%d" % i + b"x" * 200 for i in range(100)]
    with producer_in(world, compression=compression, linger_ms=20) as producer:
        for value in values:
            producer.send("t", value, partition=0)
    [batch, *_] = world.topics["t"].logs[0]
    assert parse_header(batch).compression == COMPRESSIONS[compression]
    assert len(batch) < 4_000
    with consumer_in(world, assignments=[("t", 0)]) as consumer:
        assert drain(consumer, 100) == values


def test_what_compression_would_only_make_larger_goes_as_it_is(world: ClientWorld) -> None:
    with producer_in(world, compression="gzip") as producer:
        producer.send("t", os.urandom(100_000), partition=0).result(5)
    [batch] = world.topics["t"].logs[0]
    assert parse_header(batch).compression == NO_COMPRESSION


def test_a_compression_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="none, gzip, snappy, lz4, zstd"):
        Producer("x", compression="rar")


def test_what_a_callback_raises_is_logged_and_harms_nobody(
    world: ClientWorld, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(done: object) -> None:
        raise LookupError("a mistake of the application")

    with producer_in(world) as producer:
        future = producer.send("t", b"x", partition=0)
        future.add_done_callback(raising)
        producer.flush(5)
        future.add_done_callback(raising)
        assert producer.send("t", b"y", partition=0).result(5).offset == 1
    assert ["a mistake of the application" in str(log.exc_info) for log in caplog.records] == [True, True]


def test_an_interceptor_gets_what_failed_and_nothing_else(world: ClientWorld) -> None:
    heard: list[FailedRecord] = []
    with producer_in(world, topic_timeout_ms=50, on_error=heard.append) as producer:
        assert isinstance(producer.send("nope", "v", "k", headers={"h": b"1"}, partition=1).exception(5), UnknownTopic)
        done = producer.send("t", b"fine")
        done.result(5)
        assert done.kept is None
    [failed] = heard
    assert failed[:6] == ("nope", 1, b"k", b"v", (("h", b"1"),), -1)
    assert isinstance(failed.error, UnknownTopic)


def test_an_iteration_that_is_left_loses_nothing(world: ClientWorld) -> None:
    world.append("t", [b"%d" % i for i in range(5)])
    with consumer_in(world, assignments=[("t", 0)]) as consumer:
        assert drain(consumer, 2) == [b"0", b"1"]
        assert consumer.position("t", 0) == 2
        assert consumer.lag("t", 0) == 3
        assert drain(consumer, 1) == [b"2"]
        assert [record.value for record in consumer.poll(5)] == [b"3", b"4"]


def test_a_pause_counts_from_the_next_record_on(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1", b"2"])
    world.append("t", [b"a"], 1)
    with consumer_in(world, "t") as consumer:
        values = []
        for record in consumer:
            values.append(record.value)
            if record.value == b"0":
                consumer.pause(("t", 0))
            if {b"0", b"a"} <= {*values}:
                break
        assert not {b"1", b"2"} & {*values}
        assert consumer.poll(0.05) == []
        consumer.resume(("t", 0))
        assert drain(consumer, 2) == [b"1", b"2"]


def test_records_that_are_taken_are_not_lost_to_an_error_behind_them(world: ClientWorld) -> None:
    world.append("t", [b"0"])
    place_bomb(world)
    world.append("t", [b"2"])
    with consumer_in(world, assignments=[("t", 0)]) as consumer:
        consumer.end_offsets([("t", 0)])
        assert drain(consumer, 1) == [b"0"]
        assert consumer.position("t", 0) == 1
        with pytest.raises(CorruptRecord, match=r"offset 1: .*; seek to 2 "):
            consumer.poll(5)
        assert consumer.poll(0.05) == []
        consumer.seek("t", 0, 2)
        assert drain(consumer, 1) == [b"2"]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_a_batch_that_grows_beyond_the_cap_is_an_error_and_the_others_go_on(
    world: ClientWorld, compression: str
) -> None:
    place_bomb(world, compression)
    world.append("t", [b"after"])
    with consumer_in(world, assignments=[("t", 0)]) as consumer:
        with pytest.raises(CorruptRecord, match="16777216 bytes"):
            consumer.poll(5)
        consumer.seek("t", 0, 1)
        assert drain(consumer, 1) == [b"after"]


def place_bomb(world: ClientWorld, compression: str = "zstd") -> None:
    """Append a small batch of one huge record."""
    topic, record = world.topics["t"], Record(None, bytes(MAX_BATCH), (), 0)
    batch = encode_batch([record], compression=COMPRESSIONS[compression], base_offset=topic.ends[0])
    topic.logs[0].append(batch)
    topic.ends[0] += 1


def test_a_time_has_a_time_zone(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1"])
    with pytest.raises(ValueError, match="time zone"):
        Consumer("x", "t", start=datetime(2026, 1, 1), runtime=WorldRuntime(world))  # noqa: DTZ001 - what is refused
    with consumer_in(world, assignments=[("t", 0)], start=datetime(1970, 1, 1, tzinfo=UTC)) as consumer:
        assert drain(consumer, 1) == [b"0"]
        consumer.seek_to_time("t", 0, datetime(2100, 1, 1, tzinfo=UTC))
        assert consumer.position("t", 0) == 2
        with pytest.raises(ValueError, match="1970 or later"):
            consumer.seek_to_time("t", 0, -5)


def test_an_outcome_that_was_raised_does_not_hold_on_to_whoever_asked(world: ClientWorld) -> None:
    with producer_in(world, topic_timeout_ms=50) as producer:
        future = producer.send("nope", b"x")
        with pytest.raises(UnknownTopic) as raised:
            future.result(5)
        kept = future.exception(0)
    assert kept is not None
    assert kept.__traceback__ is None
    assert (str(kept), kept.code) == (str(raised.value), raised.value.code)
