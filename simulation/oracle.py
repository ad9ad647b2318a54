"""The oracle: knows what the cluster may not know, and checks after every event that no promise was broken.

It stands outside of the code under test and watches a World: what is sent, what is delivered, and the state of the
host that has just handled something. Checkers (`invariants/`) are asked in a fixed order and keep their own ghost
state. They are incremental: each looks only at the host at hand, and only if what it cares about has changed there.

A checker says `premise(name)` each time the *if* of an invariant held, so a run can tell how often it really tested
anything; an invariant whose premise never holds proves nothing. What a checker finds is a `Violation`, raised out of
the world's pump: the run ends at the very event that broke the promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, NoReturn

from ..actors.kernel import Address, Event
from ..actors.messages import Envelope
from ..cluster.world import Host, World
from ..storage.memory import MemoryDisk


class Violation(Exception):
    """A promise was broken."""

    def __init__(self, invariant: str, sentence: str, time_us: int, event: int) -> None:
        super().__init__(f"{invariant} at {time_us / 1e6:.6f} s, event {event}: {sentence}")
        self.invariant = invariant
        self.sentence = sentence
        self.time_us = time_us
        self.event = event


class Checker:
    """Base of the groups of invariants. Override what is needed; nothing else is called.

    To add a group: a file below `invariants/`, a line in `parts.families`, a forged state for each invariant in
    `tests/test_invariants.py`.
    """

    oracle: Oracle

    clients_too: ClassVar[bool] = False
    """Whether `handled` is to be called for hosts without a server as well; most have no business there."""

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        """Let out by `source`; its state is not looked at yet (`oracle.look` does that early)."""

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        """About to be handled."""

    def handled(self, world: World, host: Host) -> None:
        """A host has handled an input."""

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        """An actor emitted an event."""

    def at_rest(self, world: World) -> None:
        """The run is over, everything was healed and has converged."""

    def premise(self, name: str) -> None:
        """The condition of an invariant held."""
        self.oracle.premises[name] += 1

    def violated(self, invariant: str, sentence: str) -> NoReturn:
        """A promise was broken."""
        self.oracle.violated(invariant, sentence)


class Oracle:
    """An `Observer` of a World, made of checkers."""

    def __init__(self, checkers: Iterable[Checker]) -> None:
        self.checkers = list(checkers)
        self.premises: Counter[str] = Counter()
        self.events: Counter[str] = Counter()  # that actors emitted, by kind
        self.lossy: set[str] = set()  # hosts whose disk was damaged: what they had made durable may be gone
        self.lossy_voters: set[str] = set()  # those whose metadata may be gone as well
        self._world: World | None = None
        self._looked = (-1, "")
        for checker in self.checkers:
            checker.oracle = self
        self._sent = [c.sent for c in self.checkers if type(c).sent is not Checker.sent]
        self._delivered = [c.delivered for c in self.checkers if type(c).delivered is not Checker.delivered]
        looking = [c for c in self.checkers if type(c).handled is not Checker.handled]
        self._handled = [c.handled for c in looking]
        self._handled_clients = [c.handled for c in looking if c.clients_too]
        self._happened = [c.happened for c in self.checkers if type(c).happened is not Checker.happened]

    def violated(self, invariant: str, sentence: str) -> NoReturn:
        """Raise it, with the time and the number of the event."""
        world = self._world
        raise Violation(invariant, sentence, world.now if world else 0, world.steps if world else 0)

    def look(self, world: World, host: Host) -> None:
        """Let the checkers see the host's new state now: for those that judge a message by it."""
        node = host.node
        if node is None:
            return
        if "broker" not in node.actors and "controller" not in node.actors:
            for handled in self._handled_clients:
                handled(world, host)
            return
        disk = host.disk
        if isinstance(disk, MemoryDisk):
            disk.all_readable = True
        try:
            for handled in self._handled:
                handled(world, host)
        finally:
            if isinstance(disk, MemoryDisk):
                disk.all_readable = False

    def at_rest(self, world: World) -> None:
        """The last look, after convergence."""
        self._world = world
        for checker in self.checkers:
            checker.at_rest(world)

    # --- The World's port ---

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        self._world = world
        if self._sent and self._looked != (world.steps, source):
            self._looked = (world.steps, source)
            self.look(world, world.hosts[source])
        for sent in self._sent:
            sent(world, source, to, envelope)

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        self._world = world
        for delivered in self._delivered:
            delivered(world, target, envelope)

    def handled(self, world: World, host: Host) -> None:
        self._world = world
        if self._looked == (world.steps, host.name):
            self._looked = (-1, "")  # it was looked at when it spoke
            return
        self.look(world, host)

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        self._world = world
        self.events[type(event).__name__] += 1
        for happened in self._happened:
            happened(world, host, actor, event)
