"""Kafka's DescribeUserScramCredentials (API key 50), version 0.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 50
FLEXIBLE_FROM: int | None = 0


class UserName(Schema):
    name: str = ""


class DescribeUserScramCredentialsRequest(Schema):
    users: list[UserName] | None = []


def _read_user_name(r: Reader, version: int) -> UserName:
    value = UserName()
    value.name = r.string()
    r.tags()
    return value


def _write_user_name(w: Writer, value: UserName, version: int) -> None:
    w.string(value.name)
    w.tags()


def read_request(r: Reader, version: int) -> DescribeUserScramCredentialsRequest:
    value = DescribeUserScramCredentialsRequest()
    value.users = r.nullable_array(1, _read_user_name, version)
    r.tags()
    return value


def write_request(w: Writer, value: DescribeUserScramCredentialsRequest, version: int) -> None:
    w.nullable_array(value.users, _write_user_name, version)
    w.tags()


class CredentialInfo(Schema):
    mechanism: int = 0
    iterations: int = 0


class DescribeUserScramCredentialsResult(Schema):
    user: str = ""
    error_code: int = 0
    error_message: str | None = ""
    credential_infos: list[CredentialInfo] = []


class DescribeUserScramCredentialsResponse(Schema):
    throttle_time_ms: int = 0
    error_code: int = 0
    error_message: str | None = ""
    results: list[DescribeUserScramCredentialsResult] = []


def _read_credential_info(r: Reader, version: int) -> CredentialInfo:
    value = CredentialInfo()
    value.mechanism = r.int8()
    value.iterations = r.int32()
    r.tags()
    return value


def _write_credential_info(w: Writer, value: CredentialInfo, version: int) -> None:
    w.int8(value.mechanism)
    w.int32(value.iterations)
    w.tags()


def _read_describe_user_scram_credentials_result(r: Reader, version: int) -> DescribeUserScramCredentialsResult:
    value = DescribeUserScramCredentialsResult()
    value.user = r.string()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.credential_infos = r.array(5, _read_credential_info, version)
    r.tags()
    return value


def _write_describe_user_scram_credentials_result(
    w: Writer, value: DescribeUserScramCredentialsResult, version: int
) -> None:
    w.string(value.user)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.credential_infos, _write_credential_info, version)
    w.tags()


def read_response(r: Reader, version: int) -> DescribeUserScramCredentialsResponse:
    value = DescribeUserScramCredentialsResponse()
    value.throttle_time_ms = r.int32()
    value.error_code = r.int16()
    value.error_message = r.nullable_string()
    value.results = r.array(5, _read_describe_user_scram_credentials_result, version)
    r.tags()
    return value


def write_response(w: Writer, value: DescribeUserScramCredentialsResponse, version: int) -> None:
    w.int32(value.throttle_time_ms)
    w.int16(value.error_code)
    w.nullable_string(value.error_message)
    w.array(value.results, _write_describe_user_scram_credentials_result, version)
    w.tags()
