"""An admin asks about groups: of one coordinator until it answers, or of all of them."""

from __future__ import annotations

from recording import Recording

from barnabas.actors.client_commands import AskAllCoordinators, AskCoordinator, Failure, Why
from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_admin_messages import CONSUMER, DeleteGroup, DescribeGroup, GroupListing
from barnabas.actors.group_asking import ANSWER_MS, GroupAsking
from barnabas.actors.internal_topics import GROUP_OFFSETS
from barnabas.actors.kernel import Actor, Address, Context, Message, Timer
from barnabas.actors.leadership import Leaderships
from barnabas.actors.messages import (
    BrokerPlace,
    FetchLeadership,
    FindCoordinator,
    GroupDeleted,
    GroupDescribed,
    GroupsListed,
    Leadership,
    ListGroups,
    Partition,
    PartitionLeader,
    TopicId,
    TopicName,
)

TOPIC = TopicId("offsets")


class Admin(Actor):
    """What an admin client is made of, as far as groups are concerned."""

    def __init__(self) -> None:
        self.ctx = Recording()
        self.leaderships = Leaderships(["b1"])
        self.asking = GroupAsking(self.leaderships, self)
        self.answers: dict[object, Message | Failure] = {}
        self.epoch = 0
        self.asking.start(self.ctx)
        self.leaderships.start(self.ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        assert self.leaderships.on_timer(timer, ctx) or self.asking.on_timer(timer, ctx)

    def answered(self, token: object, answer: Message) -> None:
        assert token not in self.answers
        self.answers[token] = answer

    def failed(self, token: object, failure: Failure) -> None:
        assert token not in self.answers
        self.answers[token] = failure

    def led_by(self, *leaders: int, topic: bool = True) -> None:
        """Partition i of the topic is led by the i-th of these, in turn."""
        self.epoch += 1
        asked = self.ctx.take(FetchLeadership)
        digest = Leadership(
            asked[-1].id if asked else 0,
            ErrorCode.NONE,
            cluster_id="c",
            offset=self.epoch,
            brokers=[BrokerPlace(broker, f"b{broker}") for broker in (1, 2, 3)],
            topics=[TopicName(TOPIC, GROUP_OFFSETS, 12)] if topic else [],
            leaders=[
                PartitionLeader(Partition(TOPIC, index), leaders[index % len(leaders)], self.epoch)
                for index in range(12 if topic else 0)
            ],
        )
        self.asking.moved(self.leaderships.on_message(digest, self.ctx), self.ctx)

    def asked(self, kind: type[Message]) -> list[tuple[Address, Message]]:
        found = [(to, message) for to, message in self.ctx.sent if isinstance(message, kind)]
        self.ctx.take(kind)
        return found


def test_a_question_waits_until_the_coordinator_is_known_and_names_its_epoch() -> None:
    admin = Admin()
    admin.asking.ask(AskCoordinator("t", DescribeGroup(0, "g", -1)), admin.ctx)
    assert admin.asked(DescribeGroup) == []
    admin.led_by(2)
    [(to, question)] = admin.asked(DescribeGroup)
    assert to == "b2/groups"
    assert isinstance(question, DescribeGroup)
    assert question.leader_epoch == 1
    admin.asking.on_reply(GroupDescribed(question.id, ErrorCode.NONE, ""), admin.ctx)
    assert isinstance(admin.answers["t"], GroupDescribed)


def test_a_refusal_is_told_in_the_coordinators_words() -> None:
    admin = Admin()
    admin.led_by(1)
    admin.asking.ask(AskCoordinator("t", DescribeGroup(0, "g", -1)), admin.ctx)
    admin.led_by(1)
    [(_, question)] = admin.asked(DescribeGroup)[-1:]
    assert isinstance(question, DescribeGroup)
    admin.asking.on_reply(GroupDescribed(question.id, ErrorCode.GROUP_ID_NOT_FOUND, "no such group"), admin.ctx)
    assert admin.answers["t"] == Failure(Why.REFUSED, "no such group", ErrorCode.GROUP_ID_NOT_FOUND)


def test_a_new_coordinator_is_asked_at_once_when_it_is_elected() -> None:
    admin = Admin()
    admin.asking.ask(AskCoordinator("t", DescribeGroup(0, "g", -1)), admin.ctx)
    admin.led_by(2)
    admin.asked(DescribeGroup)
    admin.led_by(3)
    [(to, question)] = admin.asked(DescribeGroup)
    assert to == "b3/groups"
    assert isinstance(question, DescribeGroup)
    assert question.leader_epoch == 2


def test_not_coordinator_is_asked_again_and_silence_too() -> None:
    admin = Admin()
    admin.asking.ask(AskCoordinator("t", DescribeGroup(0, "g", -1)), admin.ctx)
    admin.led_by(2)
    [(_, question)] = admin.asked(DescribeGroup)
    assert isinstance(question, DescribeGroup)
    admin.asking.on_reply(GroupDescribed(question.id, ErrorCode.NOT_COORDINATOR, ""), admin.ctx)
    admin.ctx.sleep(600, admin)
    assert len(admin.asked(DescribeGroup)) == 1
    admin.ctx.sleep(ANSWER_MS, admin)
    assert len(admin.asked(DescribeGroup)) == 1
    assert admin.answers == {}


def test_a_group_that_is_gone_when_it_is_deleted_the_second_time_was_deleted() -> None:
    admin = Admin()
    admin.asking.ask(AskCoordinator("t", DeleteGroup(0, "g", -1)), admin.ctx)
    admin.led_by(2)
    [(_, first)] = admin.asked(DeleteGroup)
    admin.ctx.sleep(ANSWER_MS, admin)
    [(_, second)] = admin.asked(DeleteGroup)
    assert isinstance(second, DeleteGroup)
    assert first == second
    admin.asking.on_reply(GroupDeleted(second.id, ErrorCode.GROUP_ID_NOT_FOUND, "no such group"), admin.ctx)
    assert isinstance(admin.answers["t"], GroupDeleted)


def test_a_group_that_was_never_there_cannot_be_deleted() -> None:
    admin = Admin()
    admin.asking.ask(AskCoordinator("t", DeleteGroup(0, "g", -1)), admin.ctx)
    admin.led_by(2)
    [(_, question)] = admin.asked(DeleteGroup)
    assert isinstance(question, DeleteGroup)
    admin.asking.on_reply(GroupDeleted(question.id, ErrorCode.GROUP_ID_NOT_FOUND, "no such group"), admin.ctx)
    assert isinstance(admin.answers["t"], Failure)


def test_the_first_question_ever_has_the_topic_made() -> None:
    admin = Admin()
    admin.asking.ask(AskCoordinator("t", DescribeGroup(0, "g", -1)), admin.ctx)
    admin.led_by(1, topic=False)
    admin.ctx.sleep(600, admin)
    assert len(admin.asked(FindCoordinator)) == 1


def test_what_is_not_answered_in_time_is_told_so() -> None:
    admin = Admin()
    admin.led_by(2)
    admin.asking.ask(AskCoordinator("t", DescribeGroup(0, "g", -1), timeout_ms=5_000), admin.ctx)
    admin.ctx.sleep(5_001, admin)
    failure = admin.answers["t"]
    assert isinstance(failure, Failure)
    assert failure.why is Why.TIMED_OUT
    assert "group g" in failure.sentence


def listed(admin: Admin, broker: int, request: int, *groups: str, error: ErrorCode = ErrorCode.NONE) -> None:
    listings = [GroupListing(group, CONSUMER, "Stable", "consumer") for group in groups]
    admin.asking.on_listed(Address(f"b{broker}/groups"), GroupsListed(request, error, listings), admin.ctx)


def test_the_list_is_complete_when_every_coordinator_has_answered() -> None:
    admin = Admin()
    admin.asking.ask(AskAllCoordinators("t", [], []), admin.ctx)
    admin.led_by(1, 2)
    asked = admin.asked(ListGroups)
    assert {to for to, _ in asked} == {"b1/groups", "b2/groups", "b3/groups"}
    number = asked[0][1]
    assert isinstance(number, ListGroups)
    listed(admin, 3, number.id)
    listed(admin, 2, number.id, "b")
    assert admin.answers == {}
    listed(admin, 1, number.id, "a")
    answer = admin.answers["t"]
    assert isinstance(answer, GroupsListed)
    assert [group.group for group in answer.groups] == ["a", "b"]


def test_a_coordinator_that_moves_while_groups_are_gathered_makes_it_begin_anew() -> None:
    admin = Admin()
    admin.asking.ask(AskAllCoordinators("t", [], []), admin.ctx)
    admin.led_by(1, 2)
    [(_, question), *_] = admin.asked(ListGroups)
    assert isinstance(question, ListGroups)
    listed(admin, 1, question.id, "a")  # before b, which 2 had, came to 1
    admin.led_by(1)
    assert admin.answers == {}
    listed(admin, 1, question.id, "a", "b")
    answer = admin.answers["t"]
    assert isinstance(answer, GroupsListed)
    assert [group.group for group in answer.groups] == ["a", "b"]


def test_a_coordinator_that_still_loads_is_asked_again() -> None:
    admin = Admin()
    admin.asking.ask(AskAllCoordinators("t", [], []), admin.ctx)
    admin.led_by(1)
    [(_, question), *_] = admin.asked(ListGroups)
    assert isinstance(question, ListGroups)
    listed(admin, 1, question.id, error=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    assert admin.answers == {}
    admin.ctx.sleep(1_000, admin)
    assert "b1/groups" in {to for to, _ in admin.asked(ListGroups)}


def test_without_the_topic_there_are_no_groups_once_everybody_has_said_so() -> None:
    admin = Admin()
    admin.asking.ask(AskAllCoordinators("t", [], []), admin.ctx)
    admin.led_by(1, topic=False)
    [(_, question), *_] = admin.asked(ListGroups)
    assert isinstance(question, ListGroups)
    for broker in (1, 2, 3):
        assert admin.answers == {}
        listed(admin, broker, question.id)
    answer = admin.answers["t"]
    assert isinstance(answer, GroupsListed)
    assert answer.groups == []
