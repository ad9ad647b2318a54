"""What the cluster is entitled to survive.

Processes may die in any number and at any moment, and all machines may lose power at once: with durability "fsync" the
cluster must survive that. With durability "os" only one broker at a time may lose power, until it has registered and
all is in sync again. Disks may fill, fail with an EIO or fail to flush: their node dies and comes back. Bytes that were
durable may rot on one host only, in data partitions only, and only where `min.insync` leaves another replica that has
them.

A host whose disk was damaged is told to the oracle (`lossy`), which then does not hold its lost bytes against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run import Simulation


class Budget:
    """Of a world without data: nothing may be spoilt, and anybody may lose power."""

    def may_lose_power(self, host: str) -> bool:
        """Else its process is only killed."""
        return True

    def lost_power(self, host: str) -> None:
        """It did."""

    def may_spoil(self, host: str) -> bool:
        """Whether bytes that it has made durable may be damaged or go."""
        return False

    def spoilt(self, host: str) -> None:
        """They were."""


class ClusterBudget(Budget):
    """Of a whole cluster."""

    def __init__(self, run: Simulation) -> None:
        self._run = run
        self._unproven: tuple[str, int] | None = None  # broker that lost power, and its epoch then
        self._rotten: str | None = None

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
        if shape.min_insync < 2 or len(run.metadata.partitions) < shape.topics * shape.partitions:
            return False  # a topic that is made while somebody is away may have nobody else
        if self._unproven is not None:
            unproven, epoch = self._unproven
            broker = run.metadata.brokers.get(int(unproven[1:]))
            if broker is None or broker.epoch == epoch:
                return host == unproven
        return all(set(state.isr) == set(state.replicas) for state in run.metadata.partitions.values())

    def may_spoil(self, host: str) -> bool:
        shape = self._run.swarm.shape
        if shape.min_insync < 2 or shape.durability == "os":  # there a loss of power is damage enough
            return False
        return self._rotten in (None, host)

    def spoilt(self, host: str) -> None:
        self._rotten = host
        self._run.oracle.lossy.add(host)
