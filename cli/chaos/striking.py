"""Carrying out a plan: each blow at its time, and its opposite when that has come. What was done is written down.

One thread does it all, in order. Finding out whom a target means takes a few milliseconds; a blow counts from the
moment before it is struck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from pathlib import Path
from random import Random

import msgspec

from ...client import Admin
from ...client.errors import BarnabasError
from ...cluster.blows import Arena, Blow
from ...cluster.formatting import ClusterRefused
from .plan import Planned
from .scenario import EVERYBODY, TOPIC
from .targets import Target, parse, resolve
from .workload import now_us

SLOWLY = ("restart", "elect-unclean")  # in force before they have returned


class Struck(msgspec.Struct, omit_defaults=True):
    """One blow as it was struck. Times of the history's clock in microseconds, and of the wall in milliseconds."""

    blow: Blow
    target: str
    sentence: str
    at_us: int
    at_ms: int
    leads: list[str] = []  # the partitions that the node led then
    undone_us: int = -1  # -1: it was not undone by itself
    undone: str = ""
    in_force_us: int = -1  # -1: as soon as it was struck

    @property
    def counts_us(self) -> int:
        """Whoever sends from here on is concerned."""
        return max(self.at_us, self.in_force_us)


class Striker:
    """See the module's essay."""

    def __init__(self, arena: Arena, admin: Admin, path: Path, say: Callable[[str], None]) -> None:
        self.struck: list[Struck] = []
        self.refused: list[str] = []
        self._arena = arena
        self._admin = admin
        self._path = path
        self._say = say

    def carry_out(self, planned: Sequence[Planned], began: float, seconds: float) -> None:
        """All of it, at its time after `began` (of the monotonic clock); returns when the time is over."""
        waiting: list[tuple[float, int, Planned | Struck]] = [(blow.at, n, blow) for n, blow in enumerate(planned)]
        heapify(waiting)
        number = len(planned)
        while waiting:
            at, _, what = heappop(waiting)
            time.sleep(max(0.0, began + at - time.monotonic()))
            if isinstance(what, Struck):
                self._undo(what)
                continue
            struck = self._strike(what)
            if struck is not None:
                number += 1
                heappush(waiting, (max(what.until, at), number, struck))
        time.sleep(max(0.0, began + seconds - time.monotonic()))

    def write(self) -> None:
        """Keep what was done beside the history."""
        self._path.write_bytes(b"".join(msgspec.json.encode(struck) + b"\n" for struck in self.struck))

    def _strike(self, planned: Planned) -> Struck | None:
        fault, chance = planned.fault, Random(planned.seed)
        try:
            node = self._find(planned.target, chance)
            other = self._find(fault.other, chance)
            leads = self._led_by(node)
            blow = fault.blow(node, other, planned.seed)
            at_us, at_ms = now_us(), time.time_ns() // 1_000_000
            sentence = self._arena.strike(blow)
            in_force_us = at_us if blow.do in SLOWLY else now_us()
        except ClusterRefused as error:
            self.refused.append(f"{fault.do} {planned.target}: {error}")
            self._say(f"refused: {error}")
            return None
        self._say(sentence)
        self.struck.append(Struck(blow, planned.target, sentence, at_us, at_ms, leads, in_force_us=in_force_us))
        return self.struck[-1]

    def _find(self, target: str, chance: Random) -> int:
        if target in ("", EVERYBODY):
            return 0
        found = parse(target)
        assert isinstance(found, Target), "the scenario was checked when it was read"
        return resolve(found, self._arena, self._admin, chance)

    def _led_by(self, node: int) -> list[str]:
        try:
            [picture] = self._admin.describe_topics([TOPIC], timeout=2.0)
        except BarnabasError:
            return []
        led = [partition.index for partition in picture.partitions if node in (0, partition.leader)]
        return [f"{TOPIC}-{index}" for index in led]

    def _undo(self, struck: Struck) -> None:
        try:
            struck.undone = self._arena.undo(struck.blow)
        except ClusterRefused as error:
            struck.undone = f"refused: {error}"
            self.refused.append(f"to undo {struck.blow.do} of node {struck.blow.node}: {error}")
        struck.undone_us = now_us()
        if struck.undone:
            self._say(struck.undone)
