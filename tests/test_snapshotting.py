"""Metadata snapshots: the log is trimmed behind them, and whoever was away for long begins with one."""

from __future__ import annotations

from random import Random

import pytest
from cluster_world import Cluster
from logs import flush_disk
from recording import OneVoter, Recording

from barnabas.actors.admin_messages import ConfigChange
from barnabas.actors.client_commands import Change
from barnabas.actors.controller import Controller
from barnabas.actors.events import MetadataLogTrimmed, MetadataSnapshotLoaded, MetadataSnapshotSkipped
from barnabas.actors.kernel import Message
from barnabas.actors.messages import AlterConfigs
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import LeaderChanged, ProducerIdsTaken
from barnabas.actors.metadata_snapshot import bases, path_of
from barnabas.actors.quorum_log import Base
from barnabas.actors.snapshotting import Snapshots
from barnabas.simulation.machines import SNAPSHOT_RECORDS
from barnabas.storage.memory import MemoryDisk


class Busy(Cluster):
    """Somebody alters a config again and again."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        self.altered = 0
        self.answers = 0

    def answered(self, token: object, answer: Message) -> None:
        self.answers += 1

    def alter(self, times: int) -> None:
        for _ in range(times):
            self.altered += 1
            change = ConfigChange("segment.ms", "set", str(1_000_000 + self.altered))
            request = Change("alter", "orders", lambda n, me, c=change: AlterConfigs(n, me, "topic", "orders", [c]))  # type: ignore[misc]
            before = self.answers
            self.world.tell("admin", "admin", request)
            self.until(lambda before=before: self.answers > before)  # type: ignore[misc]

    def controller(self, name: str) -> Controller:
        node = self.world.hosts[name].node
        assert node is not None
        controller = node.actors["controller"]
        assert isinstance(controller, Controller)
        return controller

    def agreed(self) -> bool:
        images: list[MetadataImage] = []
        for name in self.machines.names:
            broker = self.broker(name)
            if broker is None:
                return False
            images += [broker.image, self.controller(name).image]
        return len({image.end for image in images}) == 1 and len({image.state_hash() for image in images}) == 1


def test_the_log_begins_where_a_snapshot_ends_and_never_has_more_than_two_snapshots_worth_to_replay() -> None:
    cluster = Busy().begin()
    cluster.alter(2 * SNAPSHOT_RECORDS)
    cluster.until(cluster.agreed)
    for name in cluster.machines.names:
        raft = cluster.controller(name).raft
        assert raft.log_start in bases(cluster.disk(name))
        assert 0 < raft.log_end - raft.log_start <= 3 * SNAPSHOT_RECORDS
    assert cluster.told(MetadataLogTrimmed)


@pytest.mark.parametrize("power", [False, True])
def test_a_node_that_was_away_for_long_catches_up_from_a_snapshot(power: bool) -> None:
    cluster = Busy().begin()
    victim = next(name for name in ("b1", "b2", "b3") if name not in (cluster.active(), cluster.leader()))
    if power:
        cluster.world.power_loss(victim)
    else:
        cluster.world.crash(victim)
    ended = cluster.controller(cluster.active()).raft.log_end
    cluster.alter(2 * SNAPSHOT_RECORDS)
    assert cluster.controller(cluster.active()).raft.log_start > ended
    cluster.world.start(victim)
    cluster.until(cluster.agreed, 10_000)
    assert len(cluster.told(MetadataSnapshotLoaded)) == 1
    cluster.until(cluster.whole, 10_000)
    cluster.produced(5)


def test_it_may_be_elected_afterwards_and_has_everything() -> None:
    cluster = Busy().begin()
    victim = next(name for name in ("b1", "b2", "b3") if name not in (cluster.active(), cluster.leader()))
    cluster.world.crash(victim)
    cluster.alter(2 * SNAPSHOT_RECORDS)
    cluster.world.start(victim)
    cluster.until(cluster.agreed, 10_000)
    for other in ("b1", "b2", "b3"):
        if other != victim:
            cluster.world.pause(other, 2_000_000)
            cluster.run(2_500)
    cluster.alter(1)
    cluster.until(cluster.agreed, 10_000)


@pytest.mark.parametrize("flush_ms", [30, 80, 120, 250])
def test_a_node_whose_disk_is_slow_goes_on_copying_after_a_snapshot(flush_ms: int) -> None:
    cluster = Busy().begin()
    victim = next(name for name in ("b1", "b2", "b3") if name not in (cluster.active(), cluster.leader()))
    cluster.world.crash(victim)
    cluster.alter(2 * SNAPSHOT_RECORDS)
    usual = cluster.world.flush_time
    cluster.world.flush_time = lambda host: flush_ms * 1000 if host.name == victim else usual(host)
    cluster.world.start(victim)
    cluster.until(lambda: len(cluster.told(MetadataSnapshotLoaded)) == 1, 10_000)
    cluster.alter(1)
    cluster.until(cluster.agreed, 10_000)


@pytest.mark.parametrize("wait_ms", range(0, 60, 5))
def test_a_loss_of_power_while_a_snapshot_is_loaded_costs_nothing(wait_ms: int) -> None:
    cluster = Busy(wait_ms + 1).begin()
    victim = next(name for name in ("b1", "b2", "b3") if name not in (cluster.active(), cluster.leader()))
    cluster.world.crash(victim)
    cluster.alter(2 * SNAPSHOT_RECORDS)
    cluster.world.start(victim)
    cluster.run(wait_ms)
    cluster.world.power_loss(victim)
    cluster.run(100)
    cluster.world.start(victim)
    cluster.until(cluster.agreed, 10_000)


# --- One controller's policy


class Scene:
    """A controller that leads a quorum of one and applies what it decides; its disk is flushed by hand."""

    def __init__(self, records: int = 10) -> None:
        self.ctx = Recording()
        self.raft = OneVoter()
        self.raft.win(self.ctx)
        self.snapshots = Snapshots(records, "cluster", {1: "c1", 2: "c2"}, self.raft)
        self.image, _ = self.snapshots.start(self.ctx)
        self.image.apply([LeaderChanged(1, 1, [1])], 0)

    def decide(self, records: int) -> None:
        for _ in range(records):
            self.image.apply([ProducerIdsTaken(1, self.image.next_producer_id + 1)], self.image.end)
            self.raft.log_end = self.raft.hw = self.image.end
            self.snapshots.consider(self.image, self.ctx)

    def flush(self) -> None:
        assert isinstance(self.ctx.disk, MemoryDisk)
        self.snapshots.on_synced(flush_disk(self.ctx.disk), self.ctx)

    @property
    def told(self) -> list[str]:
        return [event.sentence() for event in self.ctx.events]


def test_the_log_is_trimmed_to_the_snapshot_before_once_both_are_durable() -> None:
    scene = Scene()
    scene.decide(25)
    scene.flush()
    assert (scene.raft.log_start, sorted(bases(scene.ctx.disk))) == (0, [10])
    scene.decide(10)
    assert scene.raft.log_start == 0
    scene.flush()
    assert scene.raft.log_start == 10
    assert any("the metadata log begins at offset 10 now" in sentence for sentence in scene.told)


def test_a_snapshot_that_cannot_be_read_back_stands_for_nothing() -> None:
    scene = Scene()
    scene.decide(15)
    scene.flush()
    scene.decide(15)
    disk = scene.ctx.disk
    assert isinstance(disk, MemoryDisk)
    generation = flush_disk(disk)
    newest = max(bases(disk))
    disk.corrupt(path_of(newest, bases(disk)[newest]), 50, 3)
    scene.snapshots.on_synced(generation, scene.ctx)
    assert scene.raft.log_start == 0
    assert any(isinstance(event, MetadataSnapshotSkipped) for event in scene.ctx.events)


def test_the_snapshot_that_the_log_begins_with_is_never_deleted() -> None:
    scene = Scene()
    random = Random(1)
    for _ in range(40):
        scene.decide(random.randrange(15))
        if random.random() < 0.5:
            scene.flush()
        assert scene.raft.log_start == 0 or scene.raft.log_start in bases(scene.ctx.disk)
    assert len(bases(scene.ctx.disk)) <= 4


def test_a_leader_never_loads_a_snapshot() -> None:
    scene = Scene()
    assert scene.raft.leading
    scene.snapshots._arrived = (scene.ctx.disk.written, MetadataImage())
    assert scene.snapshots.on_synced(scene.ctx.disk.written, scene.ctx) is None
    assert Base() == Base(0, -1)
