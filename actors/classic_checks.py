"""What the classic protocol refuses, in Kafka's codes and in words. Pure functions: they look, and change nothing."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from .bugs import bug
from .classic_group import ClassicGroup, ClassicState, LiveMember
from .classic_messages import LeavingMember
from .errors import ErrorCode
from .group_decisions import Refused
from .group_messages import GroupRequest
from .group_settings import GroupSettings
from .kernel import Context
from .messages import CommitOffsets, JoinGroup

MAX_MEMBER_BYTES = 64 << 10
"""What a member may say to its leader, over all protocols."""

MAX_NAME = 255


def unknown(request: GroupRequest) -> Refused:
    """Whoever speaks is no member."""
    name = getattr(request, "member", "") or "whoever asks"
    return Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"{name} is no member of group {request.group}: join it.")


def fenced(instance: str) -> Refused:
    """Another one has the static name."""
    return Refused(ErrorCode.FENCED_INSTANCE_ID, f"{instance} is another member now: this one was replaced.")


def inconsistent(group: ClassicGroup) -> Refused:
    """The members have nothing in common."""
    reason = f"The members of group {group.name} have no protocol in common with this one."
    return Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, reason)


def rebalancing() -> Refused:
    """Another round has begun."""
    return Refused(ErrorCode.REBALANCE_IN_PROGRESS, "The group rebalances: join again.")


def check_join(request: JoinGroup, settings: GroupSettings) -> None:
    """Raises Refused for what nobody can join with."""
    if not settings.min_session_ms <= request.session_timeout_ms <= settings.max_session_ms:
        reason = f"A session timeout is {settings.min_session_ms} to {settings.max_session_ms} ms."
        raise Refused(ErrorCode.INVALID_SESSION_TIMEOUT, reason)
    if not request.protocol_type or not request.protocols:
        reason = "A member names the type of its protocol, and at least one protocol."
        raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, reason)
    if max(len(request.member), len(request.instance)) > MAX_NAME:
        reason = f"A member's id and static name have at most {MAX_NAME} characters."
        raise Refused(ErrorCode.INVALID_REQUEST, reason)
    size = sum(len(each.name) + len(each.metadata) for each in request.protocols)
    size += len(request.client_id) + len(request.host)
    if size > MAX_MEMBER_BYTES:
        reason = f"What a member says of itself has at most {MAX_MEMBER_BYTES} bytes, this is {size}."
        raise Refused(ErrorCode.INVALID_REQUEST, reason)


def check_room(group: ClassicGroup, settings: GroupSettings) -> None:
    """Raises Refused if the group is full, with those that were promised a place (KAFKA-7641)."""
    if len(group.members) + len(group.promised) >= settings.max_members and not bug("unbounded-group"):
        reason = f"Group {group.name} has {settings.max_members} members already."
        raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED, reason)


def member_of(group: ClassicGroup | None, request: GroupRequest, name: str, instance: str) -> LiveMember:
    """The member that speaks. Raises Refused if it is none."""
    if group is None:
        raise unknown(request)
    if instance and group.static.get(instance, name) != name:
        raise fenced(instance)
    member = group.members.get(name)
    if member is None or (instance and instance not in group.static):
        raise unknown(request)
    return member


def check_generation(group: ClassicGroup, generation: int) -> None:
    """Raises Refused for any generation but the present one."""
    if generation != group.generation:
        reason = f"Group {group.name} is in generation {group.generation} and not {generation}."
        raise Refused(ErrorCode.ILLEGAL_GENERATION, reason)


def check_commit(group: ClassicGroup, request: CommitOffsets) -> None:
    """Raises Refused unless this sender may commit now. The group has members."""
    if bug("zombies-commit") and request.member:
        return
    if not request.member and request.epoch < 0:
        members = "a member" if len(group.members) == 1 else f"{len(group.members)} members"
        reason = f"Group {group.name} has {members}: only they commit its offsets, until they have left."
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, reason)
    member_of(group, request, request.member, request.instance)
    check_generation(group, request.epoch)
    if group.state is ClassicState.COMPLETING:
        reason = "The group rebalances: its members do not know yet what they own."
        raise Refused(ErrorCode.REBALANCE_IN_PROGRESS, reason)


def leaver(group: ClassicGroup | None, leaving: LeavingMember) -> tuple[str, ErrorCode]:
    """Whose leaving this is, and whether it can."""
    if group is None:
        return "", ErrorCode.UNKNOWN_MEMBER_ID
    name = leaving.member
    if leaving.instance:
        known = group.static.get(leaving.instance)
        if known is None:
            return "", ErrorCode.UNKNOWN_MEMBER_ID
        if name and name != known:
            return "", ErrorCode.FENCED_INSTANCE_ID
        name = known
    known_here = name in group.members or name in group.promised
    return name, ErrorCode.NONE if known_here else ErrorCode.UNKNOWN_MEMBER_ID


def new_member(client_id: str, ctx: Context) -> str:
    """An id that nobody has had."""
    unique = urlsafe_b64encode(ctx.random.randbytes(16)).decode().rstrip("=")
    return f"{client_id[:200] or 'member'}-{unique}"
