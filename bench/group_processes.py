"""Members of a group as processes, a flow of records for them, and what they tell."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from ..client import Producer
from ..client.errors import BarnabasError

PATIENCE = 60.0
EVERY = 0.005
"""Seconds between two records of the flow, which go to the partitions in turn."""

SIGNS = {"assigned": 1, "revoked": -1, "lost": -1}
"""What a word of a member does to the number of its partitions."""


class Told(NamedTuple):
    """A line of a member."""

    what: str
    at: float
    words: list[str]


class Member:
    """One member's process, and what it told so far."""

    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        self.told: list[Told] = []
        self.stopped: list[tuple[float, float]] = []  # from when to when it was paused
        self.killed_at = math.inf
        self._process = subprocess.Popen(
            [sys.executable, "-m", "barnabas.bench.group_member", bootstrap, topic, group],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None, "it has a pipe"
        if self._process.stdout.readline().strip() != "ready":
            raise BarnabasError("a member did not start")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def join(self) -> float:
        """Let it join; when that was."""
        assert self._process.stdin is not None, "it has a pipe"
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return time.monotonic()

    def pause(self) -> None:
        """SIGSTOP."""
        self.stopped.append((time.monotonic(), math.inf))
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)
        self.stopped[-1] = (self.stopped[-1][0], time.monotonic())

    def kill(self) -> float:
        """kill -9; when that was."""
        self.killed_at = time.monotonic()
        self.end()
        return self.killed_at

    def end(self) -> None:
        """No process and no thread is left."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def share(self) -> int:
        """How many partitions it has."""
        return sum(SIGNS[told.what] * len(told.words) for told in list(self.told) if told.what in SIGNS)

    @property
    def changed_at(self) -> float:
        """When that last changed."""
        return max((told.at for told in list(self.told) if told.what in SIGNS), default=0.0)

    def served(self, since: float = 0.0) -> dict[int, float]:
        """The partitions of which it got records after that moment, and when first."""
        found: dict[int, float] = {}
        for told in list(self.told):
            if told.what == "read" and told.at > since:
                found.setdefault(int(told.words[0]), told.at)
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None, "it has a pipe"
        for line in self._process.stdout:
            if not line.endswith("\n"):
                return  # it was killed in the middle of a word
            what, at, *words = line.split()
            self.told.append(Told(what, float(at), words))


class Flow(threading.Thread):
    """A record every few milliseconds, to the partitions in turn."""

    def __init__(self, producer: Producer, topic: str, partitions: int, every: float = EVERY) -> None:
        super().__init__(name="flow", daemon=True)
        self._producer, self._topic, self._partitions = producer, topic, partitions
        self._every = every
        self._over = threading.Event()

    def run(self) -> None:
        began, number = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + number * self._every - time.monotonic())):
            self._producer.send(self._topic, str(number), partition=number % self._partitions)
            number += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait for that. Raises BarnabasError if it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BarnabasError(f"the group did not settle within {seconds:g} s")
        time.sleep(0.005)
