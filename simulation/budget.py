"""What the cluster is entitled to survive, and what it is not.

Processes may die in any number and at any moment, also in the middle of a write, and all machines may lose power at
once: with durability "fsync" the cluster must survive that. With durability "os" only one broker at a time may lose
power, until it has registered and all is in sync again; in an intense run, until it has registered, if another one is
in sync wherever it may lead. Disks may fill, fail with an EIO or fail to flush: their node
dies and comes back.

Some disks may be *spoilt*: bytes that were durable rot, are lost, or land elsewhere; flushes are lies; the disk is
replaced by an older copy of itself, or by an empty one. That many are allowed as min.insync leaves others that have the
bytes: `min.insync - 1` brokers, durability "fsync" only, and nothing of the metadata log, whose voters must not forget.
A spoilt host is told to the oracle (`lossy`), which then does not hold its own lost bytes against it; but what was
acknowledged must be there, and nobody may lead without it.

One seed in ten goes *beyond*: any disk may be spoilt, the metadata too. Then only this is asserted: nothing is served
that was never sent, and what was lost is reported (`invariants.beyond`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..actors.internal_topics import INTERNAL_TOPICS

if TYPE_CHECKING:
    from .run import Simulation
    from .views import PartitionStateView

LEAST_WORK = 50
"""Acknowledged writes without which a run has proven nothing."""

METADATA = "metadata"
"""The directory of the metadata log."""


class Budget:
    """Of a world without data: nothing may be spoilt, and anybody may lose power."""

    def may_lose_power(self, host: str) -> bool:
        """Else its process is only killed."""
        return True

    def lost_power(self, host: str) -> None:
        """It did."""

    def may_spoil(self, host: str, path: str = "") -> bool:
        """Whether bytes that it has made durable may be damaged or go, in this file or directory."""
        return False

    def spoilt(self, host: str) -> None:
        """They were."""

    def may_wipe(self, host: str) -> bool:
        """Whether it may come back with an empty disk, formatted anew."""
        return False

    def may_restore(self, host: str) -> bool:
        """Whether it may come back with an older disk."""
        return False

    def replaced(self, host: str) -> None:
        """It has another disk now, with less on it."""

    def wiped(self, host: str) -> None:
        """It has another data directory now."""

    def honest(self, host: str) -> tuple[str, ...]:
        """The directories whose files are flushed although the disk lies."""
        return ()

    def client_died(self, host: str) -> None:
        """The process of a client is gone, and what it waited for with it."""

    def partitions(self) -> list[tuple[str, list[str]]]:
        """Each partition's leader, empty if none, and its replicas, as hosts."""
        return []

    def busy(self) -> list[tuple[str, list[str]]]:
        """Those of them in which there is anything. Groups' own are twice among them."""
        return []

    def controllers(self) -> list[str]:
        """The hosts of the voters."""
        return []


class ClusterBudget(Budget):
    """Of a whole cluster."""

    def __init__(self, run: Simulation) -> None:
        self._run = run
        self._unproven: tuple[str, int] | None = None  # broker that lost power, and its epoch then
        self._spoilt: set[str] = set()
        self._replaced: dict[int, int] = {}  # brokers with another disk, and their epochs with the one before

    def lost_power(self, host: str) -> None:
        run = self._run
        run.machines.reboot(host)
        if host in run.machines.brokers:
            known = run.metadata.brokers.get(int(host[1:]))
            self._unproven = (host, known.epoch if known is not None else -1)

    def may_lose_power(self, host: str) -> bool:
        run = self._run
        shape = run.swarm.shape
        if shape.durability == "fsync" or host not in run.machines.brokers:
            return True
        if run.swarm.beyond:
            return run.workload.acknowledged > LEAST_WORK  # first there must be something to lose
        made = len(run.metadata.partitions) >= shape.topics * shape.partitions and self._ready()
        if shape.min_insync < 2 or not made:
            return False  # a topic that is made while somebody is away may have nobody else
        if self._unproven is not None:
            unproven, epoch = self._unproven
            broker = run.metadata.brokers.get(int(unproven[1:]))
            if broker is None or broker.epoch == epoch:
                return host == unproven
        states = run.metadata.partitions.values()
        if run.options.intense:
            return all(_spares(state, int(host[1:])) for state in states)
        return all(set(state.isr) == set(state.replicas) for state in states)

    def may_spoil(self, host: str, path: str = "") -> bool:
        run = self._run
        if run.swarm.beyond:
            return run.workload.acknowledged > LEAST_WORK  # first there must be something to lose
        if path.partition("/")[0] == METADATA or host not in run.machines.brokers:
            return False
        shape = run.swarm.shape
        if shape.durability == "os":  # there a loss of power is damage enough
            return False
        if not self._ready():
            return False
        spoilt = self._spoilt | {host}
        return len(spoilt) < shape.min_insync and all(
            self._others(state, spoilt) for state in run.metadata.partitions.values()
        )

    def _ready(self) -> bool:
        return all(workload.ready for workload in self._run.workloads.values())

    def _others(self, state: PartitionStateView, spoilt: set[str]) -> bool:
        """Whether others may lead it, if anybody may; also when the ISR has shrunk to as few as may acknowledge.

        A partition that was moved to fewer replicas than min.insync has that many in sync at least, and no more.
        """
        eligible = (*state.isr, *state.elr)
        least = self._run.metadata.min_insync.get(state.partition, 1)
        others = any(f"b{broker}" not in spoilt for broker in eligible) or not eligible
        return others and sum(f"b{broker}" in spoilt for broker in state.isr) < least

    def spoilt(self, host: str) -> None:
        self._spoilt.add(host)
        self._run.oracle.lossy.add(host)
        if self._run.swarm.beyond:
            self._run.oracle.lossy_voters.add(host)

    def may_wipe(self, host: str) -> bool:
        """A voter that was formatted anew is none any more, so a majority of the others must be left."""
        voters = len(self._run.machines.controllers)
        return self._may_replace(host) and (not self._votes(host) or voters >= 3)

    def may_restore(self, host: str) -> bool:
        """Nobody can tell an older voter from itself, and it may vote twice."""
        return self._may_replace(host) and (not self._votes(host) or self._run.swarm.beyond)

    def _may_replace(self, host: str) -> bool:
        growing = any(workload.growing for workload in self._run.workloads.values())
        return self.may_spoil(host) and not growing

    def may_grow(self) -> bool:
        """Whether partitions may be added: not while the controllers may take a broker whose disk was replaced for what
        it was. A partition might be made with nobody in sync but a life that is over, and could not be led by others.
        """
        brokers = self._run.metadata.brokers
        return all(number in brokers and brokers[number].epoch > epoch for number, epoch in self._replaced.items())

    def replaced(self, host: str) -> None:
        if host in self._run.machines.brokers:
            known = self._run.metadata.brokers.get(int(host[1:]))
            self._replaced[int(host[1:])] = known.epoch if known is not None else -1

    def wiped(self, host: str) -> None:
        self._run.machines.reformat(host)
        self._run.oracle.lossy_voters.add(host)

    def honest(self, host: str) -> tuple[str, ...]:
        return (METADATA,) if self._votes(host) and not self._run.swarm.beyond else ()

    def client_died(self, host: str) -> None:
        for workload in self._run.workloads.values():
            if host in workload.clients:
                workload.died(host)

    def partitions(self) -> list[tuple[str, list[str]]]:
        return [_placed(state) for _, state in sorted(self._run.metadata.partitions.items())]

    def busy(self) -> list[tuple[str, list[str]]]:
        run = self._run
        states = sorted(run.metadata.partitions.items())
        found = [(p, _placed(state)) for p, state in states if run.copies.history(p).true_hw > 0]
        return [place for _, place in found] + [
            place for p, place in found if run.metadata.topics.get(p.topic) in INTERNAL_TOPICS
        ]

    def controllers(self) -> list[str]:
        return list(self._run.machines.controllers.values())

    def _votes(self, host: str) -> bool:
        return host in self._run.machines.controllers.values()


def _spares(state: PartitionStateView, broker: int) -> bool:
    """Whether somebody else has all that is committed, if this one may have to have it."""
    return broker not in (*state.isr, *state.elr) or bool({*state.isr} - {broker})


def _placed(state: PartitionStateView) -> tuple[str, list[str]]:
    """Its leader and its replicas, as hosts."""
    return f"b{state.leader}" if state.leader >= 0 else "", [f"b{replica}" for replica in state.replicas]
