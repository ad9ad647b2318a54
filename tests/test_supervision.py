"""Nodes that have ended are started again: how soon, by whom, and by nobody once the cluster is being stopped."""

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import Home, Result, eventually, home

from barnabas.cluster.formatting import read_formatted
from barnabas.cluster.processes import living, supervisor_of
from barnabas.cluster.supervision import CALM, BackOff

TWO = """
[cluster]
restart = "always"
[[node]]
id = 1
[[node]]
id = 2
actors = ["broker"]
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    (tmp_path / "two.toml").write_text(TWO)
    (tmp_path / "one.toml").write_text("[[node]]\nid = 1\n")
    with home(tmp_path) as made:
        yield made


def pids(data: Path) -> dict[int, int]:
    return {process.node: process.pid for process in living(data)}


def test_each_start_waits_twice_as_long_up_to_half_a_minute() -> None:
    back_off = BackOff()
    delays = [back_off.delay(1.0) for _ in range(11)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0])


def test_a_node_that_has_lived_for_a_minute_begins_anew() -> None:
    back_off = BackOff()
    for _ in range(5):
        back_off.delay(1.0)
    assert [back_off.delay(CALM), back_off.delay(1.0)] == pytest.approx([0.1, 0.2])


def test_a_detached_cluster_has_a_process_that_starts_its_nodes_again(place: Home) -> None:
    data = place.directory / "data"
    up = place.barnabas("up", "two.toml", "--detach", "--data", "data")
    try:
        assert (up.code, up.err) == (0, "")
        supervisor = supervisor_of(data)
        assert supervisor is not None
        assert up.out.splitlines()[-1] == (
            f"process {supervisor.pid} starts nodes again that have ended, and says so in {data}/supervisor.log"
        )
        before = pids(data)
        killed = place.barnabas("kill", 2, "--data", "data")
        assert killed == Result(0, f"node 2 was killed (it was process {before[2]})\n", "")
        assert eventually(lambda: pids(data).get(2, before[2]) != before[2])
        again = place.barnabas("restart", 2, "--data", "data")
        after = pids(data)
        formatted = read_formatted(data)
        assert formatted is not None
        address = formatted.config.node(2).address.removeprefix("tcp://")
        assert again == Result(0, f"node 2 runs as process {after[2]} at {address}\n", "")
        assert after[1] == before[1]
        refused = place.barnabas("up", "two.toml", "--data", "data")
        assert (refused.code, refused.out) == (1, "")
        assert "is running already" in refused.err
    finally:
        down = place.barnabas("down", "--data", "data")
    assert (down.code, down.out) == (0, f"stopped 2 nodes in {data}\n")
    assert (living(data), supervisor_of(data), list((data / "run").iterdir())) == ([], None, [])
    told = (data / "supervisor.log").read_text().splitlines()
    assert told[0] == "node 2 ended: killed by SIGKILL; it is started again in 0.1 s"
    assert "node 2 ended: in good order; it is started again in 0.2 s" in told
    assert told[-1] == "stopped"


def test_a_cluster_that_waits_to_start_its_only_node_is_stopped(place: Home) -> None:
    (place.directory / "one.toml").write_text('[cluster]\nrestart = "always"\n[[node]]\nid = 1\n')
    data = place.directory / "data"
    with place.begin(["-m", "barnabas", "up", "one.toml", "--data", "data"]) as up:
        assert up.stdout is not None
        lines = iter(up.stdout.readline, "")
        list(itertools.takewhile(lambda line: not line.startswith("Ctrl-C"), lines))
        for times in range(4):
            [process] = living(data)
            process.signal(signal.SIGKILL)
            assert next(lines) == f"node 1 ended: killed by SIGKILL; it is started again in {0.1 * 2**times:.1f} s\n"
            if times < 3:
                assert eventually(lambda: living(data))
                assert next(lines) == "node 1 serves\n"
        assert place.barnabas("down", "--data", "data").code == 0
        out, err = up.communicate(timeout=30)
    assert (out.splitlines()[-1], err, up.returncode) == ("stopped", "", 0)
    assert living(data) == []


def test_signals_have_names(place: Home) -> None:
    assert place.barnabas("up", "one.toml", "--detach", "--data", "data").code == 0
    data = place.directory / "data"
    try:
        [process] = living(data)
        paused = place.barnabas("kill", 1, "--signal", "stop", "--data", "data")
        assert paused == Result(0, f"node 1, process {process.pid}, was sent SIGSTOP\n", "")
        assert eventually(lambda: process.state() == "paused")
        wrong = place.barnabas("kill", 1, "--signal", "NICELY", "--data", "data")
        assert (wrong.code, wrong.err) == (
            2,
            "barnabas kill: argument --signal: 'NICELY' is no signal, expected a name such as KILL, TERM, STOP or "
            "CONT; see `barnabas kill --help`.\n",
        )
        assert place.barnabas("kill", 1, "--data", "data").code == 0
        assert not process.alive()
        gone = place.barnabas("kill", 1, "--data", "data")
        assert (gone.code, gone.err) == (
            1,
            f"barnabas: node 1 is not running: start it with `barnabas restart 1 --data {data}`.\n",
        )
    finally:
        place.barnabas("down", "--data", "data")
