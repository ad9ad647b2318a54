"""A partition leaves a broker and comes back to it, which is then killed: its new log is not judged by its old one."""

from __future__ import annotations

from collections.abc import Callable

from barnabas.simulation.run import Options, Simulation
from barnabas.simulation.swarm import Shape
from barnabas.simulation.views import replicas_of
from barnabas.simulation.workloads.changes import MovePartitions
from barnabas.storage.checkpoint import RECOVERY_POINTS, read_offsets

SHAPE = Shape(
    partitions=1,
    producers=1,
    unsafe_producers=0,
    consumers=1,
    produce_every_ms=5,
    segment_bytes=4096,
    value_bytes=1000,
    durability="os",
)


def test_a_copy_that_went_and_comes_back_is_there_after_a_kill_before_the_next_checkpoint() -> None:
    """Seed 30065. In it the copy that had come back was killed 30 ms after it began (DURABLE)."""
    simulation = Simulation(
        1, Options(shape=SHAPE, faults=False, workloads=("changes",), figures={"changes": {"every_us": 10**9}})
    )
    simulation.network.calm = True
    world, metadata = simulation.world, simulation.metadata

    def until(condition: Callable[[], bool]) -> None:
        assert world.run_while(lambda: not condition(), 20_000_000)

    simulation.start()
    until(lambda: simulation.judge.acknowledged > 400)
    partition, state = next(iter(metadata.partitions.items()))
    number = next(member for member in state.replicas if member != state.leader)
    host = world.hosts[f"b{number}"]
    key = ("t0", partition.index)

    def checkpointed() -> int:
        return (read_offsets(host.disk, RECOVERY_POINTS).offsets or {}).get(key, 0)

    until(lambda: checkpointed() > 200)
    held = checkpointed()
    others = [member for member in state.replicas if member != number]
    simulation.perform(MovePartitions([("t0", partition.index, others)]))
    until(lambda: partition not in replicas_of(host))
    simulation.perform(MovePartitions([("t0", partition.index, [*others, number])]))
    until(lambda: partition in replicas_of(host) and replicas_of(host)[partition].log.durable_end > 0)
    copied = replicas_of(host)[partition].log.durable_end
    assert copied < held
    world.crash(host.name)
    world.start(host.name)
    until(lambda: partition in replicas_of(host))
    assert replicas_of(host)[partition].log.durable_end >= copied
    assert not [name for name in host.disk.list("") if name.endswith("-damaged/")]
    assert simulation.settle() == []
