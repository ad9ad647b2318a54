"""JoinGroup, SyncGroup, Heartbeat, LeaveGroup: Kafka's classic group protocol, word for word.

A join is answered when all have joined, a sync when the leader has assigned; until then the connection's next request
waits, as in Kafka.
"""

from __future__ import annotations

from ....actors.classic_messages import (
    ClassicHeartbeat,
    ClassicHeartbeatDone,
    GroupJoined,
    GroupLeft,
    GroupSynced,
    JoinGroup,
    JoinProtocol,
    LeaveGroup,
    LeavingMember,
    SyncAssignment,
    SyncGroup,
)
from ....actors.errors import ErrorCode
from ..exchange import GROUPS, Exchange
from ..messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from ..messages.join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember
from ..messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberResponse
from ..messages.sync_group import SyncGroupRequest, SyncGroupResponse

ANY_TERM = -1
"""As a coordinator's leader epoch: Kafka's clients do not name one."""

NEEDS_ID_FROM = 4  # KIP-394
NULLABLE_FROM = 7  # names of protocols are null where there are none
SKIPS_FROM = 9  # KIP-814
MANY_LEAVE_FROM = 3  # KIP-345


async def join_group(request: JoinGroupRequest, exchange: Exchange) -> JoinGroupResponse:
    version = exchange.version
    joined = await exchange.ask(
        GROUPS,
        JoinGroup(
            id=exchange.number,
            group=request.group_id,
            leader_epoch=ANY_TERM,
            member=request.member_id,
            session_timeout_ms=request.session_timeout_ms,
            rebalance_timeout_ms=request.rebalance_timeout_ms if version >= 1 else request.session_timeout_ms,
            protocol_type=request.protocol_type,
            protocols=[JoinProtocol(protocol.name, protocol.metadata) for protocol in request.protocols],
            instance=request.group_instance_id or "",
            client_id=exchange.client,
            host=exchange.host,
            reason=request.reason or "",
            needs_id=version >= NEEDS_ID_FROM,
            skips=version >= SKIPS_FROM,
        ),
        GroupJoined,
    )
    nothing = None if version >= NULLABLE_FROM else ""
    return JoinGroupResponse(
        error_code=joined.error,
        generation_id=joined.generation,
        protocol_type=joined.protocol_type or None,
        protocol_name=joined.protocol or nothing,
        leader=joined.leader,
        skip_assignment=joined.skip_assignment,
        member_id=joined.member,
        members=[
            JoinGroupResponseMember(member.member, member.instance or None, member.metadata)
            for member in joined.members
        ],
    )


async def sync_group(request: SyncGroupRequest, exchange: Exchange) -> SyncGroupResponse:
    synced = await exchange.ask(
        GROUPS,
        SyncGroup(
            id=exchange.number,
            group=request.group_id,
            leader_epoch=ANY_TERM,
            member=request.member_id,
            generation=request.generation_id,
            instance=request.group_instance_id or "",
            protocol_type=request.protocol_type or "",
            protocol=request.protocol_name or "",
            assignments=[SyncAssignment(share.member_id, share.assignment) for share in request.assignments],
        ),
        GroupSynced,
    )
    return SyncGroupResponse(
        error_code=synced.error,
        protocol_type=synced.protocol_type or None,
        protocol_name=synced.protocol or None,
        assignment=synced.assignment,
    )


async def heartbeat(request: HeartbeatRequest, exchange: Exchange) -> HeartbeatResponse:
    beat = ClassicHeartbeat(
        exchange.number,
        request.group_id,
        ANY_TERM,
        request.member_id,
        request.generation_id,
        request.group_instance_id or "",
    )
    done = await exchange.ask(GROUPS, beat, ClassicHeartbeatDone)
    return HeartbeatResponse(error_code=done.error)


async def leave_group(request: LeaveGroupRequest, exchange: Exchange) -> LeaveGroupResponse:
    """Several members since version 3, each with an outcome; before that one, whose outcome is the answer's."""
    if exchange.version >= MANY_LEAVE_FROM:
        leaving = [
            LeavingMember(member.member_id, member.group_instance_id or "", member.reason or "")
            for member in request.members
        ]
    else:
        leaving = [LeavingMember(request.member_id)]
    left = await exchange.ask(GROUPS, LeaveGroup(exchange.number, request.group_id, ANY_TERM, leaving), GroupLeft)
    members = [MemberResponse(member.member, member.instance or None, member.error) for member in left.members]
    if exchange.version < MANY_LEAVE_FROM and left.error is ErrorCode.NONE and members:
        return LeaveGroupResponse(error_code=members[0].error_code)
    return LeaveGroupResponse(error_code=left.error, members=members)
