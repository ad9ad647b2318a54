"""How `consume --format` prints an event: text with fields in braces, as in `{offset} {key}: {value}`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from string import Formatter
from typing import TYPE_CHECKING

from .arguments import WrongUsage

if TYPE_CHECKING:
    from ..client import ConsumerRecord


def _time(record: ConsumerRecord) -> bytes:
    moment = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{record.timestamp % 1000:03d}Z".encode()


def _headers(record: ConsumerRecord) -> bytes:
    return b",".join(name.encode() + b"=" + (value or b"") for name, value in record.headers)


FIELDS: dict[str, Callable[[ConsumerRecord], bytes]] = {
    "topic": lambda record: record.topic.encode(),
    "partition": lambda record: b"%d" % record.partition,
    "offset": lambda record: b"%d" % record.offset,
    "timestamp": lambda record: b"%d" % record.timestamp,
    "time": _time,
    "key": lambda record: record.key or b"",
    "value": lambda record: record.value or b"",
    "headers": _headers,
}
_ESCAPES = {"\\t": "\t", "\\n": "\n", "\\0": "\0", "\\\\": "\\"}


def template(text: str) -> Callable[[ConsumerRecord], bytes]:
    """What a template makes of an event. Raises WrongUsage."""
    parts: list[tuple[bytes, Callable[[ConsumerRecord], bytes] | None]] = []
    try:
        found = list(Formatter().parse(_unescaped(text)))
    except ValueError as error:
        what = str(error)[:1].lower() + str(error)[1:]
        raise WrongUsage(f"--format {text!r} cannot be read: {what}; a brace itself is written twice") from None
    for literal, field, spec, conversion in found:
        if field is not None and (field not in FIELDS or spec or conversion):
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise WrongUsage(f"--format knows no {{{field}{':' if spec else ''}{spec}}}, expected some of {known}")
        parts.append((literal.encode(), None if field is None else FIELDS[field]))
    return lambda record: b"".join(literal if show is None else literal + show(record) for literal, show in parts)


def _unescaped(text: str) -> str:
    made, rest = "", text
    while rest:
        step = 2 if rest[:2] in _ESCAPES else 1
        made += _ESCAPES.get(rest[:step], rest[:step])
        rest = rest[step:]
    return made
