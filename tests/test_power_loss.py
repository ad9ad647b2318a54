"""All machines lose power at once, under load: nothing acknowledged is lost, because it was flushed.

And if the flusher does nothing, although it says so, the simulator must notice: else the first half proves nothing.
"""

from __future__ import annotations

import pytest

from barnabas.simulation.disk_scenarios import rot
from barnabas.simulation.report import Report
from barnabas.simulation.run import measured
from barnabas.simulation.scenarios import Stage
from barnabas.storage.memory import MemoryDisk


def _under_load(seed: int, *, flusher: bool) -> Stage:
    """A cluster that has acknowledged a good deal since its disks began to lie, if they do."""
    stage = Stage(seed)
    stage.open()
    _flush(stage, honest=flusher)
    goal = stage.judge.acknowledged + 100
    stage.until(lambda: stage.judge.acknowledged >= goal)
    return stage


def _flush(stage: Stage, *, honest: bool) -> None:
    for name in stage.machines.names:
        disk = stage.world.hosts[name].disk
        assert isinstance(disk, MemoryDisk)
        disk.lying_fsync = not honest


def _lose_power(stage: Stage) -> None:
    """All at once, and all come back, on disks that do as they say."""
    for name in stage.machines.names:
        stage.world.power_loss(name)
        stage.machines.reboot(name)
    _flush(stage, honest=True)
    for name in stage.machines.names:
        stage.world.start(name)


def _all_lose_power(seed: int, *, flusher: bool) -> Report:
    stage = _under_load(seed, flusher=flusher)

    def body() -> list[str]:
        _lose_power(stage)
        stage.wait(2)
        return stage.settle()

    return measured(stage, body)


@pytest.mark.parametrize("seed", range(2))
def test_a_loss_of_power_of_all_loses_nothing(seed: int) -> None:
    report = _all_lose_power(seed, flusher=True)
    assert report.violations == []
    assert report.premises["P7"] > 100
    assert report.premises["DURABLE"] >= 6  # each log of brokers and controllers was looked at again


@pytest.mark.parametrize("seed", range(2))
def test_without_the_flusher_it_is_noticed(seed: int) -> None:
    report = _all_lose_power(seed, flusher=False)
    assert report.violations
    assert report.violations[0].partition(" ")[0] in {"DURABLE", "P7"}, report.violations[0]


@pytest.mark.parametrize("seed", [0, 2])
def test_without_the_flusher_clients_notice_too(seed: int) -> None:
    """The same, judged from outside only: acknowledged records are gone.

    (With other seeds the damage is found at the start and nothing is served: there is nothing to notice then.)
    """
    stage = _under_load(seed, flusher=False)
    stage.world.observers.remove(stage.oracle)
    _lose_power(stage)
    stage.wait(4)
    stage.workload.finish()
    stage.wait(1)
    stage.workload.conclude()
    stage.wait(4)
    report = measured(stage, list)
    lost = {violation.partition(":")[0] for violation in report.violations}
    assert lost & {"lost-write", "unseen", "inconsistent-offsets", "realtime-order", "stale-latest"}, lost


@pytest.mark.parametrize("place", [0, 1])
def test_a_tail_that_rotted_away_is_not_what_all_go_by(place: int) -> None:
    """Above the recovery point nobody can tell rot from a torn tail. The machine with it is the first one back, and
    what has rotted was acknowledged.
    """
    stage = _under_load(1, flusher=True)
    partition = stage.partition

    def body() -> list[str]:
        acked = stage.judge.acked[partition]
        promised = acked[max(acked)]
        for name in stage.machines.brokers:
            stage.world.crash(name)
        stage.until(lambda: not stage.metadata.partitions[partition].isr)
        rotten = f"b{stage.metadata.partitions[partition].elr[place]}"
        rot(stage, rotten, promised.base)
        for name in stage.machines.brokers:
            stage.world.power_loss(name)
            stage.machines.reboot(name)
        stage.world.start(rotten)
        stage.wait(2)
        assert stage.metadata.partitions[partition].leader == -1, "one disk's word is not enough"
        for name in stage.others(rotten):
            stage.world.start(name)
        stage.wait(2)
        return stage.settle()

    assert measured(stage, body).violations == []
