"""Liveness: what must be well again after the healing, and how soon (RELIABILITY 1.7).

    L1          a controller is active: within three of the longest elections, and a restart
    L2          every broker that runs is registered and unfenced: within a session, and a restart
    L3          brokers know what the controllers have decided: within two heartbeats
    L4, L6, L9  every partition is led, its living replicas in sync and equal: no proposal and no cut is stuck
    L5          whatever was asked has an outcome (the run itself looks at that)
    L8          the workloads' own

The core. Not everybody is needed: in some runs a few servers die for good when all is well again. A majority of the
controllers is left, and of each partition as many replicas as min.insync asks for; then all of the above must come true
without the others (L10).
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import TYPE_CHECKING

from .invariants.copies import Copy
from .views import images_of, raft_of, replicas_of

if TYPE_CHECKING:
    from .run import Simulation

L1_S = 5.0
"""Elections take at most 600 ms; nodes that start read their logs first, slowly perhaps."""
L2_S = 8.0
"""A session of 3 s, whose end another directory waits for, after that."""
L3_S = 3.0
"""Heartbeats come every 250 ms, and a gap is noticed with the next one; but metadata goes on moving meanwhile."""

SOMEBODY_LEAVES = 0.3
OFTEN_LEAVES = 0.7  # in an intense run


def somebody_leaves(run: Simulation, random: Random) -> bool:
    """Whether that is to be tried in this run: to make a topic takes more brokers than to write to it."""
    shape = run.swarm.shape
    made = len(run.metadata.partitions) >= shape.topics * shape.partitions
    if run.options.intense:  # two that only write to topics of their own do without as well
        alone = run.workloads.keys() <= {"log", "table", "expiring"} and all(w.ready for w in run.workloads.values())
        return random.random() < OFTEN_LEAVES and made and alone
    return random.random() < SOMEBODY_LEAVES and made and len(run.workloads) == 1


def leavers(run: Simulation, random: Random) -> list[str]:
    """Servers that the others can do without, as many as possible of some."""
    names = random.sample(run.machines.names, len(run.machines.names))
    dead: list[str] = []
    for name in names[: random.randint(1, len(names))]:
        if _enough(run, {*dead, name}):
            dead.append(name)
    return sorted(dead)


def _enough(run: Simulation, dead: Collection[str]) -> bool:
    voters = list(run.machines.controllers.values())
    gone = {*dead, *run.oracle.lossy_voters}
    if sum(name not in gone for name in voters) * 2 <= len(voters):
        return False
    numbers = {int(name[1:]) for name in dead if name in run.machines.brokers}
    for partition, state in run.metadata.partitions.items():
        if len({*state.isr} - numbers) < run.metadata.min_insync.get(partition, 1):
            return False
    return True


class Convergence:
    """Looks at a run whose `dead` servers stay away."""

    def __init__(self, run: Simulation, dead: Collection[str] = ()) -> None:
        self._run = run
        self.dead = frozenset(dead)
        self._gone = {int(name[1:]) for name in dead if name in run.machines.brokers}

    def governed(self) -> bool:
        """L1."""
        hosts = (self._run.world.hosts[name] for name in self._run.machines.controllers.values())
        return any(
            getattr(host.node.actors.get("controller"), "active", False) for host in hosts if host.node is not None
        )

    def manned(self) -> bool:
        """L2."""
        brokers = self._run.metadata.brokers
        numbers = [int(name[1:]) for name in self._run.machines.brokers if name not in self.dead]
        return all(number in brokers and not brokers[number].fenced for number in numbers)

    def informed(self) -> bool:
        """L3."""
        run = self._run
        for name in run.machines.names:
            if name not in self.dead:
                for actor, image in images_of(run.world.hosts[name]):
                    none_any_more = actor == "controller" and name in run.oracle.lossy_voters
                    if image.end < run.metadata.end and not none_any_more:
                        return False
        return True

    def in_sync(self) -> bool:
        """L4, L6, L9, and what workloads say of themselves."""
        return self.replicated() and all(workload.converged() is None for workload in self._run.workloads.values())

    def replicated(self) -> bool:
        """L4, L6, L9: the cluster itself is well, whatever its clients wait for."""
        run = self._run
        if not self.manned():
            return False
        for partition, state in run.metadata.partitions.items():
            living = [number for number in state.replicas if number not in self._gone]
            if state.leader < 0 or set(state.isr) != set(living):
                return False
            copies = [run.copies.member(number, partition) for number in living]
            if any(copy is None or copy.log is None for copy in copies):
                return False
            if len({self._ends(copy) for copy in copies if copy is not None}) != 1:
                return False
        return True

    def _ends(self, copy: Copy) -> tuple[int, int]:
        """Where a copy ends and is committed up to. If it is damaged and nobody has noticed, as its broker says."""
        replica = replicas_of(self._run.world.hosts[copy.host]).get(copy.partition) if copy.blind else None
        return (replica.log.end, replica.hw) if replica is not None else (copy.mirror.end, copy.hw)

    def state(self) -> str:
        """How far it has come, in words."""
        run = self._run
        parts = [f"{number}: {broker}" for number, broker in sorted(run.metadata.brokers.items())]
        for partition, state in sorted(run.metadata.partitions.items()):
            copies = [run.copies.member(number, partition) for number in state.replicas]
            ends = [(copy.host, *self._ends(copy)) for copy in copies if copy is not None]
            parts.append(f"{state} {ends}")
        waiting = {name: words for name, workload in run.workloads.items() if (words := workload.converged())}
        return "; ".join([*parts, *(f"{name}: {words}" for name, words in waiting.items())])

    def quorum(self) -> str:
        """What the controllers think, in words."""
        known = ((name, raft_of(self._run.world.hosts[name])) for name in self._run.machines.controllers.values())
        return ", ".join(
            f"{name}: epoch {raft.epoch}, leader {raft.leader}" for name, raft in known if raft is not None
        )
