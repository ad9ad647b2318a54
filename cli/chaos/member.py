"""A member of a consumer group, as a process of its own that may be killed at any moment.

    python -m barnabas.cli.chaos.member BOOTSTRAP GROUP TOPIC NAME FILE

It reads what the group gives it, commits how far it is, and writes each operation into a file at once, in the format of
`simulation.history`; beside them, when it was given each partition and let go of it (`Held`). SIGTERM lets it leave in
good order.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

import msgspec

from ...client import Consumer, TopicPartition
from ...client.errors import BarnabasError
from ...simulation.history import Op, dump

COMMIT_EVERY = 0.3  # seconds


class Held(msgspec.Struct, frozen=True, tag_field="held", tag=True):
    """A member was given a partition (`given`), or has let go of it. Microseconds of the history's clock."""

    process: str
    key: str
    at: int
    given: bool
    lost: bool = False  # it was not asked to let go: somebody else may have it already


class Member:
    """One process's consumer and its file."""

    def __init__(self, bootstrap: str, group: str, topic: str, name: str, path: str) -> None:
        self._name = name
        self._group = group
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._over = False
        self._next: dict[TopicPartition, int] = {}  # what to commit
        self._held: set[TopicPartition] = set()
        self._consumer = Consumer(
            bootstrap, topic, group=group, start="earliest", auto_commit=False,
            on_assigned=self._given, on_revoked=self._taken, on_lost=self._lost,
        )  # fmt: skip

    def run(self) -> None:
        """Until SIGTERM."""
        signal.signal(signal.SIGTERM, self._stop)
        due = time.monotonic() + COMMIT_EVERY
        with self._consumer as consumer:
            while not self._over:
                called = now_us()
                try:
                    records = consumer.poll(0.1, 200)
                except BarnabasError:
                    continue  # it goes on by itself
                read: dict[TopicPartition, list[tuple[int, str]]] = {}
                for record in records:
                    place = TopicPartition(record.topic, record.partition)
                    value = (record.value or b"").decode("utf-8", "replace").rstrip(".")
                    read.setdefault(place, []).append((record.offset, value))
                    self._next[place] = record.offset + 1
                done = now_us()
                self._write(*(Op(self._name, "poll", key(place), called, done, read=read[place]) for place in read))
                if time.monotonic() >= due:
                    self._commit()
                    due = time.monotonic() + COMMIT_EVERY
            self._taken(sorted(self._held))

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._over = True

    def _commit(self) -> None:
        """Write down that it is asked, ask, write down the answer."""
        offsets, self._next = self._next, {}
        if not offsets:
            return
        called = now_us()
        asked = [
            Op(self._name, "commit", key(at), called, called, offset=end, group=self._group)
            for at, end in offsets.items()
        ]
        self._line(*(b'%s,"outcome":"invoked"}\n' % msgspec.json.encode(op)[:-1] for op in asked))
        try:
            self._consumer.commit({(at.topic, at.partition): end for at, end in offsets.items()}, timeout=5.0)
        except BarnabasError:
            return  # nobody knows
        done = now_us()
        self._write(*(msgspec.structs.replace(op, done=done) for op in asked))

    # --- What the group gives and takes ---

    def _given(self, places: list[TopicPartition]) -> None:
        moment = now_us()
        self._write(*(Op(self._name, "assign", key(place), moment, moment) for place in places))
        self._hold(places, given=True)

    def _taken(self, places: list[TopicPartition]) -> None:
        self._commit()
        for place in places:
            self._next.pop(place, None)
        self._hold(places, given=False)

    def _lost(self, places: list[TopicPartition]) -> None:
        for place in places:
            self._next.pop(place, None)
        self._hold(places, given=False, lost=True)

    def _hold(self, places: Sequence[TopicPartition], *, given: bool, lost: bool = False) -> None:
        moment = now_us()
        self._held = self._held | set(places) if given else self._held - set(places)
        self._line(*(msgspec.json.encode(Held(self._name, key(at), moment, given, lost)) + b"\n" for at in places))

    # --- The file ---

    def _write(self, *ops: Op) -> None:
        self._line(dump(ops))

    def _line(self, *lines: bytes) -> None:
        if data := b"".join(lines):
            os.write(self._file, data)


def now_us() -> int:
    """The clock of histories: the same for all processes of a machine."""
    return time.monotonic_ns() // 1000


def key(place: TopicPartition) -> str:
    """A partition as histories call it."""
    return f"{place.topic}-{place.partition}"


if __name__ == "__main__":
    Member(*sys.argv[1:]).run()
