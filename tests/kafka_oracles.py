"""Other people's codecs of Kafka's protocol, as judges of ours: kio for every message, kafka-python where it has them.

`message(draw_seed, ...)` makes a random message with kio's classes, `flat` brings kio's and ours into one shape: names
without the unit that kio drops, numbers instead of durations and enumerations, lists.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import io
import types
import typing
import uuid
from random import Random
from typing import Any

import pytest

kio_index = pytest.importorskip("kio.index", reason="kio is not installed: pip install -e '.[test]'")
kio_serial = pytest.importorskip("kio.serial")

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
INTEGERS = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}
_WITHOUT_UNIT = "_ms"


def schema(key: int, version: int, *, response: bool) -> Any:  # noqa: ANN401  # kio makes one class per message
    load = kio_index.load_response_schema if response else kio_index.load_request_schema
    return load(key, version)


def encode(message: object) -> bytes:
    buffer = io.BytesIO()
    kio_serial.entity_writer(type(message))(buffer, message)
    return buffer.getvalue()


def decode(kind: type, data: bytes) -> object:
    message, _ = kio_serial.entity_reader(kind)(data, 0)
    return message


def random_message(kind: Any, random: Random) -> Any:  # noqa: ANN401
    """One that kio would accept, with every field that the version has."""
    hints = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for name, field in hints.items():
        if field.default is not dataclasses.MISSING and random.random() < 0.3:
            continue  # the default
        values[name] = _value(field.type, field.metadata.get("kafka_type", ""), random)
    return kind(**values)


def _value(kind: Any, kafka_type: str, random: Random) -> object:  # noqa: ANN401
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        arms = [arm for arm in typing.get_args(kind) if arm is not type(None)]
        if kafka_type not in ("uuid", "datetime_i64") and random.random() < 0.3:
            return None
        [kind] = arms
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(_value(inner, kafka_type, random) for _ in range(random.choice((0, 1, 1, 2, 5))))
    if dataclasses.is_dataclass(kind):
        return random_message(kind, random)
    return _plain(kafka_type, random)


def _plain(kafka_type: str, random: Random) -> object:
    match kafka_type:
        case "string":
            return "".join(random.choices("abcé漢🙂.-_", k=random.choice((0, 1, 7, 150))))
        case "bytes" | "records":
            return random.randbytes(random.choice((0, 1, 100, 20_000)))
        case "uuid":
            return uuid.UUID(int=random.getrandbits(128), version=4)
        case "bool":
            return random.random() < 0.5
        case "float64":
            return random.uniform(-1e9, 1e9)
        case "uint16":
            return random.getrandbits(16)
        case "error_code":
            from kio.schema.errors import ErrorCode

            return random.choice([*ErrorCode])
        case "timedelta_i32" | "timedelta_i64":
            return dt.timedelta(milliseconds=random.choice((-1, 0, 1, 500, 2**31 - 1)))
        case "datetime_i64":
            return EPOCH + dt.timedelta(milliseconds=random.getrandbits(40))
        case _:
            bits = INTEGERS[kafka_type]
            return random.choice((-1, 0, 1, random.getrandbits(bits), -random.getrandbits(bits), 2**bits - 1))


def flat(value: Any) -> Any:  # noqa: ANN401
    """What kio or we have read, in one shape. What is None, empty or kio's default structure counts as nothing."""
    if dataclasses.is_dataclass(value):
        pairs = {field.name: flat(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {name: found for name, found in pairs.items() if not _nothing(value, name)}
    if hasattr(value, "__struct_fields__"):
        return {name: flat(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, enum.Enum):
        return int(value.value)
    if isinstance(value, dt.timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, dt.datetime):
        return round((value - EPOCH).total_seconds() * 1000)
    if isinstance(value, uuid.UUID):
        return value.bytes
    if isinstance(value, list | tuple):
        return [flat(each) for each in value]
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return value


def _nothing(value: Any, name: str) -> bool:  # noqa: ANN401
    """A tagged structure with kio's defaults is not sent, and None with us."""
    [field] = [field for field in dataclasses.fields(value) if field.name == name]
    return dataclasses.is_dataclass(field.type) and "tag" in field.metadata and getattr(value, name) == field.default


def same(kio: Any, ours: Any, where: str = "") -> None:  # noqa: ANN401
    """Every field that kio has, we have, with the same value."""
    if isinstance(kio, dict):
        for name, value in kio.items():
            known = name if name in ours else name + _WITHOUT_UNIT
            expected = value
            if value is None and isinstance(ours[known], bytes):
                expected = bytes(16)  # kio calls the zero UUID None
            if value is None and name == "log_append_time":
                expected = -1
            same(expected, ours[known], f"{where}.{name}")
    elif isinstance(kio, list):
        assert len(kio) == len(ours), where
        for index, (one, other) in enumerate(zip(kio, ours, strict=True)):
            same(one, other, f"{where}[{index}]")
    else:
        assert kio == ours, f"{where}: {kio!r} is not {ours!r}"
