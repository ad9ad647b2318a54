"""One member of a group as a process of its own, which tells what happens to it: the other half of `bench group`.

    python -m barnabas.bench.group_member BOOTSTRAP TOPIC GROUP

It says `ready`, waits for a line on its standard input, joins, and prints a line for each thing that happens, with the
time of the machine's monotonic clock. Before it asks for more it commits what it was given.

    assigned|revoked|lost TIME PARTITION ...      what is its own from now on, and what is not any more
    read TIME PARTITION FIRST LAST                records, by their offsets
    committed TIME PARTITION:OFFSET ...           the group remembers that
    fenced TIME                                   a commit was refused: others may own what was to be committed
"""

import sys
import time
from collections.abc import Sequence

from ..client import Consumer, ConsumerRecord, TopicPartition
from ..client.errors import NotAMember, UnknownOutcome
from ..client.zeromq_runtime import ZeroMqRuntime


def main() -> None:
    """Until it is killed, or nobody reads any more."""
    bootstrap, topic, group = sys.argv[1:]
    runtime = ZeroMqRuntime()  # made before it joins: imports are not measured
    print("ready", flush=True)
    sys.stdin.readline()
    _tell("joining")
    with Consumer(
        bootstrap,
        topic,
        group=group,
        runtime=runtime,
        auto_commit=False,
        max_wait_ms=200,
        on_assigned=lambda places: _tell("assigned", *_numbers(places)),
        on_revoked=lambda places: _tell("revoked", *_numbers(places)),
        on_lost=lambda places: _tell("lost", *_numbers(places)),
    ) as consumer:
        while True:
            records = consumer.poll(1.0)
            if not records:
                continue
            read = _spans(records)
            for partition, (first, last) in read.items():
                _tell("read", partition, first, last)
            ends = {(topic, partition): last + 1 for partition, (_, last) in read.items()}
            try:
                consumer.commit(ends)
            except (NotAMember, UnknownOutcome):
                _tell("fenced")
            else:
                _tell("committed", *(f"{partition}:{end}" for (_, partition), end in ends.items()))


def _numbers(places: Sequence[TopicPartition]) -> list[int]:
    return [place.partition for place in places]


def _spans(records: Sequence[ConsumerRecord]) -> dict[int, tuple[int, int]]:
    """Per partition the first and the last offset; between them there is no gap, or it is told as one that is wrong."""
    spans: dict[int, tuple[int, int]] = {}
    for record in records:
        first, last = spans.get(record.partition, (record.offset, record.offset - 1))
        assert record.offset == last + 1, f"{record.partition}: {record.offset} after {last}"
        spans[record.partition] = (first, record.offset)
    return spans


def _tell(what: str, *words: object) -> None:
    print(what, f"{time.monotonic():.6f}", *words, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)
