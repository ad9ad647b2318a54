"""The judge of `bench group --churn` finds what is wrong, and nothing else; and a short run is right."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import cast

from barnabas.bench.group_churn import ChurnReport, _judge
from barnabas.bench.group_processes import Member, Told


def member(*lines: str, killed_at: float = math.inf, stopped: tuple[tuple[float, float], ...] = ()) -> Member:
    told = [Told(what, float(at), words) for what, at, *words in (line.split() for line in lines)]
    return cast(Member, SimpleNamespace(told=told, killed_at=killed_at, stopped=[*stopped]))


def judge(*members: Member, end: int = 4) -> ChurnReport:
    return _judge(members, {0: end}, 1.0, {})


def test_a_group_that_hands_over_is_right() -> None:
    one = member("assigned 1.0 0", "read 1.1 0 0 1", "committed 1.2 0:2", "revoked 2.0 0")
    two = member("assigned 2.1 0", "read 2.2 0 2 3", "committed 2.3 0:4")
    assert judge(one, two).good


def test_an_offset_that_nobody_got_was_skipped() -> None:
    report = judge(member("assigned 1.0 0", "read 1.1 0 0 1", "read 1.2 0 3 3"))
    assert (report.skipped, report.examples) == (1, ["0: offset 2 was given to nobody"])


def test_what_was_committed_must_not_come_again() -> None:
    one = member("assigned 1.0 0", "read 1.1 0 0 3", "committed 1.2 0:4", killed_at=1.5)
    two = member("assigned 2.0 0", "read 2.1 0 2 3")
    assert judge(one, two).given_again == 2


def test_what_was_not_committed_may_come_again() -> None:
    one = member("assigned 1.0 0", "read 1.1 0 0 3", killed_at=1.5)
    two = member("assigned 2.0 0", "read 2.1 0 0 3")
    assert judge(one, two).good


def test_two_that_are_alive_must_not_own_one_partition() -> None:
    one = member("assigned 1.0 0", "read 1.1 0 0 3", "revoked 3.0 0")
    two = member("assigned 2.0 0")
    assert judge(one, two).owned_twice == 1


def test_a_dead_member_owns_nothing_and_a_paused_one_until_it_was_paused() -> None:
    dead = member("assigned 1.0 0", "read 1.1 0 0 3", killed_at=1.5)
    paused = member("assigned 2.0 0", "lost 22.0 0", stopped=((3.0, 21.9),))
    last = member("assigned 14.0 0")
    assert judge(dead, paused, last).good


def test_a_short_pause_excuses_nothing() -> None:
    paused = member("assigned 1.0 0", "read 1.1 0 0 3", "lost 5.0 0", stopped=((2.0, 4.9),))
    assert judge(paused, member("assigned 3.0 0")).owned_twice == 1
