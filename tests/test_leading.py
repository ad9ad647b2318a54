"""What a leader may believe of its followers."""

from __future__ import annotations

import pytest
from logs import P0, grow, new_log

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Millis
from barnabas.actors.leading import Diverging, Leading, majority
from barnabas.actors.messages import FetchPartition


def leader(words: str = "abc", epoch: int = 0, *, durability: str = "fsync") -> Leading:
    log = new_log(durability=durability)
    grow(log, words, epoch)
    return Leading(log, epoch, Millis(0))


def wants(offset: int, last_epoch: int = 0, durable: int | None = None) -> FetchPartition:
    return FetchPartition(P0, 0, offset, last_epoch, offset if durable is None else durable, 0)


def fetch(leading: Leading, offset: int, durable: int | None = None, *, epoch: int = 5, now: int = 0) -> None:
    leading.fetched(2, epoch, wants(offset, durable=durable), Millis(now))


# --- The check ---


@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_prefix_of_the_leaders_log_passes(offset: int) -> None:
    assert leader().check(wants(offset, 0 if offset else -1)) is None


def test_a_log_that_is_longer_diverges_at_the_leaders_end() -> None:
    assert leader().check(wants(5)) == Diverging(0, 3)


def test_an_epoch_without_records_that_the_leader_does_not_know_diverges_too() -> None:
    leading = leader("abc", 0)
    leading.log.assign_epoch(9)
    assert leading.check(wants(3, last_epoch=7)) == Diverging(0, 3)


def test_a_longer_old_epoch_diverges_at_its_end() -> None:
    leading = leader("ab", 0)
    leading.log.assign_epoch(2)
    grow(leading.log, "cd", 2)
    assert leading.check(wants(4, last_epoch=0)) == Diverging(0, 2)


def test_an_epoch_between_two_of_the_leaders_diverges_at_the_end_of_the_lower_one() -> None:
    leading = leader("ab", 0)
    grow(leading.log, "cd", 2)
    assert leading.check(wants(3, last_epoch=1)) == Diverging(0, 2)


def test_an_offset_below_the_start_of_the_log_is_out_of_range() -> None:
    leading = leader()
    leading.log.advance_start(2)
    assert leading.check(wants(1, last_epoch=-1)) is ErrorCode.OFFSET_OUT_OF_RANGE


def test_a_follower_without_records_beyond_the_leaders_end_diverges() -> None:
    assert leader("").check(wants(4, last_epoch=-1)) == Diverging(-1, 0)


# --- Progress ---


def test_nothing_is_proven_before_the_first_fetch() -> None:
    leading = leader()
    assert (leading.durable(2), leading.counted(2)) == (-1, -1)


def test_a_fetch_proves_what_lies_below_its_offset() -> None:
    leading = leader()
    fetch(leading, 2, durable=1)
    assert (leading.followers[2].end, leading.durable(2)) == (2, 1)


def test_more_durable_than_fetched_is_not_believed() -> None:
    leading = leader()
    fetch(leading, 2, durable=3)
    assert leading.durable(2) == 2


def test_with_durability_os_what_is_written_counts() -> None:
    leading = leader(durability="os")
    fetch(leading, 2, durable=0)
    assert leading.counted(2) == 2


def test_synced_counts_up_to_what_a_fetch_has_proven() -> None:
    leading = leader()
    fetch(leading, 2, durable=0)
    assert leading.synced(2, 5, 3, Millis(1))
    assert leading.durable(2) == 2


def test_synced_without_a_fetch_in_this_epoch_counts_nothing() -> None:
    leading = leader()
    assert not leading.synced(2, 5, 3, Millis(1))
    assert leading.durable(2) == -1


def test_synced_of_another_life_counts_nothing() -> None:
    leading = leader()
    fetch(leading, 2, durable=0, epoch=5)
    assert not leading.synced(2, 4, 2, Millis(1))
    assert not leading.synced(2, 6, 2, Millis(1))


def test_synced_that_says_nothing_new_is_not_news() -> None:
    leading = leader()
    fetch(leading, 2, durable=2)
    assert not leading.synced(2, 5, 2, Millis(1))


def test_a_new_life_starts_anew() -> None:
    leading = leader()
    fetch(leading, 3, epoch=5, now=10)
    fetch(leading, 3, durable=0, epoch=9, now=20)
    assert (leading.durable(2), leading.followers[2].broker_epoch) == (0, 9)
    assert not leading.suspects


def test_a_new_life_with_less_than_it_claimed_is_a_suspect() -> None:
    leading = leader()
    fetch(leading, 3, epoch=5)
    fetch(leading, 2, epoch=9)
    assert leading.suspects == {2}


def test_with_durability_os_less_than_claimed_is_no_reason_for_suspicion() -> None:
    leading = leader(durability="os")
    fetch(leading, 3, epoch=5)
    fetch(leading, 2, epoch=9)
    assert not leading.suspects


# --- Being caught up ---


def test_who_has_everything_is_caught_up_now() -> None:
    leading = leader()
    fetch(leading, 3, now=50)
    assert leading.followers[2].caught_up_at == 50


def test_who_has_what_there_was_at_his_last_fetch_was_caught_up_then() -> None:
    leading = leader("abc")
    fetch(leading, 0, now=10)
    grow(leading.log, "d", 0)
    fetch(leading, 3, now=20)
    assert leading.followers[2].caught_up_at == 10


def test_who_never_reaches_what_there_was_is_not_caught_up() -> None:
    leading = leader("abc")
    fetch(leading, 0, now=10)
    fetch(leading, 2, now=20)
    assert leading.followers[2].caught_up_at == 0


def test_idle_time_is_not_lag() -> None:
    leading = leader("abc")
    fetch(leading, 3, now=10)
    grow(leading.log, "d", 0)
    leading.grew(Millis(9_000))
    assert leading.followers[2].caught_up_at == 9_000


def test_who_was_behind_when_the_log_grew_stays_behind() -> None:
    leading = leader("abc")
    fetch(leading, 2, now=10)
    grow(leading.log, "d", 0)
    leading.grew(Millis(9_000))
    assert leading.followers[2].caught_up_at == 0


def test_synced_can_end_the_lag() -> None:
    leading = leader("abc")
    fetch(leading, 3, durable=0, now=10)
    leading.synced(2, 5, 3, Millis(30))
    assert leading.followers[2].caught_up_at == 30


# --- Majorities ---


@pytest.mark.parametrize(
    ("ends", "end"), [([7], 7), ([7, 3], 3), ([7, 3, 5], 5), ([9, 1, 1], 1), ([9, 9, 1], 9), ([4, 3, 2, 1], 2)]
)
def test_a_majority_is_more_than_half_of_the_voters(ends: list[int], end: int) -> None:
    assert majority(ends) == end
