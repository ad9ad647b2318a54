"""Sentences of the Raft paper (Ongaro and Ousterhout, extended version), KIP-595 and KIP-996, one test each."""

from __future__ import annotations

import pytest
from logs import P0
from raft_world import Append
from voter_scene import MS, VOTERS, Quorum, Voter1

from barnabas.actors.errors import ErrorCode
from barnabas.actors.events import QuorumLeaderElected, QuorumLeaderResigned
from barnabas.actors.messages import (
    METADATA,
    EndEpoch,
    Fetch,
    Fetched,
    FetchedPartition,
    FetchPartition,
    Vote,
    Voted,
)
from barnabas.actors.quorum_state import read
from barnabas.actors.raft_config import ElectionTimer, LeaderTimer

# --- Votes (paper 5.2, figure 2) ---


def test_each_server_will_vote_for_at_most_one_candidate_in_a_given_term() -> None:
    voter = Voter1()
    assert voter.vote(1, candidate=2)
    assert not voter.vote(1, candidate=3)


def test_it_gives_its_vote_again_to_the_candidate_that_has_it() -> None:
    voter = Voter1()
    assert voter.vote(1, candidate=2)
    assert voter.vote(1, candidate=2)


def test_votes_are_on_a_first_come_first_served_basis_in_every_term_anew() -> None:
    voter = Voter1()
    assert voter.vote(1, candidate=2)
    assert voter.vote(2, candidate=3)


def test_a_vote_is_on_stable_storage_before_responding() -> None:
    voter = Voter1()
    assert voter.asked(1) == []
    state = read(voter.disk)
    assert state is not None
    assert (state.epoch, state.voted_for) == (1, 2)
    voter.sync()
    [reply] = voter.ctx.take(Voted)
    assert reply.granted


@pytest.mark.parametrize("power", [False, True])
def test_a_vote_that_was_said_is_remembered_by_the_next_life(power: bool) -> None:
    voter = Voter1()
    assert voter.vote(1, candidate=2)
    voter.power() if power else voter.restart()
    assert not voter.vote(1, candidate=3)


def test_a_server_rejects_a_request_with_a_stale_term() -> None:
    voter = Voter1()
    assert voter.vote(5, candidate=2)
    assert not voter.vote(4, candidate=3)


def test_a_stranger_gets_no_answer() -> None:
    voter = Voter1()
    voter.hear(Vote("other", False, 9, 2, "d2", 1, "d1", 0, 0))
    voter.hear(Vote("cluster", False, 9, 2, "another directory", 1, "d1", 0, 0))
    voter.hear(Vote("cluster", False, 9, 7, "d7", 1, "d1", 0, 0))
    voter.hear(Vote("cluster", False, 9, 2, "d2", 1, "another directory", 0, 0))
    voter.sync()
    assert (voter.ctx.take(Voted), voter.raft.epoch) == ([], 0)


# --- Up to date (paper 5.4.1) ---


@pytest.mark.parametrize(
    ("last_epoch", "end", "granted"), [(1, 1, False), (1, 2, True), (1, 3, True), (0, 9, False), (2, 1, True)]
)
def test_the_log_with_the_later_term_or_else_the_longer_one_is_more_up_to_date(
    last_epoch: int, end: int, granted: bool
) -> None:
    voter = Voter1()
    voter.follow(2, 1)
    voter.copies("ab", 1)
    assert voter.vote(3, candidate=3, last_epoch=last_epoch, end=end) == granted


# --- Becoming leader (paper 5.2) ---


def test_a_candidate_increments_its_term_and_votes_for_itself() -> None:
    voter = Voter1()
    voter.time_out()
    voter.voted(2, pre=True)
    assert (voter.raft.role, voter.raft.epoch, voter.raft.voted_for) == ("candidate", 1, 1)


def test_a_candidates_own_vote_counts_once_it_is_durable() -> None:
    voter = Voter1()
    voter.time_out()
    voter.voted(2, pre=True)
    voter.voted(2)
    assert not voter.raft.leading
    voter.sync()
    assert voter.raft.leading


def test_nobody_hears_of_a_new_term_before_it_is_durable() -> None:
    voter = Voter1()
    voter.time_out()
    voter.ctx.take(Vote)
    voter.voted(2, pre=True)
    assert voter.ctx.take(Vote) == []
    voter.sync()
    assert {vote.epoch for vote in voter.ctx.take(Vote)} == {1}


def test_a_majority_is_needed() -> None:
    voter = Voter1()
    voter.time_out()
    voter.voted(2, pre=True)
    voter.sync()
    assert not voter.raft.leading
    voter.voted(2, 3, granted=False)
    assert not voter.raft.leading
    voter.voted(3)
    assert voter.raft.leading


def test_a_vote_of_another_term_does_not_count() -> None:
    voter = Voter1()
    voter.time_out()
    voter.voted(2, pre=True)
    voter.sync()
    voter.voted(2, epoch=0)
    assert not voter.raft.leading


def test_a_pre_vote_is_not_a_vote() -> None:
    voter = Voter1()
    voter.time_out()
    voter.voted(2, pre=True)
    voter.sync()
    voter.voted(3, pre=True)
    assert not voter.raft.leading


def test_whoever_discovers_a_higher_term_reverts_to_follower_state() -> None:
    voter = Voter1().elect()
    voter.voted(2, granted=False, epoch=9)
    assert (voter.raft.leading, voter.raft.epoch) == (False, 9)
    assert any(isinstance(event, QuorumLeaderResigned) for event in voter.ctx.events)


def test_a_candidate_that_hears_from_a_leader_of_its_term_follows() -> None:
    voter = Voter1()
    voter.time_out()
    voter.voted(2, pre=True)
    voter.follow(3, 1)
    assert (voter.raft.role, voter.raft.leader) == ("following", 3)


def test_a_leader_of_an_earlier_term_is_not_followed() -> None:
    voter = Voter1()
    voter.follow(2, 5)
    voter.follow(3, 4)
    assert (voter.raft.leader, voter.raft.epoch) == (2, 5)


@pytest.mark.parametrize("power", [False, True])
def test_nobody_leads_twice_in_an_epoch_after_a_restart(power: bool) -> None:
    """KAFKA-10527: the leader may have lost the unflushed tail of that epoch."""
    voter = Voter1().elect()
    voter.append("a")
    voter.power() if power else voter.restart()
    assert not voter.raft.leading
    voter.voted(2, 3)
    assert not voter.raft.leading
    voter.elect()
    assert voter.raft.epoch == 2


# --- Committing (paper 5.3, 5.4.2) ---


def test_a_leader_begins_its_epoch_with_a_record() -> None:
    voter = Voter1().elect()
    assert (voter.raft.epoch_start, voter.raft.log_end) == (0, 1)


def test_an_entry_is_committed_once_a_majority_has_it_durably() -> None:
    voter = Voter1().elect()
    voter.fetched(2, 1, 1, durable=0)
    assert voter.raft.hw == 0
    voter.sync()
    assert voter.raft.hw == 0
    voter.synced(2, 1)
    assert voter.raft.hw == 1


def test_the_leaders_own_disk_is_one_of_the_majority_and_no_more() -> None:
    voter = Voter1().elect()
    voter.fetched(2, 1, 1)
    assert voter.raft.hw == 0  # one of three: the leader's own record is not durable
    voter.fetched(3, 1, 1)
    assert voter.raft.hw == 1  # two of three, without the leader


def test_only_entries_of_the_leaders_current_term_are_committed_by_counting_replicas() -> None:
    """Figure 8: an old entry on a majority may still be overwritten."""
    voter = Voter1()
    voter.follow(2, 1)
    voter.copies("ab", 1)
    voter.sync()
    voter.elect()
    assert voter.raft.epoch_start == 2
    voter.fetched(2, 2, 1)
    voter.fetched(3, 2, 1)
    assert voter.raft.hw == 0
    voter.sync()
    voter.fetched(2, 3, 2)
    assert voter.raft.hw == 3


def test_a_fetch_that_diverges_is_answered_with_where_and_commits_nothing() -> None:
    voter = Voter1()
    voter.follow(2, 1)
    voter.copies("ab", 1)
    voter.elect()
    voter.sync()
    voter.ctx.take(Fetched)
    voter.fetched(2, 5, 1)
    [answer] = voter.ctx.take(Fetched)
    assert answer.partitions[0].diverging == (1, 2)
    assert voter.raft.hw == 0


def test_a_follower_cuts_what_its_leader_does_not_have() -> None:
    voter = Voter1()
    voter.follow(2, 1)
    voter.copies("abc", 1)
    voter.follow(3, 2)
    voter.sync()
    [fetch] = voter.ctx.take(Fetch)[-1:]
    part = FetchedPartition(METADATA, ErrorCode.NONE, 2, -1, -1, diverging=(1, 1), leader=3)
    voter.hear(Fetched(fetch.id, ErrorCode.NONE, 0, 0, [part]))
    assert voter.raft.log_end == 1


def test_no_leader_makes_a_follower_cut_below_its_high_watermark() -> None:
    """KAFKA-12460, R8: better to die than to lose what is committed."""
    voter = Voter1().elect()
    voter.sync()
    voter.fetched(2, 1, 1)
    assert voter.raft.hw == 1
    voter.follow(3, 2)
    voter.sync()
    [fetch] = voter.ctx.take(Fetch)[-1:]
    part = FetchedPartition(METADATA, ErrorCode.NONE, 2, -1, -1, diverging=(0, 0), leader=3)
    with pytest.raises(AssertionError, match="below the high watermark 1"):
        voter.hear(Fetched(fetch.id, ErrorCode.NONE, 0, 0, [part]))


def test_a_fetch_for_anything_else_is_refused() -> None:
    voter = Voter1().elect()
    voter.sync()
    voter.hear(Fetch(1, 2, -1, "d2", 0, 0, 0, [FetchPartition(P0, 1, 0, -1, 0, 0)]))
    voter.hear(Fetch(2, 2, -1, "another directory", 0, 0, 0, [FetchPartition(METADATA, 1, 0, -1, 0, 0)]))
    assert [answer.partitions[0].records for answer in voter.ctx.take(Fetched)] == [None]


# --- Check-quorum and pre-vote (paper 6, KIP-996) ---


def test_a_leader_that_no_majority_fetches_from_resigns() -> None:
    """KAFKA-15489."""
    voter = Voter1().elect()
    voter.ctx.sleep(901)
    voter.raft.on_timer(LeaderTimer(), voter.ctx)
    assert not voter.raft.leading


def test_one_follower_of_two_is_a_majority() -> None:
    voter = Voter1().elect()
    voter.ctx.sleep(850)
    voter.fetched(2, 1, 1)
    voter.ctx.sleep(100)
    voter.raft.on_timer(LeaderTimer(), voter.ctx)
    assert voter.raft.leading


def test_pre_votes_raise_no_epoch() -> None:
    voter = Voter1()
    for _ in range(5):
        voter.time_out()
    assert (voter.raft.epoch, voter.raft.role) == (0, "prospective")
    voter.asked(7, pre=True)
    assert voter.raft.epoch == 0


def test_a_pre_vote_is_given_to_any_number_of_candidates_and_costs_nothing() -> None:
    voter = Voter1()
    assert voter.vote(0, candidate=2, pre=True)
    assert voter.vote(0, candidate=3, pre=True)
    assert read(voter.disk) is None


def test_no_pre_vote_while_the_leader_is_heard() -> None:
    voter = Voter1()
    voter.follow(2, 1)
    voter.sync()
    assert not voter.vote(1, candidate=3, pre=True)
    voter.ctx.sleep(300)
    assert voter.vote(1, candidate=3, pre=True)


def test_no_pre_vote_for_a_log_that_is_behind() -> None:
    voter = Voter1()
    voter.follow(2, 1)
    voter.copies("ab", 1)
    voter.ctx.sleep(300)
    assert not voter.vote(1, candidate=3, last_epoch=1, end=1, pre=True)


def test_a_leader_gives_no_pre_vote() -> None:
    voter = Voter1().elect()
    assert not voter.vote(1, candidate=2, last_epoch=9, end=9, pre=True)


# --- Resigning (KIP-595 EndQuorumEpoch) ---


def test_a_leader_that_stops_names_the_best_follower_first() -> None:
    voter = Voter1().elect()
    voter.append("a")
    voter.fetched(2, 1, 1)
    voter.fetched(3, 2, 1)
    voter.sync()
    voter.raft.resign(voter.ctx)
    voter.sync()
    assert {tuple(message.successors) for message in voter.ctx.take(EndEpoch)} == {(3, 2)}
    assert not voter.raft.leading


def test_the_first_successor_stands_at_once_and_the_next_one_later() -> None:
    for successors, delay in (([1, 3], 0), ([3, 1], 300)):
        voter = Voter1()
        voter.follow(2, 1)
        voter.hear(EndEpoch("cluster", 1, 2, successors))
        assert voter.raft.leader == -1
        assert voter.ctx.timers[ElectionTimer()] == voter.ctx.now + delay


def test_the_end_of_another_leaders_epoch_is_ignored() -> None:
    voter = Voter1()
    voter.follow(2, 2)
    voter.hear(EndEpoch("cluster", 1, 2, [1]))
    voter.hear(EndEpoch("cluster", 2, 3, [1]))
    assert voter.raft.leader == 2


# --- Whole elections ---


@pytest.mark.parametrize("seed", range(5))
def test_a_new_leader_has_every_committed_record_and_a_higher_epoch(seed: int) -> None:
    quorum = Quorum(seed)
    leader = quorum.settle()
    for number in range(10):
        quorum.world.tell(f"c{leader.id}", "controller", Append(number))
    assert quorum.world.run_while(lambda: leader.hw < leader.log_end, 1_000 * MS)
    committed, epoch, dead = leader.read(0, 1 << 20), leader.epoch, leader.id
    quorum.world.crash(f"c{dead}")
    following = quorum.settle()
    assert following.epoch > epoch
    assert following.read(0, 1 << 20).startswith(committed)
    quorum.world.start(f"c{dead}")
    quorum.settle()
    assert {raft.epoch for raft in quorum.rafts()} == {following.epoch}


def test_a_voter_that_was_away_does_not_disturb_a_quorum_that_works() -> None:
    quorum = Quorum(3)
    leader = quorum.settle()
    away = next(number for number in VOTERS if number != leader.id)
    for _ in range(3):
        quorum.world.pause(f"c{away}", 2_000 * MS)
        quorum.world.run_until(quorum.world.now + 3_000 * MS)
    assert quorum.leader() is leader
    assert leader.epoch == 1


def test_a_leader_of_a_minority_steps_down_and_commits_nothing() -> None:
    quorum = Quorum(4)
    leader = quorum.settle()
    others = [voter.endpoint for number, voter in VOTERS.items() if number != leader.id]
    for name in others:
        quorum.world.crash(name)
    before = leader.hw
    quorum.world.tell(f"c{leader.id}", "controller", Append(1))
    quorum.world.run_until(quorum.world.now + 2_000 * MS)
    assert (leader.leading, leader.hw) == (False, before)


def test_an_election_is_told_once() -> None:
    voter = Voter1().elect()
    assert [type(event) for event in voter.ctx.events] == [QuorumLeaderElected]
