"""Plans: what moves when brokers come and go, in figures, and never more than the ring promised."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.placement import Candidate, place
from barnabas.actors.rebalancing import rebalanced
from barnabas.bench.placement import by_ring, candidates, measure, most, row, share_moved, share_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "placement.md"


@pytest.mark.parametrize("brokers", [3, 4, 10, 100])
def test_ten_thousand_partitions_move_as_little_as_promised(brokers: int) -> None:
    figures = measure(brokers)
    assert max(figures.most, figures.added_most, figures.removed_most) <= 1.25
    assert figures.added <= 1.5 / (brokers + 1)
    assert figures.removed == figures.removed_own
    assert row(figures) in PAGE.read_text(), f"docs/placement.md says something else than {row(figures)}"


def test_a_cluster_that_grows_one_by_one_and_shrinks_again_keeps_the_promise_at_every_step() -> None:
    sets = by_ring(range(1, 4), 20, 50)
    for brokers in range(4, 13):
        after = {**sets, **rebalanced(sets, candidates(range(1, brokers + 1)))}
        assert share_moved(sets, after) <= 1.5 / brokers
        assert most(after, brokers) <= 1.25
        sets = after
    for gone in range(1, 9):
        after = {**sets, **rebalanced(sets, candidates(range(gone + 1, 13)))}
        assert share_moved(sets, after) == share_of(gone, sets)
        assert most(after, 12 - gone) <= 1.25
        sets = after


def test_a_plan_that_was_carried_out_leaves_nothing_to_do() -> None:
    sets = by_ring(range(1, 4), 10, 30)
    done = {**sets, **rebalanced(sets, candidates(range(1, 6)))}
    assert rebalanced(done, candidates(range(1, 6))) == {}


def test_half_a_plan_goes_on_where_it_was() -> None:
    sets = by_ring(range(1, 4), 10, 30)
    plan = rebalanced(sets, candidates(range(1, 5)))
    half = {**sets, **dict(list(plan.items())[: len(plan) // 2])}
    whole = {**half, **rebalanced(half, candidates(range(1, 5)))}
    assert share_moved(sets, whole) <= 1.5 / 4
    assert most(whole, 4) <= 1.25


def test_a_new_broker_leads_its_share() -> None:
    sets = by_ring(range(1, 4), 1, 60)
    after = {**sets, **rebalanced(sets, candidates(range(1, 5)))}
    leaders = Counter(members[0] for members in after.values())
    assert max(leaders.values()) - min(leaders.values()) <= 1


def test_without_leaders_only_what_must_move_is_in_the_plan() -> None:
    sets = by_ring(range(1, 5), 10, 30)
    plan = rebalanced(sets, candidates(range(2, 5)), leaders=False)
    assert set(plan) == {key for key, members in sets.items() if 1 in members}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.integers(0, 3), st.integers(1, 3), st.integers(1, 40), st.data())
def test_whatever_there_is_sets_stay_sets_and_racks_are_spread(
    brokers: int, racks: int, replication: int, partitions: int, data: st.DataObject
) -> None:
    replication = min(replication, brokers)
    before = [Candidate(n, f"r{n % racks}" if racks else "") for n in range(1, brokers + 1)]
    sets: dict[tuple[str, int], tuple[int, ...]] = {
        ("orders", index): members
        for index, members in enumerate(place("orders", range(partitions), replication, before))
    }
    stay = data.draw(st.sets(st.integers(1, brokers + 2), min_size=replication))
    after = [Candidate(n, f"r{n % racks}" if racks else "") for n in sorted(stay)]
    whole = {**sets, **rebalanced(sets, after)}
    rack_of = {candidate.broker: candidate.rack for candidate in after}
    for members in whole.values():
        assert len(set(members)) == replication
        assert set(members) <= stay
        if racks:
            assert len({rack_of[broker] for broker in members}) == min(replication, len(set(rack_of.values())))
