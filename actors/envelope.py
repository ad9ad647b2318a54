"""What every message is made of: the names of things, the envelope, and what envelopes themselves say."""

from __future__ import annotations

from typing import NamedTuple, NewType

import msgspec

from .kernel import Incarnation, Message

TopicId = NewType("TopicId", str)  # 22 characters, a UUID in base64url as Kafka prints it

PROTOCOL_VERSION = 1


class Partition(NamedTuple):
    """One partition of one topic, by the topic's id: a re-created topic is another topic."""

    topic: TopicId
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs


METADATA = Partition(TopicId("AAAAAAAAAAAAAAAAAAAAAQ"), 0)  # Kafka's own id for __cluster_metadata


class Part(msgspec.Struct, frozen=True, array_like=True):
    """Base of what messages are made of."""


class TopicName(Part, frozen=True):
    """A topic's identity, and how many partitions it has."""

    id: TopicId
    name: str
    partitions: int


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What surrounds each message on the wire.

    `to_incarnation` is 0 while the sender does not know with which life of the addressee it speaks; one that is
    meant for another life is dropped and answered with `Reborn`.
    """

    version: int
    sender: str  # what the sender calls itself, "<endpoint>/<actor>": for traces only, never to reply to
    incarnation: Incarnation
    to: str  # the addressee's actor
    to_incarnation: Incarnation
    body: Message


class Reborn(Message, frozen=True):
    """Your message was for an earlier life of mine; this envelope's incarnation is the present one."""


class PeerGone(Message, frozen=True):
    """Local only: the connection to `node` dropped and nobody listens there any more. A hint: lost, late or false.

    `disconnected_at` is when it dropped, on this node's monotonic clock; -1: unknown.
    """

    node: str
    incarnation: Incarnation
    disconnected_at: int = -1


class PeerBack(Message, frozen=True):
    """Local only: the connection to `node` had dropped and is there again, with whoever listens there now.

    What was on its way may be lost, in both directions: ask again, without waiting for a timeout. A hint: it may be
    lost, late or false, so only what may be said twice may follow from it.
    """

    node: str


class RouteGone(Message, frozen=True):
    """Local only: the connection that requests of `route` came on has closed. A hint, like `PeerGone`.

    Whoever spoke there may be dead, or may come again on another connection.
    """

    route: str
