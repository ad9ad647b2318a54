"""How full, how far and how fast: `Measure` and its answer. Part of `messages`."""

from __future__ import annotations

from .envelope import Part, Partition
from .kernel import Incarnation, Message


class Measure(Message, frozen=True):
    """What has moved at this broker since an earlier answer of the same life, please.

    `life` and `since` repeat the `life` and `moment` of that answer; with another life, or since 0, everything is told.
    `partitions` asks for these only, moved or not: then `since` does not count.
    """

    id: int
    life: Incarnation = Incarnation(0)
    since: int = 0
    partitions: list[Partition] | None = None


class ReplicaMeasure(Part, frozen=True):
    """One replica as its broker has it now.

    `durable` is the end of what counts as durable. Bytes in are those that this life of the broker has written to the
    log, as leader or as follower; out is what it gave to consumers, records out counted by their offsets.
    """

    partition: Partition
    leading: bool
    leader_epoch: int
    start: int
    end: int
    durable: int
    hw: int
    size: int  # bytes on disk
    bytes_in: int
    bytes_out: int
    records_out: int


class Measured(Message, frozen=True):
    """The answer to `Measure`: replicas that moved, and what the broker knows of itself and of the cluster.

    `state` is recovering, registering, running or stopping; `controller_epoch` and `metadata_offset` are those that it
    has applied. `wall` is when, by the broker's wall clock.
    """

    id: int
    broker: int
    life: Incarnation
    moment: int
    state: str
    fenced: bool
    wall: int
    metadata_offset: int
    controller: int
    controller_epoch: int
    open: int  # replicas
    disk_free: int  # bytes, beyond the reserve for metadata
    replicas: list[ReplicaMeasure] = []
