"""Waiting for partitions that move, with a line that tells how far they are."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..actors.messages import Described
    from ..client import Admin

LOOK_S = 0.5
WIDTH = 24


class Move(NamedTuple):
    """A partition that moves: how much of its log is where it shall be. Sizes are in bytes."""

    topic: str
    partition: int
    before: tuple[int, ...]
    target: tuple[int, ...]
    copied: int
    size: int

    @property
    def percent(self) -> int:
        return 100 if self.size == 0 else 100 * self.copied // self.size


def moves(admin: "Admin", picture: "Described", timeout: float) -> list[Move]:
    """Everything that moves in this picture, as the brokers that take part tell of their logs."""
    moving = [(topic, part) for topic in picture.topics for part in topic.partitions if part.target]
    up = {broker.broker for broker in picture.brokers if not broker.fenced}
    logs = {
        (broker, log.partition): log
        for broker in sorted(up & {broker for _, part in moving for broker in (part.leader, *part.adding)})
        for log in admin.describe_logs(broker, timeout=timeout)
    }
    found = []
    for topic, part in moving:
        before = tuple(broker for broker in part.replicas if broker not in part.adding)
        led = logs.get((part.leader, (topic.id, part.index)))  # type: ignore[arg-type]  # a Partition is such a pair
        size = copied = 0
        for broker in part.adding:
            copy = logs.get((broker, (topic.id, part.index)))  # type: ignore[arg-type]
            if led is not None and led.end > led.start:
                here = 0 if copy is None else max(0, min(copy.end, led.end) - led.start)
                size += led.size
                copied += led.size * here // (led.end - led.start)
        found.append(Move(topic.name, part.index, before, tuple(part.target), copied, size))
    return found


def await_moves(
    admin: "Admin", ours: "Callable[[Described], Sequence[object]]", timeout: float, *, quiet: bool = False
) -> "Described":
    """Until `ours` finds nothing left to do in the picture; on a terminal, with a bar. The last picture."""
    shown = sys.stderr.isatty() and not quiet
    began = time.monotonic()
    picture = admin.describe_cluster(timeout=timeout)
    first = max(1, len(ours(picture)))
    while left := len(ours(picture)):
        first = max(first, left)
        if shown:
            under_way = moves(admin, picture, timeout)
            rest = sum(move.size - move.copied for move in under_way)
            _draw(first - left, first, rest, time.monotonic() - began)
        time.sleep(LOOK_S)  # nothing tells a client of moves: the picture is looked at again
        picture = admin.describe_cluster(timeout=timeout)
    if shown:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
    return picture


def _draw(done: int, of: int, rest: int, passed: float) -> None:
    full = WIDTH * done // of
    bar = "█" * full + "░" * (WIDTH - full)
    sys.stderr.write(f"\r\x1b[K{bar} {done} of {of} partitions, {size(rest)} on their way, {passed:.0f} s")
    sys.stderr.flush()


def size(count: int) -> str:
    """Bytes for people."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
