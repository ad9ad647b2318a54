"""Topics that the cluster keeps for itself: what they are called, how they are made, and who keeps what in them.

A coordinator's state is a log: `__consumer_offsets` has the groups and their offsets, `__transaction_state` the
transactions. Each partition has the coordinator on the broker that leads it; which partition somebody's state is in
follows from a name (a group's, a transactional id), by the hash that Kafka uses, so that anybody can tell.

The controller makes them, when a broker asks for one the first time that a client looks for a coordinator. Clients may
read them; they neither make, delete nor write to them.
"""

from __future__ import annotations

from typing import NamedTuple

GROUP_OFFSETS = "__consumer_offsets"
TRANSACTIONS = "__transaction_state"


class InternalTopic(NamedTuple):
    """How the controller makes it, and the actor that keeps its state there, at every broker's node."""

    name: str
    actor: str
    partitions: int
    configs: dict[str, str]


_CONFIGS = {
    "cleanup.policy": "compact",
    "durability": "fsync",
    "max.message.bytes": str(8 << 20),  # a decision is one batch: the largest group's members fit in one
    "retention.ms": "-1",
    "segment.bytes": str(16 << 20),  # what is not compacted yet is read at each change of coordinators
}

_TABLE = {
    topic.name: topic
    for topic in (
        InternalTopic(GROUP_OFFSETS, "groups", 12, _CONFIGS),
        InternalTopic(TRANSACTIONS, "transactions", 12, _CONFIGS),
    )
}

INTERNAL_TOPICS = frozenset(_TABLE)


def internal_topic(name: str) -> InternalTopic | None:
    """The internal topic of that name; None for everybody's topics."""
    return _TABLE.get(name)


def partition_of(key: str, partitions: int) -> int:
    """Which partition keeps the state of a group or a transactional id (Kafka's `Utils.abs(hashCode) % partitions`)."""
    return (java_hash(key) & 0x7FFFFFFF) % partitions


def java_hash(text: str) -> int:
    """Java's String.hashCode: over UTF-16 code units, modulo 2^32."""
    value = 0
    data = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(data[::2], data[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    return value
