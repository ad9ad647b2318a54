"""How a partition moves to other brokers: grow, catch up, shrink (KIP-455, D28).

    stays --a target--> grows: replicas are those before and those after --all of the target in sync--> stays, there

Growing adds replicas that are in nothing yet: not in the ISR, not in the ELR, and min.insync.replicas counts as before,
so nothing gets worse when a move begins. Shrinking waits for *all* of the target to be in sync (KAFKA-15665), and
happens in the very record that says so. Whoever leaves was in sync with others who stay and who have everything
committed; ISR and ELR are among the replicas at every committed step (KAFKA-9672).

Cancelling, or another target meanwhile, takes away replicas that were being added. That is refused while the partition
would be left with fewer in sync than it needs: `towards` says so.

A replica that was taken away and is given back soon must not profit from what it proved before: the leader epoch rises
whenever a replica is taken away (KIP-966), which `elections.settle` sees to.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from .metadata_state import PartitionState


def towards(state: PartitionState, target: Sequence[int]) -> PartitionState:
    """The partition on its way to `target`, or there already. Its original replicas: the move is cancelled."""
    original = state.original
    if tuple(target) == original:
        return _among(replace(state, target=(), adding=()), original)
    adding = tuple(broker for broker in target if broker not in original)
    return arrived(_among(replace(state, target=tuple(target), adding=adding), (*original, *adding)))


def arrived(state: PartitionState) -> PartitionState:
    """The partition at its target if all of that is in sync, else as it is."""
    if not state.target or not set(state.target) <= set(state.isr):
        return state
    return _among(replace(state, target=(), adding=()), state.target)


def left_with(before: PartitionState, after: PartitionState) -> int | None:
    """How many stay in sync if who was taken away had something to lose; None if nobody of that kind was."""
    gone = set(before.replicas) - set(after.replicas)
    if gone.isdisjoint((*before.isr, *before.elr, *before.last_known_elr)):
        return None
    return len(after.isr)


def _among(state: PartitionState, replicas: tuple[int, ...]) -> PartitionState:
    """ISR and ELR as far as they are among these replicas, in their order."""
    return replace(
        state,
        replicas=replicas,
        isr=tuple(replica for replica in replicas if replica in state.isr),
        elr=tuple(replica for replica in replicas if replica in state.elr),
        last_known_elr=tuple(replica for replica in state.last_known_elr if replica in replicas),
    )
