"""An event as a line of JSON, the same in both directions: what `consume --json` prints, `produce --json` takes.

    {"topic": "orders", "partition": 0, "offset": 7, "timestamp": 1767603600000, "key": "ada", "value": "ink",
     "headers": {"source": "web"}}

Nothing is lost on the way: bytes that are no UTF-8 become base64 under another name (`key_base64`, `value_base64`, and
`{"base64": ...}` in a header), and headers of which one name comes twice become a list of pairs. A value that is no
text, such as `{"value": {"amount": 3}}`, is taken as the JSON that it is.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..client.errors import BarnabasError

if TYPE_CHECKING:
    from ..client import ConsumerRecord

Headers = list[tuple[str, bytes | None]]

_IGNORED = {"topic", "offset"}  # of where it was read
_KNOWN = {"partition", "timestamp", "key", "key_base64", "value", "value_base64", "headers", *_IGNORED}


class Given(NamedTuple):
    """An event as a line describes it."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int | None
    partition: int | None


class NoEvent(BarnabasError):
    """A line that describes no event."""


def encode(record: ConsumerRecord) -> bytes:
    """One line, without its end."""
    shown: dict[str, object] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
    }
    _show(shown, "key", record.key)
    _show(shown, "value", record.value)
    pairs = [(name, _header(value)) for name, value in record.headers]
    named = dict(pairs)
    shown["headers"] = named if len(named) == len(pairs) else pairs
    return msgspec.json.encode(shown)


def decode(line: bytes) -> Given:
    """Raises NoEvent: a sentence without its subject, which is the line."""
    try:
        found = msgspec.json.decode(line)
    except msgspec.MsgspecError as error:
        raise NoEvent(f"is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise NoEvent('is no JSON object such as {"key": "ada", "value": "ink"}')
    for name in found:
        if name not in _KNOWN:
            raise NoEvent(f"has `{name}`, expected some of: {', '.join(sorted(_KNOWN))}")
    return Given(
        key=_bytes(found, "key"),
        value=_bytes(found, "value"),
        headers=_headers(found.get("headers")),
        timestamp=_number(found, "timestamp"),
        partition=_number(found, "partition"),
    )


def _show(shown: dict[str, object], name: str, data: bytes | None) -> None:
    text = _text(data)
    if text is None and data is not None:
        shown[f"{name}_base64"] = base64.b64encode(data).decode()
    else:
        shown[name] = text


def _text(data: bytes | None) -> str | None:
    """None for what is null, and for what is no text."""
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _header(value: bytes | None) -> object:
    text = _text(value)
    return {"base64": base64.b64encode(value).decode()} if text is None and value is not None else text


def _bytes(found: dict[str, object], name: str) -> bytes | None:
    packed = found.get(f"{name}_base64")
    if packed is not None:
        if found.get(name) is not None:
            raise NoEvent(f"has both `{name}` and `{name}_base64`")
        return _unpacked(packed, f"{name}_base64")
    return _as_bytes(found.get(name))


def _as_bytes(value: object) -> bytes | None:
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)


def _unpacked(packed: object, name: str) -> bytes:
    try:
        return base64.b64decode(str(packed), validate=True)
    except binascii.Error:
        raise NoEvent(f"has a `{name}` that is no base64") from None


def _headers(found: object) -> Headers:
    if found is None:
        return []
    pairs = list(found.items()) if isinstance(found, dict) else found
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise NoEvent("has `headers` that are neither an object nor a list of [name, value]")
    return [(str(name), _header_bytes(value)) for name, value in pairs]


def _header_bytes(value: object) -> bytes | None:
    if isinstance(value, dict) and list(value) == ["base64"]:
        return _unpacked(value["base64"], "base64")
    return _as_bytes(value)


def _number(found: dict[str, object], name: str) -> int | None:
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise NoEvent(f"has a `{name}` that is no whole number")
    return value
