"""`FindCoordinator` at a broker: who leads the partition that keeps the state of a group or a transactional id.

Any broker may be asked, since all know the metadata. The first one that is asked for a coordinator when there is no
topic for its state has the controller make it, and lets the question wait meanwhile: for a second at most, then the
answer is COORDINATOR_NOT_AVAILABLE, and clients ask again. What is asked of the controller is asked until the metadata
show the topic: a lost word costs a repetition, and a second request finds the topic there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from .coordinator_messages import CoordinatorKind, CoordinatorPlace
from .errors import ErrorCode
from .internal_topics import GROUP_OFFSETS, TRANSACTIONS, partition_of
from .kernel import Address, Context, Timer, address
from .membership import Membership
from .messages import CoordinatorsFound, CreateInternalTopic, FindCoordinator, InternalTopicCreated, Partition
from .metadata import MetadataImage

MAX_WAIT_MS = 1_000
MAX_WAITING = 1_000
"""Questions that wait at one broker; one more is answered COORDINATOR_NOT_AVAILABLE at once."""

MAX_KEYS = 1_000
"""Keys of one question."""

RETRY_MS = 100

TOPIC_OF = {CoordinatorKind.GROUP: GROUP_OFFSETS, CoordinatorKind.TRANSACTION: TRANSACTIONS}


class LookupTimer(Timer, frozen=True):
    """A question has waited long enough."""

    number: int


class InternalTopicTimer(Timer, frozen=True):
    """The topic is not there yet: ask the controller again."""

    name: str


class _Waiting(msgspec.Struct, frozen=True):
    sender: Address
    request: FindCoordinator


class CoordinatorLookup:
    """The questions of one broker, and those that wait for a topic to be made."""

    def __init__(
        self,
        broker: int,
        controllers: Mapping[int, str],
        membership: Membership,
        image: Callable[[], MetadataImage],
    ) -> None:
        self._broker = broker
        self._controllers = controllers
        self._membership = membership
        self._image = image
        self._waiting: dict[int, _Waiting] = {}
        self._asking: dict[str, int] = {}  # topics that were asked for, by the id of the newest request
        self._number = 0
        self._turn = 0

    def find(self, sender: Address, request: FindCoordinator, ctx: Context) -> None:
        """Answer at once, or when the topic is there."""
        topic = TOPIC_OF[request.kind]
        if self._image().topic(topic) is not None or len(self._waiting) >= MAX_WAITING:
            ctx.send(sender, self._answer(request))
            return
        self._number += 1
        self._waiting[self._number] = _Waiting(sender, request)
        ctx.set_timer(LookupTimer(self._number), MAX_WAIT_MS)
        if topic not in self._asking:
            self._ask(topic, ctx)

    def adopted(self, ctx: Context) -> None:
        """The metadata have moved: a topic may be there now."""
        if not self._asking:
            return
        for topic in [topic for topic in self._asking if self._image().topic(topic) is not None]:
            del self._asking[topic]
            ctx.cancel_timer(InternalTopicTimer(topic))
        for number, waiting in list(self._waiting.items()):
            if TOPIC_OF[waiting.request.kind] not in self._asking:
                self._release(number, ctx)

    def created(self, answer: InternalTopicCreated, ctx: Context) -> None:
        """The controller's word. That the topic exists is told by the metadata; another controller is asked at once."""
        for topic, asked in self._asking.items():
            if asked != answer.id or answer.error is not ErrorCode.NOT_CONTROLLER:
                continue
            if answer.leader in self._controllers and answer.leader != self._membership.active:
                self._membership.active = answer.leader
                self._ask(topic, ctx)
                return

    def on_timer(self, timer: LookupTimer | InternalTopicTimer, ctx: Context) -> None:
        """A question has waited long enough, or the controller has been silent for long enough."""
        match timer:
            case LookupTimer(number):
                self._release(number, ctx)
            case InternalTopicTimer(name):
                if name in self._asking:
                    self._ask(name, ctx)

    def _release(self, number: int, ctx: Context) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            ctx.cancel_timer(LookupTimer(number))
            ctx.send(waiting.sender, self._answer(waiting.request))

    def _ask(self, topic: str, ctx: Context) -> None:
        order = sorted(self._controllers)
        active = self._membership.active
        if active not in self._controllers:
            active = order[self._turn % len(order)]
            self._turn += 1
        self._number += 1
        self._asking[topic] = self._number
        request = CreateInternalTopic(self._number, self._broker, self._membership.broker_epoch, topic)
        ctx.send(address(self._controllers[active], "controller"), request)
        ctx.set_timer(InternalTopicTimer(topic), RETRY_MS)

    def _answer(self, request: FindCoordinator) -> CoordinatorsFound:
        if len(request.keys) > MAX_KEYS:
            reason = f"A question names at most {MAX_KEYS} keys, this one has {len(request.keys)}."
            return refusal(request, ErrorCode.INVALID_REQUEST, reason)
        return CoordinatorsFound(request.id, [self._place(request.kind, key) for key in request.keys])

    def _place(self, kind: CoordinatorKind, key: str) -> CoordinatorPlace:
        image = self._image()
        topic = image.topic(TOPIC_OF[kind])
        if topic is None:
            reason = f"{TOPIC_OF[kind]} is not made yet: ask again."
            return CoordinatorPlace(key, ErrorCode.COORDINATOR_NOT_AVAILABLE, reason=reason)
        state = image.partitions[Partition(topic.id, partition_of(key, topic.partitions))]
        leader = image.brokers.get(state.leader)
        if leader is None:
            reason = f"{image.name(state.partition)} has no leader now: ask again."
            return CoordinatorPlace(key, ErrorCode.COORDINATOR_NOT_AVAILABLE, reason=reason)
        return CoordinatorPlace(key, ErrorCode.NONE, leader.id, leader.endpoint, state.leader_epoch)


def refusal(request: FindCoordinator, error: ErrorCode, reason: str) -> CoordinatorsFound:
    """The same for every key."""
    return CoordinatorsFound(request.id, [CoordinatorPlace(key, error, reason=reason) for key in request.keys])
