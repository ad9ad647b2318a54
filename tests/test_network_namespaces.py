"""A cluster on several addresses: each node in a network of its own, as on a machine of its own.

Needs root and Linux's network namespaces; nothing of it is visible outside of these. A bridge, where the client is too,
connects the nodes; to cut one off its link is taken down.
"""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from real_clusters import Home, home

from barnabas.cluster.config import parse
from barnabas.cluster.one_node import format_node

NODES = (1, 2, 3)
CLIENT = 0
BOOTSTRAP = ",".join(f"10.89.0.{node}:9000" for node in NODES)

CLUSTER = "\n".join(
    [
        "[cluster]",
        "insecure = true",
        *(
            f'[[node]]\nid = {node}\naddress = "10.89.0.{node}:9000"\nbroadcast = "10.89.0.{node}:9001"\n'
            f'kafka = "10.89.0.{node}:9092"'
            for node in NODES
        ),
    ]
)

PROGRAM = """
    import sys, time
    from barnabas import Admin, Consumer, Producer
    with Admin("BOOTSTRAP") as admin, Producer("BOOTSTRAP") as producer:
        def parts():
            return [part for topic in admin.describe_cluster().topics for part in topic.partitions]
        while len(admin.describe_cluster().brokers) < 3:
            time.sleep(0.05)
        admin.create_topic("orders", 3)
        for word in ("before", "cut", "healed"):
            for number in range(300):
                producer.send("orders", f"{word}-{number}")
            producer.flush(30)
            print(word, max(part.leader for part in parts()), flush=True)
            sys.stdin.readline()
        while not all(len(part.isr) == 3 for part in parts()):
            time.sleep(0.05)
        with Consumer("BOOTSTRAP", "orders", start="earliest") as consumer:
            found = []
            while len(found) < 900:
                found += [record.value for record in consumer.poll(10.0)]
        print("read", len(found), len(set(found)), flush=True)
"""


class Networks:
    """A namespace for each node, and one with the bridge between them."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def name(self, node: int) -> str:
        return f"barnabas-{self._mark}-{node}"

    def make(self) -> None:
        for node in (CLIENT, *NODES):
            _ip("netns", "add", self.name(node))
            _ip("-n", self.name(node), "link", "set", "lo", "up")
        hub = self.name(CLIENT)
        _ip("-n", hub, "link", "add", "hub", "type", "bridge")
        _ip("-n", hub, "address", "add", "10.89.0.254/24", "dev", "hub")
        _ip("-n", hub, "link", "set", "hub", "up")
        for node in NODES:
            port = f"port{node}"
            _ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.name(node))
            _ip("-n", hub, "link", "set", port, "master", "hub", "up")
            _ip("-n", self.name(node), "address", "add", f"10.89.0.{node}/24", "dev", "eth0")
            _ip("-n", self.name(node), "link", "set", "eth0", "up")

    def link(self, node: int, state: str) -> None:
        _ip("-n", self.name(node), "link", "set", "eth0", state)

    def delete(self) -> None:
        for node in (CLIENT, *NODES):
            subprocess.run(["ip", "netns", "delete", self.name(node)], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, check=True)


@pytest.fixture
def networks() -> Iterator[Networks]:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need Linux, root and iproute2's `ip`")
    made = Networks(uuid4().hex[:8])
    try:
        try:
            made.make()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine makes no network namespaces: {error.stderr.decode().strip()}")
        yield made
    finally:
        made.delete()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def test_a_cluster_on_three_addresses_serves_and_goes_on_when_one_of_them_is_cut_off(
    place: Home, networks: Networks
) -> None:
    (place.directory / "c.toml").write_text(CLUSTER)
    for node in NODES:
        format_node(parse(CLUSTER).with_data(str(place.directory / f"m{node}")), node, "abc")

    def begin(node: int, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["ip", "netns", "exec", networks.name(node), sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=place.directory,
            env=place.env,
        )

    with ExitStack() as stack:
        for node in NODES:
            words = ["-m", "barnabas", "node", "c.toml", "--id", str(node), "--data", f"m{node}"]
            process = stack.enter_context(begin(node, *words))
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == f"node {node} listens; Ctrl-C stops it\n"
        client = stack.enter_context(begin(CLIENT, "-c", textwrap.dedent(PROGRAM).replace("BOOTSTRAP", BOOTSTRAP)))
        stack.callback(client.kill)
        assert client.stdin is not None and client.stdout is not None
        told = client.stdout.readline().split()
        assert told[:1] == ["before"]
        leader = int(told[1])
        networks.link(leader, "down")
        print("go on", file=client.stdin, flush=True)
        cut = client.stdout.readline().split()
        assert cut[:1] == ["cut"]
        networks.link(leader, "up")
        print("go on", file=client.stdin, flush=True)
        assert client.stdout.readline().split()[:1] == ["healed"]
        print("go on", file=client.stdin, flush=True)
        assert client.stdout.readline() == "read 900 900\n"
        assert client.wait(30) == 0
