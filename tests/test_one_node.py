"""`barnabas node`: what must be there before a node starts by itself, and three of them that make a cluster."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from real_clusters import Home, eventually, home

from barnabas import Admin, Producer
from barnabas.cluster.addresses import Endpoint, free_ports
from barnabas.cluster.config import ClusterConfig, parse
from barnabas.cluster.formatting import ClusterRefused, format_cluster
from barnabas.cluster.one_node import format_node, formatted_node, voter_directory_id
from barnabas.cluster.processes import living


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def three(data: Path) -> str:
    """A cluster file with ports, as machines that do not share a directory need it."""
    ports = [endpoint.port for endpoint in free_ports([Endpoint("127.0.0.1", 0)] * 9)]
    nodes = [
        f'[[node]]\nid = {number}\naddress = "127.0.0.1:{asked}"\nbroadcast = "127.0.0.1:{told}"\n'
        f'kafka = "127.0.0.1:{kafka}"\n'
        for number, asked, told, kafka in zip((1, 2, 3), ports[:3], ports[3:6], ports[6:], strict=True)
    ]
    return f'[cluster]\ndata = "{data}"\n' + "".join(nodes)


def refused(config: ClusterConfig, node: int, cluster_id: str | None = None) -> str:
    with pytest.raises(ClusterRefused) as caught:
        _ = formatted_node(config, node) if cluster_id is None else format_node(config, node, cluster_id)
    return str(caught.value)


def test_machines_that_are_formatted_one_by_one_agree_on_the_voters(tmp_path: Path) -> None:
    text = three(tmp_path / "unused")
    made = [format_node(parse(text).with_data(str(tmp_path / f"m{node}")), node, "abc") for node in (1, 2, 3)]
    assert made[0].directories == made[1].directories == made[2].directories
    again = formatted_node(parse(text).with_data(str(tmp_path / "m2")), 2)
    assert (again.directories, again.cluster_id, again.here) == (made[1].directories, "abc", (2,))
    assert not any(voter_directory_id("abc", node).startswith("-") for node in range(500))


def test_a_directory_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    config = parse(three(tmp_path / "data"))
    assert refused(config, 2) == (
        f"node 2 has no data in {tmp_path}/data/node-2 yet: add `--format --cluster-id ID` once to make it, with the "
        "same ID for every node (`new` for the first), or start all nodes on this machine with `barnabas up`."
    )
    assert not (tmp_path / "data").exists()
    assert refused(config, 7) == "there is no node 7 in the configuration, expected one of: 1, 2, 3."


def test_a_second_formatting_is_refused_and_a_lost_voter_too(tmp_path: Path) -> None:
    config = parse(three(tmp_path))
    format_node(config, 1, "abc")
    format_node(config, 2, "abc")
    assert refused(config, 1, "abc") == (
        f"the data directory of node 1, {tmp_path}/node-1, is formatted already, for node 1 of cluster abc: start it "
        "without --format."
    )
    assert "belongs to cluster abc, not to xyz" in refused(config, 3, "xyz")
    assert "'a b' is no cluster id" in refused(config, 3, "a b")
    shutil.rmtree(tmp_path / "node-1")
    assert "this controller has voted before: restore the directory" in refused(config, 1)
    assert "this controller has voted before: restore the directory" in refused(config, 1, "abc")


def test_a_formatting_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    config = parse(three(tmp_path))
    made = format_node(config, 1, "abc")
    (tmp_path / "cluster.json").unlink()
    assert format_node(config, 1, "abc") == made


def test_a_broker_that_has_lost_its_directory_begins_as_another_one(tmp_path: Path) -> None:
    text = three(tmp_path)
    for node in (2, 3):
        text = text.replace(f"id = {node}\n", f'id = {node}\nactors = ["broker"]\n')
    config = parse(text)
    first = format_node(config, 3, "abc")
    shutil.rmtree(tmp_path / "node-3")
    assert "add `--format --cluster-id abc` once to begin with an empty broker" in refused(config, 3)
    assert format_node(config, 3, "abc").directories[3] != first.directories[3]


def test_free_ports_are_refused_and_those_that_up_chose_are_kept(tmp_path: Path) -> None:
    config = parse("[[node]]\nid = 1\n").with_data(str(tmp_path))
    assert refused(config, 1, "abc") == (
        "the `address` of node 1 is tcp://127.0.0.1:0, but nodes that start one by one must know each other's ports: "
        "give it a port from 1 to 65535 in the configuration."
    )
    made = format_cluster(config)
    assert formatted_node(config, 1) == made


def test_the_kafka_port_of_a_node_is_chosen_once_and_kept(tmp_path: Path) -> None:
    """The others need not know it beforehand: brokers tell the controllers where they listen."""
    text = re.sub(r"kafka = .*\n", "", three(tmp_path))
    made = format_node(parse(text), 1, "abc")
    assert made.config.node(1).kafka.startswith("127.0.0.1:")
    assert made.config.node(1).kafka != "127.0.0.1:0"
    assert formatted_node(parse(text), 1).config.node(1).kafka == made.config.node(1).kafka


def started(place: Home, node: int) -> "subprocess.Popen[str]":
    process = place.begin(["-m", "barnabas", "node", "c.toml", "--id", str(node), "--data", f"m{node}"])
    assert process.stdout is not None
    assert process.stdout.readline() == f"node {node} listens; Ctrl-C stops it\n"
    return process


def test_three_nodes_that_were_formatted_apart_are_a_cluster(place: Home) -> None:
    text = three(place.directory / "unused")
    (place.directory / "c.toml").write_text(text)
    first = place.barnabas("node", "c.toml", "--id", 1, "--data", "m1", "--format", "--cluster-id", "new")
    assert first.code == 0
    cluster_id = first.out.split()[4]
    assert first.out == f"node 1 of cluster {cluster_id} has its data in {place.directory}/m1/node-1\n"
    for node in (2, 3):
        format_node(parse(text).with_data(str(place.directory / f"m{node}")), node, cluster_id)
    bootstrap = ",".join(node.address.removeprefix("tcp://") for node in parse(text).nodes)
    with ExitStack() as stack:
        nodes = {node: stack.enter_context(started(place, node)) for node in (1, 2, 3)}
        stack.callback(lambda: [process.kill() for process in nodes.values()])
        with Admin(bootstrap) as admin, Producer(bootstrap) as producer:
            assert eventually(lambda: len(admin.describe_cluster().brokers) == 3)  # listening is not registered yet
            admin.create_topic("orders")
            assert producer.send("orders", b"one").result(20).offset == 0
            assert admin.describe_cluster().cluster_id == cluster_id
        assert [process.node for process in living(place.directory / "m2")] == [2]
        again = place.barnabas("node", "c.toml", "--id", 2, "--data", "m2")
        assert (again.code, again.err) == (
            1,
            f"barnabas: node 2 is running already, as process {nodes[2].pid}.\n",
        )
        for process in nodes.values():
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
        for node, process in nodes.items():
            out, err = process.communicate(timeout=30)
            assert (process.returncode, "Traceback" in err) == (0, False), (node, out, err)
    assert living(place.directory / "m2") == []


def test_options_that_belong_together_are_asked_for_together(place: Home) -> None:
    (place.directory / "c.toml").write_text("[[node]]\nid = 1\n")
    alone = place.barnabas("node", "c.toml", "--id", 1, "--format")
    assert (alone.code, alone.err) == (2, "barnabas: --format and --cluster-id ID belong together.\n")
