"""What the Kafka door takes, and what it does not: bytes, connections, patience, and mistakes of our own.

The broker behind it is a stand-in that answers as a test wants. Limits are small here; each must cost only the
connection that exceeds it, which a well-behaved client beside it checks.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest
from kafka_client import Closed, KafkaClient, batch, produce_request
from shells import Mailbox, Running, start

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation, Message, Payload
from barnabas.actors.messages import (
    Consume,
    Consumed,
    ConsumedPartition,
    OffsetsFound,
    Partition,
    Produce,
    Produced,
    ProducedBatch,
    TopicId,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import BrokerRegistered, BrokerUnfenced, PartitionCreated, TopicCreated
from barnabas.transport.kafka.codec import Header, write_request
from barnabas.transport.kafka.door import Door
from barnabas.transport.kafka.limits import READ_AHEAD_BYTES, WRITE_AHEAD, Limits
from barnabas.transport.kafka.messages import api_versions, fetch
from barnabas.transport.kafka.table import APIS
from barnabas.transport.kafka.view import View, uuid_of
from barnabas.transport.process import Ending

TOPIC = TopicId("AAAAAAAAAAAAAAAAAAAAAw")
LISTENER = "PLAINTEXT"
MIB = 1 << 20


class StandIn(Mailbox):
    """A broker that leads partition 0 of topic `t`, and takes and gives what it is asked for."""

    serving = True

    def __init__(self, reply: Callable[[Message], Message | None] | None = None, record_bytes: int = 0) -> None:
        super().__init__(reply or self._usual)
        self.record_bytes = record_bytes
        self.image = MetadataImage()
        self.image.apply(
            [
                BrokerRegistered(1, Incarnation(1), "d", "tcp://127.0.0.1:1", "", 0, {LISTENER: "127.0.0.1:1"}),
                BrokerUnfenced(1, 0),
                TopicCreated(TOPIC, "t"),
                PartitionCreated(Partition(TOPIC, 0), [1], [1], 1),
            ],
            0,
        )

    def _usual(self, message: Message) -> Message | None:
        match message:
            case Produce():
                return Produced(message.id, [ProducedBatch(b.partition, ErrorCode.NONE, 7, 0) for b in message.batches])
            case Consume():
                records = Payload(bytes(self.record_bytes))
                parts = [
                    ConsumedPartition(p.partition, ErrorCode.NONE, 1, 0, records, 1, 0, 1) for p in message.partitions
                ]
                return Consumed(message.id, parts)
            case _:
                return None


class Opened:
    """A door in a shell of its own."""

    def __init__(self, door: Door, running: Running, log: list[str]) -> None:
        self.door, self.running, self.log = door, running, log

    def client(self) -> KafkaClient:
        return KafkaClient(self.door.address)

    def serves(self) -> bool:
        """Whether another client is answered."""
        with self.client() as other:
            return int(other.produce("t", batch(b"x")).base_offset) == 7

    def counts(self, name: str, least: int = 1) -> bool:
        """Whether that many connections come to be counted so."""
        return soon(lambda: getattr(self.door.counted, name) >= least)


def soon(true: Callable[[], bool], seconds: float = 15.0) -> bool:
    """What another thread does can only be looked at."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def opened(broker: StandIn | None = None, ends: Ending = Ending.CLOSED, **limits: int) -> Iterator[Opened]:
    broker = broker or StandIn()
    log: list[str] = []
    door = Door("127.0.0.1:0", View(broker, 1, "cluster", LISTENER), Limits(**limits), log.append)
    with start(broker, door=door, ends=ends, log=log.append) as running:
        yield Opened(door, running, log)


def fetch_request() -> fetch.FetchRequest:
    partition = fetch.FetchPartition(0, partition_max_bytes=100 * MIB)
    return fetch.FetchRequest(topics=[fetch.FetchTopic(topic_id=uuid_of(TOPIC), partitions=[partition])])


# --- Connections


def test_connections_beyond_the_limit_are_closed_and_places_that_are_left_are_taken() -> None:
    with opened(max_connections=3) as place, ExitStack() as stack:
        clients = [stack.enter_context(place.client()) for _ in range(3)]
        for client in clients:
            assert client.ask(api_versions.ApiVersionsRequest()).error_code == 0
        with place.client() as fourth:
            assert fourth.is_closed()
        assert place.door.counted.refused == 1
        clients[0].socket.close()
        assert soon(lambda: _served(place))


def test_connections_that_never_ask_for_anything_keep_nobody_out() -> None:
    with opened(max_connections=3) as place, ExitStack() as stack:
        host, port = place.door.address.split(":")
        idle = [stack.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(3)]
        assert place.counts("accepted", 3)
        assert soon(lambda: _served(place)), "as soon as they are old enough to be strangers"
        assert place.door.counted.idle == 1
        idle[0].settimeout(20)
        assert idle[0].recv(1) == b"", "the oldest one has gone"


def _served(place: Opened) -> bool:
    try:
        return place.serves()
    except (Closed, OSError):
        return False


def test_a_connection_that_asks_for_nothing_is_closed_after_its_time() -> None:
    with opened(connections_max_idle_ms=200, sweep_ms=20) as place, place.client() as client:
        assert client.ask(api_versions.ApiVersionsRequest()).error_code == 0
        assert client.is_closed()
        assert place.counts("idle")
        assert place.serves()


def test_a_request_that_waits_is_not_idle() -> None:
    silent = StandIn(lambda message: None)
    with opened(silent, connections_max_idle_ms=50, sweep_ms=10) as place, place.client() as client:
        client.tell(fetch_request())
        silent.hear_only(Consume)
        with place.client() as idle:
            assert idle.is_closed(), "which shows that the time is over"
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)


def test_a_frame_that_does_not_go_on_is_given_up() -> None:
    with opened(stuck_ms=200, sweep_ms=20) as place, place.client() as slow, place.client() as client:
        slow.send((1000).to_bytes(4) + bytes(10))
        assert slow.is_closed()
        assert place.counts("stuck")
        assert client.ask(api_versions.ApiVersionsRequest()).error_code == 0, "who is between requests is not stuck"


def test_idle_connections_cost_little_and_disturb_nobody() -> None:
    """A thousand; `KAFKA_CONNECTIONS=9500` needs 20,000 descriptors, since both ends are in this process."""
    wanted = int(os.environ.get("KAFKA_CONNECTIONS", "1000"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * wanted + 500:
        if hard < 2 * wanted + 500:
            pytest.skip(f"{wanted} connections need {2 * wanted + 500} descriptors, this process may have {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with opened() as place, ExitStack() as stack:
        gc.collect()
        before = psutil.Process().memory_info().rss
        host, port = place.door.address.split(":")
        for _ in range(wanted):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
        assert place.counts("accepted", wanted)
        each = (psutil.Process().memory_info().rss - before) / wanted
        assert each < 16_000, f"{each:.0f} bytes for each connection, both ends"
        assert place.serves()


# --- Bytes


def test_a_length_is_believed_only_as_far_as_bytes_have_come() -> None:
    with opened() as place, ExitStack() as stack:
        clients = [stack.enter_context(place.client()) for _ in range(20)]
        for client in clients:
            client.send((100 * MIB).to_bytes(4) + bytes(100))
        assert soon(lambda: place.door.buffered == 20 * MIB), "and not two gigabytes"
        assert place.serves()
        for client in clients:
            client.socket.close()
        assert soon(lambda: place.door.buffered == 0)


def test_frames_beyond_the_budget_wait_until_there_is_room() -> None:
    with opened(queued_max_request_bytes=2 * MIB) as place, place.client() as first, place.client() as second:
        for client in (first, second):
            client.send((MIB + 1000).to_bytes(4) + bytes(100))
        with place.client() as third:
            header = third.tell(produce_request("t", batch(bytes(900_000))))
            assert soon(lambda: len(place.door.starved) == 1)
            assert place.serves(), "small requests are served meanwhile"
            first.socket.close()
            assert third.hear(header).responses[0].partition_responses[0].base_offset == 7


def test_a_frame_that_grows_beyond_the_budget_costs_its_connection() -> None:
    with opened(queued_max_request_bytes=3 * MIB) as place, place.client() as greedy:
        with pytest.raises((ConnectionError, TimeoutError)):
            greedy.send((90 * MIB).to_bytes(4) + bytes(90 * MIB))
        assert place.counts("over_budget")
        assert soon(lambda: place.door.buffered == 0)
        assert place.serves()


def test_who_does_not_read_its_replies_has_its_next_request_wait() -> None:
    broker = StandIn(record_bytes=4 * MIB)
    with opened(broker) as place, place.client() as deaf:
        for _ in range(12):
            deaf.tell(fetch_request())
        assert soon(lambda: place.door.owed > WRITE_AHEAD)
        assert place.door.owed < 5 * MIB, "one reply, and not twelve"
        assert place.serves()
        assert broker.heard.qsize() < 8
        for number in range(1, 13):
            deaf.correlation = number
            assert len(deaf.frame()) > 4 * MIB
        assert soon(lambda: place.door.owed == 0)


def test_replies_beyond_the_budget_cost_the_connection_that_does_not_read() -> None:
    broker = StandIn(record_bytes=8 * MIB)
    with opened(broker, queued_max_response_bytes=20 * MIB) as place, ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(place.client()).tell(fetch_request())
        assert place.counts("over_budget")
        assert soon(lambda: place.door.owed <= 20 * MIB)
        assert place.serves()


def test_a_reply_that_is_not_taken_is_given_up() -> None:
    broker = StandIn(record_bytes=8 * MIB)
    with opened(broker, stuck_ms=200, sweep_ms=20) as place, place.client() as deaf:
        deaf.tell(fetch_request())
        assert place.counts("stuck")
        assert soon(lambda: place.door.owed == 0)
        assert place.serves()


def test_who_sends_ahead_is_read_no_further() -> None:
    silent = StandIn(lambda message: None)
    with opened(silent) as place, place.client() as eager, place.client() as other:
        eager.tell(fetch_request())
        silent.hear_only(Consume)
        eager.socket.settimeout(1.0)
        frames = b"".join(write_request(Header(APIS[0], 9, 1, "me"), produce_request("t", batch(bytes(100_000))))) * 500
        with pytest.raises(TimeoutError):
            eager.send(frames)
        assert place.door.buffered < READ_AHEAD_BYTES + 4 * MIB
        assert other.ask(api_versions.ApiVersionsRequest()).error_code == 0


# --- Mistakes of our own


def test_a_request_that_cannot_be_translated_costs_its_connection_and_leaves_a_trace() -> None:
    """A bug in the door, here an answer that no exchange expects, must not be a way to end brokers."""
    broker = StandIn(lambda message: OffsetsFound(0, []) if isinstance(message, Consume) else None)
    with opened(broker) as place, place.client() as client, place.client() as other:
        client.tell(fetch_request())
        assert client.is_closed()
        assert place.door.counted.failed == 1
        assert any("AssertionError: Fetch expected Consumed, was told OffsetsFound" in line for line in place.log)
        assert other.ask(api_versions.ApiVersionsRequest()).error_code == 0


def test_an_exception_out_of_an_actor_ends_the_node() -> None:
    def broken(message: Message) -> Message | None:
        if isinstance(message, Consume):
            raise ZeroDivisionError("a bug of the broker")
        return None

    with opened(StandIn(broken), ends=Ending.BUG) as place, place.client() as client:
        client.tell(fetch_request())
        assert client.is_closed()
        assert place.running.wait().reason == "ZeroDivisionError: a bug of the broker"


def test_an_answer_for_a_client_that_has_left_is_dropped() -> None:
    silent = StandIn(lambda message: None)
    with opened(silent) as place:
        with place.client() as client:
            client.tell(fetch_request())
            sender, message = silent.hear_only(Consume)
        assert isinstance(message, Consume)
        assert soon(lambda: place.running.look(lambda ctx: len(place.door._connections)) == 0)
        place.running.say(sender, Consumed(message.id, []))
        assert place.running.look(lambda ctx: place.door.pending) is False
        assert place.door.counted.failed == 0
