"""Partitions are told to move, and asked where they are: what is refused, in words, and what is written.

A request may speak of many partitions; those that are refused do not hold up the others. Beginning a move changes only
who the replicas are; the rest follows from the in-sync replicas that leaders propose (`elections.isr_change`, `moves`),
so no part of a move depends on whoever asked for it, nor on one controller: it goes on under the next one.
"""

from __future__ import annotations

from collections.abc import Sequence

from .admin_messages import (
    MAX_PER_REQUEST,
    ListReassignments,
    PartitionOutcome,
    PartitionTarget,
    Reassign,
    Reassignment,
    ReassignmentsListed,
)
from .admin_requests import Refused, Ruling, topic_called
from .elections import settle
from .errors import ErrorCode
from .messages import Partition
from .metadata import MetadataImage
from .metadata_records import MetadataRecord, PartitionChanged
from .metadata_state import PartitionState
from .moves import left_with, towards


def reassign(image: MetadataImage, request: Reassign) -> Ruling:
    """Let partitions move, or cancel it. Raises Refused; refusals of single partitions are among the outcomes."""
    if len(request.targets) > MAX_PER_REQUEST:
        reason = f"A request moves at most {MAX_PER_REQUEST} partitions, this one {len(request.targets)}: ask in parts."
        raise Refused(ErrorCode.INVALID_REQUEST, reason)
    records: list[MetadataRecord] = []
    outcomes: list[PartitionOutcome] = []
    seen: set[tuple[str, int]] = set()
    for target in request.targets:
        try:
            if (target.topic, target.index) in seen:
                reason = f"{target.topic}-{target.index} is named twice: one target per partition and request."
                raise Refused(ErrorCode.INVALID_REQUEST, reason)
            seen.add((target.topic, target.index))
            record = _move(image, target)
            if record is not None:
                records.append(record)
            outcomes.append(PartitionOutcome(target.topic, target.index))
        except Refused as refused:
            outcomes.append(PartitionOutcome(target.topic, target.index, refused.error, refused.reason))
    return Ruling(records, "a client moves it", outcomes=outcomes)


def partition_called(image: MetadataImage, topic: str, index: int) -> PartitionState:
    """The partition of that name. Raises Refused if there is none."""
    state = image.partitions.get(Partition(topic_called(image, topic).id, index))
    if state is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Topic {topic!r} has no partition {index}.")
    return state


def move_to(image: MetadataImage, state: PartitionState, target: Sequence[int]) -> PartitionChanged | None:
    """The record that sets a partition on its way; None if it is there, or on that way. Raises Refused."""
    after = towards(state, target)
    min_insync = image.min_insync(after)
    left = left_with(state, after)
    nobody = not (after.isr or after.elr or after.last_known_elr)
    if left is not None and (left < min_insync or nobody):
        reason = (
            f"{image.name(state.partition)} would be left with {left} in sync of the {min_insync} that it needs: "
            "wait until more of its replicas are in sync."
        )
        raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
    return settle(state, after, lambda b: b == state.leader or image.may_lead(b), min_insync)


def _move(image: MetadataImage, target: PartitionTarget) -> PartitionChanged | None:
    state = partition_called(image, target.topic, target.index)
    if target.replicas is None:
        if not state.moving:
            reason = f"{target.topic}-{target.index} does not move: there is nothing to cancel."
            raise Refused(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, reason)
        return move_to(image, state, state.original)
    check_replicas(image, target.replicas, state.replicas)
    return move_to(image, state, target.replicas)


def check_replicas(image: MetadataImage, replicas: Sequence[int], before: Sequence[int] = ()) -> None:
    """Raises Refused if these brokers cannot be the replicas of a partition, which has these now."""
    if not replicas:
        raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "A partition needs at least one replica.")
    for broker in replicas:
        if replicas.count(broker) > 1:
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"b{broker} is named twice in {list(replicas)}.")
        if broker in image.brokers and image.brokers[broker].draining and broker not in before:
            reason = f"b{broker} is being decommissioned: it gets nothing new."
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
        if broker not in image.brokers:
            there_are = ", ".join(f"b{known}" for known in sorted(image.brokers)) or "none"
            reason = f"b{broker} is not registered: there are {there_are}."
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)


def list_reassignments(image: MetadataImage, request: ListReassignments) -> ReassignmentsListed:
    """Who moves, as this image has it."""
    if request.partitions is None:
        states = [image.partitions[partition] for partition in sorted(image.partitions)]
    else:
        asked = [(image.topic(name), index) for name, index in request.partitions]
        found = [None if topic is None else image.partitions.get(Partition(topic.id, at)) for topic, at in asked]
        states = [state for state in found if state is not None]
    moving = [
        Reassignment(
            image.topics[state.partition.topic].name,
            state.partition.index,
            list(state.replicas),
            list(state.adding),
            list(state.removing),
            list(state.isr),
        )
        for state in states
        if state.moving
    ]
    return ReassignmentsListed(request.id, ErrorCode.NONE, image.end, moving)
