"""The commands `group ...` and `consume --group`, in this process against a cluster of threads."""

import json
from collections.abc import Iterator
from itertools import count

import pytest

from barnabas import Cluster
from barnabas.cli.main import main

NAMES = count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=1, isolation="thread") as running:
        yield running


@pytest.fixture
def topic(cluster: Cluster) -> str:
    name = f"topic-{next(NAMES)}"
    cluster.create_topic(name, partitions=2)
    with cluster.producer() as producer:
        for value in range(10):
            producer.send(name, str(value), partition=value % 2)
    return name


class Shell:
    """Runs commands and keeps what they print."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self.said = ""

    def __call__(self, *words: object, code: int = 0) -> str:
        found = main([str(word) for word in words])
        out, self.said = self._captured.readouterr()
        assert (found, self.said.count("\n")) == (code, 0 if code == 0 else 1), self.said
        return out


@pytest.fixture
def run(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("BARNABAS_BOOTSTRAP", cluster.bootstrap)
    return Shell(capfd)


def test_a_group_remembers_what_it_printed(run: Shell, topic: str) -> None:
    group = f"g-{topic}"
    first = run("consume", topic, "--group", group, "--from-beginning", "-n", 4)
    rest = run("consume", topic, "--group", group, "-n", 6)
    assert sorted((first + rest).split()) == [str(value) for value in range(10)]


def test_groups_are_listed_and_described(run: Shell, topic: str) -> None:
    group = f"g-{topic}"
    run("consume", topic, "--group", group, "--from-beginning", "-n", 10)
    assert group in run("group", "list")
    [listed] = [one for one in json.loads(run("group", "list", "--json")) if one["group"] == group]
    assert listed == {"group": group, "kind": "consumer", "state": "Empty"}
    shown = run("group", "describe", group)
    assert f"group {group}: Empty, consumer, assignor uniform" in shown
    assert "no members, lag 0" in shown
    [described] = json.loads(run("group", "describe", group, "--json"))
    assert [(row["committed"], row["end"], row["lag"]) for row in described["partitions"]] == [(5, 5, 0)] * 2


def test_who_reads_is_shown_while_it_reads(run: Shell, cluster: Cluster, topic: str) -> None:
    group = f"g-{topic}"
    with cluster.consumer(topic, group=group, client_id="till-7") as consumer:
        while not consumer.poll(1.0):
            pass
        consumer.commit()
        shown = run("group", "describe", group)
        assert "Stable" in shown
        assert "till-7" in shown
        run("group", "reset", group, "--to", "earliest", code=1)
        assert "member" in run.said
        run("group", "delete", group, code=1)
        assert "member" in run.said


def test_a_group_goes_on_from_where_it_is_told(run: Shell, topic: str) -> None:
    group = f"g-{topic}"
    run("consume", topic, "--group", group, "--from-beginning", "-n", 10)
    planned = json.loads(run("group", "reset", group, "--to", "earliest", "--dry-run", "--json"))
    assert [(row["before"], row["after"]) for row in planned] == [(5, 0), (5, 0)]
    assert "nothing was changed" in run("group", "reset", group, "--to", "3", "--dry-run")
    run("group", "reset", group, "--to", "3", "--topic", f"{topic}:1")
    assert run("consume", topic, "--group", group, "-n", 2).split() == ["7", "9"]
    run("group", "reset", group, "--to", "1h")
    assert len(run("consume", topic, "--group", group, "-n", 10).split()) == 10


def test_offsets_and_groups_are_forgotten(run: Shell, topic: str) -> None:
    group = f"g-{topic}"
    run("consume", topic, "--group", group, "--from-beginning", "-n", 10)
    run("group", "delete", group, "--topic", f"{topic}:0")
    [described] = json.loads(run("group", "describe", group, "--json"))
    assert [row["partition"] for row in described["partitions"]] == [1]
    assert run("group", "delete", group) == f"deleted group {group}\n"
    assert group not in run("group", "list")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("group", "describe", "nobody"), 1, "there is no group nobody"),
        (("group", "delete", "nobody"), 1, "there is no group nobody"),
        (("group", "reset", "nobody", "--to", "earliest"), 1, "group nobody has committed nothing"),
        (("group", "reset", "nobody", "--to", "earliest", "--topic", "nowhere"), 1, "there is no topic nowhere"),
        (("group", "reset", "nobody", "--to", "soon"), 2, "--to takes earliest, latest"),
        (("group", "reset", "nobody", "--to", "1", "--topic", "t:x"), 2, "--topic takes TOPIC or TOPIC:PARTITION"),
        (("consume", "t", "--group", "g", "--partition", "0"), 2, "--partition is not for members of a group"),
        (("consume", "nowhere", "--group", "g", "--timeout", "5"), 1, "there is no topic nowhere"),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Shell, words: tuple[str, ...], code: int, sentence: str) -> None:
    run(*words, code=code)
    assert sentence in run.said
