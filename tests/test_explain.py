"""The story of a cluster, of one partition, of one node: from files, from nodes elsewhere, and as it goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import Home, home

from barnabas import Cluster
from barnabas.cli.main import main
from barnabas.cluster.event_file import Happened, iso
from barnabas.cluster.story import because, concerning


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def event(kind: str, **fields: object) -> Happened:
    return Happened(iso(0), 0, 1, "controller", kind, fields, kind, "")


def test_the_story_of_a_partition_has_its_topic_and_the_brokers_that_it_depended_on() -> None:
    events = [
        event("TopicCreatedEvent", name="orders"),
        event("TopicCreatedEvent", name="pay"),
        event("BecameLeader", broker=2, partition="orders-0"),
        event("BecameLeader", broker=1, partition="orders-1"),
        event("BrokerFencedEvent", broker=2),
        event("BrokerFencedEvent", broker=3),
        event("PartitionLeaderChanged", before=2, leader=1, partition="orders-0"),
    ]
    kept = concerning(events, "orders-0", None)
    assert [kept.index(one) for one in kept] == list(range(4))
    assert kept == [events[0], events[2], events[4], events[6]]


def test_the_story_of_a_node_has_all_that_names_it() -> None:
    events = [
        event("BrokerFencedEvent", broker=2),
        event("IsrChanged", partition="a-0", before=[1, 2], isr=[1], elr=[]),
        event("IsrChanged", partition="a-0", before=[1], isr=[1, 3], elr=[]),
        event("ControllerElected", controller=1),
        event("FaultsInjected", node=2),
    ]
    assert concerning(events, None, 2) == [events[0], events[1], events[4]]


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("b2: its connection was refused", "b2's connection was refused"),
        ("proposed by b1, the leader", "b1 proposed it"),
        ("proposed by the leader", "its leader proposed it"),
        ("a client created it", "a client created it"),
    ],
)
def test_causes_are_halves_of_sentences(cause: str, told: str) -> None:
    assert because(cause) == told


def test_a_kill_is_told_with_its_cause_and_epochs_from_files_and_from_the_nodes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Cluster(brokers=3, isolation="thread", data=tmp_path) as cluster:
        cluster.create_topic("orders", partitions=6)
        controller, leaders = cluster.controller(), cluster.leaders("orders")
        index, victim = next((index, node) for index, node in enumerate(leaders) if node != controller)
        cluster.kill(victim)  # not the controller: what that one decided, a cluster elsewhere could not tell any more
        with cluster.producer() as producer:
            producer.send("orders", b"x", partition=index).result(20)
        for where in (["--data", str(tmp_path)], ["--bootstrap", cluster.bootstrap]):
            assert main(["explain", *where]) == 0
            told = capsys.readouterr().out
            assert "topic 'orders' was created: 6 partitions, replication 3" in told
            assert f"b{victim} was fenced (broker epoch " in told
            assert f"b{victim} left the ISR of 6 partitions (orders-0,1,2,3,4,5" in told
            assert f"because b{victim}'s connection was refused" in told
        assert main(["explain", "--data", str(tmp_path), "--partition", f"orders/{index}", "--json"]) == 0
        story = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [led] = [passage for passage in story if f"leads orders-{index} after b{victim}" in passage["sentence"]]
        assert led["cause"] == f"b{victim}: its connection was refused"
        assert not any(f"orders-{(index + 1) % 6}" in passage["sentence"] for passage in story)
        assert main(["explain", "--data", str(tmp_path), "--since", "2100-01-01"]) == 0
        assert capsys.readouterr().out == "nothing happened since then\n"
        assert main(["explain", "--data", str(tmp_path), "--partition", "orders"]) == 2


def test_the_story_goes_on_while_it_is_followed(place: Home) -> None:
    with Cluster(brokers=3, isolation="thread", data=place.directory / "data") as cluster:
        cluster.create_topic("orders", partitions=3)
        process = place.begin(["-m", "barnabas", "explain", "--follow", "--json", "--data", str(cluster.directory)])
        timer = threading.Timer(60, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            told: list[str] = []
            killed = False
            for line in process.stdout:
                told.append(json.loads(line)["sentence"])
                if not killed and "was created" in told[-1]:
                    killed = True
                    victim = cluster.leader("orders", 0)
                    cluster.kill(victim)
                if killed and "left the ISR of 3 partitions" in told[-1]:
                    break
            assert killed, told
            assert f"b{victim} left the ISR of 3 partitions" in told
        finally:
            timer.cancel()
            process.kill()
            process.communicate()
