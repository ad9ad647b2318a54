"""`produce TOPIC`: each line of standard input becomes an event.

Reading and delivering go on side by side, so two things can happen at any time: there is input, or there is news of
what was sent. The main thread waits for both. The news comes from the client's I/O thread, which writes a byte to a
pipe; so a failure is told at once, also while a person at a terminal types nothing.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_cluster, bootstrap_of, filled_bytes, positive, seconds, whole
from .moments import moment
from .progress import Progress

if TYPE_CHECKING:
    from ..client import FailedRecord, Producer, SendFuture
    from ..client.errors import BarnabasError
    from .json_events import Given


TOPIC_TIMEOUT_MS = 3_000
"""How long a topic may take to appear: it may have been created a moment ago."""

MOST_OF_A_LINE = 32 << 20
"""Bytes: no broker takes so large an event, and without an end of line one would wait for it for ever."""


def register(commands: Commands) -> None:
    produce = commands.add_parser(
        "produce",
        help="write the lines of standard input to a topic",
        examples="""
            echo hello | barnabas produce greetings
            printf 'ada:ink\\nbob:pens\\n' | barnabas produce orders --key-separator :
            barnabas produce pictures --whole --key cat.jpg --header type=image/jpeg < cat.jpg
            barnabas consume orders --from-beginning --to-end --json | barnabas produce copy --json
            barnabas produce logs --acks 1 --compression zstd --linger-ms 50 < access.log
        """,
    )
    produce.add_argument("topic", metavar="TOPIC", help="its name")
    what = produce.add_argument_group("what an event is")
    shape = what.add_mutually_exclusive_group()
    shape.add_argument(
        "--key-separator", type=filled_bytes, metavar="TEXT", help="what stands before it in a line is the key"
    )
    shape.add_argument("--json", action="store_true", help="each line is a JSON object, as `consume --json` prints it")
    shape.add_argument("--whole", action="store_true", help="all of the input is one event, whatever bytes it has")
    what.add_argument("--key", type=os.fsencode, metavar="TEXT", help="the key of every event")
    what.add_argument(
        "--header", action="append", default=[], metavar="NAME=VALUE", help="of every event; may be given again"
    )
    what.add_argument(
        "--null", type=os.fsencode, metavar="TEXT", help="a value that is exactly this is no value: a tombstone"
    )
    what.add_argument("--time", type=moment, metavar="WHEN", help="the time of every event (default: now)")
    what.add_argument("--partition", type=whole, metavar="N", help="of every event (default: by key, or in turns)")
    what.add_argument("--keep-partitions", action="store_true", help="with --json: each in the partition that it names")
    how = produce.add_argument_group("how it is written")
    how.add_argument("--acks", choices=("all", "1", "0"), default="all", help="who must have it (default: all)")
    compressions = ("none", "gzip", "snappy", "lz4", "zstd")
    how.add_argument("--compression", choices=compressions, default="none", help="of batches (default: none)")
    how.add_argument("--linger-ms", type=whole, default=5, metavar="N", help="wait for a fuller batch (default: 5)")
    how.add_argument("--buffer-bytes", type=positive, default=32 << 20, metavar="N", help="default: 33554432")
    how.add_argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="per event (default: 30)")
    how.add_argument("--places", action="store_true", help="print where each event is, a JSON object a line")
    add_cluster(produce)
    produce.set_defaults(run=run_produce)


class _News:
    """What became of the events; told on the client's thread, heard on the main one."""

    def __init__(self) -> None:
        self.sent = 0
        self.failed = 0
        self.first: BarnabasError | None = None
        self.waiting, self._wake = os.pipe()  # there is something to hear when this can be read
        self._lock = threading.Lock()
        self._places: deque[SendFuture] = deque()  # of what was written, if places are printed
        os.set_blocking(self.waiting, False)
        os.set_blocking(self._wake, False)

    def lost(self, record: FailedRecord) -> None:
        """The producer's interceptor."""
        with self._lock:
            self.failed += 1
            self.first = self.first or record.error
        self._tell()

    def done(self, future: SendFuture) -> None:
        """A future's callback."""
        if future.exception() is None:
            self._places.append(future)
            self._tell()

    def _tell(self) -> None:
        with suppress(BlockingIOError):  # enough is told already
            os.write(self._wake, b".")

    def hear(self) -> None:
        """The main thread looks: print the places that are known."""
        with suppress(BlockingIOError):
            os.read(self.waiting, 1 << 16)
        if self._places:
            import msgspec

            while self._places:
                place = self._places.popleft().result()
                print(msgspec.json.encode(place._asdict()).decode())
            sys.stdout.flush()


def run_produce(arguments: argparse.Namespace) -> int:
    headers = _headers(arguments)
    if arguments.keep_partitions and not arguments.json:
        raise WrongUsage("--keep-partitions needs --json: other lines name no partition")
    if arguments.keep_partitions and arguments.partition is not None:
        raise WrongUsage("give --partition or --keep-partitions, not both")
    bootstrap = bootstrap_of(arguments)
    from ..client import Producer
    from ..client.errors import BarnabasError

    news = _News()
    timeout_ms = int(arguments.timeout * 1000)
    producer = Producer(
        bootstrap,
        acks=arguments.acks,
        compression=arguments.compression,
        linger_ms=arguments.linger_ms,
        buffer_bytes=arguments.buffer_bytes,
        delivery_timeout_ms=timeout_ms,
        topic_timeout_ms=min(timeout_ms, TOPIC_TIMEOUT_MS),
        max_block_ms=timeout_ms + 5_000,  # why records fail says more than that there is no room for others
        on_error=news.lost,
    )
    progress = Progress("sent", shown=not sys.stdin.isatty())
    refusal: BarnabasError | None = None
    try:
        _send_all(producer, news, arguments, headers, progress)
        producer.flush()
    except BarnabasError as error:
        refusal = error
    finally:
        producer.close(0.0 if refusal is not None else arguments.timeout)
        progress.end()
    news.hear()
    return _account(arguments.topic, news, refusal or news.first)


def _headers(arguments: argparse.Namespace) -> list[tuple[str, bytes | None]]:
    found: list[tuple[str, bytes | None]] = []
    for text in arguments.header:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise WrongUsage(f"--header takes NAME=VALUE, not `{text}`")
        found.append((name, value.encode()))
    return found


def _send_all(
    producer: Producer,
    news: _News,
    arguments: argparse.Namespace,
    headers: list[tuple[str, bytes | None]],
    progress: Progress,
) -> None:
    """Until the input ends, or an event fails. Raises BarnabasError for input that is no event."""
    from ..client.errors import BufferFull

    if sys.stdin.isatty() and sys.stderr.isatty():
        print("an event a line; Ctrl-D ends", file=sys.stderr, flush=True)
    plain = not (arguments.json or headers or arguments.places) and arguments.time is arguments.partition is None
    number = 0
    for lines in _input(arguments, news):
        if plain:  # many at once cost less each
            pairs = [_pair(line, number + i, arguments) for i, line in enumerate(lines, 1)]
            try:
                news.sent += len(producer.send_many(arguments.topic, pairs))
            except BufferFull as full:
                news.sent += len(full.handed)
                raise
        else:
            for i, line in enumerate(lines, 1):
                _send_one(producer, news, _given(line, number + i, arguments), arguments, headers)
        number += len(lines)
        progress.add(len(lines), sum(map(len, lines)))


def _send_one(
    producer: Producer,
    news: _News,
    given: Given,
    arguments: argparse.Namespace,
    headers: list[tuple[str, bytes | None]],
) -> None:
    future = producer.send(
        arguments.topic,
        given.value,
        given.key,
        headers=[*given.headers, *headers],
        timestamp=given.timestamp if arguments.time is None else arguments.time,
        partition=given.partition if arguments.keep_partitions else arguments.partition,
    )
    news.sent += 1
    if arguments.places:
        future.add_done_callback(news.done)


def _given(line: bytes, number: int, arguments: argparse.Namespace) -> Given:
    from .json_events import Given, NoEvent, decode

    if not arguments.json:
        key, value = _pair(line, number, arguments)
        return Given(key, value, [], None, None)
    try:
        given = decode(line)
    except NoEvent as error:
        raise NoEvent(f"line {number} {error}") from None
    if arguments.key is not None:
        given = given._replace(key=arguments.key)
    return given._replace(value=None) if given.value == arguments.null else given


def _pair(line: bytes, number: int, arguments: argparse.Namespace) -> tuple[bytes | None, bytes | None]:
    """The key and the value in a line."""
    key: bytes | None = arguments.key
    if arguments.key_separator is not None:
        first, found, line = line.partition(arguments.key_separator)
        if not found:
            from .json_events import NoEvent

            raise NoEvent(f"line {number} has no key separator `{arguments.key_separator.decode()}`")
        key = first if key is None else key
    return key, None if line == arguments.null else line


def _input(arguments: argparse.Namespace, news: _News) -> Iterator[list[bytes]]:
    """The lines of standard input as they come, or all of it. Ends early when an event has failed."""
    parts: list[bytes] = []
    size = 0
    for data in _read(arguments, news):
        *lines, rest = [data] if arguments.whole else data.split(b"\n")
        if lines:
            lines[0] = b"".join([*parts, lines[0]])
            yield [line.removesuffix(b"\r") for line in lines]
            parts, size = [], 0
        parts.append(rest)
        size += len(rest)
        if size > MOST_OF_A_LINE:
            from .json_events import NoEvent

            raise NoEvent(f"an event of more than {MOST_OF_A_LINE} bytes is larger than any topic takes")
    if news.first is None and (size or arguments.whole):
        yield [b"".join(parts)]


def _read(arguments: argparse.Namespace, news: _News) -> Iterator[bytes]:
    """What there is of standard input, as it comes, and meanwhile hear what became of what was sent."""
    source = sys.stdin.fileno()
    while news.first is None:
        ready, _, _ = select.select([news.waiting, source], [], [])
        if news.waiting in ready:
            news.hear()
        if source in ready:
            data = os.read(source, 1 << 16)
            if not data:
                return
            yield data


def _account(topic: str, news: _News, refusal: BarnabasError | None) -> int:
    from .main import say

    count = news.sent - news.failed
    written = f"{count} {'event' if count == 1 else 'events'} written to {topic}"
    if refusal is None:
        print(written, file=sys.stderr)
        return 0
    say(refusal)
    if count:
        print(written, file=sys.stderr)
    return 1
