"""`consume TOPIC`: events become lines of standard output."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_cluster, admin_of, bootstrap_of, positive, seconds, whole
from .moments import moment

if TYPE_CHECKING:
    from ..client import Consumer, ConsumerRecord
    from ..client.consumer_core import Where


TOPIC_TIMEOUT_MS = 3_000
"""How long a topic may take to appear: it may have been created a moment ago."""

KNOWN_AFTER = 4.0
"""Seconds after which it is known whether there is such a topic."""

Line = Callable[["ConsumerRecord"], bytes]


def register(commands: Commands) -> None:
    consume = commands.add_parser(
        "consume",
        help="print the events of a topic, a line each",
        examples="""
            barnabas consume orders                                      what comes from now on, until Ctrl-C
            barnabas consume orders --from-beginning --to-end            everything there is
            barnabas consume orders --offset -10 --to-end                the last ten of each partition
            barnabas consume orders --since 1h --until 30m               of half an hour
            barnabas consume orders --format '{time} {key}: {value}'     see below
            barnabas consume orders --json | barnabas produce copy --json
            barnabas consume orders --group billing                      what the group assigns, and it remembers
        """,
        notes="A FORMAT has {topic}, {partition}, {offset}, {timestamp} (milliseconds since 1970), {time}, {key},\n"
        "{value} and {headers} in it; \\t and \\n are a tab and a new line.",
    )
    consume.add_argument("topic", metavar="TOPIC", help="its name")
    where = consume.add_argument_group("which events")
    where.add_argument("--from-beginning", action="store_true", help="from the first event on (default: new ones)")
    where.add_argument("--offset", metavar="WHERE", help="from there on: a number, -N (the last N), earliest or latest")
    where.add_argument("--since", type=moment, metavar="WHEN", help="from then on: 10m ago, or 2026-03-01T12:00:00Z")
    where.add_argument(
        "--until", type=moment, metavar="WHEN", help="up to the first event of then or later, and end there"
    )
    where.add_argument(
        "--partition", type=whole, action="append", metavar="N", help="this one; may be given again (default: all)"
    )
    consume.add_argument(
        "--group", metavar="GROUP", help="as a member of this group, from where it is (a new group: from new events on)"
    )
    end = consume.add_argument_group("when it ends")
    end.add_argument("--to-end", action="store_true", help="with the last event that is there when it begins")
    end.add_argument("--max-messages", "-n", type=positive, metavar="N", help="after so many events")
    end.add_argument("--timeout", type=seconds, metavar="SECONDS", help="when no event came for so long")
    shape = consume.add_argument_group("how events look").add_mutually_exclusive_group()
    shape.add_argument(
        "--key-separator", type=os.fsencode, metavar="TEXT", help="the key, this, and the value (default: the value)"
    )
    shape.add_argument("--format", metavar="FORMAT", help="see below")
    shape.add_argument("--json", action="store_true", help="a JSON object for each, with everything there is")
    add_cluster(consume)
    consume.set_defaults(run=run_consume)


def run_consume(arguments: argparse.Namespace) -> int:
    if arguments.group is not None:
        alone = ("partition", "until", "to_end")
        for name in alone:
            if getattr(arguments, name):
                raise WrongUsage(f"--{name.replace('_', '-')} is not for members of a group: others read a part of it")
    start, last = _start(arguments)
    line = _line(arguments)
    bootstrap = bootstrap_of(arguments)
    from ..client import Consumer

    if arguments.group is not None:
        topic, group = arguments.topic, arguments.group
        consumer = Consumer(bootstrap, topic, group=group, start=start, topic_timeout_ms=TOPIC_TIMEOUT_MS)
    elif arguments.partition is None:
        consumer = Consumer(bootstrap, arguments.topic, start=start, topic_timeout_ms=TOPIC_TIMEOUT_MS)
    else:
        places = [(arguments.topic, partition) for partition in dict.fromkeys(arguments.partition)]
        consumer = Consumer(bootstrap, assignments=places, start=start, topic_timeout_ms=TOPIC_TIMEOUT_MS)
    from ..client.errors import OffsetOutOfRange

    try:
        _print(consumer, arguments, line, last)
    except OffsetOutOfRange as error:  # the advice of the class is for programs
        what = str(error).partition(": seek")[0]
        raise OffsetOutOfRange(f"{what}: give another --offset, such as earliest or latest") from None
    finally:
        consumer.close()
    return 0


def _start(arguments: argparse.Namespace) -> "tuple[Where, int]":
    """Where to begin, and how many events before the end instead (0: not so)."""
    offset: str | None = arguments.offset
    given = [arguments.from_beginning, offset is not None, arguments.since is not None]
    if sum(given) > 1:
        raise WrongUsage("give one of --from-beginning, --offset and --since")
    if arguments.since is not None:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(arguments.since / 1000, UTC), 0
    if offset is None:
        return ("earliest" if arguments.from_beginning else "latest"), 0
    if offset in ("earliest", "latest"):
        return offset, 0
    number = offset.removeprefix("-")
    if not (number.isascii() and number.isdecimal()):
        raise WrongUsage(f"--offset takes a number, -N, earliest or latest, not `{offset}`")
    if offset.startswith("-"):
        return "latest", int(number)
    if arguments.partition is None:
        raise WrongUsage("--offset with a number needs --partition, because each partition counts for itself")
    return int(offset), 0


def _print(consumer: "Consumer", arguments: argparse.Namespace, line: Line, last: int) -> None:
    from .progress import Progress

    left: int | None = arguments.max_messages
    known = False  # that there is such a topic
    heard = time.monotonic()
    ends = _ends(consumer, arguments, last)
    out = sys.stdout.buffer
    progress = Progress("read", shown=not sys.stdout.isatty())
    while (left is None or left > 0) and (ends is None or _short_of(consumer, ends)):
        patience = 1.0
        if arguments.timeout is not None:
            wait = arguments.timeout if known else max(arguments.timeout, KNOWN_AFTER)
            patience = min(1.0, heard + wait - time.monotonic())
            if patience <= 0:
                break
        records = consumer.poll(patience, 500 if left is None else min(left, 500))
        if not records:
            known = known or any(consumer.high_watermark(*place) >= 0 for place in consumer.assignment())
            continue
        for record in records:
            if ends is not None and record.offset >= ends[record.topic, record.partition]:
                continue
            shown = line(record) + b"\n"
            out.write(shown)
            progress.add(1, len(shown))
            if left is not None:
                left -= 1
        out.flush()
        heard = time.monotonic()
    progress.end()


def _ends(consumer: "Consumer", arguments: argparse.Namespace, last: int) -> dict[tuple[str, int], int] | None:
    """Where to end in each partition, None: nowhere. With `last`, first go so many events before its present end."""
    until: int | None = arguments.until
    if not last and not arguments.to_end and until is None:
        return None
    places = [(arguments.topic, partition) for partition in arguments.partition or _partitions(arguments)]
    ends: dict[tuple[str, int], int] = dict(consumer.end_offsets(places).items())
    if last:
        for (topic, partition), begin in consumer.beginning_offsets(places).items():
            consumer.seek(topic, partition, max(begin, ends[topic, partition] - last))
    if until is not None:
        found = consumer.offsets_for_times(dict.fromkeys(places, until))
        return {place: ends[place] if offset < 0 else offset for place, offset in found.items()}
    return ends if arguments.to_end else None


def _partitions(arguments: argparse.Namespace) -> list[int]:
    from ..client.errors import UnknownTopic

    known_by = time.monotonic() + TOPIC_TIMEOUT_MS / 1000
    with admin_of(arguments) as admin:
        while True:
            try:
                [topic] = admin.describe_topics([arguments.topic])
            except UnknownTopic:
                if time.monotonic() > known_by:
                    raise
                time.sleep(0.05)  # a broker that was asked may hear of it a moment later
            else:
                return [partition.index for partition in topic.partitions]


def _short_of(consumer: "Consumer", ends: dict[tuple[str, int], int]) -> bool:
    """Whether anything below these ends is still to be read."""
    return any(end > 0 and consumer.position(topic, index) < end for (topic, index), end in ends.items())


def _line(arguments: argparse.Namespace) -> Line:
    """What is printed of an event."""
    if arguments.json:
        from .json_events import encode

        return encode
    if arguments.format is not None:
        from .templates import template

        return template(arguments.format)
    if arguments.key_separator is not None:
        separator: bytes = arguments.key_separator
        return lambda record: (record.key or b"") + separator + (record.value or b"")
    return lambda record: record.value or b""
