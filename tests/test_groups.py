"""The coordinator of groups: who joins gets a part, nobody gets what another one has, nobody stale commits."""

from __future__ import annotations

import pytest
from group_scene import ORDERS, PENS, Member, Scene, everything, settle

from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_messages import Plan, PlanShare, TopicPartitions
from barnabas.actors.group_settings import GroupSettings
from barnabas.actors.messages import (
    GroupHeartbeatDone,
    TopicId,
    TopicName,
)

# --- Joining and sharing ---


def test_the_first_member_gets_everything_at_once() -> None:
    member = Scene().member("a", "orders")
    assert member.last is not None
    assert (member.owns(), member.last.session_ms) == ([0, 1, 2, 3, 4, 5], 10_000)
    assert [topic.name for topic in member.last.topics] == ["orders"]


def test_who_joins_gets_its_part_when_the_others_have_given_it_up_and_not_before() -> None:
    scene = Scene()
    first = scene.member("a", "orders")
    assert first.beat() is None  # nothing to learn: it waits
    second = scene.member("b", "orders")
    assert second.owns() == []
    told = first.hear()
    assert told is not None and first.owns() == [0, 1, 2]
    assert second.beat() is None
    first.beat()
    second.hear()
    assert (first.owns(), second.owns()) == ([0, 1, 2], [3, 4, 5])
    assert first.epoch == second.epoch


def test_who_waits_without_repeating_what_it_owns_is_moved_on_at_once_too() -> None:
    """The coordinator knows by the number of the answer that was heard what such a member has been told."""
    scene = Scene()
    first = scene.member("a", "orders")
    assert first.beat(owned=None) is None
    second = scene.member("b", "orders")
    assert first.hear() is not None, "it need not wait to learn what it is to give up, in the same epoch"
    assert first.owns() == [0, 1, 2]
    assert second.beat(owned=None) is None
    first.beat()
    assert second.hear() is not None, "nor what has become free for it"
    assert second.owns() == [3, 4, 5]


def test_members_that_leave_are_replaced_at_once() -> None:
    scene = Scene()
    first, second = scene.member("a", "orders"), scene.member("b", "orders")
    settle(first, second)
    left = second.beat(member_epoch=-1)
    assert left is not None and left.member_epoch == -1
    settle(first)
    assert first.owns() == [0, 1, 2, 3, 4, 5]


def test_a_heartbeat_waits_a_second_and_a_newer_one_takes_its_place() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    assert member.beat() is None
    first = len(scene.answers)
    scene.sleep(500)
    assert member.beat() is None  # the earlier one is not answered any more
    scene.sleep(999)
    assert scene.answers[first:] == []
    scene.sleep(1)
    answer = member.hear(first)
    assert answer is not None and answer.assigned is None and answer.member_epoch == member.epoch
    assert len(scene.answers) == first + 1


def test_who_does_not_wait_is_answered_at_once_as_kafkas_clients_want() -> None:
    scene = Scene()
    member = scene.member("a", "orders", wait_ms=0, sequence=-1, owned=None, heard=-1)
    assert member.owns() == [0, 1, 2, 3, 4, 5]
    idle = member.beat(topics=None)
    assert idle is not None and idle.assigned is None and idle.heartbeat_ms == 3_333
    full = member.beat()  # a full heartbeat asks for everything again
    assert full is not None and full.assigned is not None


def test_without_an_id_the_coordinator_makes_one_up() -> None:
    scene = Scene()
    member = scene.member("", "orders")
    answer = scene.newest(member.sender, GroupHeartbeatDone)
    assert answer is not None and len(answer.member) == 22 and answer.assigned is not None


def test_ten_members_of_nine_hundred_partitions_are_even() -> None:
    big = TopicName(TopicId("BIG"), "big", 900)
    scene = Scene(topics=[big])
    members = [scene.member(f"m{n}", "big") for n in range(10)]
    settle(*members)
    assert [len(member.owned) for member in members] == [90] * 10
    assert len(frozenset().union(*(member.owned for member in members))) == 900


def test_range_is_there_for_whoever_wants_it() -> None:
    scene = Scene()
    members = [scene.member(name, "orders", "pens", assignor="range") for name in "ba"]
    settle(*members)
    assert [(member.owns(ORDERS), member.owns(PENS)) for member in members] == [
        ([3, 4, 5], [2, 3]),
        ([0, 1, 2], [0, 1]),
    ]


# --- Subscriptions ---


def test_expressions_match_whole_names_of_topics_that_come_later_too() -> None:
    scene = Scene(topics=[ORDERS])
    member = scene.member("a", pattern="(orders|p.*s)")
    assert (member.owns(ORDERS), member.owns(PENS)) == ([0, 1, 2, 3, 4, 5], [])
    member.beat()
    scene.move(PENS)
    member.hear()
    assert member.owns(PENS) == [0, 1, 2, 3]


def test_an_expression_never_matches_the_clusters_own_topics() -> None:
    scene = Scene()
    member = scene.member("a", pattern=".*")
    assert {topic for topic, _ in member.owned} == {ORDERS.id, PENS.id}


def test_a_topic_that_does_not_exist_yet_is_assigned_when_it_does() -> None:
    scene = Scene(topics=[ORDERS])
    member = scene.member("a", "pens")
    assert member.last is not None and member.last.error is ErrorCode.NONE and member.owned == frozenset()
    member.beat()
    scene.move(PENS)
    member.hear()
    assert member.owns(PENS) == [0, 1, 2, 3]


def test_partitions_that_are_added_are_assigned_and_deleted_topics_are_taken_back() -> None:
    scene = Scene()
    member = scene.member("a", "orders", "pens")
    scene.commit_offset(4, PENS, epoch=member.epoch, member="a")
    member.beat()
    scene.move(TopicName(ORDERS.id, "orders", 8), deleted=[PENS])
    settle(member)
    assert (member.owns(ORDERS), member.owns(PENS)) == ([0, 1, 2, 3, 4, 5, 6, 7], [])
    assert scene.group().offsets == {}


def test_a_member_may_subscribe_to_something_else() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    member.topics = ["pens"]
    settle(member)
    assert (member.owns(ORDERS), member.owns(PENS)) == ([], [0, 1, 2, 3])


def test_what_could_not_be_written_when_topics_moved_is_written_later() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    scene.refuses = ErrorCode.NOT_ENOUGH_REPLICAS
    scene.move(TopicName(ORDERS.id, "orders", 8))
    scene.refuses = ErrorCode.NONE
    scene.sleep(1_001)
    member.beat()
    assert member.owns() == [0, 1, 2, 3, 4, 5, 6, 7]


# --- Epochs ---


def test_a_member_that_nobody_knows_or_that_was_put_out_is_told_so() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    stranger = Member(scene, "x", ["orders"], {})
    answer = stranger.beat(member_epoch=3)
    assert answer is not None and answer.error is ErrorCode.UNKNOWN_MEMBER_ID and "join" in answer.reason
    scene.sleep(10_100)
    answer = member.beat()
    assert answer is not None and answer.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert scene.group().size == 0


@pytest.mark.parametrize("epoch", [1, 7])
def test_an_epoch_that_is_not_the_members_is_fenced(epoch: int) -> None:
    member = Scene().member("a", "orders")
    assert member.epoch == 2
    answer = member.beat(member_epoch=epoch)
    assert answer is not None and answer.error is ErrorCode.FENCED_MEMBER_EPOCH


def test_an_answer_that_was_lost_is_given_again() -> None:
    scene = Scene()
    first = scene.member("a", "orders")
    first.beat()
    second = scene.member("b", "orders")
    settle(first, second)
    epoch, heard = first.epoch, first.heard
    third = scene.member("c", "orders")
    first.sequence += 1  # its heartbeat was answered, and the answer lost: it asks again with the old epoch
    first.epoch, first.heard = epoch, heard
    again = first.beat()
    assert again is not None and again.error is ErrorCode.NONE and again.assigned is not None
    settle(first, second, third)
    assert everything(first, second, third) == [0, 1, 2, 3, 4, 5]


def test_an_old_copy_of_a_heartbeat_is_not_heard() -> None:
    scene = Scene()
    first = scene.member("a", "orders")
    first.beat(owned=[])
    second = scene.member("b", "orders")
    settle(first, second)
    before = scene.group().consumer
    assert before is not None
    owners = dict(before.owners)
    first.sequence, late = 1, first.sequence
    assert first.beat(owned=[], topics=["pens"]) is None
    first.sequence = late
    now = scene.group().consumer
    assert now is not None and (now.owners, now.members["a"].topics) == (owners, ("orders",))


def test_a_request_for_another_term_is_sent_to_look_for_it() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    behind = member.beat(leader_epoch=0)
    assert behind is not None and behind.error is ErrorCode.NOT_COORDINATOR
    ahead = member.beat(leader_epoch=9)
    assert ahead is not None and ahead.error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS


def test_an_assignment_whose_answer_was_lost_is_said_again_to_who_says_nothing_of_what_it_owns() -> None:
    scene = Scene()
    first = scene.member("a", "orders")
    first.beat()
    second = scene.member("b", "orders")
    second.beat()
    epoch, heard = second.epoch, second.heard
    first.hear()
    first.beat()  # it has given up its half, so the other one is told that it has it; the answer is lost
    second.heard = heard
    assert second.epoch == epoch and second.owns() == []
    again = second.beat(owned=None, topics=None)
    assert again is not None and second.owns() == [3, 4, 5]
    assert second.beat(owned=None, topics=None) is None


# --- Who is silent ---


def test_a_member_that_is_silent_for_its_session_is_out() -> None:
    scene = Scene()
    first, second = scene.member("a", "orders"), scene.member("b", "orders")
    settle(first, second)
    for _ in range(11):
        scene.sleep(1_000)
        first.hear()
        first.beat()
    settle(first)
    assert first.owns() == [0, 1, 2, 3, 4, 5]


def test_a_member_whose_connection_closes_is_out_after_its_grace() -> None:
    scene = Scene()
    first, second = scene.member("a", "orders", grace_ms=-1), scene.member("b", "orders", grace_ms=-1)
    settle(first, second)
    scene.close("@b")
    scene.sleep(999)
    assert scene.group().size == 2
    scene.sleep(2)
    assert scene.group().size == 1
    settle(first)
    assert first.owns() == [0, 1, 2, 3, 4, 5]


def test_who_comes_back_on_another_connection_stays() -> None:
    scene = Scene()
    member = scene.member("a", "orders", grace_ms=-1)
    scene.close("@a")
    scene.sleep(900)
    member.sender = "@a2/client"
    member.beat()
    scene.close("@a")  # heard of twice, or late
    scene.sleep(5_000)
    assert scene.group().size == 1


def test_a_connection_that_comes_back_under_the_same_name_may_close_again() -> None:
    scene = Scene()
    member = scene.member("a", "orders", grace_ms=-1)
    scene.close("@a")
    scene.sleep(500)
    member.beat()
    scene.close("@a")
    scene.sleep(1_001)
    assert scene.group().size == 0


def test_without_a_grace_the_end_of_a_connection_means_nothing() -> None:
    scene = Scene()
    scene.member("a", "orders")
    scene.close("@a")
    scene.sleep(9_000)
    assert scene.group().size == 1


def test_who_does_not_give_up_what_it_must_is_out_after_its_rebalance_timeout() -> None:
    scene = Scene()
    first = scene.member("a", "orders", rebalance_timeout_ms=3_000)
    second = scene.member("b", "orders")
    clinging = first.owned
    for _ in range(4):
        first.beat()
        first.owned = clinging
        second.beat()
        scene.sleep(1_000)
    assert list(scene.group().consumer.members) == ["b"]  # type: ignore[union-attr]
    settle(second)
    assert second.owns() == [0, 1, 2, 3, 4, 5]


def test_a_coordinator_that_was_paused_hears_what_has_queued_up_before_it_puts_anybody_out() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    scene.ctx.sleep(15_000)  # nothing runs, timers included
    scene.sleep(0)
    assert scene.group().size == 1
    member.beat()
    scene.sleep(5_000)
    assert scene.group().size == 1


# --- Static members ---


def test_a_static_member_that_comes_back_gets_what_it_had_and_nobody_else_moves() -> None:
    scene = Scene()
    first = scene.member("a", "orders", instance="one")
    second = scene.member("b", "orders", instance="two")
    settle(first, second)
    had, epoch = first.owned, second.epoch
    assert first.beat(member_epoch=-2) is not None
    assert second.beat() is None
    back = scene.member("a2", "orders", instance="one")
    assert back.owned == had
    assert second.hear() is None and second.epoch == epoch
    assert list(scene.group().consumer.static.items()) == [("two", "b"), ("one", "a2")]  # type: ignore[union-attr]


def test_a_static_member_that_was_replaced_is_fenced() -> None:
    scene = Scene()
    old = scene.member("a", "orders", instance="i")
    epoch = old.epoch
    old.beat(member_epoch=-2)
    scene.member("b", "orders", instance="i")
    for said in (epoch, -1, -2):
        answer = old.beat(member_epoch=said)
        assert answer is not None and answer.error is ErrorCode.FENCED_INSTANCE_ID
        assert answer.reason == "i is b in group g now: a was replaced."


def test_a_static_name_is_not_taken_from_who_has_it() -> None:
    scene = Scene()
    scene.member("a", "orders", instance="one")
    thief = scene.member("b", "orders", instance="one")
    assert thief.last is not None and thief.last.error is ErrorCode.UNRELEASED_INSTANCE_ID
    assert "one" in thief.last.reason and "a" in thief.last.reason


def test_a_static_member_whose_connection_is_gone_may_be_replaced() -> None:
    scene = Scene()
    first = scene.member("a", "orders", instance="one", grace_ms=-1)
    scene.close("@a")
    back = scene.member("b", "orders", instance="one")
    assert back.owned == first.owned


def test_a_static_member_that_stays_away_is_out_after_its_session() -> None:
    scene = Scene()
    first = scene.member("a", "orders", instance="one")
    first.beat(member_epoch=-2)
    scene.close("@a")
    scene.sleep(9_900)
    assert scene.group().size == 1
    scene.sleep(200)
    assert scene.group().size == 0


# --- The assignor at the leader ---


def plan(epoch: int, **shares: list[int]) -> Plan:
    return Plan(epoch, [PlanShare(name, [TopicPartitions(ORDERS.id, parts)]) for name, parts in shares.items()])


def test_the_first_member_is_asked_to_plan_and_the_others_get_theirs_at_their_next_heartbeat() -> None:
    scene = Scene()
    first = scene.member("a", "orders", assignor="leader", metadata=b"fast")
    assert first.last is not None and first.last.task is not None
    assert [(member.member, member.metadata) for member in first.last.task.members] == [("a", b"fast")]
    first.beat(plan=plan(first.last.task.group_epoch, a=[0, 1, 2, 3, 4, 5]))
    assert first.owns() == [0, 1, 2, 3, 4, 5]
    assert first.beat() is None
    second = scene.member("b", "orders", assignor="leader")
    assert second.owns() == []
    told = first.hear()
    assert told is not None and told.task is not None
    assert [member.member for member in told.task.members] == ["a", "b"]
    assert [topic.name for topic in told.task.topics] == ["orders"]
    first.beat(plan=plan(told.task.group_epoch, a=[0], b=[1, 2, 3, 4, 5]))
    settle(first, second)
    assert (first.owns(), second.owns()) == ([0], [1, 2, 3, 4, 5])


def test_a_leader_that_plans_nonsense_is_replaced_by_the_next_oldest() -> None:
    scene = Scene()
    first = scene.member("a", "orders", assignor="leader")
    second = scene.member("b", "orders", assignor="leader")
    second.beat()
    first.beat()
    task = first.last.task if first.last is not None else None
    assert task is not None
    first.beat(plan=plan(task.group_epoch, a=[0, 1], b=[1, 2, 3, 4, 5]))
    second.hear()
    assert second.last is not None and second.last.task is not None
    second.beat(plan=plan(task.group_epoch, a=[0, 1, 2, 3, 4], b=[5]))
    settle(first, second)
    assert (first.owns(), second.owns()) == ([0, 1, 2, 3, 4], [5])
    refused = [event.sentence() for event in scene.ctx.events if "instead of" in event.sentence()]
    assert len(refused) == 1 and "asks b" in refused[0]


def test_a_leader_that_plans_nothing_is_replaced_and_at_last_uniform_does_it() -> None:
    scene = Scene()
    members = [scene.member(name, "orders", assignor="leader") for name in "ab"]
    for _ in range(11):
        for member in members:
            member.beat()
        scene.sleep(1_000)
    settle(*members)
    assert [member.owns() for member in members] == [[0, 1, 2], [3, 4, 5]]


def test_a_leader_that_dies_is_replaced_by_the_next_oldest() -> None:
    scene = Scene()
    scene.member("a", "orders", assignor="leader", grace_ms=0)
    second = scene.member("b", "orders", assignor="leader")
    assert second.beat() is None
    scene.close("@a")
    scene.sleep(1)
    told = second.hear()
    assert told is not None and told.task is not None
    assert [member.member for member in told.task.members] == ["b"]


def test_a_plan_for_an_earlier_epoch_is_no_fault_and_not_taken() -> None:
    scene = Scene()
    first = scene.member("a", "orders", assignor="leader")
    task = first.last.task if first.last is not None else None
    assert task is not None
    scene.member("b", "orders", assignor="leader")
    answer = first.beat(plan=plan(task.group_epoch, a=[0, 1, 2, 3, 4, 5]))
    assert answer is not None and answer.task is not None and answer.task.group_epoch == task.group_epoch + 1
    assert first.owned == frozenset()


# --- What is refused, in words ---


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"group": ""}, ErrorCode.INVALID_GROUP_ID, "needs a name"),
        ({"group": "g" * 256}, ErrorCode.INVALID_GROUP_ID, "255"),
        ({"topics": None}, ErrorCode.INVALID_REQUEST, "which topics"),
        ({"assignor": "best"}, ErrorCode.UNSUPPORTED_ASSIGNOR, "uniform, range, leader"),
        ({"pattern": "(a"}, ErrorCode.INVALID_REGULAR_EXPRESSION, "missing )"),
        ({"pattern": "(?=a)"}, ErrorCode.INVALID_REGULAR_EXPRESSION, "RE2"),
        ({"metadata": b"x" * 70_000}, ErrorCode.INVALID_REQUEST, "65536 bytes"),
        ({"instance": "i" * 256}, ErrorCode.INVALID_REQUEST, "255"),
        ({"member_epoch": -3}, ErrorCode.INVALID_REQUEST, "-2 or more"),
        ({"member_epoch": -2}, ErrorCode.INVALID_REQUEST, "static member"),
        ({"member_epoch": -1}, ErrorCode.UNKNOWN_MEMBER_ID, "no member"),
    ],
)
def test_a_heartbeat_that_cannot_be_is_refused_in_words(said: dict[str, object], error: ErrorCode, words: str) -> None:
    scene = Scene()
    member = Member(scene, "a", ["orders"], {})
    member.group = str(said.pop("group", "g"))
    answer = member.beat(**{"member_epoch": 0, **said})
    assert answer is not None
    assert (answer.error, answer.reason.endswith(".")) == (error, True)
    assert words in answer.reason
    assert scene.shard.groups == {}


def test_a_group_has_an_end() -> None:
    scene = Scene(GroupSettings(max_members=2))
    members = [scene.member(name, "orders") for name in "abc"]
    last = members[2].last
    assert last is not None and last.error is ErrorCode.GROUP_MAX_SIZE_REACHED and "2 members" in last.reason
