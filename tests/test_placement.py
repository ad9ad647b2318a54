"""Placement, with figures: how even it is, what racks do to it, and that it is the same everywhere."""

from __future__ import annotations

from collections import Counter
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.placement import Candidate, place
from barnabas.actors.ring import point

TOPICS = st.text("abcdefghijklmnop", min_size=4, max_size=8)


def brokers(count: int, racks: int = 0) -> list[Candidate]:
    return [Candidate(n, f"r{n % racks}" if racks else "") for n in range(1, count + 1)]


@given(TOPICS)
def test_three_brokers_lead_two_each_of_six_partitions(topic: str) -> None:
    sets = place(topic, range(6), 3, brokers(3))
    assert sorted(Counter(replicas[0] for replicas in sets).values()) == [2, 2, 2]


@given(TOPICS, st.integers(1, 24), st.integers(1, 9), st.data())
def test_replicas_are_distinct_and_no_broker_has_more_than_a_quarter_above_the_mean(
    topic: str, partitions: int, count: int, data: st.DataObject
) -> None:
    replication = data.draw(st.integers(1, min(5, count)))
    sets = place(topic, range(partitions), replication, brokers(count))
    assert all(len(set(replicas)) == replication for replicas in sets)
    load = Counter(chain.from_iterable(sets))
    assert max(load.values()) <= -(-5 * partitions * replication // (4 * count))


@given(TOPICS, st.integers(1, 24), st.integers(2, 9))
def test_the_leaders_of_a_topic_differ_by_at_most_one_if_all_have_all(topic: str, partitions: int, n: int) -> None:
    leaders = Counter(replicas[0] for replicas in place(topic, range(partitions), n, brokers(n)))
    counts = [leaders[broker] for broker in range(1, n + 1)]
    assert max(counts) - min(counts) <= 1


@given(TOPICS, st.integers(1, 24), st.integers(4, 9))
def test_the_leaders_of_a_topic_differ_by_at_most_one_with_three_replicas_of_many_brokers(
    topic: str, partitions: int, n: int
) -> None:
    leaders = Counter(replicas[0] for replicas in place(topic, range(partitions), 3, brokers(n)))
    assert max(leaders.values()) <= -(-partitions // n) + 1  # what the sets allow is not always the best


@settings(max_examples=30)
@given(st.lists(TOPICS, min_size=5, max_size=20, unique=True))
def test_many_small_topics_stay_within_one_of_the_bound_of_the_cluster(topics: list[str]) -> None:
    load: Counter[int] = Counter()
    leaders: Counter[int] = Counter()
    for topic in topics:
        known = [Candidate(n, "", load[n], leaders[n]) for n in range(1, 6)]
        for replicas in place(topic, range(1), 3, known):
            load.update(replicas)
            leaders[replicas[0]] += 1
        # One more where fewer brokers are below the bound than a set has members.
        assert max(load.values()) <= -(-5 * sum(load.values()) // (4 * 5)) + 1


@given(TOPICS, st.integers(1, 12), st.integers(2, 4))
def test_no_two_replicas_share_a_rack_while_another_has_none(topic: str, partitions: int, racks: int) -> None:
    candidates = brokers(6, racks)
    rack_of = {candidate.broker: candidate.rack for candidate in candidates}
    for replicas in place(topic, range(partitions), 3, candidates):
        assert len({rack_of[broker] for broker in replicas}) == min(3, racks)


def test_a_new_broker_takes_only_what_it_must_from_the_others() -> None:
    before = place("orders", range(60), 1, brokers(5))
    after = place("orders", range(60), 1, brokers(6))
    moved = sum(old != new for old, new in zip(before, after, strict=True))
    assert 10 <= moved <= 25  # modulo hashing would move 50 of them


def test_one_partition_after_another_continues_the_balance_of_leaders() -> None:
    first = place("orders", range(3), 3, brokers(3))
    leaders = Counter(replicas[0] for replicas in first)
    more = place("orders", range(3, 6), 3, brokers(3), leaders)
    assert sorted((leaders + Counter(replicas[0] for replicas in more)).values()) == [2, 2, 2]


def test_placement_is_the_same_on_every_machine() -> None:
    assert point("orders") == 0xD5ACEBE867B47F4D
    assert place("AbCdEfGhIjKlMnOpQrStUv", range(3), 2, brokers(4)) == place(
        "AbCdEfGhIjKlMnOpQrStUv", range(3), 2, list(reversed(brokers(4)))
    )
