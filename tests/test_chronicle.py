"""A node remembers its newest events, and gives each of them once to whoever asks on from what he has."""

from __future__ import annotations

from random import Random

import pytest

from barnabas.actors.chronicle import AT_ONCE, MAX_WAITING, REMEMBERED, Chronicle, Noted
from barnabas.actors.kernel import Incarnation, Millis
from barnabas.actors.messages import PROTOCOL_VERSION, Envelope, EventsFetched, FetchEvents
from barnabas.actors.node import Node
from barnabas.storage.memory import MemoryDisk

LIFE = Incarnation(11)


class Scene:
    """A node whose only actor is its chronicle, and what it has said."""

    def __init__(self, *earlier: bytes) -> None:
        self.node = Node("n1", LIFE, MemoryDisk(Random(1)), Random(1), {"events": Chronicle(earlier)})
        self.now = 0
        self.node.start(Millis(0), Millis(0))

    def note(self, *lines: bytes) -> list[tuple[str, EventsFetched]]:
        for line in lines:
            self.node.tell("events", Noted(line), Millis(self.now), Millis(0))
        return self.said()

    def ask(
        self,
        after: int = -1,
        wait: int = 0,
        life: int = LIFE,
        who: str = "@w#1",
        id: int = 1,  # noqa: A002
    ) -> list[tuple[str, EventsFetched]]:
        body = FetchEvents(id, Incarnation(life), after, wait)
        envelope = Envelope(PROTOCOL_VERSION, "client/client", Incarnation(5), "events", Incarnation(0), body)
        self.node.deliver(envelope, who, Millis(self.now), Millis(0))
        return self.said()

    def wait(self, ms: int) -> list[tuple[str, EventsFetched]]:
        self.now += ms
        self.node.advance(Millis(self.now), Millis(0))
        return self.said()

    def said(self) -> list[tuple[str, EventsFetched]]:
        found = []
        for to, envelope in self.node.flush().outgoing:
            assert isinstance(envelope.body, EventsFetched)
            found.append((to, envelope.body))
        return found


def test_who_asks_first_hears_what_the_node_remembers_of_earlier_lives_too() -> None:
    scene = Scene(b"old")
    scene.note(b"new")
    assert scene.ask() == [("@w#1", EventsFetched(1, LIFE, 0, [b"old", b"new"]))]


def test_who_goes_on_hears_only_what_is_new() -> None:
    scene = Scene()
    scene.note(b"a", b"b", b"c")
    assert scene.ask(after=1) == [("@w#1", EventsFetched(1, LIFE, 2, [b"c"]))]


def test_a_question_that_finds_nothing_waits_and_is_answered_by_the_next_event() -> None:
    scene = Scene()
    scene.note(b"a")
    assert scene.ask(after=0, wait=1000) == []
    assert scene.note(b"b") == [("@w#1", EventsFetched(1, LIFE, 1, [b"b"]))]
    assert scene.note(b"c") == []


def test_a_question_that_has_waited_long_enough_is_answered_with_nothing() -> None:
    scene = Scene()
    assert scene.ask(after=-1, wait=1000) == []
    assert scene.wait(999) == []
    assert scene.wait(1) == [("@w#1", EventsFetched(1, LIFE, 0, []))]
    assert scene.wait(5000) == []


def test_a_new_question_of_the_same_watcher_takes_the_place_of_the_old_one() -> None:
    scene = Scene()
    assert scene.ask(wait=1000, id=1) == []
    assert scene.ask(wait=1000, id=2) == []
    assert scene.note(b"a") == [("@w#1", EventsFetched(2, LIFE, 0, [b"a"]))]


def test_every_watcher_is_told() -> None:
    scene = Scene()
    scene.ask(wait=1000, who="@w#1")
    scene.ask(wait=1000, who="@v#2")
    assert [to for to, _ in scene.note(b"a")] == ["@w#1", "@v#2"]


@pytest.mark.parametrize(("life", "after"), [(12, 0), (LIFE, 7)])
def test_a_number_of_another_life_or_of_the_future_means_nothing(life: int, after: int) -> None:
    scene = Scene(b"a")
    assert scene.ask(after=after, life=life, wait=1000) == [("@w#1", EventsFetched(1, LIFE, 0, [b"a"]))]


def test_only_the_newest_are_remembered_and_a_watcher_sees_that_he_missed_some() -> None:
    scene = Scene()
    scene.note(*(b"%d" % number for number in range(REMEMBERED + 10)))
    [(_, answer)] = scene.ask(after=3)
    assert answer.first == 10
    assert answer.lines[0] == b"10"


def test_an_answer_is_bounded_and_the_rest_comes_with_the_next() -> None:
    scene = Scene()
    scene.note(*(b"%d" % number for number in range(AT_ONCE + 1)))
    [(_, answer)] = scene.ask()
    assert len(answer.lines) == AT_ONCE
    assert scene.ask(after=AT_ONCE - 1) == [("@w#1", EventsFetched(1, LIFE, AT_ONCE, [b"%d" % AT_ONCE]))]


def test_no_more_than_so_many_watchers_wait() -> None:
    scene = Scene()
    for number in range(MAX_WAITING):
        assert scene.ask(wait=1000, who=f"@w#{number}") == []
    assert scene.ask(wait=1000, who="@late#1") == [("@late#1", EventsFetched(1, LIFE, 0, []))]
