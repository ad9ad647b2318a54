"""`consume TOPIC`: events become lines of standard output."""

import argparse
import sys
import time
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_cluster, bootstrap_of, positive, seconds, whole

if TYPE_CHECKING:
    from ..client import Consumer, ConsumerRecord


TOPIC_TIMEOUT_MS = 3_000
"""How long a topic may take to appear: it may have been created a moment ago."""

KNOWN_AFTER = 4.0
"""Seconds after which it is known whether there is such a topic."""


def register(commands: Commands) -> None:
    consume = commands.add_parser("consume", help="print the events of a topic, a line each")
    consume.add_argument("topic", metavar="TOPIC")
    consume.add_argument("--from-beginning", action="store_true", help="from the first event on (default: new ones)")
    consume.add_argument("--offset", metavar="N", help="from there on: a number, earliest or latest")
    consume.add_argument("--partition", type=whole, metavar="N", help="default: all")
    consume.add_argument("--max-messages", type=positive, metavar="N", help="end after so many events")
    consume.add_argument("--timeout", type=seconds, metavar="SECONDS", help="end when none came for so long")
    consume.add_argument("--key-separator", metavar="TEXT", help="print keys too, with this behind them")
    consume.add_argument("--json", action="store_true", help="a JSON object for each event")
    add_cluster(consume)
    consume.set_defaults(run=run_consume)


def run_consume(arguments: argparse.Namespace) -> int:
    from ..client import Consumer

    start = _start(arguments)
    bootstrap = bootstrap_of(arguments)
    if arguments.partition is None:
        consumer = Consumer(bootstrap, arguments.topic, start=start, topic_timeout_ms=TOPIC_TIMEOUT_MS)
    else:
        place = (arguments.topic, arguments.partition)
        consumer = Consumer(bootstrap, assignments=[place], start=start, topic_timeout_ms=TOPIC_TIMEOUT_MS)
    try:
        _print(consumer, arguments)
    finally:
        consumer.close()
    return 0


def _start(arguments: argparse.Namespace) -> str | int:
    offset: str | None = arguments.offset
    if arguments.from_beginning and offset is not None:
        raise WrongUsage("give --from-beginning or --offset, not both")
    if offset is None:
        return "earliest" if arguments.from_beginning else "latest"
    if offset in ("earliest", "latest"):
        return offset
    if not (offset.isascii() and offset.isdecimal()):
        raise WrongUsage(f"--offset takes a number, earliest or latest, not `{offset}`")
    if arguments.partition is None:
        raise WrongUsage("--offset with a number needs --partition, because each partition counts for itself")
    return int(offset)


def _print(consumer: "Consumer", arguments: argparse.Namespace) -> None:
    left: int | None = arguments.max_messages
    known = False  # that there is such a topic
    last = time.monotonic()
    out = sys.stdout.buffer
    while left is None or left > 0:
        patience = 1.0
        if arguments.timeout is not None:
            wait = arguments.timeout if known else max(arguments.timeout, KNOWN_AFTER)
            patience = min(1.0, last + wait - time.monotonic())
            if patience <= 0:
                return
        records = consumer.poll(patience, 500 if left is None else min(left, 500))
        if not records:
            known = known or any(consumer.high_watermark(*place) >= 0 for place in consumer.assignment())
            continue
        for record in records:
            out.write(_line(record, arguments) + b"\n")
        out.flush()
        last = time.monotonic()
        if left is not None:
            left -= len(records)


def _line(record: "ConsumerRecord", arguments: argparse.Namespace) -> bytes:
    if arguments.json:
        return _json(record)
    value = record.value if record.value is not None else b""
    if arguments.key_separator is None:
        return value
    return (record.key or b"") + str(arguments.key_separator).encode() + value


def _json(record: "ConsumerRecord") -> bytes:
    import msgspec

    return msgspec.json.encode(
        {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": _text(record.key),
            "value": _text(record.value),
            "headers": {name: _text(value) for name, value in record.headers},
        }
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "backslashreplace")
