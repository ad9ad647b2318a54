"""A node's events for who watches from outside: `FetchEvents` and its answer. Part of `messages`."""

from __future__ import annotations

from .kernel import Incarnation, Message


class FetchEvents(Message, frozen=True):
    """The events of this node behind number `after`; waits up to `max_wait_ms` for one.

    Numbers count from 0 in each life of a node, so `life` names the one that they are about; with another life, or
    `after` -1, the answer begins with the oldest event that the node remembers, of earlier lives too.
    """

    id: int
    life: Incarnation = Incarnation(0)
    after: int = -1
    max_wait_ms: int = 0


class EventsFetched(Message, frozen=True):
    """Consecutive events from number `first` on, each one line of `events.jsonl`; none if nothing happened.

    `first` is beyond `after` + 1 if the node does not remember what lies between.
    """

    id: int
    life: Incarnation
    first: int
    lines: list[bytes]
