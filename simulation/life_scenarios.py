"""Directed scenarios for the life of logs: records that expire and keys that are replaced, while something breaks.

As in `scenarios`, each is harmless to right brokers. A `LifeStage` has the workloads `expiring` and `table` beside the
first one, a partition each, and both are impatient: whatever may be deleted is deleted at once.
"""

from __future__ import annotations

from typing import cast

from ..actors.messages import Partition
from ..storage.log import Log
from ..storage.records import decode_batch
from .invariants.lives import Contents
from .run import Options
from .scenarios import APART, Stage
from .views import replicas_of
from .workload import Settings
from .workloads.expiring import ExpiringWorkload
from .workloads.one_topic import OneTopic
from .workloads.table import Set, TableWorkload

EXPIRING: Settings = {"partitions": 1, "every_ms": 60, "value_bytes": 100, "segment_bytes": 500, "retention_bytes": 0}
TABLE: Settings = {
    "partitions": 1,
    "every_ms": 60,
    "segment_bytes": 1500,
    "delete_retention_ms": 0,
    "min_compaction_lag_ms": 0,
    "dirty_ratio": 0.0,
    "keys": 5,
    "retention_bytes": -1,
}
KEY = 99
"""Nobody writes it but the scenario."""


class LifeStage(Stage):
    """A healthy cluster with topics whose records do not stay."""

    def __init__(self, seed: int = 1) -> None:
        figures = {"expiring": EXPIRING, "table": TABLE}
        options = Options(shape=APART, faults=False, workloads=tuple(figures), figures=figures, converge_s=6)
        super().__init__(seed, options)
        expiring, table = (self.workloads[name] for name in figures)
        assert isinstance(expiring, ExpiringWorkload)
        assert isinstance(table, TableWorkload)
        self.expiring, self.table = expiring, table

    def open(self) -> None:
        super().open()
        self.until(lambda: all(workload.ends[0] > 0 for workload in (self.table, self.expiring)))

    def contents(self, workload: OneTopic) -> Contents:
        """What is committed in its only partition."""
        return workload.lives.contents_of(workload.topic, 0)

    def partition_of(self, workload: OneTopic) -> Partition:
        return next(p for p in self.metadata.partitions if workload.lives.of(p) is self.contents(workload))

    def leader_of(self, workload: OneTopic) -> str:
        return f"b{self.metadata.partitions[self.partition_of(workload)].leader}"

    def log_of(self, workload: OneTopic) -> Log:
        """Its leader's."""
        host = self.world.hosts[self.leader_of(workload)]
        return cast("Log", replicas_of(host)[self.partition_of(workload)].log)


def a_leader_alone_with_its_producers(stage: LifeStage) -> None:
    """Leaders hear the controllers and their clients, and no follower: what they take in now is not committed."""
    brokers = stage.machines.brokers
    for name in brokers:
        stage.cut([name], stage.others(name))
    stage.wait(20)
    stage.mend()
    stage.wait(4)


def a_tombstone_that_was_missed(stage: LifeStage) -> None:
    """A value is deleted while a replica is away, and what says so is gone before it returns with the value."""
    table, process = stage.table, stage.table.producers[0]
    stage.until(lambda: table.takes(process))
    table.ask(Set(process, 0, 0, [KEY], []))

    def offsets() -> list[int]:
        return stage.contents(table).offsets.get(b"k%d" % KEY, [])

    stage.until(lambda: len(offsets()) == 1)
    away = stage.others(stage.leader_of(table))[0]
    stage.world.crash(away)
    stage.until(lambda: table.takes(process))
    table.ask(Set(process, 0, 1, [KEY], [0]))
    stage.until(lambda: len(offsets()) == 2)

    def forgotten() -> bool:
        log, offset = stage.log_of(table), offsets()[1]
        return all(record.offset != offset for record in decode_batch(log.read(offset, 1, limit=log.end)))

    stage.until(forgotten, 60)
    stage.world.start(away)
    stage.wait(4)
