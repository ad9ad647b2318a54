"""A Kafka client that says exactly what a test wants, good or bad: frames over a blocking socket, our own codec.

`KafkaClient` asks and is answered; `batch` makes what a producer would send.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from barnabas.storage.disk import Buffer
from barnabas.storage.records import Record, encode_batch
from barnabas.transport.kafka.codec import Header, read_response, write_request
from barnabas.transport.kafka.messages import fetch, metadata, produce
from barnabas.transport.kafka.table import APIS, Api
from barnabas.transport.kafka.wire import Schema

LIMIT = 20.0
"""Seconds that any answer may take before the test fails."""

BY_NAME = {api.name: api for api in APIS.values()}


class Closed(Exception):
    """The broker has closed the connection."""


class KafkaClient:
    """One connection. `place` is "HOST:PORT", or several with commas, of which the first is taken."""

    def __init__(self, place: str) -> None:
        host, _, port = place.split(",", maxsplit=1)[0].rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=LIMIT)
        self.correlation = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.socket.close()

    # --- Messages

    def ask(self, request: Schema, version: int = -1) -> Any:  # noqa: ANN401  # one class per API
        """The response; version -1 is the newest."""
        return self.hear(self.tell(request, version))

    def tell(self, request: Schema, version: int = -1) -> Header:
        """Send a request; its header is what `hear` needs."""
        api: Api = BY_NAME[type(request).__name__.removesuffix("Request")]
        self.correlation += 1
        header = Header(api, api.newest if version < 0 else version, self.correlation, "test")
        self.send(b"".join(write_request(header, request)))
        return header

    def hear(self, header: Header) -> Any:  # noqa: ANN401
        """The response to the request with this header, which must be the next one."""
        return read_response(header, memoryview(self.frame()))

    # --- Bytes

    def send(self, data: Buffer) -> None:
        self.socket.sendall(data)

    def frame(self) -> bytes:
        """The next frame, without its length. Raises Closed."""
        return self._exactly(int.from_bytes(self._exactly(4)))

    def is_closed(self) -> bool:
        """Whether the broker closes the connection, without another word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionError:
                piece = b""
            if not piece:
                raise Closed(f"after {len(data)} of {size} bytes")
            data += piece
        return bytes(data)

    # --- What tests ask often

    def create(self, topic: str) -> metadata.MetadataResponseTopic:
        """The topic, auto-created and led, as this broker has it."""
        while True:
            answer = self.metadata(topic)
            if answer.error_code == 0 and all(partition.leader_id >= 0 for partition in answer.partitions):
                return answer

    def metadata(self, topic: str, *, create: bool = True) -> metadata.MetadataResponseTopic:
        wanted = metadata.MetadataRequestTopic(name=topic)
        answer = self.ask(metadata.MetadataRequest(topics=[wanted], allow_auto_topic_creation=create))
        found: metadata.MetadataResponseTopic = answer.topics[0]
        return found

    def produce(self, topic: str, records: Buffer, index: int = 0, acks: int = -1) -> produce.PartitionProduceResponse:
        answer = self.ask(produce_request(topic, records, index, acks))
        found: produce.PartitionProduceResponse = answer.responses[0].partition_responses[0]
        return found

    def fetch(self, topic: metadata.MetadataResponseTopic, offset: int = 0, index: int = 0) -> fetch.PartitionData:
        partition = fetch.FetchPartition(index, fetch_offset=offset, partition_max_bytes=1 << 20)
        wanted = fetch.FetchTopic(topic_id=topic.topic_id, partitions=[partition])
        answer = self.ask(fetch.FetchRequest(max_wait_ms=500, min_bytes=1, topics=[wanted]))
        found: fetch.PartitionData = answer.responses[0].partitions[0]
        return found


def batch(*values: bytes, timestamp: int = -1, **other: int) -> bytes:
    """A record batch with these values, of now unless a timestamp (milliseconds) is given; old records are not kept."""
    own = int(time.time() * 1000) if timestamp < 0 else timestamp
    return encode_batch([Record(None, value) for value in values], timestamp=own, **other)  # type: ignore[arg-type]


def produce_request(topic: str, records: Buffer, index: int = 0, acks: int = -1) -> produce.ProduceRequest:
    data = produce.TopicProduceData(topic, [produce.PartitionProduceData(index, records)])
    return produce.ProduceRequest(acks=acks, timeout_ms=5000, topic_data=[data])


def values(data: Sequence[int] | Buffer | None) -> list[bytes | None]:
    """The values in fetched batches."""
    from barnabas.storage.records import decode_batch, iter_headers

    assert data is not None, "records, if only zero bytes of them"
    whole = bytes(data)
    found: list[bytes | None] = []
    for position, header in iter_headers(whole):
        found += [record.value for record in decode_batch(whole[position : position + header.size])]
    return found
