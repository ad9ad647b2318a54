"""Topics change, partitions move and brokers come and go, as people type it: whole sentences and exit codes.

One cluster of five brokers in threads serves most tests, and the commands run in this process. What starts and stops
nodes has a cluster of processes of its own.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_clusters import home

from barnabas.cli.main import main
from barnabas.client import Admin
from barnabas.client.plans import effect_of, plan_of
from barnabas.cluster import Cluster

Said = tuple[int, str, str]
Commands = Callable[..., Said]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=5, isolation="thread") as running:
        yield running


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Iterator[Admin]:
    with cluster.admin() as made:
        yield made


@pytest.fixture
def type_(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> Commands:
    """Run a command on the cluster: its exit code, and what it printed."""

    def run(*words: object) -> Said:
        code = main([*map(str, words), "--bootstrap", cluster.bootstrap])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def replicas(admin: Admin, topic: str) -> list[list[int]]:
    [picture] = admin.describe_topics([topic])
    return [part.replicas for part in picture.partitions]


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


# --- Topics and configs


def test_a_topic_is_altered_and_says_where_each_config_comes_from(admin: Admin, type_: Commands) -> None:
    admin.create_topic("altered", 2)
    assert type_("topic", "alter", "altered", "--partitions", 5, "--config", "segment.ms=7") == (
        0,
        "altered the configs of topic altered\ntopic altered has 5 partitions\n",
        "",
    )
    code, out, _ = type_("topic", "configs", "altered")
    assert code == 0
    assert [line.split() for line in out.splitlines() if "segment.ms" in line] == [
        ["segment.ms", "7", "topic", "604800000", "long"]
    ]
    configs = {entry["name"]: entry for entry in json.loads(type_("topic", "configs", "altered", "--json")[1])}
    assert (configs["segment.ms"]["source"], configs["retention.ms"]["source"]) == ("topic", "default")
    type_("topic", "alter", "altered", "--delete-config", "segment.ms")
    assert [entry.value for entry in admin.describe_configs("altered") if entry.name == "segment.ms"] == ["604800000"]
    assert len(replicas(admin, "altered")) == 5


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ["topic", "alter", "refused"],
            2,
            "give --partitions, --config or --delete-config: there is",
        ),
        (["topic", "alter", "refused", "--config", "x"], 2, "--config takes NAME=VALUE, not `x`."),
        (["topic", "alter", "refused", "--config", "segment.ms=no"], 1, "segment.ms must be a whole number from 1 to"),
        (
            ["topic", "alter", "refused", "--config", "x=1"],
            1,
            "there is no topic config 'x'; there are cleanup",
        ),
        (["topic", "alter", "refused", "--config", "durability=os"], 1, "durability is chosen when a topic is created"),
        (["topic", "alter", "refused", "--partitions", "1"], 1, "topic 'refused' has 1 partition already: ask for"),
        (["topic", "alter", "nothing", "--partitions", "3"], 1, "there is no topic 'nothing'."),
        (["topic", "configs", "nothing"], 1, "there is no topic 'nothing'."),
        (["topic", "alter", "__consumer_offsets", "--partitions", "99"], 1, "__consumer_offsets is an internal topic"),
        (["topic", "delete", "__consumer_offsets"], 1, "__consumer_offsets is an internal topic, which the cluster"),
        (["broker", "alter", "2", "--config", "log.retention.ms=5"], 1, "log.retention.ms holds for all brokers alike"),
        (["broker", "configs", "77"], 1, "there is no broker '77'; there are 1, 2, 3, 4, 5."),
        (["broker", "decommission", "77"], 1, "b77 is not registered: there are b1, b2, b3, b4, b5."),
        (["broker", "remove", "77"], 1, "b77 is not registered: there are b1, b2, b3, b4, b5."),
        (
            ["broker", "decommission", "1"],
            1,
            "b1 cannot be decommissioned: everywhere-0 has 5 replicas, and only",
        ),
        (["reassign", "execute", "--partition", "refused:0=1,9"], 1, "b9 is not registered: there are b1, b2, b3, b4"),
        (["reassign", "execute", "--partition", "refused:0=1,1"], 1, "b1 is named twice in [1, 1]."),
        (["reassign", "execute", "--partition", "refused=1"], 2, "`refused` is no partition, expected TOPIC:PARTITION"),
        (["reassign", "execute", "--partition", "refused:0=one"], 2, "`refused:0=one` is no target, expected"),
        (["reassign", "execute", "/nowhere/plan.json"], 2, "/nowhere/plan.json: no such file or directory, expected a"),
        (["reassign", "plan", "--brokers", "1,9"], 1, "there is no broker 9 in the cluster: there are 1, 2, 3, 4, 5."),
        (
            ["reassign", "plan", "--brokers", "1,2", "--topic", "refused"],
            1,
            "refused-0 has 3 replicas, which 2",
        ),
        (["reassign", "throttle", "fast"], 2, "'fast' is no rate, expected a number of bytes such as 500kB or 20MB,"),
        (["reassign", "cancel", "refused:0"], 1, "refused-0 does not move: there is nothing to cancel."),
        (["elect-leaders", "refused:7"], 1, "topic 'refused' has no partition 7."),
        (["elect-leaders", "--unclean"], 2, "--unclean gives up records: name the partitions, as TOPIC:PARTITION."),
        (["elect-leaders", "refused:0", "--yes"], 2, "--yes belongs to --unclean."),
        (["elect-leaders", "refused:0", "--unclean"], 1, "refused-0 needs no unclean election: broker"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    admin: Admin, cluster: Cluster, type_: Commands, words: list[str], code: int, sentence: str
) -> None:
    if "refused" not in admin.list_topics():
        admin.create_topic("refused", 1)
        admin.create_topic("everywhere", 1, 5)
        with cluster.consumer("refused", group="some"):  # makes the topic for groups
            until(lambda: "__consumer_offsets" in admin.list_topics())
    got, _, err = type_(*words)
    assert (got, err.count("\n")) == (code, 1)
    assert err.startswith(f"barnabas: {sentence}"), err


# --- Moving


def test_a_plan_is_shown_saved_and_carried_out(admin: Admin, type_: Commands, tmp_path: Path) -> None:
    admin.create_topic("moving", 6)
    code, out, _ = type_("reassign", "plan", "--brokers", "3,4,5", "--topic", "moving")
    assert code == 0
    assert "replicas are copied to another broker" in out
    saved = tmp_path / "plan.json"
    saved.write_text(type_("reassign", "plan", "--brokers", "3,4,5", "--topic", "moving", "--json")[1])
    code, out, err = type_("reassign", "execute", saved)
    assert (code, err) == (0, "")
    assert out.endswith("where the plan says\n")
    assert {broker for members in replicas(admin, "moving") for broker in members} == {3, 4, 5}
    again = type_("reassign", "execute", "--brokers", "3,4,5", "--topic", "moving")
    assert again == (0, "nothing moves: every broker has its share\n", "")


def test_what_moves_is_shown_and_cancelled(admin: Admin, cluster: Cluster, type_: Commands) -> None:
    admin.create_topic("slow", 1, 1)
    with cluster.producer(linger_ms=0) as producer:
        for _ in range(40):
            producer.send("slow", bytes(10_000)).result(10)
    [[only]] = replicas(admin, "slow")
    other = only % 5 + 1
    begun = type_("reassign", "execute", "--partition", f"slow:0={other}", "--throttle", "10kB", "--no-wait")
    assert begun == (0, "1 partition moves\n", "")
    [move] = json.loads(type_("reassign", "show", "--json")[1])
    assert (move["topic"], move["partition"], move["from"], move["to"]) == ("slow", 0, [only], [other])
    assert move["bytes"] > 400_000
    assert type_("reassign", "show")[1].splitlines()[1].startswith("slow-0")
    assert type_("reassign", "cancel") == (0, "1 partition stays where it was\n", "")
    assert type_("reassign", "cancel") == (0, "no partition moves: there is nothing to cancel\n", "")
    assert type_("reassign", "throttle", "off") == (0, "partitions move as fast as they can\n", "")
    assert replicas(admin, "slow") == [[only]]


def test_preferred_leaders_lead_again(admin: Admin, cluster: Cluster, type_: Commands) -> None:
    admin.create_topic("preferred", 1)
    first = cluster.leader("preferred", 0)
    cluster.kill(first)
    until(lambda: cluster.leader("preferred", 0) not in (-1, first))
    cluster.restart(first)
    cluster.await_isr("preferred")
    code, out, err = type_("elect-leaders", "preferred:0")
    assert (code, out, err) == (0, "1 partition is led by the preferred leader now\n", "")
    assert cluster.leader("preferred", 0) == first
    assert type_("elect-leaders", "preferred:0") == (0, "0 partitions are led by the preferred leader now\n", "")


def test_an_unclean_election_says_first_what_it_costs(admin: Admin, cluster: Cluster, type_: Commands) -> None:
    admin.create_topic("given-up", 1, 1, {"min.insync.replicas": "1"})
    admin.reassign({("given-up", 0): [4, 5]})
    until(lambda: replicas(admin, "given-up") == [[4, 5]])
    cluster.await_isr("given-up")
    with cluster.producer(linger_ms=0) as producer:
        producer.send("given-up", b"kept").result(10)
        cluster.kill(5)
        until(lambda: cluster.isr("given-up", 0) == [4])
        producer.send("given-up", b"lost").result(10)
    cluster.kill(4)
    cluster.restart(5)
    until(lambda: cluster.leader("given-up", 0) == -1)
    code, out, err = type_("elect-leaders", "given-up:0", "--unclean")
    assert (code, err) == (1, "nothing was changed: give --yes to let them lead with what they have\n")
    first, *rest = out.splitlines()
    assert first.startswith("given-up-0: broker 5 would lead: it ends at 1, in leader epoch ")
    assert rest[0] == "  broker 4 had every committed record and is down: what only it has is lost"
    assert rest[1].startswith("  known to be committed is what lies below ")  # 0, or 1 if it was told of that
    assert cluster.leader("given-up", 0) == -1
    assert type_("elect-leaders", "given-up:0", "--unclean", "--yes")[0] == 0
    until(lambda: cluster.leader("given-up", 0) == 5)
    cluster.restart(4)
    cluster.await_isr("given-up")
    with cluster.consumer("given-up") as consumer:
        assert [record.value for record in consumer.poll(10)] == [b"kept"]


def test_a_plan_from_python_moves_what_it_says(admin: Admin) -> None:
    admin.create_topic("planned", 10, 2)
    picture = admin.describe_cluster()
    plan = plan_of(picture, [1, 2], ["planned"])
    effect = effect_of(picture, plan)
    assert 0 < effect.moved <= effect.replicas
    assert admin.reassign(plan) == []
    until(lambda: not admin.reassignments())
    assert {broker for members in replicas(admin, "planned") for broker in members} == {1, 2}


# --- Brokers come and go


def test_a_broker_is_added_to_a_running_cluster_takes_its_share_and_another_goes(tmp_path: Path) -> None:
    with home(tmp_path) as place:
        assert place.barnabas("up", "--detach").code == 0
        try:
            place.barnabas("topic", "create", "orders", "--partitions", 8)
            place.barnabas("produce", "orders", given="\n".join(f"v{n}" for n in range(100)))
            added = place.barnabas("broker", "add", "--rack", "r9")
            assert added.code == 0, added
            assert added.out.startswith("broker 4 serves at 127.0.0.1:")
            assert place.barnabas("broker", "add", "--id", 4).err.startswith("barnabas: there is a node 4 in the")
            count, _, words = place.barnabas("reassign", "execute").out.partition(" ")
            assert (int(count) >= 6, words) == (True, "partitions are where the plan says\n")  # and who changes leaders
            brokers = json.loads(place.barnabas("broker", "list", "--json").out)
            assert [broker["replicas"] for broker in brokers] == [6, 6, 6, 6]
            gone = place.barnabas("broker", "decommission", 1)
            assert gone.out == "broker 1 keeps nothing any more: `barnabas broker remove 1` forgets it\n", gone
            kept = place.barnabas("broker", "remove", 1)
            assert (kept.code, kept.err.partition(",")[0]) == (1, "barnabas: node 1 is a controller too")
            too_few = place.barnabas("broker", "decommission", 4)
            assert too_few.err.startswith("barnabas: b4 cannot be decommissioned: orders-0 has 3 replicas, and only b2")
            assert place.barnabas("broker", "decommission", 1, "--cancel").out == "broker 1 stays\n"
            assert place.barnabas("broker", "decommission", 4).code == 0
            assert place.barnabas("broker", "remove", 4).out == "broker 4 is no part of the cluster any more\n"
            assert [row["broker"] for row in json.loads(place.barnabas("broker", "list", "--json").out)] == [1, 2, 3]
            assert [row["node"] for row in json.loads(place.barnabas("ps", "--json").out)] == [1, 2, 3]
            read = place.barnabas("consume", "orders", "--from-beginning", "--max-messages", 100)
            assert sorted(read.out.split()) == sorted(f"v{n}" for n in range(100))
        finally:
            place.barnabas("down")
