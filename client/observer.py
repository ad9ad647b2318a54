"""What happens in a cluster, as it happens: for control rooms, lessons, traces and tests.

    with Observer("127.0.0.1:4711") as observer:
        for fact in observer.facts(timeout=1.0):
            ...

It only watches, and costs a broker a question a few times a second. `actors.observer` says which facts there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from ..actors.observer import Fact, ObserverActor
from .core import ClientCore, Reply
from .runtime import Guard, Runtime, endpoints


class _Outlet:
    """From the I/O thread to whoever watches."""

    def __init__(self, facts: SimpleQueue[Fact], wake: Callable[[Fact], None] | None) -> None:
        self.end = Reply()
        self._facts = facts
        self._wake = wake

    def fact(self, fact: Fact) -> None:
        self._facts.put(fact)
        if self._wake is not None:
            self._wake(fact)

    def closed(self) -> None:
        self.end.set()


class Observer(ClientCore):
    """`bootstrap` are brokers to begin with. One thread takes facts; not after a fork. Close it.

    Every broker is asked what has moved each `measure_ms` milliseconds. `wake` is called with each fact on the I/O
    thread, and must neither raise nor wait.
    """

    def __init__(
        self,
        bootstrap: str | Sequence[str],
        *,
        measure_ms: int = 200,
        wake: Callable[[Fact], None] | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        if measure_ms < 1:
            raise ValueError(f"measure_ms is 1 or more, not {measure_ms}")
        places = endpoints(bootstrap)
        self._facts: SimpleQueue[Fact] = SimpleQueue()
        outlet = _Outlet(self._facts, wake)
        self._open(Guard("observer"), runtime, outlet.end, lambda: ObserverActor(places, outlet, measure_ms))

    def facts(self, timeout: float = 0.0) -> list[Fact]:
        """What was learned since the last time, in order; waits for it up to so many seconds. Raises Closed."""
        self._guard.check()
        taken: list[Fact] = []
        try:
            taken.append(self._facts.get(timeout > 0, timeout or None))
            while True:
                taken.append(self._facts.get_nowait())
        except Empty:
            return taken

    def close(self) -> None:
        """Watch no more. A second call does nothing."""
        self._close_and_wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
