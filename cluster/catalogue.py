"""The catalogue of events as a page: `python -m barnabas.cluster.catalogue > docs/events.md`.

Names, fields and sentences come from the event classes in `actors/*events.py`, so the page cannot differ from what the
nodes write; a test compares them. The causes are examples.
"""

import importlib
import json
import pkgutil
import sys
from types import ModuleType

import msgspec

from .. import actors
from ..actors.kernel import Event, address
from .event_file import LIMIT_BYTES, happened

PREFACE = """\
# Events

<!-- Generated: python -m barnabas.cluster.catalogue > docs/events.md -->

Each change of state emits one event, with its cause. Every node writes what it decides, or learns first, to
`DATA/node-ID/events.jsonl`, a JSON object a line; `barnabas events` shows all nodes in the order of time
(`--follow`, `--json`, `--node N`, `--since 10m`).

| key | what |
|---|---|
| `time` | the node's wall clock, UTC, with milliseconds |
| `ms` | the same in milliseconds since 1970 |
| `node` | which node wrote it |
| `actor` | which of its actors: `controller`, `broker` or `groups` |
| `event` | a name from this page |
| `fields` | what this page lists for that name |
| `sentence` | what happened, for people |
| `cause` | why, for people |

A line is written at once and never changed, but not flushed to the disk on purpose: a loss of power may take the last
ones. When the file has reached {limit} MiB it becomes `events.1.jsonl`, in the place of the one before, so a node keeps
at most two such files. An event that finds the disk full is not kept. Names and fields may be added; readers ignore
those that they do not know.
"""

SAMPLES: dict[str, object] = {
    "before": 1,
    "added": 3,
    "broker": 2,
    "broker_epoch": 41,
    "controller": 1,
    "directory": "orders-0.damaged-1",
    "elr": [],
    "end": 1200,
    "endpoint": "tcp://127.0.0.1:9092",
    "epoch": 7,
    "assignor": "uniform",
    "client": "billing-app",
    "group": "billing",
    "hw": 1190,
    "isr": [1, 3],
    "leader": 3,
    "leader_epoch": 5,
    "member": "consumer-2",
    "name": "orders",
    "offset": 312,
    "partition": "orders-0",
    "partitions": 6,
    "replication": 3,
    "successor": "consumer-3",
    "target": [4, 2, 3],
    "topic": "orders",
    "topic_id": "Vb2kJ8wRTk6xk1M0Qy3nNw",
    "node": 2,
    "told": "its disk has 0 bytes left",
    "what": "it ends in the middle",
}

TELLING: dict[str, dict[str, object]] = {
    "CoordinatorFailed": {"partition": "__consumer_offsets-3"},
    "CoordinatorLeft": {"partition": "__consumer_offsets-3"},
    "CoordinatorLoaded": {"partition": "__consumer_offsets-3", "offsets": 18},
    "ConfigsAltered": {"of": "topic 'orders'", "changes": {"retention.ms": "86400000", "segment.ms": None}},
    "IsrChanged": {"before": [1, 2, 3]},
    "MoveCancelled": {"replicas": [1, 2, 3]},
    "PartitionMoved": {"before": [1, 2, 3], "replicas": [4, 2, 3]},
    "PartitionMoving": {"replicas": [1, 2, 3]},
}
"""Values where one name stands for different things."""

CAUSES = {
    "BadRecords": "a checksum does not match",
    "BecameLeader": "the controller chose it",
    "BrokerFencedEvent": "its process is gone",
    "BrokerRegisteredEvent": "it asked to join",
    "BrokerStoppingEvent": "it was told to stop",
    "BrokerUnfencedEvent": "it has caught up with the metadata",
    "ConfigsAltered": "a client asked for it",
    "CoordinatorFailed": "the record at offset 4711 is of another kind: Invalid value 'share' - at `$[0]`",
    "CoordinatorLeft": "another broker leads it",
    "CoordinatorLoaded": "it has read everything that was committed before",
    "ControllerElected": "it has applied the first record of its epoch",
    "ControllerResigned": "another one leads",
    "DefaultsFixed": "the first controller of the cluster became active",
    "FaultsInjected": "faults.json says so",
    "GroupAssigned": "consumer-2 joined",
    "GroupDeletedEvent": "a client asked for it",
    "GroupSettled": "its members have moved on",
    "IsrChanged": "b2 is fenced",
    "LogDamaged": "orders-0/00000000000000000000.log, byte 8192: a checksum does not match",
    "LogQuarantined": "orders-0/00000000000000000000.log, byte 8192: a checksum does not match",
    "MemberGone": "consumer-2 is out: its connection closed",
    "MemberJoined": "it asked to",
    "MetadataSnapshotSkipped": "it is not whole",
    "MetadataSnapshotWritten": "10000 records since the last",
    "MoveCancelled": "a client asked for it",
    "OffsetsExpired": "nobody has been in it for 604800000 ms",
    "PartitionLeaderChanged": "b1 is fenced",
    "PartitionMoved": "proposed by b1, the leader",
    "PartitionMoving": "a client asked for it",
    "PartitionsAdded": "a client asked for it",
    "PlanRefused": "its plan is not a legal one: it gives orders-5 to nobody",
    "ProducerIdsReservedEvent": "it asked for more",
    "QuorumLeaderElected": "a majority of the voters chose it",
    "QuorumLeaderResigned": "it has not heard from a majority",
    "TopicCreatedEvent": "a client asked for it",
    "TopicDeletedEvent": "a client asked for it",
    "Truncated": "its leader's epoch 6 ends at 1187",
    "UncleanElection": "a client asked for it",
}


def modules() -> list[ModuleType]:
    """The files that hold event classes, in the order of their names."""
    names = sorted(module.name for module in pkgutil.iter_modules(actors.__path__) if module.name.endswith("events"))
    return [importlib.import_module(f"{actors.__name__}.{name}") for name in names]


def events() -> list[type[Event]]:
    """Every event that there is, by name."""
    found = {
        value.__name__: value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Event) and value is not Event
    }
    return [found[name] for name in sorted(found)]


def example(kind: type[Event]) -> Event:
    """An event of that kind, with values as they might be."""
    values = {field.name: sample(field.name, field.type) for field in msgspec.structs.fields(kind)}
    values["cause"] = CAUSES.get(kind.__name__, "(why it happened)")
    values |= TELLING.get(kind.__name__, {})
    return msgspec.convert({"type": kind.__name__, **values}, type=kind)


def sample(name: str, kind: object) -> object:
    """A value for a field: a telling one for names that are known, otherwise one of its type."""
    by_type: dict[object, object] = {int: 3, str: "...", bool: True, float: 0.5}
    return SAMPLES.get(name, by_type.get(kind, []))


def page() -> str:
    """The whole catalogue in Markdown."""
    parts = [PREFACE.format(limit=LIMIT_BYTES >> 20)]
    for kind in events():
        fields = [field for field in msgspec.structs.fields(kind) if field.name != "cause"]
        shown = example(kind)
        parts.append(f"## {kind.__name__}\n\n{' '.join((kind.__doc__ or '').split())}\n")
        rows = [f"| `{field.name}` | {_type(field.type)} |" for field in fields]
        parts.append("\n".join(["| field | type |", "|---|---|", *rows]) + "\n")
        parts.append(f"> {shown.sentence()}: {shown.cause}\n")
    line = happened(3, address("tcp://127.0.0.1:9092", "controller"), example(events()[0]), 1_772_366_400_123)
    parts.append("## One line of the file\n\n```json\n" + json.dumps(msgspec.to_builtins(line), indent=2) + "\n```\n")
    return "\n".join(parts)


def _type(kind: object) -> str:
    words: dict[object, str] = {int: "number", str: "text", bool: "true or false", float: "number"}
    if kind in words:
        return words[kind]
    return "numbers" if kind == list[int] else "texts" if kind == list[str] else "values"


if __name__ == "__main__":
    sys.stdout.write(page())
