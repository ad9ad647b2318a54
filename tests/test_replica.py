"""A leader's rules for the high watermark and for who is in sync, and what survives a change of roles."""

from __future__ import annotations

from logs import P0, flush, grow, new_log, state

from barnabas.actors.kernel import Millis
from barnabas.actors.messages import FetchPartition, IsrChange
from barnabas.actors.replica import PartitionLeading, Replica
from barnabas.storage.disk import Generation
from barnabas.storage.log import Log

BROKER_EPOCHS = {1: 11, 2: 12, 3: 13}
NOW, LAG = Millis(0), 5_000


def leading(log: Log | None = None, *, isr: tuple[int, ...] = (1, 2), min_insync: int = 1) -> PartitionLeading:
    return PartitionLeading(1, log or new_log(), state(isr=isr), min_insync, Millis(0))


def fetch(leader: PartitionLeading, follower: int, offset: int, durable: int | None = None, now: int = 0) -> None:
    part = FetchPartition(P0, leader.epoch, offset, 0, offset if durable is None else durable, 0)
    leader.fetched(follower, BROKER_EPOCHS[follower], part, Millis(now))


def full_log(words: str = "abc", *, durability: str = "fsync") -> Log:
    log = new_log(durability=durability)
    grow(log, words, 0)
    flush(log)
    return log


def members(change: IsrChange | None) -> list[int] | None:
    return None if change is None else [broker for broker, _ in change.isr]


def nowhere(offset: int) -> Generation | None:
    return None


# --- The high watermark ---


def test_it_is_the_smallest_durable_end_of_the_isr() -> None:
    leader = leading(full_log(), isr=(1, 2, 3))
    fetch(leader, 2, 3)
    fetch(leader, 3, 3, durable=2)
    assert leader.high_watermark(0) == 2


def test_the_leaders_own_durable_end_counts_too() -> None:
    log = full_log("ab")
    leader = leading(log)
    grow(log, "c", 0)
    fetch(leader, 2, 3)
    assert leader.high_watermark(0) == 2


def test_with_durability_os_written_is_enough() -> None:
    log = new_log(durability="os")
    flush(log)  # its name: without that nothing of it can be found again
    grow(log, "abc", 0)
    leader = leading(log)
    fetch(leader, 2, 3, durable=0)
    assert leader.high_watermark(0) == 3


def test_with_durability_os_nothing_counts_before_the_log_has_its_name() -> None:
    log = new_log(durability="os")
    grow(log, "abc", 0)
    leader = leading(log)
    fetch(leader, 2, 3, durable=0)
    assert leader.high_watermark(0) == 0


def test_a_member_that_has_proven_nothing_in_this_epoch_holds_it_up() -> None:
    assert leading(full_log()).high_watermark(1) == 1


def test_it_never_goes_back() -> None:
    leader = leading(full_log())
    fetch(leader, 2, 1)
    assert leader.high_watermark(2) == 2


def test_it_stands_still_below_min_insync() -> None:
    """KAFKA-15583."""
    assert leading(full_log(), isr=(1,), min_insync=2).high_watermark(1) == 1


def test_who_is_not_in_sync_does_not_hold_it_up() -> None:
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 0)
    assert leader.high_watermark(0) == 3


def test_who_is_proposed_does() -> None:
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 3)
    assert members(leader.propose_join(2, 0, BROKER_EPOCHS.get, NOW, LAG)) == [1, 2]
    fetch(leader, 2, 1)
    assert leader.maximal_isr == (1, 2)
    assert leader.high_watermark(0) == 1


def test_who_is_proposed_to_leave_counts_until_he_has_left() -> None:
    leader = leading(full_log())
    assert members(leader.propose_leave(Millis(6_000), 5_000, BROKER_EPOCHS.get)) == [1]
    assert leader.maximal_isr == (1, 2)
    assert leader.high_watermark(0) == 0


# --- Joining ---


def test_a_follower_joins_at_the_high_watermark_and_the_start_of_the_epoch() -> None:
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 3)
    change = leader.propose_join(2, 2, BROKER_EPOCHS.get, NOW, LAG)
    assert change == IsrChange(P0, 0, 0, [(1, 11), (2, 12)])


def test_below_the_high_watermark_nobody_joins() -> None:
    log = new_log()
    leader = leading(log, isr=(1,))
    grow(log, "abc", 0)
    fetch(leader, 2, 2)
    assert leader.propose_join(2, 3, BROKER_EPOCHS.get, NOW, LAG) is None


def test_below_the_start_of_the_epoch_nobody_joins() -> None:
    """KAFKA-7128: a new leader's high watermark may be lower than what was committed."""
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 2)
    assert leader.propose_join(2, 0, BROKER_EPOCHS.get, NOW, LAG) is None


def test_only_what_is_durable_counts_for_joining() -> None:
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 3, durable=2)
    assert leader.propose_join(2, 0, BROKER_EPOCHS.get, NOW, LAG) is None


def test_who_is_not_eligible_does_not_join() -> None:
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 3)
    assert leader.propose_join(2, 0, lambda broker: None, NOW, LAG) is None


def test_a_fetch_of_an_earlier_life_does_not_let_join() -> None:
    """KIP-903."""
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 3)
    assert leader.propose_join(2, 0, {1: 11, 2: 99}.get, NOW, LAG) is None


def test_who_would_have_to_leave_at_once_does_not_join() -> None:
    """Too few are in sync, so the high watermark waits for those who are cut off: to have reached it means nothing."""
    log = full_log()
    leader = leading(log, min_insync=2)
    fetch(leader, 2, 3)
    grow(log, "d", 0)
    leader.grew(Millis(0))
    later = Millis(LAG + 1)
    assert members(leader.propose_leave(later, LAG, BROKER_EPOCHS.get)) == [1]
    leader.commit((1,), 1, 2)
    assert leader.high_watermark(3) == 3
    assert leader.propose_join(2, 3, BROKER_EPOCHS.get, later, LAG) is None
    fetch(leader, 2, 4, now=later)
    assert members(leader.propose_join(2, 3, BROKER_EPOCHS.get, later, LAG)) == [1, 2]


def test_a_member_does_not_join_again() -> None:
    leader = leading(full_log())
    fetch(leader, 2, 3)
    assert leader.propose_join(2, 0, BROKER_EPOCHS.get, NOW, LAG) is None


def test_one_proposal_at_a_time() -> None:
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 3)
    fetch(leader, 3, 3)
    assert leader.propose_join(2, 0, BROKER_EPOCHS.get, NOW, LAG) is not None
    assert leader.propose_join(3, 0, BROKER_EPOCHS.get, NOW, LAG) is None
    assert leader.propose_leave(Millis(99_999), 5_000, BROKER_EPOCHS.get) is None


# --- Leaving ---


def test_who_has_everything_never_leaves() -> None:
    leader = leading(full_log())
    fetch(leader, 2, 3, now=0)
    assert leader.propose_leave(Millis(60_000), 5_000, BROKER_EPOCHS.get) is None


def test_who_lags_for_longer_than_the_lag_time_leaves() -> None:
    leader = leading(full_log())
    fetch(leader, 2, 2, now=100)
    assert leader.propose_leave(Millis(5_000), 5_000, BROKER_EPOCHS.get) is None
    assert members(leader.propose_leave(Millis(5_001), 5_000, BROKER_EPOCHS.get)) == [1]


def test_who_never_fetched_leaves_after_the_lag_time_of_this_term() -> None:
    leader = leading(full_log())
    assert leader.propose_leave(Millis(5_000), 5_000, BROKER_EPOCHS.get) is None
    assert members(leader.propose_leave(Millis(5_001), 5_000, BROKER_EPOCHS.get)) == [1]


def test_a_suspect_leaves_at_once_and_only_once() -> None:
    leader = leading(full_log())
    fetch(leader, 2, 3)
    leader.suspects.add(2)
    assert members(leader.propose_leave(Millis(1), 5_000, BROKER_EPOCHS.get)) == [1]
    leader.commit((1,), 1, 1)
    assert not leader.suspects


def test_the_leader_never_leaves_itself_out() -> None:
    leader = leading(new_log(), isr=(1,))
    assert leader.propose_leave(Millis(99_999), 5_000, BROKER_EPOCHS.get) is None


# --- What the controller commits ---


def test_a_higher_partition_epoch_ends_the_proposal() -> None:
    """KAFKA-12686."""
    leader = leading(full_log(), isr=(1,))
    fetch(leader, 2, 3)
    leader.propose_join(2, 0, BROKER_EPOCHS.get, NOW, LAG)
    assert leader.commit((1, 3), 1, 1)
    assert (leader.isr, leader.proposal, leader.partition_epoch) == ((1, 3), None, 1)


def test_an_old_partition_epoch_is_no_news() -> None:
    leader = leading(full_log())
    assert not leader.commit((1,), 0, 1)
    assert leader.isr == (1, 2)


def test_min_insync_counts_at_once() -> None:
    leader = leading(full_log())
    leader.commit((1, 2), 0, 3)
    assert not leader.enough


# --- Roles ---


def replica(hw: int = 0, words: str = "abc") -> Replica:
    return Replica(P0, "orders", full_log(words), hw, 1, 1 << 20)


def test_the_epoch_is_in_the_cache_before_anything_is_served() -> None:
    """KAFKA-7415."""
    copy = replica()
    copy.lead(1, state(epoch=4), Millis(0))
    assert [tuple(entry) for entry in copy.log.epochs.entries] == [(0, 0), (4, 3)]


def test_a_new_leader_keeps_its_high_watermark() -> None:
    copy = replica(hw=2)
    copy.lead(1, state(epoch=1), Millis(0))
    assert copy.hw == 2


def test_a_follower_that_becomes_leader_keeps_what_it_learnt() -> None:
    copy = replica(hw=0)
    copying = copy.follow(state(leader=2), nowhere)
    copying.hw = 2
    copy.lead(1, state(epoch=1), Millis(0))
    assert copy.hw == 2


def test_consumers_learn_no_high_watermark_below_the_start_of_the_epoch() -> None:
    """KIP-207: it might seem to go back."""
    copy = replica(hw=2)
    copy.lead(1, state(epoch=1), Millis(0))
    assert copy.readable_hw == -1
    copy.hw = 3
    assert copy.readable_hw == 3


def test_a_follower_tells_consumers_nothing() -> None:
    copy = replica(hw=3)
    copy.follow(state(leader=2), nowhere)
    assert copy.readable_hw == -1


def test_a_cut_that_waits_survives_an_election() -> None:
    copy = replica()
    copy.follow(state(leader=2, epoch=1), lambda offset: Generation(99)).diverged(0, 1)
    copying = copy.follow(state(leader=3, epoch=2), nowhere)
    assert copying.cutting is not None
    assert copying.synced(Generation(99))
    assert copy.log.end == 1


def test_a_high_watermark_from_a_checkpoint_stays_within_the_log() -> None:
    assert replica(hw=9).hw == 3


def test_who_waits_has_no_role() -> None:
    copy = replica(hw=1)
    copy.lead(1, state(), Millis(0))
    copy.wait(state(leader=-1, epoch=1))
    assert (copy.leading, copy.copying, copy.hw, copy.leader_epoch) == (None, None, 1, 1)
