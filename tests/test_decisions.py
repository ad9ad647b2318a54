"""The queue of decisions: one at a time, bounded, and dropped when leadership is."""

from __future__ import annotations

import pytest
from recording import OneVoter, Recording

from barnabas.actors.decisions import Decision, Decisions, Question, refusal
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Address, Context, Incarnation
from barnabas.actors.messages import (
    AdminDone,
    AlterPartition,
    BrokerHeartbeat,
    DeleteTopic,
    PartitionsAltered,
    ProducerIdsReserved,
    ReserveProducerIds,
)
from barnabas.actors.metadata_records import ProducerIdsTaken

WHO = Address("@1/broker")


@pytest.fixture
def ctx() -> Recording:
    return Recording()


def queue(ctx: Recording, limit: int = 10) -> tuple[Decisions, OneVoter]:
    raft = OneVoter(manual=True)
    raft.win(ctx)
    return Decisions(raft, limit), raft


def writes(number: int) -> Question:
    """A question whose decision writes a record."""
    reply = ProducerIdsReserved(number, ErrorCode.NONE)
    decision = Decision([ProducerIdsTaken(1, number)], f"cause {number}", lambda: reply)
    return Question(lambda ctx: decision, WHO, ReserveProducerIds(number, 1, 0))


def test_the_next_one_is_asked_only_when_the_last_is_applied(ctx: Recording) -> None:
    decisions, raft = queue(ctx)
    decisions.ask(writes(1), ctx)
    decisions.ask(writes(2), ctx)
    assert decisions.next(ctx)
    assert not decisions.next(ctx)
    assert (len(decisions), decisions.cause) == (2, "cause 1")
    decisions.committed(raft.log_end - 1, ctx)
    assert ctx.sent == []
    decisions.committed(raft.log_end, ctx)
    assert [reply.id for reply in ctx.take(ProducerIdsReserved)] == [1]
    assert decisions.next(ctx)


def test_a_decision_without_records_is_answered_at_once(ctx: Recording) -> None:
    decisions, raft = queue(ctx)
    end = raft.log_end
    answer = AdminDone(1, ErrorCode.NONE)
    decisions.ask(
        Question(lambda ctx: Decision([], reply=lambda: answer), WHO, DeleteTopic(1, Incarnation(1), "t")), ctx
    )
    assert decisions.next(ctx)
    assert ctx.sent == [(WHO, answer)]
    assert raft.log_end == end


def test_a_question_with_the_key_of_one_that_waits_need_not_be_asked(ctx: Recording) -> None:
    decisions, _ = queue(ctx)
    asked: list[int] = []

    def count(ctx: Context) -> Decision:
        asked.append(1)
        return Decision([])

    for _ in range(3):
        decisions.ask(Question(count, key="same"), ctx)
    while decisions.next(ctx):
        pass
    assert len(asked) == 1
    decisions.ask(Question(count, key="same"), ctx)
    decisions.next(ctx)
    assert len(asked) == 2


def test_one_too_many_is_told_to_come_again(ctx: Recording) -> None:
    decisions, _ = queue(ctx, limit=1)
    decisions.ask(writes(1), ctx)
    decisions.ask(writes(2), ctx)
    [refused] = ctx.take(ProducerIdsReserved)
    assert (refused.id, refused.error) == (2, ErrorCode.THROTTLING_QUOTA_EXCEEDED)


def test_a_lost_leadership_is_told_to_everyone_in_the_order_of_their_coming(ctx: Recording) -> None:
    decisions, raft = queue(ctx)
    for number in (1, 2, 3):
        decisions.ask(writes(number), ctx)
    decisions.next(ctx)
    raft.lose(leader=3)
    assert decisions.drop(ctx) == 3
    replies = ctx.take(ProducerIdsReserved)
    assert [(reply.id, reply.error, reply.leader) for reply in replies] == [
        (number, ErrorCode.NOT_CONTROLLER, 3) for number in (1, 2, 3)
    ]
    assert len(decisions) == 0


def test_every_request_has_its_own_kind_of_refusal() -> None:
    altered = refusal(AlterPartition(4, 1, 0, []), ErrorCode.NOT_CONTROLLER, 2)
    assert altered == PartitionsAltered(4, ErrorCode.NOT_CONTROLLER, [], leader=2)
    assert refusal(BrokerHeartbeat(1, 1, 0, Incarnation(1), 0, False), ErrorCode.NOT_CONTROLLER, 2) is None
