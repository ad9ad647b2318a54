"""Which lessons there are, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from . import logs, replicas, together
from .stage import Stage


class Lesson(NamedTuple):
    """One idea. `run` tells, does and checks it."""

    name: str
    title: str
    run: Callable[[Stage], None]


LESSONS = [
    Lesson("log", "a log, not a queue", logs.log),
    Lesson("immutable", "events are immutable", logs.immutable),
    Lesson("expiry", "events expire, or are kept for ever", logs.expiry),
    Lesson("order", "order by key, and none across partitions", logs.order),
    Lesson("hashing", "partitions are spread by consistent hashing", logs.hashing),
    Lesson("dumb-brokers", "brokers never look inside a record", logs.dumb),
    Lesson("replication", "every record is on three brokers; followers ask the leader", replicas.replication),
    Lesson("high-watermark", "only fully replicated records can be consumed", replicas.high_watermark),
    Lesson("acks", "what a successful write is, the application decides", replicas.acks),
    Lesson("minimum", "too few replicas: rather refuse than promise", replicas.minimum),
    Lesson("in-sync", "who is behind does not count, and comes back", replicas.in_sync),
    Lesson("failover", "the leader dies, and another one leads", replicas.failover),
    Lesson("controller", "a broker that is elected, watches the others, and decides who leads", together.controller),
    Lesson("streams", "everything is a producer or a consumer", together.streams),
    Lesson("groups", "members share the partitions, and rebalance", together.groups),
    Lesson("progress", "a group remembers how far it is", together.progress),
]


def find(name: str) -> list[Lesson]:
    """The lesson of that name, or all of them; none if there is none."""
    return LESSONS if name == "all" else [lesson for lesson in LESSONS if lesson.name == name]
