"""A cluster belongs to the process that started it: what a fork of that may do, and what is left when it dies."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import Home, eventually, home

from barnabas import Cluster
from barnabas.client.errors import ForkedClient


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_a_child_process_uses_a_cluster_but_does_not_command_it(
    isolation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Cluster(brokers=1, isolation=isolation) as cluster:  # type: ignore[arg-type]
        cluster.create_topic("orders")
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os._exit(_child(cluster, writing))
        os.close(writing)
        with os.fdopen(reading) as told:
            said = told.read()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert said == "this cluster was made before a fork: make a new one in the child process"
        assert cluster.alive() == [1]
        with cluster.consumer("orders") as consumer:
            assert [record.value for record in consumer.poll(20)] == [b"from a child"]
    assert list(tmp_path.iterdir()) == []


def _child(cluster: Cluster, writing: int) -> int:
    with cluster.producer() as producer:
        producer.send("orders", "from a child").result(20)
    try:
        cluster.kill(1)
    except ForkedClient as error:
        os.write(writing, str(error).encode())
    cluster.stop()
    return 0 if threading.active_count() == 1 and cluster.directory.exists() else 1


def test_a_child_that_lives_on_does_not_keep_its_parents_cluster(place: Home) -> None:
    program = place.python(
        "import os, time\n"
        "from barnabas import Cluster\n"
        "cluster = Cluster(brokers=1).start()\n"
        "if os.fork() == 0:\n"
        "    [os.dup2(os.open(os.devnull, os.O_WRONLY), n) for n in (1, 2)]\n"
        "    time.sleep(600)\n"
        "print(cluster.directory, flush=True)\n"
        "time.sleep(600)\n"
    )
    assert program.stdout is not None
    directory = Path(program.stdout.readline().strip())
    assert directory.exists()
    os.kill(program.pid, signal.SIGKILL)
    program.communicate()
    assert eventually(lambda: not directory.exists())
    [child] = place.left()
    child.kill()
    assert eventually(lambda: not place.left())
