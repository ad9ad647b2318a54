"""Many deadlines: what is due and when, whatever was moved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from barnabas.actors.deadlines import Deadlines
from barnabas.actors.kernel import Millis


def test_a_deadline_that_is_moved_is_due_at_the_last_time_that_was_said() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", Millis(10))
    deadlines.set("b", Millis(20))
    deadlines.set("a", Millis(30))
    assert (deadlines.next(), deadlines.due(Millis(19)), deadlines.due(Millis(20))) == (20, [], ["b"])
    deadlines.set("a", Millis(5))
    assert (deadlines.at("a"), deadlines.due(Millis(5)), deadlines.next(), len(deadlines)) == (5, ["a"], None, 0)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.integers(0, 20)), st.integers(0, 3))))
def test_they_are_what_a_dict_that_is_searched_would_be(steps: list[tuple[str, int | None, int]]) -> None:
    deadlines: Deadlines[str] = Deadlines()
    plain: dict[str, int] = {}
    now = 0
    for key, at, passes in steps:
        now += passes
        if at is None:
            deadlines.drop(key)
            plain.pop(key, None)
        else:
            deadlines.set(key, Millis(now + at))
            plain[key] = now + at
        assert deadlines.next() == min(plain.values(), default=None)
        due = deadlines.due(Millis(now))
        assert sorted(due) == sorted(key for key, when in plain.items() if when <= now)
        plain = {key: when for key, when in plain.items() if when > now}
        assert {key: deadlines.at(key) for key in plain} == plain
