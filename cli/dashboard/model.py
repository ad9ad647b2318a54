"""What a control room knows: the sum of all facts, without a terminal and without a clock.

    room = Room()
    room.apply(fact)                # what an observer tells
    room.see(figures, at)           # what the operating system tells of local nodes
    room.tick(at)                   # about once a second: rates begin a new bar

All times are milliseconds of one monotonic clock, as facts carry them. `version` moves whenever something did that a
screen could show.

Sources differ in how soon they know a thing, so they may contradict each other for a moment: leadership is heard by
broadcast before any picture has it. Then the higher leader epoch is right, whoever told it.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from ...actors.internal_topics import GROUP_OFFSETS, partition_of
from ...actors.messages import BrokerPicture, Described, Measured, Partition, PartitionPicture, ReplicaMeasure
from ...actors.observer import Counted, Died, Fact, Known, Led, Pictured, Told
from ...cluster.event_file import Happened
from ...cluster.figures import DEAD, Figure
from ...cluster.story import Passage, tell
from .groups import GroupView
from .rates import Flow

EVENTS_KEPT = 2_000
STORY_EVENTS = 400  # that the story is told of
SILENT_MS = 1_500  # a broker that is asked five times a second and has not answered for so long


class Seat(NamedTuple):
    """A node as the configuration or the cluster itself tells of it."""

    id: int
    endpoint: str
    actors: tuple[str, ...]
    rack: str = ""


class NodeView:
    """One node."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.measured: Measured | None = None  # None: it has never answered, or is no broker
        self.heard_at = -1  # its last sign of life; -1: none yet
        self.gone_at = -1  # when its connection was refused, if nothing was heard since
        self.figure: Figure | None = None  # None: it runs elsewhere
        self.changed_at = -1  # when its state was last another one
        self.state = ""
        self.flow = Flow()
        self.log_bytes = 0


class PartitionView:
    """One partition. `copies` has what each broker says of its own."""

    def __init__(self, partition: Partition, topic: str) -> None:
        self.partition = partition
        self.topic = topic
        self.name = f"{topic}-{partition.index}"
        self.replicas: Sequence[int] = ()
        self.isr: Sequence[int] = ()
        self.elr: Sequence[int] = ()
        self.leader = -1
        self.leader_epoch = -1
        self.partition_epoch = -1
        self.min_insync = 1
        self.copies: dict[int, ReplicaMeasure] = {}
        self.changed_at = -1  # when its leader or its ISR last changed
        self.flow = Flow()

    @property
    def leading(self) -> ReplicaMeasure | None:
        """What the leader says; None if it has not answered yet."""
        return self.copies.get(self.leader)

    @property
    def health(self) -> int:
        """0: nobody leads; 1: fewer are in sync than acks=all asks for; 2: not all are in sync; 3: all is well."""
        if self.leader < 0:
            return 0
        return 1 if len(self.isr) < self.min_insync else 2 if len(self.isr) < len(self.replicas) else 3

    def lag(self, broker: int) -> int | None:
        """By how many offsets this replica is behind its leader; None if that is not known."""
        leading, copy = self.leading, self.copies.get(broker)
        return None if leading is None or copy is None else max(0, leading.end - copy.end)


class Trouble(NamedTuple):
    """How many partitions are not as they should be."""

    leaderless: int
    below_minimum: int  # in-sync replicas that acks=all asks for
    under_replicated: int


class Room:
    """See the module's essay."""

    def __init__(self, seats: Sequence[Seat] = ()) -> None:
        self.now = 0
        self._began = -1  # when the first of all inputs came
        self.version = 0
        self.cluster_id = ""
        self.controller = -1
        self.controller_epoch = -1
        self.offset = -1
        self.picture: Described | None = None
        self.brokers: dict[int, BrokerPicture] = {}
        self.nodes = {seat.id: NodeView(seat) for seat in seats}
        self.partitions: dict[Partition, PartitionView] = {}
        self.groups: list[GroupView] | None = None  # None: nobody has asked yet
        self.events: list[Happened] = []
        self.missed = 0  # events that nobody remembers
        self.answered_at = -1  # when any node was last heard; -1: none yet
        self._fixed = bool(seats)  # the configuration is known: nobody else joins
        self._early: dict[Partition, dict[int, ReplicaMeasure]] = {}  # numbers of partitions that no picture has yet
        self._active: dict[Partition, None] = {}  # partitions whose flow has not been quiet all along
        self._order: list[PartitionView] | None = []  # None: to be sorted again
        self._trouble = Trouble(0, 0, 0)
        self._leaders: Counter[int] = Counter()
        self._ticked = -1
        self._story: list[Passage] | None = []  # None: to be told again

    # --- Inputs ---

    def apply(self, fact: Fact) -> None:
        """Learn a fact."""
        self._at_least(fact.at)
        match fact:
            case Counted():
                self._counted(fact)
            case Told():
                self._told(fact)
            case Led():
                self._led(fact)
            case Pictured():
                self._pictured(fact.picture, fact.at)
            case Known():
                self._known(fact)
            case Died():
                node = self._at(fact.endpoint)
                if node is not None:
                    node.gone_at = fact.at
                    self._judge(node)

    def see(self, figures: Mapping[int, Figure], at: int) -> None:
        """Learn what the operating system knows of local nodes."""
        self._at_least(at)
        for node in self.nodes.values():
            figure = figures.get(node.seat.id)
            if figure is None:  # it was never started, or `down` has ended it and removed its record
                figure = Figure(node.seat.id, 0, DEAD)
            if figure != node.figure:
                self.version += 1
                node.figure = figure
                self._judge(node)

    def grouped(self, groups: list[GroupView]) -> None:
        """Learn how groups are."""
        if groups != self.groups:
            self.groups = groups
            self.version += 1

    def tick(self, at: int) -> None:
        """A second is over: rates are known, silences are noticed."""
        self._at_least(at)
        self._ticked = at
        self.version += 1
        for node in self.nodes.values():
            node.flow.tick(at)
            self._judge(node)
        for partition in [*self._active]:
            view = self.partitions.get(partition)
            if view is None:
                del self._active[partition]
            else:
                view.flow.tick(at)

    def _at_least(self, at: int) -> None:
        self.now = max(self.now, at)
        if self._began < 0:
            self._began = at

    # --- What is so ---

    @property
    def silent_ms(self) -> int:
        """How long nobody has answered; 0 if somebody does."""
        if self.answered_at < 0:
            return self.now - self._began
        return self.now - self.answered_at if self.now - self.answered_at > SILENT_MS else 0

    @property
    def stopped(self) -> bool:
        """Whether every node is one of this machine that does not run."""
        return bool(self.nodes) and all(node.state == DEAD for node in self.nodes.values())

    @property
    def trouble(self) -> Trouble:
        """What is wrong, in numbers."""
        self._arrange()
        return self._trouble

    @property
    def by_health(self) -> list[PartitionView]:
        """All partitions: those that are not as they should be first, then by topic."""
        return self._arrange()

    def leads(self, broker: int) -> int:
        """How many partitions this broker leads."""
        self._arrange()
        return self._leaders[broker]

    def coordinator(self, group: str) -> int:
        """The broker that is in charge of a group; -1 while nobody is, or nobody has asked for one yet."""
        logs = [view for view in self.partitions.values() if view.topic == GROUP_OFFSETS]
        if not logs:
            return -1
        index = partition_of(group, len(logs))
        return next(view.leader for view in logs if view.partition.index == index)

    @property
    def story(self) -> list[Passage]:
        """The newest events in sentences."""
        if self._story is None:
            self._story = tell(self.events[-STORY_EVENTS:])
        return self._story

    def _arrange(self) -> list[PartitionView]:
        if self._order is None:
            views = list(self.partitions.values())
            healths = [view.health for view in views]
            below = sum(len(view.isr) < view.min_insync for view in views)
            self._trouble = Trouble(healths.count(0), below, sum(len(view.isr) < len(view.replicas) for view in views))
            self._order = sorted(views, key=lambda view: view.health)
            self._leaders = Counter(view.leader for view in views)
        return self._order

    # --- Facts ---

    def _at(self, endpoint: str) -> NodeView | None:
        return next((node for node in self.nodes.values() if node.seat.endpoint == endpoint), None)

    def _heard(self, node: NodeView, at: int) -> None:
        node.heard_at = self.answered_at = at
        node.gone_at = -1
        self._judge(node)

    def _known(self, fact: Known) -> None:
        self.cluster_id = fact.cluster_id
        for places, actor in ((fact.controllers, "controller"), (fact.brokers, "broker")):
            for number, endpoint in places.items():
                if self._fixed and number in self.nodes:
                    continue
                known = self.nodes.get(number)
                actors = dict.fromkeys((*(known.seat.actors if known is not None else ()), actor))
                seat = Seat(number, endpoint, tuple(actors))
                if known is None:
                    self.nodes[number] = NodeView(seat)
                else:
                    known.seat = seat
        self.nodes = dict(sorted(self.nodes.items()))
        self.version += 1

    def _led(self, fact: Led) -> None:
        self._controlled(fact.controller, fact.controller_epoch)
        for partition, (leader, epoch) in fact.leaders.items():
            view = self.partitions.get(partition)
            if view is not None and epoch > view.leader_epoch:
                view.leader, view.leader_epoch, view.changed_at = leader, epoch, fact.at
                self._order = None
                self.version += 1

    def _controlled(self, controller: int, epoch: int) -> None:
        if epoch > self.controller_epoch or (epoch == self.controller_epoch and controller != self.controller):
            self.controller, self.controller_epoch = controller, epoch
            self.version += 1

    def _pictured(self, picture: Described, at: int) -> None:
        first = self.picture is None
        self.picture = picture
        self.cluster_id = picture.cluster_id
        self.offset = max(self.offset, picture.offset)
        self._controlled(picture.controller, picture.controller_epoch)
        self.brokers = {broker.broker: broker for broker in picture.brokers}
        before, self.partitions = self.partitions, {}
        for topic in sorted(picture.topics, key=lambda topic: (topic.internal, topic.name)):
            minimum = int(topic.configs.get("min.insync.replicas", "1"))
            for told in topic.partitions:
                partition = Partition(topic.id, told.index)
                view = before.get(partition) or PartitionView(partition, topic.name)
                view.copies.update(self._early.pop(partition, {}))
                view.min_insync = min(minimum, len(told.replicas))
                _take(view, told, -1 if first else at)
                self.partitions[partition] = view
        for node in self.nodes.values():
            copies = [view.copies[node.seat.id] for view in self.partitions.values() if node.seat.id in view.copies]
            node.log_bytes = sum(copy.size for copy in copies)
            self._judge(node)
        self._order = None
        self.version += 1

    def _told(self, fact: Told) -> None:
        node = self._at(fact.endpoint)
        if node is not None:
            self._heard(node, fact.at)
        self.missed += fact.missed
        for line in fact.lines:
            try:
                event = msgspec.json.decode(line, type=Happened)
            except msgspec.MsgspecError:
                continue  # of a newer version
            if not self.events or self.events[-1].ms <= event.ms:
                self.events.append(event)
            else:
                insort(self.events, event, key=lambda known: known.ms)
        del self.events[:-EVENTS_KEPT]
        self._story = None
        self.version += 1

    def _counted(self, fact: Counted) -> None:
        measured = fact.measured
        node = self.nodes.get(measured.broker)
        if node is None:
            return
        before, node.measured = node.measured, measured
        self._heard(node, fact.at)
        self._controlled(measured.controller, measured.controller_epoch)
        if measured.metadata_offset > self.offset:
            self.offset = measured.metadata_offset
            self.version += 1
        same_life = before is not None and before.life == measured.life
        for now in measured.replicas:
            self.version += 1
            view = self.partitions.get(now.partition)
            if view is None:
                self._early.setdefault(now.partition, {})[measured.broker] = now
                continue
            then = view.copies.get(measured.broker)
            view.copies[measured.broker] = now
            node.log_bytes += now.size - (then.size if then is not None else 0)
            if same_life and then is not None and then.leading and now.leading:
                records, size = now.end - then.end, now.bytes_in - then.bytes_in
                out, given = now.records_out - then.records_out, now.bytes_out - then.bytes_out
                view.flow.add(records, size, out, given)
                node.flow.add(records, size, out, given)
                view.flow.begin(self._ticked)
                self._active[now.partition] = None

    # --- The state of a node in a word ---

    def _judge(self, node: NodeView) -> None:
        state = self._state(node)
        if state != node.state:
            if node.state:
                node.changed_at = self.now
            node.state = state
            self.version += 1

    def _state(self, node: NodeView) -> str:
        if node.figure is not None and node.figure.state != "running":
            return node.figure.state
        if node.gone_at >= 0:
            return "gone"
        if node.heard_at < 0:
            return "unknown"
        silent = self.now - node.heard_at > SILENT_MS
        if silent and "broker" in node.seat.actors:
            return "silent"
        if "broker" not in node.seat.actors:
            return "active" if node.seat.id == self.controller else "standing by"
        broker, measured = self.brokers.get(node.seat.id), node.measured
        if measured is not None and measured.state != "running":
            return measured.state
        if broker is None:
            return "unknown"
        return "stopping" if broker.stopping else "fenced" if broker.fenced else "serving"


def _take(view: PartitionView, told: PartitionPicture, at: int) -> None:
    """Take over what a picture says, unless a broadcast was faster."""
    before = (view.leader, tuple(view.isr))
    view.replicas, view.isr, view.elr = tuple(told.replicas), tuple(told.isr), tuple(told.elr)
    view.partition_epoch = told.partition_epoch
    if told.leader_epoch >= view.leader_epoch:
        view.leader, view.leader_epoch = told.leader, told.leader_epoch
    if before != (view.leader, tuple(view.isr)):
        view.changed_at = at
