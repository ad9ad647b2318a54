"""The admin: the active controller changes things, pictures are taken at any broker.

A request keeps its id for as long as it is repeated, and the cluster remembers ids, so that a lost answer costs a
repetition and never a second topic. It goes to the active controller; one that is not says who is, or the others are
tried in turn. Who is named by another one is asked at once: it has led a later epoch, so that such steps are no more
than elections. Who names itself is elected and not active yet, perhaps for a long time, and is asked after a pause.
Of all copies of all answers one counts for each time that a controller was asked. A topic counts as made, or as
grown, once the leadership digest shows a leader for each of its partitions: who was told "created" can produce at
once. Answers say up to which metadata offset they are true, and a broker that knows less than this client was told
before is asked again: one reads what one has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .admin_messages import AdminRequest
from .client_commands import (
    AskAllCoordinators,
    AskCoordinator,
    Change,
    Close,
    DropTopic,
    Failure,
    Inquire,
    Look,
    LookUp,
    MakeTopic,
    RemoveRecords,
    Why,
)
from .deletions import UNKNOWN_MS, Deletions
from .errors import ErrorCode
from .group_asking import GroupAsking
from .group_messages import GroupReply
from .kernel import Actor, Address, Context, Message, Millis, Timer, address, node_of
from .leadership import Leaderships, backoff_ms
from .lookups import Lookups
from .messages import (
    AdminDone,
    ConfigsDescribed,
    CoordinatorsFound,
    CreateTopic,
    DeleteTopic,
    Describe,
    Described,
    GroupsListed,
    Leadership,
    LeadershipUpdate,
    LogsDescribed,
    OffsetsFound,
    PartitionsDone,
    PeerBack,
    PeerGone,
    ReassignmentsListed,
    RecordsDeleted,
    TopicId,
)
from .offset_lookup import Answer, OffsetLookup

ANSWER_MS = 2_000  # wait so long for an answer before asking again: a creation waits for its commit
AGAIN_MS = 100  # between two looks at a topic that has no leaders yet


class AdminOutlet(Protocol):
    """Where outcomes go: one per token. None of these calls may raise."""

    def done(self, token: object, topic_id: TopicId) -> None:
        """Created (and led), or deleted."""
        ...

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        """Records were deleted: where each partition begins now."""
        ...

    def described(self, token: object, picture: Described) -> None:
        """What was asked for with `Look`."""
        ...

    def answered(self, token: object, answer: Message) -> None:
        """What was asked for with any other command: the answer as the cluster gave it, without an error."""
        ...

    def failed(self, token: object, failure: Failure) -> None:
        """Not done, or nobody knows (`Why.UNKNOWN_OUTCOME`)."""
        ...

    def closed(self) -> None:
        """Nothing more will be said."""
        ...


class OffsetsLookedUp(Message, frozen=True):
    """Local: the answer to `LookUp`: (offset, timestamp) of each (topic, partition)."""

    found: dict[tuple[str, int], tuple[int, int]]


class _LookedUp:
    """An admin's outlet, for lookups."""

    def __init__(self, outlet: AdminOutlet) -> None:
        self._outlet = outlet

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        self._outlet.answered(token, OffsetsLookedUp(found))

    def lookup_failed(self, token: object, failure: Failure) -> None:
        self._outlet.failed(token, failure)


class AdminDue(Timer, frozen=True):
    """A request is to be repeated, or its time is over."""

    id: int


class _Asked:
    """A command that has no outcome."""

    __slots__ = ("attempt", "command", "deadline", "done", "made", "out", "sent", "to")

    def __init__(self, command: MakeTopic | DropTopic | Change | Look | Inquire, deadline: Millis) -> None:
        self.command = command
        self.deadline = deadline
        self.attempt = 0
        self.sent = False  # whether it ever went out
        self.made: TopicId | None = None  # created or grown, and waiting for leaders
        self.done: AdminDone | None = None  # the answer that waits with it
        self.out: Address | None = None  # who was asked last, and has not answered
        self.to: Address | None = None  # who should be asked next, if somebody said so


class AdminActor(Actor):
    """One admin client."""

    def __init__(self, bootstrap: Sequence[str], outlet: AdminOutlet) -> None:
        self.leaderships = Leaderships(bootstrap)
        self._outlet = outlet
        self._lookup = OffsetLookup(self.leaderships, ANSWER_MS)
        self._lookups = Lookups(self._lookup, _LookedUp(outlet), UNKNOWN_MS)
        self._deletions = Deletions(self.leaderships, self._lookup, outlet)
        self._groups = GroupAsking(self.leaderships, outlet)
        self._asked: dict[int, _Asked] = {}
        self._next_id = 0
        self._told = -1  # the metadata offset of the newest answer

    def on_start(self, ctx: Context) -> None:
        self._next_id = ctx.random.getrandbits(40)
        self._lookup.start(ctx)
        self._deletions.start(ctx)
        self._groups.start(ctx)
        self.leaderships.start(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case MakeTopic() | DropTopic() | Change() | Look() | Inquire():
                self._next_id += 1
                self._asked[self._next_id] = _Asked(message, Millis(ctx.now + message.timeout_ms))
                self._ask(self._next_id, ctx)
            case RemoveRecords():
                self._deletions.delete(message, ctx)
            case RecordsDeleted():
                self._deletions.on_deleted(message, ctx)
            case OffsetsFound():
                self._on_offsets(self._lookup.on_found(message, ctx), ctx)
            case LookUp():
                self._lookups.ask(message, ctx)
            case AskCoordinator() | AskAllCoordinators():
                self._groups.ask(message, ctx)
            case GroupReply():
                self._groups.on_reply(message, ctx)
            case GroupsListed():
                self._groups.on_listed(sender, message, ctx)
            case CoordinatorsFound():
                self._groups.on_found(message, ctx)
            case AdminDone() | PartitionsDone():
                self._on_done(sender, message, ctx)
            case Described() | ConfigsDescribed() | ReassignmentsListed() | LogsDescribed():
                self._on_answer(message, ctx)
            case Leadership() | LeadershipUpdate():
                moved = self.leaderships.on_message(message, ctx)
                self._lookup.moved()
                self._deletions.moved(ctx)
                self._groups.moved(moved, ctx)
                self._look_for_leaders(ctx)
                if isinstance(message, Leadership):
                    self._ask_those_who_wait(ctx)
            case PeerGone(node=node):
                self.leaderships.refresh(ctx)
                self._ask_again(node, ctx)
                self._groups.gone(node, ctx)
            case PeerBack(node=node):
                self._ask_again(node, ctx)
                self._groups.gone(node, ctx)
            case Close():
                closed = Failure(Why.CLOSED, "the admin client was closed")
                self._deletions.close(closed)
                self._lookups.close(closed)
                self._groups.close(closed)
                for request_id in [*self._asked]:
                    self._fail(request_id, closed, ctx)
                self._outlet.closed()
        self._on_offsets(self._lookup.pump(ctx), ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        subs = (self.leaderships, self._deletions, self._groups)
        if (
            not any(sub.on_timer(timer, ctx) for sub in subs)
            and isinstance(timer, AdminDue)
            and timer.id in self._asked
        ):
            self._ask(timer.id, ctx)
        self._on_offsets(self._lookup.pump(ctx), ctx)

    def _on_offsets(self, answers: list[Answer], ctx: Context) -> None:
        for answer in answers:
            if not self._lookups.take(answer):
                self._deletions.take(answer, ctx)

    # --- Asking ---

    def _ask(self, request_id: int, ctx: Context) -> None:
        asked = self._asked[request_id]
        if ctx.now >= asked.deadline:
            self._fail(request_id, self._too_late(asked), ctx)
            return
        if asked.made is not None:
            self.leaderships.refresh(ctx)
            self._again(request_id, AGAIN_MS, ctx)
            return
        command = asked.command
        if isinstance(command, Look | Inquire):
            self._inquire(request_id, asked, command, ctx)
            return
        to = asked.to or self.leaderships.any_controller(asked.attempt)
        asked.to = None
        if to is None:
            self.leaderships.refresh(ctx)
            self._again(request_id, backoff_ms(asked.attempt, ctx), ctx)
            return
        asked.attempt += 1
        asked.sent = True
        asked.out = to
        ctx.send(to, _request(command, request_id, ctx))
        self._again(request_id, ANSWER_MS, ctx)

    def _inquire(self, request_id: int, asked: _Asked, command: Look | Inquire, ctx: Context) -> None:
        broker = command.broker if isinstance(command, Inquire) else -1
        endpoint = self.leaderships.brokers.get(broker)
        if broker != -1 and endpoint is None:
            self.leaderships.refresh(ctx)
            self._again(request_id, backoff_ms(asked.attempt, ctx), ctx)
            return
        asked.sent = True
        asked.out = self.leaderships.any_broker() if endpoint is None else address(endpoint, "broker")
        question = Describe(request_id, command.names) if isinstance(command, Look) else command.question(request_id)
        ctx.send(asked.out, question)
        # Brokers answer at once: one that is silent for so long is gone.
        self._again(request_id, backoff_ms(asked.attempt + 3, ctx), ctx)
        asked.attempt += 1

    def _ask_again(self, node: str, ctx: Context) -> None:
        """Whoever was asked there will not answer: ask soon, when another has taken over."""
        for request_id, asked in self._asked.items():
            if asked.made is None and asked.out is not None and node_of(asked.out) == node:
                asked.out = None
                self._again(request_id, AGAIN_MS, ctx)

    def _again(self, request_id: int, delay_ms: int, ctx: Context) -> None:
        left = max(0, self._asked[request_id].deadline - ctx.now)
        ctx.set_timer(AdminDue(request_id), min(delay_ms, left))

    def _ask_those_who_wait(self, ctx: Context) -> None:
        """The first digest has told where the controllers are."""
        for request_id in [*self._asked]:
            if not self._asked[request_id].sent:
                self._ask(request_id, ctx)

    # --- Answers ---

    def _on_answer(
        self, answer: Described | ConfigsDescribed | ReassignmentsListed | LogsDescribed, ctx: Context
    ) -> None:
        asked = self._asked.get(answer.id)
        if asked is None or not isinstance(asked.command, Look | Inquire):
            return
        if not isinstance(answer, LogsDescribed) and answer.offset < max(self.leaderships.offset, self._told):
            self._again(answer.id, AGAIN_MS, ctx)  # this broker knows less than this client has been told already
        elif answer.error is ErrorCode.NONE:
            self._over(answer.id, ctx)
            if isinstance(answer, Described):
                self._outlet.described(asked.command.token, answer)
            else:
                self._outlet.answered(asked.command.token, answer)

    def _on_done(self, sender: Address, message: AdminDone | PartitionsDone, ctx: Context) -> None:
        asked = self._asked.get(message.id)
        if asked is None or asked.made is not None or isinstance(asked.command, Look | Inquire):
            return
        if message.error is ErrorCode.NONE:
            self._told = max(self._told, message.offset)
            self._granted(message, asked, asked.command, ctx)
        elif message.error.retriable and message.error is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            if sender == asked.out:
                asked.out = None
                self._put_off(message, sender, asked, ctx)
        else:
            sentence = message.reason or f"{_of(asked.command)}: {message.error.name}"
            why = Why.UNKNOWN_TOPIC if message.error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION else Why.REFUSED
            self._fail(message.id, Failure(why, sentence, message.error), ctx)

    def _put_off(self, message: AdminDone | PartitionsDone, sender: Address, asked: _Asked, ctx: Context) -> None:
        """Not now, or not there: ask again."""
        delay_ms = backoff_ms(asked.attempt, ctx)
        if message.error is ErrorCode.NOT_CONTROLLER:
            endpoint = self.leaderships.controllers.get(message.leader)
            asked.to = None if endpoint is None else address(endpoint, "controller")
            self.leaderships.refresh(ctx)
            if asked.to not in (None, sender):
                delay_ms = 0
        self._again(message.id, delay_ms, ctx)

    def _granted(
        self,
        message: AdminDone | PartitionsDone,
        asked: _Asked,
        command: MakeTopic | DropTopic | Change,
        ctx: Context,
    ) -> None:
        waits = isinstance(command, MakeTopic) or (isinstance(command, Change) and command.partitions > 0)
        if waits and isinstance(message, AdminDone):
            asked.made, asked.done = message.topic_id, message
            self.leaderships.want(_of(command), ctx)
            self._again(message.id, AGAIN_MS, ctx)
            self._look_for_leaders(ctx)
            return
        self._over(message.id, ctx)
        if isinstance(command, Change):
            self._outlet.answered(command.token, message)
        elif isinstance(message, AdminDone):
            self._outlet.done(command.token, message.topic_id)

    def _look_for_leaders(self, ctx: Context) -> None:
        for request_id, asked in [*self._asked.items()]:
            command = asked.command
            if asked.done is None or isinstance(command, Look | Inquire) or not self.leaderships.led(_of(command)):
                continue
            topic = self.leaderships.topics[_of(command)]
            if topic.id != asked.made or (isinstance(command, Change) and topic.partitions < command.partitions):
                continue
            self._over(request_id, ctx)
            if isinstance(command, Change):
                self._outlet.answered(command.token, asked.done)
            else:
                self._outlet.done(command.token, topic.id)

    # --- Outcomes ---

    def _over(self, request_id: int, ctx: Context) -> None:
        asked = self._asked.pop(request_id)
        ctx.cancel_timer(AdminDue(request_id))
        if asked.made is not None and not isinstance(asked.command, Look | Inquire):
            self.leaderships.unwant(_of(asked.command))

    def _fail(self, request_id: int, failure: Failure, ctx: Context) -> None:
        token = self._asked[request_id].command.token
        self._over(request_id, ctx)
        self._outlet.failed(token, failure)

    def _too_late(self, asked: _Asked) -> Failure:
        if not self.leaderships.answered:
            places = ", ".join(self.leaderships.bootstrap)
            return Failure(Why.NO_BROKERS, f"nobody answers at {places}: is the cluster up?")
        command = asked.command
        if isinstance(command, Look | Inquire) or not asked.sent:
            return Failure(Why.TIMED_OUT, "the cluster did not answer in time: ask again")
        if asked.made is not None:
            sentence = f"{_of(command)} was created, but not every partition has a leader yet: are enough brokers up?"
            return Failure(Why.TIMED_OUT, sentence)
        sentence = f"no controller answered in time: whether {_of(command)} was changed is not known; look at it"
        return Failure(Why.UNKNOWN_OUTCOME, sentence)


def _of(command: MakeTopic | DropTopic | Change) -> str:
    """What is changed."""
    return command.of if isinstance(command, Change) else command.name


def _request(command: MakeTopic | DropTopic | Change, request_id: int, ctx: Context) -> AdminRequest:
    match command:
        case MakeTopic(name=name, partitions=partitions, replication=replication):
            return CreateTopic(request_id, ctx.incarnation, name, partitions, replication, command.configs or {})
        case DropTopic(name=name):
            return DeleteTopic(request_id, ctx.incarnation, name)
        case Change(request=request):
            return request(request_id, ctx.incarnation)
