"""Whole clusters in a hostile world: real actors, real clients, every promise checked after every event.

A few seeds are the same in every test run, and a few are fresh: nobody has seen them before. What a fresh one finds
replays, since its failure says how. `BARNABAS_SEEDS=100:200` and `BARNABAS_SECONDS=60` run more than every test run
does, `BARNABAS_FRESH=20` more fresh ones.
"""

from __future__ import annotations

import os
import re
import secrets
import time

import pytest
from msgspec.structs import replace

from barnabas.actors.client_commands import Failure, Why
from barnabas.actors.consumer_outlet import Chunk
from barnabas.cluster.world import World
from barnabas.simulation.moves.disks import SlowDisk
from barnabas.simulation.moves.processes import Stopped
from barnabas.simulation.moves.spoilt_disks import WipedDisk, known_by
from barnabas.simulation.network import NEVER, both_ways
from barnabas.simulation.parts import WORKLOADS
from barnabas.simulation.run import FAULT_EVERY_S, LEAST_WORK, Options, Simulation, simulate
from barnabas.simulation.story import Story
from barnabas.simulation.swarm import Shape
from barnabas.simulation.workload import Settings
from barnabas.simulation.workloads.changes import Grow
from barnabas.simulation.workloads.expiring import ExpiringWorkload
from barnabas.simulation.workloads.groups import OURS
from barnabas.storage.records import encode_batch

OTHER_CLUSTERS = 4
"""Each so many-th seed draws the number of brokers and controllers too."""

LITTLE = Shape(partitions=1, producers=1, unsafe_producers=0, consumers=1)


def _seeds() -> list[int]:
    first, _, last = os.environ.get("BARNABAS_SEEDS", "0:6").partition(":")
    return list(range(int(first), int(last)))


FRESH = int(os.environ.get("BARNABAS_FRESH", "3"))
UNSEEN = 1_000_000
"""Fresh seeds are above: below are those that somebody may have run in order."""


@pytest.mark.parametrize("seed", _seeds())
def test_a_cluster_keeps_its_promises_in_a_hostile_world(seed: int) -> None:
    seconds = float(os.environ.get("BARNABAS_SECONDS", "15"))
    clusters = seed % OTHER_CLUSTERS == 0
    report = simulate(seed, seconds, Options(clusters=clusters, on_start=lambda run: print(run.swarm.describe())))
    print("\n".join(report.log))
    print(report.sentence())
    print(report.premises)
    assert report.violations == []
    assert sum(report.faults.values()) * FAULT_EVERY_S >= seconds - FAULT_EVERY_S
    assert report.acknowledged >= LEAST_WORK


@pytest.mark.parametrize("place", range(FRESH))
def test_a_cluster_keeps_its_promises_in_a_world_that_nobody_has_seen(place: int) -> None:
    """The number is drawn when the test runs, so that all workers of a parallel run agree on the tests there are."""
    seed, seconds = UNSEEN + secrets.randbelow(UNSEEN * 1000), 15.0
    again = f"barnabas simulate --seed {seed} --seconds {seconds:g}"
    print(f"fresh: {again}", flush=True)
    report = simulate(seed, seconds, Options(clusters=True, beyond=True))
    print(report.swarm.describe())
    print("\n".join(report.log))
    assert report.violations == [], f"{report.violations[0]}\nagain: {again}"


def test_votes_that_reach_a_paused_candidate_late_break_no_promise() -> None:
    """It leads an epoch that is over, beside the leader of the next one, and can commit nothing (R6, seed 164)."""
    report = simulate(164, 22)
    assert report.violations == []


def test_a_reader_that_does_not_know_new_partitions_yet_begins_again_once_for_all_of_them() -> None:
    """Each of two began again, each time both failed: more and more, until no time passed (seed 2058)."""
    run = Simulation(1, Options(workloads=()))
    run.start()
    run.world.run_until(2_000_000)
    reader = next(name for name in run.workload.clients if name.startswith("r"))
    run.network.cut(both_ways([reader], run.machines.names), NEVER)
    topic = run.workload.topics[0]
    run.workload.grown(topic, run.workload.partitions_of(topic) + 2)
    before = len(run.history)
    run.workload.assign(reader)
    run.world.run_until(5_000_000)
    begun = sum(op.kind == "assign" and op.process == reader for op in run.history[before:])
    assert 5 <= begun / len(run.workload.places()) <= 8


def test_a_reader_that_reads_before_it_has_begun_again_may_read_everything_twice() -> None:
    """Nobody had answered it for ten seconds; it came through within half a second after saying so (seed 95)."""
    keeping: Settings = {"retention_bytes": -1, "retention_ms": -1, "trim_ms": 3_600_000, "every_ms": 60}
    run = Simulation(1, Options(shape=LITTLE, faults=False, workloads=("expiring",), figures={"expiring": keeping}))
    expiring = run.workloads["expiring"]
    assert isinstance(expiring, ExpiringWorkload)
    outlet = expiring._readers[expiring.reader]
    run.start()
    assert run.world.run_while(lambda: outlet.positions.get(0, 0) < 10, 5_000_000)
    before = outlet.positions[0]
    outlet.failed(expiring.topic, -1, 0, Failure(Why.NO_BROKERS, "nobody answers"))
    run.world.run_until(run.world.now + 400_000)
    assert outlet.positions[0] > before
    run.world.run_until(run.world.now + 2_000_000)
    assert expiring.complaints == []
    assert [record.offset for record in outlet.read[0]] == [*range(outlet.positions[0])]
    before = outlet.positions[0]
    again = Chunk(expiring.topic, 0, outlet.generations[0], 0, -1)
    again.batches.append(encode_batch([(None, b"a", (), 1, -1)]))
    outlet.fetched(again)  # in the same generation: it must not
    assert expiring.complaints == [f"{expiring.reader} read 0 after {before}"]


def test_members_of_groups_read_no_topics_of_other_workloads() -> None:
    """A pattern matched the compacted topic too, whose records were judged as if nobody had sent them (seed 2075)."""
    names = [workload.topic for workload in WORKLOADS.values() if hasattr(workload, "topic")]
    assert names
    assert [name for name in names if re.fullmatch(OURS, name)] == []
    assert re.fullmatch(OURS, "t0")


def test_a_run_in_which_time_stands_still_is_ended() -> None:
    def never_wait(simulation: Simulation) -> None:
        def again() -> None:
            simulation.world.at(0, again)

        simulation.world.at(2_000_000, again)

    report = simulate(1, 10, Options(shape=LITTLE, on_start=never_wait))
    assert report.violations[0].startswith("livelock at 2.000000 s")


def test_a_run_that_never_comes_back_is_ended() -> None:
    def never_return(simulation: Simulation) -> None:
        def spin() -> None:
            while True:
                pass

        simulation.world.at(2_000_000, spin)

    report = simulate(1, 10, Options(shape=LITTLE, slowest=0.5, on_start=never_return))
    assert report.violations[0].startswith("watchdog at 2.000000 s")


def test_to_read_all_that_a_run_has_written_may_take_longer_than_that() -> None:
    """Seed 54: 18,718 writes in segments of 4 KiB; each log is read twice, and time stands still meanwhile."""

    def reads_long(simulation: Simulation) -> None:
        def spin(world: World) -> None:
            until = time.process_time() + 1.5
            while time.process_time() < until:
                pass

        simulation.judge.at_rest = spin  # type: ignore[method-assign]

    options = Options(shape=LITTLE, faults=False, workloads=(), slowest=1.0, on_start=reads_long)
    assert simulate(1, 3, options).violations == []


def test_a_run_with_too_few_faults_has_failed() -> None:
    report = simulate(1, 20, Options(shape=LITTLE, weights={"older_disk": 1.0}))  # voters may have none
    assert report.violations == ["too few faults: 0 in 20 s"]


def test_a_run_is_told_in_short_lines_that_name_its_faults() -> None:
    lines: list[str] = []
    stories: list[Story] = []

    def listen(simulation: Simulation) -> None:
        stories.append(Story(simulation, lines.append, node="b1", partition="t0-0"))

    report = simulate(2, 6, Options(shape=LITTLE, on_start=listen))
    stories[0].finish()
    assert report.violations == []
    assert any(" Fetch " in line and " t0-0 " in line for line in lines)
    assert any("b1 !" in line for line in lines)
    told = [line for line in lines if " *** " in line]
    assert [line.split()[2:] for line in told] == [line.split()[1:] for line in report.log]
    assert not any(" t0-1 " in line for line in lines)


def test_a_flush_that_began_while_the_disk_was_slow_ends_when_everything_is_healed() -> None:
    """Seed 10156: it went on for four seconds more, and its server knew nothing of what was decided meanwhile (L3)."""
    simulation = Simulation(1, Options(shape=Shape(), faults=False))
    simulation.start()
    simulation.world.run_until(2_000_000)
    simulation.world.flush_time = lambda host: 10_000
    simulation.nemesis.strike(SlowDisk("b1", 500, 60_000_000))
    host = simulation.world.hosts["b1"]
    old = host.flushing
    assert simulation.world.run_while(lambda: host.flushing in (None, old), 2_000_000)
    slow = host.flushing
    simulation.nemesis.heal()
    simulation.world.run_until(simulation.world.now + 100_000)
    assert host.flushing is not slow


def test_a_broker_that_was_stopping_when_everything_was_healed_is_started_again_at_once() -> None:
    """Seed 61002: it ended 0.8 s after the healing, and its supervisor let 19 s go by (L2)."""
    simulation = Simulation(1, Options(shape=LITTLE, faults=False, workloads=()))
    simulation.nemesis.swarm = replace(simulation.swarm, down_us=3_600_000_000)
    simulation.start()
    simulation.nemesis.begin(draw=False)
    simulation.world.run_until(3_000_000)
    host = simulation.world.hosts["b1"]
    stopping = host.node
    simulation.nemesis.strike(Stopped("b1"))
    simulation.nemesis.heal()
    assert host.node is stopping
    assert simulation.world.run_while(lambda: host.node in (None, stopping), 5_000_000)


def test_the_last_one_who_may_lead_a_partition_is_not_spoilt_also_when_it_does_not_run() -> None:
    """Seed 10128: nobody was in sync and one was eligible, whose disk had been spoilt before; it was wiped."""
    simulation = Simulation(1, Options(shape=Shape(durability="fsync", min_insync=2), faults=False, workloads=()))
    simulation.start()
    simulation.world.run_until(3_000_000)
    simulation.budget.spoilt("b1")
    assert simulation.budget.may_wipe("b1")
    partition, state = next(iter(simulation.metadata.partitions.items()))
    simulation.metadata.partitions[partition] = replace(state, isr=(), elr=(1,))
    assert not simulation.budget.may_wipe("b1")
    simulation.metadata.partitions[partition] = replace(state, isr=(), elr=(1, 2))
    assert simulation.budget.may_wipe("b1")


def test_no_partition_is_added_while_a_broker_passes_for_one_whose_disk_was_replaced() -> None:
    """Seed 422: one was made with nobody in sync but a life that was over, and nobody could ever lead it (L6)."""
    options = Options(shape=replace(LITTLE, min_insync=2), faults=False, workloads=("changes",))
    simulation = Simulation(1, options)
    changes = simulation.workloads["changes"]
    simulation.start()
    simulation.nemesis.begin(draw=False)
    simulation.world.run_until(3_000_000)
    changes.give_up()
    assert simulation.budget.may_grow()
    simulation.nemesis.strike(WipedDisk("b1", 100_000))
    assert not simulation.budget.may_grow()
    simulation.perform(Grow("t0", 6))
    assert not changes.growing
    assert simulation.world.run_while(lambda: not simulation.budget.may_grow(), 15_000_000)
    assert simulation.budget.may_wipe("b1")
    simulation.perform(Grow("t0", 6))
    assert changes.growing
    assert not simulation.budget.may_wipe("b1")


def test_as_many_as_may_acknowledge_alone_are_not_spoilt_together_also_where_a_partition_has_few_replicas() -> None:
    """Seed 20019: min.insync was 3, but a partition had been moved to two replicas; both were wiped, a third left."""
    shape = Shape(durability="fsync", brokers=5, replication=5, min_insync=3)
    simulation = Simulation(1, Options(shape=shape, faults=False, workloads=()))
    simulation.start()
    simulation.world.run_until(3_000_000)
    simulation.budget.spoilt("b1")
    assert simulation.budget.may_wipe("b2")
    partition, state = next(iter(simulation.metadata.partitions.items()))
    simulation.metadata.partitions[partition] = replace(state, replicas=(1, 2), isr=(1, 2, 3))
    simulation.metadata.min_insync[partition] = 2
    assert not simulation.budget.may_wipe("b2")
    assert simulation.budget.may_wipe("b4")


def test_a_bit_rots_anywhere_in_a_batch_but_in_what_the_checkers_know_it_by() -> None:
    """Seed 30024: a CRC below the recovery point rotted; the log that still had its batch passed for another."""
    first, second = encode_batch([(None, b"a", (), 1, -1)]), encode_batch([(None, b"bc", (), 2, -1)])
    places = known_by(first + second + b"torn")
    assert {17, 20, 23, 26} <= places and not places & {0, 15, 16, 27, len(first) - 1, len(first) + 16}
    assert {len(first) + 17, len(first) + 26} <= places and len(places) == 20
