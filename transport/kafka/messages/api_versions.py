"""Kafka's ApiVersions (API key 18), versions 0 to 4.

Written by tools/kafka_messages.py: do not edit.
"""

from __future__ import annotations

from ..wire import Reader, Schema, Writer

KEY = 18
FLEXIBLE_FROM: int | None = 3


class ApiVersionsRequest(Schema):
    client_software_name: str = ""
    client_software_version: str = ""


def read_request(r: Reader, version: int) -> ApiVersionsRequest:
    value = ApiVersionsRequest()
    if version >= 3:
        value.client_software_name = r.string()
        value.client_software_version = r.string()
    r.tags()
    return value


def write_request(w: Writer, value: ApiVersionsRequest, version: int) -> None:
    if version >= 3:
        w.string(value.client_software_name)
        w.string(value.client_software_version)
    w.tags()


class ApiVersion(Schema):
    api_key: int = 0
    min_version: int = 0
    max_version: int = 0


class SupportedFeatureKey(Schema):
    name: str = ""
    min_version: int = 0
    max_version: int = 0


class FinalizedFeatureKey(Schema):
    name: str = ""
    max_version_level: int = 0
    min_version_level: int = 0


class ApiVersionsResponse(Schema):
    error_code: int = 0
    api_keys: list[ApiVersion] = []
    throttle_time_ms: int = 0
    supported_features: list[SupportedFeatureKey] = []
    finalized_features_epoch: int = -1
    finalized_features: list[FinalizedFeatureKey] = []
    zk_migration_ready: bool = False


def _read_api_version(r: Reader, version: int) -> ApiVersion:
    value = ApiVersion()
    value.api_key = r.int16()
    value.min_version = r.int16()
    value.max_version = r.int16()
    r.tags()
    return value


def _write_api_version(w: Writer, value: ApiVersion, version: int) -> None:
    w.int16(value.api_key)
    w.int16(value.min_version)
    w.int16(value.max_version)
    w.tags()


def _read_supported_feature_key(r: Reader, version: int) -> SupportedFeatureKey:
    value = SupportedFeatureKey()
    value.name = r.string()
    value.min_version = r.int16()
    value.max_version = r.int16()
    r.tags()
    return value


def _write_supported_feature_key(w: Writer, value: SupportedFeatureKey, version: int) -> None:
    w.string(value.name)
    w.int16(value.min_version)
    w.int16(value.max_version)
    w.tags()


def _read_finalized_feature_key(r: Reader, version: int) -> FinalizedFeatureKey:
    value = FinalizedFeatureKey()
    value.name = r.string()
    value.max_version_level = r.int16()
    value.min_version_level = r.int16()
    r.tags()
    return value


def _write_finalized_feature_key(w: Writer, value: FinalizedFeatureKey, version: int) -> None:
    w.string(value.name)
    w.int16(value.max_version_level)
    w.int16(value.min_version_level)
    w.tags()


def read_response(r: Reader, version: int) -> ApiVersionsResponse:
    value = ApiVersionsResponse()
    value.error_code = r.int16()
    value.api_keys = r.array(6, _read_api_version, version)
    if version >= 1:
        value.throttle_time_ms = r.int32()
    for tag, field in r.tags():
        if tag == 0 and version >= 3:
            value.supported_features = field.array(5, _read_supported_feature_key, version)
        if tag == 1 and version >= 3:
            value.finalized_features_epoch = field.int64()
        if tag == 2 and version >= 3:
            value.finalized_features = field.array(5, _read_finalized_feature_key, version)
        if tag == 3 and version >= 3:
            value.zk_migration_ready = field.boolean()
    return value


def write_response(w: Writer, value: ApiVersionsResponse, version: int) -> None:
    w.int16(value.error_code)
    w.array(value.api_keys, _write_api_version, version)
    if version >= 1:
        w.int32(value.throttle_time_ms)
    tagged: list[tuple[int, Writer]] = []
    if version >= 3 and value.supported_features:
        field = w.field()
        field.array(value.supported_features, _write_supported_feature_key, version)
        tagged.append((0, field))
    if version >= 3 and value.finalized_features_epoch != -1:
        field = w.field()
        field.int64(value.finalized_features_epoch)
        tagged.append((1, field))
    if version >= 3 and value.finalized_features:
        field = w.field()
        field.array(value.finalized_features, _write_finalized_feature_key, version)
        tagged.append((2, field))
    if version >= 3 and value.zk_migration_ready:
        field = w.field()
        field.boolean(value.zk_migration_ready)
        tagged.append((3, field))
    w.tags(tagged)
