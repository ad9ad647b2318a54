"""Kafka's AlterUserScramCredentials (API key 51), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 51
FLEXIBLE_FROM: int | None = 0


class ScramCredentialDeletion(Schema):
    name: str = ""
    mechanism: int = 0


class ScramCredentialUpsertion(Schema):
    name: str = ""
    mechanism: int = 0
    iterations: int = 0
    salt: bytes = b""
    salted_password: bytes = b""


class AlterUserScramCredentialsRequest(Schema):
    deletions: list[ScramCredentialDeletion] = []
    upsertions: list[ScramCredentialUpsertion] = []


def _read_scram_credential_deletion(r: Reader, version: int) -> ScramCredentialDeletion:
    value = ScramCredentialDeletion()
    value.name = r.string()
    value.mechanism = r.int8()
    r.tags()
    return value


def _write_scram_credential_deletion(w: Writer, value: ScramCredentialDeletion, version: int) -> None:
    w.string(value.name)
    w.int8(value.mechanism)
    w.tags()


def _read_scram_credential_upsertion(r: Reader, version: int) -> ScramCredentialUpsertion:
    value = ScramCredentialUpsertion()
    value.name = r.string()
    value.mechanism = r.int8()
    value.iterations = r.int32()
    value.salt = r.binary()
    value.salted_password = r.binary()
    r.tags()
    return value


def _write_scram_credential_upsertion(w: Writer, value: ScramCredentialUpsertion, version: int) -> None:
    w.string(value.name)
    w.int8(value.mechanism)
    w.int32(value.iterations)
    w.binary(value.salt)
    w.binary(value.salted_password)
    w.tags()


def read_request(r: Reader, version: int) -> AlterUserScramCredentialsRequest:
    value = AlterUserScramCredentialsRequest()
    value.deletions = r.array(2, _read_scram_credential_deletion, version)
    value.upsertions = r.array(8, _read_scram_credential_upsertion, version)
    r.tags()
    return value


def write_request(w: Writer, value: AlterUserScramCredentialsRequest, version: int) -> None:
    w.array(value.deletions, _write_scram_credential_deletion, version)
    w.array(value.upsertions, _write_scram_credential_upsertion, version)
    w.tags()


class AlterUserScramCredentialsResult(Schema):
    user: str = ""
    error_code: int = 0
    error_message: str | None = ""


class AlterUserScramCredentialsResponse(Schema):
    throttle_time_ms: int = 0
    results: list[AlterUserScramCredentialsResult] = []


def _read_alter_user_scram_credentials_result(r: Reader, version: int) -> AlterUserScramCredentialsResult:
    value = AlterUserScramCredentialsResult()
    value.user = r.string()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    r.tags()
    return value


def _write_alter_user_scram_credentials_result(w: Writer, value: AlterUserScramCredentialsResult, version: int) -> None:
    w.string(value.user)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.tags()


def read_response(r: Reader, version: int) -> AlterUserScramCredentialsResponse:
    value = AlterUserScramCredentialsResponse()
    value.throttle_time_ms = r.int32()
    value.results = r.array(4, _read_alter_user_scram_credentials_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: AlterUserScramCredentialsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.array(value.results, _write_alter_user_scram_credentials_result, version)
    w.tags()
