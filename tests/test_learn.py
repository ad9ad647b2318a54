"""Every lesson goes as it says, on a real cluster; and one whose claim does not hold fails."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from barnabas import Cluster
from barnabas.cli.learn import lessons
from barnabas.cli.learn.lessons import LESSONS, Lesson
from barnabas.cli.learn.stage import Stage
from barnabas.cli.main import main


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One for all lessons, as in `barnabas learn all`."""
    with Cluster(brokers=3) as made:
        yield made


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.name for lesson in LESSONS])
def test_a_lesson_goes_as_it_says_and_leaves_the_cluster_whole(cluster: Cluster, lesson: Lesson) -> None:
    told: list[str] = []
    stage = Stage(cluster, told.append)
    lesson.run(stage)
    assert stage.holds, "\n".join(told)
    assert len(stage.claims) >= 2
    assert sorted(cluster.alive()) == [1, 2, 3]


def test_every_idea_of_the_talk_has_a_lesson() -> None:
    assert {lesson.name for lesson in LESSONS} >= {
        "log", "expiry", "hashing", "order", "replication", "failover", "streams", "immutable", "controller", "acks",
        "high-watermark", "dumb-brokers", "groups", "in-sync",
    }  # fmt: skip
    assert all(lesson.run.__doc__ for lesson in LESSONS)


def test_a_lesson_whose_claim_does_not_hold_fails_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(stage: Stage) -> None:
        stage.will("nothing will happen")
        stage.check("two and two are five", 2 + 2 == 5, 4)

    monkeypatch.setattr(lessons, "LESSONS", [Lesson("wrong", "arithmetic", wrong)])
    assert main(["learn", "wrong"]) == 1
    told = capsys.readouterr().out
    assert "  NO:  two and two are five (4)" in told
    assert "These lessons did not go as they say: wrong." in told
    assert main(["learn", "wrong", "--json"]) == 1
    [lesson] = json.loads(capsys.readouterr().out)
    assert (lesson["holds"], lesson["claims"][0]["holds"]) == (False, False)


def test_a_lesson_that_checks_nothing_is_none() -> None:
    stage = Stage(Cluster(), lambda line: None)
    stage.will("nothing will be checked")
    assert not stage.holds


def test_lessons_are_listed_and_an_unknown_one_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["learn"]) == 0
    assert "failover" in capsys.readouterr().out
    assert main(["learn", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(LESSONS)
    assert main(["learn", "everything"]) == 2
    assert "expected all or one of: log, immutable" in capsys.readouterr().err
