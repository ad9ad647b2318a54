"""Events told as a story: what is one thing that happened to many partitions becomes one sentence.

When a broker dies, each of its partitions gets a leader and a smaller ISR, and each of these is an event of its own.
People want to hear: "b3 leads 41 partitions after b2". So events of one kind that say the same, with the same cause and
within a second, are one *passage*; what stands between them does not matter. Everything else is a passage by itself.
Nothing is left out: a passage keeps its events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .event_file import Happened

TOGETHER_MS = 1_000
NAMED = 6  # partitions that are called by name


class Passage(NamedTuple):
    """One sentence of the story. `events`: what it stands for, the oldest first."""

    events: list[Happened]
    sentence: str
    cause: str
    which: str = ""  # the partitions that it is about, if they are several
    epochs: str = ""  # in which epochs, where the sentence does not say so

    @property
    def first(self) -> Happened:
        return self.events[0]

    @property
    def kind(self) -> str:
        """Which event of the catalogue it tells of."""
        return self.events[0].event


def tell(events: Iterable[Happened]) -> list[Passage]:
    """The story of these events, which are in the order of time."""
    groups: list[list[Happened]] = []
    open_groups: dict[tuple[object, ...], list[Happened]] = {}
    for event in events:
        key = _key(event)
        group = open_groups.get(key) if key is not None else None
        if group is not None and event.ms - group[0].ms <= TOGETHER_MS:
            group.append(event)
            continue
        groups.append([event])
        if key is not None:
            open_groups[key] = groups[-1]
    return [_passage(group) for group in groups]


def _key(event: Happened) -> tuple[object, ...] | None:
    """Events with equal keys say the same of different partitions; None: there is nothing to put together."""
    fields = event.fields
    match event.event:
        case "PartitionLeaderChanged":
            return event.event, fields.get("before"), fields.get("leader"), event.cause
        case "BecameLeader":
            return event.event, fields.get("broker"), event.cause
        case "IsrChanged":
            left, joined = _moves(event)
            return (
                event.event,
                tuple(left),
                tuple(joined),
                bool(fields.get("elr")),
                _cause(event),
            )
        case _:
            return None


def _passage(group: list[Happened]) -> Passage:
    first = group[0]
    if len(group) == 1:
        return Passage(group, first.sentence, first.cause, epochs=_epochs(group, said=first.sentence))
    partitions = sorted({str(event.fields.get("partition")) for event in group}, key=_by_number)
    many = f"{len(partitions)} partitions"
    fields = first.fields
    match first.event:
        case "PartitionLeaderChanged" if fields.get("leader") == -1:
            sentence = f"{many} have no leader: b{fields.get('before')} led them and nobody who is up may"
        case "PartitionLeaderChanged":
            before = fields.get("before")
            sentence = f"b{fields.get('leader')} leads {many}{'' if before == -1 else f' after b{before}'}"
        case "BecameLeader":
            sentence = f"b{fields.get('broker')} has taken up the leadership of {many}"
        case _:
            left, joined = _moves(first)
            moves = [f"{_brokers(joined)} joined the ISR"] if joined else []
            moves += [f"{_brokers(left)} left the ISR"] if left else []
            kept = ", eligible to lead all the same" if left and fields.get("elr") else ""
            sentence = f"{' and '.join(moves) or 'who is eligible to lead changed'} of {many}{kept}"
    return Passage(group, sentence, _cause(first), names(partitions), _epochs(group))


EPOCHS = {"leader_epoch": "leader epoch", "epoch": "epoch", "broker_epoch": "broker epoch"}


def _epochs(group: list[Happened], said: str = "") -> str:
    """The epochs that the events name, unless it is said already."""
    for field, word in EPOCHS.items():
        found = sorted({epoch for event in group if isinstance(epoch := event.fields.get(field), int)})
        if found and f"epoch {found[0]}" not in said:
            return f"{word} {found[0]}" if len(found) == 1 else f"{word}s {found[0]} to {found[-1]}"
    return ""


def concerning(events: Sequence[Happened], partition: str | None, node: int | None) -> list[Happened]:
    """Those that are about this partition and the brokers in its events, and about this node (None: about any)."""
    kept = list(events)
    if partition is not None:
        own = [event for event in kept if event.fields.get("partition") == partition]
        brokers = {broker for event in own for broker in _involved(event)}
        topic = partition.rpartition("-")[0]
        kept = [
            event
            for event in kept
            if event.fields.get("partition") == partition
            or event.fields.get("name") == topic
            or (event.event in COMINGS_AND_GOINGS and event.fields.get("broker") in brokers)
        ]
    if node is not None:
        kept = [event for event in kept if node in _involved(event) or event.fields.get("node") == node]
    return kept


COMINGS_AND_GOINGS = ("BrokerRegisteredEvent", "BrokerFencedEvent", "BrokerUnfencedEvent", "BrokerStoppingEvent")


def _involved(event: Happened) -> set[int]:
    """The nodes that an event is about."""
    fields = event.fields
    one = [fields.get(name) for name in ("broker", "leader", "controller", "before")]
    left, joined = _moves(event)
    return {number for number in (*one, *left, *joined) if isinstance(number, int)}


def because(cause: str) -> str:
    """A cause as the second half of a sentence."""
    whose = re.match(r"(b\d+): its (.+)", cause)
    if whose is not None:
        return f"{whose[1]}'s {whose[2]}"
    proposed = re.match(r"proposed by (?:(b\d+), )?the leader$", cause)
    if proposed is not None:
        return f"{proposed[1] or 'its leader'} proposed it"
    return cause


def _by_number(partition: str) -> tuple[str, int]:
    topic, _, index = partition.rpartition("-")
    return topic, int(index) if index.isdecimal() else 0


def _cause(event: Happened) -> str:
    """The cause without the name of the leader, which differs from partition to partition."""
    return "proposed by the leader" if event.cause.startswith("proposed by") else event.cause


def _moves(event: Happened) -> tuple[list[int], list[int]]:
    """Who left the ISR, and who joined it."""
    before, after = _ids(event.fields.get("before")), _ids(event.fields.get("isr"))
    return [b for b in before if b not in after], [b for b in after if b not in before]


def _ids(value: object) -> list[int]:
    return [broker for broker in value if isinstance(broker, int)] if isinstance(value, list) else []


def _brokers(brokers: Sequence[int]) -> str:
    return " and ".join(f"b{broker}" for broker in brokers)


def names(partitions: Sequence[str]) -> str:
    """Several partitions in few letters: orders-0,3,4 payments-1 and 7 more."""
    by_topic: dict[str, list[str]] = {}
    for partition in partitions[:NAMED] if len(partitions) > NAMED + 1 else partitions:
        topic, _, index = partition.rpartition("-")
        by_topic.setdefault(topic, []).append(index)
    told = " ".join(f"{topic}-{','.join(indexes)}" for topic, indexes in by_topic.items())
    rest = len(partitions) - sum(map(len, by_topic.values()))
    return f"{told} and {rest} more" if rest else told
