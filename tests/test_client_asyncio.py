"""The asyncio producer, consumer and admin, over a fake cluster in real time; and what all six say after a fork."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from client_runtime import WorldRuntime
from client_world import ClientWorld

import barnabas
from barnabas.client import Admin, AsyncAdmin, AsyncConsumer, AsyncProducer, Consumer, FailedRecord, Producer
from barnabas.client.errors import (
    BarnabasError,
    BufferFull,
    Closed,
    ForkedClient,
    NoBrokers,
    OffsetOutOfRange,
    OperationTimeout,
    TopicExists,
    UnknownTopic,
)

T = TypeVar("T")


@pytest.fixture
def world() -> ClientWorld:
    world = ClientWorld()
    world.create("t", 2)
    return world


@pytest.fixture(autouse=True)
def plain_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake cluster's brokers are called b1, b2 and b3."""
    for module in ("producer_core", "consumer_core", "admin_core"):
        monkeypatch.setattr(f"barnabas.client.{module}.endpoints", lambda given: ["b1", "b2", "b3"])


def producer_in(world: ClientWorld, **options: object) -> AsyncProducer:
    return AsyncProducer("x", runtime=WorldRuntime(world), **options)  # type: ignore[arg-type]


def consumer_in(world: ClientWorld, *args: object, **options: object) -> AsyncConsumer:
    return AsyncConsumer("x", *args, runtime=WorldRuntime(world), **options)  # type: ignore[arg-type]


def admin_in(world: ClientWorld) -> AsyncAdmin:
    return AsyncAdmin("x", runtime=WorldRuntime(world))


def on_a_loop(main: Callable[[], Awaitable[T]]) -> T:
    async def within() -> T:
        return await asyncio.wait_for(main(), 20)

    return asyncio.run(within())


async def read(consumer: AsyncConsumer, count: int) -> list[bytes | None]:
    values: list[bytes | None] = []
    async for record in consumer:
        values.append(record.value)
        if len(values) == count:
            break
    return values


# --- The producer -------------------------------------------------------------------------------------------------


def test_what_is_sent_is_written_and_its_future_tells_where(world: ClientWorld) -> None:
    async def main() -> None:
        async with producer_in(world) as producer:
            sent = await producer.send("t", "text", key="k", headers={"h": b"1"}, partition=1)
            place = await sent
            assert place[:3] == ("t", 1, 0)
            assert (await producer.send_and_wait("t", b"more", partition=1)).offset == 1

    on_a_loop(main)
    first, second = world.topics["t"].records(1)
    assert (first.key, first.value, first.headers, second.value) == (b"k", b"text", (("h", b"1"),), b"more")


def test_many_tasks_send_in_the_order_of_their_calls_although_each_waits_for_room(world: ClientWorld) -> None:
    async def main() -> None:
        async with producer_in(world, buffer_bytes=1_000, linger_ms=0) as producer:

            async def one(i: int) -> None:
                await (await producer.send("t", b"%d" % i + b"." * 100, partition=0))

            await asyncio.gather(*(one(i) for i in range(200)))
            await producer.flush(10)

    on_a_loop(main)
    assert [int(record.value.rstrip(b".")) for record in world.topics["t"].records(0) if record.value] == [*range(200)]


def test_ten_thousand_futures_wake_the_loop_a_few_times(world: ClientWorld) -> None:
    async def main() -> int:
        loop, woken = asyncio.get_running_loop(), 0
        post = loop.call_soon_threadsafe

        def counted(*args: object, **more: object) -> asyncio.Handle:
            nonlocal woken
            woken += 1
            return post(*args, **more)  # type: ignore[arg-type]

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]
        async with producer_in(world) as producer:
            futures = await producer.send_many("t", ((None, b"%d" % i) for i in range(10_000)))
            await producer.flush()
            assert all(future.done() for future in futures)
        return woken

    assert on_a_loop(main) < 500


def test_the_loop_goes_on_while_a_send_waits_for_room_and_the_send_fails_in_words(world: ClientWorld) -> None:
    world.lead("t", 0, -1, tell=False)

    async def main() -> None:
        producer = producer_in(world, buffer_bytes=1_000, max_block_ms=100)
        await producer.send("t", b"x" * 800, partition=0)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        with pytest.raises(BufferFull, match="is the cluster reachable"):
            await producer.send("t", b"x" * 800, partition=0)
        assert ticks > 100
        ticking.cancel()
        await producer.close(0.05)
        with pytest.raises(Closed):
            await producer.send("t", b"x")

    on_a_loop(main)


def test_closing_ends_a_send_that_waits_for_room(world: ClientWorld) -> None:
    world.lead("t", 0, -1, tell=False)

    async def main() -> None:
        producer = producer_in(world, buffer_bytes=1_000)
        first = await producer.send("t", b"x" * 800, partition=0)
        second = asyncio.create_task(producer.send("t", b"x" * 800, partition=0))
        await asyncio.sleep(0)
        await producer.close(0.05)
        with pytest.raises(Closed):
            await second
        with pytest.raises(BarnabasError):
            await first

    on_a_loop(main)


def test_a_cancelled_future_forgets_the_outcome_and_not_the_record(world: ClientWorld) -> None:
    async def main() -> None:
        async with producer_in(world) as producer:
            (await producer.send("t", b"x", partition=0)).cancel()
            await producer.flush()

    on_a_loop(main)
    assert world.topics["t"].values(0) == [b"x"]


def test_an_interceptor_hears_on_the_loop_of_every_record_that_failed(world: ClientWorld) -> None:
    heard: list[tuple[FailedRecord, int]] = []

    def on_error(failed: FailedRecord) -> None:
        heard.append((failed, threading.get_ident()))

    async def main() -> None:
        async with producer_in(world, topic_timeout_ms=50, on_error=on_error) as producer:
            future = await producer.send("nope", b"v", "k", headers=[("h", b"1")], timestamp=7, partition=3)
            await producer.flush()
            with pytest.raises(UnknownTopic):
                await future
            await producer.send_and_wait("t", b"fine")

    on_a_loop(main)
    [(failed, thread)] = heard
    assert failed[:6] == ("nope", 3, b"k", b"v", (("h", b"1"),), 7)
    assert isinstance(failed.error, UnknownTopic)
    assert thread == threading.get_ident()


def test_flush_says_that_it_takes_too_long(world: ClientWorld) -> None:
    world.down = {"b1", "b2", "b3"}

    async def main() -> None:
        producer = producer_in(world)
        future = await producer.send("t", b"x")
        with pytest.raises(OperationTimeout, match="on their way"):
            await producer.flush(0.01)
        await producer.close(0.01)
        assert isinstance(future.exception(), BarnabasError)

    on_a_loop(main)


def test_a_client_belongs_to_the_loop_that_first_used_it(world: ClientWorld) -> None:
    producer = producer_in(world)
    on_a_loop(lambda: producer.send_and_wait("t", b"x"))
    with pytest.raises(RuntimeError, match="make one for each loop"):
        on_a_loop(lambda: producer.send_and_wait("t", b"x"))
    producer._runtime.close()


# --- The consumer -------------------------------------------------------------------------------------------------


def test_records_are_iterated_and_the_next_loop_goes_on_where_the_last_one_ended(world: ClientWorld) -> None:
    world.append("t", [b"%d" % i for i in range(5)])

    async def main() -> None:
        async with consumer_in(world, assignments=[("t", 0)]) as consumer:
            assert await read(consumer, 2) == [b"0", b"1"]
            assert await consumer.position("t", 0) == 2
            assert await consumer.lag("t", 0) == 3
            assert await read(consumer, 1) == [b"2"]
            assert [record.value for record in await consumer.poll(5, 10)] == [b"3", b"4"]
            assert await consumer.poll(0.01) == []
            assert await consumer.lag("t", 0) == 0

    on_a_loop(main)


def test_an_iteration_waits_for_what_is_written_later(world: ClientWorld) -> None:
    async def main() -> list[bytes | None]:
        async with consumer_in(world, "t") as consumer:
            reading = asyncio.create_task(read(consumer, 3))
            assert await consumer.position("t", 0) == 0
            world.append("t", [b"0", b"1"])
            world.append("t", [b"2"], 1)
            return await reading

    assert sorted(value or b"" for value in on_a_loop(main)) == [b"0", b"1", b"2"]


def test_closing_ends_an_iteration(world: ClientWorld) -> None:
    async def main() -> None:
        consumer = consumer_in(world, "t")
        reading = asyncio.create_task(read(consumer, 1))
        await consumer.position("t", 0)
        await consumer.close()
        assert await reading == []
        with pytest.raises(Closed):
            await consumer.poll()

    on_a_loop(main)


def test_a_seek_and_a_pause_count_from_the_next_record_on(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1", b"2"])
    world.append("t", [b"a", b"b"], 1)

    async def main() -> None:
        async with consumer_in(world, "t") as consumer:
            values = []
            async for record in consumer:
                values.append(record.value)
                if record.value == b"0":
                    consumer.pause(("t", 0))
                if record.value == b"b":
                    break
            assert b"1" not in values
            assert consumer.paused() == [("t", 0)]
            assert await consumer.position("t", 0) == 1
            consumer.resume(("t", 0))
            assert await read(consumer, 2) == [b"1", b"2"]
            await consumer.seek("t", 0, "earliest")
            assert await read(consumer, 1) == [b"0"]
            with pytest.raises(ValueError, match="time zone"):
                await consumer.seek("t", 0, datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused
            await consumer.seek("t", 0, datetime(2100, 1, 1, tzinfo=UTC))
            assert await consumer.position("t", 0) == 3

    on_a_loop(main)


def test_a_consumer_tells_offsets_and_what_went_wrong(world: ClientWorld) -> None:
    world.append("t", [b"0", b"1"])

    async def main() -> None:
        async with consumer_in(world, assignments=[("t", 0)], start=7) as consumer:
            with pytest.raises(OffsetOutOfRange, match="seek, or choose reset"):
                await consumer.poll(5)
            assert await consumer.beginning_offsets([("t", 0)]) == {("t", 0): 0}
            assert await consumer.end_offsets([("t", 0), ("t", 1)]) == {("t", 0): 2, ("t", 1): 0}
            assert await consumer.offsets_for_times({("t", 0): 0}) == {("t", 0): 0}
            await consumer.seek("t", 0, 1)
            assert await read(consumer, 1) == [b"1"]

    on_a_loop(main)


# --- The admin ----------------------------------------------------------------------------------------------------


def test_an_admin_creates_lists_describes_and_deletes(world: ClientWorld) -> None:
    world.controller = 2

    async def main() -> None:
        async with admin_in(world) as admin:
            made = await admin.create_topic("new", partitions=3, timeout=5)
            assert world.topics["new"].id == made
            with pytest.raises(TopicExists):
                await admin.create_topic("new", timeout=5)
            await admin.delete_topic("new", timeout=5)
            with pytest.raises(UnknownTopic):
                await admin.delete_topic("new", timeout=5)
            with pytest.raises(UnknownTopic):
                await admin.describe_topics(["new"], timeout=5)
            assert (await admin.describe_cluster(timeout=5)).cluster_id == "c"
            assert await admin.list_topics(timeout=5) == []

    on_a_loop(main)


def test_an_admin_says_that_nobody_answers(world: ClientWorld) -> None:
    world.down = {"b1", "b2", "b3"}

    async def main() -> None:
        async with admin_in(world) as admin:
            with pytest.raises(NoBrokers):
                await admin.create_topic("new", timeout=0.1)

    on_a_loop(main)


# --- All six ------------------------------------------------------------------------------------------------------


def test_the_package_names_the_asyncio_clients() -> None:
    assert (barnabas.AsyncProducer, barnabas.AsyncConsumer, barnabas.AsyncAdmin) == (
        AsyncProducer,
        AsyncConsumer,
        AsyncAdmin,
    )


def test_what_one_client_can_do_its_twin_can_do_too() -> None:
    for blocking, awaiting in ((Producer, AsyncProducer), (Consumer, AsyncConsumer), (Admin, AsyncAdmin)):
        public = {name for name in dir(blocking) if not name.startswith("_")}
        assert public - {name for name in dir(awaiting) if not name.startswith("_")} == set()


async def _use_async_clients(clients: tuple[AsyncProducer, AsyncConsumer, AsyncAdmin]) -> None:
    producer, consumer, admin = clients
    with pytest.raises(ForkedClient, match="make a new one"):
        await producer.send("t", b"x")
    with pytest.raises(ForkedClient):
        await producer.flush()
    with pytest.raises(ForkedClient, match="make a new one"):
        await consumer.poll(0)
    with pytest.raises(ForkedClient):
        await anext(aiter(consumer))
    with pytest.raises(ForkedClient):
        await consumer.end_offsets([("t", 0)])
    with pytest.raises(ForkedClient, match="make a new one"):
        await admin.list_topics()
    for client in clients:
        await client.close()


def _use_blocking_clients(clients: tuple[Producer, Consumer, Admin]) -> None:
    producer, consumer, admin = clients
    with pytest.raises(ForkedClient, match="make a new one"):
        producer.send("t", b"x")
    with pytest.raises(ForkedClient):
        producer.flush()
    with pytest.raises(ForkedClient, match="make a new one"):
        consumer.poll(0)
    with pytest.raises(ForkedClient):
        next(iter(consumer))
    with pytest.raises(ForkedClient):
        consumer.position("t", 0)
    with pytest.raises(ForkedClient, match="make a new one"):
        admin.list_topics()
    for client in clients:
        client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_all_six_clients_say_so() -> None:
    nowhere = "127.0.0.1:1"
    blocking = (Producer(nowhere), Consumer(nowhere, "t"), Admin(nowhere))
    awaiting = (AsyncProducer(nowhere), AsyncConsumer(nowhere, "t"), AsyncAdmin(nowhere))
    waits = blocking[0].send("t", b"x")
    child = os.fork()
    if child == 0:
        try:
            _use_blocking_clients(blocking)
            asyncio.run(_use_async_clients(awaiting))
            with pytest.raises(ForkedClient):
                waits.result()
            os._exit(17)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
    blocking[0].close(0)
    blocking[1].close()
    blocking[2].close()
    for client in awaiting:
        asyncio.run(client.close())
