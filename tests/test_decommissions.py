"""A broker is drained, whoever dies meanwhile, and removed when it keeps nothing."""

from __future__ import annotations

import pytest
from administered import CLIENT, Administered
from recording import Recording
from test_configs import changes

from barnabas.actors.admin_messages import PartitionTarget
from barnabas.actors.chores import Chores, ChoreTimer, balance
from barnabas.actors.decommissions import MOVES_AT_ONCE, drain_on, is_draining
from barnabas.actors.errors import ErrorCode
from barnabas.actors.messages import (
    AlterConfigs,
    CreateTopic,
    DrainBroker,
    Reassign,
    RemoveBroker,
)
from barnabas.actors.metadata import MetadataImage


class Scene(Administered):
    """Four brokers; orders has 12 partitions with three replicas."""

    def __init__(self, brokers: int = 4, partitions: int = 12) -> None:
        super().__init__(brokers)
        self.done(CreateTopic(1, CLIENT, "orders", partitions))
        self.requests = 1

    def drain(self, broker: int, *, cancel: bool = False) -> tuple[ErrorCode, str]:
        self.requests += 1
        done = self.done(DrainBroker(self.requests, CLIENT, broker, cancel))
        return done.error, done.reason

    def remove(self, broker: int) -> tuple[ErrorCode, str]:
        self.requests += 1
        done = self.done(RemoveBroker(self.requests, CLIENT, broker))
        return done.error, done.reason

    def go_on(self) -> int:
        """One look of the controller; how many partitions began to move."""
        records = drain_on(self.image).records
        self.image.apply(records, self.image.end)
        self.check()
        return len(records)

    def arrive(self) -> None:
        """Everybody who was being added has caught up."""
        for partition, state in sorted(self.image.partitions.items()):
            if state.moving and state.leader != -1:
                up = [broker for broker in state.replicas if self.image.may_lead(broker)]
                self.in_sync("orders", *up, index=partition.index)

    def kept_by(self, broker: int) -> int:
        return sum(broker in state.replicas for state in self.image.partitions.values())


def test_what_a_broker_has_moves_away_and_nothing_else_does() -> None:
    scene = Scene()
    had = scene.kept_by(1)
    before = {partition: state.replicas for partition, state in scene.image.partitions.items()}
    assert scene.drain(1)[0] is ErrorCode.NONE
    assert scene.go_on() == had
    assert scene.go_on() == 0
    scene.arrive()
    assert scene.kept_by(1) == 0
    for partition, state in scene.image.partitions.items():
        assert set(before[partition]) - set(state.replicas) <= {1}
        assert len(state.replicas) == 3
    assert not is_draining(scene.image)


def test_only_some_move_at_once() -> None:
    scene = Scene(partitions=100)
    had = scene.kept_by(1)
    scene.drain(1)
    assert scene.go_on() == MOVES_AT_ONCE < had
    assert scene.go_on() == 0
    scene.arrive()
    assert scene.go_on() == had - MOVES_AT_ONCE


def test_a_broker_that_goes_gets_nothing_new() -> None:
    scene = Scene()
    scene.drain(1)
    scene.done(CreateTopic(50, CLIENT, "more", 6))
    assert all(1 not in scene.state("more", index).replicas for index in range(6))
    refused = scene.done(CreateTopic(51, CLIENT, "too-much", 1, 4))
    assert "3 brokers are registered, beside 1 being decommissioned" in refused.reason
    [(error, reason)] = scene.outcomes(Reassign(52, CLIENT, [PartitionTarget("more", 0, [1, 2, 3])]))
    assert (error, reason) == (
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
        "b1 is being decommissioned: it gets nothing new.",
    )


def test_it_is_refused_in_words_when_too_few_would_be_left() -> None:
    scene = Scene(brokers=3)
    error, reason = scene.drain(1)
    assert error is ErrorCode.POLICY_VIOLATION
    assert "b1 cannot be decommissioned: orders-0 has 3 replicas, and only b2 and b3 are up and staying" in reason
    scene = Scene(brokers=4)
    scene.fence(4)
    assert "only b2 and b3 are up" in scene.drain(1)[1]
    assert "b7 is not registered: there are b1, b2, b3, b4" in scene.drain(7)[1]
    assert "nothing to cancel" in scene.drain(1, cancel=True)[1]


def test_a_second_one_may_go_only_if_enough_stay() -> None:
    scene = Scene(brokers=5)
    scene.drain(1)
    assert scene.drain(2)[0] is ErrorCode.NONE
    assert "only b4 and b5 are up and staying" in scene.drain(3)[1]


def test_a_broker_that_is_dead_is_drained_from_the_others() -> None:
    scene = Scene()
    scene.fence(1)
    assert scene.drain(1)[0] is ErrorCode.NONE
    scene.go_on()
    scene.arrive()
    assert scene.kept_by(1) == 0


def test_a_member_that_is_only_down_keeps_its_place() -> None:
    scene = Scene(brokers=5)
    before = {partition: state.replicas for partition, state in scene.image.partitions.items()}
    scene.drain(1)
    scene.fence(2)
    scene.go_on()
    for partition, state in scene.image.partitions.items():
        assert not {2, *state.adding} & (set(before[partition]) - {1, *state.replicas})
        assert 2 not in state.adding
        assert (2 in before[partition]) == (2 in (state.target or state.replicas))


def test_when_a_new_one_dies_another_takes_its_place() -> None:
    scene = Scene(brokers=5)
    scene.drain(1)
    scene.go_on()
    victim = next(state.adding[0] for state in scene.image.partitions.values() if state.moving)
    scene.fence(victim)
    assert scene.go_on() > 0
    assert all(victim not in state.adding for state in scene.image.partitions.values())
    scene.unfence(victim)  # elsewhere it was a replica before, and must be in sync there
    scene.arrive()
    assert scene.kept_by(1) == 0


def test_cancelled_it_stays_and_what_moves_arrives() -> None:
    scene = Scene()
    scene.drain(1)
    scene.go_on()
    assert scene.drain(1, cancel=True)[0] is ErrorCode.NONE
    assert scene.go_on() == 0
    scene.done(CreateTopic(50, CLIENT, "more", 6))
    assert any(1 in scene.state("more", index).replicas for index in range(6))


def test_a_broker_is_removed_when_it_keeps_nothing_and_does_not_run() -> None:
    scene = Scene()
    assert "keeps replicas of orders-" in scene.remove(1)[1]
    scene.drain(1)
    scene.go_on()
    scene.arrive()
    assert "is running: stop it first" in scene.remove(1)[1]
    scene.fence(1)
    assert scene.remove(1)[0] is ErrorCode.NONE
    assert sorted(scene.image.brokers) == [2, 3, 4]
    assert MetadataImage.from_snapshot(scene.image.to_snapshot()).state_hash() == scene.image.state_hash()
    assert scene.image.removed[1].id == 1
    scene.join(1, life=1)
    assert (scene.image.brokers[1].draining, scene.image.removed) == (False, {})


# --- Leaders


def test_leaders_are_put_back_where_too_many_are_away() -> None:
    scene = Scene(brokers=3)
    scene.fence(1)
    assert balance(scene.image).records == []
    scene.unfence(1)
    for partition, state in sorted(scene.image.partitions.items()):
        scene.in_sync("orders", *state.isr, 1, index=partition.index)
    records = balance(scene.image).records
    assert len(records) == 4
    scene.image.apply(records, scene.image.end)
    scene.check()
    assert all(state.leader == state.replicas[0] for state in scene.image.partitions.values())
    assert balance(scene.image).records == []


@pytest.mark.parametrize(("seconds", "enabled"), [(5, "true"), (5, "false")])
def test_leaders_are_looked_after_every_so_often_unless_that_is_switched_off(seconds: int, enabled: str) -> None:
    scene, ctx = Scene(brokers=3), Recording()
    configs = changes(
        f"set leader.imbalance.check.interval.seconds {seconds}", f"set auto.leader.rebalance.enable {enabled}"
    )
    scene.done(AlterConfigs(90, CLIENT, "broker", "", configs))
    chores = Chores(scene.image)
    assert chores.look(ctx) == []
    looked = 0
    for _ in range(20):
        ctx.sleep(1_000)
        assert ChoreTimer() in ctx.timers
        looked += len(chores.look(ctx))
    assert looked == 0 if enabled == "false" else 2 <= looked <= 5
