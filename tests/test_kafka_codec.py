"""Kafka's messages as bytes: what kio and kafka-python write we read, what we write they would have written.

Every message of the table, in every version: random ones made with kio's classes. Reading them and writing them again
must give the same bytes, and each field must have the name and value that kio gives it. Then the same bytes are cut,
and changed, and the only exception that may come is `Malformed`.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import kafka_oracles as oracles
import pytest

from barnabas.transport.kafka.codec import (
    Header,
    UnknownApi,
    messages,
    read_header,
    read_request,
    read_response,
    write_request,
    write_response,
)
from barnabas.transport.kafka.messages import api_versions, delete_topics, fetch, metadata, produce
from barnabas.transport.kafka.table import API_VERSIONS, APIS, Api
from barnabas.transport.kafka.wire import MAX_ELEMENTS, CompactReader, CompactWriter, Malformed, Reader, Writer

ROOT = Path(__file__).resolve().parent.parent
EVERY_API = pytest.mark.parametrize("api", APIS.values(), ids=lambda api: api.name)
TIMES = 4  # random messages per version and direction


def reader_of(api: Api, version: int, data: bytes) -> Reader:
    return (CompactReader if version >= messages(api).flexible_from else Reader)(memoryview(data))


def written(api: Api, version: int, value: object, *, response: bool) -> bytes:
    spoken = messages(api)
    writer = CompactWriter() if version >= spoken.flexible_from else Writer()
    (spoken.write_response if response else spoken.write_request)(writer, value, version)
    return b"".join(writer.parts())


def read(api: Api, version: int, data: bytes, *, response: bool) -> object:
    spoken = messages(api)
    reader = reader_of(api, version, data)
    value = (spoken.read_response if response else spoken.read_request)(reader, version)
    assert reader.position == len(data), "all of it is read"
    return value


@EVERY_API
@pytest.mark.parametrize("response", [False, True], ids=["request", "response"])
def test_what_kio_writes_is_read_and_written_alike(api: Api, response: bool) -> None:
    random = Random(f"{api.name}{response}")
    for version in range(api.least, api.newest + 1):
        kind = oracles.schema(api.key, version, response=response)
        for _ in range(TIMES):
            message = oracles.random_message(kind, random)
            data = oracles.encode(message)
            ours = read(api, version, data, response=response)
            oracles.same(oracles.flat(message), oracles.flat(ours), f"{api.name} v{version}")
            assert written(api, version, ours, response=response) == data


@EVERY_API
def test_defaults_are_those_of_kafkas_schemas(api: Api) -> None:
    """A message that says nothing is one that kio can read."""
    module = import_module(f"barnabas.transport.kafka.messages.{api.module}")
    for response in (False, True):
        empty = getattr(module, f"{api.name}{'Response' if response else 'Request'}")()
        for version in range(api.least, api.newest + 1):
            data = written(api, version, empty, response=response)
            kind = oracles.schema(api.key, version, response=response)
            assert oracles.encode(oracles.decode(kind, data)) == data


@EVERY_API
def test_a_message_that_is_cut_or_changed_is_malformed_and_nothing_else(api: Api) -> None:
    random = Random(api.name)
    for version in range(api.least, api.newest + 1):
        for response in (False, True):
            kind = oracles.schema(api.key, version, response=response)
            data = oracles.encode(oracles.random_message(kind, random))[:2000]
            spoken = messages(api)
            decode = spoken.read_response if response else spoken.read_request
            for _ in range(20):
                damaged = bytearray(data[: random.randint(0, len(data))])
                for _ in range(random.choice((0, 1, 3))):
                    if damaged:
                        damaged[random.randrange(len(damaged))] = random.choice(
                            (0, 127, 128, 255, random.getrandbits(8))
                        )
                reader = reader_of(api, version, bytes(damaged))
                with suppress(Malformed):
                    decode(reader, version)
                assert reader.position <= len(damaged)


@pytest.mark.parametrize("api", [api for api in APIS.values() if api.key not in (68, 69)], ids=lambda api: api.name)
def test_kafka_python_reads_what_we_write_and_writes_the_same(api: Api) -> None:
    kafka_python = pytest.importorskip("kafka.protocol.api_message")
    for module in ("admin", "consumer", "metadata", "producer", "sasl"):
        import_module(f"kafka.protocol.{module}")
    found = {kind.__name__: kind for kind in subclasses(kafka_python.ApiMessage)}
    random = Random(api.name)
    for response in (False, True):
        kind = found.get(f"{api.name}{'Response' if response else 'Request'}")
        if kind is None:
            pytest.skip(f"kafka-python has no {api.name}")
        for version in range(api.least, min(api.newest, kind.max_version) + 1):
            message = oracles.random_message(oracles.schema(api.key, version, response=response), random)
            value: Any = read(api, version, oracles.encode(message), response=response)
            if api.key == API_VERSIONS and response:
                value.error_code = 0  # with an error, kafka-python takes it for version 0
            ours = written(api, version, value, response=response)
            theirs = kind.decode(ours, version=version)
            theirs._header = None  # what was decoded without one has none, and some encoders look for it
            assert bytes(theirs.encode()) == ours


def subclasses(kind: type) -> list[type]:
    return [kind, *(found for child in type.__subclasses__(kind) for found in subclasses(child))]


def test_the_generated_files_are_what_the_script_writes() -> None:
    script = ROOT / "tools" / "kafka_messages.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"run python tools/kafka_messages.py: {done.stdout}{done.stderr}"


def test_the_page_about_compatibility_has_the_table_that_is_served() -> None:
    script = ROOT / "tools" / "kafka_compatibility.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"run python tools/kafka_compatibility.py: {done.stderr}"


# --- By hand


def test_unknown_tagged_fields_are_skipped() -> None:
    writer = CompactWriter()
    produce.write_request(writer, produce.ProduceRequest(acks=-1, timeout_ms=7), 9)
    data = b"".join(writer.parts())
    assert data[-1] == 0
    extended = data[:-1] + b"\x02\x05\x01x\xe9\x07\x03abc"  # tags 5 and 1001
    value = produce.read_request(CompactReader(memoryview(extended)), 9)
    assert (value.acks, value.timeout_ms) == (-1, 7)


def test_tagged_fields_come_in_order_and_once() -> None:
    for tags in (b"\x02\x05\x00\x05\x00", b"\x02\x05\x00\x04\x00"):
        with pytest.raises(Malformed, match="comes after 5"):
            CompactReader(memoryview(tags)).tags()


def test_records_are_slices_of_the_frame() -> None:
    records = bytes(100_000)
    topic = produce.TopicProduceData("t", [produce.PartitionProduceData(0, records)])
    frame = b"".join(write_request(Header(APIS[0], 9, 1, "me"), produce.ProduceRequest(topic_data=[topic])))[4:]
    header, reader = read_header(memoryview(frame))
    found = read_request(header, reader).topic_data[0].partition_data[0].records
    assert isinstance(found, memoryview)
    assert found.obj is frame
    assert found == records


def test_large_records_are_not_copied_into_the_reply() -> None:
    large, small = bytes(1 << 20), b"small"
    partitions = [fetch.PartitionData(i, records=records) for i, records in enumerate((small, large, small))]
    answer = fetch.FetchResponse(responses=[fetch.FetchableTopicResponse(topic="t", partitions=partitions)])
    header = Header(APIS[1], 11, 5, None)
    parts = write_response(header, answer)
    assert [part for part in parts if part is large] == [large]
    assert len(parts) == 3
    whole = b"".join(parts)
    assert int.from_bytes(whole[:4]) == len(whole) - 4
    found = read_response(header, memoryview(whole)[4:])
    assert [part.records for part in found.responses[0].partitions] == [small, large, small]


@pytest.mark.parametrize(
    ("reader", "data"),
    [
        (Reader, (2**31 - 1).to_bytes(4)),
        (Reader, (1000).to_bytes(4) + bytes(3999)),
        (CompactReader, b"\xff\xff\xff\xff\x07"),
        (CompactReader, b"\xe9\x07" + bytes(3999)),
    ],
)
def test_no_list_is_made_for_a_length_that_is_not_there(reader: type[Reader], data: bytes) -> None:
    read_elements: list[int] = []
    with pytest.raises(Malformed, match="elements cannot be in"):
        reader(memoryview(data)).array(4, lambda r, version: read_elements.append(1), 0)
    assert read_elements == []


def test_a_message_has_so_many_elements_and_no_more() -> None:
    """Also where they are spread over many small arrays."""
    names = [delete_topics.DeleteTopicState(name="") for _ in range(MAX_ELEMENTS)]
    for count, fits in ((MAX_ELEMENTS, True), (MAX_ELEMENTS + 1, False)):
        writer = CompactWriter()
        delete_topics.write_request(writer, delete_topics.DeleteTopicsRequest(topics=names[:count]), 6)
        data = b"".join(writer.parts())
        if not fits:
            writer = CompactWriter()
            delete_topics.write_request(writer, delete_topics.DeleteTopicsRequest(topics=[*names, names[0]]), 6)
            data = b"".join(writer.parts())
            with pytest.raises(Malformed, match=f"at most {MAX_ELEMENTS} elements"):
                delete_topics.read_request(CompactReader(memoryview(data)), 6)
        else:
            delete_topics.read_request(CompactReader(memoryview(data)), 6)


def test_a_varint_of_more_than_five_bytes_is_malformed() -> None:
    with pytest.raises(Malformed, match="more than five bytes"):
        CompactReader(memoryview(b"\xff" * 9)).varint()


@pytest.mark.parametrize(("data", "words"), [(b"\x00\x02\xff\xfe", "not UTF-8"), (b"\xff\xff", "must not be null")])
def test_a_string_that_is_none_is_malformed(data: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        Reader(memoryview(data)).string()


def test_the_answer_to_api_versions_has_an_old_header() -> None:
    """A client that asks which versions there are cannot know how a newer header is spelled."""
    header = Header(APIS[18], 3, 9, "me")
    frame = b"".join(write_response(header, api_versions.ApiVersionsResponse()))
    assert frame[4:8] == (9).to_bytes(4)
    assert frame[8:10] == b"\0\0", "the error code follows the correlation id at once"
    assert read_response(header, memoryview(frame)[4:]) == api_versions.ApiVersionsResponse()


def test_a_flexible_header_has_an_old_client_id_and_tags() -> None:
    frame = b"".join(write_request(Header(APIS[3], 9, 77, "me"), metadata.MetadataRequest()))[4:]
    assert frame[:14] == b"\x00\x03\x00\x09\x00\x00\x00\x4d\x00\x02me\x00\x01"
    header, _ = read_header(memoryview(frame))
    assert header == Header(APIS[3], 9, 77, "me")


@pytest.mark.parametrize(("key", "version"), [(0, 2), (0, 12), (1, 17), (7, 0), (-1, 0), (18, 5), (32767, 1)])
def test_what_is_not_in_the_table_is_an_unknown_api(key: int, version: int) -> None:
    data = key.to_bytes(2, signed=True) + version.to_bytes(2) + (5).to_bytes(4) + b"\xff\xff"
    with pytest.raises(UnknownApi, match="is not served") as raised:
        read_header(memoryview(data))
    assert (raised.value.key, raised.value.version, raised.value.correlation) == (key, version, 5)
