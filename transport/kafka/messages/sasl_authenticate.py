"""Kafka's SaslAuthenticate (API key 36), versions 0 to 2.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 36
FLEXIBLE_FROM: int | None = 2


class SaslAuthenticateRequest(Schema):
    auth_bytes: bytes = b""


def read_request(r: Reader, version: int) -> SaslAuthenticateRequest:
    value = SaslAuthenticateRequest()
    value.auth_bytes = r.binary()
    r.tags()
    return value


def write_request(w: Writer, value: SaslAuthenticateRequest, version: int) -> None:
    w.binary(value.auth_bytes)
    w.tags()


class SaslAuthenticateResponse(Schema):
    error_code: int = 0
    error_message: str | None = ""
    auth_bytes: bytes = b""
    session_lifetime_ms: int = 0


def read_response(r: Reader, version: int) -> SaslAuthenticateResponse:
    value = SaslAuthenticateResponse()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.auth_bytes = r.binary()
    if version >= 1:
        value.session_lifetime_ms = r.int64()
    r.tags()
    return value


def write_response(w: Writer, value: SaslAuthenticateResponse, version: int) -> None:
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.binary(value.auth_bytes)
    if version >= 1:
        w.int64(value.session_lifetime_ms)
    w.tags()
