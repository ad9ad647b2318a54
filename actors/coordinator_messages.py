"""Finding a coordinator, and making the topic that its state is kept in. Part of `messages`.

Which partition keeps the state of a group or a transactional id follows from its name (`internal_topics`), and whoever
leads that partition is the coordinator. So a client that follows the leadership digest can tell by itself, once the
topic exists; `FindCoordinator` is for those that do not follow it, and for the first time.
"""

from __future__ import annotations

from enum import IntEnum

from .envelope import Part, TopicId
from .errors import ErrorCode
from .kernel import Message


class CoordinatorKind(IntEnum):
    """Kafka's key types."""

    GROUP = 0
    TRANSACTION = 1


class FindCoordinator(Message, frozen=True):
    """Who coordinates these groups, or transactional ids? To any broker; the topic is made if it is not there yet.

    A question that must wait for that is answered within `MAX_WAIT_MS` (`coordinator_lookup`).
    """

    id: int
    kind: CoordinatorKind
    keys: list[str]


class CoordinatorPlace(Part, frozen=True):
    """Where to send what is meant for a key: to the actor `groups` (or `transactions`) at `endpoint`.

    COORDINATOR_NOT_AVAILABLE: there is none now, ask again. `leader_epoch` is what requests may name, to be exact.
    """

    key: str
    error: ErrorCode
    broker: int = -1
    endpoint: str = ""
    leader_epoch: int = -1
    reason: str = ""


class CoordinatorsFound(Message, frozen=True):
    """The answer to `FindCoordinator`: one place per key, in the same order."""

    id: int
    places: list[CoordinatorPlace]


class CreateInternalTopic(Message, frozen=True):
    """A broker asks the active controller for one of the internal topics. Idempotent by the topic's name."""

    id: int
    broker: int
    broker_epoch: int
    name: str


class InternalTopicCreated(Message, frozen=True):
    """It exists, or why not: then the broker asks again."""

    id: int
    error: ErrorCode
    topic_id: TopicId = TopicId("")
    leader: int = -1
    reason: str = ""
