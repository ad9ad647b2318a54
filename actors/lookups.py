"""What an application wants to know of offsets: several of them at once, one answer.

A sub-machine of whoever has an `OffsetLookup`: it turns a `LookUp` into queries, and their answers into one outcome.
"""

from __future__ import annotations

from typing import Protocol

from .client_commands import Failure, LookUp, Why
from .kernel import Context, Millis
from .offset_lookup import Answer, OffsetLookup, Query


class LookupOutlet(Protocol):
    """Where outcomes go."""

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        """The answer to `LookUp`: (offset, timestamp) of each; -1 when no record is that late."""
        ...

    def lookup_failed(self, token: object, failure: Failure) -> None:
        """`LookUp` has failed."""
        ...


class _Asked:
    """A command that is not complete."""

    def __init__(self, token: object, left: int) -> None:
        self.token = token
        self.left = left
        self.found: dict[tuple[str, int], tuple[int, int]] = {}


class Lookups:
    """All such questions of one application. `lookup` is shared with others; its owner pumps it."""

    def __init__(self, lookup: OffsetLookup, outlet: LookupOutlet, topic_timeout_ms: int) -> None:
        self._lookup = lookup
        self._topic_timeout_ms = topic_timeout_ms  # until it is settled that there is no such partition
        self._outlet = outlet
        self._asked: dict[_Asked, None] = {}

    def ask(self, command: LookUp, ctx: Context) -> None:
        """One more."""
        asked = _Asked(command.token, len(command.queries))
        if not command.queries:
            self._outlet.offsets(command.token, {})
            return
        self._asked[asked] = None
        deadline = Millis(ctx.now + command.timeout_ms)
        known_by = Millis(ctx.now + self._topic_timeout_ms)
        for topic, index, timestamp in command.queries:
            self._lookup.ask(Query(asked, topic, index, timestamp, deadline, known_by), ctx)

    def take(self, answer: Answer) -> bool:
        """An answer to a query: whether it was one of ours."""
        query, found, failure = answer
        asked = query.owner
        if not isinstance(asked, _Asked):
            return False
        if asked not in self._asked:
            return True
        if found is None:
            self._lookup.cancel(asked)
            del self._asked[asked]
            self._outlet.lookup_failed(asked.token, failure or Failure(Why.REFUSED, "no offset"))
            return True
        asked.found[query.topic, query.index] = (found.offset, found.timestamp)
        asked.left -= 1
        if asked.left == 0:
            del self._asked[asked]
            self._outlet.offsets(asked.token, asked.found)
        return True

    def close(self, failure: Failure) -> None:
        """Nobody waits any more."""
        for asked in [*self._asked]:
            self._lookup.cancel(asked)
            self._outlet.lookup_failed(asked.token, failure)
        self._asked.clear()
