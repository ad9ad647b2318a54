"""A record is seen at every place that it comes to, in an order that can be; and what is not seen is said."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cluster_world import NODES, Cluster

from barnabas import Cluster as RealCluster
from barnabas.actors.client_commands import Failure, Why
from barnabas.actors.messages import PartitionPicture, ReplicaMeasure
from barnabas.actors.tracer import Trace, TracerActor
from barnabas.cli.main import main
from barnabas.client.errors import Refused, UnknownTopic
from barnabas.client.tracer import Tracer


class Seen:
    """The tracer's outlet."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.failure: Failure | None = None
        self.measures: dict[int, ReplicaMeasure] = {}

    def began(self, picture: PartitionPicture) -> None:
        self.said.append("began")

    def asked(self, broker: int) -> None:
        """Not looked at."""

    def answered(self, broker: int, measure: ReplicaMeasure | None) -> None:
        if measure is not None:
            self.measures[broker] = measure

    def sent(self) -> None:
        self.said.append("sent")

    def acknowledged(self, offset: int) -> None:
        self.said.append("acknowledged")

    def consumed(self) -> None:
        self.said.append("consumed")

    def done(self) -> None:
        self.said.append("done")

    def failed(self, failure: Failure) -> None:
        self.failure = failure

    def closed(self) -> None:
        """Nobody asks for it."""


class Traced(Cluster):
    """A cluster with a tracer."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()
        self.client("t", "tracer", TracerActor(NODES, self.seen))

    @property
    def said(self) -> list[str]:
        return self.seen.said

    @property
    def failure(self) -> Failure | None:
        return self.seen.failure

    def trace(self, topic: str = "orders", partition: int = 0, timeout_ms: int = 3_000) -> None:
        self.world.start("t")
        self.world.tell("t", "tracer", Trace(topic, partition, b"a record", timeout_ms))
        self.until(lambda: "done" in self.said or self.failure is not None, 10_000)


@pytest.fixture
def cluster() -> Traced:
    made = Traced()
    made.begin()
    return made


def test_a_record_is_seen_at_every_replica_by_the_producer_and_by_a_consumer(cluster: Traced) -> None:
    cluster.trace()
    assert cluster.failure is None
    assert cluster.said[:2] == ["began", "sent"]
    assert sorted(cluster.said[2:]) == ["acknowledged", "consumed", "done"]
    assert cluster.said[-1] == "done"
    assert {broker: (seen.end, seen.durable, seen.hw) for broker, seen in cluster.seen.measures.items()} == {
        1: (1, 1, 1),
        2: (1, 1, 1),
        3: (1, 1, 1),
    }


def test_a_follower_that_is_dead_is_not_waited_for(cluster: Traced) -> None:
    [follower, _] = cluster.followers()
    cluster.world.crash(follower)
    cluster.until(lambda: int(follower[1:]) not in cluster.isr(cluster.leader()))
    cluster.trace()
    assert (cluster.failure, cluster.said[-1]) == (None, "done")
    assert int(follower[1:]) not in cluster.seen.measures


@pytest.mark.parametrize(
    ("topic", "partition", "said"),
    [("nothing", 0, "there is no partition nothing-0: create it first"), ("orders", 7, "it has partitions 0 to 0")],
)
def test_a_partition_that_does_not_exist_is_said_to_be_none(
    cluster: Traced, topic: str, partition: int, said: str
) -> None:
    cluster.trace(topic, partition)
    assert cluster.failure is not None
    assert cluster.failure.why is Why.UNKNOWN_TOPIC
    assert said in cluster.failure.sentence


def test_a_record_that_cannot_be_committed_is_told_after_the_time_that_was_given(cluster: Traced) -> None:
    for follower in cluster.followers():
        cluster.world.crash(follower)
    cluster.trace(timeout_ms=2_000)
    assert cluster.failure is not None
    assert cluster.failure.why in (Why.TIMED_OUT, Why.REFUSED)
    assert cluster.failure.sentence


@pytest.fixture(scope="module")
def real() -> Iterator[RealCluster]:
    with RealCluster(brokers=3, isolation="thread") as made:
        made.create_topic("orders", partitions=2)
        yield made


def test_the_times_of_a_real_record_are_in_an_order_that_can_be(real: RealCluster) -> None:
    with Tracer(real.bootstrap) as tracer:
        tracer.trace("orders", 1)
        way = tracer.trace("orders", 1, size=1000)
    assert (way.offset, way.bytes, way.leader) == (1, 1000, real.leader("orders", 1))
    at = {(step.what, step.broker): step for step in way.steps}
    assert len(at) == 3 + 3 * 3, "three steps of clients, and three at each of three replicas"
    told, acknowledged = at["sent", 0], at["acknowledged", 0]
    assert told.at_ms == 0 < acknowledged.at_ms
    for broker in way.isr:
        appended, durable = at["appended", broker], at["durable", broker]
        assert appended.after_ms <= appended.at_ms <= durable.at_ms
        assert appended.after_ms <= acknowledged.at_ms, "what is acknowledged was there before"
        assert durable.after_ms <= acknowledged.at_ms
    assert way.round_trip_ms > 0


def test_what_cannot_be_traced_is_an_error_with_a_sentence(real: RealCluster) -> None:
    with Tracer(real.bootstrap) as tracer, pytest.raises(UnknownTopic, match="create it first"):
        tracer.trace("nothing")
    with Tracer(real.bootstrap) as tracer, pytest.raises((UnknownTopic, Refused)):
        tracer.trace("orders", 9)


def test_the_command_tells_the_way_in_lines_or_as_json(real: RealCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "orders", "--bootstrap", real.bootstrap]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("record orders-0, offset ")
    assert "a producer sent it to b" in lines[1]
    assert sum("has it on disk" in line for line in lines) == 3
    assert main(["trace", "orders", "--bootstrap", real.bootstrap, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["steps"]) == 12
    assert main(["trace", "nothing", "--bootstrap", real.bootstrap]) == 1
    assert capsys.readouterr().err == "barnabas: there is no partition nothing-0: create it first.\n"
