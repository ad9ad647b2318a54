"""Kafka's Python clients behind the one way to send that the account knows (`account.Sender`).

Each has its own defaults but for acks=all and idempotence; all three are imported only when they are asked for.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from ..client.errors import BarnabasError
from .account import Sender

PATIENCE = 60.0

Headers = Sequence[tuple[str, bytes]]


class _Confluent:
    """confluent-kafka: what became of a record is told while something else is sent, or flushed."""

    def __init__(self, bootstrap: str) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})

    def send(
        self, topic: str, value: bytes, key: bytes | None = None, *, headers: Headers = (), partition: int | None = None
    ) -> Future[None]:
        future: Future[None] = Future()
        place = -1 if partition is None else partition
        self._producer.produce(topic, value, key, place, lambda error, _: _tell(future, error), headers=list(headers))
        self._producer.poll(0)
        return future

    def flush(self, timeout: float) -> None:
        left = self._producer.flush(timeout)
        if left:
            raise BarnabasError(f"{left} records have no outcome after {timeout:g} s")

    def close(self) -> None:
        self._producer.flush(PATIENCE)


class _KafkaPython:
    """kafka-python, which is idempotent by default."""

    def __init__(self, bootstrap: str) -> None:
        from kafka import KafkaProducer  # type: ignore[import-untyped]

        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")

    def send(
        self, topic: str, value: bytes, key: bytes | None = None, *, headers: Headers = (), partition: int | None = None
    ) -> Future[None]:
        future: Future[None] = Future()
        sent = self._producer.send(topic, value, key, headers=list(headers), partition=partition)
        sent.add_callback(lambda _: _tell(future, None))
        sent.add_errback(lambda error: _tell(future, error))
        return future

    def flush(self, timeout: float) -> None:
        self._producer.flush(timeout)

    def close(self) -> None:
        self._producer.close()


class _AioKafka:
    """aiokafka, on a loop of its own in a thread."""

    def __init__(self, bootstrap: str) -> None:
        import aiokafka  # type: ignore[import-untyped]

        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aiokafka", daemon=True)
        self._thread.start()
        self._sent: set[Future[None]] = set()

        async def begin() -> Any:  # noqa: ANN401  # a class of aiokafka's
            producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
            await producer.start()
            return producer

        self._producer = asyncio.run_coroutine_threadsafe(begin(), self._loop).result(PATIENCE)

    def send(
        self, topic: str, value: bytes, key: bytes | None = None, *, headers: Headers = (), partition: int | None = None
    ) -> Future[None]:
        sending = self._producer.send_and_wait(topic, value, key, partition=partition, headers=list(headers))
        future = asyncio.run_coroutine_threadsafe(sending, self._loop)
        self._sent.add(future)
        future.add_done_callback(self._sent.discard)
        return future

    def flush(self, timeout: float) -> None:
        for future in [*self._sent]:
            future.exception(timeout)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._producer.stop(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _tell(future: Future[None], error: object) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error if isinstance(error, Exception) else BarnabasError(str(error)))


_MAKERS: dict[str, Callable[[str], _Confluent | _KafkaPython | _AioKafka]] = {
    "confluent-kafka": _Confluent,
    "kafka-python": _KafkaPython,
    "aiokafka": _AioKafka,
}

CLIENTS = tuple(_MAKERS)


@contextmanager
def kafka_producer(client: str, bootstrap: str) -> Iterator[Sender]:
    """A producer of one of CLIENTS. Raises BarnabasError if that client is not installed."""
    try:
        producer = _MAKERS[client](bootstrap)
    except ImportError:
        raise BarnabasError(f"{client} is not installed: pip install {client}") from None
    try:
        yield producer
    finally:
        producer.close()
