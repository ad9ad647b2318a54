"""The members of a consumer group during a run: processes that come, go, and are killed.

`churn` runs beside the faults: every so often it kills a member (kill -9) and lets another one come, or lets one leave
in good order. What members saw is in their files; `ops` puts it together, with a `crash` for each that was killed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec

from ...client import Admin
from ...client.errors import BarnabasError
from ...simulation.history import Op, load
from .member import Held, now_us
from .scenario import GROUP, TOPIC, MembersPart

SETTLED_WITHIN = 60.0


class Members:
    """See the module's essay."""

    def __init__(self, bootstrap: str, part: MembersPart, directory: Path, seed: int) -> None:
        self._bootstrap = bootstrap
        self._part = part
        self._directory = directory
        self._chance = Random(f"{seed}/members")
        self._living: dict[str, subprocess.Popen[bytes]] = {}
        self._count = 0
        self._crashes: list[Op] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.killed = 0
        self.left = 0

    def start(self) -> None:
        """As many as the scenario says."""
        self._directory.mkdir(exist_ok=True)
        for _ in range(self._part.count):
            self._join()

    def churn(self) -> None:
        """Begin to kill, or to come and go."""
        if self._part.killed_every or self._part.changed_every:
            self._thread = threading.Thread(target=self._churn, name="members", daemon=True)
            self._thread.start()

    def calm(self) -> None:
        """No more of that; as many members as in the beginning."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        while len(self._living) < self._part.count:
            self._join()

    def stop(self) -> None:
        """All leave."""
        self._over.set()
        for process in self._living.values():
            process.terminate()
        for process in self._living.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._living.clear()

    def settled(self, admin: Admin) -> float | None:
        """Wait until the group is stable with all members: how many seconds that took, None if it did not."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < SETTLED_WITHIN:
            try:
                picture = admin.describe_group(GROUP, timeout=3.0)
            except BarnabasError:
                picture = None
            if picture is not None and picture.state == "Stable" and len(picture.members) == len(self._living):
                given = [index for member in picture.members for topic in member.assigned for index in topic.partitions]
                if len(given) == len(set(given)) > 0:
                    return passed
            time.sleep(0.1)  # a group tells nobody but its members
        return None

    # --- Coming and going ---

    def _join(self) -> None:
        self._count += 1
        name = f"m{self._count}"
        command = [sys.executable, "-m", "barnabas.cli.chaos.member", self._bootstrap, GROUP, TOPIC, name]
        self._living[name] = subprocess.Popen(
            [*command, str(self._directory / f"{name}.jsonl")], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _churn(self) -> None:
        every = self._part.killed_every or self._part.changed_every
        while not self._over.wait(every):
            name = self._chance.choice(sorted(self._living))
            if self._part.killed_every:
                self._kill(name)
                self._join()
            elif len(self._living) > 1 and self._chance.random() < 0.5:
                self._leave(name)
            elif len(self._living) <= self._part.count:
                self._join()

    def _kill(self, name: str) -> None:
        process = self._living.pop(name)
        process.kill()
        process.wait()
        moment = now_us()
        self._crashes.append(Op(name, "crash", "", moment, moment))
        self.killed += 1

    def _leave(self, name: str) -> None:
        process = self._living.pop(name)
        process.terminate()
        process.wait(30)
        self.left += 1

    # --- What they saw ---

    def ops(self) -> tuple[list[Op], list[str]]:
        """The operations of all members; and where two held one partition at the same time, in sentences."""
        lines: list[bytes] = []
        held: list[Held] = []
        for path in sorted(self._directory.glob("*.jsonl")):
            for line in path.read_bytes().split(b"\n"):
                if line.startswith(b'{"held"'):
                    held.append(msgspec.json.decode(line, type=Held))
                elif line.endswith(b"}"):  # the last one of who was killed may not be whole
                    lines.append(line)
        return load(b"\n".join(lines)) + self._crashes, overlaps(held, {op.process: op.done for op in self._crashes})


def overlaps(held: list[Held], crashed: dict[str, int]) -> list[str]:
    """Where two members held one partition at the same time.

    Who was killed held nothing from then on. Who lost a partition is a member that was given up: what it believes until
    it hears of that counts for nothing, as long as it commits nothing.
    """
    spans: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    begun: dict[tuple[str, str], int] = {}
    for change in sorted(held, key=lambda change: change.at):
        place = (change.process, change.key)
        if change.given:
            begun[place] = change.at
        elif place in begun:
            since = begun.pop(place)
            if not change.lost:
                spans[change.key].append((since, change.at, change.process))
    for (process, key), since in begun.items():
        spans[key].append((since, crashed.get(process, since), process))
    found = []
    for key, of_key in sorted(spans.items()):
        of_key.sort()
        for (_, until, one), (since, _, other) in pairwise(of_key):
            if since < until and one != other:
                found.append(f"{one} held {key} for {(until - since) / 1000:.0f} ms after {other} was given it")
    return found
