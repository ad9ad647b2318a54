"""What happened at this node, for who watches from outside.

Events are written to a file beside the data; whoever is on another machine cannot read that. So each node also has
this actor: it is told every line that was written, remembers the newest ones, and gives them to who asks. A question
that finds nothing new waits, so an event is at its watchers in the time that a message takes. Nothing in the cluster
asks: observation is write-only.

A node that starts remembers the end of its file, so a watcher hears of what happened before it came, and of the last
words of a process that was killed. Who has heard some of that already tells the same lines apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

from .kernel import Actor, Address, Context, Message, Timer
from .messages import EventsFetched, FetchEvents

REMEMBERED = 1_000  # events
AT_ONCE = 200  # events in one answer: about 80 KB
MAX_WAIT_MS = 30_000
MAX_WAITING = 100  # watchers; one more is answered at once, and asks again


class Noted(Message, frozen=True):
    """Local: this line was written to the file of events."""

    line: bytes


class ChronicleTimer(Timer, frozen=True):
    """A question has waited long enough."""

    sender: Address


class Chronicle(Actor):
    """See the module's essay. `earlier`: the last lines of the file when the node started, the oldest first."""

    def __init__(self, earlier: Iterable[bytes] = ()) -> None:
        self._lines: deque[bytes] = deque(earlier, REMEMBERED)
        self._end = len(self._lines)  # the number of the next event
        self._waiting: dict[Address, FetchEvents] = {}  # the newest question of each watcher

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Noted(line=line):
                self._lines.append(line)
                self._end += 1
                for watcher in [*self._waiting]:
                    self._answer(watcher, ctx)
            case FetchEvents():
                self._waiting[sender] = message
                wait = min(message.max_wait_ms, MAX_WAIT_MS)
                if self._after(message, ctx) < self._end - 1 or wait <= 0 or len(self._waiting) > MAX_WAITING:
                    self._answer(sender, ctx)
                else:
                    ctx.set_timer(ChronicleTimer(sender), wait)
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if isinstance(timer, ChronicleTimer) and timer.sender in self._waiting:
            self._answer(timer.sender, ctx)

    def _after(self, request: FetchEvents, ctx: Context) -> int:
        """The last number that the asker knows; -1: none."""
        known = request.life == ctx.incarnation and -1 <= request.after < self._end
        return request.after if known else -1

    def _answer(self, watcher: Address, ctx: Context) -> None:
        request = self._waiting.pop(watcher)
        ctx.cancel_timer(ChronicleTimer(watcher))
        oldest = self._end - len(self._lines)
        first = max(oldest, self._after(request, ctx) + 1)
        lines = list(islice(self._lines, first - oldest, first - oldest + AT_ONCE))
        ctx.send(watcher, EventsFetched(request.id, ctx.incarnation, first, lines))
