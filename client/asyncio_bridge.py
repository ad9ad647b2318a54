"""From the I/O thread to the loop of an application that awaits.

The actor keeps its own thread. A shell can serve on any loop, but an exception out of any callback there ends it (that
is what a node's process wants), and an application's loop has callbacks of its own: a mistake in one of them
must not cost it its clients. So what the I/O thread tells is posted to the loop, which is woken once per burst.
"""

# A timeout is told to the cluster too, which `asyncio.timeout` around a call would not do.
# ruff: noqa: ASYNC109

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from .core import GRACE, ClientCore, Question

T = TypeVar("T")


class Bridge:
    """One client's way to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._posted: deque[Callable[[], object]] = deque()
        self._woken = False  # somebody has made sure that `_posted` will be looked at
        self._waiters: set[asyncio.Future[None]] = set()

    def post(self, call: Callable[[], object]) -> None:
        """Call this on the loop, soon and in order; it must not raise. From any thread."""
        self._posted.append(call)
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to hear it
                self.loop.call_soon_threadsafe(self._listen)

    def wake(self) -> None:
        """Let those who wait in `until` look again. From any thread."""
        self.post(self.look)

    async def until(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Whether the condition comes true in so many seconds (None: as long as it takes)."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    waiter = self.loop.create_future()
                    self._waiters.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters.discard(waiter)
        except TimeoutError:
            return condition()
        return True

    async def answer(self, question: Question[T]) -> T:
        """What `Question.wait` is to those who block."""
        question.reply.then(self.wake)
        await self.until(question.reply.done, question.patience)
        return question.answer()

    def look(self) -> None:
        """The same, on the loop and at once."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _listen(self) -> None:
        self._woken = False  # before looking: what is posted from now on wakes us again
        while self._posted:
            self._posted.popleft()()


class OnLoop(ClientCore):
    """The asyncio shells' half of a core: the bridge to the loop that first used the client, and the end."""

    _bridge_made: Bridge | None = None  # None: not used yet

    @property
    def _bridge(self) -> Bridge:
        loop = asyncio.get_running_loop()
        bridge = self._bridge_made
        if bridge is None:
            bridge = self._bridge_made = Bridge(loop)
            self._bridged(bridge)
        elif bridge.loop is not loop:
            raise RuntimeError("this client was first used on another event loop: make one for each loop")
        return bridge

    def _bridged(self, bridge: Bridge) -> None:
        """There is a bridge from now on."""

    async def _close_and_await(self, timeout: float = 0.0) -> None:
        if not self._begin_close(timeout):
            return
        bridge = self._bridge
        try:
            self._end.then(bridge.wake)
            await bridge.until(self._end.done, timeout + GRACE)
        finally:
            await asyncio.to_thread(self._runtime.close)  # it joins the I/O thread
