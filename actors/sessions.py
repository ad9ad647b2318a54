"""When which broker was last heard from: what every controller, active or not, remembers of heartbeats.

Heartbeats go to all controllers, so that a new active one inherits sessions instead of restarting them all. A session
that ends is a *question* to decide, not a change: nothing here decides anything (D27).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from .kernel import Incarnation, Millis
from .messages import BrokerHeartbeat
from .metadata import MetadataImage


class Contact(msgspec.Struct, frozen=True):
    """The newest heartbeat of a broker's newest incarnation. `metadata_offset`: what it has applied."""

    incarnation: Incarnation
    broker_epoch: int
    at: Millis
    metadata_offset: int = 0
    sequence: int = -1
    ended: bool = False  # fenced since


class Sessions:
    """One controller's memory of heartbeats."""

    def __init__(self, session_ms: int, heartbeat_ms: int) -> None:
        self.session_ms = session_ms
        self.heartbeat_ms = heartbeat_ms
        self._contacts: dict[int, Contact] = {}

    def of(self, broker: int, incarnation: Incarnation) -> Contact | None:
        """The last contact with this life of the broker, or None."""
        contact = self._contacts.get(broker)
        return contact if contact is not None and contact.incarnation == incarnation else None

    def heard(self, beat: BrokerHeartbeat, now: Millis, *, deaf: bool = False) -> bool:
        """A heartbeat arrived. One of an older life, or overtaken by another, or a copy, is no sign of life: False.

        That of a `deaf` broker tells how far it is, and does not renew its session.
        """
        known = self._contacts.get(beat.broker)
        if known is not None and beat.broker_epoch < known.broker_epoch:
            return False
        if known is not None and known.incarnation == beat.incarnation and beat.sequence <= known.sequence:
            return False
        same = known is not None and known.incarnation == beat.incarnation
        at = known.at if deaf and same and known is not None else now
        ended = deaf and same and known is not None and known.ended
        contact = Contact(beat.incarnation, beat.broker_epoch, at, beat.metadata_offset, beat.sequence, ended)
        self._contacts[beat.broker] = contact
        return True

    def registered(self, broker: int, incarnation: Incarnation, epoch: int, now: Millis) -> None:
        """A registration is a sign of life too."""
        known = self._contacts.get(broker)
        if known is None or known.broker_epoch < epoch:
            self._contacts[broker] = Contact(incarnation, epoch, now)

    def ended(self, broker: int) -> None:
        """The broker was fenced: what it said before counts for nothing."""
        contact = self._contacts.get(broker)
        if contact is not None:
            self._contacts[broker] = replace(contact, ended=True)

    def alive(self, broker: int, incarnation: Incarnation, now: Millis) -> bool:
        """Whether this life of the broker was heard from within a session."""
        contact = self.of(broker, incarnation)
        return contact is not None and not contact.ended and now - contact.at < self.session_ms

    def inherit(self, image: MetadataImage, now: Millis) -> None:
        """This controller became active: sessions go on from what it heard, and last two heartbeats at least."""
        earliest = Millis(now - self.session_ms + 2 * self.heartbeat_ms)
        for broker, state in image.brokers.items():
            contact = self.of(broker, state.incarnation)
            if contact is None:
                self._contacts[broker] = Contact(state.incarnation, state.epoch, now)
            elif contact.at < earliest:
                self._contacts[broker] = replace(contact, at=earliest)

    def expired(self, image: MetadataImage, now: Millis) -> list[int]:
        """Unfenced brokers whose session has ended, in the order in which they ended, then by id."""
        ends = self._ends(image)
        return [broker for end, broker in ends if end <= now]

    def next_end(self, image: MetadataImage) -> Millis | None:
        """When the next session of an unfenced broker ends, or None."""
        ends = self._ends(image)
        return ends[0][0] if ends else None

    def _ends(self, image: MetadataImage) -> list[tuple[Millis, int]]:
        ends = []
        for broker, state in image.brokers.items():
            if not state.fenced:
                contact = self.of(broker, state.incarnation)
                ends.append((Millis(contact.at + self.session_ms if contact is not None else 0), broker))
        return sorted(ends)
