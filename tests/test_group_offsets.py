"""What a coordinator keeps and forgets: offsets, whole groups, and what is so when its term is over."""

from __future__ import annotations

import pytest
from group_scene import HOME, ORDERS, PENS, Scene, everything, settle

from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_settings import GroupSettings
from barnabas.actors.messages import (
    CommitOffsets,
    DeleteGroup,
    DeleteOffsets,
    DescribeGroup,
    FetchOffsets,
    GroupDeleted,
    GroupDescribed,
    OffsetsCommitted,
    OffsetsDeleted,
    OffsetsFetched,
    Partition,
    TopicId,
)
from barnabas.actors.offset_messages import NewOffset

# --- Offsets ---


def test_a_member_commits_in_its_epoch_and_nobody_else_does() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    assert scene.commit_offset(5, member="a", epoch=member.epoch).partitions[0].error is ErrorCode.NONE
    assert scene.offset() == 5
    for said, error in (
        ({"member": "a", "epoch": member.epoch - 1}, ErrorCode.STALE_MEMBER_EPOCH),
        ({"member": "a", "epoch": member.epoch + 1}, ErrorCode.STALE_MEMBER_EPOCH),
        ({"member": "b", "epoch": member.epoch}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({}, ErrorCode.UNKNOWN_MEMBER_ID),
    ):
        refused = scene.commit_offset(7, **said)
        assert (refused.error, refused.partitions) == (error, []) and refused.reason.endswith(".")
    assert scene.offset() == 5


def test_whoever_was_put_out_commits_nothing_any_more() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    scene.sleep(10_100)
    refused = scene.commit_offset(7, member="a", epoch=member.epoch)
    assert refused.error is ErrorCode.UNKNOWN_MEMBER_ID
    assert scene.offset() == -1


def test_offsets_of_a_group_without_members_are_reset_from_outside() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    scene.commit_offset(5, member="a", epoch=member.epoch)
    refused = scene.commit_offset(0)
    assert refused.error is ErrorCode.UNKNOWN_MEMBER_ID and "until they have left" in refused.reason
    member.beat(member_epoch=-1)
    assert scene.commit_offset(0).error is ErrorCode.NONE
    assert scene.offset() == 0


def test_a_simple_consumer_commits_without_a_group() -> None:
    scene = Scene()
    assert scene.commit_offset(3).error is ErrorCode.NONE
    assert (scene.offset(), scene.offset(index=1)) == (3, -1)
    assert scene.commit_offset(3, epoch=4).error is ErrorCode.ILLEGAL_GENERATION


@pytest.mark.parametrize(
    ("new", "error", "words"),
    [
        ({"offset": -1}, ErrorCode.OFFSET_OUT_OF_RANGE, "begin at 0"),
        ({"partition": Partition(ORDERS.id, 6)}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no orders-6"),
        ({"partition": Partition(TopicId("X"), 0)}, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no topic"),
        ({"metadata": "x" * 4097}, ErrorCode.OFFSET_METADATA_TOO_LARGE, "4096"),
    ],
)
def test_an_offset_that_cannot_be_is_refused_in_words_and_the_others_are_kept(
    new: dict[str, object], error: ErrorCode, words: str
) -> None:
    scene = Scene()
    bad = NewOffset(**{"partition": Partition(ORDERS.id, 0), "offset": 1, **new})  # type: ignore[arg-type]
    done = scene.commit_offset(0, offsets=[bad, NewOffset(Partition(PENS.id, 1), 9, 4, "note")])
    assert [outcome.error for outcome in done.partitions] == [error, ErrorCode.NONE]
    assert words in done.partitions[0].reason
    fetched = scene.ask(FetchOffsets(1, "g", -1), OffsetsFetched).offsets
    assert [(kept.partition, kept.offset, kept.leader_epoch, kept.metadata) for kept in fetched] == [
        (Partition(PENS.id, 1), 9, 4, "note")
    ]


def test_a_member_takes_its_offset_back_and_the_next_coordinator_knows_none() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    scene.commit_offset(7, member="a", epoch=member.epoch, sequence=1)
    back = [NewOffset(Partition(ORDERS.id, index), -2, forget=True) for index in (0, 1)]
    done = scene.commit_offset(0, member="a", epoch=member.epoch, sequence=2, offsets=back)
    assert [outcome.error for outcome in done.partitions] == [ErrorCode.NONE] * 2, "also where there was none"
    assert scene.ask(FetchOffsets(1, "g", -1), OffsetsFetched).offsets == []
    scene.lose()
    scene.crash()
    scene.begin()
    scene.sleep(10)
    assert scene.ask(FetchOffsets(1, "g", -1), OffsetsFetched).offsets == []


def test_an_old_copy_of_a_commit_takes_nothing_back() -> None:
    scene = Scene()
    member = scene.member("a", "orders")
    for sequence, offset in ((1, 10), (2, 20)):
        scene.commit_offset(offset, member="a", epoch=member.epoch, sequence=sequence)
    late = CommitOffsets(1, "g", 1, "a", member.epoch, [NewOffset(Partition(ORDERS.id, 0), 10)], sequence=1)
    scene.hear(late, "@c/client")
    assert scene.offset() == 20


def test_a_change_from_outside_that_comes_twice_is_made_once() -> None:
    scene = Scene()
    reset = CommitOffsets(4711, "g", scene.epoch, "", -1, [NewOffset(Partition(ORDERS.id, 0), 0)])
    assert scene.ask(reset, OffsetsCommitted).error is ErrorCode.NONE
    member = scene.member("a", "orders")
    scene.commit_offset(9, member="a", epoch=member.epoch)
    assert scene.ask(reset, OffsetsCommitted).error is ErrorCode.NONE  # the first answer may have been lost
    member.beat(member_epoch=-1)
    assert scene.ask(reset, OffsetsCommitted).error is ErrorCode.NONE  # an old copy, when it would be possible again
    assert scene.offset() == 9
    gone = DeleteGroup(4712, "g", scene.epoch)
    assert scene.ask(gone, GroupDeleted).error is ErrorCode.NONE
    scene.commit_offset(3)
    assert scene.ask(gone, GroupDeleted).error is ErrorCode.NONE
    assert scene.offset() == 3


def test_offsets_of_topics_that_members_read_are_not_deleted() -> None:
    scene = Scene()
    scene.commit_offset(1, ORDERS)
    scene.commit_offset(1, PENS)
    scene.member("a", "orders")
    asked = DeleteOffsets(1, "g", -1, [Partition(ORDERS.id, 0), Partition(PENS.id, 0), Partition(PENS.id, 1)])
    done = scene.ask(asked, OffsetsDeleted)
    errors = [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE, ErrorCode.NONE]
    assert [outcome.error for outcome in done.partitions] == errors
    assert list(scene.group().offsets) == [Partition(ORDERS.id, 0)]
    missing = scene.ask(DeleteOffsets(1, "x", -1, []), OffsetsDeleted)
    assert missing.error is ErrorCode.GROUP_ID_NOT_FOUND


# --- Administration ---


def test_a_group_is_described_and_deleted_when_it_has_no_members() -> None:
    scene = Scene()
    member = scene.member("a", "orders", client_id="app", host="here")
    scene.commit_offset(1, member="a", epoch=member.epoch)
    seen = scene.ask(DescribeGroup(1, "g", -1), GroupDescribed).picture
    assert seen is not None and (seen.kind, seen.state, seen.protocol, seen.leader) == (
        "consumer",
        "Stable",
        "uniform",
        "a",
    )
    assert [(each.member, each.client_id, each.host, each.epoch) for each in seen.members] == [("a", "app", "here", 2)]
    refused = scene.ask(DeleteGroup(1, "g", -1), GroupDeleted)
    assert refused.error is ErrorCode.NON_EMPTY_GROUP and "a member" in refused.reason
    member.beat(member_epoch=-1)
    assert scene.ask(DeleteGroup(1, "g", -1), GroupDeleted).error is ErrorCode.NONE
    assert scene.shard.groups == {}
    for asked, kind in ((DescribeGroup(1, "g", -1), GroupDescribed), (DeleteGroup(1, "g", -1), GroupDeleted)):
        answer = scene.ask(asked, kind)
        assert answer.error is ErrorCode.GROUP_ID_NOT_FOUND and "no group g" in answer.reason


# --- Terms ---


def test_nothing_is_said_before_it_is_committed() -> None:
    scene = Scene()
    scene.held = True
    member = scene.member("a", "orders")
    assert member.last is None and scene.answers == []
    scene.commit()
    assert member.hear() is not None and member.owns() == [0, 1, 2, 3, 4, 5]


def test_what_waits_for_its_commit_for_too_long_is_told_that_nobody_knows() -> None:
    scene = Scene()
    scene.held = True
    asked = CommitOffsets(1, "g", -1, "", -1, [NewOffset(Partition(ORDERS.id, 0), 3)])
    scene.hear(asked, "@c/client")
    scene.sleep(5_000)
    answer = scene.newest("@c/client", OffsetsCommitted)
    assert answer is not None and answer.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    scene.commit()
    assert scene.offset() == 3


def test_when_the_term_is_over_all_who_wait_are_sent_elsewhere() -> None:
    scene = Scene()
    waiting = scene.member("a", "orders")
    waiting.beat()
    scene.held = True
    joining = scene.member("b", "orders")
    scene.lose()
    for member in (waiting, joining):
        answer = member.hear()
        assert answer is not None and answer.error is ErrorCode.NOT_COORDINATOR
    assert HOME not in scene.groups.shards
    scene.sleep(60_000)


def test_the_next_coordinator_knows_what_was_committed_and_nothing_else() -> None:
    scene = Scene()
    first, second = scene.member("a", "orders"), scene.member("b", "orders")
    settle(first, second)
    scene.commit_offset(5, member="a", epoch=first.epoch)
    before = scene.group()
    scene.held = True
    third = scene.member("c", "orders")
    scene.lose()
    scene.crash()
    scene.held = False
    scene.begin()
    scene.sleep(10)
    after = scene.group()
    assert after.consumer is not None and before.consumer is not None
    assert list(after.consumer.members) == ["a", "b"] and third.name not in after.consumer.members
    assert scene.offset() == 5
    settle(first, second)
    assert everything(first, second) == [0, 1, 2, 3, 4, 5]


def test_while_it_is_read_everybody_is_asked_to_come_again() -> None:
    scene = Scene()
    for offset in range(40):
        scene.commit_offset(offset)
    scene.begin()
    asked = FetchOffsets(1, "g", -1, [Partition(ORDERS.id, 0)])
    assert scene.ask(asked, OffsetsFetched).error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    scene.sleep(50)
    assert scene.offset() == 39


def test_without_its_lease_it_says_nothing_but_that_it_may_be_replaced() -> None:
    scene = Scene()
    scene.groups._lease_until = scene.ctx.now + 1_000  # type: ignore[assignment]
    member = scene.member("a", "orders")
    scene.ctx.sleep(1_001)
    refused = scene.commit_offset(5, member="a", epoch=member.epoch)
    assert refused.error is ErrorCode.NOT_COORDINATOR and "lost touch" in refused.reason
    scene.sleep(20_000)
    scene.lease()
    assert scene.group().size == 1  # nobody could be heard: everybody has a whole session again
    scene.sleep(9_000)
    assert scene.group().size == 1


def test_what_cannot_be_written_changes_nothing_and_is_said_in_words() -> None:
    scene = Scene()
    scene.refuses = ErrorCode.NOT_ENOUGH_REPLICAS
    member = scene.member("a", "orders")
    assert member.last is not None and member.last.error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert scene.shard.groups == {}
    scene.refuses = ErrorCode.NONE
    member.epoch = 0
    member.beat()
    assert member.owns() == [0, 1, 2, 3, 4, 5]
    scene.refuses = ErrorCode.NOT_ENOUGH_REPLICAS
    scene.sleep(11_000)  # it is silent, and cannot be put out
    assert scene.group().size == 1
    scene.refuses = ErrorCode.NONE
    scene.sleep(1_100)
    assert scene.group().size == 0


def test_a_group_that_nobody_needed_for_the_retention_time_is_forgotten() -> None:
    scene = Scene(GroupSettings(retention_ms=60_000, observed_ms=30_000))
    member = scene.member("a", "orders")
    scene.commit_offset(5, member="a", epoch=member.epoch)
    for _ in range(100):
        scene.sleep(1_000)
        member.beat()
    assert scene.offset() == 5  # it has a member
    member.beat(member_epoch=-1)
    scene.sleep(59_000)
    assert scene.offset() == 5
    scene.sleep(4_000)
    assert scene.shard.groups == {}


def test_a_wall_clock_that_jumps_expires_nothing_at_once() -> None:
    scene = Scene(GroupSettings(retention_ms=60_000, observed_ms=30_000))
    scene.commit_offset(5)
    scene.ctx._wall = scene.ctx._wall + 10**12  # type: ignore[assignment]
    scene.begin()
    scene.sleep(29_000)
    assert scene.offset() == 5
