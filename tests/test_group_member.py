"""A member of a group, told everything that a coordinator may say, in every order.

The coordinator is played by hand: `heard` takes what the member said, `answer` answers the newest heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence

from recording import Recording

from barnabas.actors.client_commands import Failure
from barnabas.actors.coordinator_link import CoordinatorLink
from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_member import ANSWER_MS, BRISK_MS, UNRELEASED_MS, GroupMember, MemberSettings
from barnabas.actors.group_messages import JOINING, LEAVING, LEAVING_FOR_A_WHILE, Plan, PlanTask, TopicPartitions
from barnabas.actors.internal_topics import GROUP_OFFSETS
from barnabas.actors.kernel import Actor, Context, Timer
from barnabas.actors.leadership import Leaderships
from barnabas.actors.messages import (
    BrokerPlace,
    CommitOffsets,
    FindCoordinator,
    GroupHeartbeat,
    GroupHeartbeatDone,
    Leadership,
    Partition,
    PartitionLeader,
    TopicId,
    TopicName,
)

OFFSETS = TopicId("offsets")
T = TopicId("t-id")
P0, P1, P2 = (Partition(T, index) for index in range(3))


class Scene(Actor):
    """One member, and everything that it tells its application."""

    def __init__(self, planner: object = None, **settings: object) -> None:
        self.ctx = Recording()
        self.leaderships = Leaderships(["b1"])
        self.told: list[tuple[str, object]] = []
        self.leases: list[int] = []
        link = CoordinatorLink("g", self.leaderships)
        self.member = GroupMember(MemberSettings("g", **settings), link, self, planner)  # type: ignore[arg-type]
        self.offset = 0
        self.leaderships.start(self.ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        assert self.leaderships.on_timer(timer, ctx) or self.member.on_timer(timer, ctx)

    def led_by(self, leader: int) -> None:
        self.offset += 1
        leaders = [PartitionLeader(Partition(OFFSETS, index), leader, self.offset) for index in range(12)]
        topics = [TopicName(OFFSETS, GROUP_OFFSETS, 12)]
        brokers = [BrokerPlace(1, "b1"), BrokerPlace(2, "b2")]
        digest = Leadership(0, ErrorCode.NONE, "c", self.offset, brokers, topics, leaders)
        if self.member.link.concerns(self.leaderships.on_message(digest, self.ctx)):
            self.member.poke(self.ctx)

    def joined(self, *partitions: Partition) -> GroupHeartbeat:
        """The member has joined and owns these, and the coordinator has heard so; its parked heartbeat."""
        self.led_by(1)
        self.member.subscribe(["t"], "", self.ctx)
        self.answer(epoch=1, assigned=partitions)
        if partitions:
            self.answer(epoch=1)
        self.told.clear()
        return self.beat()

    def beat(self) -> GroupHeartbeat:
        """The newest heartbeat."""
        return self.ctx.take(GroupHeartbeat)[-1]

    def answer(
        self,
        epoch: int = 1,
        error: ErrorCode = ErrorCode.NONE,
        assigned: Sequence[Partition] | None = None,
        to: GroupHeartbeat | None = None,
        task: PlanTask | None = None,
    ) -> None:
        beat = to or self.beat()
        shares = None if assigned is None else [TopicPartitions(T, [p.index for p in assigned])]
        done = GroupHeartbeatDone(
            beat.id,
            error,
            "a reason" if error is not ErrorCode.NONE else "",
            beat.member,
            epoch,
            assigned=shares,
            topics=[TopicName(T, "t", 3)],
            sequence=beat.sequence,
            task=task,
            session_ms=10_000,
        )
        self.member.on_answer(done, self.ctx)

    # The member's outlet.

    def assigned(self, partitions: Sequence[Partition], ctx: Context) -> None:
        self.told.append(("assigned", list(partitions)))

    def heard(self, lease_ms: int, ctx: Context) -> None:
        self.leases.append(lease_ms)

    def revoke(self, partitions: Sequence[Partition], ctx: Context) -> None:
        self.told.append(("revoke", list(partitions)))

    def lost(self, partitions: Sequence[Partition], reason: str, ctx: Context) -> None:
        self.told.append(("lost", list(partitions)))

    def refused(self, failure: Failure, ctx: Context) -> None:
        self.told.append(("refused", failure.error))

    def left(self, ctx: Context) -> None:
        self.told.append(("left", None))


def owned(beat: GroupHeartbeat) -> list[Partition]:
    assert beat.owned is not None, "it says what it owns"
    return [Partition(of.topic, index) for of in beat.owned for index in of.partitions]


def test_a_member_joins_under_a_name_of_its_own_and_says_what_it_wants() -> None:
    scene = Scene()
    scene.led_by(1)
    scene.member.subscribe(["t"], "x.*", scene.ctx)
    beat = scene.beat()
    assert beat.member_epoch == JOINING
    assert beat.member == scene.member.member != ""
    assert beat.topics == ["t"]
    assert beat.pattern == "x.*"
    assert owned(beat) == []
    assert beat.wait_ms == 0, "who joins wants to know"


def test_what_is_assigned_is_the_members_at_once_and_it_says_so() -> None:
    scene = Scene()
    scene.led_by(1)
    scene.member.subscribe(["t"], "", scene.ctx)
    scene.answer(epoch=1, assigned=[P0, P1])
    assert scene.told == [("assigned", [P0, P1])]
    beat = scene.beat()
    assert beat.member_epoch == 1
    assert owned(beat) == [P0, P1]


def test_once_it_was_heard_a_member_waits_and_repeats_nothing() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    assert beat.wait_ms > 0
    assert beat.topics is None
    assert beat.owned is None


def test_what_an_answer_lacks_is_given_up_first_and_told_when_it_is() -> None:
    scene = Scene()
    scene.joined(P0, P1)
    scene.member.poke(scene.ctx)
    scene.answer(epoch=1, assigned=[P0])
    assert scene.told == [("revoke", [P1])]
    assert P1 in scene.member.owned
    while_it_lasts = scene.ctx.take(GroupHeartbeat)
    assert all(beat.owned is None for beat in while_it_lasts)
    scene.member.released([P1], scene.ctx)
    assert owned(scene.beat()) == [P0]


def test_a_partition_that_comes_back_while_it_is_given_up_is_assigned_anew_afterwards() -> None:
    scene = Scene()
    scene.joined(P0)
    scene.member.poke(scene.ctx)
    scene.answer(epoch=1, assigned=[])
    scene.answer(epoch=2, assigned=[P0])
    assert scene.told == [("revoke", [P0])]
    scene.member.released([P0], scene.ctx)
    assert scene.told[-1] == ("assigned", [P0])


def test_an_expelled_member_has_lost_everything_and_joins_anew() -> None:
    for error in (ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID):
        scene = Scene()
        before = scene.joined(P0, P1)
        scene.answer(error=error, to=before)
        assert scene.told == [("lost", [P0, P1])]
        beat = scene.beat()
        assert beat.member_epoch == JOINING
        assert beat.member == before.member
        assert owned(beat) == []
        assert beat.topics == ["t"]


def test_what_is_given_up_after_it_was_lost_is_nothing() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    scene.answer(epoch=1, assigned=[], to=beat)
    scene.answer(error=ErrorCode.FENCED_MEMBER_EPOCH)
    scene.answer(epoch=5, assigned=[P0])
    scene.answer(epoch=5)
    scene.member.released([P0], scene.ctx)  # the application's answer to the revocation of its earlier life
    assert P0 in scene.member.owned


def test_the_answer_to_an_older_heartbeat_does_not_count() -> None:
    scene = Scene()
    old = scene.joined(P0)
    scene.member.poke(scene.ctx)
    scene.answer(epoch=7, assigned=[], to=old)
    assert scene.told == []
    assert scene.member.epoch == 1


def test_a_commit_between_does_not_make_the_answer_older() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    assert scene.member.commit(5, [], scene.ctx)
    scene.answer(epoch=2, assigned=[P0, P1], to=beat)
    assert scene.told == [("assigned", [P1])]


def test_a_commit_names_the_member_as_it_is_now_and_counts_on() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    assert scene.member.commit(5, [], scene.ctx)
    [commit] = scene.ctx.take(CommitOffsets)
    assert (commit.id, commit.member, commit.epoch) == (5, scene.member.member, 1)
    assert commit.sequence > beat.sequence


def test_who_is_no_member_commits_nothing() -> None:
    scene = Scene()
    scene.led_by(1)
    scene.member.subscribe(["t"], "", scene.ctx)
    assert not scene.member.commit(5, [], scene.ctx)
    assert scene.ctx.take(CommitOffsets) == []


def test_a_heartbeat_that_is_not_answered_is_said_again() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    scene.ctx.sleep(beat.wait_ms + ANSWER_MS - 1, scene)
    assert scene.ctx.take(GroupHeartbeat) == []
    scene.ctx.sleep(2, scene)
    again = scene.beat()
    assert again.sequence > beat.sequence
    assert again.member_epoch == 1


def test_what_it_says_of_itself_is_repeated_until_it_is_heard() -> None:
    scene = Scene()
    scene.joined(P0, P1)
    scene.member.poke(scene.ctx)
    scene.answer(epoch=1, assigned=[P0])
    scene.ctx.take(GroupHeartbeat)
    scene.member.released([P1], scene.ctx)
    assert owned(scene.beat()) == [P0]
    scene.ctx.sleep(ANSWER_MS + 1, scene)  # lost
    again = scene.beat()
    assert owned(again) == [P0]
    scene.answer(epoch=2, to=again)
    assert scene.beat().owned is None


def test_a_new_coordinator_is_spoken_to_at_once() -> None:
    scene = Scene()
    scene.joined(P0)
    scene.led_by(2)
    [(to, beat)] = [(to, m) for to, m in scene.ctx.sent if isinstance(m, GroupHeartbeat)]
    assert to == "b2/groups"
    assert beat.leader_epoch == 2


def test_a_coordinator_that_loads_is_asked_again_soon() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    scene.answer(error=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, to=beat)
    assert scene.told == []
    scene.ctx.sleep(600, scene)
    assert scene.beat().member_epoch == 1


def test_a_new_coordinator_that_loads_is_asked_again_within_moments_however_long_there_was_none() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    for _ in range(6):
        scene.answer(error=ErrorCode.NOT_COORDINATOR, to=beat)
        scene.ctx.sleep(600, scene)
        beat = scene.beat()
    scene.led_by(2)
    scene.answer(error=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, to=scene.beat())
    scene.ctx.sleep(21, scene)
    assert scene.beat().leader_epoch == 2


def test_without_a_coordinator_one_is_looked_for() -> None:
    scene = Scene()
    scene.member.subscribe(["t"], "", scene.ctx)
    assert len(scene.ctx.take(FindCoordinator)) == 1
    assert scene.ctx.take(GroupHeartbeat) == []
    scene.led_by(1)
    assert scene.beat().member_epoch == JOINING


def test_a_coordinator_that_does_not_let_wait_is_not_asked_in_a_tight_loop() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    scene.answer(epoch=1, to=beat)
    assert scene.ctx.take(GroupHeartbeat) == []
    scene.ctx.sleep(BRISK_MS, scene)
    assert len(scene.ctx.take(GroupHeartbeat)) == 1


def test_a_heartbeat_that_has_waited_is_followed_by_the_next_at_once() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    scene.ctx.sleep(beat.wait_ms, scene)
    scene.answer(epoch=1, to=beat)
    assert len(scene.ctx.take(GroupHeartbeat)) == 1


def test_leaving_is_said_at_once_and_told_when_it_is_known() -> None:
    scene = Scene()
    scene.joined(P0)
    scene.member.leave(1_000, scene.ctx)
    beat = scene.beat()
    assert beat.member_epoch == LEAVING
    assert beat.wait_ms == 0
    assert scene.told == []
    scene.answer(epoch=LEAVING, to=beat)
    assert scene.told == [("left", None)]
    scene.ctx.sleep(5_000, scene)
    assert scene.ctx.take(GroupHeartbeat) == []


def test_a_static_member_leaves_for_a_while() -> None:
    scene = Scene(instance="one")
    scene.joined(P0)
    scene.member.leave(1_000, scene.ctx)
    beat = scene.beat()
    assert beat.member_epoch == LEAVING_FOR_A_WHILE
    assert beat.instance == "one"


def test_leaving_is_repeated_and_given_up_in_time() -> None:
    scene = Scene()
    scene.joined(P0)
    scene.member.leave(1_200, scene.ctx)
    scene.ctx.sleep(1_100, scene)
    assert len(scene.ctx.take(GroupHeartbeat)) > 1
    scene.ctx.sleep(200, scene)
    assert scene.told == [("left", None)]


def test_who_never_joined_leaves_without_a_word() -> None:
    scene = Scene()
    scene.member.leave(1_000, scene.ctx)
    assert scene.told == [("left", None)]
    assert scene.ctx.take(GroupHeartbeat) == []


def test_a_refusal_ends_it_and_is_told() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    scene.answer(error=ErrorCode.UNSUPPORTED_ASSIGNOR, to=beat)
    assert scene.told == [("lost", [P0]), ("refused", ErrorCode.UNSUPPORTED_ASSIGNOR)]
    scene.ctx.sleep(10_000, scene)
    assert scene.ctx.take(GroupHeartbeat) == []


def test_a_static_member_waits_for_its_predecessor_to_end_and_not_for_ever() -> None:
    scene = Scene(instance="one")
    scene.led_by(1)
    scene.member.subscribe(["t"], "", scene.ctx)
    scene.answer(error=ErrorCode.UNRELEASED_INSTANCE_ID)
    assert scene.told == []
    for _ in range(100):
        scene.ctx.sleep(UNRELEASED_MS // 20, scene)
        for beat in scene.ctx.take(GroupHeartbeat)[-1:]:
            scene.answer(error=ErrorCode.UNRELEASED_INSTANCE_ID, to=beat)
    assert scene.told == [("refused", ErrorCode.UNRELEASED_INSTANCE_ID)]


def test_a_static_member_waits_anew_for_its_predecessor_when_another_coordinator_gives_it_a_session_again() -> None:
    """Seed 10065: the coordinators died one after the other, and each began with a whole session for everybody."""
    scene = Scene(instance="one")
    scene.led_by(1)
    scene.member.subscribe(["t"], "", scene.ctx)
    for term in range(4):
        if term % 2:
            scene.led_by(2 - term % 2)
        elif term:
            scene.answer(error=ErrorCode.NOT_COORDINATOR)
        waited = 0
        while waited < UNRELEASED_MS * 0.8:
            scene.ctx.sleep(1_000, scene)
            waited += 1_000
            for beat in scene.ctx.take(GroupHeartbeat)[-1:]:
                scene.answer(error=ErrorCode.UNRELEASED_INSTANCE_ID, to=beat)
        scene.ctx.sleep(1_000, scene)
    assert scene.told == []
    scene.answer()
    assert scene.member.taking_part


def test_the_leader_answers_its_task_until_it_is_heard() -> None:
    plan = Plan(3, [])
    scene = Scene(lambda task: plan)
    beat = scene.joined(P0)
    scene.answer(epoch=1, to=beat, task=PlanTask(3, [], []))
    said = scene.beat()
    assert said.plan == plan
    assert said.wait_ms == 0
    scene.ctx.sleep(ANSWER_MS + 1, scene)
    assert scene.beat().plan == plan


def test_the_lease_of_a_member_counts_from_when_it_spoke() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    assert scene.leases[-1] == 10_000
    scene.ctx.sleep(beat.wait_ms)
    scene.answer(epoch=1, to=beat)
    assert scene.leases[-1] == 10_000 - beat.wait_ms


def test_a_refusal_is_no_lease() -> None:
    scene = Scene()
    beat = scene.joined(P0)
    scene.leases.clear()
    scene.answer(error=ErrorCode.UNKNOWN_MEMBER_ID, to=beat)
    assert scene.leases == []
