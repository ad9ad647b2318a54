"""Groups for people and tools: what a coordinator says of them, and how one is deleted."""

from __future__ import annotations

from .errors import ErrorCode
from .group_admin_messages import CLASSIC, CONSUMER, GroupListing, GroupPicture, MemberPicture
from .group_decisions import Decision, Refused
from .group_events import GroupDeletedEvent
from .group_heartbeats import stable
from .group_records import ClassicValue, grouped
from .group_state import ConsumerGroup, Group
from .kernel import Address
from .messages import DeleteGroup, DescribeGroup, GroupDeleted, GroupDescribed

EMPTY = "Empty"
ASSIGNING = "Assigning"
RECONCILING = "Reconciling"
STABLE = "Stable"


def state_of(group: Group) -> str:
    """Kafka's word for the state of a group."""
    if group.size == 0:
        return EMPTY
    if group.consumer is None:
        return STABLE
    value = group.consumer.value
    if value.epoch != value.assignment_epoch:
        return ASSIGNING
    return STABLE if stable(group.consumer) else RECONCILING


def listing(group: Group, state: str) -> GroupListing:
    """One line of a list."""
    kind, protocol_type = _kind(group)
    return GroupListing(group.name, kind, state, protocol_type)


def describe(group: Group, state: str, sender: Address, request: DescribeGroup) -> Decision:
    """Everything about a group."""
    if not group.known:
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"There is no group {request.group}.")
    return Decision(replies=[(sender, GroupDescribed(request.id, ErrorCode.NONE, "", picture(group, state)))])


def picture(group: Group, state: str) -> GroupPicture:
    """A group as it is."""
    kind, protocol_type = _kind(group)
    if group.consumer is not None:
        value = group.consumer.value
        members = _members(group.consumer)
        leader = value.leader
        return GroupPicture(
            group.name, kind, state, protocol_type, value.assignor, value.epoch, value.assignment_epoch, leader, members
        )
    if group.classic is not None:
        return classic_picture(group.name, state, group.classic)
    return GroupPicture(group.name, kind, state, protocol_type, "", 0, 0, "", [])


def classic_picture(name: str, state: str, value: ClassicValue) -> GroupPicture:
    """A group of the classic protocol."""
    members = [
        MemberPicture(
            member.member,
            member.instance,
            member.client_id,
            member.host,
            value.generation,
            metadata=next((each.metadata for each in member.protocols if each.name == value.protocol), b""),
            assignment=member.assignment,
        )
        for member in value.members
    ]
    generation, leader = value.generation, value.leader
    return GroupPicture(
        name, CLASSIC, state, value.protocol_type, value.protocol, generation, generation, leader, members
    )


def delete_group(group: Group, size: int, sender: Address, request: DeleteGroup) -> Decision:
    """Forget a group that has no members, with its offsets."""
    if not group.known and not size:
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"There is no group {request.group}.")
    if size:
        members = "a member: stop it" if size == 1 else f"{size} members: stop them"
        raise Refused(ErrorCode.NON_EMPTY_GROUP, f"Group {group.name} has {members} first.")
    event = GroupDeletedEvent(group=group.name, offsets=len(group.offsets), cause="a client asked for it")
    done = GroupDeleted(request.id, ErrorCode.NONE, "")
    return Decision(group.entries_to_forget(), [(sender, done)], [event])


def _kind(group: Group) -> tuple[str, str]:
    if group.consumer is not None:
        return CONSUMER, "consumer"
    return CLASSIC, "" if group.classic is None else group.classic.protocol_type


def _members(state: ConsumerGroup) -> list[MemberPicture]:
    return [
        MemberPicture(
            name,
            member.instance,
            member.client_id,
            member.host,
            member.epoch,
            member.state.name.lower(),
            member.rack,
            list(member.topics),
            member.pattern,
            grouped(member.assigned | member.revoking),
            grouped(member.target),
            member.metadata,
        )
        for name, member in state.members.items()
    ]
