"""The admin by itself, in front of a fake cluster: whom it asks, and how often."""

from __future__ import annotations

import pytest
from client_world import ClientWorld

from barnabas.actors.admin import AdminActor, AdminOutlet
from barnabas.actors.client_commands import Failure, MakeTopic
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Message
from barnabas.actors.messages import AdminDone, CreateTopic, Described, TopicId


class Outcomes(AdminOutlet):
    """What the application was told."""

    def __init__(self) -> None:
        self.made: list[object] = []

    def done(self, token: object, topic_id: TopicId) -> None:
        self.made.append(token)

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        raise AssertionError(token)

    def described(self, token: object, picture: Described) -> None:
        raise AssertionError(token)

    def answered(self, token: object, answer: Message) -> None:
        raise AssertionError(token)

    def failed(self, token: object, failure: Failure) -> None:
        raise AssertionError(failure.sentence)

    def closed(self) -> None:
        raise AssertionError("nobody closed it")


def asking(*, double: float = 0.0) -> tuple[ClientWorld, Outcomes]:
    world = ClientWorld(double=double)
    outcomes = Outcomes()
    world.start(AdminActor(["b1"], outcomes))
    world.run(100)
    return world, outcomes


@pytest.mark.parametrize("double", [0.0, 0.1, 1.0])
def test_a_controller_that_names_itself_and_is_not_active_yet_is_asked_after_pauses(double: float) -> None:
    """Seed 20047: it was asked at once, again and again, and each copy of an answer led to one more question."""
    world, outcomes = asking(double=double)

    def not_yet(message: Message) -> Message | None:
        return AdminDone(message.id, ErrorCode.NOT_CONTROLLER, leader=1) if isinstance(message, CreateTopic) else None

    world.refuse = not_yet
    world.tell(MakeTopic("t", "orders", 1, 3, {}))
    world.run(1_000)
    assert 3 <= len(world.requests(CreateTopic)) <= 12

    world.refuse = lambda message: None
    world.run_until(lambda: outcomes.made == ["t"], 1_500)


def test_a_controller_that_another_one_names_is_asked_at_once_and_once() -> None:
    world, outcomes = asking(double=1.0)
    world.controller = 2  # the digest has not said so yet
    began = world.time
    world.tell(MakeTopic("t", "orders", 1, 3, {}))
    world.run_until(lambda: outcomes.made == ["t"])
    assert world.time - began < 20
    assert [to for to, _ in world.requests(CreateTopic)] == ["b1/controller", "b2/controller"]
