"""Consumers in groups, against a cluster of threads: what they share, what they remember, and what they are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from barnabas import Admin, AsyncAdmin, AsyncConsumer, Cluster, Consumer
from barnabas.client import ConsumerRecord, TopicPartition
from barnabas.client.errors import GroupNotEmpty, NotAMember, Refused, UnknownGroup, UnknownTopic

NAMES = count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=1, isolation="thread") as running:
        yield running


@pytest.fixture
def group() -> str:
    return f"group-{next(NAMES)}"


@pytest.fixture
def topic(cluster: Cluster) -> str:
    """Four partitions of ten records each."""
    name = f"topic-{next(NAMES)}"
    cluster.create_topic(name, partitions=4)
    fill(cluster, name, range(10))
    return name


def fill(cluster: Cluster, topic: str, values: range) -> None:
    with cluster.producer() as producer:
        for value in values:
            for partition in range(4):
                producer.send(topic, f"{partition}:{value}", partition=partition)
        producer.flush()


def read(consumer: Consumer, wanted: int, seconds: float = 20.0) -> list[ConsumerRecord]:
    records: list[ConsumerRecord] = []
    end = time.monotonic() + seconds
    while len(records) < wanted and time.monotonic() < end:
        records += consumer.poll(0.2)
    return records


def until(condition: Callable[[], bool], *consumers: Consumer, seconds: float = 20.0) -> list[ConsumerRecord]:
    """Poll these in turn until something is so; what they read meanwhile."""
    records: list[ConsumerRecord] = []
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        for consumer in consumers:
            records += consumer.poll(0.05)
    return records


def test_one_member_gets_everything_and_a_second_one_half_of_it(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(topic, group=group) as one:
        assert len(read(one, 40)) == 40
        assert len(one.assignment()) == 4
        with cluster.consumer(topic, group=group) as two:
            until(lambda: len(one.assignment()) == len(two.assignment()) == 2, one, two)
            assert not {*one.assignment()} & {*two.assignment()}
            fill(cluster, topic, range(10, 12))
            records = until(lambda: one.lag(*one.assignment()[0]) == 0, one, two)
            records += read(one, 4 - len([r for r in records if (r.topic, r.partition) in one.assignment()]))
            records += read(two, 8 - len(records))
            assert sorted(record.value or b"" for record in records) == sorted(
                f"{partition}:{value}".encode() for partition in range(4) for value in (10, 11)
            ), "what was committed before the rebalance does not come again"
        until(lambda: len(one.assignment()) == 4, one)


def test_who_comes_later_goes_on_where_the_group_was(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(topic, group=group) as first:
        assert len(read(first, 40)) == 40
    fill(cluster, topic, range(10, 11))
    with cluster.consumer(topic, group=group) as second:
        assert sorted(record.value or b"" for record in read(second, 4)) == [f"{p}:10".encode() for p in range(4)]


def test_without_auto_commit_only_what_was_committed_counts(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(topic, group=group, auto_commit=False) as first:
        assert len(read(first, 40)) == 40
        first.commit({(topic, 0): 7, (topic, 1): 10})
        places = [(topic, index) for index in range(4)]
        assert [*first.committed(places).values()] == [7, 10, None, None]
    with cluster.consumer(topic, group=group, auto_commit=False) as second:
        offsets = sorted((record.partition, record.offset) for record in read(second, 23))
        assert offsets == [(0, o) for o in range(7, 10)] + [(p, o) for p in (2, 3) for o in range(10)]


def test_what_a_poll_gave_is_committed_by_the_next_one(cluster: Cluster, topic: str, group: str) -> None:
    consumer = cluster.consumer(topic, group=group, auto_commit_interval=0)
    with consumer:
        given = []
        while not given:
            given = consumer.poll(1.0, max_records=3)
        place = (topic, given[0].partition)
        assert consumer.committed([place])[TopicPartition(*place)] in {None, 0}, "what this poll gave is not done yet"
        consumer.poll(0.0, max_records=1)
        end = time.monotonic() + 10
        while consumer.committed([place]) != {place: given[-1].offset + 1}:
            assert time.monotonic() < end, consumer.committed([place])


def test_callbacks_tell_of_partitions_before_they_are_read_and_while_they_can_be_committed(
    cluster: Cluster, topic: str, group: str
) -> None:
    told: list[tuple[str, list[TopicPartition]]] = []
    consumer = cluster.consumer(
        topic,
        group=group,
        auto_commit=False,
        on_assigned=lambda places: told.append(("assigned", places)),
        on_revoked=lambda places: (told.append(("revoked", places)), consumer.commit())[0],
    )
    with consumer:
        assert len(read(consumer, 40)) == 40
        assert told == [("assigned", [TopicPartition(topic, index) for index in range(4)])]
        with cluster.consumer(topic, group=group, auto_commit=False) as other:
            until(lambda: len(other.assignment()) == 2, consumer, other)
            assert told[1] == ("revoked", other.assignment())
            assert [*consumer.committed(other.assignment()).values()] == [10, 10]
            assert other.poll(0.5) == []


def test_an_exception_of_a_callback_reaches_the_application_and_nothing_hangs(
    cluster: Cluster, topic: str, group: str
) -> None:
    def fails(places: list[TopicPartition]) -> None:
        raise ZeroDivisionError

    with cluster.consumer(topic, group=group, on_assigned=fails) as consumer:
        with pytest.raises(ZeroDivisionError):
            read(consumer, 1)
        assert len(read(consumer, 40)) == 40


def test_a_seek_holds_when_other_partitions_come_and_go(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(topic, group=group) as one:
        assert len(read(one, 40)) == 40
        with cluster.consumer(topic, group=group) as two:
            until(lambda: len(two.assignment()) == 2, one, two)
            kept = one.assignment()[0]
            one.seek(*kept, 8)
        until(lambda: len(one.assignment()) == 4, one)
        assert one.position(*kept) == 10
        fill(cluster, topic, range(10, 11))
        assert len(read(one, 4)) == 4


def test_a_pattern_reads_topics_that_come_later(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(pattern=f"{topic}.*", group=group) as consumer:
        assert len(read(consumer, 40)) == 40
        later = f"{topic}-later"
        cluster.create_topic(later, partitions=4)
        fill(cluster, later, range(1))
        assert len(read(consumer, 4)) == 4
        assert {place.topic for place in consumer.assignment()} == {topic, later}


def test_a_static_member_that_comes_back_gets_the_same_again(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(topic, group=group) as other:
        with cluster.consumer(topic, group=group, instance="x") as first:
            until(lambda: len(first.assignment()) == len(other.assignment()) == 2, other, first)
            had = first.assignment()
        with cluster.consumer(topic, group=group, instance="x") as again:
            until(lambda: again.assignment() == had, again, other)
            assert len(other.assignment()) == 2


def test_the_oldest_member_may_assign(cluster: Cluster, topic: str, group: str) -> None:
    with (
        cluster.consumer(topic, group=group, assignor="leader") as one,
        cluster.consumer(topic, group=group, assignor="leader") as two,
    ):
        until(lambda: len(one.assignment()) == len(two.assignment()) == 2, one, two)


def test_a_topic_that_is_missing_is_told_once_and_read_when_it_is_there(cluster: Cluster, group: str) -> None:
    name = f"topic-{next(NAMES)}"
    with cluster.consumer(name, group=group, topic_timeout_ms=300) as consumer:
        with pytest.raises(UnknownTopic, match=name):
            read(consumer, 1)
        cluster.create_topic(name, partitions=4)
        fill(cluster, name, range(1))
        assert len(read(consumer, 4)) == 4


def test_who_lost_its_partitions_cannot_commit_them(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(topic, group=group, auto_commit=False, max_poll_interval=0.3) as consumer:
        assert len(read(consumer, 40)) == 40
        with cluster.consumer(topic, group=group) as other:
            until(lambda: len(other.assignment()) == 4, other)
            with pytest.raises(NotAMember):
                consumer.commit({(topic, 0): 5})
        until(lambda: len(consumer.assignment()) == 4, consumer)


def test_what_is_refused_is_said_at_once(cluster: Cluster, topic: str, group: str) -> None:
    with cluster.consumer(topic) as alone, pytest.raises(ValueError, match="no group"):
        alone.commit()
    with pytest.raises(ValueError, match="assigns"):
        cluster.consumer(group=group, assignments=[(topic, 0)])
    with pytest.raises(ValueError, match="assignor"):
        cluster.consumer(topic, group=group, assignor="dice")
    with cluster.consumer(topic, group=group) as consumer, pytest.raises(ValueError, match="0 or more"):
        consumer.commit({(topic, 0): -1})


# --- From outside ---


def test_groups_are_listed_described_and_deleted(cluster: Cluster, topic: str, group: str) -> None:
    with Admin(cluster.bootstrap) as admin:
        with cluster.consumer(topic, group=group, client_id="till") as consumer:
            assert len(read(consumer, 40)) == 40
            consumer.commit()
            picture = admin.describe_group(group)
            assert (picture.state, [member.client_id for member in picture.members]) == ("Stable", ["till"])
            rows = admin.group_lags(group)
            assert [(row.committed, row.end, row.lag, row.client_id) for row in rows] == [(10, 10, 0, "till")] * 4
            with pytest.raises(GroupNotEmpty):
                admin.delete_group(group)
            with pytest.raises((GroupNotEmpty, NotAMember)):
                admin.reset_group(group, "earliest")
        assert group in [listed.group for listed in admin.list_groups(states=["Empty"])]
        admin.delete_group_offsets(group, [(topic, 0)])
        assert [place.partition for place in admin.group_offsets(group)] == [1, 2, 3]
        admin.delete_group(group)
        assert group not in [listed.group for listed in admin.list_groups()]
        for gone in (admin.describe_group, admin.delete_group):
            with pytest.raises(UnknownGroup, match=group):
                gone(group)


def test_a_group_is_reset_to_places_and_times(cluster: Cluster, topic: str, group: str) -> None:
    with Admin(cluster.bootstrap) as admin:
        with pytest.raises(UnknownGroup):
            admin.reset_group(group, "earliest")
        assert {*admin.reset_group(group, "latest", [topic]).values()} == {10}
        assert {*admin.reset_group(group, 3).values()} == {3}
        assert {*admin.reset_group(group, datetime.now(UTC) - timedelta(hours=1)).values()} == {0}
        assert {*admin.reset_group(group, datetime.now(UTC) + timedelta(hours=1)).values()} == {10}
        admin.set_group_offsets(group, {(topic, 2): 9})
        assert [*admin.group_offsets(group).values()] == [10, 10, 9, 10]
        with pytest.raises(UnknownTopic):
            admin.set_group_offsets(group, {("nowhere", 0): 1})
        with pytest.raises(ValueError, match="0 or more"):
            admin.set_group_offsets(group, {(topic, 0): -5})
        with pytest.raises(Refused, match="name"):
            admin.set_group_offsets("", {(topic, 0): 5})
    with cluster.consumer(topic, group=group) as consumer:
        assert [record.offset for record in read(consumer, 1)] == [9]


def test_an_asyncio_consumer_does_the_same(cluster: Cluster, topic: str, group: str) -> None:
    told: list[str] = []

    async def assigned(places: list[TopicPartition]) -> None:
        await asyncio.sleep(0)
        told.append("assigned")

    async def main() -> None:
        places = [(topic, index) for index in range(4)]
        async with AsyncConsumer(cluster.bootstrap, topic, group=group, on_assigned=assigned) as consumer:
            seen = 0
            async for _ in consumer:
                seen += 1
                if seen == 40:
                    break
            await consumer.commit()
            assert {*(await consumer.committed(places)).values()} == {10}
        async with AsyncAdmin(cluster.bootstrap) as admin:
            assert (await admin.describe_group(group)).state == "Empty"
            assert {*(await admin.reset_group(group, "earliest")).values()} == {0}
            assert [row.lag for row in await admin.group_lags(group)] == [10] * 4
            await admin.delete_group(group)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert told == ["assigned"]


def test_two_consumers_of_one_process_are_two_members(cluster: Cluster, topic: str, group: str) -> None:
    with Consumer(cluster.bootstrap, topic, group=group) as one, Consumer(cluster.bootstrap, topic, group=group) as two:
        until(lambda: len(one.assignment()) == len(two.assignment()) == 2, one, two)
        with Admin(cluster.bootstrap) as admin:
            assert len(admin.describe_group(group).members) == 2
