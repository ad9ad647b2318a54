"""Questions to the coordinators of groups, and changes from outside of a group: the admin's half of the conversation.

What concerns one group is asked of its coordinator until that answers, whoever it is by then. Everything that can be
asked may be asked twice: describing changes nothing, an offset that is set twice is set once, and a group that is gone
when it is to be deleted a second time was deleted by the first.

The list of groups is gathered from all brokers, since each coordinator knows its own. It is complete once everybody has
answered who leads a partition of the topic that groups are kept in; whenever one of those moves, the gathering begins
anew, since a group may have moved from who was not asked yet to who was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from .client_commands import AskAllCoordinators, AskCoordinator, Failure, Why
from .coordinator_link import CoordinatorLink
from .errors import ErrorCode
from .group_admin_messages import DeleteGroup, GroupListing
from .group_messages import GroupReply
from .internal_topics import GROUP_OFFSETS, internal_topic
from .kernel import Address, Context, Message, Millis, Timer, address, node_of
from .leadership import Leaderships, backoff_ms
from .messages import CoordinatorsFound, GroupsListed, ListGroups, Partition

ANSWER_MS = 2_000
"""A coordinator that has not answered for so long is asked again: a change waits for its commit."""

_LATER = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.FENCED_LEADER_EPOCH,
    ErrorCode.UNKNOWN_LEADER_EPOCH,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.REQUEST_TIMED_OUT,
    ErrorCode.UNSTABLE_OFFSET_COMMIT,
}


class GroupOutlet(Protocol):
    """Where outcomes go."""

    def answered(self, token: object, answer: Message) -> None:
        """What the coordinator said, without an error; or the list of all groups."""
        ...

    def failed(self, token: object, failure: Failure) -> None:
        """Refused, or not answered in time."""
        ...


class GroupDue(Timer, frozen=True):
    """A question is to be asked (again), or its time is over."""

    id: int


class _Question:
    """One group's coordinator is asked something."""

    def __init__(self, command: AskCoordinator, leaderships: Leaderships, now: Millis) -> None:
        self.command = command
        self.deadline = Millis(now + command.timeout_ms)
        self.link = CoordinatorLink(command.request.group, leaderships)
        self.attempt = 0
        self.out: Address | None = None  # who was asked and has not answered
        self.unheard = False  # somebody was asked and never answered: it may have been done


class _Gathering:
    """All brokers are asked for their groups."""

    def __init__(self, command: AskAllCoordinators, now: Millis) -> None:
        self.command = command
        self.deadline = Millis(now + command.timeout_ms)
        self.attempt = 0
        self.heard: dict[str, list[GroupListing]] = {}  # by node


class GroupAsking:
    """All such questions of one admin."""

    def __init__(self, leaderships: Leaderships, outlet: GroupOutlet) -> None:
        self._leaderships = leaderships
        self._outlet = outlet
        self._questions: dict[int, _Question | _Gathering] = {}
        self._next_id = 0

    def start(self, ctx: Context) -> None:
        """Begin."""
        self._next_id = ctx.random.getrandbits(40)

    def ask(self, command: AskCoordinator | AskAllCoordinators, ctx: Context) -> None:
        """One more question."""
        self._next_id += 1
        question: _Question | _Gathering
        if isinstance(command, AskCoordinator):
            question = _Question(command, self._leaderships, ctx.now)
            question.link.start(ctx)
        else:
            question = _Gathering(command, ctx.now)
            self._leaderships.want(GROUP_OFFSETS, ctx)
        self._questions[self._next_id] = question
        self._go_on(self._next_id, ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        """Whether the timer was one of ours."""
        if not isinstance(timer, GroupDue):
            return False
        if timer.id in self._questions:
            self._go_on(timer.id, ctx)
        return True

    def moved(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """Leaderships are news: who waits for a coordinator that is none any more asks the next one."""
        known = self._leaderships.topics.get(GROUP_OFFSETS)
        coordinators = known is not None and any(partition.topic == known.id for partition in partitions)
        for number, question in [*self._questions.items()]:
            if isinstance(question, _Question):
                route = question.link.route()
                if question.out is None or (route is not None and route.to != question.out):
                    self._go_on(number, ctx)
            elif coordinators or not question.heard:
                question.heard.clear()
                self._go_on(number, ctx)

    def gone(self, node: str, ctx: Context) -> None:
        """Nobody answers there any more."""
        for number, question in [*self._questions.items()]:
            if isinstance(question, _Question) and question.out is not None and node_of(question.out) == node:
                question.out = None
                question.unheard = True
                self._again(number, backoff_ms(question.attempt, ctx), ctx)

    def close(self, failure: Failure) -> None:
        """Nobody waits any more."""
        for question in self._questions.values():
            self._outlet.failed(question.command.token, failure)
        self._questions.clear()

    # --- Answers ---

    def on_found(self, message: CoordinatorsFound, ctx: Context) -> None:
        """Somebody told who coordinates a group."""
        for number, question in [*self._questions.items()]:
            if isinstance(question, _Question) and question.link.on_found(message, ctx) and question.out is None:
                self._go_on(number, ctx)

    def on_reply(self, reply: GroupReply, ctx: Context) -> None:
        """A coordinator answers."""
        question = self._questions.get(reply.id)
        if not isinstance(question, _Question):
            return
        if reply.error in _LATER:
            question.out = None
            question.unheard = question.unheard or reply.error is ErrorCode.REQUEST_TIMED_OUT
            if reply.error is not ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                question.link.lost(ctx)
            self._again(reply.id, backoff_ms(question.attempt, ctx), ctx)
            return
        again = question.unheard and isinstance(question.command.request, DeleteGroup)
        if reply.error is ErrorCode.NONE or (again and reply.error is ErrorCode.GROUP_ID_NOT_FOUND):
            self._over(reply.id, ctx)
            self._outlet.answered(question.command.token, reply)
        else:
            sentence = reply.reason or f"group {question.command.request.group}: {reply.error.name}"
            self._fail(reply.id, Failure(Why.REFUSED, sentence, reply.error), ctx)

    def on_listed(self, sender: Address, reply: GroupsListed, ctx: Context) -> None:
        """One broker's groups."""
        question = self._questions.get(reply.id)
        if not isinstance(question, _Gathering):
            return
        if reply.error is not ErrorCode.NONE:
            self._again(reply.id, backoff_ms(question.attempt, ctx), ctx)
            return
        question.heard[node_of(sender)] = reply.groups
        if self._complete(question):
            self._over(reply.id, ctx)
            groups = [group for node in sorted(question.heard) for group in question.heard[node]]
            groups.sort(key=lambda group: group.group)
            self._outlet.answered(question.command.token, GroupsListed(reply.id, ErrorCode.NONE, groups))

    def _complete(self, gathering: _Gathering) -> bool:
        known = self._leaderships.topics.get(GROUP_OFFSETS)
        if known is None:
            return gathering.heard.keys() >= {*self._leaderships.brokers.values()}
        routes = [self._leaderships.route(Partition(known.id, index)) for index in range(known.partitions)]
        return all(route is not None and node_of(route.to) in gathering.heard for route in routes)

    # --- Asking ---

    def _go_on(self, number: int, ctx: Context) -> None:
        question = self._questions[number]
        if ctx.now >= question.deadline:
            self._fail(number, self._too_late(question), ctx)
        elif isinstance(question, _Gathering):
            self._gather(number, question, ctx)
        else:
            self._put(number, question, ctx)

    def _put(self, number: int, question: _Question, ctx: Context) -> None:
        route = question.link.route()
        if route is None:
            if self._leaderships.answered:
                question.link.lost(ctx)
            self._again(number, backoff_ms(question.attempt, ctx), ctx)
            return
        question.attempt += 1
        question.unheard = question.unheard or question.out is not None
        question.out = route.to
        request = msgspec.structs.replace(question.command.request, id=number, leader_epoch=route.epoch)
        ctx.send(route.to, request)
        self._again(number, ANSWER_MS, ctx)

    def _gather(self, number: int, gathering: _Gathering, ctx: Context) -> None:
        topic = internal_topic(GROUP_OFFSETS)
        assert topic is not None, "it is one of ours"
        brokers = self._leaderships.brokers
        for broker in sorted(brokers):
            if brokers[broker] not in gathering.heard:
                command = gathering.command
                ctx.send(address(brokers[broker], topic.actor), ListGroups(number, command.states, command.kinds))
        gathering.attempt += 1
        self._again(number, backoff_ms(gathering.attempt + 2, ctx), ctx)

    def _again(self, number: int, delay_ms: int, ctx: Context) -> None:
        left = max(0, self._questions[number].deadline - ctx.now)
        ctx.set_timer(GroupDue(number), min(delay_ms, left))

    # --- Outcomes ---

    def _over(self, number: int, ctx: Context) -> None:
        del self._questions[number]
        ctx.cancel_timer(GroupDue(number))

    def _fail(self, number: int, failure: Failure, ctx: Context) -> None:
        token = self._questions[number].command.token
        self._over(number, ctx)
        self._outlet.failed(token, failure)

    def _too_late(self, question: _Question | _Gathering) -> Failure:
        if not self._leaderships.answered:
            places = ", ".join(self._leaderships.bootstrap)
            return Failure(Why.NO_BROKERS, f"nobody answers at {places}: is the cluster up?")
        if isinstance(question, _Gathering):
            return Failure(Why.TIMED_OUT, "not every broker told its groups in time: ask again")
        group = question.command.request.group
        return Failure(
            Why.TIMED_OUT, f"the coordinator of group {group} did not answer in time: are enough brokers up?"
        )
