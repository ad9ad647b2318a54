"""Deleting records on request: what the leader refuses, whom it waits for, and the whole way from an application.

The conversation itself is the script `delete_records`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster_world import Cluster as WorldCluster
from logs import ORDERS, P0, flush
from recording import Recording
from serving import ASKER, Serving

from barnabas import Cluster
from barnabas.actors.client_commands import Failure, RemoveRecords, Why
from barnabas.actors.delete_records import HIGH_WATERMARK, DeletionTimer, RecordDeletion
from barnabas.actors.deletions import Deletions
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Context, Incarnation, Millis
from barnabas.actors.leadership import Leaderships
from barnabas.actors.messages import (
    LATEST,
    DeletedPartition,
    DeletePartition,
    DeleteRecords,
    FetchPartition,
    RecordsDeleted,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerUnfenced,
    PartitionCreated,
    TopicCreated,
)
from barnabas.actors.offset_lookup import OffsetLookup
from barnabas.actors.replica import Replica
from barnabas.cli.main import main
from barnabas.client.errors import OffsetOutOfRange, Refused, UnknownTopic


class Bench(Serving):
    """A leader with two followers, and somebody who wants records deleted."""

    def __init__(self, words: str = "abcd", configs: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.image = MetadataImage()
        registered = [BrokerRegistered(b, Incarnation(b), f"d{b}", f"b{b}", "") for b in (1, 2, 3)]
        self.image.apply(registered, 0)
        self.image.apply([BrokerUnfenced(b, self.image.brokers[b].epoch) for b in (1, 2, 3)], 3)
        created = PartitionCreated(P0, [1, 2, 3], [1], 1)
        self.image.apply([TopicCreated(ORDERS, "orders", configs or {}), created], 6)
        self.moves: list[int] = []
        self.deletion = RecordDeletion(1, self.find, self.where, lambda: self.image, self.moved)

    def moved(self, replica: Replica, ctx: Context) -> None:
        self.moves.append(replica.log.start)

    def delete(self, offset: int) -> DeletedPartition | None:
        self.deletion.delete(ASKER, DeleteRecords(7, 1000, [DeletePartition(P0, 0, offset)]), self.ctx)
        return self.answer()

    def answer(self) -> DeletedPartition | None:
        told = self.ctx.take(RecordsDeleted)
        assert all(message.id == 7 for message in told)
        assert len(told) <= 1
        return told[0].partitions[0] if told else None

    def follower_has(self, broker: int, start: int) -> DeletedPartition | None:
        """A fetch of a follower says that its log begins there."""
        leading = self.replica.leading
        assert leading is not None
        leading.fetched(broker, 1, FetchPartition(P0, 0, 4, 0, 4, 4, start), Millis(0))
        self.deletion.progressed(self.replica, self.ctx)
        return self.answer()


def refusal(answer: DeletedPartition | None) -> ErrorCode:
    assert answer is not None
    return answer.error


def test_the_answer_waits_for_the_leaders_disk_and_for_every_follower_that_is_up() -> None:
    bench = Bench()
    assert bench.delete(3) is None
    assert bench.moves == [3]
    assert bench.follower_has(2, 3) is None
    assert bench.follower_has(3, 3) is None
    flush(bench.replica.log)
    bench.deletion.progressed(bench.replica, bench.ctx)
    assert bench.answer() == DeletedPartition(P0, ErrorCode.NONE, 3)
    assert not [timer for timer in bench.ctx.timers if isinstance(timer, DeletionTimer)]


def test_a_follower_that_is_fenced_is_not_waited_for() -> None:
    bench = Bench()
    bench.image.apply([BrokerFenced(3, bench.image.brokers[3].epoch)], 8)
    assert bench.delete(3) is None
    flush(bench.replica.log)
    assert bench.follower_has(2, 2) is None
    assert bench.follower_has(2, 3) == DeletedPartition(P0, ErrorCode.NONE, 3)


def test_everything_means_up_to_the_high_watermark() -> None:
    bench = Bench()
    bench.replica.hw = 3
    assert bench.delete(HIGH_WATERMARK) is None
    assert bench.replica.log.start == 3


@pytest.mark.parametrize("offset", [5, 4, -2])
def test_nothing_beyond_the_high_watermark_is_deleted(offset: int) -> None:
    bench = Bench()
    bench.replica.hw = 3
    assert refusal(bench.delete(offset)) is ErrorCode.OFFSET_OUT_OF_RANGE
    assert bench.moves == []


def test_records_of_a_compacted_topic_are_kept() -> None:
    assert refusal(Bench(configs={"cleanup.policy": "compact"}).delete(2)) is ErrorCode.POLICY_VIOLATION
    assert Bench(configs={"cleanup.policy": "compact,delete"}).delete(2) is None


def test_a_new_leader_that_does_not_know_its_high_watermark_is_asked_again() -> None:
    bench = Bench()
    bench.replica.hw = 0
    bench.replica.leading.start = 4  # type: ignore[union-attr]
    assert refusal(bench.delete(0)) is ErrorCode.OFFSET_NOT_AVAILABLE


def test_a_full_disk_is_said_to_be_one() -> None:
    bench = Bench()
    disk = bench.ctx.disk
    disk.full = disk.usage()  # type: ignore[attr-defined]
    assert refusal(bench.delete(2)) is ErrorCode.KAFKA_STORAGE_ERROR
    assert bench.replica.log.start == 0


def test_who_does_not_lead_says_who_does() -> None:
    bench = Bench()
    bench.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER
    answer = bench.delete(2)
    assert answer == DeletedPartition(P0, ErrorCode.NOT_LEADER_OR_FOLLOWER, leader=2, leader_epoch=7)


def test_whoever_waits_is_told_when_another_leads_or_when_it_takes_too_long() -> None:
    bench = Bench()
    bench.delete(2)
    bench.deletion.refuse(P0, bench.ctx)
    assert refusal(bench.answer()) is ErrorCode.NOT_LEADER_OR_FOLLOWER
    bench.delete(3)
    bench.deletion.on_timer(DeletionTimer(2), bench.ctx)
    answer = bench.answer()
    assert refusal(answer) is ErrorCode.REQUEST_TIMED_OUT
    assert "ask again" in answer.reason  # type: ignore[union-attr]
    assert bench.replica.log.start == 3


# --- From a client, in a world ---


class Deleting(WorldCluster):
    """A cluster whose admin deletes records."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self.starts: dict[int, int] | None = None

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        self.starts = starts

    def ask(self, offset: int, topic: str = "orders", partition: int = 0) -> None:
        self.starts = None
        self.world.tell("admin", "admin", RemoveRecords(token="x", topic=topic, offsets={partition: offset}))

    def begins(self) -> list[int]:
        return [replica.log.start for replica in map(self.replica, ("b1", "b2", "b3")) if replica is not None]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_replicas_begin_later_when_the_client_is_told(seed: int) -> None:
    cluster = Deleting(seed).begin()
    cluster.produced(10)
    cluster.ask(6)
    took = cluster.until(lambda: cluster.starts is not None)
    assert (cluster.starts, cluster.begins()) == ({0: 6}, [6, 6, 6])
    assert took < 500
    assert sorted(cluster.read_all().values()) == [6, 7, 8, 9]


def test_all_there_is_goes_although_more_is_written_meanwhile() -> None:
    cluster = Deleting().begin()
    cluster.produced(10)
    cluster.ask(LATEST)
    for _ in range(20):
        cluster.produced()
        if cluster.starts is not None:
            break
    cluster.until(lambda: cluster.starts is not None)
    assert cluster.starts is not None
    assert 10 <= cluster.starts[0] <= 12


def test_the_leader_dies_and_the_next_one_answers() -> None:
    cluster = Deleting().begin()
    cluster.produced(10)
    leader = cluster.leader()
    cluster.ask(6)
    cluster.run(1)
    cluster.world.crash(leader)
    cluster.until(lambda: cluster.starts is not None, 10_000)
    assert cluster.starts == {0: 6}
    assert cluster.begins() == [6, 6]
    cluster.world.start(leader)
    cluster.until(cluster.whole, 20_000)
    cluster.produced()
    cluster.until(lambda: cluster.begins() == [6, 6, 6])


def test_a_follower_that_is_paused_holds_the_answer_up_until_it_is_fenced() -> None:
    cluster = Deleting().begin()
    cluster.produced(10)
    paused = cluster.followers()[0]
    cluster.world.pause(paused, 60_000_000)
    cluster.ask(6)
    assert 2_000 < cluster.until(lambda: cluster.starts is not None, 20_000) < 15_000
    assert cluster.starts == {0: 6}


def test_what_cannot_be_deleted_is_refused_in_words() -> None:
    cluster = Deleting().begin()
    cluster.produced(10)
    for offset, topic, partition, why, sentence in (
        (11, "orders", 0, Why.REFUSED, "orders-0 has committed records up to 10, so they cannot be deleted up to 11"),
        (1, "orders", 3, Why.UNKNOWN_TOPIC, "orders has 1 partitions, there is no partition 3"),
        (1, "nothing", 0, Why.UNKNOWN_TOPIC, "there is no topic nothing: check its name"),
    ):
        cluster.failures.clear()
        cluster.ask(offset, topic, partition)
        cluster.until(lambda: bool(cluster.failures))
        assert [(failure.why, failure.sentence) for failure in cluster.failures] == [(why, sentence)]


# --- From an application, and from the command line ---


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3, isolation="thread") as made:
        made.create_topic("letters", partitions=2)
        made.create_topic("states", partitions=1, configs={"cleanup.policy": "compact"})
        with made.producer() as producer:
            for number in range(20):
                producer.send("letters", f"{number}", partition=number % 2)
        yield made


def test_an_application_deletes_records(cluster: Cluster) -> None:
    with cluster.admin() as admin:
        assert admin.delete_records("letters", {0: 4}) == {0: 4}
        assert admin.delete_records("letters", {0: 2, 1: None}) == {0: 4, 1: 10}
        with pytest.raises(OffsetOutOfRange):
            admin.delete_records("letters", {0: 11})
        with pytest.raises(Refused, match="compacted"):
            admin.delete_records("states", {0: None})
        with pytest.raises(UnknownTopic):
            admin.delete_records("letters", {2: 0})
        with pytest.raises(ValueError, match="0 or more"):
            admin.delete_records("letters", {0: -5})
    with cluster.consumer("letters", start="earliest") as consumer:
        assert consumer.beginning_offsets([("letters", 0), ("letters", 1)]) == {("letters", 0): 4, ("letters", 1): 10}
        assert [record.offset for record in consumer.poll(timeout=5.0)] == [4, 5, 6, 7, 8, 9]


def test_the_command_says_where_partitions_begin(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--bootstrap", cluster.bootstrap]
    assert main(["delete-records", "letters", "1:end", "0:5", *at]) == 0
    assert capsys.readouterr().out == "letters-0 begins at offset 5\nletters-1 begins at offset 10\n"
    assert main(["delete-records", "letters", "0:5", "--json", *at]) == 0
    assert capsys.readouterr().out == '{\n  "topic": "letters",\n  "begins": {\n    "0": 5\n  }\n}\n'


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["letters", "0"], 2, "`0` is not PARTITION:OFFSET, as in 0:1000, or 0:end for all there is."),
        (["letters", "0:1", "0:2"], 2, "partition 0 is named twice."),
        (["letters", "0:99"], 1, "letters-0 has committed records up to 10, so they cannot be deleted up to 99."),
        (["states", "0:end"], 1, "states-0 is compacted: it keeps the last record of every key, so its records cannot"
                                 " be deleted."),
        (["nobody", "0:1"], 1, "there is no topic nobody: check its name."),
    ],
)  # fmt: skip
def test_the_command_refuses_in_one_sentence(
    cluster: Cluster, words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["delete-records", *words, "--bootstrap", cluster.bootstrap]) == code
    assert capsys.readouterr().err == f"barnabas: {sentence}\n"


def test_a_failure_is_told_once_when_the_admin_is_closed() -> None:
    class Outlet:
        def __init__(self) -> None:
            self.failures: list[Failure] = []

        def deleted(self, token: object, starts: dict[int, int]) -> None:
            raise AssertionError("nobody has deleted anything")

        def failed(self, token: object, failure: Failure) -> None:
            self.failures.append(failure)

    outlet, ctx = Outlet(), Recording("admin/admin")
    leaderships = Leaderships(["b1"])
    deletions = Deletions(leaderships, OffsetLookup(leaderships, 1000), outlet)
    deletions.start(ctx)
    deletions.delete(RemoveRecords("x", "orders", {0: 3, 1: LATEST}), ctx)
    deletions.close(Failure(Why.CLOSED, "closed"))
    assert [failure.why for failure in outlet.failures] == [Why.CLOSED]
