"""Leaders elected on request: preferred ones, and, where all who have everything are gone, whoever is left.

The preferred leader is the first replica. It is made leader if it is in sync and up, and nothing else is changed.

An unclean election gives up what only the replicas that are away have. It happens by hand only, partition by partition,
where nobody leads and nobody who is up has everything; the one who leads afterwards is the only one in sync, and the
others cut what they have beyond its log when they come back. How much is given up the controller cannot know: ask the
replicas for their ends before (`DescribeLogs`).
"""

from __future__ import annotations

from msgspec.structs import replace

from .admin_messages import MAX_PER_REQUEST, ElectLeaders, PartitionOutcome
from .admin_requests import Refused, Ruling
from .errors import ErrorCode
from .metadata import MetadataImage
from .metadata_records import MetadataRecord, PartitionChanged
from .metadata_state import PartitionState
from .reassignments import partition_called


def elect(image: MetadataImage, request: ElectLeaders) -> Ruling:
    """Elect. Raises Refused; refusals of single partitions are among the outcomes."""
    if request.partitions is None:
        if request.unclean:
            reason = "An unclean election gives up records: name the partitions one by one."
            raise Refused(ErrorCode.INVALID_REQUEST, reason)
        return _everywhere(image)
    if len(request.partitions) > MAX_PER_REQUEST:
        reason = f"A request elects at most {MAX_PER_REQUEST} leaders, this one {len(request.partitions)}."
        raise Refused(ErrorCode.INVALID_REQUEST, reason)
    records: list[MetadataRecord] = []
    outcomes: list[PartitionOutcome] = []
    for topic, index in dict.fromkeys((topic, index) for topic, index in request.partitions):
        try:
            state = partition_called(image, topic, index)
            records.append(_unclean(image, state, request) if request.unclean else preferred(image, state))
            outcomes.append(PartitionOutcome(topic, index))
        except Refused as refused:
            outcomes.append(PartitionOutcome(topic, index, refused.error, refused.reason))
    kind = "unclean election" if request.unclean else "election of the preferred leader"
    return Ruling(records, f"a client asked for an {kind}", outcomes=outcomes)


def preferred(image: MetadataImage, state: PartitionState) -> PartitionChanged:
    """The record that makes the preferred leader lead. Raises Refused if it leads already, or may not."""
    first, name = state.replicas[0], image.name(state.partition)
    if state.leader == first:
        raise Refused(ErrorCode.ELECTION_NOT_NEEDED, f"b{first}, the preferred leader, leads {name} already.")
    if first not in state.isr or not image.may_lead(first):
        why = "is not in sync" if image.may_lead(first) else "is not up"
        raise Refused(ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, f"b{first}, the preferred leader of {name}, {why}.")
    return _led_by(state, first)


def _everywhere(image: MetadataImage) -> Ruling:
    """Every partition whose preferred leader may lead and does not; the first ones, if they are very many."""
    records: list[MetadataRecord] = []
    outcomes: list[PartitionOutcome] = []
    for partition in sorted(image.partitions):
        state = image.partitions[partition]
        if may_return(image, state) and len(records) < MAX_PER_REQUEST:
            records.append(_led_by(state, state.replicas[0]))
            outcomes.append(PartitionOutcome(image.topics[partition.topic].name, partition.index))
    return Ruling(records, "a client asked for preferred leaders everywhere", outcomes=outcomes)


def may_return(image: MetadataImage, state: PartitionState) -> bool:
    """Whether the preferred leader could lead, and another one does."""
    first = state.replicas[0]
    return first not in (state.leader, -1) and first in state.isr and image.may_lead(first)


def _led_by(state: PartitionState, leader: int) -> PartitionChanged:
    return _changed(replace(state, leader=leader))


def _unclean(image: MetadataImage, state: PartitionState, request: ElectLeaders) -> PartitionChanged:
    name = image.name(state.partition)
    if state.leader != -1:
        raise Refused(ErrorCode.ELECTION_NOT_NEEDED, f"b{state.leader} leads {name}: nothing need be given up.")
    up = [replica for replica in state.replicas if image.may_lead(replica)]
    wanted = [leader for topic, index, leader in request.leaders if (topic, index) == _called(image, state)]
    if wanted and wanted[0] not in up:
        raise Refused(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, f"b{wanted[0]} is no replica of {name} that is up.")
    if not up:
        raise Refused(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, f"No replica of {name} is up: start one of them.")
    leader = wanted[0] if wanted else up[0]
    return _changed(replace(state, leader=leader, isr=(leader,), elr=(), last_known_elr=()), unclean=True)


def _called(image: MetadataImage, state: PartitionState) -> tuple[str, int]:
    return image.topics[state.partition.topic].name, state.partition.index


def _changed(after: PartitionState, *, unclean: bool = False) -> PartitionChanged:
    return PartitionChanged(
        partition=after.partition,
        leader=after.leader,
        leader_epoch=after.leader_epoch + 1,
        partition_epoch=after.partition_epoch + 1,
        isr=list(after.isr),
        elr=list(after.elr),
        last_known_elr=list(after.last_known_elr),
        unclean=unclean,
        target=list(after.target),
        adding=list(after.adding),
    )
