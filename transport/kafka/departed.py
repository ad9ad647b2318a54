"""Brokers that have just gone: what clients are told of them, so that a failover of ours is not made long by clients.

A client asks for metadata in the moment in which it loses a leader, which is before the cluster has chosen the next
one. Whoever is told the dead leader then looks elsewhere for a while: librdkafka asks again after a second. So while
the connection to a leader has dropped, and nobody has fenced it yet, an answer that would name it waits for the fencing
or for the connection's return, for a second at most. (Nodes that are controllers watch all others; a broker that is
none has no such hint, and answers at once.)

A broker that is fenced stays among the brokers of Metadata for as long as Kafka would list one that was killed, whose
session lasts nine seconds. Without that librdkafka 2.16 takes a partition's new leader and the end of its old one from
the same answer, ends the old one last, and has no leader again until it asks a second later.
"""

from __future__ import annotations

from .view import Place, View

DOUBT_MS = 1_000
"""How long an answer waits for what becomes of a leader. Electing a controller, and fencing, take a third of it."""

LISTED_MS = 9_000
"""How long a broker is listed after its fencing: `broker.session.timeout.ms` of Kafka."""


class Departed:
    """Times are those of the loop's clock, in seconds."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._dropped: dict[str, float] = {}  # endpoints whose connection has dropped, and when
        self._alive: dict[int, Place] = {}
        self._gone: dict[int, tuple[Place, float]] = {}  # those that were alive, and until when they are listed
        self._noticed = -1  # the end of the metadata that was looked at

    def dropped(self, endpoint: str, now: float) -> None:
        """The connection to a peer has dropped."""
        self._dropped[endpoint] = now

    def back(self, endpoint: str) -> None:
        """It is there again."""
        self._dropped.pop(endpoint, None)

    def notice(self, now: float) -> None:
        """Look for brokers that have been fenced; cheap if the metadata is as it was."""
        end = self._view.image.end
        if end == self._noticed:
            return
        self._noticed = end
        alive = {place.broker: place for place in self._view.brokers()}
        for broker, place in self._alive.items():
            if broker not in alive:
                self._gone[broker] = place, now + LISTED_MS / 1000
        self._alive = alive

    def listed(self, now: float) -> list[Place]:
        """The brokers that live, and those that have lived until a moment ago, in the order of their ids."""
        places = self._view.brokers()
        alive = {place.broker for place in places}
        self._gone = {broker: kept for broker, kept in self._gone.items() if kept[1] > now and broker not in alive}
        return sorted(places + [place for place, _ in self._gone.values()])

    def doubted(self, now: float) -> set[int]:
        """Brokers that the metadata has as alive, and that may be dead."""
        if not self._dropped:
            return set()
        self._dropped = {endpoint: at for endpoint, at in self._dropped.items() if now < at + DOUBT_MS / 1000}
        brokers = self._view.image.brokers.values()
        return {state.id for state in brokers if not state.fenced and state.endpoint in self._dropped}
