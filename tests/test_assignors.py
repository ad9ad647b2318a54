"""What assignors give to whom: everything once, evenly, and as little as possible anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.assignors import ASSIGNORS, Applicant, Shares, plan_problem, ranges, uniform
from barnabas.actors.envelope import Partition, TopicId, TopicName

ORDERS, PENS, BIG = (TopicName(TopicId(f"T{n}"), f"t{n}", partitions) for n, partitions in enumerate((6, 6, 900)))


def member(name: str, *topics: TopicName, has: Sequence[Partition] = (), instance: str = "") -> Applicant:
    return Applicant(name, instance, tuple(sorted(topics, key=lambda topic: topic.id)), frozenset(has))


def again(applicants: Sequence[Applicant], shares: Shares) -> list[Applicant]:
    return [applicant._replace(has=frozenset(shares.get(applicant.name, ()))) for applicant in applicants]


def moved(before: Shares, after: Shares) -> int:
    return sum(len(share - after.get(name, set())) for name, share in before.items())


@st.composite
def groups(draw: st.DrawFn) -> list[Applicant]:
    topics = [TopicName(TopicId(f"T{n}"), f"t{n}", draw(st.integers(0, 7))) for n in range(draw(st.integers(1, 4)))]
    partitions = [Partition(topic.id, index) for topic in topics for index in range(topic.partitions + 1)]
    names = [f"m{n}" for n in range(draw(st.integers(1, 6)))]
    owners = [draw(st.sampled_from([*names, "gone"])) for _ in partitions]
    found = []
    for name in names:
        subscribed = draw(st.lists(st.sampled_from(topics), unique=True, max_size=4))
        has = [partition for partition, owner in zip(partitions, owners, strict=True) if owner == name]
        found.append(member(name, *subscribed, has=has, instance=draw(st.sampled_from(["", f"i-{name}"]))))
    return found


@pytest.mark.parametrize("assignor", ASSIGNORS.values(), ids=ASSIGNORS)
@given(applicants=groups())
def test_every_partition_goes_to_exactly_one_who_subscribes_to_it(
    assignor: Callable[[Sequence[Applicant]], Shares], applicants: list[Applicant]
) -> None:
    shares = assignor(applicants)
    assert set(shares) == {applicant.name for applicant in applicants}
    assert plan_problem(shares.items(), applicants) is None
    assert assignor(applicants) == shares


@given(applicants=groups())
@settings(max_examples=200)
def test_uniform_is_even_and_stays_as_it_is(applicants: list[Applicant]) -> None:
    shares = uniform(applicants)
    assert uniform(again(applicants, shares)) == shares
    for one in applicants:
        for other in applicants:
            shared = {topic.id for topic in one.topics} & {topic.id for topic in other.topics}
            movable = any(partition.topic in shared for partition in shares[one.name])
            assert not movable or len(shares[one.name]) - len(shares[other.name]) <= 1


def test_who_joins_takes_only_what_makes_it_even() -> None:
    one = [member("a", BIG)]
    shares = uniform(one)
    everybody = [member("a", BIG)]
    for name in "bcdefghij":
        everybody = [*again(everybody, shares), member(name, BIG)]
        before, shares = shares, uniform(everybody)
        sizes = [len(share) for share in shares.values()]
        assert max(sizes) - min(sizes) <= 1
        assert moved(before, shares) == len(shares[name])


def test_who_leaves_leaves_the_others_what_they_have() -> None:
    everybody = [member(name, ORDERS, PENS) for name in "abc"]
    before = uniform(everybody)
    after = uniform([one for one in again(everybody, before) if one.name != "b"])
    assert all(before[name] <= after[name] for name in "ac")


def test_range_gives_the_same_numbers_of_all_topics_to_the_same_member() -> None:
    shares = ranges([member(name, ORDERS, PENS) for name in "ba"])
    for name, indexes in (("a", {0, 1, 2}), ("b", {3, 4, 5})):
        for topic in (ORDERS, PENS):
            assert {partition.index for partition in shares[name] if partition.topic == topic.id} == indexes


def test_range_goes_by_static_names() -> None:
    shares = ranges([member("a", ORDERS, instance="2"), member("b", ORDERS, instance="1")])
    assert {partition.index for partition in shares["b"]} == {0, 1, 2}


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"a": [0, 1, 2], "b": [3, 4]}, "t0-5 to nobody"),
        ({"a": [0, 1, 2], "b": [2, 3, 4, 5]}, "to a and to b"),
        ({"a": [0, 1, 2], "x": [3, 4, 5]}, "x, which is no member"),
        ({"a": [0, 1, 2, 3], "b": [4, 5], "c": []}, "c, which is no member"),
        ({"a": [0, 1, 2, 6], "b": [3, 4, 5]}, "does not subscribe"),
        ({"a": [-1, 0, 1, 2], "b": [3, 4, 5]}, "does not subscribe"),
    ],
)
def test_a_plan_that_is_no_legal_assignment_is_told_from_one(plan: dict[str, list[int]], words: str) -> None:
    applicants = [member("a", ORDERS), member("b", ORDERS)]
    shares = [(name, [Partition(ORDERS.id, index) for index in indexes]) for name, indexes in plan.items()]
    problem = plan_problem(shares, applicants)
    assert problem is not None and words in problem


def test_a_legal_plan_has_no_problem() -> None:
    applicants = [member("a", ORDERS), member("b", PENS)]
    shares = [("a", [Partition(ORDERS.id, n) for n in range(6)]), ("b", [Partition(PENS.id, n) for n in range(6)])]
    assert plan_problem(shares, applicants) is None
