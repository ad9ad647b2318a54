"""DescribeGroups, ListGroups, DeleteGroups: groups for people and tools.

DescribeGroups speaks of classic groups; one of the heartbeat protocol (KIP-848) is no group to it, as in Kafka, and
clients that know both protocols ask ConsumerGroupDescribe first.
"""

from __future__ import annotations

from ....actors.errors import ErrorCode
from ....actors.group_admin_messages import (
    CLASSIC,
    DeleteGroup,
    DescribeGroup,
    GroupDeleted,
    GroupDescribed,
    GroupsListed,
    ListGroups,
)
from ..exchange import GROUPS, Exchange
from ..messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from ..messages.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from ..messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from .classic_groups import ANY_TERM

NOT_FOUND_FROM = 6
"""The first version of DescribeGroups that says that there is no such group; older ones call it dead (KIP-1043)."""


async def describe_groups(request: DescribeGroupsRequest, exchange: Exchange) -> DescribeGroupsResponse:
    asked = [DescribeGroup(place, group, ANY_TERM) for place, group in enumerate(request.groups)]
    answers = await exchange.ask_each(GROUPS, asked, GroupDescribed)
    groups = [_group(name, found, exchange.version) for name, found in zip(request.groups, answers, strict=True)]
    return DescribeGroupsResponse(groups=groups)


def _group(name: str, found: GroupDescribed, version: int) -> DescribedGroup:
    picture = found.picture
    missing = found.error is ErrorCode.GROUP_ID_NOT_FOUND or (picture is not None and picture.kind != CLASSIC)
    if missing:
        error = ErrorCode.GROUP_ID_NOT_FOUND if version >= NOT_FOUND_FROM else ErrorCode.NONE
        reason = found.reason or f"Group {name} is not a classic group."
        return DescribedGroup(error, reason if error is not ErrorCode.NONE else None, name, "Dead")
    if picture is None:
        return DescribedGroup(found.error, found.reason or None, name)
    members = [
        DescribedGroupMember(
            member.member, member.instance or None, member.client_id, member.host, member.metadata, member.assignment
        )
        for member in picture.members
    ]
    return DescribedGroup(ErrorCode.NONE, None, name, picture.state, picture.protocol_type, picture.protocol, members)


async def list_groups(request: ListGroupsRequest, exchange: Exchange) -> ListGroupsResponse:
    """Those that this broker coordinates; clients ask every broker."""
    asked = ListGroups(exchange.number, request.states_filter, request.types_filter)
    listed = await exchange.ask(GROUPS, asked, GroupsListed)
    return ListGroupsResponse(
        error_code=listed.error,
        groups=[ListedGroup(group.group, group.protocol_type, group.state, group.kind) for group in listed.groups],
    )


async def delete_groups(request: DeleteGroupsRequest, exchange: Exchange) -> DeleteGroupsResponse:
    asked = [DeleteGroup(place, group, ANY_TERM) for place, group in enumerate(request.groups_names)]
    answers = await exchange.ask_each(GROUPS, asked, GroupDeleted)
    return DeleteGroupsResponse(
        results=[
            DeletableGroupResult(name, answer.error) for name, answer in zip(request.groups_names, answers, strict=True)
        ]
    )
