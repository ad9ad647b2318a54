"""What clients saw: the format of histories, one JSON object per line, the same for simulated and for real runs.

    {"process":"p1","kind":"send","key":"orders-0","called":1000,"done":4200,"value":"p1-17","offset":16}
    {"process":"r1","kind":"poll","key":"orders-0","called":5000,"done":5100,"read":[[15,"p1-16"],[16,"p1-17"]]}

`key` is a partition. Times are microseconds of one clock, for all processes the same. Fields that have their default
may be left out. Lines may be in any order, but those of one process must come in the order of its calls.

    send       `value` is unique in its partition; `offset` is what the producer was told, -1 if nothing
    poll       `read` is what came of one partition, in the order in which it came; `final` marks the last reads, which
               went on until the end of everything
    latest     `offset` is the end that was told, in an `ok` answer to a question for it
    assign     from now on this process reads this partition from a place of its own choice (also: it was given to it)
    commit     the process committed `offset` for `group`     committed   it asked, and was told `offset` (-1: none)
    crash      the process is gone, with all its positions; a later one of that name is another. `key` may be empty
    end        of a transaction: `ok` committed, `fail` aborted, `info` nobody knows. `key` is empty

`outcome` is "ok"; "fail" only if it certainly did not happen; "info" if nobody knows. Whoever may die before the
outcome writes a line with "invoked" first, with `done` equal to `called`, and the outcome in a second line with the
same process, kind, key, call and value: a first line without a second is an "info" that never ended.

`safe` sends are acks=all; what they are told will not be lost. `once` sends are idempotent too: not doubled, and in the
order of their calls. Sends, polls and commits with the same `txn` (unique in the history) stand and fall together.

`barnabas simulate --history FILE` judges a file (`analysis`): exit code 1 if no log can explain it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["send", "poll", "latest", "assign", "commit", "committed", "crash", "end"]
Outcome = Literal["ok", "info", "fail"]

NEVER = 1 << 62
"""When something is done whose outcome nobody learned."""


class Op(msgspec.Struct, frozen=True, omit_defaults=True):
    """One operation of one process."""

    process: str
    kind: Kind
    key: str
    called: int
    done: int
    outcome: Outcome = "ok"
    value: str = ""
    offset: int = -1
    read: list[tuple[int, str]] = []
    safe: bool = True
    final: bool = False
    once: bool = True
    group: str = ""
    txn: str = ""


class _Line(Op, frozen=True):
    """As in a file."""

    outcome: Literal["ok", "info", "fail", "invoked"] = "ok"  # type: ignore[assignment]


def dump(ops: Iterable[Op]) -> bytes:
    """One JSON line per operation."""
    return b"".join(msgspec.json.encode(op) + b"\n" for op in ops)


def load(lines: bytes) -> list[Op]:
    """The operations of a file's lines. Raises ValueError, with the number of the line, for what is none."""
    decoder = msgspec.json.Decoder(_Line)
    found: dict[tuple[str, ...], Op] = {}
    for number, line in enumerate(lines.splitlines(), 1):
        if not line.strip():
            continue
        try:
            read = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise ValueError(f"line {number} of the history: {error}") from None
        fields = msgspec.structs.asdict(read)
        place = (read.process, read.kind, read.key, str(read.called), read.value)
        if read.outcome == "invoked":
            found[place] = Op(**{**fields, "outcome": "info", "done": NEVER})
        elif place in found and found[place].done == NEVER:
            found[place] = Op(**fields)
        else:
            found[*place, str(number)] = Op(**fields)  # two alike are two
    return list(found.values())


def read(path: Path) -> list[Op]:
    """The operations in a file. Raises OSError and ValueError."""
    return load(path.read_bytes())
