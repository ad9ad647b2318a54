"""Proposals on their way to the controller: one request out, re-sent as it was, each verdict for what it is about."""

from __future__ import annotations

from logs import P0
from recording import Recording

from barnabas.actors.isr_proposals import AT_ONCE, IsrProposals, ProposalTimer
from barnabas.actors.kernel import Address
from barnabas.actors.messages import AlterPartition, IsrChange, Partition

P1 = Partition(P0.topic, 1)


def change(partition: Partition = P0, epoch: int = 0) -> IsrChange:
    return IsrChange(partition, 0, epoch, [(1, 11), (2, 12)])


class Desk:
    def __init__(self) -> None:
        self.ctx = Recording("b1/broker")
        self.proposals = IsrProposals(1, {1: "c1", 2: "c2"})

    def poll(self, active: int = 1) -> list[tuple[Address, AlterPartition]]:
        self.proposals.poll(active, 11, self.ctx)
        return self.taken()

    def retry(self, active: int = 1) -> list[tuple[Address, AlterPartition]]:
        self.proposals.on_timer(active, 11, self.ctx)
        return self.taken()

    def taken(self) -> list[tuple[Address, AlterPartition]]:
        sent = [(to, message) for to, message in self.ctx.sent if isinstance(message, AlterPartition)]
        self.ctx.sent.clear()
        return sent


def test_what_waits_goes_out_together() -> None:
    desk = Desk()
    desk.proposals.propose(change(P1))
    desk.proposals.propose(change(P0))
    [(to, message)] = desk.poll()
    assert to == "c1/controller"
    assert [each.partition for each in message.changes] == [P0, P1]
    assert (message.broker, message.broker_epoch) == (1, 11)


def test_nothing_to_propose_says_nothing() -> None:
    assert Desk().poll() == []


def test_one_request_is_out_at_a_time() -> None:
    desk = Desk()
    desk.proposals.propose(change(P0))
    desk.poll()
    desk.proposals.propose(change(P1))
    assert desk.poll() == []


def test_without_a_verdict_the_same_is_asked_again() -> None:
    desk = Desk()
    desk.proposals.propose(change())
    [(_, first)] = desk.poll()
    assert desk.ctx.timers == {ProposalTimer(): desk.ctx.now + 300}
    [(_, second)] = desk.retry()
    assert second.changes == first.changes
    assert second.id != first.id


def test_without_a_known_controller_each_is_asked_in_turn() -> None:
    desk = Desk()
    desk.proposals.propose(change())
    asked = [desk.poll(active=-1)[0][0], desk.retry(active=-1)[0][0], desk.retry(active=-1)[0][0]]
    assert asked == ["c1/controller", "c2/controller", "c1/controller"]


def test_an_answer_tells_what_was_proposed() -> None:
    desk = Desk()
    desk.proposals.propose(change())
    [(_, message)] = desk.poll()
    assert desk.proposals.answered(message.id, desk.ctx) == {P0: change()}
    assert desk.ctx.timers == {}


def test_an_answer_to_an_earlier_request_tells_nothing() -> None:
    desk = Desk()
    desk.proposals.propose(change())
    [(_, first)] = desk.poll()
    desk.retry()
    assert desk.proposals.answered(first.id, desk.ctx) == {}
    assert desk.poll() == []


def test_what_is_decided_is_not_asked_again() -> None:
    desk = Desk()
    asked = change()
    desk.proposals.propose(asked)
    [(_, message)] = desk.poll()
    desk.proposals.answered(message.id, desk.ctx)
    desk.proposals.decided(asked)
    assert desk.poll() == []


def test_a_verdict_on_an_old_proposal_leaves_a_newer_one_waiting() -> None:
    desk = Desk()
    old, new = change(epoch=0), change(epoch=1)
    desk.proposals.propose(old)
    [(_, message)] = desk.poll()
    desk.proposals.propose(new)
    sent = desk.proposals.answered(message.id, desk.ctx)
    desk.proposals.decided(sent[P0])
    [(_, following)] = desk.poll()
    assert following.changes == [new]


def test_what_committed_metadata_has_settled_is_not_asked_again() -> None:
    desk = Desk()
    desk.proposals.propose(change(P0))
    desk.proposals.propose(change(P1))
    desk.poll()
    desk.proposals.settle(P0)
    [(_, message)] = desk.retry()
    assert [each.partition for each in message.changes] == [P1]


def test_thousands_are_proposed_in_requests_of_so_many() -> None:
    desk = Desk()
    for index in range(AT_ONCE + 2):
        desk.proposals.propose(change(Partition(P0.topic, index)))
    [(_, first)] = desk.poll()
    assert [each.partition.index for each in first.changes] == list(range(AT_ONCE))
    for each in desk.proposals.answered(first.id, desk.ctx):
        desk.proposals.settle(each)
    [(_, second)] = desk.poll()
    assert [each.partition.index for each in second.changes] == [AT_ONCE, AT_ONCE + 1]
