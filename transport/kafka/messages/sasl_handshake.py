"""Kafka's SaslHandshake (API key 17), versions 0 to 1.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 17
FLEXIBLE_FROM: int | None = None


class SaslHandshakeRequest(Schema):
    mechanism: str = ""


def read_request(r: Reader, version: int) -> SaslHandshakeRequest:
    value = SaslHandshakeRequest()
    value.mechanism = r.string()
    return value


def write_request(w: Writer, value: SaslHandshakeRequest, version: int) -> None:
    w.string(value.mechanism)


class SaslHandshakeResponse(Schema):
    error_code: int = 0
    mechanisms: list[str] = []


def read_response(r: Reader, version: int) -> SaslHandshakeResponse:
    value = SaslHandshakeResponse()
    value.error_code = r.int16()
    value.mechanisms = r.values(1, Reader.string)
    return value


def write_response(w: Writer, value: SaslHandshakeResponse, version: int) -> None:
    w.int16(value.error_code)
    w.values(value.mechanisms, Writer.string)
