"""Sockets between shells, and between a shell and peers that mean no good. Everything is on loopback, on free ports."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import zmq
from shells import (
    ANY_PORT,
    LIMIT,
    Mailbox,
    Running,
    Shout,
    Timer,
    answer_beats,
    beat,
    bulk,
    frames_of,
    raw,
    start,
)

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Address, Message, Payload, node_of
from barnabas.actors.messages import HeartbeatReply, MetadataUpdate, PeerBack, PeerGone, Reborn
from barnabas.transport.budget import MAX_AGE, MAX_FRAME, MAX_MESSAGE, PEER_BYTES, Counters
from barnabas.transport.monitor import KNOCK_EVERY, is_gone
from barnabas.transport.options import new_context, new_socket
from barnabas.transport.peers import Peer

NOWHERE = "tcp://127.0.0.1:1"
MIB = 1 << 20


class Later(Timer, frozen=True):
    """A test waits for this, where nothing else is expected to happen."""


# --- Requests and replies ---


def test_a_reply_goes_to_the_route_of_its_request_and_comes_from_the_endpoint_that_was_asked() -> None:
    with start(bind=ANY_PORT) as server, start() as client:
        sender, reply = client.ask(server.broker, 7)
        assert sender == server.broker
        assert reply == HeartbeatReply(7, ErrorCode.NONE)
        origin, request = server.box.hear()
        assert origin.startswith("@")
        assert request == beat(7)


def test_a_payload_arrives_byte_for_byte_whatever_its_size() -> None:
    with start(bind=ANY_PORT) as server, start() as client:
        for size in (0, 1, 100_000, 200_000, 5 * MIB):
            data = os.urandom(size)
            client.say(server.broker, bulk(size, Payload(data)))
            _, heard = server.box.hear()
            assert isinstance(heard, MetadataUpdate)
            assert heard.records == Payload(data)


def test_what_waits_for_a_peer_that_is_not_there_yet_is_sent_when_it_comes() -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{place.getsockname()[1]}"
    with start() as client:
        client.say(Address(f"{endpoint}/broker"), beat(1))
        assert client.look(lambda ctx: client.shell.counters.sent) == 0
        with start(bind=endpoint) as server:
            assert server.box.hear()[1] == beat(1)


def test_a_reply_to_a_vanished_peer_is_counted_and_harms_nobody() -> None:
    with start(bind=ANY_PORT) as server, start() as other:
        with start() as client:
            client.ask(server.broker)
            route, _ = server.box.hear()
        while server.look(lambda ctx: server.shell.counters.unroutable) == 0:
            server.say(route, HeartbeatReply(2, ErrorCode.NONE))
        assert node_of(other.ask(server.broker)[0]) == server.endpoint


def test_a_route_that_nobody_ever_had_is_counted() -> None:
    with start(bind=ANY_PORT) as server:
        server.say(Address("@00ff/broker"), beat(1))
        assert server.look(lambda ctx: server.shell.counters.unroutable) == 1


@pytest.mark.parametrize(
    "endpoint", ["b1", "", "tcp://", "tcp://nonsense", "inproc://x", "ipc:///tmp/x", "tcp://127.0.0.1:x"]
)
def test_an_endpoint_that_cannot_be_is_counted(endpoint: str) -> None:
    with start() as client:
        client.say(Address(f"{endpoint}/broker"), beat(1))
        assert client.look(lambda ctx: client.shell.counters.unroutable) == 1


def test_a_message_for_the_life_before_a_restart_is_dropped_and_answered_with_reborn() -> None:
    with start() as client:
        with start(bind=ANY_PORT, life=11) as server:
            endpoint, there = server.endpoint, server.broker
            client.ask(there)
        with start(bind=endpoint, life=12) as server:
            client.say(there, beat(2))
            while server.look(lambda ctx: server.shell.node.dropped) == 0:
                pass
            while client.look(lambda ctx: client.shell.counters.received) < 2:
                pass  # Reborn: from now on the client speaks to this life
            assert client.ask(there, 3)[1] == HeartbeatReply(3, ErrorCode.NONE)


# --- Broadcasts ---


def test_a_broadcast_reaches_the_subscribed_actor_from_the_publishers_node() -> None:
    with start(bind=ANY_PORT, broadcast=ANY_PORT) as publisher:
        news = publisher.shell.broadcast_endpoint
        with start(subscribe=[news], topics={"M": "broker"}) as subscriber:
            publisher.do(lambda ctx: ctx.set_timer(Shout("M", beat(9)), 0))
            sender, message = subscriber.box.hear()
            assert (sender, message) == (publisher.broker, beat(9))
            assert node_of(sender) != news


def test_a_broadcaster_may_be_learned_of_later_and_be_the_node_itself() -> None:
    with start(bind=ANY_PORT, broadcast=ANY_PORT, topics={"M": "broker"}) as node:
        node.do(lambda ctx: node.shell.subscribe(node.shell.broadcast_endpoint))
        node.do(lambda ctx: ctx.set_timer(Shout("M", beat(9)), 0))
        assert node.box.hear() == (node.broker, beat(9))


def test_other_topics_are_not_delivered_not_even_those_that_begin_alike() -> None:
    with start(bind=ANY_PORT, broadcast=ANY_PORT) as publisher, start(topics={"M": "broker"}) as subscriber:
        subscriber.do(lambda ctx: subscriber.shell.subscribe(publisher.shell.broadcast_endpoint))
        publisher.do(lambda ctx: ctx.set_timer(Shout("MX", beat(1)), 0))
        while subscriber.look(lambda ctx: subscriber.shell.counters.foreign) == 0:
            pass
        publisher.do(lambda ctx: ctx.set_timer(Shout("M", beat(2)), 0))
        assert subscriber.box.hear()[1] == beat(2)


# --- Peers that mean no good ---


def still_serves(server: Running, client: Running) -> bool:
    return client.ask(server.broker)[1] == HeartbeatReply(1, ErrorCode.NONE)


def malformed(server: Running) -> int:
    return int(server.look(lambda ctx: server.shell.counters.malformed))


GOOD = frames_of(beat(1))[0]


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"", b""],
        [b"", GOOD],  # a REQ socket's way
        [b"GET / HTTP/1.1\r\n\r\n"],
        [os.urandom(1000)],
        [b"\xdd\xff\xff\xff\xff"],  # an array that claims four billion elements
        [b"\x91" * 5000 + b"\x00"],  # nested deeper than any stack
        [GOOD[:-1]],
        [GOOD + b"\x00"],
        [GOOD, b"a payload that the envelope does not name"],
        [GOOD.replace(b"BrokerHeartbeat", b"BrokerHeartbeax")],
        [GOOD.replace(b"\x96\x01", b"\x96\x02", 1)],  # another protocol version
        [frames_of(bulk(1, Payload(bytes(MIB))))[0]],  # the payload is missing
        [b"x" * (5 * MIB)],
        [b"x"] * 10_000,
        [b""] * 60_000,
        [b"x" * (10 * MIB)] * 6,  # each frame is allowed, their sum is not
    ],
    ids=lambda frames: f"{len(frames)} frames, {len(frames[0])} bytes",
)
def test_what_is_no_message_is_counted_and_dropped(frames: list[bytes]) -> None:
    with start(bind=ANY_PORT) as server, start() as client, raw(zmq.DEALER, server.endpoint) as peer:
        peer.send_multipart(frames)
        peer.send_multipart(frames_of(beat(5)))  # it is heard after all that, so nothing was left half read
        assert server.box.hear()[1] == beat(5)
        assert malformed(server) == 1
        assert still_serves(server, client)


def test_what_only_the_process_itself_may_say_does_not_come_from_outside() -> None:
    with start(bind=ANY_PORT) as server, raw(zmq.DEALER, server.endpoint) as peer:
        frame = frames_of(Reborn())[0].replace(b"\xa6Reborn", b"\xa8PeerGone")
        peer.send(frame)
        peer.send_multipart(frames_of(beat(5)))
        assert server.box.hear()[1] == beat(5)
        assert malformed(server) == 1


@pytest.mark.parametrize("kind", [zmq.REQ, zmq.PUSH, zmq.PUB, zmq.SUB, zmq.PAIR, zmq.ROUTER])
def test_sockets_of_other_kinds_do_no_harm(kind: int) -> None:
    with start(bind=ANY_PORT, broadcast=ANY_PORT) as server, start() as client:
        for endpoint in (server.endpoint, server.shell.broadcast_endpoint):
            assert endpoint is not None
            with raw(kind, endpoint) as peer:
                if kind == zmq.SUB:
                    peer.setsockopt(zmq.SUBSCRIBE, b"")
                else:
                    peer.setsockopt(zmq.SNDTIMEO, 20)
                    with suppress(zmq.Again):
                        peer.send_multipart([GOOD, b"x"])
                assert still_serves(server, client)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00" * 100,
        b"\xff" * 4096,
        os.urandom(10_000),
    ],
    ids=["http", "tls", "zeros", "ones", "random"],
)
def test_bytes_that_are_no_zeromq_do_no_harm(data: bytes) -> None:
    with start(bind=ANY_PORT) as server, start() as client:
        address = ("127.0.0.1", int(server.endpoint.rpartition(":")[2]))
        silent = [socket.create_connection(address) for _ in range(20)]
        for talker in silent[10:]:
            talker.sendall(data)
        assert still_serves(server, client)
        for one in silent:
            one.close()
        assert still_serves(server, client)


def test_a_frame_that_is_too_large_costs_its_sender_the_connection_and_nobody_else_anything() -> None:
    with start(bind=ANY_PORT) as server, start() as client, raw(zmq.DEALER, server.endpoint) as peer:
        monitor = peer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        assert still_serves(server, client)
        peer.send(b"x" * (MAX_FRAME + 1))
        assert monitor.poll(int(LIMIT * 1000)), "the connection ends"
        peer.disable_monitor()
        assert still_serves(server, client)


def test_what_no_peer_would_accept_is_not_sent() -> None:
    with start(bind=ANY_PORT) as server, start() as client:
        client.say(server.broker, bulk(1, Payload(bytes(MAX_FRAME + 1))))
        assert still_serves(server, client)
        assert client.look(lambda ctx: client.shell.counters.too_large) == 1
        assert MAX_FRAME < MAX_MESSAGE < PEER_BYTES


# --- Budgets ---


@contextmanager
def unconnected() -> Iterator[tuple[Peer, Counters]]:
    context = new_context()
    counters = Counters()
    peer = Peer(NOWHERE, new_socket(context, zmq.DEALER, NOWHERE), counters, 0.0)
    yield peer, counters
    peer.close(0)
    context.term()


def test_more_bytes_than_the_budget_of_a_peer_are_dropped_and_counted() -> None:
    frame = bytes(MIB)
    with unconnected() as (peer, counters):
        for _ in range(100):
            peer.send([frame], MIB, 0.0)
        assert counters.over_budget == 100 - PEER_BYTES // MIB


def test_what_has_waited_for_too_long_is_dropped_and_counted() -> None:
    with unconnected() as (peer, counters):
        peer.send([b"x"], 1, 0.0)
        peer.send([b"x"], 1, 0.5)
        peer.expire(MAX_AGE - 0.01)
        assert counters.expired == 0
        peer.expire(MAX_AGE)
        assert counters.expired == 1
        assert peer.waiting


def test_waiting_messages_expire_by_themselves() -> None:
    with start() as client:
        client.say(Address(f"{NOWHERE}/broker"), beat(1))
        while client.look(lambda ctx: client.shell.counters.expired) == 0:
            pass


def test_a_peer_that_does_not_read_holds_no_more_than_its_budget() -> None:
    with start(bind=ANY_PORT) as server, start() as client, raw(zmq.DEALER, server.endpoint) as peer:
        peer.setsockopt(zmq.RCVHWM, 1)
        peer.send_multipart(frames_of(beat(1)))
        route, _ = server.box.hear()
        server.say(route, bulk(1, Payload(bytes(MIB))), times=200)
        assert server.look(lambda ctx: server.shell.counters.over_budget) > 100
        assert still_serves(server, client)


def test_bulk_replies_do_not_delay_a_heartbeat() -> None:
    def reply(message: Message) -> Message | None:
        return bulk(1, Payload(data)) if isinstance(message, MetadataUpdate) else answer_beats(message)

    data = bytes(MIB)
    with start(Mailbox(reply), bind=ANY_PORT) as server, start(Mailbox(lambda m: bulk(1, None))) as greedy:
        greedy.say(server.broker, bulk(1, None), times=8)  # eight replies of 1 MiB under way, always
        with start() as client:
            times = []
            for number in range(100):
                greedy.box.hear()
                began = time.perf_counter()
                client.ask(server.broker, number)
                times.append(time.perf_counter() - began)
    assert statistics.median(times) < 0.050
    assert sorted(times)[-5] < 0.150


# --- Death ---

CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from shells import *
from barnabas.transport.process import Shell
box = Mailbox(answer_beats)
disk = MemoryDisk(Random(1))
def say(shell):
    print(shell.endpoint, flush=True)
Shell(lambda endpoint: Node(endpoint, 77, disk, Random(1), {"broker": box}), bind=ANY_PORT, on_start=say).run()
"""


@contextmanager
def child() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A node in a process of its own, and its endpoint."""
    here = str(Path(__file__).parent)
    with subprocess.Popen([sys.executable, "-c", CHILD, here], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_kill_9_of_a_peer_is_noticed_at_once() -> None:
    with child() as (process, endpoint), start(watch=[endpoint]) as watcher:
        watcher.ask(Address(f"{endpoint}/broker"))
        killed = time.perf_counter()
        process.kill()
        sender, message = watcher.box.hear()
        took = time.perf_counter() - killed
        assert isinstance(message, PeerGone)
        assert (sender, message.node, message.incarnation) == ("local", endpoint, 77)
        assert took < 1.0  # it takes 25 ms; 20 of these are between the two knocks


def test_a_watched_peer_is_watched_without_ever_being_asked() -> None:
    with child() as (process, endpoint), start() as watcher:
        watcher.do(lambda ctx: watcher.shell.watch(endpoint))
        with start(watch=[endpoint]) as other:  # until it has answered this one, the first is not connected for sure
            other.ask(Address(f"{endpoint}/broker"))
        watcher.ask(Address(f"{endpoint}/broker"))
        process.kill()
        assert watcher.box.hear_only(PeerGone)[1].node == endpoint


def test_a_connection_that_comes_back_is_told() -> None:
    with start() as watcher:
        with start(bind=ANY_PORT) as server:
            endpoint = server.endpoint
            watcher.do(lambda ctx: watcher.shell.watch(endpoint))
            watcher.ask(server.broker)
        assert watcher.box.hear_only(PeerGone)[1].node == endpoint
        with start(bind=endpoint):
            assert watcher.box.hear_only(PeerBack)[1].node == endpoint


def test_a_pause_is_no_death() -> None:
    with child() as (process, endpoint), start(watch=[endpoint]) as watcher:
        there = Address(f"{endpoint}/broker")
        watcher.ask(there)
        process.send_signal(signal.SIGSTOP)
        watcher.say(there, beat(2))
        watcher.do(lambda ctx: ctx.set_timer(Later(), 300))
        watcher.box.timers.get(timeout=LIMIT)
        process.send_signal(signal.SIGCONT)
        assert watcher.box.hear()[1] == HeartbeatReply(2, ErrorCode.NONE)


def test_closing_or_unwatching_gives_no_false_hint() -> None:
    with start(bind=ANY_PORT) as server, start(watch=[server.endpoint]) as watcher:
        watcher.ask(server.broker)
        watcher.do(lambda ctx: watcher.shell.unwatch(server.endpoint))
        server.end()
        watcher.do(lambda ctx: ctx.set_timer(Later(), int(5_000 * KNOCK_EVERY)))
        watcher.box.timers.get(timeout=LIMIT)
        assert watcher.box.heard.empty()


def knock(listener: socket.socket | None, endpoint: str, accepts: int = 0) -> bool:
    async def run() -> bool:
        async def stop_listening() -> None:
            for _ in range(accepts):
                await asyncio.get_running_loop().sock_accept(listener)
            listener.close()

        task = asyncio.create_task(stop_listening()) if listener is not None and accepts else None
        gone = await is_gone(endpoint, lambda: True)
        if task is not None:
            await task
        return gone

    return asyncio.run(run())


def listening() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener, f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_whoever_listens_is_not_gone() -> None:
    listener, endpoint = listening()
    with listener:
        assert not knock(listener, endpoint)


def test_whoever_refuses_twice_is_gone() -> None:
    listener, endpoint = listening()
    listener.close()
    assert knock(None, endpoint)


def test_the_dying_may_still_accept_once() -> None:
    listener, endpoint = listening()
    assert knock(listener, endpoint, accepts=1)


def test_a_peer_that_has_come_back_is_not_gone() -> None:
    listener, endpoint = listening()
    listener.close()
    assert not asyncio.run(is_gone(endpoint, lambda: False))
