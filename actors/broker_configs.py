"""The configs of brokers that may be altered while they run: what there is, and what each is called for topics.

Names are Kafka's. A value set for one broker comes before one set for all of them, and that before the table. Some are
defaults of topics under the name that Kafka's brokers give them: those hold for all brokers or none, because the
metadata of a topic must say the same everywhere, and they come before what the cluster file said when the cluster was
made.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from .topic_configs import DEFINITIONS as TOPIC_DEFINITIONS
from .topic_configs import LONG_MAX, ConfigDefinition

ALL_BROKERS = -1
"""Instead of a broker's number: what is set for all."""

TOPIC_NAMES: dict[str, str] = {
    "log.cleaner.delete.retention.ms": "delete.retention.ms",
    "log.cleaner.max.compaction.lag.ms": "max.compaction.lag.ms",
    "log.cleaner.min.cleanable.ratio": "min.cleanable.dirty.ratio",
    "log.cleaner.min.compaction.lag.ms": "min.compaction.lag.ms",
    "log.cleanup.policy": "cleanup.policy",
    "log.retention.bytes": "retention.bytes",
    "log.retention.ms": "retention.ms",
    "log.roll.ms": "segment.ms",
    "log.segment.bytes": "segment.bytes",
    "message.max.bytes": "max.message.bytes",
    "min.insync.replicas": "min.insync.replicas",
}
"""From a broker's name for a default of topics to the topic's own."""

LEADER_BALANCE = "auto.leader.rebalance.enable"
LEADER_BALANCE_EVERY = "leader.imbalance.check.interval.seconds"
LEADER_IMBALANCE = "leader.imbalance.per.broker.percentage"
MOVE_RATE = "follower.replication.throttled.rate"

_OWN = (
    ConfigDefinition(
        LEADER_BALANCE,
        "true",
        "Whether preferred leaders are made leaders again by themselves, some at a time.",
        choices=("false", "true"),
    ),
    ConfigDefinition(
        MOVE_RATE,
        str(LONG_MAX),
        "Bytes per second that a broker fetches for partitions that are moving to it; others are not slowed down.",
        low=1,
        high=LONG_MAX,
    ),
    ConfigDefinition(
        LEADER_BALANCE_EVERY,
        "300",
        "How often the controller looks for leaders that are not the preferred ones, in seconds.",
        low=1,
        high=86_400,
    ),
    ConfigDefinition(
        LEADER_IMBALANCE,
        "10",
        "The share of the partitions that prefer a broker, in percent, which others may lead before that is undone.",
        low=0,
        high=100,
    ),
)

DEFINITIONS: dict[str, ConfigDefinition] = {
    definition.name: definition
    for definition in sorted(
        (*_OWN, *(replace(TOPIC_DEFINITIONS[topic], name=name) for name, topic in TOPIC_NAMES.items())),
        key=lambda definition: definition.name,
    )
}

FOR_ALL = frozenset({LEADER_BALANCE, LEADER_BALANCE_EVERY, LEADER_IMBALANCE, *TOPIC_NAMES})
"""Configs that are set for all brokers or not at all."""


def topic_defaults(configs: Mapping[str, str]) -> dict[str, str]:
    """What configs of all brokers say about topics, by the names that topics have for it."""
    return {TOPIC_NAMES[name]: value for name, value in configs.items() if name in TOPIC_NAMES}
