"""Brokers that are to go: first they are drained, then they may be removed.

    serving --DrainBroker--> draining --its last replica is elsewhere--> drained --stopped, RemoveBroker--> forgotten
                ^               |
                +---cancel------+

A broker that is draining gets no new replica. The active controller moves what it has, some partitions at a time, to
where the ring says (`rebalancing`), leaders too. That the broker is draining is part of the metadata, so it goes on
under the next controller, whoever dies, and whoever asked for it may go home. A broker that is dead can be drained as
well: what it had comes from the others.

What would break replication is refused: fewer brokers than some partition has replicas may not be left. Removing is
refused while a broker has replicas, or is running: it would register again.
"""

from __future__ import annotations

from contextlib import suppress

from .admin_requests import Refused, Ruling
from .decisions import Decision
from .errors import ErrorCode
from .messages import DrainBroker, RemoveBroker
from .metadata import MetadataImage
from .metadata_records import BrokerDraining, BrokerRemoved, MetadataRecord
from .metadata_state import BrokerState, PartitionState
from .placement import Candidate
from .reassignments import move_to
from .rebalancing import vacated

MOVES_AT_ONCE = 50
"""Partitions that move because of draining, at any one time: the disks and the network are the cluster's too."""


def drain(image: MetadataImage, request: DrainBroker) -> Ruling:
    """A broker is to go, or, cancelled, stays. Raises Refused."""
    state = _registered(image, request.broker)
    if request.cancel:
        if not state.draining:
            raise Refused(ErrorCode.INVALID_REQUEST, f"b{state.id} is not being decommissioned: nothing to cancel.")
        return Ruling([BrokerDraining(state.id, False)], "a client cancelled its decommissioning")
    if state.draining:
        return Ruling([], "")
    left = [broker for broker in _staying(image) if broker != state.id and not image.brokers[broker].fenced]
    for partition in sorted(image.partitions):
        placed = image.partitions[partition]
        wanted = len(placed.target or placed.replicas)
        if state.id in placed.replicas and wanted > len(left):
            others = "no other broker is" if not left else f"only {_named(left)} {'is' if len(left) == 1 else 'are'}"
            reason = (
                f"b{state.id} cannot be decommissioned: {image.name(partition)} has {wanted} replicas, and {others} up "
                "and staying: add a broker first, or reassign that topic to fewer."
            )
            raise Refused(ErrorCode.POLICY_VIOLATION, reason)
    return Ruling([BrokerDraining(state.id, True)], "a client decommissions it")


def remove(image: MetadataImage, request: RemoveBroker) -> Ruling:
    """Forget a broker that is gone for good. Raises Refused."""
    state = _registered(image, request.broker)
    keeps = [placed for placed in image.partitions.values() if state.id in placed.replicas]
    if keeps:
        first = image.name(min(placed.partition for placed in keeps))
        more = f" and {len(keeps) - 1} more" if len(keeps) > 1 else ""
        reason = f"b{state.id} keeps replicas of {first}{more}: decommission it first."
        raise Refused(ErrorCode.INVALID_REQUEST, reason)
    if not state.fenced:
        raise Refused(ErrorCode.INVALID_REQUEST, f"b{state.id} is running: stop it first, or it would come again.")
    return Ruling([BrokerRemoved(state.id, state.epoch)], "a client removed it")


def drain_on(image: MetadataImage) -> Decision:
    """Let the next partitions of draining brokers move."""
    draining = {broker for broker, state in image.brokers.items() if state.draining}
    staying = [image.brokers[broker] for broker in _staying(image)]
    up = {state.id for state in staying if not state.fenced}
    room = MOVES_AT_ONCE
    todo: list[PartitionState] = []
    for state in image.partitions.values():
        if draining.isdisjoint(state.original):
            continue
        if not state.moving or not up.issuperset(state.adding):  # or it moves to somebody who has died
            todo.append(state)
        else:
            room -= 1
    candidates = [Candidate(state.id, state.rack, down=state.fenced) for state in staying]
    chosen = sorted(state.partition for state in todo if len(state.original) <= len(candidates))[: max(0, room)]
    if not chosen:
        return Decision([])
    sets = {partition: state.target or state.replicas for partition, state in image.partitions.items()}
    sets.update((partition, image.partitions[partition].original) for partition in chosen)
    records: list[MetadataRecord] = []
    for partition, target in vacated(sets, chosen, candidates).items():
        with suppress(Refused):  # what was being added may be needed just now
            record = move_to(image, image.partitions[partition], target)
            records += [] if record is None else [record]
    return Decision(records, f"{_named(sorted(draining))} {'is' if len(draining) == 1 else 'are'} being decommissioned")


def is_draining(image: MetadataImage) -> bool:
    """Whether there is anything to move away."""
    draining = {broker for broker, state in image.brokers.items() if state.draining}
    return bool(draining) and any(not draining.isdisjoint(state.replicas) for state in image.partitions.values())


def _registered(image: MetadataImage, broker: int) -> BrokerState:
    state = image.brokers.get(broker)
    if state is None:
        raise Refused(ErrorCode.BROKER_ID_NOT_REGISTERED, f"b{broker} is not registered: there are {_all(image)}.")
    return state


def _staying(image: MetadataImage) -> list[int]:
    return [broker for broker in sorted(image.brokers) if not image.brokers[broker].draining]


def _named(brokers: list[int]) -> str:
    return " and ".join(f"b{broker}" for broker in brokers)


def _all(image: MetadataImage) -> str:
    return ", ".join(f"b{broker}" for broker in sorted(image.brokers)) or "none"
