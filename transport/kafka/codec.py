"""Requests and responses as bytes: the header, and the generated file of the API that it names.

A generated file is imported when its API is first used: all of them together would cost every start a quarter of a
second and every node some megabytes. What a request names is checked against the table before anything else is read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from ...storage.disk import Buffer
from .table import API_VERSIONS, APIS, Api
from .wire import CompactReader, CompactWriter, Malformed, Reader, Schema, Writer

HEADER_LEAST = 10  # bytes: key, version, correlation id, and the length of a client id


class Messages(NamedTuple):
    """What one generated file can do."""

    api: Api
    flexible_from: int  # the first version with the compact spelling
    read_request: Callable[[Reader, int], Any]
    write_request: Callable[[Writer, Any, int], None]
    read_response: Callable[[Reader, int], Any]
    write_response: Callable[[Writer, Any, int], None]


@cache
def messages(api: Api) -> Messages:
    """The messages of an API."""
    module = import_module(f".messages.{api.module}", __package__)
    flexible = module.FLEXIBLE_FROM
    return Messages(
        api,
        api.newest + 1 if flexible is None else flexible,
        module.read_request,
        module.write_request,
        module.read_response,
        module.write_response,
    )


class Header(NamedTuple):
    """Which API is asked, in which version, and what the reply must repeat."""

    api: Api
    version: int
    correlation: int
    client: str | None


class UnknownApi(Malformed):
    """An API, or a version of one, that is not understood here. There is no reply that the client could read."""

    def __init__(self, key: int, version: int, correlation: int) -> None:
        known = APIS.get(key)
        what = f"API key {key}" if known is None else f"{known.name} version {version}"
        super().__init__(f"{what} is not served")
        self.key, self.version, self.correlation = key, version, correlation


def read_header(frame: memoryview) -> tuple[Header, Reader]:
    """The header of a request, and a reader that stands at its body. Raises Malformed, or UnknownApi."""
    start = Reader(frame)
    key, version, correlation = start.int16(), start.int16(), start.int32()
    api = APIS.get(key)
    if api is None or not api.least <= version <= api.newest:
        raise UnknownApi(key, version, correlation)
    client = start.nullable_string()  # spelled the old way in every version
    if version < messages(api).flexible_from:
        return Header(api, version, correlation, client), start
    reader = CompactReader(frame, start.position)
    reader.tags()
    return Header(api, version, correlation, client), reader


def read_request(header: Header, reader: Reader) -> Any:  # noqa: ANN401  # one class per API
    """The body of a request. What follows it in the frame is for nobody, as in Kafka."""
    return messages(header.api).read_request(reader, header.version)


def write_response(header: Header, response: Schema) -> list[Buffer]:
    """A whole frame, with its length, in buffers to be sent one after the other."""
    spoken = messages(header.api)
    flexible = header.version >= spoken.flexible_from
    writer = CompactWriter() if flexible else Writer()
    writer.int32(0)  # the length
    writer.int32(header.correlation)
    if flexible and header.api.key != API_VERSIONS:  # a client that asks for versions may not know that there are tags
        writer.tags()
    spoken.write_response(writer, response, header.version)
    parts = writer.parts()
    size = sum(map(len, parts)) - 4
    assert isinstance(parts[0], bytearray), "a writer begins with its own bytes"
    parts[0][:4] = size.to_bytes(4)
    return parts


def write_request(header: Header, request: Schema) -> list[Buffer]:
    """A whole frame, as a client sends it: for tests and tools."""
    spoken = messages(header.api)
    start = Writer()
    start.int16(header.api.key)
    start.int16(header.version)
    start.int32(header.correlation)
    start.nullable_string(header.client)
    flexible = header.version >= spoken.flexible_from
    writer = CompactWriter() if flexible else Writer()
    if flexible:
        writer.tags()
    spoken.write_request(writer, request, header.version)
    parts = [*start.parts(), *writer.parts()]
    return [sum(map(len, parts)).to_bytes(4), *parts]


def read_response(header: Header, frame: memoryview) -> Any:  # noqa: ANN401  # one class per API
    """The body of the response to a request with this header; the frame without its length. Raises Malformed."""
    spoken = messages(header.api)
    start = Reader(frame)
    correlation = start.int32()
    if correlation != header.correlation:
        raise Malformed(f"correlation id {header.correlation} expected, found {correlation}")
    if header.version < spoken.flexible_from:
        return spoken.read_response(start, header.version)
    reader = CompactReader(frame, start.position)
    if header.api.key != API_VERSIONS:
        reader.tags()
    return spoken.read_response(reader, header.version)
