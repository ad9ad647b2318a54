"""Whose data a directory is, and what becomes of processes: started, killed, paused, started again, ended without rest.

The refusals are asserted whole. Clusters are real: processes on free ports, in the test's own directory.
"""

import os
import shutil
import socket
import subprocess
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]
import pytest
from real_clusters import Home, eventually, home

from barnabas.cluster.config import ClusterConfig, local, parse
from barnabas.cluster.formatting import ClusterRefused, format_cluster, read_formatted
from barnabas.cluster.launcher import Report
from barnabas.cluster.processes import NodeProcess, kill, living, record, recorded, terminate
from barnabas.cluster.supervisor import RemoteLauncher, find, prepare
from barnabas.storage.checkpoint import read_identity
from barnabas.storage.files import FileReader


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def refused(config: ClusterConfig) -> str:
    with pytest.raises(ClusterRefused) as caught:
        format_cluster(config)
    return str(caught.value)


# --- Whose data is this? ---


def test_the_first_start_writes_an_identity_into_every_directory(tmp_path: Path) -> None:
    formatted = format_cluster(local(3, data=str(tmp_path)))
    for node in (1, 2, 3):
        identity = read_identity(FileReader(tmp_path / f"node-{node}"))
        assert identity is not None
        assert (identity.cluster_id, identity.node_id, identity.voters) == (formatted.cluster_id, node, (1, 2, 3))
        assert identity.directory_id == formatted.directories[node]
    assert len({*formatted.directories.values(), formatted.cluster_id}) == 4


def test_a_second_start_keeps_ports_and_ids(tmp_path: Path) -> None:
    first = format_cluster(local(3, data=str(tmp_path)))
    assert format_cluster(local(3, data=str(tmp_path))) == first
    assert read_formatted(tmp_path) == first


def test_times_and_defaults_may_change_between_two_starts(tmp_path: Path) -> None:
    first = format_cluster(local(1, data=str(tmp_path)))
    text = "[timing]\nreplica_lag_ms = 1000\n[[node]]\nid = 1\n"
    second = format_cluster(parse(text).with_data(str(tmp_path)))
    assert second.config.timing.replica_lag_ms == 1000
    assert second.bootstrap == first.bootstrap


def test_a_broker_may_be_added(tmp_path: Path) -> None:
    first = format_cluster(local(3, data=str(tmp_path)))
    second = format_cluster(local(4, data=str(tmp_path)))
    assert second.bootstrap.startswith(first.bootstrap)
    assert second.cluster_id == first.cluster_id


def test_a_lost_runtime_file_is_made_again_from_the_directories(tmp_path: Path) -> None:
    first = format_cluster(local(3, data=str(tmp_path)))
    (tmp_path / "cluster.json").unlink()
    second = format_cluster(local(3, data=str(tmp_path)))
    assert (second.cluster_id, second.directories) == (first.cluster_id, first.directories)


def test_a_first_start_that_was_interrupted_is_finished_by_the_next(tmp_path: Path) -> None:
    first = format_cluster(local(3, data=str(tmp_path)))
    (tmp_path / "cluster.json").unlink()
    shutil.rmtree(tmp_path / "node-2")
    second = format_cluster(local(3, data=str(tmp_path)))
    assert second.cluster_id == first.cluster_id
    assert second.directories[1] == first.directories[1]


def test_a_directory_of_another_cluster_is_refused(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    ours = format_cluster(local(1, data=str(mine))).cluster_id
    other = format_cluster(local(1, data=str(theirs))).cluster_id
    (mine / "node-1").rename(tmp_path / "away")
    (theirs / "node-1").rename(mine / "node-1")
    assert refused(local(1, data=str(mine))) == (
        f"the data directory of node 1, {mine}/node-1, cannot be used: the directory belongs to cluster {other}, this "
        f"is cluster {ours}; choose another data directory, or the configuration that made this one."
    )


def test_directories_of_two_clusters_are_refused(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.mkdir()
    theirs.mkdir()
    other = format_cluster(local(1, data=str(theirs))).cluster_id
    (theirs / "node-1" / "metadata").mkdir()  # it has been used
    (theirs / "node-1").rename(mine / "node-1")
    assert refused(local(3, data=str(mine))) == (
        f"the data directory of node 1, {mine}/node-1, belongs to cluster {other}, but that of node 2, {mine}/node-2, "
        "to nobody yet: expected all of one cluster, or empty directories."
    )


def test_a_changed_list_of_controllers_is_refused(tmp_path: Path) -> None:
    format_cluster(local(3, data=str(tmp_path)))
    assert refused(local(1, data=str(tmp_path))) == (
        f"the data directory of node 1, {tmp_path}/node-1, cannot be used: the directory was made for the controllers "
        "[1, 2, 3], the config has [1]: the controllers of a cluster cannot be changed; choose another data directory, "
        "or the configuration that made this one."
    )


def test_a_controller_that_has_lost_its_directory_is_refused(tmp_path: Path) -> None:
    format_cluster(local(3, data=str(tmp_path)))
    (tmp_path / "node-2").rename(tmp_path / "away")
    assert refused(local(3, data=str(tmp_path))) == (
        f"the data directory of node 2, {tmp_path}/node-2, is empty, but this controller has voted before: restore the "
        "directory, or start a new cluster with another data directory."
    )


def test_a_directory_with_somebodys_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node-1").mkdir()
    (tmp_path / "node-1" / "letter").write_text("dear")
    assert refused(local(1, data=str(tmp_path))) == (
        f"the data directory of node 1, {tmp_path}/node-1, is not empty and was not made by Barnabas (it has letter): "
        "choose an empty directory, or one that does not exist."
    )
    assert sorted(path.name for path in (tmp_path / "node-1").iterdir()) == ["letter"]


def test_a_damaged_runtime_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(ClusterRefused, match=r"cluster\.json is not a runtime file of this version"):
        read_formatted(tmp_path)


def test_a_cluster_that_does_not_run_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ClusterRefused) as caught:
        find(tmp_path)
    assert str(caught.value) == (
        f"there is no cluster in {tmp_path}: start one with `barnabas up`, or say where it is with --data or "
        "--bootstrap."
    )
    format_cluster(local(1, data=str(tmp_path)))
    with pytest.raises(ClusterRefused) as caught:
        find(tmp_path)
    assert (
        str(caught.value) == f"the cluster in {tmp_path} is not running: start it with `barnabas up --data {tmp_path}`."
    )


# --- Processes ---


def sleeper(place: Home, code: str = "") -> "subprocess.Popen[str]":
    """A process that says when it is ready."""
    started = place.python(f"import signal, time\n{code}\nprint('ready', flush=True)\ntime.sleep(60)")
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def reaped(process: "subprocess.Popen[str]") -> int:
    code = process.wait(10)
    process.communicate()
    return code


def test_another_process_with_the_same_id_is_not_ours(place: Home) -> None:
    with sleeper(place) as other:
        found = record(place.directory, 1, other.pid)
        assert living(place.directory) == [found]
        imposter = NodeProcess(1, other.pid, found.created - 60)
        assert not imposter.alive()
        kill([imposter])
        assert other.poll() is None
        kill([found])
        assert reaped(other) == -9


def test_a_zombie_does_not_live(place: Home) -> None:
    with sleeper(place) as child:
        found = record(place.directory, 1, child.pid)
        child.kill()
        assert eventually(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
        assert not found.alive()
        reaped(child)


def test_who_does_not_stop_when_told_is_killed(place: Home) -> None:
    with (
        sleeper(place, "signal.signal(signal.SIGTERM, signal.SIG_IGN)") as stubborn,
        sleeper(place) as obedient,
    ):
        records = [record(place.directory, 1, stubborn.pid), record(place.directory, 2, obedient.pid)]
        assert terminate(records, 0.5) == records[:1]
        assert reaped(stubborn) == -9
        assert reaped(obedient) == -15


def test_a_paused_process_is_ended_too(place: Home) -> None:
    with sleeper(place) as paused:
        found = record(place.directory, 1, paused.pid)
        psutil.Process(paused.pid).suspend()
        assert eventually(lambda: found.state() == "paused")
        assert terminate([found], 5.0) == []
        assert reaped(paused) == -15


def test_those_that_have_no_hope_are_told_again(place: Home) -> None:
    code = """
    def told(*_):
        global left
        left -= 1
        if not left:
            raise SystemExit(7)
    left = 2
    signal.signal(signal.SIGTERM, told)
    """
    with sleeper(place, textwrap.dedent(code)) as node:
        found = record(place.directory, 1, node.pid)
        began = time.monotonic()
        assert terminate([found], 20.0, hopeful=lambda left: time.monotonic() - began > 60) == []
        assert reaped(node) == 7
        assert time.monotonic() - began < 5


# --- Clusters ---


def test_a_killed_leader_comes_back_with_its_data_and_everything_is_read(place: Home) -> None:
    code = """
    from barnabas import Cluster
    from barnabas.cluster.formatting import ClusterRefused

    with Cluster(brokers=3) as cluster:
        cluster.create_topic("orders", partitions=2)
        bootstrap = cluster.bootstrap
        with cluster.producer() as producer:
            producer.send("orders", b"before", partition=0).result(30)
            leader = cluster.leader("orders", 0)
            cluster.kill(leader)
            try:
                cluster.process(leader)
            except ClusterRefused as refusal:
                assert str(refusal) == f"node {leader} is not running: start it again with restart({leader}).", refusal
            producer.send("orders", b"meanwhile", partition=0).result(30)
            cluster.restart(leader)
            cluster.await_isr("orders")
            for node in cluster.nodes:
                cluster.kill(node)
            cluster.restart(*cluster.nodes)
            assert cluster.bootstrap == bootstrap
            cluster.pause(1)
            cluster.resume(1)
            producer.send("orders", b"after", partition=0).result(30)
        with cluster.consumer("orders") as consumer:
            values = []
            while len(values) < 3:
                values += [record.value for record in consumer.poll(5.0)]
    print(values)
    """
    with place.python(textwrap.dedent(code)) as program:
        out, err = program.communicate(timeout=90)
    assert (out, err, program.returncode) == ("[b'before', b'meanwhile', b'after']\n", "", 0)


def test_starting_and_stopping_leaves_nothing_behind(place: Home) -> None:
    code = """
    import os, socket, threading
    from barnabas import Cluster

    before = len(os.listdir("/dev/fd"))
    for _ in range(4):
        with Cluster(brokers=3) as cluster:
            addresses = cluster.bootstrap.split(",")
    refused = [socket.socket().connect_ex((host, int(port))) for host, port in (a.split(":") for a in addresses)]
    print(all(refused), threading.active_count(), len(os.listdir("/dev/fd")) - before)
    """
    with place.python(textwrap.dedent(code)) as program:
        out, err = program.communicate(timeout=90)
    assert (out, err, program.returncode) == ("True 1 0\n", "", 0)  # a `Home` sees to processes and files


def test_all_nodes_killed_under_load_lose_nothing(place: Home) -> None:
    code = """
    import threading
    from barnabas import Cluster
    from barnabas.bench.account import Flow

    with Cluster(brokers=3) as cluster:
        cluster.create_topic("load", partitions=3)
        with cluster.producer() as producer:
            flow = Flow(producer, "load")
            enough = threading.Event()

            def stream():
                while not enough.wait(0.002):
                    flow.send(b"x" * 200, f"key-{flow.sent % 50}".encode())

            thread = threading.Thread(target=stream)
            thread.start()
            try:
                assert flow.await_acknowledged_from(flow.sent + 200, 30)
                for node in cluster.nodes:
                    cluster.kill(node)
                cluster.restart(*cluster.nodes)
                assert flow.await_acknowledged_from(flow.sent + 200, 30)
            finally:
                enough.set()
                thread.join()
            producer.flush(30)
        with cluster.consumer("load") as consumer:
            verdict = flow.judge(consumer, 3)
    assert verdict.good and verdict.acknowledged == verdict.sent, verdict
    """
    with place.python(textwrap.dedent(code)) as program:
        out, err = program.communicate(timeout=90)
    assert (out, err, program.returncode) == ("", "", 0)


def test_a_program_that_is_killed_leaves_no_nodes_and_no_files(place: Home) -> None:
    code = """
    import time
    from barnabas import Cluster
    with Cluster(brokers=3) as cluster:
        print(cluster.directory, flush=True)
        time.sleep(60)
    """
    with place.python(textwrap.dedent(code)) as program:
        assert program.stdout is not None
        directory = Path(program.stdout.readline().strip())
        assert len(living(directory)) == 3
        program.kill()
        assert eventually(lambda: not place.left())
        assert not directory.exists()


def test_a_node_that_cannot_start_takes_the_start_with_it(place: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = f'[[node]]\nid = 1\naddress = "{address}"\n' + "".join(f"[[node]]\nid = {node}\n" for node in (2, 3))
        (place.directory / "c.toml").write_text(text)
        done = place.barnabas("up", "--detach", "c.toml", "--data", "data")
    assert (done.code, done.err) == (
        1,
        f"barnabas: node 1 cannot start: cannot listen on tcp://{address}: Address already in use "
        f"(addr='tcp://{address}'): stop what listens there, or give the node another address.\n",
    )
    assert not living(place.directory / "data")


def test_a_running_cluster_is_not_started_again(place: Home) -> None:
    assert place.barnabas("up", "--detach", "--data", "data").code == 0
    data = place.directory / "data"
    try:
        with pytest.raises(ClusterRefused, match="is running already"):
            prepare(local(3, data=str(data)))
        again = place.barnabas("up", "--data", "data")
        assert again.code == 1
        assert again.err.count("\n") == 1
    finally:
        down = place.barnabas("down", "--data", "data")
    assert (down.code, down.out) == (0, f"stopped 3 nodes in {data}\n")
    assert recorded(data) == []


def test_a_node_is_started_again_by_its_number(place: Home) -> None:
    assert place.barnabas("up", "--detach", "--data", "data").code == 0
    data = place.directory / "data"
    try:
        before = {process.node: process.pid for process in living(data)}
        kill(living(data)[1:2])
        again = place.barnabas("restart", 2, "--data", "data")
        after = {process.node: process.pid for process in living(data)}
        address = find(data).config.node(2).address.removeprefix("tcp://")
        assert (again.code, again.out) == (0, f"node 2 runs as process {after[2]} at {address}\n"), again
        assert {node for node in before if before[node] != after[node]} == {2}
        nobody = place.barnabas("restart", 9, "--data", "data")
        assert (nobody.code, nobody.err) == (
            1,
            f"barnabas: there is no node 9 in the cluster in {data}: it has nodes 1, 2 and 3.\n",
        )
    finally:
        place.barnabas("down", "--data", "data")


def test_a_cluster_in_the_foreground_says_what_happens_and_stops_on_ctrl_c(place: Home) -> None:
    with place.begin(["-m", "barnabas", "up", "--data", "data"]) as up:
        assert up.stdout is not None
        lines = [up.stdout.readline() for _ in range(7)]
        assert lines[0] == f"starting 3 nodes in {place.directory}/data\n"
        assert lines[1].startswith("node 1: controller and broker at 127.0.0.1:")
        assert lines[4].startswith("ready after ")
        assert lines[5].startswith("for Kafka clients: 127.0.0.1:")
        assert lines[6] == "Ctrl-C stops it\n"
        kill(living(place.directory / "data")[:1])
        assert up.stdout.readline() == "node 1 ended: killed by SIGKILL\n"
        up.send_signal(2)
        out, err = up.communicate(timeout=30)
    assert (out.splitlines()[-2:], err, up.returncode) == (["stopping", "stopped"], "", 0)


def test_what_a_node_says_right_after_its_start_is_heard_and_what_an_earlier_one_said_is_not() -> None:
    """All of it may come in one piece."""
    launcher = RemoteLauncher.__new__(RemoteLauncher)
    launcher._answers, answers = os.pipe()
    launcher._commands = os.open(os.devnull, os.O_WRONLY)
    launcher._rest, launcher._waiting = b"", []
    try:
        told = [
            Report("failed", 1, "old"),
            Report("unfenced", 2),
            Report("started", 1, pid=7),
            Report("failed", 1, "new"),
        ]
        os.write(answers, b"".join(msgspec.json.encode(report) + b"\n" for report in told))
        assert launcher.start(1) == 7
        assert list(launcher.reports(1.0)) == [Report("unfenced", 2), Report("failed", 1, "new")]
    finally:
        for descriptor in (launcher._answers, answers, launcher._commands):
            os.close(descriptor)
