"""Three nodes in a world where nothing goes wrong by itself: each test breaks one thing (see `cluster_world`)."""

from __future__ import annotations

import pytest
from cluster_world import MS, NODES, Cluster, lost

from barnabas.actors.broker_events import LogDamaged, LogQuarantined
from barnabas.storage.records import iter_headers

# --- Failover ---


def test_what_is_produced_is_read_and_everywhere_the_same() -> None:
    cluster = Cluster().begin()
    cluster.produced(5)
    cluster.produce(100)
    cluster.until(lambda: len(cluster.acked) == 105)
    assert lost(cluster) == []
    cluster.run(500)
    assert len(cluster.logs()) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_leader_that_is_killed_is_replaced_within_200_ms(seed: int) -> None:
    cluster = Cluster(seed).begin()
    cluster.produced(5)
    dead = cluster.leader()
    cluster.world.crash(dead)
    assert cluster.produced() <= 200
    cluster.produced(5)
    assert cluster.leader() != dead
    assert lost(cluster) == []


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_leader_that_is_the_active_controller_too_is_replaced_within_half_a_second(seed: int) -> None:
    cluster = Cluster(seed).begin()
    cluster.lead_from(cluster.active())
    cluster.produced()
    assert cluster.leader() == cluster.active()
    cluster.world.crash(cluster.leader())
    assert cluster.produced() <= 500
    assert lost(cluster) == []


def test_a_leader_that_comes_back_follows_and_the_isr_is_whole_again() -> None:
    cluster = Cluster().begin()
    cluster.produced(5)
    dead = cluster.leader()
    cluster.world.crash(dead)
    cluster.produced(5)
    cluster.world.start(dead)
    assert cluster.until(cluster.whole, 10_000) < 5_000
    cluster.produced(5)
    cluster.run(500)
    assert len(cluster.logs()) == 1
    assert lost(cluster) == []


def test_a_record_that_only_a_dead_leader_had_is_cut_when_it_comes_back() -> None:
    cluster = Cluster().begin()
    cluster.produced(3)
    dead = cluster.leader()
    for name in cluster.followers():
        cluster.world.pause(name, 50 * MS)
    [value] = cluster.produce()
    cluster.run(20)
    replica = cluster.replica(dead)
    assert replica is not None
    assert replica.log.end == 4
    cluster.world.crash(dead)
    cluster.until(lambda: value in cluster.acked)
    cluster.world.start(dead)
    cluster.until(cluster.whole, 10_000)
    cluster.run(500)
    assert len(cluster.logs()) == 1
    assert lost(cluster) == []


# --- Power ---


def power_loss_of_all(cluster: Cluster) -> None:
    """All at once, in the middle of what they do; then all start again."""
    cluster.produced(20)
    cluster.produce(10)
    cluster.world.run_until(cluster.world.now + 5 * MS + 700)
    for name in NODES:
        cluster.world.power_loss(name)
        cluster.machines.reboot(name)
    for name in NODES:
        cluster.world.start(name)
    cluster.until(cluster.whole, 30_000)


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_loss_of_power_everywhere_loses_nothing_acknowledged(seed: int) -> None:
    cluster = Cluster(seed).begin()
    power_loss_of_all(cluster)
    assert len(cluster.acked) >= 20
    assert lost(cluster) == []
    cluster.produced(5)
    assert lost(cluster) == []


def test_with_flushes_that_do_nothing_the_same_run_loses_acknowledged_records() -> None:
    """The check can fail: what the test above finds nothing of is found here."""
    cluster = Cluster().begin()
    for name in NODES:
        cluster.disk(name).lying_fsync = True
    power_loss_of_all(cluster)
    assert len(lost(cluster)) > 0


# --- Damage ---


def test_a_corrupted_batch_of_a_follower_is_found_quarantined_and_fetched_anew() -> None:
    cluster = Cluster().begin()
    cluster.produced(20)
    cluster.run(1_500)  # a checkpoint lies above the records
    victim = cluster.followers()[0]
    cluster.world.crash(victim)
    cluster.run(100)
    path = f"orders-0/{0:020d}.log"
    content = cluster.disk(victim).read(path, 0, cluster.disk(victim).size(path) or 0)
    position, header = list(iter_headers(content))[5]
    cluster.disk(victim).corrupt(path, position + header.size - 1, 3)
    cluster.world.start(victim)
    cluster.until(cluster.whole, 20_000)
    # Nothing reads the damaged batch while the victim follows. It must find out before it serves, as a leader.
    cluster.lead_from(victim)
    assert cluster.leader() == victim
    assert lost(cluster) == []
    assert len(cluster.told(LogDamaged)) == 1
    cluster.until(lambda: bool(cluster.told(LogQuarantined)), 20_000)
    cluster.until(cluster.whole, 20_000)
    assert cluster.leader() != victim
    assert lost(cluster) == []
    cluster.run(500)
    assert len(cluster.logs()) == 1
    assert [name for name in cluster.disk(victim).list("") if name.endswith("-damaged/")]


def test_a_header_that_changed_is_found_at_the_start_and_the_log_fetched_anew() -> None:
    cluster = Cluster().begin()
    cluster.produced(20)
    cluster.run(1_500)
    victim = cluster.followers()[0]
    cluster.world.crash(victim)
    cluster.run(100)
    cluster.disk(victim).corrupt(f"orders-0/{0:020d}.log", 16, 0)
    cluster.world.start(victim)
    cluster.until(cluster.whole, 20_000)
    cluster.run(500)
    assert len(cluster.logs()) == 1
    assert lost(cluster) == []


# --- Pauses ---


def test_a_leader_that_was_paused_for_ten_seconds_does_no_harm_when_it_wakes() -> None:
    cluster = Cluster().begin()
    cluster.produced(5)
    paused = cluster.leader()
    cluster.world.pause(paused, 10_000 * MS)
    [value] = cluster.produce()
    assert cluster.until(lambda: value in cluster.acked, 8_000) <= 5_000
    cluster.produced(5)
    cluster.run(11_000)
    cluster.produced(5)
    cluster.until(cluster.whole, 10_000)
    cluster.run(500)
    assert cluster.failures == []
    assert len(cluster.logs()) == 1
    assert lost(cluster) == []


def test_equal_seeds_give_equal_runs() -> None:
    traces = []
    for _ in range(2):
        cluster = Cluster(5).begin()
        cluster.produced(5)
        cluster.world.crash(cluster.leader())
        cluster.produced(5)
        traces.append(cluster.world.trace_hash())
    assert traces[0] == traces[1]
