"""Who is in sync, as leaders propose it: a compare-and-set on the partition epoch (KIP-497, D11).

A leader re-sends a proposal until it hears the verdict, so one that is already so is accepted (KAFKA-14144), whatever
epoch it names. One that is behind gets the committed state back, one that is *ahead* of this controller proves this
controller stale: NOT_CONTROLLER, never a verdict (KAFKA-14154).

A member is named with its broker epoch: a proposal that was on its way while the member restarted names the old one,
and is refused (KIP-903). Fenced and stopping brokers do not join (KIP-841). That the new member has reached the high
watermark in this leader epoch is for the leader to know (P18).
"""

from __future__ import annotations

from .decisions import Decision
from .elections import isr_change
from .errors import ErrorCode
from .kernel import Message
from .messages import AlteredPartition, AlterPartition, IsrChange, Partition, PartitionsAltered
from .metadata import MetadataImage
from .metadata_records import MetadataRecord, PartitionChanged
from .metadata_state import PartitionState


def alter(image: MetadataImage, message: AlterPartition) -> Decision:
    """Decide all proposals of one message; those that are refused do not hold up the others."""
    error = broker_error(image, message.broker, message.broker_epoch)
    if error is not ErrorCode.NONE:
        return Decision([], reply=lambda: PartitionsAltered(message.id, error, [], leader=image.controller))
    verdicts: dict[Partition, ErrorCode] = {}
    records: list[MetadataRecord] = []
    for change in message.changes:
        partition = Partition(*change.partition)
        if partition in verdicts:
            continue  # one proposal per partition and message
        verdict = _check(image, message.broker, change)
        if isinstance(verdict, PartitionChanged):
            records.append(verdict)
        verdicts[partition] = ErrorCode.NONE if isinstance(verdict, PartitionChanged) else verdict

    def reply() -> Message:
        results = [_result(image, partition, verdict) for partition, verdict in verdicts.items()]
        return PartitionsAltered(message.id, ErrorCode.NONE, results, leader=image.controller)

    return Decision(records, f"proposed by b{message.broker}, the leader", reply)


def broker_error(image: MetadataImage, broker: int, epoch: int) -> ErrorCode:
    """What is wrong with a broker's claim to be who it says, compared exactly (D1)."""
    state = image.brokers.get(broker)
    if epoch >= image.end:
        return ErrorCode.NOT_CONTROLLER  # registered with a newer controller
    if state is None:
        return ErrorCode.BROKER_ID_NOT_REGISTERED
    if epoch > state.epoch:
        return ErrorCode.NOT_CONTROLLER
    return ErrorCode.NONE if epoch == state.epoch else ErrorCode.STALE_BROKER_EPOCH


def _check(image: MetadataImage, broker: int, change: IsrChange) -> PartitionChanged | ErrorCode:
    """The change as a record; or why not; or NONE if it is so already."""
    state = image.partitions.get(Partition(*change.partition))
    if state is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    error = _epoch_error(state, broker, change)
    if error is not ErrorCode.NONE:
        return error
    members = [member for member, _ in change.isr]
    if set(members) == set(state.isr) and len(members) == len(state.isr):
        return ErrorCode.NONE
    if change.partition_epoch < state.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    if len(set(members)) != len(members) or broker not in members or not set(members) <= set(state.replicas):
        return ErrorCode.INVALID_REQUEST
    for member, epoch in change.isr:
        if not _eligible(image, state, member, epoch):
            return ErrorCode.INELIGIBLE_REPLICA
    record = isr_change(image, state, members)
    assert record is not None, f"{change!r} changes {state!r}"
    return record


def _epoch_error(state: PartitionState, broker: int, change: IsrChange) -> ErrorCode:
    if change.leader_epoch > state.leader_epoch or change.partition_epoch > state.partition_epoch:
        return ErrorCode.NOT_CONTROLLER
    if change.leader_epoch < state.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    return ErrorCode.NONE if broker == state.leader else ErrorCode.INVALID_REQUEST


def _eligible(image: MetadataImage, state: PartitionState, member: int, epoch: int) -> bool:
    """Registered in exactly this epoch and unfenced; who is stopping may stay a while, but not join."""
    known = image.brokers.get(member)
    if known is None or known.epoch != epoch or known.fenced:
        return False
    return member in state.isr or not known.stopping


def _result(image: MetadataImage, partition: Partition, verdict: ErrorCode) -> AlteredPartition:
    state = image.partitions.get(partition)
    if state is None:
        return AlteredPartition(partition, verdict)
    return AlteredPartition(partition, verdict, state.leader_epoch, state.partition_epoch, list(state.isr))
