"""The proxy between nodes: what arrives, when, and what nodes can tell of each other through it.

The first tests put plain sockets where nodes would be. `Stage` has a proxy for two nodes and plays them: it listens for
node 2, and connects as node 1 to the gate that leads there. The others have a real cluster.
"""

import asyncio
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from real_clusters import Home, eventually, home

from barnabas import Cluster
from barnabas.cluster.config import ConfigError, parse
from barnabas.cluster.event_file import Tails
from barnabas.cluster.formatting import ClusterRefused, format_cluster
from barnabas.cluster.hosting import NotPossible
from barnabas.cluster.link_control import LinkControl
from barnabas.cluster.link_orders import Change, Heal, Reset, Show
from barnabas.cluster.link_proxy import Proxy
from barnabas.cluster.link_pump import MOST_HELD
from barnabas.cluster.links import dialled, link_ports

HEAD, TAIL = b"x" * 300_000, b"the end"


class Peer:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def hear(self, count: int, patience: float = 5.0) -> bytes:
        async with asyncio.timeout(patience):
            return await self._reader.readexactly(count)

    async def hears_nothing(self, seconds: float = 0.15) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._reader.read(1) is None
        except TimeoutError:
            return True

    async def is_cut(self) -> bool:
        """Whether the connection ends."""
        async with asyncio.timeout(5):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        self._writer.close()


class Stage:
    """See the module's essay."""

    def __init__(self, proxy: Proxy, gate: tuple[str, int], behind: tuple[str, int]) -> None:
        self.proxy = proxy
        self.gate = gate
        self.behind = behind
        self._server: asyncio.Server | None = None
        self._came: asyncio.Queue[Peer] = asyncio.Queue()
        self._there: list[Peer] = []

    async def listen(self) -> None:
        """Node 2 starts; returns when node 1 could connect to it."""

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = Peer(reader, writer)
            self._there.append(peer)
            await self._came.put(peer)

        self._server = await asyncio.start_server(take, *self.behind)
        await until(self.lets_in)

    async def die(self) -> None:
        """Node 2 is killed."""
        assert self._server is not None
        self._server.close()
        for peer in self._there:
            peer.close()

    async def lets_in(self) -> bool:
        """Whether the gate takes a connection: a knock."""
        try:
            _, writer = await asyncio.open_connection(*self.gate)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    async def join(self) -> tuple[Peer, Peer]:
        """Node 1 connects to node 2: both ends."""
        near = Peer(*await asyncio.open_connection(*self.gate))
        near.say(b"hello")
        while True:  # knocks came too
            far = await asyncio.wait_for(self._came.get(), 5)
            try:
                if await far.hear(5) == b"hello":
                    return near, far
            except asyncio.IncompleteReadError:
                continue


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0.005)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    config = parse(
        '[cluster]\nlinks = "proxied"\n[[node]]\nid = 1\n[[node]]\nid = 2\nactors = ["broker"]\n'
    ).with_ports()
    ports = link_ports(config, None)
    assert ports is not None
    complaints: list[str] = []
    proxy = Proxy(config, ports, complaints.append)
    proxy.start()
    way = next(way for way in ports.ways if (way.source, way.target) == (1, 2))
    made = Stage(proxy, place(way.address), place(config.node(2).address))
    try:
        yield made
    finally:
        if made._server is not None:
            await made.die()
        proxy.close()
        await asyncio.sleep(0.01)
    assert complaints == []


def place(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def played(story: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    """A test that plays a story on a stage."""

    def test() -> None:
        async def run() -> None:
            async with stage() as made:
                await story(made)

        asyncio.run(run())

    test.__name__ = story.__name__  # type: ignore[attr-defined]
    return test


# --- Nothing is done to a way ---


@played
async def test_bytes_arrive_as_they_were_sent_in_both_directions(on: Stage) -> None:
    await on.listen()
    near, far = await on.join()
    near.say(HEAD + TAIL)
    far.say(TAIL + HEAD)
    assert await far.hear(len(HEAD + TAIL)) == HEAD + TAIL
    assert await near.hear(len(HEAD + TAIL)) == TAIL + HEAD


@played
async def test_whoever_closes_is_heard_to_close_after_its_last_byte(on: Stage) -> None:
    await on.listen()
    near, far = await on.join()
    near.say(HEAD)
    near.close()
    assert await far.hear(len(HEAD)) == HEAD
    assert await far.is_cut()
    near, far = await on.join()
    far.close()
    assert await near.is_cut()
    await until(on.lets_in)


@played
async def test_a_gate_is_open_as_long_as_the_node_behind_listens(on: Stage) -> None:
    assert not await on.lets_in()
    await on.listen()
    near, _ = await on.join()
    await on.die()
    assert await near.is_cut()
    for _ in range(3):  # whoever hears that the connection ended finds the gate closed at once
        assert not await on.lets_in()
    await on.listen()
    await on.join()


@played
async def test_a_node_that_dies_before_anybody_is_connected_is_refused_after_one_knock(on: Stage) -> None:
    await on.listen()
    await on.die()
    await on.lets_in()
    await asyncio.sleep(0.02)  # what lies between two knocks
    assert not await on.lets_in()


# --- A way is held ---


@played
async def test_a_way_that_is_held_carries_nothing_and_the_other_way_everything(on: Stage) -> None:
    await on.listen()
    near, far = await on.join()
    answer = on.proxy.obey(Change([(1, 2)], held=True))
    assert [way.held for way in answer.ways] == [True, False]
    near.say(b"there")
    far.say(b"back")
    assert await near.hear(4) == b"back"
    assert await far.hears_nothing()
    on.proxy.obey(Heal([(1, 2)]))
    assert await far.hear(5) == b"there"


@played
async def test_a_held_way_takes_a_bounded_amount_and_loses_nothing(on: Stage) -> None:
    await on.listen()
    near, far = await on.join()
    on.proxy.obey(Change([(1, 2)], held=True))
    data = bytes(range(256)) * 200_000  # 51 MB, more than all buffers of the kernel
    near.say(data)
    await asyncio.sleep(0.3)
    [pump] = on.proxy._ways[1, 2].pumps
    assert pump._size <= MOST_HELD + (256 << 10)  # one read more
    on.proxy.obey(Heal([(1, 2)]))
    assert await far.hear(len(data), patience=20) == data


@played
async def test_who_is_cut_off_does_not_hear_of_a_death_before_it_is_healed(on: Stage) -> None:
    await on.listen()
    near, _ = await on.join()
    on.proxy.obey(Change([(1, 2), (2, 1)], held=True))
    await on.die()
    assert await near.hears_nothing()
    assert await on.lets_in()  # a knock is not refused
    late = Peer(*await asyncio.open_connection(*on.gate))
    late.say(b"is anybody there")
    assert await late.hears_nothing()
    on.proxy.obey(Heal([(1, 2), (2, 1)]))
    assert await near.is_cut()
    assert await late.is_cut()
    assert not await on.lets_in()


@played
async def test_a_connection_that_is_made_while_cut_off_is_joined_when_healed(on: Stage) -> None:
    await on.listen()
    on.proxy.obey(Change([(2, 1)], held=True))
    late = Peer(*await asyncio.open_connection(*on.gate))
    late.say(b"hello")
    assert await late.hears_nothing()
    on.proxy.obey(Heal([(2, 1)]))
    while (far := await asyncio.wait_for(on._came.get(), 5)) is not None:
        try:
            assert await far.hear(5) == b"hello"
            break
        except asyncio.IncompleteReadError:  # it was a knock
            continue
    far.say(b"ok")
    assert await late.hear(2) == b"ok"


@played
async def test_connections_that_give_up_while_cut_off_are_forgotten(on: Stage) -> None:
    await on.listen()
    on.proxy.obey(Change([(1, 2)], held=True))
    for _ in range(20):
        Peer(*await asyncio.open_connection(*on.gate)).close()

    async def none() -> bool:
        return not on.proxy._ways[1, 2].pumps

    await until(none)


# --- A way is slow, or breaks ---


@played
async def test_a_delay_is_added_once_in_its_own_direction_and_keeps_the_order(on: Stage) -> None:
    await on.listen()
    near, far = await on.join()
    on.proxy.obey(Change([(1, 2)], delay_ms=200, jitter_ms=50))
    began = time.monotonic()
    for number in range(10):
        near.say(b"%d" % number)
        await asyncio.sleep(0.005)
    far.say(b"back")
    assert await near.hear(4) == b"back"
    assert time.monotonic() - began < 0.2
    assert await far.hear(10) == b"0123456789"
    assert 0.2 <= time.monotonic() - began < 1.0
    near.say(HEAD)
    on.proxy.obey(Heal([(1, 2)]))
    began = time.monotonic()
    assert await far.hear(len(HEAD)) == HEAD
    assert time.monotonic() - began < 0.2


@played
async def test_a_limit_is_for_all_connections_of_a_way_together(on: Stage) -> None:
    await on.listen()
    first, second = await on.join(), await on.join()
    on.proxy.obey(Change([(1, 2)], bytes_per_s=1_000_000))
    began = time.monotonic()
    for near, _ in (first, second):
        near.say(HEAD[:200_000])
    for _, far in (first, second):
        assert await far.hear(200_000) == HEAD[:200_000]
    assert 0.36 <= time.monotonic() - began < 1.5


@played
async def test_a_reset_breaks_both_ends_and_new_connections_are_made(on: Stage) -> None:
    await on.listen()
    near, far = await on.join()
    on.proxy.obey(Reset([(2, 1)]))
    assert await near.is_cut()
    assert await far.is_cut()
    assert await on.lets_in()
    await on.join()


@played
async def test_an_order_about_a_way_that_is_not_there_changes_nothing(on: Stage) -> None:
    answer = on.proxy.obey(Change([(1, 2), (1, 9)], held=True))
    assert answer.error == "there is no way from node 1 to node 9 in this cluster"
    assert not any(way.held for way in on.proxy.obey(Show()).ways)


# --- Ports ---

FIVE = """
[cluster]
links = "proxied"
[[node]]
id = 1
[[node]]
id = 2
actors = ["broker"]
[[node]]
id = 3
actors = ["broker"]
"""


def test_every_ordered_pair_has_a_port_and_every_broadcast_that_is_listened_to(tmp_path: Path) -> None:
    formatted = format_cluster(parse(FIVE).with_data(str(tmp_path)))
    assert formatted.links is not None
    assert [(way.source, way.target, way.broadcast is not None) for way in formatted.links.ways] == [
        (1, 2, False),
        (1, 3, False),
        (2, 1, True),
        (2, 3, False),
        (3, 1, True),
        (3, 2, False),
    ]
    config = formatted.config
    assert set(dialled(config, formatted.links, 2)) == {
        config.node(1).address,
        config.node(1).broadcast,
        config.node(3).address,
    }
    ports = [port for way in formatted.links.ways for port in (way.address, way.broadcast) if port is not None]
    own = [port for node in config.nodes for port in (node.address, node.broadcast)]
    every = [*ports, *own, formatted.links.control]
    assert len(set(every)) == len(every)


def test_the_ports_of_links_are_kept_and_go_with_the_links(tmp_path: Path) -> None:
    config = parse(FIVE).with_data(str(tmp_path))
    first = format_cluster(config)
    assert format_cluster(config) == first
    more = format_cluster(parse(FIVE + '[[node]]\nid = 4\nactors = ["broker"]\n').with_data(str(tmp_path)))
    assert first.links is not None
    assert more.links is not None
    assert more.links.control == first.links.control
    assert set(first.links.ways) < set(more.links.ways)
    direct = format_cluster(parse(FIVE.replace("proxied", "direct")).with_data(str(tmp_path)))
    assert direct.links is None
    assert dialled(direct.config, None, 1) == {}


def test_links_are_direct_or_proxied() -> None:
    with pytest.raises(ConfigError, match=r'line 2: `links` in .cluster. is "slow", expected "direct" or "proxied"'):
        parse('[cluster]\nlinks = "slow"\n[[node]]\nid = 1\n')
    with pytest.raises(ValueError, match="links are 'direct' or 'proxied', not 'slow'"):
        Cluster(links="slow")  # type: ignore[arg-type]


# --- Real clusters ---

IMPATIENT = """
[cluster]
links = "proxied"
[timing]
broker_heartbeat_ms = 100
broker_session_ms = 1000
""" + "".join(f"[[node]]\nid = {node}\n" for node in (1, 2, 3))


@pytest.fixture
def place_of(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def causes(cluster: Cluster) -> list[str]:
    directories = {node: cluster.directory / f"node-{node}" for node in cluster.nodes}
    return [f"{event.sentence}: {event.cause}" for event in Tails(directories).poll()]


def test_through_a_proxy_a_death_is_noticed_at_once_and_an_isolation_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Cluster(config=parse(IMPATIENT), isolation="thread") as cluster:
        cluster.create_topic("orders")
        with cluster.producer() as producer:
            producer.send("orders", b"before").result(20)
            leader = cluster.leader("orders", 0)
            cluster.kill(leader)
            producer.send("orders", b"after a death").result(20)
            assert f"b{leader} was fenced: b{leader}: its connection was refused" in causes(cluster)
            cluster.restart(leader)
            cluster.await_isr("orders")
            leader = cluster.leader("orders", 0)
            cluster.isolate(leader)
            producer.send("orders", b"after an isolation").result(20)
            cluster.heal(leader)
            cluster.await_isr("orders")
            assert f"b{leader} was fenced: b{leader}: no heartbeat for 1000 ms" in causes(cluster)
        with cluster.consumer("orders") as consumer:
            assert [record.value for record in consumer.poll(10)][-1] == b"after an isolation"
        ways = LinkControl(cluster.formatted).ways()
        assert [(way.source, way.target) for way in ways] == [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)]
        assert all(way.bytes > 0 and way.connections > 0 and not way.faulty for way in ways)
    assert list(tmp_path.iterdir()) == []


def test_processes_are_isolated_slowed_and_reset_through_a_proxy(place_of: Home) -> None:
    script = f"""
        import time
        from barnabas import Cluster
        from barnabas.cluster.config import parse
        with Cluster(config=parse({IMPATIENT!r})) as cluster:
            cluster.create_topic("orders")
            with cluster.producer() as producer:
                leader = cluster.leader("orders", 0)
                cluster.isolate(leader)
                place = producer.send("orders", b"isolated").result(20)
                print("elected", cluster.leader("orders", 0) != leader)
                cluster.heal()
                cluster.await_isr("orders")
                leader = cluster.leader("orders", 0)
                others = [node for node in cluster.nodes if node != leader]
                for other in others:
                    cluster.slow(other, leader, delay_ms=150)
                began = time.monotonic()
                producer.send("orders", b"slow").result(20)
                print("slow", 0.15 <= time.monotonic() - began < 5)
                cluster.heal()
                for other in others:
                    cluster.reset(leader, other)
                producer.send("orders", b"reset").result(20)
                cluster.await_isr("orders")
                print("leads still", cluster.leader("orders", 0) == leader)
        """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        env=place_of.env,
        timeout=100,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("elected True\nslow True\nleads still True\n", "")


def test_a_cluster_of_commands_has_its_proxy_back_after_a_restart_and_ends_with_it(place_of: Home) -> None:
    config = place_of.directory / "cluster.toml"
    config.write_text('[cluster]\nlinks = "proxied"\n' + "".join(f"[[node]]\nid = {node}\n" for node in (1, 2, 3)))
    assert place_of.barnabas("up", config, "--detach").code == 0
    try:
        assert place_of.barnabas("topic", "create", "orders").code == 0
        [proxy] = [process for process in place_of.left() if process.pid == links_pid(place_of.directory)]
        proxy.kill()
        assert eventually(lambda: not proxy.is_running() or proxy.status() == "zombie")
        restarted = place_of.barnabas("restart", 1)
        assert (restarted.code, restarted.err) == (0, "")
        assert links_pid(place_of.directory) != proxy.pid
        assert eventually(lambda: place_of.barnabas("produce", "orders", given="hello\n").code == 0, 30)
    finally:
        assert place_of.barnabas("down").code == 0
    assert place_of.left() == []


def links_pid(directory: Path) -> int:
    return int(msgspec.json.decode((directory / "barnabas-data/run/links.json").read_bytes())["pid"])


def test_the_proxy_answers_another_process_and_sends_strangers_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Cluster(brokers=2, isolation="thread", links="proxied") as cluster:
        formatted = cluster.formatted
        assert formatted.links is not None
        with socket.create_connection(place(formatted.links.control)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = stranger.makefile("rb").read()
        assert answer.startswith(b'{"error":"this is no order: ')
        assert answer.count(b"\n") == 1
        control = LinkControl(formatted)
        control.cut(1, 2)
        assert [way.held for way in control.ways()] == [True, False]
        with pytest.raises(ClusterRefused, match="there is no way from node 1 to node 7 in this cluster"):
            control.cut(1, 7)
    with pytest.raises(ClusterRefused, match=r"the proxy of the links does not answer at 127\.0\.0\.1:"):
        control.heal()


def test_direct_links_say_what_cannot_be_done_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Cluster(brokers=2, isolation="thread") as cluster:
        with pytest.raises(ClusterRefused, match=r'are direct: start it with `links = "proxied"` in .cluster.'):
            LinkControl(cluster.formatted)
        with pytest.raises(NotPossible, match='use links="proxied" to slow it'):
            cluster.slow(1, 2, delay_ms=5)
        with pytest.raises(NotPossible, match='use links="proxied" to break connections'):
            cluster.reset(1, 2)
        cluster.cut(1, 2)
        cluster.heal()
