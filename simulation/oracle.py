"""The oracle: knows what the cluster may not know, and checks after every event that no promise was broken.

It stands outside of the code under test and watches a World: what is sent, what is delivered, and the state of the
host that has just handled something. Checkers (`invariants/`) are asked in a fixed order and keep their own ghost
state. They are incremental: each looks only at the host at hand, only if an actor has run there whose state it cares
about (actors share no memory), and in detail only at what has changed.

A checker says `premise(name)` each time the *if* of an invariant held, so a run can tell how often it really tested
anything; an invariant whose premise never holds proves nothing. What a checker finds is a `Violation`, raised out of
the world's pump: the run ends at the very event that broke the promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import ClassVar, NamedTuple, NoReturn

from ..actors.kernel import Address, Event, Message
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

    looks_at: ClassVar[frozenset[str] | None] = None
    """The actors by whose state `handled` judges: it is called if one of them has run. None: after every input."""

    says: ClassVar[tuple[type[Message], ...] | None] = None
    """The messages that `sent` is called for. None: all."""

    hears: ClassVar[tuple[type[Message], ...] | None] = None
    """The messages that `delivered` is called for. None: all."""

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        """Let out by `source`; its state is not looked at yet (`oracle.look` does that early)."""

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        """About to be handled."""

    def handled(self, world: World, host: Host) -> None:
        """A host has handled an input."""

    def passed(self) -> None:
        """In place of `handled`, where none of the actors has run that this one looks at."""

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


class _Lookers(NamedTuple):
    """Who is called for one kind of input."""

    handled: tuple[Callable[[World, Host], None], ...]
    passed: tuple[Callable[[], None], ...]


def _ran(host: Host) -> frozenset[str]:
    node = host.node
    return frozenset(node.ran) if node is not None else frozenset()


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
        self._sent = [c for c in self.checkers if type(c).sent is not Checker.sent]
        self._sent_of: dict[type, list[Callable[[World, str, str, Envelope], None]]] = {}  # by message: who is told
        self._delivered = [c for c in self.checkers if type(c).delivered is not Checker.delivered]
        self._delivered_of: dict[type, list[Callable[[World, str, Envelope], None]]] = {}
        self._looking = [c for c in self.checkers if type(c).handled is not Checker.handled]
        self._lookers: dict[tuple[bool, frozenset[str] | None], _Lookers] = {}  # at a server or not; who has run
        self._happened = [c.happened for c in self.checkers if type(c).happened is not Checker.happened]

    def violated(self, invariant: str, sentence: str) -> NoReturn:
        """Raise it, with the time and the number of the event."""
        world = self._world
        raise Violation(invariant, sentence, world.now if world else 0, world.steps if world else 0)

    def look(self, world: World, host: Host, ran: frozenset[str] | None = None) -> None:
        """Let the checkers see the host's new state now: for those that judge a message by it.

        `ran` names the actors that may be in another state than before. None: all of them.
        """
        node = host.node
        if node is None:
            return
        server = "broker" in node.actors or "controller" in node.actors
        found = self._lookers.get((server, ran))
        if found is None:
            found = self._lookers[server, ran] = self._looking_at(ran, server=server)
        for passed in found.passed:
            passed()
        disk = host.disk
        if not server or not isinstance(disk, MemoryDisk):
            for handled in found.handled:
                handled(world, host)
            return
        disk.all_readable = True
        try:
            for handled in found.handled:
                handled(world, host)
        finally:
            disk.all_readable = False

    def _looking_at(self, ran: frozenset[str] | None, *, server: bool) -> _Lookers:
        """Who looks at a host on which these actors have run, and who is only told that others have."""
        looking: list[Checker] = []
        passing: list[Checker] = []
        for checker in self._looking:
            if server or checker.clients_too:
                looks = ran is None or checker.looks_at is None or not checker.looks_at.isdisjoint(ran)
                (looking if looks else passing).append(checker)
        return _Lookers(
            tuple(checker.handled for checker in looking),
            tuple(checker.passed for checker in passing if type(checker).passed is not Checker.passed),
        )

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
            host = world.hosts[source]
            self.look(world, host, _ran(host))
        kind = type(envelope.body)
        told = self._sent_of.get(kind)
        if told is None:
            told = self._sent_of[kind] = [c.sent for c in self._sent if c.says is None or kind in c.says]
        for sent in told:
            sent(world, source, to, envelope)

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        self._world = world
        kind = type(envelope.body)
        told = self._delivered_of.get(kind)
        if told is None:
            told = [c.delivered for c in self._delivered if c.hears is None or kind in c.hears]
            self._delivered_of[kind] = told
        for delivered in told:
            delivered(world, target, envelope)

    def handled(self, world: World, host: Host) -> None:
        self._world = world
        if self._looked == (world.steps, host.name):
            self._looked = (-1, "")  # it was looked at when it spoke
            return
        self.look(world, host, _ran(host))

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        self._world = world
        self.events[type(event).__name__] += 1
        for happened in self._happened:
            happened(world, host, actor, event)
