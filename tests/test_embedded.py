"""A cluster in this process: what is done to its nodes, what is not possible, and that nothing is left of it.

Nodes are real but for being threads: sockets, ports, files. So these tests wait for real elections and sessions.
"""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import eventually

from barnabas import Cluster
from barnabas.cluster.config import parse
from barnabas.cluster.cuts import Cuts
from barnabas.cluster.event_file import Tails
from barnabas.cluster.formatting import ClusterRefused
from barnabas.cluster.hosting import NotPossible

IMPATIENT = """
[timing]
broker_heartbeat_ms = 100
broker_session_ms = 1000
[[node]]
id = 1
[[node]]
id = 2
[[node]]
id = 3
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Three brokers, and proof that they leave neither threads nor descriptors nor files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    with Cluster(config=parse(IMPATIENT), isolation="thread") as running:
        yield running
    assert eventually(lambda: set(threading.enumerate()) <= threads), set(threading.enumerate()) - threads
    assert eventually(lambda: open_descriptors() <= descriptors)
    assert list(tmp_path.iterdir()) == []


def open_descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def values(cluster: Cluster, topic: str, count: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    with cluster.consumer(topic) as consumer:

        def enough() -> bool:
            found.extend(record.value for record in consumer.poll(0.5))
            return len(found) >= count

        assert eventually(enough)
    return found


def test_a_killed_leader_comes_back_on_its_port_with_its_data(cluster: Cluster) -> None:
    cluster.create_topic("orders")
    bootstrap = cluster.bootstrap
    with cluster.producer() as producer:
        producer.send("orders", b"before").result(20)
        leader = cluster.leader("orders", 0)
        cluster.kill(leader)
        assert leader not in cluster.alive()
        with pytest.raises(ClusterRefused, match=rf"node {leader} is not running: start it again with restart"):
            cluster.kill(leader)
        producer.send("orders", b"meanwhile").result(20)
        assert cluster.leader("orders", 0) != leader
        cluster.restart(leader)
        cluster.await_isr("orders")
        for node in cluster.nodes:
            cluster.kill(node)
        assert cluster.alive() == []
        cluster.restart(*cluster.nodes)
        assert (cluster.alive(), cluster.bootstrap) == ([1, 2, 3], bootstrap)
        producer.send("orders", b"after").result(20)
    assert values(cluster, "orders", 3) == [b"before", b"meanwhile", b"after"]


def test_a_leader_that_is_cut_off_is_replaced_and_comes_back_as_a_follower(cluster: Cluster) -> None:
    cluster.create_topic("orders")
    leader = cluster.leader("orders", 0)
    cluster.isolate(leader)
    with cluster.producer() as producer:
        producer.send("orders", b"while cut off").result(30)
    directories = {node: cluster.directory / f"node-{node}" for node in cluster.nodes}
    told = [event.sentence for event in Tails(directories).poll()]
    assert f"b{leader} was fenced" in told, told
    cluster.heal(leader)
    cluster.await_isr("orders")
    assert cluster.leader("orders", 0) != leader
    assert values(cluster, "orders", 1) == [b"while cut off"]


def test_a_paused_node_does_nothing_and_goes_on_when_it_is_resumed(cluster: Cluster) -> None:
    cluster.create_topic("orders")
    leader = cluster.leader("orders", 0)
    cluster.pause(leader)
    cluster.pause(leader)
    assert leader in cluster.alive()
    with cluster.producer() as producer:
        producer.send("orders", b"meanwhile").result(30)  # once its session is over
    cluster.resume(leader)
    cluster.await_isr("orders")
    cluster.pause(leader)
    cluster.kill(leader)
    assert leader not in cluster.alive()


def test_data_of_its_own_outlives_the_cluster(tmp_path: Path) -> None:
    with Cluster(brokers=1, isolation="thread", data=tmp_path / "kept") as cluster:
        cluster.create_topic("orders")
        bootstrap = cluster.bootstrap
        with cluster.producer() as producer:
            producer.send("orders", b"kept").result(20)
    with Cluster(brokers=1, isolation="thread", data=tmp_path / "kept") as cluster:
        assert cluster.bootstrap == bootstrap
        assert values(cluster, "orders", 1) == [b"kept"]


def test_starting_and_stopping_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    for _ in range(10):
        with Cluster(brokers=3, isolation="thread") as cluster:
            ports = [int(node.address.rpartition(":")[2]) for node in cluster.formatted.config.nodes]
    assert list(tmp_path.iterdir()) == []
    assert eventually(lambda: set(threading.enumerate()) <= threads)
    assert eventually(lambda: open_descriptors() <= descriptors)
    for port in ports:
        with socket.socket() as knock:
            assert knock.connect_ex(("127.0.0.1", port)) != 0


def test_a_node_that_cannot_start_takes_the_start_with_it(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = parse(f'[[node]]\nid = 1\naddress = "{address}"\n' + "[[node]]\nid = 2\n[[node]]\nid = 3\n")
        with pytest.raises(ClusterRefused, match=rf"node 1 cannot start: cannot listen on tcp://{address}"):
            Cluster(config=config, isolation="thread", data=tmp_path).start()
    assert eventually(lambda: set(threading.enumerate()) <= threads)


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    with (
        Cluster(brokers=1, isolation="thread", data=tmp_path),
        pytest.raises(ClusterRefused, match=r"node 1 cannot start: data directory .* is in use by process"),
    ):
        Cluster(brokers=1, isolation="thread", data=tmp_path).start()


def test_what_is_not_possible_is_said(cluster: Cluster) -> None:
    with pytest.raises(NotPossible, match="node 1 is a thread of this process"):
        cluster.process(1)
    with pytest.raises(ClusterRefused, match=r"there is no node 9 in the cluster in .*: it has nodes 1, 2 and 3"):
        cluster.kill(9)
    with pytest.raises(ValueError, match="isolation is 'process' or 'thread', not 'fiber'"):
        Cluster(isolation="fiber")  # type: ignore[arg-type]


def test_processes_with_direct_links_cannot_be_cut_off() -> None:
    with Cluster(brokers=1) as cluster:
        with pytest.raises(NotPossible, match='use links="proxied" to cut or slow what they say, or pause one'):
            cluster.isolate(1)
        assert cluster.alive() == [1]


def test_a_cut_has_two_directions_and_heals() -> None:
    cuts = Cuts()
    cuts.isolate("a", ["a", "b", "c"])
    cuts.isolate("b", ["a", "b", "c"])
    cut = {pair for pair in (("a", "b"), ("b", "a"), ("c", "a"), ("b", "c"), ("a", "a")) if cuts.between(*pair)}
    assert cut == {("a", "b"), ("b", "a"), ("c", "a"), ("b", "c")}
    cuts.heal("a")
    assert not cuts.between("a", "b")
    assert cuts.between("b", "c")
