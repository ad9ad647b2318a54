"""The configs of a topic: what may be set, to what, and what holds when nothing is set.

Names, types and units are Kafka's, so that any Kafka tool may set and show them; `durability` is ours. A config is
looked up in three layers: the topic's own, the cluster's defaults (fixed by the first active controller), and the
table here. Values travel and are stored as strings, as in Kafka; they are validated once, at the edge, so reading one
back never fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, cast

import msgspec

Durability = Literal["fsync", "os"]

LONG_MAX = (1 << 63) - 1
INT_MAX = (1 << 31) - 1


class ConfigDefinition(msgspec.Struct, frozen=True):
    """One row of the table: an integer within [low, high], or one of the words in `choices`."""

    name: str
    default: str
    doc: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()
    many: bool = False  # a comma-separated list of choices
    share: bool = False  # a number from 0 to 1
    fixed: bool = False  # chosen when the topic is made, never altered

    @property
    def type(self) -> str:
        """Kafka's word for the type."""
        if self.many:
            return "list"
        if self.share:
            return "double"
        if self.choices:
            return "boolean" if set(self.choices) <= {"false", "true"} else "string"
        return "int" if self.high <= INT_MAX else "long"

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.many:
            return "one or more of " + ", ".join(self.choices)
        if self.choices:
            return " or ".join(self.choices)
        if self.share:
            return "a number from 0 to 1"
        return f"a whole number from {self.low} to {self.high}"

    def accepts(self, value: str) -> bool:
        """Whether `value` may be set."""
        if self.many:
            words = value.split(",")
            return len(set(words)) == len(words) and all(word in self.choices for word in words)
        if self.choices:
            return value in self.choices
        if self.share:
            return re.fullmatch(r"0*(0|1|0?\.\d{1,17}|1\.0{1,17}|0\.)", value, re.ASCII) is not None
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
            return False
        return self.low <= int(value) <= self.high


DEFINITIONS: dict[str, ConfigDefinition] = {
    definition.name: definition
    for definition in (
        ConfigDefinition(
            "cleanup.policy",
            "delete",
            "What happens to old segments: delete them by age and size, or compact them to the last value of each key.",
            choices=("compact", "delete"),
            many=True,
        ),
        ConfigDefinition(
            "compression.type",
            "producer",
            "Batches are kept as their producers compressed them; brokers never look inside.",
            choices=("producer",),
        ),
        ConfigDefinition(
            "delete.retention.ms",
            "86400000",
            "How long a tombstone of a compacted topic is kept after the cleaner has met it, in milliseconds.",
            low=0,
            high=LONG_MAX,
        ),
        ConfigDefinition(
            "durability",
            "fsync",
            "fsync: acks=all means on disk at every in-sync replica. os: in the page cache there, as in Kafka.",
            choices=("fsync", "os"),
            fixed=True,
        ),
        ConfigDefinition(
            "max.compaction.lag.ms",
            str(LONG_MAX),
            "How long a record may wait for its compaction: then its segment is closed and cleaned.",
            low=1,
            high=LONG_MAX,
        ),
        ConfigDefinition(
            "max.message.bytes",
            "1048588",
            "The largest record batch that is accepted, after compression.",
            low=0,
            high=16 << 20,
        ),
        ConfigDefinition(
            "message.timestamp.type",
            "CreateTime",
            "Records keep the timestamps that their producers gave them.",
            choices=("CreateTime",),
        ),
        ConfigDefinition(
            "min.cleanable.dirty.ratio",
            "0.5",
            "A compacted log is cleaned when such a share of it has come since the last time.",
            share=True,
        ),
        ConfigDefinition(
            "min.compaction.lag.ms",
            "0",
            "How long every record of a compacted topic stays, also one that a later one of its key follows.",
            low=0,
            high=LONG_MAX,
        ),
        ConfigDefinition(
            "min.insync.replicas",
            "2",
            "How many replicas must be in sync for acks=all; never more than the topic has.",
            low=1,
            high=INT_MAX,
        ),
        ConfigDefinition(
            "retention.bytes",
            "-1",
            "How large a partition grows before its oldest segments are deleted; -1: without limit.",
            low=-1,
            high=LONG_MAX,
        ),
        ConfigDefinition(
            "retention.ms",
            "604800000",
            "How long records are kept, in milliseconds; -1: for ever.",
            low=-1,
            high=LONG_MAX,
        ),
        ConfigDefinition(
            "segment.bytes",
            "1073741824",
            "The size at which a segment is closed and the next one begins.",
            low=14,
            high=INT_MAX,
        ),
        ConfigDefinition(
            "segment.ms",
            "604800000",
            "The age at which a segment is closed even if it is not full, in milliseconds.",
            low=1,
            high=LONG_MAX,
        ),
        ConfigDefinition(
            "unclean.leader.election.enable",
            "false",
            "A replica that may lack records never leads by itself; `elect-leaders --unclean` is for people.",
            choices=("false",),
        ),
    )
}


def validate(
    configs: Mapping[str, str], definitions: Mapping[str, ConfigDefinition] = DEFINITIONS, kind: str = "topic"
) -> list[str]:
    """One sentence per config that is unknown or illegal, in the order of their names; empty if all is well."""
    sentences = []
    for name in sorted(configs):
        definition = definitions.get(name)
        if definition is None:
            sentences.append(f"There is no {kind} config {name!r}; there are {', '.join(definitions)}.")
        elif not definition.accepts(configs[name]):
            sentences.append(f"{name} must be {definition.expected}, not {configs[name]!r}.")
    if not sentences and definitions is DEFINITIONS:
        least, most = TopicConfigs(configs).min_compaction_lag_ms, TopicConfigs(configs).max_compaction_lag_ms
        if least > most:
            sentences.append(f"min.compaction.lag.ms ({least}) must not be more than max.compaction.lag.ms ({most}).")
    return sentences


class TopicConfigs:
    """Typed access to the configs in force: `own` first, then the cluster's `defaults`, then the table."""

    __slots__ = ("_defaults", "_own")

    def __init__(self, own: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> None:
        self._own = own
        self._defaults: Mapping[str, str] = {} if defaults is None else defaults

    def get(self, name: str) -> str:
        """The value in force. The name must be in the table."""
        definition = DEFINITIONS[name]
        return self._own.get(name, self._defaults.get(name, definition.default))

    def all(self) -> dict[str, str]:
        """Every config with the value in force, in the order of the names."""
        return {name: self.get(name) for name in DEFINITIONS}

    @property
    def min_insync_replicas(self) -> int:
        """As configured; what counts is `effective_min_insync`."""
        return int(self.get("min.insync.replicas"))

    def effective_min_insync(self, replication: int) -> int:
        """min(configured, replication): a topic with one replica must be writable by acks=all."""
        return min(self.min_insync_replicas, replication)

    @property
    def retention_ms(self) -> int:
        """-1: for ever."""
        return int(self.get("retention.ms"))

    @property
    def retention_bytes(self) -> int:
        """-1: without limit."""
        return int(self.get("retention.bytes"))

    @property
    def segment_bytes(self) -> int:
        """A segment is rolled before it grows beyond this."""
        return int(self.get("segment.bytes"))

    @property
    def segment_ms(self) -> int:
        """A segment is rolled at this age."""
        return int(self.get("segment.ms"))

    @property
    def delete_retention_ms(self) -> int:
        """How long the cleaner keeps a tombstone that it has met."""
        return int(self.get("delete.retention.ms"))

    @property
    def min_compaction_lag_ms(self) -> int:
        """Nothing younger is compacted."""
        return int(self.get("min.compaction.lag.ms"))

    @property
    def max_compaction_lag_ms(self) -> int:
        """Nothing older waits for compaction."""
        return int(self.get("max.compaction.lag.ms"))

    @property
    def min_cleanable_dirty_ratio(self) -> float:
        """The share of a log that makes cleaning it worth while."""
        return float(self.get("min.cleanable.dirty.ratio"))

    @property
    def max_message_bytes(self) -> int:
        """The largest record batch."""
        return int(self.get("max.message.bytes"))

    @property
    def durability(self) -> Durability:
        """What an acknowledgement of acks=all means."""
        return cast(Durability, self.get("durability"))

    @property
    def deletes(self) -> bool:
        """Whether old segments are deleted by age and size."""
        return "delete" in self.get("cleanup.policy").split(",")

    @property
    def compacts(self) -> bool:
        """Whether segments are compacted by key."""
        return "compact" in self.get("cleanup.policy").split(",")
