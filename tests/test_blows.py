"""What is done to nodes is done, is said, and can be undone; and a wiped controller does not vote again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from real_clusters import eventually

from barnabas import Cluster
from barnabas.client.errors import BarnabasError
from barnabas.cluster.blows import Arena, Blow
from barnabas.cluster.config import local
from barnabas.cluster.event_file import Tails
from barnabas.cluster.formatting import ClusterRefused
from barnabas.cluster.injection import Injection, inject, injected
from barnabas.storage.files import FileReader
from barnabas.storage.real import FREE_IS_TRUE_FOR
from barnabas.storage.verify import verify_data_dir


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes that may be hit in every way, and a topic with three replicas."""
    config = local(3)
    config = replace(config, cluster=replace(config.cluster, links="proxied", faults="allowed"))
    with Cluster(config=config, data=tmp_path_factory.mktemp("blows")) as made:
        made.create_topic("orders", partitions=3)
        with made.producer() as producer:
            for number in range(30):
                producer.send("orders", b"x" * 500, partition=number % 3).result(10)
        yield made


@pytest.fixture
def arena(cluster: Cluster) -> Iterator[Arena]:
    made = Arena(cluster.formatted, start=lambda nodes: cluster.restart(*nodes))
    yield made
    made.heal()
    cluster.await_isr("orders")


def follower(cluster: Cluster) -> int:
    """A node that does not lead orders-0."""
    return next(node for node in cluster.nodes if node != cluster.leader("orders", 0))


def told(cluster: Cluster, *words: str) -> Callable[[], bool]:
    """Whether an event says all of these."""
    config = cluster.formatted.config
    tails = Tails({node.id: config.data_of(node) for node in config.nodes})
    return lambda: any(all(word in f"{event.sentence}: {event.cause}" for word in words) for event in tails.poll())


def directory(cluster: Cluster, node: int) -> Path:
    config = cluster.formatted.config
    return config.data_of(config.node(node))


def test_a_node_is_killed_and_started_again(cluster: Cluster, arena: Arena) -> None:
    node = follower(cluster)
    assert arena.strike(Blow("kill", node)).startswith(f"node {node} was killed (kill -9 of process ")
    assert node not in arena.alive()
    with pytest.raises(ClusterRefused, match=f"node {node} is not running"):
        arena.strike(Blow("stop", node))
    assert arena.undo(Blow("kill", node)) == f"node {node} was started again"
    assert node in arena.alive()


def test_a_node_is_stopped_and_goes_on(cluster: Cluster, arena: Arena) -> None:
    node = follower(cluster)
    arena.strike(Blow("stop", node))
    assert eventually(lambda: arena.alive()[node].state() == "paused")
    assert arena.undo(Blow("stop", node)) == f"node {node} goes on"
    assert eventually(lambda: arena.alive()[node].state() == "running")


def test_healing_undoes_whatever_was_done(cluster: Cluster, arena: Arena) -> None:
    one, two = [node for node in cluster.nodes if node != cluster.controller()]
    arena.strike(Blow("stop", one))
    arena.strike(Blow("kill", two))
    arena.strike(Blow("isolate", one))
    arena.strike(Blow("clock", one, offset_ms=5000))
    done = arena.heal()
    assert done == [
        f"node {one} goes on",
        "all links were healed",
        f"node {one} was told to behave as it is",
        f"node {two} was started again",
    ]
    assert arena.heal() == []


def test_a_node_that_is_not_heard_leaves_the_isr_and_comes_back(cluster: Cluster, arena: Arena) -> None:
    node = follower(cluster)
    blow = Blow("cut", node, both=True)
    assert arena.strike(blow) == f"node {node} is not heard by the others, nor does it hear them"
    assert eventually(lambda: node not in cluster.isr("orders", 0), 15)
    arena.undo(blow)
    assert eventually(lambda: node in cluster.isr("orders", 0), 15)


def test_a_disk_that_is_nearly_full_takes_no_records_until_there_is_room_and_ends_nobody(
    cluster: Cluster, arena: Arena
) -> None:
    leader = cluster.leader("orders", 0)
    blow = Blow("fill-disk", leader, left_bytes=50_000_000)
    arena.strike(blow)
    assert eventually(told(cluster, f"node {leader} was told: its disk has 50000000 bytes left"))
    time.sleep(FREE_IS_TRUE_FOR)
    with cluster.producer() as producer:
        future = producer.send("orders", b"x", partition=0)
        with pytest.raises((BarnabasError, TimeoutError)):
            future.result(2.0)
        arena.undo(blow)
        assert future.result(10).partition == 0
    assert (leader in arena.alive(), cluster.leader("orders", 0)) == (True, leader)


def test_a_controller_without_a_byte_left_for_its_log_ends_and_others_go_on(cluster: Cluster, arena: Arena) -> None:
    leader = cluster.leader("orders", 0)
    arena.strike(Blow("fill-disk", leader))
    with cluster.producer() as producer:
        for _ in range(10):
            producer.send("orders", b"x", partition=0).result(20)
    if leader not in arena.alive():  # it had something to write
        assert "No space left on device" in (directory(cluster, leader) / "node.log").read_text()


def test_a_flush_that_fails_ends_the_node_and_its_writes_are_acknowledged_by_others(
    cluster: Cluster, arena: Arena
) -> None:
    leader = cluster.leader("orders", 0)
    blow = Blow("fail-disk", leader)
    arena.strike(blow)
    with cluster.producer() as producer:
        producer.send("orders", b"x", partition=0).result(20)
    assert eventually(lambda: leader not in arena.alive())
    assert "flush" in (directory(cluster, leader) / "node.log").read_text()
    arena.undo(blow)
    assert leader in arena.alive()


def test_a_clock_that_jumps_is_told_and_no_reason_to_elect_anybody(cluster: Cluster, arena: Arena) -> None:
    leader, controller = cluster.leader("orders", 0), cluster.controller()
    arena.strike(Blow("clock", leader, offset_ms=-3_600_000))
    assert eventually(told(cluster, f"node {leader} was told: its clock is 3600000 ms slow"))
    with cluster.producer() as producer:
        for _ in range(20):
            producer.send("orders", b"x", partition=0).result(10)
    assert (cluster.leader("orders", 0), cluster.controller()) == (leader, controller)


def test_bits_that_were_flipped_are_found(cluster: Cluster, arena: Arena) -> None:
    node = follower(cluster)
    said = arena.strike(Blow("corrupt", node, partition="orders-0", seed=3))
    assert said.startswith("two bits of orders-0/00000000000000000000.log of node")
    findings = verify_data_dir(FileReader(directory(cluster, node)))
    assert any("orders-0" in finding.sentence for finding in findings)
    arena.strike(Blow("corrupt", node, partition="orders-0", seed=3))  # the same bits again
    assert verify_data_dir(FileReader(directory(cluster, node))) == []


def test_a_controller_whose_disk_was_replaced_is_not_started_since_it_may_vote_twice(
    cluster: Cluster, arena: Arena
) -> None:
    node = follower(cluster)
    kept = directory(cluster, node).with_name("kept")
    arena.strike(Blow("kill", node))
    directory(cluster, node).rename(kept)
    directory(cluster, node).mkdir()
    with pytest.raises(ClusterRefused, match="is empty, but this controller has voted before"):
        arena.undo(Blow("kill", node))
    for path in directory(cluster, node).iterdir():
        path.unlink()
    directory(cluster, node).rmdir()
    kept.rename(directory(cluster, node))
    arena.undo(Blow("kill", node))


def test_a_broker_whose_disk_was_replaced_fetches_everything_again_under_a_new_identity(tmp_path: Path) -> None:
    config = local(4)
    nodes = tuple(replace(node, actors=("broker",)) if node.id == 4 else node for node in config.nodes)
    with Cluster(config=replace(config, nodes=nodes), data=tmp_path) as cluster:
        cluster.create_topic("orders", partitions=4, replication=4)
        with cluster.producer() as producer:
            for number in range(40):
                producer.send("orders", b"x" * 100, partition=number % 4).result(10)
        identity = directory(cluster, 4) / "meta.properties"
        before = identity.read_text()
        arena = Arena(cluster.formatted, start=lambda nodes: cluster.restart(*nodes))
        arena.strike(Blow("wipe", 4))
        assert not identity.exists()
        arena.undo(Blow("wipe", 4))
        cluster.await_isr("orders")
        assert identity.read_text() != before
        size = (directory(cluster, 4) / "orders-0" / f"{0:020d}.log").stat().st_size
        assert size == (directory(cluster, 1) / "orders-0" / f"{0:020d}.log").stat().st_size


def test_a_bridge_is_undone_where_it_was_made_between_the_others(arena: Arena) -> None:
    blow = Blow("bridge", 1)
    assert arena.strike(blow) == "only node 1 still hears both [2] and [3]"
    assert arena.undo(blow) == "the links of all but node 1 were healed"
    assert arena.heal() == []


def test_an_election_by_hand_is_asked_for_and_a_refusal_is_told(cluster: Cluster) -> None:
    asked: list[tuple[str, int, int]] = []

    def elect(topic: str, index: int, node: int) -> str:
        asked.append((topic, index, node))
        return "b2 leads it" if len(asked) > 1 else ""

    arena = Arena(cluster.formatted, lambda nodes: None, elect)
    blow = Blow("elect-unclean", 2, partition="my-orders-1")
    assert arena.strike(blow) == "node 2 was made leader of my-orders-1, whatever it lacks"
    assert asked == [("my-orders", 1, 2)]
    with pytest.raises(ClusterRefused, match="b2 leads it"):
        arena.strike(blow)
    with pytest.raises(ClusterRefused, match="nobody here"):
        Arena(cluster.formatted, lambda nodes: None).strike(blow)


def test_a_cluster_that_does_not_allow_it_is_not_told_to_fail(tmp_path: Path) -> None:
    with Cluster(brokers=1, data=tmp_path) as cluster:
        arena = Arena(cluster.formatted, start=lambda nodes: cluster.restart(*nodes))
        with pytest.raises(ClusterRefused, match='`faults = "allowed"`'):
            arena.strike(Blow("fill-disk", 1))
        with pytest.raises(ClusterRefused, match='`links = "proxied"`'):
            arena.strike(Blow("isolate", 1))
        assert injected(directory(cluster, 1)) == Injection()
        with pytest.raises(ClusterRefused):
            inject(cluster.formatted, 1, Injection(room_bytes=1))
