"""The fake cluster of `client_world` behind the blocking classes: a thread turns it in real time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from client_world import ClientWorld

from barnabas.actors.kernel import Actor, Message


class WorldRuntime:
    """A runtime whose cluster is fake."""

    def __init__(self, world: ClientWorld) -> None:
        self.world = world
        self.told: deque[Message] = deque()
        self.wakes = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, make: Callable[[], Actor]) -> None:
        self.world.start(make())
        self._thread = threading.Thread(target=self._turn, daemon=True)
        self._thread.start()

    def tell(self, message: Message) -> None:
        self.wakes += 1
        self.told.append(message)

    def close(self) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _turn(self) -> None:
        began = time.monotonic() - self.world.time / 1000
        while not self._stop.is_set():
            while self.told:
                self.world.tell(self.told.popleft())
            self.world.run(int((time.monotonic() - began) * 1000) - self.world.time)
            time.sleep(0.0005)
