"""A broker that is heard and does not hear gives its place to others, and has it again when it hears."""

from __future__ import annotations

import pytest
from cluster_world import NODES, Cluster

from barnabas.actors.events import BrokerFencedEvent, BrokerUnfencedEvent
from barnabas.actors.hearing import Hearing
from barnabas.actors.kernel import Incarnation, Millis
from barnabas.actors.messages import BrokerHeartbeat
from barnabas.simulation.network import HostileNetwork, NetworkRates


def beat(sequence: int, answered: int, life: int = 1) -> BrokerHeartbeat:
    return BrokerHeartbeat(sequence, 1, 5, Incarnation(life), 9, False, answered)


def test_a_broker_that_tells_of_answers_hears() -> None:
    hearing = Hearing(1_000)
    for number in range(1, 40):
        assert not hearing.deaf(beat(number, number - 1), Millis(250 * number))


def test_a_broker_that_tells_of_no_answer_for_longer_than_patience_is_deaf_until_it_does() -> None:
    hearing = Hearing(1_000)
    told = [hearing.deaf(beat(number, min(2, number - 1)), Millis(250 * number)) for number in range(1, 10)]
    assert told == [False] * 7 + [True] * 2, "the answer to heartbeat 3, at 750 ms, was not heard by 1,750 ms"
    assert hearing.hears_nothing(1)
    assert not hearing.deaf(beat(10, 9), Millis(2_500))
    assert not hearing.hears_nothing(1)


def test_a_new_life_and_a_new_controller_begin_with_trust() -> None:
    hearing = Hearing(1_000)
    hearing.deaf(beat(1, 0), Millis(0))
    assert hearing.deaf(beat(9, 0), Millis(2_000))
    assert not hearing.deaf(beat(1, 0, life=2), Millis(2_000))
    assert not Hearing(1_000).deaf(beat(9, 0), Millis(2_000))


def test_a_broker_of_an_earlier_version_does_not_tell_and_is_believed() -> None:
    hearing = Hearing(1_000)
    assert not any(hearing.deaf(beat(number, -1), Millis(1_000 * number)) for number in range(9))


def cut(cluster: Cluster, *ways: tuple[str, str]) -> HostileNetwork:
    network = cluster.world.network
    if not isinstance(network, HostileNetwork):
        network = cluster.world.network = HostileNetwork(NetworkRates(stream=False), cluster.world)
    network.cut(ways, cluster.world.now + 60_000_000)
    return network


@pytest.mark.parametrize("controller", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_leader_that_does_not_hear_is_replaced_in_time_and_comes_back_when_it_hears(
    seed: int, controller: bool
) -> None:
    cluster = Cluster(seed).begin()
    cluster.produced(3)
    if (cluster.leader() == cluster.active()) != controller:
        cluster.lead_from(cluster.active() if controller else next(n for n in NODES if n != cluster.active()))
    leader = cluster.leader()
    network = cut(cluster, *((other, leader) for other in NODES if other != leader))
    took = cluster.until(lambda: cluster.leader() != leader, 10_000)
    assert took <= 5_000
    cluster.produced(3, 10_000)
    cluster.run(10_000)
    came = [event for event in cluster.told(BrokerUnfencedEvent) if getattr(event, "broker", 0) == int(leader[1:])]
    gone = [event for event in cluster.told(BrokerFencedEvent) if getattr(event, "broker", 0) == int(leader[1:])]
    assert len(gone) <= 2, "it is not taken back and fenced again and again while it does not hear"
    network.mend()
    cluster.until(lambda: int(leader[1:]) in cluster.isr(cluster.leader()), 20_000)
    after = [event for event in cluster.told(BrokerUnfencedEvent) if getattr(event, "broker", 0) == int(leader[1:])]
    assert len(after) > len(came)
    cluster.produced(3)
