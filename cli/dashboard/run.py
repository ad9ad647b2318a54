"""The control room at work: facts in, frames out, at most ten a second.

A frame is made when something has changed that it could show, and never sooner than a tenth of a second after the one
before; so a change is seen within that time, and a quiet cluster costs next to nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ...actors.observer import Counted, Died, Fact
from ...client.observer import Observer
from ...cluster.figures import Figures
from ...transport.clock import monotonic_ns
from .controls import Controls
from .groups import GroupWatch
from .keys import Looking, press
from .model import Room, Seat
from .screen import Screen
from .terminal import Terminal
from .view import render

if TYPE_CHECKING:
    from ...cluster.formatting import Formatted

FRAME_MS = 85  # at least, between two frames
GATHER_MS = 15  # what comes this soon after a change is shown with it
STATES_MS = 250  # between two looks at which processes live
TICK_MS = 1_000  # between two bars, and two looks at what processes use
AT_LEAST_MS = 2_300  # a snapshot shows the rates of two seconds
AT_MOST_MS = 5_000  # and waits so long for everybody's answer


class Watching:
    """What feeds a room: an observer, and for a local cluster its processes. `wake`: there is something to look at."""

    def __init__(self, bootstrap: str, formatted: Formatted | None, wake: Callable[[], None]) -> None:
        seats = []
        self._figures: Figures | None = None
        if formatted is not None:
            self._figures = Figures(formatted.directory)
            nodes = formatted.config.nodes
            seats = [Seat(node.id, node.address, node.actors, node.rack or "") for node in nodes]
        self.room = Room(seats)
        self._wake = wake
        self._observer = Observer(bootstrap, wake=self._heard)
        self._groups = GroupWatch(bootstrap, wake)
        self._ticked = self._looked = 0

    def _heard(self, fact: Fact) -> None:
        if not isinstance(fact, Counted) or fact.measured.replicas:
            self._wake()

    def step(self, view: str) -> None:
        """Take in what has been learned since the last time, for somebody who looks at this view."""
        self._groups.want(view == "groups")
        groups = self._groups.take()
        if groups is not None:
            self.room.grouped(groups)
        died = False
        for fact in self._observer.facts():
            self.room.apply(fact)
            died = died or isinstance(fact, Died)
        now = now_ms()
        tick = now - self._ticked >= TICK_MS
        if self._figures is not None and (tick or died or now - self._looked >= STATES_MS):
            self._looked = now
            self.room.see(self._figures.look(usage=tick), now)
        if tick:
            self._ticked = now
            self.room.tick(now)

    @property
    def complete(self) -> bool:
        """Whether everybody who lives has been heard."""
        room = self.room
        brokers = [node for node in room.nodes.values() if "broker" in node.seat.actors]
        return room.picture is not None and all(
            node.measured is not None or node.state in ("dead", "paused", "gone") for node in brokers
        )

    def close(self) -> None:
        self._groups.close()
        self._observer.close()


def now_ms() -> int:
    """The clock of facts."""
    return monotonic_ns() // 1_000_000


def watch(bootstrap: str, formatted: Formatted | None) -> int:
    """Until the person has seen enough."""
    with ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        watching = Watching(bootstrap, formatted, terminal.wake)
        stack.callback(watching.close)
        controls = Controls(formatted.directory) if formatted is not None else None
        if controls is not None:
            stack.callback(controls.close)
        _loop(terminal, watching, controls)
    return 0


def _loop(terminal: Terminal, watching: Watching, controls: Controls | None) -> None:
    looking, room = Looking(), watching.room
    shown: object = None
    framed, rows = 0, 1
    due: int | None = 0  # when the next frame is to be made; None: nothing has changed since the last one
    while not looking.over:
        keys = terminal.keys((STATES_MS if due is None else max(0, due - now_ms())) / 1000)
        for key in keys:
            looking, action = press(looking, key, list(room.nodes), local=controls is not None, rows=rows)
            if action is not None and controls is not None:
                looking = replace(looking, message=controls.do(action))
        if not looking.paused:  # what is learned meanwhile waits
            watching.step(looking.view)
        news = controls.news() if controls is not None else ""
        if news:
            looking = replace(looking, message=news)
        size = terminal.size
        if shown == (looking, size, room.version):
            due = None
        elif due is None:
            due = max(now_ms() + GATHER_MS, framed + FRAME_MS)
        if due is not None and (keys or now_ms() >= due):
            frame = render(room, looking, *size, local=controls is not None, clock=time.strftime("%H:%M:%S"))
            terminal.show(frame.screen)
            looking = replace(looking, scroll=frame.scroll)
            rows, framed, due = frame.rows, now_ms(), None
            shown = (looking, size, room.version)


def snapshot(bootstrap: str, formatted: Formatted | None, looking: Looking, size: tuple[int, int]) -> Screen:
    """What the screen would show, once everybody has been heard and there are rates."""
    woken = threading.Event()
    watching = Watching(bootstrap, formatted, woken.set)
    try:
        began = now_ms()
        while now_ms() - began < (AT_LEAST_MS if watching.complete else AT_MOST_MS):
            woken.wait(0.05)
            woken.clear()
            watching.step(looking.view)
        local = formatted is not None
        return render(watching.room, looking, *size, local=local, clock=time.strftime("%H:%M:%S")).screen
    finally:
        watching.close()
