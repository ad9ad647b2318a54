"""ConsumerGroupHeartbeat and ConsumerGroupDescribe: groups whose members are told by the coordinator what to read.

Kafka's heartbeat (KIP-848) is ours without the wait: answered at once, with an assignment only if it has changed.
"""

from __future__ import annotations

from ....actors.errors import ErrorCode
from ....actors.group_admin_messages import CONSUMER, DescribeGroup, GroupDescribed, MemberPicture
from ....actors.group_messages import GroupHeartbeat, GroupHeartbeatDone, TopicPartitions
from ..exchange import GROUPS, Exchange
from ..messages import consumer_group_describe as described
from ..messages.consumer_group_describe import ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse
from ..messages.consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitionsResponse,
)
from ..view import View, topic_id_of, uuid_of
from .classic_groups import ANY_TERM

CONSUMER_MEMBER = 1
"""The kind of a member that speaks the heartbeat protocol."""


async def consumer_group_heartbeat(
    request: ConsumerGroupHeartbeatRequest, exchange: Exchange
) -> ConsumerGroupHeartbeatResponse:
    owned = request.topic_partitions
    done = await exchange.ask(
        GROUPS,
        GroupHeartbeat(
            id=exchange.number,
            group=request.group_id,
            leader_epoch=ANY_TERM,
            member=request.member_id,
            member_epoch=request.member_epoch,
            topics=request.subscribed_topic_names,
            pattern=request.subscribed_topic_regex,
            owned=None if owned is None else [TopicPartitions(topic_id_of(t.topic_id), t.partitions) for t in owned],
            instance=request.instance_id or "",
            rack=request.rack_id or "",
            rebalance_timeout_ms=request.rebalance_timeout_ms,
            assignor=request.server_assignor,
            client_id=exchange.client,
            host=exchange.host,
        ),
        GroupHeartbeatDone,
    )
    assigned = done.assigned
    return ConsumerGroupHeartbeatResponse(
        error_code=done.error,
        error_message=done.reason or None,
        member_id=done.member or None,
        member_epoch=done.member_epoch,
        heartbeat_interval_ms=done.heartbeat_ms,
        assignment=None if assigned is None else Assignment([_topic(topic) for topic in assigned]),
    )


def _topic(topic: TopicPartitions) -> TopicPartitionsResponse:
    return TopicPartitionsResponse(uuid_of(topic.topic), topic.partitions)


async def consumer_group_describe(
    request: ConsumerGroupDescribeRequest, exchange: Exchange
) -> ConsumerGroupDescribeResponse:
    asked = [DescribeGroup(place, group, ANY_TERM) for place, group in enumerate(request.group_ids)]
    answers = await exchange.ask_each(GROUPS, asked, GroupDescribed)
    groups = [_group(name, found, exchange.view) for name, found in zip(request.group_ids, answers, strict=True)]
    return ConsumerGroupDescribeResponse(groups=groups)


def _group(name: str, found: GroupDescribed, view: View) -> described.DescribedGroup:
    picture = found.picture
    if picture is None or picture.kind != CONSUMER:
        error = found.error if found.error is not ErrorCode.NONE else ErrorCode.GROUP_ID_NOT_FOUND
        reason = found.reason or f"Group {name} is not a consumer group."
        return described.DescribedGroup(error, reason, name)
    return described.DescribedGroup(
        group_id=name,
        group_state=picture.state,
        group_epoch=picture.epoch,
        assignment_epoch=picture.assignment_epoch,
        assignor_name=picture.protocol,
        members=[_member(member, view) for member in picture.members],
    )


def _member(member: MemberPicture, view: View) -> described.Member:
    return described.Member(
        member_id=member.member,
        instance_id=member.instance or None,
        rack_id=member.rack or None,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.host,
        subscribed_topic_names=member.topics,
        subscribed_topic_regex=member.pattern or None,
        assignment=_assignment(member.assigned, view),
        target_assignment=_assignment(member.target, view),
        member_type=CONSUMER_MEMBER,
    )


def _assignment(topics: list[TopicPartitions], view: View) -> described.Assignment:
    named = []
    for topic in topics:
        known = view.image.topics.get(topic.topic)
        if known is not None:
            named.append(described.TopicPartitions(uuid_of(topic.topic), known.name, topic.partitions))
    return described.Assignment(named)
