"""A client that only watches: the eyes of a control room.

It learns of four things, each from whoever knows it first, and hands them on as *facts*:

* who leads, from the controllers' broadcast: there when it is committed;
* what happened and why, from every node's chronicle, whose questions wait until there is something to tell;
* how far each replica is, by asking every broker a few times a second what has moved (`measuring`);
* the whole picture (in-sync replicas, epochs, brokers), from any broker, whenever one of the others tells that there is
  metadata beyond the picture at hand: one question at a time, and not more than twenty a second.

Nothing here is needed for anything else to work, so everything may be lost: every question is repeated until it is
answered, and says what is known already. A node that is silent is asked on; how long it has been silent is for the
reader to see, since every fact says who told it and when.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from .client_commands import Close
from .errors import ErrorCode
from .kernel import Actor, Address, Context, Incarnation, Message, Millis, Timer, address, node_of
from .leadership import Leader, Leaderships
from .messages import (
    Describe,
    Described,
    EventsFetched,
    FetchEvents,
    Leadership,
    LeadershipUpdate,
    Measure,
    Measured,
    Partition,
    PeerGone,
    Reborn,
)

LOOK_MS = 50  # at least, between two pictures
PATIENCE_MS = 1_000  # for an answer that is given at once
LOOK_PATIENCE_MS = 250  # for a picture: another broker has it too
WAIT_MS = 5_000  # how long a question for events may wait at a node
AGAIN_MS = 250  # between two questions to a node that is gone
KNOWN_LINES = 1_000  # events of a node's earlier lives that are told apart


class Pictured(NamedTuple):
    """The cluster's metadata as of `picture.offset`."""

    at: Millis
    picture: Described


class Led(NamedTuple):
    """These partitions are led by others, or in other epochs, than before."""

    at: Millis
    controller: int
    controller_epoch: int
    leaders: dict[Partition, Leader]


class Counted(NamedTuple):
    """A broker's answer: what has moved since its last one."""

    at: Millis
    endpoint: str
    measured: Measured


class Told(NamedTuple):
    """A node's events, each once: lines of `events.jsonl`. `missed` others happened before them, which it forgot."""

    at: Millis
    endpoint: str
    lines: list[bytes]
    missed: int


class Died(NamedTuple):
    """Nobody listens at this endpoint any more."""

    at: Millis
    endpoint: str


class Known(NamedTuple):
    """Where the brokers and the controllers are: id to endpoint."""

    at: Millis
    cluster_id: str
    brokers: dict[int, str]
    controllers: dict[int, str]


Fact = Pictured | Led | Counted | Told | Died | Known


class ObserverOutlet(Protocol):
    """Where facts go. Neither call may raise."""

    def fact(self, fact: Fact) -> None:
        """Something was learned."""
        ...

    def closed(self) -> None:
        """Nothing more will be said."""
        ...


class MeasureTimer(Timer, frozen=True):
    """Time to ask every broker."""


class EventsTimer(Timer, frozen=True):
    """Ask a node for its events (again)."""

    endpoint: str


class LookTimer(Timer, frozen=True):
    """The next picture may be taken, or the last question was not answered."""


class _Node:
    """What was said between the observer and one node."""

    def __init__(self) -> None:
        self.events_life = Incarnation(0)
        self.events_after = -1
        self.events_asked = -1  # the question that waits there; -1: none
        self.known: OrderedDict[bytes, None] = OrderedDict()
        self.measure_life = Incarnation(0)
        self.moment = 0
        self.gone = False  # since the last sign of life
        self.measure_asked: tuple[int, Millis] | None = None  # the question that is not answered, and since when


class ObserverActor(Actor):
    """See the module's essay. Facts go to the outlet as they come."""

    def __init__(self, bootstrap: Sequence[str], outlet: ObserverOutlet, measure_ms: int = 200) -> None:
        self.leaderships = Leaderships(bootstrap, everything=True)
        self._outlet = outlet
        self._measure_ms = measure_ms
        self._nodes: dict[str, _Node] = {}  # by endpoint
        self._next_id = 0
        self._places: Known | None = None  # as told last
        self._offset = -1  # of the picture at hand
        self._target = 0  # metadata up to here exist
        self._looking = -1  # the question for a picture that is not answered; -1: none
        self._looked_at = ""  # who was asked last
        self._look_timer = False  # set: nobody is asked before it fires
        self._look_wanted = True

    def on_start(self, ctx: Context) -> None:
        self._next_id = ctx.random.getrandbits(40)
        self.leaderships.start(ctx)
        ctx.set_timer(MeasureTimer(), 0)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Measured():
                self._on_measured(node_of(sender), message, ctx)
            case EventsFetched():
                self._on_events(node_of(sender), message, ctx)
            case Described():
                self._on_picture(message, ctx)
            case Leadership() | LeadershipUpdate():
                self._on_leadership(message, ctx)
            case Reborn():
                node = self._nodes.get(node_of(sender))
                if node is not None:
                    node.measure_asked = None
                    self._ask_for_events(node_of(sender), node, ctx)
            case PeerGone(node=endpoint):
                self.leaderships.refresh(ctx)
                self._on_gone(endpoint, ctx)
            case Close():
                self._outlet.closed()
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if self.leaderships.on_timer(timer, ctx):
            return
        match timer:
            case MeasureTimer():
                ctx.set_timer(timer, self._measure_ms)
                self._ask_brokers(ctx)
            case EventsTimer(endpoint=endpoint) if endpoint in self._nodes:
                self._ask_for_events(endpoint, self._nodes[endpoint], ctx)
            case LookTimer():
                self._look_timer = False
                self._look_wanted = self._look_wanted or self._looking != -1
                self._look(ctx)
            case _:
                pass

    def _id(self) -> int:
        self._next_id += 1
        return self._next_id

    # --- Who leads ---

    def _on_leadership(self, message: Leadership | LeadershipUpdate, ctx: Context) -> None:
        known = self.leaderships
        moved = known.on_message(message, ctx)
        leaders = {partition: known.leaders[partition] for partition in moved if partition in known.leaders}
        if leaders:
            self._outlet.fact(Led(ctx.now, known.controller, known.controller_epoch, leaders))
        places = Known(ctx.now, known.cluster_id, dict(known.brokers), dict(known.controllers))
        if known.answered and (self._places is None or places[1:] != self._places[1:]):
            self._places = places
            self._outlet.fact(places)
        for endpoint in sorted({*known.brokers.values(), *known.controllers.values()} - self._nodes.keys()):
            self._nodes[endpoint] = _Node()
            self._ask_for_events(endpoint, self._nodes[endpoint], ctx)
        self._hear_of(known.offset, ctx)

    def _on_gone(self, endpoint: str, ctx: Context) -> None:
        node = self._nodes.get(endpoint)
        if node is None:
            return
        node.gone = True
        node.measure_asked = None
        node.events_asked = -1
        ctx.set_timer(EventsTimer(endpoint), AGAIN_MS)
        self._outlet.fact(Died(ctx.now, endpoint))
        if self._looking != -1 and self._looked_at == endpoint:
            self._looking = -1
            self._look_wanted = True
            self._look_again_in(0, ctx)

    # --- What happened ---

    def _ask_for_events(self, endpoint: str, node: _Node, ctx: Context) -> None:
        node.events_asked = self._id()
        request = FetchEvents(node.events_asked, node.events_life, node.events_after, WAIT_MS)
        ctx.send(address(endpoint, "events"), request)
        ctx.set_timer(EventsTimer(endpoint), AGAIN_MS if node.gone else WAIT_MS + PATIENCE_MS)

    def _on_events(self, endpoint: str, answer: EventsFetched, ctx: Context) -> None:
        node = self._nodes.get(endpoint)
        if node is None or answer.id != node.events_asked:
            return
        node.gone = False
        missed, other = 0, answer.life != node.events_life
        if not other:
            missed = answer.first - node.events_after - 1
        lines = [line for line in answer.lines if not (other and line in node.known)]
        for line in lines:
            node.known[line] = None
        while len(node.known) > KNOWN_LINES:
            node.known.popitem(last=False)
        node.events_life, node.events_after = answer.life, answer.first + len(answer.lines) - 1
        if lines or missed:
            self._outlet.fact(Told(ctx.now, endpoint, lines, missed))
            self._look_wanted = True
        self._ask_for_events(endpoint, node, ctx)
        self._look(ctx)

    # --- How far each replica is ---

    def _ask_brokers(self, ctx: Context) -> None:
        for endpoint in sorted(self.leaderships.brokers.values()):
            node = self._nodes.get(endpoint)
            if node is None:
                continue
            if node.measure_asked is not None and ctx.now - node.measure_asked[1] < PATIENCE_MS:
                continue
            node.measure_asked = (self._id(), ctx.now)
            ctx.send(address(endpoint, "broker"), Measure(self._next_id, node.measure_life, node.moment))

    def _on_measured(self, endpoint: str, answer: Measured, ctx: Context) -> None:
        node = self._nodes.get(endpoint)
        if node is None or node.measure_asked is None or node.measure_asked[0] != answer.id:
            return
        node.gone = False
        node.measure_asked = None
        node.measure_life, node.moment = answer.life, answer.moment
        self._outlet.fact(Counted(ctx.now, endpoint, answer))
        self._hear_of(answer.metadata_offset, ctx)

    # --- The picture ---

    def _hear_of(self, offset: int, ctx: Context) -> None:
        self._target = max(self._target, offset)
        self._look(ctx)

    def _look(self, ctx: Context) -> None:
        """Take a picture, if there is news and none has just been taken."""
        if self._look_timer or not (self._look_wanted or self._offset < self._target):
            return
        self._look_wanted = False
        self._looking = self._id()
        living = [place for place in self.leaderships.brokers.values() if place in self._nodes]
        living = sorted(place for place in living if not self._nodes[place].gone and place != self._looked_at)
        to = address(ctx.random.choice(living), "broker") if living else self.leaderships.any_broker()
        self._looked_at = node_of(to)
        ctx.send(to, Describe(self._looking))
        self._look_again_in(LOOK_PATIENCE_MS, ctx)

    def _look_again_in(self, delay_ms: int, ctx: Context) -> None:
        self._look_timer = True
        ctx.set_timer(LookTimer(), delay_ms)

    def _on_picture(self, picture: Described, ctx: Context) -> None:
        if picture.id != self._looking:
            return
        self._looking = -1
        self._look_again_in(LOOK_MS, ctx)
        if picture.error is ErrorCode.NONE and picture.offset > self._offset:
            self._offset = picture.offset
            self._outlet.fact(Pictured(ctx.now, picture))
