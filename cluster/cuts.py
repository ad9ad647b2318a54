"""Cut connections between nodes of one process: what is sent arrives at a node, and is lost there.

Each direction is cut by itself. A cut loses messages as a broken switch does: no connection closes, so nobody is told,
and nothing but silence tells the other side. Clients are no nodes: what they say always arrives.
"""

from collections.abc import Iterable
from random import Random

from ..actors.kernel import Actor, Address, Incarnation, Millis, node_of
from ..actors.messages import Envelope
from ..actors.node import Node
from ..storage.disk import Disk


class Cuts:
    """Which endpoints do not reach which. Set from one thread, read from any."""

    def __init__(self) -> None:
        self._cut: frozenset[tuple[str, str]] = frozenset()  # (source, target)

    def cut(self, source: str, target: str) -> None:
        """What the source says does not reach the target."""
        self._cut |= {(source, target)}

    def isolate(self, endpoint: str, others: Iterable[str]) -> None:
        """Neither reaches the other."""
        pairs = {(endpoint, other) for other in others if other != endpoint}
        self._cut |= pairs | {(target, source) for source, target in pairs}

    def heal(self, endpoint: str) -> None:
        """Every connection of this endpoint carries again."""
        self._cut = frozenset(pair for pair in self._cut if endpoint not in pair)

    def between(self, source: str, target: str) -> bool:
        """Whether nothing arrives that way."""
        return (source, target) in self._cut


class CutNode(Node):
    """A node behind these cuts."""

    def __init__(
        self,
        cuts: Cuts,
        endpoint: str,
        incarnation: Incarnation,
        disk: Disk,
        random: Random,
        actors: dict[str, Actor],
    ) -> None:
        super().__init__(endpoint, incarnation, disk, random, actors)
        self._cuts = cuts

    def deliver(self, envelope: Envelope, origin: str, now: Millis, wall: Millis) -> None:
        if not self._cuts.between(node_of(Address(envelope.sender)), self.endpoint):
            super().deliver(envelope, origin, now, wall)

    def peer_gone(self, node: str, incarnation: Incarnation, now: Millis, wall: Millis) -> None:
        if not self._cuts.between(node, self.endpoint):  # a refused connection is an answer too
            super().peer_gone(node, incarnation, now, wall)

    def peer_back(self, node: str, now: Millis, wall: Millis) -> None:
        if not self._cuts.between(node, self.endpoint):
            super().peer_back(node, now, wall)
