"""Logs that are damaged: found, reported, and set aside once the cluster does not count on them any more (D19).

Bytes on disk that are not what was written end the use of that log at once: nothing of it is served, nothing of it
is acknowledged. The broker reports it until the controller has taken the replica out of ISR and ELR and has begun
another leader epoch; only then is the log renamed, kept for people, and begun anew from the leader. In the epoch in
which the old log was fetched the leader would hold its progress for that of the new one, also where the replica had no
place, and take an empty log into the ISR. If it was the last copy that is known to hold everything
committed, the controller leaves the partition without a leader, and the log stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import broker_events as events
from .errors import ErrorCode
from .kernel import Context, address
from .membership import Membership
from .messages import ReportDamage
from .metadata import MetadataImage
from .metadata_state import PartitionState
from .replica import Replica
from .replicas import Replicas
from .writes import Writes


class Damage:
    """What becomes of one broker's damaged logs."""

    def __init__(
        self,
        broker: int,
        controllers: Mapping[int, str],
        logs: Replicas,
        membership: Membership,
        image: Callable[[], MetadataImage],
        writes: Callable[[], Writes],
    ) -> None:
        self._broker = broker
        self._controllers = controllers
        self._logs = logs
        self._membership = membership
        self._image = image
        self._writes = writes

    def found(self, replica: Replica, why: str, ctx: Context) -> None:
        """Bytes on disk are not what was written: serve nothing of this log any more, and say so."""
        if replica.damaged:
            return
        replica.damaged = why
        ctx.emit(events.LogDamaged(broker=self._broker, partition=self._image().name(replica.partition), cause=why))
        self._writes().acks.refuse(replica.partition, ErrorCode.KAFKA_STORAGE_ERROR)
        self.report(replica, ctx)

    def report(self, replica: Replica, ctx: Context) -> None:
        """Ask the active controller to take this copy out of ISR and ELR, and for another leader epoch."""
        active = self._controllers.get(self._membership.active)
        state = self._image().partitions.get(replica.partition)
        if active is not None and state is not None:
            epoch = self._membership.broker_epoch
            report = ReportDamage(self._broker, epoch, replica.partition, state.leader_epoch)
            ctx.send(address(active, "controller"), report)

    def counts(self, replica: Replica, state: PartitionState) -> bool:
        """Whether the cluster may still count on what this log had, as of these metadata."""
        return self._broker in (*state.isr, *state.elr) or state.leader_epoch <= replica.leader_epoch

    def replace(self, replica: Replica, ctx: Context) -> Replica:
        """The cluster does not count on this copy any more: set it aside and begin again from the leader."""
        image = self._image()
        name = self._logs.quarantine(replica.partition, ctx)
        ctx.emit(
            events.LogQuarantined(
                broker=self._broker, partition=image.name(replica.partition), directory=name, cause=replica.damaged
            )
        )
        return self._logs.ensure(image.partitions[replica.partition], image, ctx)
