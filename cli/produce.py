"""`produce TOPIC`: each line of standard input becomes an event."""

import argparse
import sys
import threading
from typing import TYPE_CHECKING

from .arguments import Commands, add_cluster, bootstrap_of, positive, seconds, whole

if TYPE_CHECKING:
    from ..client import SendFuture
    from ..client.errors import BarnabasError


TOPIC_TIMEOUT_MS = 3_000
"""How long a topic may take to appear: it may have been created a moment ago."""


def register(commands: Commands) -> None:
    produce = commands.add_parser("produce", help="write the lines of standard input to a topic")
    produce.add_argument("topic", metavar="TOPIC")
    produce.add_argument("--key-separator", metavar="TEXT", help="what stands before it in a line is the key")
    produce.add_argument("--partition", type=whole, metavar="N", help="default: by key, or in turns")
    produce.add_argument("--acks", choices=("all", "1", "0"), default="all", help="who must have it (default: all)")
    compressions = ("none", "gzip", "snappy", "lz4", "zstd")
    produce.add_argument("--compression", choices=compressions, default="none", help="of batches (default: none)")
    produce.add_argument("--linger-ms", type=whole, default=5, metavar="N", help="wait for a fuller batch (default: 5)")
    produce.add_argument("--buffer-bytes", type=positive, default=32 << 20, metavar="N", help="default: 33554432")
    produce.add_argument("--timeout", type=seconds, default=30.0, metavar="SECONDS", help="per event (default: 30)")
    add_cluster(produce)
    produce.set_defaults(run=run_produce)


class _Outcomes:
    """Counts what became of the events; told on the client's thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.written = 0
        self.failed = 0
        self.first: BarnabasError | None = None

    def done(self, future: "SendFuture") -> None:
        error = future.exception()
        with self.lock:
            if error is None:
                self.written += 1
                return
            self.failed += 1
            self.first = self.first or error


def run_produce(arguments: argparse.Namespace) -> int:
    from ..client import Producer
    from ..client.errors import BarnabasError

    separator: bytes | None = arguments.key_separator.encode() if arguments.key_separator else None
    outcomes = _Outcomes()
    timeout_ms = int(arguments.timeout * 1000)
    producer = Producer(
        bootstrap_of(arguments),
        acks=arguments.acks,
        compression=arguments.compression,
        linger_ms=arguments.linger_ms,
        buffer_bytes=arguments.buffer_bytes,
        delivery_timeout_ms=timeout_ms,
        topic_timeout_ms=min(timeout_ms, TOPIC_TIMEOUT_MS),
        max_block_ms=timeout_ms,
    )
    refusal: BarnabasError | None = None
    try:
        for number, line in enumerate(sys.stdin.buffer, 1):
            value, key = line.removesuffix(b"\n").removesuffix(b"\r"), None
            if separator is not None:
                key, found, value = value.partition(separator)
                if not found:
                    refusal = BarnabasError(f"line {number} has no key separator `{arguments.key_separator}`")
                    break
            if outcomes.failed:
                break
            producer.send(arguments.topic, value, key, partition=arguments.partition).add_done_callback(outcomes.done)
        producer.flush()
    except BarnabasError as error:
        refusal = error
    finally:
        producer.close(0.0 if refusal is not None else arguments.timeout)
    return _account(arguments.topic, outcomes, refusal or outcomes.first)


def _account(topic: str, outcomes: _Outcomes, refusal: "BarnabasError | None") -> int:
    from .main import say

    written = f"{outcomes.written} {'event' if outcomes.written == 1 else 'events'} written to {topic}"
    if refusal is None:
        print(written, file=sys.stderr)
        return 0
    say(refusal)
    if outcomes.written:
        print(written, file=sys.stderr)
    return 1
