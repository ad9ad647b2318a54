"""Kafka's classic protocol: everybody joins, one assigns, everybody fetches its part; and what if somebody does not."""

from __future__ import annotations

import pytest
from classic_scene import RANGE, STICKY, Classic, formed
from group_scene import ORDERS, Scene

from barnabas.actors.classic_messages import JoinProtocol, LeavingMember
from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_settings import GroupSettings
from barnabas.actors.messages import (
    CommitOffsets,
    DeleteGroup,
    DescribeGroup,
    GroupDeleted,
    GroupDescribed,
    GroupHeartbeat,
    GroupHeartbeatDone,
    GroupJoined,
    GroupLeft,
    GroupsListed,
    JoinGroup,
    LeaveGroup,
    ListGroups,
    Partition,
)
from barnabas.actors.offset_messages import NewOffset

SUBSCRIPTION = b"\x00\x01" + (1).to_bytes(4, "big") + (6).to_bytes(2, "big") + b"orders" + b"\xff\xff\xff\xff"


# --- Rounds ---


def test_the_first_member_gets_an_id_joins_leads_and_assigns() -> None:
    scene = Scene()
    member = Classic(scene, "a")
    answer = member.join()
    assert answer is not None and (answer.error, answer.generation) == (ErrorCode.NONE, 1)
    assert (answer.leader, answer.protocol, answer.protocol_type) == (member.member, "range", "consumer")
    assert [(each.member, each.metadata) for each in answer.members] == [(member.member, b"range of it")]
    synced = member.sync(**{member.member: b"all"})
    assert synced is not None and (synced.error, synced.assignment, synced.protocol) == (
        ErrorCode.NONE,
        b"all",
        "range",
    )
    assert member.beat() is ErrorCode.NONE


def test_who_has_joined_waits_until_all_have_and_who_has_synced_until_the_leader_has() -> None:
    scene = Scene()
    [first] = formed(scene, "a")
    second = Classic(scene, "b")
    assert second.join() is None
    assert first.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert first.sync() is not None and first.synced().error is ErrorCode.REBALANCE_IN_PROGRESS  # type: ignore[union-attr]
    assert first.join() is not None
    second.joined()
    assert first.generation == second.generation == 2
    assert second.joined().members == []  # type: ignore[union-attr]
    assert second.sync() is None
    first.sync(**{first.member: b"1", second.member: b"2"})
    assert second.synced().assignment == b"2"  # type: ignore[union-attr]


def test_the_protocol_is_one_that_all_know_and_most_prefer() -> None:
    scene = Scene()
    first, second = Classic(scene, "a", protocols=[RANGE, STICKY]), Classic(scene, "b", protocols=[STICKY])
    first.join()
    second.join()
    first.join()
    assert (first.joined().protocol, second.joined().protocol) == ("sticky", "sticky")  # type: ignore[union-attr]
    third = Classic(scene, "c", protocols=[RANGE])
    refused = third.join()
    assert refused is not None and refused.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_somebody_who_leaves_makes_the_others_join_again_and_the_last_one_leaves_the_group_empty() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    assert [left.error for left in second.leave()] == [ErrorCode.NONE]
    assert first.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert first.join() is not None and first.generation == 3
    first.sync()
    assert [left.error for left in first.leave()] == [ErrorCode.NONE]
    assert [left.error for left in first.leave()] == [ErrorCode.UNKNOWN_MEMBER_ID]
    assert scene.group().classic.members == []  # type: ignore[union-attr]
    assert scene.group().classic.stamp > 0  # type: ignore[union-attr]


def test_the_leadership_goes_to_whoever_has_been_in_the_group_for_longest() -> None:
    scene = Scene()
    first, second, third = formed(scene, "a", "b", "c")
    first.leave()
    third.join()
    second.join()
    assert second.joined().leader == third.joined().leader == second.member  # type: ignore[union-attr]


def test_a_member_that_missed_its_answer_is_told_again_and_nobody_rebalances() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    again = second.join()
    assert again is not None and again.generation == second.generation == 2
    assert first.beat() is ErrorCode.NONE
    assert second.sync().assignment == b"b"  # type: ignore[union-attr]


def test_a_leader_that_joins_again_wants_a_rebalance() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    assert first.join() is None
    assert second.beat() is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_new_group_may_wait_for_more_members() -> None:
    scene = Scene(GroupSettings(join_delay_ms=500))
    first, second = Classic(scene, "a"), Classic(scene, "b")
    assert first.join() is None
    scene.sleep(300)
    assert second.join() is None
    scene.sleep(200)
    assert first.joined() is not None and second.joined() is not None
    assert first.generation == second.generation == 1


# --- Clocks ---


def test_who_does_not_join_in_time_is_out() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    third = Classic(scene, "c")
    third.join()
    first.join()
    for _ in range(6):
        scene.sleep(5_000)
        second.beat()
    assert first.joined() is not None and third.joined() is not None
    assert second.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_who_joins_and_does_not_sync_is_out_and_does_not_hold_up_the_others() -> None:
    scene = Scene()
    [first] = formed(scene, "a")
    second = Classic(scene, "b")
    second.join()
    first.join()
    second.joined()
    first.sync(**{first.member: b"1", second.member: b"2"})  # the other one never does
    for _ in range(6):
        scene.sleep(5_000)
        assert second.beat() in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.UNKNOWN_MEMBER_ID)
        first.beat()
    assert second.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    assert first.join() is not None
    assert first.sync(**{first.member: b"all"}).assignment == b"all"  # type: ignore[union-attr]


def test_a_leader_that_does_not_assign_is_out_and_another_one_does() -> None:
    scene = Scene()
    [first] = formed(scene, "a")
    second = Classic(scene, "b")
    second.join()
    first.join()
    second.joined()
    assert second.sync() is None
    for _ in range(6):
        scene.sleep(5_000)
        first.beat()
    assert second.synced().error is ErrorCode.REBALANCE_IN_PROGRESS  # type: ignore[union-attr]
    assert second.join() is not None and second.joined().leader == second.member  # type: ignore[union-attr]
    assert first.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_silent_member_is_out_after_its_session_or_when_its_connection_closes_after_its_grace() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    scene.sleep(9_000)
    first.beat()
    scene.sleep(1_500)
    assert first.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert second.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    first.join(grace_ms=-1)
    scene.close("@a")
    scene.sleep(1_100)
    assert first.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_join_whose_connection_closes_does_not_count_as_one() -> None:
    scene = Scene()
    [first] = formed(scene, "a")
    second = Classic(scene, "b")
    second.join()
    scene.close("@b")
    assert first.join() is None
    scene.sleep(9_999)
    assert first.joined() is None
    scene.sleep(2)
    assert first.joined() is not None and first.generation == 2


def test_an_id_that_nobody_comes_back_with_is_forgotten() -> None:
    scene = Scene()
    [first] = formed(scene, "a")
    stranger = JoinGroup(1, "g", -1, "", 6_000, 30_000, "consumer", [RANGE], needs_id=True)
    assert scene.ask(stranger, GroupJoined).error is ErrorCode.MEMBER_ID_REQUIRED
    assert first.join() is None  # it rebalances, and somebody is expected
    scene.sleep(6_100)
    assert first.joined() is not None


# --- Static members ---


def test_a_static_member_that_comes_back_is_put_in_its_place_and_nobody_rebalances() -> None:
    scene = Scene()
    leader, old = Classic(scene, "a"), Classic(scene, "b", instance="two")
    leader.join()
    old.join()
    leader.join()
    old.joined()
    old.sync()
    leader.sync(**{leader.member: b"1", old.member: b"2"})
    new = Classic(scene, "c", instance="two")
    answer = new.join()
    assert answer is not None and (answer.error, answer.generation) == (ErrorCode.NONE, 2)
    assert new.member != old.member
    assert new.sync().assignment == b"2"  # type: ignore[union-attr]
    assert leader.beat() is ErrorCode.NONE
    assert old.beat() is ErrorCode.FENCED_INSTANCE_ID
    assert old.commit(5).error is ErrorCode.FENCED_INSTANCE_ID
    fenced = old.join()
    assert fenced is not None and fenced.error is ErrorCode.FENCED_INSTANCE_ID and "two" in fenced.reason
    assert new.commit(5).error is ErrorCode.NONE


@pytest.mark.parametrize("skips", [True, False])
def test_a_static_leader_that_comes_back_need_not_assign(skips: bool) -> None:
    scene = Scene()
    formed(scene, "a", instance="one")
    new = Classic(scene, "b", instance="one")
    answer = new.join(skips=skips)
    assert answer is not None and answer.skip_assignment is skips
    assert (answer.leader == new.member, len(answer.members)) == (skips, int(skips))
    assert new.sync().assignment == b"a"  # type: ignore[union-attr]


def test_a_static_member_that_wants_something_else_makes_everybody_join() -> None:
    scene = Scene()
    leader = formed(scene, "a", instance="one")[0]
    new = Classic(scene, "b", instance="one", protocols=[JoinProtocol("range", b"other")])
    answer = new.join()
    assert answer is not None and answer.generation == leader.generation + 1


def test_a_static_member_leaves_by_its_name() -> None:
    scene = Scene()
    formed(scene, "a", instance="one")
    wanted = [LeavingMember("", "one"), LeavingMember("", "two"), LeavingMember("x", "")]
    left = scene.ask(LeaveGroup(1, "g", -1, wanted), GroupLeft).members
    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    assert [each.error for each in left] == [ErrorCode.NONE, unknown, unknown]


# --- Offsets ---


def test_commits_are_fenced_by_the_generation() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    assert second.commit(5).error is ErrorCode.NONE
    for said, error in (
        ({"epoch": 1}, ErrorCode.ILLEGAL_GENERATION),
        ({"epoch": 3}, ErrorCode.ILLEGAL_GENERATION),
        ({"member": "x"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member": "", "epoch": -1}, ErrorCode.UNKNOWN_MEMBER_ID),
    ):
        refused = second.commit(7, **said)
        assert refused.error is error and refused.reason.endswith(".")
    third = Classic(scene, "c")
    third.join()
    assert second.commit(6).error is ErrorCode.NONE  # the old generation's last word, while the new one gathers
    first.join()
    second.join()
    third.joined()
    assert third.commit(9).error is ErrorCode.REBALANCE_IN_PROGRESS
    assert scene.offset() == 6


def test_a_zombie_of_an_earlier_generation_commits_nothing() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    generation = second.generation
    scene.sleep(9_000)
    first.beat()
    scene.sleep(2_000)
    first.join()
    first.sync()
    assert second.commit(5, epoch=generation).error is ErrorCode.UNKNOWN_MEMBER_ID
    assert scene.offset() == -1


# --- Two protocols, terms, bounds ---


def test_a_group_with_members_does_not_change_its_protocol_and_one_without_does() -> None:
    scene = Scene()
    [member] = formed(scene, "a")
    member.commit(5)
    beat = GroupHeartbeat(1, "g", -1, "n", 0, topics=["orders"])
    refused = scene.ask(beat, GroupHeartbeatDone)
    assert refused.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL and "no members" in refused.reason
    member.leave()
    native = scene.member("n", "orders")
    assert native.owns() == [0, 1, 2, 3, 4, 5]
    assert scene.offset() == 5 and scene.group().classic is None
    back = Classic(scene, "b").join()
    assert back is not None and back.error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL and "no members" in back.reason
    native.beat(member_epoch=-1)
    formed(scene, "c")
    assert scene.offset() == 5 and scene.group().consumer is None


def test_the_next_coordinator_knows_the_last_complete_generation() -> None:
    scene = Scene()
    first, second = formed(scene, "a", "b")
    third = Classic(scene, "c")
    third.join()  # not complete
    scene.lose()
    assert third.joined().error is ErrorCode.NOT_COORDINATOR  # type: ignore[union-attr]
    scene.begin()
    scene.sleep(5)
    assert (first.beat(), second.beat()) == (ErrorCode.NONE, ErrorCode.NONE)
    assert second.sync().assignment == b"b"  # type: ignore[union-attr]
    assert third.beat(2) is ErrorCode.UNKNOWN_MEMBER_ID
    third.member = ""
    assert third.join() is None
    assert first.join() is None and second.join() is not None
    assert {first.joined().generation, third.joined().generation} == {3}  # type: ignore[union-attr]


def test_a_generation_that_cannot_be_written_never_was() -> None:
    scene = Scene()
    first = Classic(scene, "a")
    first.join()
    scene.refuses = ErrorCode.NOT_ENOUGH_REPLICAS
    refused = first.sync(**{first.member: b"all"})
    assert refused is not None and refused.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    scene.refuses = ErrorCode.NONE
    assert first.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert first.join() is not None
    assert first.sync(**{first.member: b"all"}).assignment == b"all"  # type: ignore[union-attr]


def test_it_is_listed_and_described_while_it_forms_and_deleted_when_it_is_empty() -> None:
    scene = Scene()
    member = Classic(scene, "a", protocols=[JoinProtocol("range", SUBSCRIPTION)])
    member.join()
    listed = scene.ask_any(ListGroups(1), GroupsListed)
    assert [(each.group, each.kind, each.state, each.protocol_type) for each in listed.groups] == [
        ("g", "classic", "CompletingRebalance", "consumer")
    ]
    member.sync(**{member.member: b"all"})
    picture = scene.ask(DescribeGroup(1, "g", -1), GroupDescribed).picture
    assert picture is not None and (picture.state, picture.protocol, picture.epoch) == ("Stable", "range", 1)
    assert [(each.client_id, each.host, each.metadata, each.assignment) for each in picture.members] == [
        ("a", "here", SUBSCRIPTION, b"all")
    ]
    assert scene.ask_any(ListGroups(1, ["empty"]), GroupsListed).groups == []
    assert len(scene.ask_any(ListGroups(1, ["STABLE"], ["classic"]), GroupsListed).groups) == 1
    assert scene.ask(DeleteGroup(1, "g", -1), GroupDeleted).error is ErrorCode.NON_EMPTY_GROUP
    member.leave()
    assert scene.ask(DeleteGroup(1, "g", -1), GroupDeleted).error is ErrorCode.NONE
    assert scene.ask_any(ListGroups(1), GroupsListed).groups == []


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"session_timeout_ms": 1}, ErrorCode.INVALID_SESSION_TIMEOUT, "100 to 1800000"),
        ({"protocols": []}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "at least one protocol"),
        ({"protocol_type": ""}, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, "type of its protocol"),
        ({"member": "x"}, ErrorCode.UNKNOWN_MEMBER_ID, "no member"),
        ({"protocols": [JoinProtocol("range", b"x" * 70_000)]}, ErrorCode.INVALID_REQUEST, "65536"),
        ({"instance": "i" * 300}, ErrorCode.INVALID_REQUEST, "255"),
    ],
)
def test_a_join_that_cannot_be_is_refused_in_words(said: dict[str, object], error: ErrorCode, words: str) -> None:
    scene = Scene()
    refused = Classic(scene, "a").join(**said)
    assert refused is not None and refused.error is error and words in refused.reason
    assert scene.ask_any(ListGroups(1), GroupsListed).groups == []


def test_a_group_has_an_end() -> None:
    scene = Scene(GroupSettings(max_members=2))
    formed(scene, "a", "b")
    refused = Classic(scene, "c").join()
    assert refused is not None and refused.error is ErrorCode.GROUP_MAX_SIZE_REACHED and "2 members" in refused.reason


def test_members_of_whom_nothing_is_written_yet_keep_the_offsets() -> None:
    scene = Scene(GroupSettings(retention_ms=20_000, observed_ms=20_000))
    scene.hear(CommitOffsets(1, "g", -1, "", -1, [NewOffset(Partition(ORDERS.id, 0), 3)]), "@c/client")
    member = Classic(scene, "a")
    member.join()  # it never syncs for longer than the retention
    for _ in range(5):
        scene.sleep(5_000)
        member.beat()
    assert scene.offset() == 3
