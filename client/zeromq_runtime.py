"""The runtime of a client that speaks to a cluster of processes: a thread with a loop, sockets and one actor.

The thread is a daemon: a program that forgets to close its producer ends all the same (and loses what lingers). It
listens nowhere. Every broker that it asks is watched, so that the actor hears at once when one dies, and it subscribes
to the broadcasts that the actor's `leaderships` learn of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

from ..actors.kernel import Actor, Incarnation, Message
from ..actors.leadership import Leaderships
from ..actors.messages import TOPIC_LEADERSHIP
from ..actors.node import Node
from ..storage.memory import MemoryDisk
from ..transport.process import CLIENT, Ended, Ending, Shell
from .errors import BarnabasError, ForkedClient
from .runtime import forks


class ZeroMqRuntime:
    """`Runtime` over sockets. One per client."""

    def __init__(self) -> None:
        self._forks = forks()
        self._shell: Shell | None = None
        self._thread: threading.Thread | None = None
        self._leaderships: Leaderships | None = None
        self._followed: list[str] = []  # the broadcasters subscribed to
        self._ended: Ended | None = None

    def start(self, make: Callable[[], Actor]) -> None:
        """Make the actor, and begin to turn it in a thread."""
        assert self._shell is None, "a runtime starts once"
        actor = make()
        leaderships = getattr(actor, "leaderships", None)
        self._leaderships = leaderships if isinstance(leaderships, Leaderships) else None
        random = Random()
        node = Node(CLIENT, Incarnation(random.getrandbits(62) | 1), MemoryDisk(random), random, {CLIENT: actor})
        self._shell = Shell(
            node, topics={TOPIC_LEADERSHIP: CLIENT}, watch_all=True, on_turn=self._follow, on_stop=self._stopped
        )
        self._thread = threading.Thread(target=self._shell.run, name=f"barnabas {type(actor).__name__}", daemon=True)
        self._thread.start()

    def tell(self, message: Message) -> None:
        """Hand a command to the actor. Raises ForkedClient, or BarnabasError if the thread has died of a bug."""
        if forks() != self._forks:
            raise ForkedClient("this client was made before a fork: make a new one in the child process")
        if self._ended is not None and self._ended.how is not Ending.CLOSED:
            raise BarnabasError(f"this client has failed: {self._ended.reason}")
        assert self._shell is not None, "start first"
        self._shell.tell(CLIENT, message)

    def close(self) -> None:
        """End the thread. From an outlet, that is from the thread itself, it ends soon after."""
        if forks() != self._forks or self._shell is None or self._thread is None:
            return
        self._shell.close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _follow(self, shell: Shell) -> None:
        if self._leaderships is None or self._leaderships.broadcasts == self._followed:
            return
        broadcasts = list(self._leaderships.broadcasts)
        for endpoint in self._followed:
            if endpoint not in broadcasts:
                shell.unsubscribe(endpoint)
        for endpoint in broadcasts:
            shell.subscribe(endpoint)
        self._followed = broadcasts

    def _stopped(self, ended: Ended) -> None:
        self._ended = ended
