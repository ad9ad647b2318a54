"""Directed scenarios of disks that do not have what they said they had, or that have no room.

As in `scenarios`, each is harmless to right brokers, and stays within what the cluster is entitled to survive.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..actors.writes import RESERVE_BYTES
from ..storage.records import iter_headers
from .moves.disks import below_recovery_point
from .run import Options
from .scenarios import APART, Stage


class PageCacheStage(Stage):
    """A healthy cluster whose topics are of durability `os`: what the page cache holds counts."""

    def __init__(self, seed: int = 1) -> None:
        shape = replace(APART, durability="os")
        super().__init__(seed, Options(shape=shape, faults=False, workloads=(), converge_s=6))


def rot(stage: Stage, name: str, offset: int, *, proven: bool = False) -> None:
    """One bit in the batch at this offset, on the disk of this broker. `proven`: below its recovery point, else not."""
    disk = stage.disk(name)
    first = max(int(file[:-4]) for file in disk.list("t0-0") if file.endswith(".log") and int(file[:-4]) <= offset)
    path = f"t0-0/{first:020d}.log"
    data = disk.read(path, 0, disk.size(path) or 0)
    at = next(position for position, header in iter_headers(data) if header.base_offset == offset)
    assert (at < below_recovery_point(disk, path)) is proven, "the scenario did not come to its point"
    disk.corrupt(path, at + 70, 3)
    stage.oracle.lossy.add(name)


def _all_die(stage: Stage) -> None:
    """All brokers are killed, and nobody leads."""
    for name in stage.machines.brokers:
        stage.world.crash(name)
    stage.until(lambda: not stage.metadata.partitions[stage.partition].isr)


def _comes_back_first(stage: Stage, name: str) -> None:
    stage.world.start(name)
    stage.wait(2)
    for other in stage.others(name):
        stage.world.start(other)
    stage.wait(2)


def a_rotten_tail_is_back_first(stage: Stage) -> None:
    """All machines lose power. On one of them the last acknowledged batch has rotted; it looks like a torn tail, and
    that machine is back before the others.
    """
    acked = stage.judge.acked[stage.partition]
    newest = max(acked)
    stage.until(lambda: max(acked) > newest)
    _all_die(stage)
    rotten = f"b{stage.metadata.partitions[stage.partition].elr[0]}"
    rot(stage, rotten, acked[max(acked)].base)
    for name in stage.machines.brokers:
        stage.world.power_loss(name)
        stage.machines.reboot(name)
    _comes_back_first(stage, rotten)


def a_rotten_log_is_back_first(stage: Stage) -> None:
    """The same without a loss of power, and what has rotted was durable long ago."""
    stage.wait(3)
    _all_die(stage)
    rotten = f"b{stage.metadata.partitions[stage.partition].elr[0]}"
    rot(stage, rotten, 0, proven=True)
    _comes_back_first(stage, rotten)


def the_last_one_standing_loses_power(stage: Stage) -> None:
    """Of two that are in sync one loses what was in its page cache, and the other one dies before the first could copy
    anything: there is nobody left but a log that lacks what was acknowledged.
    """
    away = stage.others(stage.leader)[0]
    stage.lose(away)
    victim = next(name for name in stage.others(stage.leader) if name != away)
    last = stage.leader
    stage.wait(0.5)
    stage.cut([victim], [last])
    stage.world.power_loss(victim)
    stage.machines.reboot(victim)
    stage.world.start(victim)
    stage.until(lambda: not stage.in_sync(victim))
    stage.wait(0.5)
    stage.world.crash(last)
    stage.wait(3)
    stage.mend()
    stage.world.start(last)
    stage.world.start(away)
    stage.wait(2)


def a_disk_without_room_for_a_while(stage: Stage) -> None:
    """The leader's disk has no room for users' records, and refuses them; a moment later it has."""
    for _ in range(3):
        disk = stage.disk(stage.leader)
        disk.full = disk.usage() + RESERVE_BYTES // 2
        stage.wait(0.3)
        disk.full = None
        stage.wait(0.5)
