"""A whole cluster inside this process: each node is a thread with a loop, and everything else is as it always is.

Actors, sockets, ports, data directories and files of events are those of nodes that are processes, so any client can
talk to it. A node is not protected from the program that it lives in: it shares its interpreter lock, and its death.
What becomes of threads:

  kill     an exception ends the loop: nothing more is handled, written or sent. What the operating system has, stays.
           A flush that has begun runs to its end first, as in a process that is killed within a system call
  pause    the loop waits; its sockets stay open and fill up, and ZeroMQ's own threads answer for it, as a kernel would
  isolate  see `cuts`
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from functools import partial
from queue import Empty, SimpleQueue

from ..actors.chronicle import REMEMBERED
from ..actors.events import BrokerUnfencedEvent
from ..actors.kernel import Address, Event
from ..storage.checkpoint import ForeignDirectory
from ..storage.disk import Flush, StorageError
from ..storage.real import RealDisk
from ..transport.errors import TransportError
from ..transport.process import Ending, Shell
from .assembly import assemble
from .cuts import CutNode, Cuts
from .event_file import EventFile
from .formatting import LOG_FILE, ClusterRefused, Formatted, claim_directory
from .launcher import Report
from .link_process import LinkThread
from .node_process import RESERVE, finish, node_shell, stamped

PATIENCE = 30.0


class _Killed(StorageError):
    """Raised on a node's loop: a shell takes it for a disk that has failed, and lets everything go at once."""


class _Disk(RealDisk):
    """The next life of this directory may begin as soon as it is closed: no flush of this one is left."""

    _flush_now: Callable[[], None] | None = None

    def start_flush(self) -> Flush:
        flush = super().start_flush()
        self._flush_now = flush.run = _once(flush.run)  # type: ignore[method-assign]
        return flush

    def close(self) -> None:
        if self._flush_now is not None:
            with suppress(StorageError):  # the flusher hears of it
                self._flush_now()
        super().close()


def _once(run: Callable[[], None]) -> Callable[[], None]:
    """The first call runs it; all others wait for that one."""
    lock = threading.Lock()
    begun = False

    def once() -> None:
        nonlocal begun
        with lock:
            if not begun:
                begun = True
                run()

    return once


class Life:
    """One node from its start to its end, in a thread of its own."""

    def __init__(
        self, formatted: Formatted, node: int, number: int, cuts: Cuts, tell: Callable[[Report], None]
    ) -> None:
        self.node = node
        self.number = number
        self._formatted = formatted
        self._cuts = cuts
        self._tell = tell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shell: Shell | None = None
        self._running = threading.Event()  # the loop is there, or has ended
        self._go = threading.Event()  # not paused
        self._go.set()
        self._killed = False
        self._thread = threading.Thread(target=self._live, name=f"barnabas node {node}", daemon=True)
        self._thread.start()

    # --- From any thread ---

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended within so many seconds."""
        self._thread.join(timeout)
        return not self.alive

    def finish(self) -> None:
        """End in good order; when told again, without handing over."""
        self._running.wait()
        if self._shell is not None:
            finish(self._shell, self.node, self._formatted)
        self._go.set()

    def kill(self) -> None:
        """It has ended on return."""
        self._running.wait()
        self._killed = True
        self._go.set()
        self._post(self._die)
        assert self.wait(PATIENCE), f"node {self.node} does not end"

    def pause(self) -> None:
        """It does nothing more on return."""
        self._running.wait()
        if self._go.is_set():
            self._go.clear()
            held = threading.Event()
            self._post(partial(self._hold, held))
            held.wait(PATIENCE)

    def resume(self) -> None:
        self._go.set()

    @property
    def paused(self) -> bool:
        return not self._go.is_set()

    def _post(self, action: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: the node has ended
                self._loop.call_soon_threadsafe(action)

    # --- On the loop ---

    def _hold(self, held: threading.Event) -> None:
        held.set()
        self._go.wait()
        self._die_if_killed()

    def _die(self) -> None:
        self._die_if_killed()

    def _die_if_killed(self) -> None:
        if self._killed:
            raise _Killed("it was killed")

    def _started(self, shell: Shell) -> None:
        self._loop = asyncio.get_running_loop()
        self._running.set()
        self._tell(Report("listening", self.node))

    # --- The thread ---

    def _live(self) -> None:
        text = ""
        try:
            text = self._serve()
        except TransportError as error:
            self._fail(f"{error}: stop what listens there, or give the node another address")
        except (StorageError, ForeignDirectory, ClusterRefused) as error:
            self._fail(str(error))
        finally:
            self._running.set()
            self._tell(Report("ended", self.node, text, self.number))

    def _fail(self, why: str) -> None:
        self._tell(Report("failed", self.node, f"node {self.node} cannot start: {why}"))

    def _serve(self) -> str:
        """Until the end; how it ended, empty if in good order."""
        self._formatted = claim_directory(self._formatted, self.node)
        directory = self._formatted.config.data_of(self._formatted.config.node(self.node))
        with closing(_Disk(directory, reserve=RESERVE)) as disk:
            disk.lock()
            with (
                closing(EventFile(directory, self.node)) as events,
                (directory / LOG_FILE).open("a", encoding="utf-8", buffering=1) as log,
            ):

                def say(text: str) -> None:
                    log.write(stamped(text))

                def on_event(actor: Address, event: Event) -> bytes:
                    if isinstance(event, BrokerUnfencedEvent):
                        self._tell(Report("unfenced", event.broker))
                    return events.write(actor, event)

                self._shell = node_shell(
                    self._formatted,
                    self.node,
                    assemble(self._formatted, self.node, disk, partial(CutNode, self._cuts), events.newest(REMEMBERED)),
                    on_event=on_event,
                    on_start=self._started,
                    on_slow=lambda what, seconds: say(f"slow: {what} took {seconds * 1000:.0f} ms"),
                    log=say,
                )
                ended = self._shell.run()
        if ended.how in (Ending.CLOSED, Ending.STOPPED):
            return ""
        if not self._killed:
            sys.stderr.write(f"node {self.node} died: {ended.reason}; see {directory / LOG_FILE}\n")
        return ended.reason


class Embedded:
    """The nodes of a cluster, as threads. `start` and `reports` are those of a launcher, with lives for processes."""

    def __init__(self, formatted: Formatted) -> None:
        self.formatted = formatted
        self.cuts = Cuts()
        self._links: LinkThread | None = None
        self._lives: dict[int, Life] = {}
        self._count = 0
        self._told: SimpleQueue[Report] = SimpleQueue()

    def start_links(self) -> None:
        """Have the proxy between the nodes, if this cluster has one; returns when it listens."""
        if self.formatted.links is None or (self._links is not None and self._links.alive):
            return
        self._links = LinkThread(self.formatted)

    def start(self, node: int) -> int:
        """Begin a life; its number."""
        assert node not in self._lives or not self._lives[node].alive, f"node {node} runs already"
        self._count += 1
        self._lives[node] = Life(self.formatted, node, self._count, self.cuts, self._told.put)
        return self._count

    def reports(self, timeout: float | None = None) -> Iterator[Report]:
        """What nodes have told; waits up to so many seconds."""
        with suppress(Empty):
            yield self._told.get(timeout=timeout)
            while True:
                yield self._told.get_nowait()

    def life(self, node: int) -> Life:
        """The node as it lives; refused if it does not."""
        life = self._lives.get(node)
        if life is None or not life.alive:
            raise ClusterRefused(f"node {node} is not running: start it again with restart({node}).")
        return life

    def alive(self) -> list[int]:
        return sorted(life.node for life in self._lives.values() if life.alive)

    def end(
        self, nodes: Collection[int], patience: float, hopeful: Callable[[Collection[int]], bool] = lambda left: True
    ) -> None:
        """End these nodes in good order, as `processes.terminate` does; kill those that take too long."""
        left = [life for life in self._lives.values() if life.node in nodes and life.alive]
        for life in left:
            life.finish()
        began = time.monotonic()
        told_again = False
        while left and time.monotonic() - began < patience:
            if not told_again and (
                not hopeful([life.node for life in left]) or time.monotonic() - began > patience / 2
            ):
                told_again = True
                for life in left:
                    life.finish()
            left[0].wait(0.02)
            left = [life for life in left if life.alive]
        for life in left:
            life.kill()

    def kill_all(self) -> None:
        for life in self._lives.values():
            life.kill()
        if self._links is not None:
            self._links.close()
