"""What ends a run that would not end by itself: an endless loop, or one that has become far too slow.

A loop in which virtual time stands still is counted: so many events at one instant are a *livelock*, at the same event
in every run. What never comes back to the pump at all can only be seen from outside: a thread watches how much time
this process has had of its processor, and interrupts the run if one second of virtual time takes many seconds of that.
It is the one thing here that depends on the machine, so its limit is far from anything that a run of a right cluster
comes near to.
"""

from __future__ import annotations

import ctypes
import threading
import time
from types import TracebackType

from ..cluster.world import World
from .oracle import Violation

AT_ONE_INSTANT = 20_000
"""Events without time moving. After a pause everything that has waited comes at one instant: some hundreds."""

SLOWEST = 7.5
"""Processor seconds for one simulated second: sixty times slower than the eightfold real time that is expected."""


class TooSlow(BaseException):
    """Raised into the run by the watchdog. Nothing that catches exceptions may catch it."""


class BoundedWorld(World):
    """A world in which time must pass, until it is only looked at."""

    at_rest = False  # the run is over, and checkers read the disks: that is as much work as there are records
    _instant = -1
    _count = 0

    def step(self) -> bool:
        more = super().step()
        if self.now != self._instant:
            self._instant, self._count = self.now, 1
            return more
        self._count += 1
        if self._count > AT_ONE_INSTANT:
            sentence = f"{self._count} events, and time does not move"
            raise Violation("livelock", sentence, self.now, self.steps)
        return more


class Watchdog:
    """`with Watchdog(world, limit):` raises `TooSlow` in this thread if virtual time does not keep up."""

    def __init__(self, world: BoundedWorld, slowest: float = SLOWEST, look_s: float = 0.2) -> None:
        self._world = world
        self._slowest = slowest
        self._look_s = look_s
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        marked, since = self._world.now, time.process_time()
        while not self._over.wait(self._look_s):
            now = time.process_time()
            if self._world.now >= marked + 1_000_000 or self._world.at_rest:
                marked, since = self._world.now, now
            elif now - since > self._slowest:
                with self._lock:
                    if not self._over.is_set():
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(
                            ctypes.c_ulong(self._watched), ctypes.py_object(TooSlow)
                        )
                return
