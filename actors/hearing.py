"""Whether a broker hears the active controller, which hears it.

A heartbeat that arrives proves one way only. Where the other one is cut, the broker's lease runs out, since no answer
renews it, and it stops serving; but its heartbeats would keep its session, and nobody would lead in its place for as
long as the cut lasts. So each heartbeat tells which one was answered last (as far as the broker knows), and a heartbeat
of a broker that has not heard an answer for a while renews nothing: its session ends, and it stays fenced until it
hears.

Counted are only answers of this controller since it is active: a new one must not take for deaf who could not hear its
predecessor. A broker of an earlier version does not tell; it is believed to hear.
"""

from __future__ import annotations

from .kernel import Incarnation, Millis
from .messages import BrokerHeartbeat

UNTOLD = -1


class Hearing:
    """What the active controller knows of brokers' ears, for one epoch."""

    def __init__(self, patience_ms: int) -> None:
        self._patience_ms = patience_ms
        self._deaf: set[int] = set()  # as of their last heartbeats
        self._owed: dict[int, tuple[Incarnation, int, Millis]] = {}  # by broker: the first answer not known to be heard

    def deaf(self, beat: BrokerHeartbeat, now: Millis) -> bool:
        """A heartbeat has come and is about to be answered: has this life of the broker heard nothing for too long?"""
        self._deaf.discard(beat.broker)
        if beat.answered == UNTOLD:
            return False
        life, sequence, since = self._owed.get(beat.broker, (beat.incarnation, UNTOLD, now))
        if life != beat.incarnation or sequence <= beat.answered:
            self._owed[beat.broker] = (beat.incarnation, beat.sequence, now)
            return False
        if now - since <= self._patience_ms:
            return False
        self._deaf.add(beat.broker)
        return True

    def hears_nothing(self, broker: int) -> bool:
        """Whether its last heartbeat was that of a deaf broker."""
        return broker in self._deaf
