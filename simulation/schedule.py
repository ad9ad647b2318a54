"""Schedules: what was broken and what was asked in a run, and when; enough to run it again.

Seeds lose their meaning as soon as the code draws one number more. A schedule keeps what was drawn: the cluster and the
rates of the run in its head, then one line per step, a fault or a command of a workload with its time in microseconds.

    {"format":1,"seconds":20.0,"found":"P5","swarm":{"seed":4711,"shape":{...},...}}
    [1000000,{"do":"crash","host":"b1","down_us":2100000}]
    [1003100,{"do":"send","process":"p1","topic":"t0","index":0,"number":17,"count":3}]

Chance that is no step (how long each message takes, what becomes of pending pages) still comes from the seed, from
streams of their own. So the same code replays a schedule to the byte; other code meets the same misfortunes at the same
times, on a network of the same kind.

What broke a promise once stays, shrunk, below `tests/schedules`: `docs/simulation.md` says what a replay proves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Union

import msgspec

from .fault import Fault
from .moves import FAULTS
from .parts import commands
from .swarm import Swarm
from .workload import Command

FORMAT = 1


class Step(msgspec.Struct, frozen=True):
    """One line."""

    at_us: int
    action: Fault | Command


class Schedule(msgspec.Struct, frozen=True):
    """A run that can be run again."""

    swarm: Swarm
    seconds: float
    steps: tuple[Step, ...]
    found: str = ""  # the invariant or anomaly that is broken, if any
    bugs: tuple[str, ...] = ()  # historic bugs that were switched on
    mended: str = ""  # the commit that mended what it found

    def dump(self) -> bytes:
        """The lines of a file."""
        head = {
            "format": FORMAT,
            "seconds": self.seconds,
            "found": self.found,
            "bugs": self.bugs,
            "mended": self.mended,
            "swarm": self.swarm,
        }
        lines = [head, *([step.at_us, step.action] for step in self.steps)]
        return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)

    @staticmethod
    def load(lines: bytes) -> Schedule:
        """The reverse. Raises ValueError, with the number of the line, for what is no schedule."""
        first, *others = lines.splitlines() or [b""]
        number = 1
        try:
            head = msgspec.json.decode(first, type=_Head)
            decoder = msgspec.json.Decoder(tuple[int, _action()])  # type: ignore[misc]
            steps = []
            for line in others:
                number += 1
                steps.append(Step(*decoder.decode(line)))
        except msgspec.MsgspecError as error:
            raise ValueError(f"line {number}: {error}") from None
        return Schedule(head.swarm, head.seconds, tuple(steps), head.found, head.bugs, head.mended)

    @staticmethod
    def read(path: Path) -> Schedule:
        """From a file. Raises OSError and ValueError."""
        return Schedule.load(path.read_bytes())


class _Head(msgspec.Struct, kw_only=True):
    format: Literal[1]
    seconds: float
    found: str
    swarm: Swarm
    bugs: tuple[str, ...] = ()
    mended: str = ""


def _action() -> Any:  # noqa: ANN401
    """The type of everything that a step may be."""
    return Union[(*FAULTS, *commands())]
