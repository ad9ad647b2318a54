"""Partitions move through real brokers and controllers, in a world where nothing goes wrong by itself."""

from __future__ import annotations

from typing import Self

import pytest
from cluster_world import Cluster

from barnabas.actors.admin_events import MoveCancelled, PartitionMoved
from barnabas.actors.admin_messages import ConfigChange, PartitionOutcome, PartitionTarget
from barnabas.actors.broker_configs import MOVE_RATE
from barnabas.actors.client_commands import Change, SendRecords
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Message
from barnabas.actors.messages import (
    AlterConfigs,
    CreatePartitions,
    CreateTopic,
    DrainBroker,
    ElectLeaders,
    Partition,
    PartitionsDone,
    Reassign,
)
from barnabas.actors.metadata_state import PartitionState
from barnabas.simulation.run import Options, Simulation
from barnabas.simulation.swarm import Shape
from barnabas.simulation.workloads.changes import ChangesWorkload
from barnabas.storage.records import Record


class Moving(Cluster):
    """Five brokers, of which the first three are controllers too and keep orders-0; whoever asks hears the answer."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed, shape=Shape(brokers=5))
        self.answers: list[Message] = []

    def begin(self) -> Self:
        self.machines.start()
        for name in ("admin", "p"):
            self.world.start(name)
        self.run(1_000)
        configs = {"min.insync.replicas": "2"}
        replicas = [[1, 2, 3]]
        self.tell(
            Change(
                *("make", "orders", lambda n, me: CreateTopic(n, me, "orders", configs=configs, assignments=replicas)),
                partitions=1,
            )
        )
        self.until(self.whole)
        return self

    def answered(self, token: object, answer: Message) -> None:
        self.answers.append(answer)

    def move(self, *replicas: int) -> None:
        """To these; to none: cancel."""
        target = PartitionTarget("orders", 0, list(replicas) or None)
        self.tell(Change("move", "orders", lambda n, me: Reassign(n, me, [target])))

    def tell(self, change: Change) -> None:
        before = len(self.answers)
        self.world.tell("admin", "admin", change)
        self.until(lambda: len(self.answers) > before)

    @property
    def state(self) -> PartitionState:
        """As the active controller has it."""
        node = self.world.hosts[self.active()].node
        assert node is not None
        image = node.actors["controller"].image  # type: ignore[attr-defined]
        topic = image.topic("orders")
        return image.partitions[Partition(topic.id, 0)]

    def moved(self, limit_ms: int = 10_000) -> None:
        self.until(lambda: self.active() != "nowhere" and not self.state.moving, limit_ms)

    def keepers(self) -> list[str]:
        """Who has a replica open."""
        return [name for name in self.machines.brokers if self.replica(name) is not None]


def test_a_partition_moves_under_traffic_and_nothing_is_lost_or_left_behind() -> None:
    cluster = Moving().begin()
    cluster.produced(20)
    cluster.move(4, 5, 2)
    for _ in range(10):
        cluster.produced(2)
    cluster.moved()
    assert (cluster.state.replicas, set(cluster.state.isr)) == ((4, 5, 2), {2, 4, 5})
    cluster.produced(10)
    cluster.run(500)
    assert cluster.keepers() == ["b2", "b4", "b5"]
    assert cluster.disk("b1").list("orders-0") == cluster.disk("b3").list("orders-0") == []
    read = cluster.read_all()
    assert cluster.acked == {value: read[value] for value in cluster.acked}
    assert cluster.failures == []


def test_who_has_everything_already_need_not_fetch_it_again_when_the_move_is_cancelled() -> None:
    cluster = Moving().begin()
    cluster.produced(5)
    cluster.world.crash("b5")
    cluster.move(4, 5, 1)
    cluster.until(lambda: 4 in cluster.state.isr)
    cluster.produced(5)
    cluster.move()
    assert cluster.state.replicas == (1, 2, 3) or set(cluster.state.replicas) == {1, 2, 3}
    assert not cluster.state.moving
    cluster.produced(5)
    cluster.run(500)
    assert "b4" not in cluster.keepers()
    assert cluster.told(MoveCancelled)


@pytest.mark.parametrize("victim", ["the leader", "a new one", "an old one", "the controller"])
def test_a_move_ends_although_somebody_dies_meanwhile(victim: str) -> None:
    cluster = Moving().begin()
    cluster.produced(20)
    cluster.move(4, 5, 2)
    names = {"the leader": cluster.leader(), "a new one": "b4", "an old one": "b3", "the controller": cluster.active()}
    name = names[victim]
    cluster.world.crash(name)
    cluster.produced(5)
    cluster.run(1_000)
    cluster.world.start(name)
    cluster.moved(30_000)
    assert cluster.state.replicas == (4, 5, 2)
    cluster.produced(5)
    read = cluster.read_all()
    assert cluster.acked == {value: read[value] for value in cluster.acked}
    assert len(cluster.told(PartitionMoved)) <= 1  # by the controller that decided it, if that lives


def test_a_replica_that_is_taken_away_and_given_back_at_once_proves_itself_anew() -> None:
    """KAFKA-15665, KIP-966 §6.5.4: what it had proved before it was taken away must not count."""
    cluster = Moving().begin()
    cluster.produced(5)
    cluster.move(*(n for n in (1, 2, 3) if f"b{n}" != cluster.followers()[0]))
    cluster.moved()
    cluster.produced(5)
    cluster.move(1, 2, 3)
    cluster.moved()
    cluster.until(cluster.whole, 10_000)
    cluster.run(500)
    assert len(cluster.logs()) == 1
    read = cluster.read_all()
    assert cluster.acked == {value: read[value] for value in cluster.acked}


def test_a_lower_min_insync_and_a_smaller_message_size_hold_at_the_brokers_at_once() -> None:
    cluster = Moving().begin()
    changes = [ConfigChange("min.insync.replicas", "set", "3"), ConfigChange("max.message.bytes", "set", "2000")]
    cluster.tell(Change("alter", "orders", lambda n, me: AlterConfigs(n, me, "topic", "orders", changes)))
    cluster.run(50)
    replicas = [replica for replica in map(cluster.replica, cluster.machines.brokers) if replica is not None]
    assert [(replica.min_insync, replica.max_message_bytes) for replica in replicas] == [(3, 2000)] * 3
    leader = cluster.replica(cluster.leader())
    assert leader is not None
    assert leader.leading is not None
    assert leader.leading.min_insync == 3


def test_a_topic_grows_and_its_new_partitions_have_leaders_when_that_is_said() -> None:
    cluster = Moving().begin()
    cluster.tell(Change("grow", "orders", lambda n, me: CreatePartitions(n, me, "orders", 4), partitions=4))
    cluster.run(100)
    led = [
        partition.index
        for name in cluster.machines.brokers
        if (broker := cluster.broker(name)) is not None
        for partition, replica in broker.replicas.items()
        if replica.leading is not None
    ]
    assert sorted(led) == [0, 1, 2, 3]


def test_the_preferred_leader_leads_again_when_it_is_asked_for() -> None:
    cluster = Moving().begin()
    first = cluster.leader()
    cluster.world.crash(first)
    cluster.produced(5)
    cluster.world.start(first)
    cluster.until(cluster.whole, 10_000)
    assert cluster.leader() != first
    cluster.tell(Change("elect", "orders", ElectLeaders))
    done = cluster.answers[-1]
    assert isinstance(done, PartitionsDone)
    assert [(outcome.topic, outcome.index) for outcome in done.outcomes] == [("orders", 0)]
    cluster.until(lambda: cluster.leader() == first)
    cluster.produced(5)
    assert cluster.failures == []


@pytest.mark.parametrize("rate", [None, 50_000])
def test_a_move_takes_as_long_as_its_rate_says(rate: int | None) -> None:
    cluster = Moving().begin()
    records = [Record(None, bytes(1_000)) for _ in range(200)]
    for part in range(0, 200, 20):
        cluster.world.tell("p", "producer", SendRecords("orders", records[part : part + 20], [f"big{part}"] * 20, 0))
        cluster.until(lambda part=part: f"big{part}" in cluster.acked)  # type: ignore[misc]
    if rate is not None:
        change = ConfigChange(MOVE_RATE, "set", str(rate))
        cluster.tell(Change("alter", "brokers", lambda n, me: AlterConfigs(n, me, "broker", "", [change])))
        cluster.run(100)
    cluster.move(4, 2, 3)
    took = cluster.until(lambda: not cluster.state.moving, 20_000)
    assert took < 1_000 if rate is None else 2_500 < took < 5_000  # 200 kB, of which one second's worth is free
    cluster.produced(5)
    assert cluster.failures == []


def test_a_broker_is_drained_and_its_partition_goes_on_elsewhere() -> None:
    cluster = Moving().begin()
    cluster.produced(5)
    leader = cluster.leader()
    number = int(leader[1:])
    cluster.tell(Change("drain", leader, lambda n, me: DrainBroker(n, me, number)))
    cluster.until(lambda: number not in cluster.state.replicas, 10_000)
    cluster.produced(5)
    cluster.run(500)
    assert leader not in cluster.keepers()
    read = cluster.read_all()
    assert cluster.acked == {value: read[value] for value in cluster.acked}
    assert cluster.failures == []


def test_draining_goes_on_under_the_next_controller() -> None:
    cluster = Moving().begin()
    cluster.produced(5)
    [number] = [n for n in (1, 2, 3) if f"b{n}" not in (cluster.active(), cluster.leader())][:1]
    asked = cluster.active()
    cluster.world.crash("b5")
    cluster.tell(Change("drain", "it", lambda n, me: DrainBroker(n, me, number)))
    cluster.world.crash(asked)
    cluster.until(lambda: cluster.active() not in ("nowhere", asked), 5_000)
    cluster.run(1_000)
    cluster.world.start(asked)
    cluster.until(lambda: cluster.active() != "nowhere" and number not in cluster.state.original, 30_000)
    cluster.produced(5)


def test_an_answer_that_comes_after_those_to_later_requests_does_not_say_where_a_partition_is() -> None:
    """Its first copy was lost. What was sent elsewhere since was held against the last answer (seed 2021)."""
    run = Simulation(1, Options(workloads=["changes"], figures={"changes": {"drains": False}}))
    run.start()
    changes = run.workloads["changes"]
    assert isinstance(changes, ChangesWorkload)
    tokens = []
    for number, replicas in enumerate(([1, 2], [2, 3]), 1):
        changes.change("move", lambda n, me: Reassign(n, me, []), targets=[PartitionTarget("t0", 0, replicas)])
        tokens.append(changes._asked[number])
    moved = PartitionsDone(1, ErrorCode.NONE, "", [PartitionOutcome("t0", 0, ErrorCode.NONE, "")], 1, 9)
    for token in reversed(tokens):
        changes.answered(token, moved)
    assert changes._intended == {("t0", 0): None}
