"""What `verify` advises: it depends on what is damaged, and on whether another node has it whole."""

import json
from pathlib import Path

import pytest

from barnabas import Cluster
from barnabas.cli.main import main
from barnabas.cli.repair import METADATA, repairs
from barnabas.storage.verify import Finding

DAMAGED = Finding("orders-0", "00000000000000000000.log", 0, "orders-0/00000000000000000000.log, byte 0: the CRC ...")
INDEX = Finding(
    "orders-0", "00000000000000000000.index", 0, "orders-0/00000000000000000000.index, byte 0: no batch ..."
)
BEHIND = Finding("orders-0", "recovery-point-offset-checkpoint", None, "recovery-point-offset-checkpoint has 7 ...")
DIFFERENT = Finding("orders-0", "node-2", None, "at offset 0 node-2 differs from node-1")
COPIES = {"orders-0": ["node-1", "node-2", "node-3"]}


def advised(*found: tuple[str, Finding], data: str | None = "data") -> dict[str, str]:
    return {repair.node: repair.sentence for repair in repairs(found, COPIES, data)}


def test_a_damaged_log_is_fetched_from_whoever_has_it_whole() -> None:
    found = advised(("node-1", DAMAGED), ("node-1", BEHIND), ("node-3", DAMAGED), ("", DIFFERENT))
    assert found == {
        node: "node-2 has it whole: `barnabas verify data --set-aside`, then start the cluster, and "
        f"{node} fetches it again"
        for node in ("node-1", "node-3")
    }


def test_a_log_that_is_whole_nowhere_is_copied_first() -> None:
    found = advised(("node-1", DAMAGED), ("node-2", BEHIND), ("node-3", DAMAGED))
    assert found["node-2"] == (
        "it is whole nowhere: copy data/node-2/orders-0 to a safe place first; if the partition has no leader once the "
        "cluster runs, `barnabas elect-leaders orders:0 --unclean` tells what it costs to go on"
    )
    assert advised(("node-1", DAMAGED), data=None) != found


def test_what_can_be_made_again_needs_nothing() -> None:
    assert advised(("node-1", INDEX)) == {"node-1": "nothing: it is made again when it is needed"}


def test_copies_that_differ_without_damage_are_kept() -> None:
    assert "keep copies of all of them and report it" in advised(("", DIFFERENT))[""]
    assert "" not in advised(("", DIFFERENT), ("node-2", DAMAGED))


def test_a_damaged_voter_stays_down_and_a_node_without_identity_too() -> None:
    voted = Finding(METADATA, "00000000000000000000.log", 0, "...")
    assert "keep node-1 down" in advised(("node-1", voted))["node-1"]
    nobody = Finding("", "meta.properties", None, "...")
    assert "restore the file" in advised(("node-2", nobody))["node-2"]


def test_the_advice_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A byte of one copy is changed, and the log set aside; once the cluster runs, nothing is wrong any more."""
    data = tmp_path / "data"
    with Cluster(brokers=3, data=data, isolation="thread") as cluster:
        cluster.create_topic("orders")
        with cluster.producer() as producer:
            producer.send("orders", b"x" * 1000).result(20)
        leader = cluster.leader("orders", 0)
    log = data / f"node-{leader}" / "orders-0" / "00000000000000000000.log"
    content = bytearray(log.read_bytes())
    content[500] ^= 1
    log.write_bytes(content)
    assert main(["verify", str(data), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert f"node-{leader}" in {finding["node"] for finding in said["findings"]}
    [advice] = said["advice"]
    assert (advice["node"], advice["partition"]) == (f"node-{leader}", "orders-0")
    assert "`, then start the cluster, and" in advice["sentence"]
    assert main(["verify", str(data), "--set-aside"]) == 1
    assert f"renamed to {log}.damaged" in capsys.readouterr().out
    with Cluster(brokers=3, data=data, isolation="thread") as cluster:
        with cluster.consumer("orders") as consumer:
            assert [record.value for record in consumer.poll(30)] == [b"x" * 1000]
        with cluster.producer() as producer:
            producer.send("orders", b"and on").result(30)
        cluster.await_isr("orders")
    capsys.readouterr()
    code = main(["verify", str(data)])
    assert (code, capsys.readouterr().out) == (0, "3 nodes, 1 partition: nothing is wrong\n")
