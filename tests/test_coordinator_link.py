"""A client finds the coordinator of a group: by asking the first time, by leadership ever after."""

from __future__ import annotations

from recording import Recording

from barnabas.actors.coordinator_link import FIND_AGAIN_MS, CoordinatorLink
from barnabas.actors.coordinator_messages import CoordinatorPlace
from barnabas.actors.errors import ErrorCode
from barnabas.actors.internal_topics import GROUP_OFFSETS, partition_of
from barnabas.actors.leadership import Leaderships
from barnabas.actors.messages import (
    BrokerPlace,
    CoordinatorsFound,
    FetchLeadership,
    FindCoordinator,
    Leadership,
    Partition,
    PartitionLeader,
    TopicId,
    TopicName,
)

TOPIC = TopicId("offsets")
GROUP = "g"
MINE = Partition(TOPIC, partition_of(GROUP, 12))


def scene() -> tuple[Recording, Leaderships, CoordinatorLink]:
    ctx = Recording()
    leaderships = Leaderships(["b1"])
    leaderships.start(ctx)
    link = CoordinatorLink(GROUP, leaderships)
    link.start(ctx)
    return ctx, leaderships, link


def digest(ctx: Recording, leaderships: Leaderships, leader: int, epoch: int) -> list[Partition]:
    """A broker tells who leads; the topic exists from now on."""
    asked = ctx.take(FetchLeadership)
    answer = Leadership(
        asked[-1].id if asked else 0,
        ErrorCode.NONE,
        cluster_id="c",
        offset=10 + epoch,
        brokers=[BrokerPlace(1, "b1"), BrokerPlace(2, "b2")],
        topics=[TopicName(TOPIC, GROUP_OFFSETS, 12)],
        leaders=[PartitionLeader(Partition(TOPIC, index), leader, epoch) for index in range(12)],
    )
    return leaderships.on_message(answer, ctx)


def test_the_leader_of_the_groups_partition_is_the_coordinator() -> None:
    ctx, leaderships, link = scene()
    assert link.route() is None
    moved = digest(ctx, leaderships, leader=2, epoch=3)
    assert link.concerns(moved)
    assert link.partition == MINE
    assert link.route() == ("b2/groups", 3)


def test_a_new_leader_is_a_new_coordinator_without_a_question() -> None:
    ctx, leaderships, link = scene()
    digest(ctx, leaderships, leader=2, epoch=3)
    digest(ctx, leaderships, leader=1, epoch=4)
    assert link.route() == ("b1/groups", 4)
    assert ctx.take(FindCoordinator) == []


def test_the_first_question_has_the_topic_made_and_its_answer_is_a_route() -> None:
    ctx, _, link = scene()
    link.lost(ctx)
    [question] = ctx.take(FindCoordinator)
    assert question.keys == [GROUP]
    found = CoordinatorsFound(question.id, [CoordinatorPlace(GROUP, ErrorCode.NONE, 2, "b2", 5)])
    assert link.on_found(found, ctx)
    assert link.route() == ("b2/groups", 5)


def test_an_answer_to_another_question_is_nothing() -> None:
    ctx, _, link = scene()
    link.lost(ctx)
    [question] = ctx.take(FindCoordinator)
    assert not link.on_found(CoordinatorsFound(question.id + 1, []), ctx)
    assert link.route() is None


def test_one_question_is_out_at_a_time_until_it_is_late() -> None:
    ctx, _, link = scene()
    link.lost(ctx)
    link.lost(ctx)
    assert len(ctx.take(FindCoordinator)) == 1
    ctx.sleep(FIND_AGAIN_MS)
    link.lost(ctx)
    assert len(ctx.take(FindCoordinator)) == 1


def test_a_refusal_is_asked_again() -> None:
    ctx, _, link = scene()
    link.lost(ctx)
    [question] = ctx.take(FindCoordinator)
    refused = CoordinatorsFound(question.id, [CoordinatorPlace(GROUP, ErrorCode.COORDINATOR_NOT_AVAILABLE)])
    assert not link.on_found(refused, ctx)
    link.lost(ctx)
    assert len(ctx.take(FindCoordinator)) == 1


def test_where_leadership_is_followed_a_lost_coordinator_is_looked_up_there() -> None:
    ctx, leaderships, link = scene()
    digest(ctx, leaderships, leader=2, epoch=3)
    link.lost(ctx)
    assert ctx.take(FindCoordinator) == []
    ctx.sleep(100, None)
    assert any(type(timer).__name__ == "FetchDue" for timer in ctx.timers)
