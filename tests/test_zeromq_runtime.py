"""Clients over real sockets, against one shell that plays the cluster."""

from __future__ import annotations

import os
import threading
import time

import pytest
from shells import ANY_PORT, LIMIT, Do, Mailbox, Shout, beat, start

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Message
from barnabas.actors.leadership import Leaderships
from barnabas.actors.messages import BrokerHeartbeat, Describe, Described, FetchLeadership, Leadership
from barnabas.client import Admin, Producer
from barnabas.client.errors import BarnabasError, ForkedClient, NoBrokers
from barnabas.client.zeromq_runtime import ZeroMqRuntime

NOWHERE = "127.0.0.1:1"


def answer(message: Message) -> Message | None:
    """As a broker of an empty cluster."""
    if isinstance(message, FetchLeadership):
        return Leadership(message.id, ErrorCode.NONE, "cluster", 5)
    if isinstance(message, Describe):
        return Described(message.id, ErrorCode.NONE, offset=5)
    return None


def test_an_admin_asks_and_is_answered() -> None:
    with start(Mailbox(answer), bind=ANY_PORT) as broker, Admin(broker.endpoint) as admin:
        assert admin.list_topics(timeout=LIMIT) == []


def test_closing_is_quick_and_leaves_no_thread() -> None:
    before = threading.active_count()
    admin = Admin(NOWHERE)
    began = time.monotonic()
    admin.close()
    admin.close()
    assert time.monotonic() - began < 1.0
    assert threading.active_count() == before


def test_nobody_at_the_address_is_said_in_time() -> None:
    with Admin(NOWHERE) as admin, pytest.raises(NoBrokers, match=NOWHERE):
        admin.list_topics(timeout=0.1)


def test_a_client_subscribes_to_the_broadcasts_that_it_learns_of() -> None:
    box = Mailbox(answer)
    with start(box, bind=ANY_PORT, broadcast=ANY_PORT) as broker:
        runtime = ZeroMqRuntime()
        client = Follower([broker.endpoint])
        runtime.start(lambda: client)
        client.leaderships.broadcasts = [str(broker.shell.broadcast_endpoint)]
        runtime.tell(Do(lambda ctx: None))  # a turn: it notices
        broker.do(lambda ctx: ctx.set_timer(Shout("L", beat(9)), 0))
        assert client.hear_only(BrokerHeartbeat)[0] == broker.broker
        runtime.close()


class Follower(Mailbox):
    """An actor that knows of broadcasts."""

    def __init__(self, bootstrap: list[str]) -> None:
        super().__init__()
        self.leaderships = Leaderships(bootstrap)


def test_a_client_that_has_failed_says_so() -> None:
    def fail(ctx: object) -> None:
        raise AssertionError("a bug")

    runtime = ZeroMqRuntime()
    runtime.start(Mailbox)
    runtime.tell(Do(fail))
    assert runtime._thread is not None
    runtime._thread.join(LIMIT)
    with pytest.raises(BarnabasError, match="a bug"):
        runtime.tell(Do(fail))
    runtime.close()


def test_closing_from_its_own_thread_does_not_wait_for_itself() -> None:
    runtime = ZeroMqRuntime()
    runtime.start(Mailbox)
    runtime.tell(Do(lambda ctx: runtime.close()))
    assert runtime._thread is not None
    runtime._thread.join(LIMIT)
    assert not runtime._thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_a_client_is_dead_in_the_child_and_well_in_the_parent() -> None:
    with start(Mailbox(answer), bind=ANY_PORT) as broker, Admin(broker.endpoint) as admin:
        admin.list_topics(timeout=LIMIT)
        child = os.fork()
        if child == 0:
            try:
                admin.list_topics(timeout=1)
            except ForkedClient:
                admin.close()
                os._exit(17)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        assert admin.list_topics(timeout=LIMIT) == []


def test_a_producer_without_a_cluster_gives_up_what_it_holds_when_it_closes() -> None:
    producer = Producer(NOWHERE)
    future = producer.send("orders", b"x")
    producer.close(timeout=0.05)
    assert isinstance(future.exception(LIMIT), BarnabasError)
