"""What every client is made of, whether it blocks or awaits.

A client is a core and a shell. The core has the options, checks them, makes the actor, tells it commands and keeps what
comes back from the I/O thread; it never waits. The blocking shell waits with conditions, the asyncio shell with the
application's loop. What one of them can do, the other can, since neither knows more than how to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Generic, TypeVar

from ..actors.client_commands import Close
from ..actors.kernel import Actor, Message
from .errors import BarnabasError, OperationTimeout
from .runtime import Guard, Runtime, new_runtime

GRACE = 5.0  # seconds beyond a call's own timeout, for the I/O thread to say so

T = TypeVar("T")


class Reply:
    """One answer that comes from the I/O thread."""

    def __init__(self) -> None:
        self._future: Future[object] = Future()
        self._future.set_running_or_notify_cancel()  # nobody can cancel it

    def set(self, value: object = None, error: BarnabasError | None = None) -> None:
        """The answer is here. Only the first one counts; only one thread may set."""
        if self._future.done():
            return
        if error is None:
            self._future.set_result(value)
        else:
            self._future.set_exception(error)

    def done(self) -> bool:
        """Whether it is here."""
        return self._future.done()

    def wait(self, timeout: float | None) -> bool:
        """Whether it came in time."""
        try:
            self._future.exception(timeout)
        except TimeoutError:
            return False
        return True

    def then(self, call: Callable[[], None]) -> None:
        """Call once it is here: at once, or on the I/O thread."""
        self._future.add_done_callback(lambda _: call())

    def result(self) -> object:
        """The answer, which must have come."""
        assert self._future.done(), "wait first"
        return self._future.result()


class Question(Generic[T]):
    """Something that was asked of the actor. Wait for `reply` up to `patience` seconds, then call `answer`."""

    def __init__(self, reply: Reply, timeout: float, guard: Guard, read: Callable[[object], T]) -> None:
        self.reply = reply
        self.patience = timeout + GRACE
        self._timeout = timeout
        self._guard = guard
        self._read = read

    def answer(self) -> T:
        """What was asked for. Raises what went wrong, or that nothing was heard."""
        if self.reply.done():
            return self._read(self.reply.result())
        self._guard.check()
        raise OperationTimeout(f"no answer within {self._timeout:g} s")

    def wait(self) -> T:
        """The answer, for those who may block."""
        self.reply.wait(self.patience)
        return self.answer()


def call_back(calls: Iterable[Callable[[], object]]) -> None:
    """Call functions of the application. What they raise is logged and goes no further: it is not the client's fault.

    The logging is that of `concurrent.futures`, whose futures promise the same: one of them has the rest of the
    functions as its callback, and if one raises, the next future goes on behind it.
    """
    rest = iter(calls)
    left = True

    def call_rest(_: Future[None]) -> None:
        nonlocal left
        for call in rest:
            call()
        left = False

    while left:
        told: Future[None] = Future()
        told.add_done_callback(call_rest)
        told.set_result(None)


class ClientCore:
    """What all cores share: a guard, a runtime that turns the actor, questions, and the beginning of the end."""

    _guard: Guard
    _runtime: Runtime
    _end: Reply  # set when the actor has said its last word

    def _open(self, guard: Guard, runtime: Runtime | None, end: Reply, make: Callable[[], Actor]) -> None:
        self._guard = guard
        self._end = end
        self._runtime = runtime or new_runtime()
        self._runtime.start(make)

    def _ask(self, make: Callable[[Reply], Message], timeout: float, read: Callable[[object], T]) -> Question[T]:
        """Tell the actor a command that it answers. Raises ForkedClient or Closed."""
        self._guard.check()
        if timeout < 0:
            raise ValueError(f"a timeout is 0 seconds or more, not {timeout:g}")
        reply = Reply()
        self._runtime.tell(make(reply))
        return Question(reply, timeout, self._guard, read)

    def _begin_close(self, timeout: float = 0.0) -> bool:
        """Tell the actor to end within so many seconds; false if it was told before, or belongs to another process.

        Then wait for `_end` and close the runtime.
        """
        if self._guard.closed or self._guard.forked:
            return False
        self._guard.closed = True
        self._last_words()
        self._runtime.tell(Close(int(timeout * 1000)))
        return True

    def _last_words(self) -> None:
        """What is to be said before `Close`."""

    def _close_and_wait(self, timeout: float = 0.0) -> None:
        """The end, for those who may block."""
        if self._begin_close(timeout):
            self._end.wait(timeout + GRACE)
            self._runtime.close()
