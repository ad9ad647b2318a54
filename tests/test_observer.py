"""An observer sees what is so, whatever the network loses, and the numbers it is given are those of the replicas."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from cluster_world import NODES, Cluster

from barnabas.actors.chronicle import Chronicle, Noted
from barnabas.actors.kernel import Actor, Address, Event
from barnabas.actors.messages import Measured, ReplicaMeasure
from barnabas.actors.observer import Counted, Died, Fact, Led, ObserverActor, Pictured, Told
from barnabas.client.observer import Observer
from barnabas.cluster import Cluster as RealCluster
from barnabas.cluster.event_file import Happened, happened
from barnabas.cluster.world import Boot, Host, World
from barnabas.simulation.network import HostileNetwork, NetworkRates


class Watched(Cluster):
    """A cluster whose nodes have chronicles, and an observer `o`; `model` is what its facts add up to."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        for name in NODES:
            self._give_chronicle(self.world.hosts[name])
        self.facts: list[Fact] = []
        self.replicas: dict[tuple[str, int], ReplicaMeasure] = {}  # (endpoint, partition index)
        self.answers: list[Measured] = []
        self.lines: list[bytes] = []
        self.client("o", "observer", ObserverActor(NODES, self))

    def _give_chronicle(self, host: Host) -> None:
        factory = host.factory

        def with_chronicle(boot: Boot) -> dict[str, Actor]:
            return {**factory(boot), "events": Chronicle()}

        host.factory = with_chronicle

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        super().happened(world, host, actor, event)
        if host.name in NODES:
            line = msgspec.json.encode(happened(int(host.name[1:]), actor, event, world.now // 1000))
            world.at(0, lambda: host.node and world.tell(host.name, "events", Noted(line)))

    def fact(self, fact: Fact) -> None:
        self.facts.append(fact)
        if isinstance(fact, Counted):
            self.answers.append(fact.measured)
            for replica in fact.measured.replicas:
                self.replicas[fact.endpoint, replica.partition.index] = replica
        elif isinstance(fact, Told):
            self.lines += fact.lines

    def picture(self) -> Pictured:
        return [fact for fact in self.facts if isinstance(fact, Pictured)][-1]

    def truth(self) -> bool:
        """Whether the observer knows how things are at every living node."""
        for name in NODES:
            replica, seen = self.replica(name), self.replicas.get((name, 0))
            if replica is None:
                continue
            log = replica.log
            if seen is None or (seen.end, seen.hw, seen.durable) != (log.end, replica.hw, log.durable_end):
                return False
        [topic] = self.picture().picture.topics
        return f"b{topic.partitions[0].leader}" == self.leader()


def watched(seed: int = 1, rates: NetworkRates | None = None) -> Watched:
    cluster = Watched(seed)
    cluster.begin()
    if rates is not None:
        cluster.world.network = HostileNetwork(rates, cluster.world)
    cluster.world.start("o")
    cluster.until(lambda: any(isinstance(fact, Pictured) for fact in cluster.facts), 10_000)
    return cluster


def test_what_an_observer_is_told_is_how_it_is() -> None:
    cluster = watched()
    cluster.produced(5)
    cluster.until(cluster.truth, 1_000)
    leader = cluster.replicas[cluster.leader(), 0]
    assert (leader.leading, leader.end, leader.hw) == (True, 5, 5)
    replica = cluster.replica(cluster.leader())
    assert replica is not None
    assert leader.size == replica.log.size_bytes == leader.bytes_in


def test_what_has_not_moved_is_not_told_again() -> None:
    cluster = watched()
    cluster.produced(1)
    cluster.until(cluster.truth, 1_000)
    cluster.run(500)
    cluster.answers.clear()
    cluster.run(2_000)
    assert len(cluster.answers) >= 3 * 9
    assert [answer.replicas for answer in cluster.answers if answer.replicas] == []


def test_records_that_consumers_were_given_are_counted_by_their_offsets() -> None:
    cluster = watched()
    cluster.produced(7)
    cluster.read_all()
    cluster.run(500)
    leader = cluster.replicas[cluster.leader(), 0]
    assert leader.records_out == 7
    assert leader.bytes_out == leader.size


def test_a_new_leader_is_known_before_anybody_is_asked_and_the_picture_follows() -> None:
    cluster = watched()
    cluster.produced(1)
    cluster.facts.clear()
    before = cluster.leader()
    cluster.world.crash(before)
    cluster.until(lambda: any(isinstance(fact, Led) for fact in cluster.facts))
    committed = next(fact for fact in cluster.facts if isinstance(fact, Led))
    [leader] = committed.leaders.values()
    assert f"b{leader.broker}" != before
    took = cluster.until(cluster.truth)
    assert took <= 300, f"the picture came {took} ms after the leader"
    assert Died(cluster.facts[0].at, before) in cluster.facts


def test_a_node_that_comes_back_is_seen_again_and_its_numbers_begin_anew() -> None:
    cluster = watched()
    cluster.produced(3)
    [follower, _] = cluster.followers()
    cluster.world.crash(follower)
    cluster.run(1_000)
    cluster.world.start(follower)
    cluster.until(lambda: cluster.whole() and cluster.truth(), 10_000)
    assert cluster.replicas[follower, 0].bytes_in == 0, "this life has written nothing yet"


def test_every_event_is_told_once_and_in_order_also_across_a_crash() -> None:
    cluster = watched()
    [follower, _] = cluster.followers()
    cluster.world.crash(follower)
    cluster.run(2_000)
    cluster.world.start(follower)
    cluster.until(cluster.whole, 10_000)
    cluster.run(2_000)
    assert len(cluster.lines) == len(set(cluster.lines)) > 5
    for node in (1, 2, 3):
        told = [event for line in cluster.lines if (event := msgspec.json.decode(line, type=Happened)).node == node]
        assert [event.ms for event in told] == sorted(event.ms for event in told)
    sentences = [msgspec.json.decode(line, type=Happened).sentence for line in cluster.lines]
    assert f"{follower} was fenced" in sentences
    assert f"{follower} was unfenced" in sentences


@pytest.mark.parametrize("seed", range(4))
def test_an_observer_converges_to_the_truth_though_a_fifth_of_everything_is_lost_doubled_or_late(seed: int) -> None:
    rates = NetworkRates(stream=False, loss=0.2, duplicate=0.1, old_duplicate=0.02, broadcast_loss=0.3, mean_us=3_000)
    cluster = watched(seed, rates)
    chance = Random(seed)
    for _ in range(3):
        name = chance.choice(NODES)
        cluster.world.crash(name)
        cluster.run(chance.randrange(500, 4_000))
        cluster.world.start(name)
        cluster.produced(2, 60_000)
    network = cluster.world.network
    assert isinstance(network, HostileNetwork)
    assert network.lost > 100, "the network has done its worst"
    cluster.until(cluster.truth, 60_000)


def test_an_observer_of_a_real_cluster_sees_a_kill_and_the_way_back() -> None:
    with RealCluster(brokers=3, isolation="thread") as cluster:
        cluster.create_topic("orders", partitions=3)
        with Observer(cluster.bootstrap, measure_ms=50) as observer, cluster.producer() as producer:
            producer.send("orders", b"one").result(10)
            victim = cluster.leader("orders", 0)
            facts: list[Fact] = []

            def seen(kind: type[Fact], *words: bytes) -> bool:
                for _ in range(200):
                    facts.extend(observer.facts(0.1))
                    found = [fact for fact in facts if isinstance(fact, kind)]
                    told = b"".join(line for fact in found if isinstance(fact, Told) for line in fact.lines)
                    if found and all(word in told for word in words):
                        return True
                return False

            assert seen(Counted)
            assert seen(Told, b"topic 'orders' was created")
            facts.clear()
            cluster.kill(victim)
            assert seen(Died)
            assert seen(Led)
            assert seen(Told, b"b%d was fenced" % victim, b"after b%d in leader epoch 1" % victim)
            facts.clear()
            cluster.restart(victim)
            assert seen(Told, b"b%d was unfenced" % victim)
