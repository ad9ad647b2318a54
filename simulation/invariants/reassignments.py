"""Partitions that move: what a move may never cost, and that it ends where it was meant to (P18, P19, L7, D28).

ROOM a replica is taken away only while those who stay in sync are as many as the partition needs. PLAN a move ends
where all replicas are in sync (KAFKA-15665), or, cancelled, exactly where it began; that this is where somebody sent it
is for the workload to know. FRESH
the leader epoch rises whenever a replica is taken away, so nothing that it proved counts if it is given back (KIP-966).
GROW nobody is in sync by being added. L7 in the end nothing moves any more.
"""

from __future__ import annotations

from typing import Protocol, cast

from ...cluster.world import Host, World
from ..oracle import Checker
from ..views import PartitionStateView
from .metadata import MetadataChecker


class MovingView(PartitionStateView, Protocol):
    """The rest of `actors.metadata_state.PartitionState`."""

    @property
    def target(self) -> tuple[int, ...]: ...
    @property
    def adding(self) -> tuple[int, ...]: ...


class ReassignmentsChecker(Checker):
    """Looks at every step of every partition, in the order in which the truth takes them."""

    looks_at = frozenset(("controller", "broker"))

    def __init__(self, metadata: MetadataChecker) -> None:
        self.metadata = metadata

    def handled(self, world: World, host: Host) -> None:
        for before, state in self.metadata.changed:
            if before is not None and hasattr(state, "target"):
                self._step(cast("MovingView", before), cast("MovingView", state))

    def at_rest(self, world: World) -> None:
        for partition, state in sorted(self.metadata.partitions.items()):
            self.premise("L7")
            if getattr(state, "target", ()):
                self.violated("L7", f"partition {partition.index} still moves: {state}")

    def _step(self, before: MovingView, state: MovingView) -> None:
        gone = set(before.replicas) - set(state.replicas)
        new = set(state.replicas) - set(before.replicas)
        if gone:
            self._taken_away(before, state, gone)
        if new:
            self.premise("GROW")
            if new & {*state.isr, *state.elr}:
                self.violated("GROW", f"{sorted(new)} came with {state}")
        if before.target and not state.target:
            self.premise("PLAN")
            original = tuple(replica for replica in before.replicas if replica not in before.adding)
            if state.replicas != original and not set(state.replicas) <= set(state.isr):
                self.violated("PLAN", f"{before} ended as {state}")

    def _taken_away(self, before: MovingView, state: MovingView, gone: set[int]) -> None:
        self.premise("FRESH")
        if state.leader_epoch <= before.leader_epoch:
            self.violated("FRESH", f"{sorted(gone)} were taken from {before} in the same leader epoch: {state}")
        if gone.isdisjoint((*before.isr, *before.elr)):
            return
        self.premise("ROOM")
        needed = self.metadata.min_insync.get(state.partition, 1)
        if len(state.isr) < needed:
            self.violated("ROOM", f"{sorted(gone)} were taken from {before}, {needed} are needed: {state}")
