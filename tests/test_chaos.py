"""Scenarios say what they mean, plans repeat, verdicts find what is wrong, and a run is what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from real_clusters import Home, home

from barnabas.cli.chaos.member import Held
from barnabas.cli.chaos.members import overlaps
from barnabas.cli.chaos.plan import plan
from barnabas.cli.chaos.scenario import Fault, MembersPart, RandomPart, Scenario, load, shipped
from barnabas.cli.chaos.striking import Struck
from barnabas.cli.chaos.targets import Target, parse
from barnabas.cli.chaos.verdict import Evidence, Verdict, judge
from barnabas.cluster.blows import Blow
from barnabas.cluster.event_file import Happened, iso
from barnabas.cluster.figures import DEAD, Figure
from barnabas.cluster.formatting import ClusterRefused
from barnabas.simulation.history import Op

NODES = [1, 2, 3]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


# --- Scenarios and plans -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_every_scenario_that_comes_along_can_be_read_and_started(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert scenario.title
    assert plan(scenario, 1, [node.id for node in scenario.cluster_config().nodes]) or scenario.members.count


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = 'x'\n", "so nothing would be done"),
        ("title = 'x'\n[[fault]]\ndo = 'explode'\n", "Invalid enum value 'explode'"),
        ("title = 'x'\n[[fault]]\ndo = 'kill'\n", "[[fault]] number 1 has no `target`"),
        ("title = 'x'\n[[fault]]\ndo = 'kill'\ntarget = 'leader:orders'\n", "`leader:orders` is no target"),
        ("title = 'x'\n[[fault]]\ndo = 'split'\n", "needs `groups`"),
        ("title = 'x'\n[random]\nweights = { wipe = 1 }\n", "is not a blow at one node that can be undone"),
        ("title = 'x'\nextra = 1\n", "unknown field `extra`"),
        ("title = \n", "Invalid value"),
    ],
)
def test_a_scenario_that_cannot_be_meant_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ClusterRefused) as refusal:
        load(str(path))
    assert said in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_scenario_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(ClusterRefused, match=r"expected a path or one of: .*kill-leader"):
        load("nothing")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("2", Target("node", 2)),
        ("controller", Target("controller")),
        ("leader:my-topic/12", Target("leader", 0, "my-topic", 12)),
        ("follower:a/0", Target("follower", 0, "a", 0)),
        ("replica:a/0", Target("replica", 0, "a", 0)),
        ("coordinator:billing", Target("coordinator", group="billing")),
    ],
)
def test_targets_are_told_in_words(text: str, target: Target) -> None:
    assert parse(text) == target


@pytest.mark.parametrize("text", ["0", "", "leader:a", "leader:/1", "leader:a/b", "everybody"])
def test_what_is_no_target_is_said_to_be_none(text: str) -> None:
    assert str(parse(text)).endswith("controller, broker or random")


def test_the_same_seed_plans_the_same_blows_and_another_one_others() -> None:
    scenario = Scenario("x", random=RandomPart({"kill": 3, "stop": 1, "cut": 1, "clock": 1})).lasting(300)
    plans = [plan(scenario, seed, NODES) for seed in (7, 7, 8)]
    assert plans[0] == plans[1] != plans[2]
    assert len(plans[0]) > 20
    assert {planned.fault.do for planned in plans[0]} == {"kill", "stop", "cut", "clock"}
    assert all(earlier.until <= later.at for earlier, later in zip(plans[0], plans[0][1:], strict=False))


def test_a_fault_that_comes_again_and_again_ends_with_the_impact() -> None:
    scenario = Scenario("x", faults=[Fault("kill", "2", at=1.0, times=9, every=4.0, lasting=3.0)]).lasting(10)
    assert [(planned.at, planned.until) for planned in plan(scenario, 1, NODES)] == [(1, 4), (5, 8), (9, 10)]


def test_a_cluster_gets_the_links_and_the_obedience_that_the_blows_need() -> None:
    cut, full = Fault("cut", "1"), Fault("fill-disk", "1")
    for faults, links, obeys in (
        ([cut], "proxied", "refused"),
        ([full], "direct", "allowed"),
        ([Fault("kill", "1")], "direct", "refused"),
    ):
        options = Scenario("x", faults=faults).cluster_config().cluster
        assert (options.links, options.faults) == (links, obeys)


# --- Verdicts ----------------------------------------------------------------------------------------------------

MS = 1000


def send(number: int, at_ms: int, took_ms: int = 5, outcome: str = "ok", key: str = "chaos-0") -> Op:
    called, done = at_ms * MS, (at_ms + took_ms) * MS
    value = f"p1-{number}"
    return Op("p1", "send", key, called, done, outcome, value, number if outcome == "ok" else -1)  # type: ignore[arg-type]


def poll(*numbers: int, final: bool = True) -> Op:
    read = [(number, f"p1-{number}") for number in numbers]
    return Op("final", "poll", "chaos-0", 100_000 * MS, 100_001 * MS, read=read, final=final)


def struck(at_ms: int = 1_000, leads: tuple[str, ...] = ("chaos-0",)) -> Struck:
    return Struck(Blow("kill", 2), "leader:chaos/0", "node 2 was killed", at_ms * MS, at_ms, list(leads))


def happened(kind: str, ms: int, **fields: object) -> Happened:
    return Happened(iso(ms), ms, 1, "controller", kind, fields, f"{kind} at {ms}", "")


HEALTHY = {node: Figure(node, 10 + node, "running", 0.1, 50_000_000, 5, 40) for node in NODES}


def evidence(*ops: Op, **changes: object) -> Evidence:
    made = Evidence(
        scenario=Scenario("x", "mine", faults=[Fault("kill", "2")]),
        seed=1,
        directory="somewhere",
        ops=ops,
        complaints={},
        struck=[struck()],
        refused=[],
        events=[happened("BrokerFencedEvent", 1_040, broker=2)],
        steady_us=(0, 1_000 * MS),
        impact_us=(1_000 * MS, 10_000 * MS),
        converge_s=1.5,
        read_everything=True,
        group_settled_s=0.0,
        shared=[],
        findings=[],
        last_words=[],
        before=HEALTHY,
        after=HEALTHY,
    )
    return msgspec.structs.replace(made, **changes)


GOOD = (send(0, 500), send(1, 990), send(2, 1_100, 7), send(3, 1_200), poll(0, 1, 2, 3))


def failing(verdict: Verdict) -> list[str]:
    return [claim.name for claim in verdict.claims if not claim.holds]


def test_a_run_in_which_all_went_well_is_good_and_says_how_fast() -> None:
    verdict = judge(evidence(*GOOD))
    assert (verdict.valid, failing(verdict)) == (True, [])
    assert (verdict.sent, verdict.acknowledged, verdict.lost) == (4, 4, 0)
    [blow] = verdict.blows
    assert (blow.detected_ms, blow.next_ack_ms, blow.noticed_as) == (40, 107.0, "BrokerFencedEvent at 1040")
    assert verdict.longest_pause_ms == 112.0


def test_what_was_acknowledged_and_is_gone_is_lost_and_named() -> None:
    verdict = judge(evidence(*GOOD[:-1], poll(0, 1, 3)))
    assert (verdict.valid, verdict.lost) == (False, 1)
    assert failing(verdict)[0] == "every acknowledged record is kept"
    assert any("p1-2 was acknowledged" in example for example in verdict.examples)
    assert "1 lost, the first one: " in next(claim.found for claim in verdict.claims if not claim.holds)


def test_what_was_read_and_is_gone_in_the_end_is_lost_too() -> None:
    """After an unclean election: readers have had it, and the log has something else there."""
    first = Op("c", "poll", "chaos-0", 1_300 * MS, 1_301 * MS, read=[(n, f"p1-{n}") for n in range(4)])
    verdict = judge(evidence(*GOOD[:-1], first, poll(0, 1, 2)))
    assert (verdict.valid, verdict.lost) == (False, 1)
    assert verdict.examples[0] == "chaos-0: p1-3 was acknowledged at 3, where in the end is nothing"


def test_what_was_sent_before_a_blow_was_in_force_says_nothing_about_it() -> None:
    struck_slowly = msgspec.structs.replace(struck(1_195), in_force_us=1_250 * MS)
    [blow] = judge(evidence(*GOOD, struck=[struck_slowly])).blows
    assert blow.next_ack_ms is None


def test_what_is_there_twice_is_counted() -> None:
    twice = Op("c", "poll", "chaos-0", 1, 2, read=[(0, "p1-0"), (1, "p1-1"), (2, "p1-2"), (3, "p1-3"), (4, "p1-2")])
    verdict = judge(evidence(*GOOD, twice))
    assert (verdict.valid, verdict.duplicated) == (False, 1)
    assert "nothing is there twice" in failing(verdict)


@pytest.mark.parametrize(
    ("changes", "claim"),
    [
        ({"converge_s": None}, "all replicas are in sync again within 30 s"),
        ({"read_everything": False}, "everything was read to the end"),
        ({"findings": ["node-1: a checksum does not match"]}, "the logs on disk are whole"),
        ({"last_words": ["node 1: Traceback"]}, "no process failed by itself"),
        ({"refused": ["cut 1: refused"]}, "every blow was struck and undone"),
        ({"struck": [struck(1_195, ("chaos-0", "chaos-1"))]}, "acknowledgements go on within 10 s"),
        ({"after": {**HEALTHY, 2: HEALTHY[2]._replace(descriptors=400)}}, "nothing leaks"),
        ({"after": {**HEALTHY, 2: Figure(2, 12, DEAD)}}, "nothing leaks"),
    ],
)
def test_each_claim_can_fail_by_itself(changes: dict[str, object], claim: str) -> None:
    verdict = judge(evidence(*GOOD, **changes))
    assert (verdict.valid, failing(verdict)) == (False, [claim])


def test_a_run_in_which_nothing_was_acknowledged_shows_nothing() -> None:
    assert "something was acknowledged" in failing(judge(evidence(poll())))


def test_how_a_blow_was_noticed_is_what_the_cluster_said_of_that_node_after_it() -> None:
    events = [
        happened("BrokerFencedEvent", 900, broker=2),
        happened("BrokerFencedEvent", 1_010, broker=3),
        happened("IsrChanged", 1_020, before=[1, 2, 3], isr=[1, 3]),
    ]
    [blow] = judge(evidence(*GOOD, events=events)).blows
    assert blow.detected_ms == 20
    [blow] = judge(evidence(*GOOD, events=events[:2])).blows
    assert blow.detected_ms is None


def test_two_members_that_held_one_partition_at_once_are_told() -> None:
    def held(process: str, at_ms: int, *, given: bool, lost: bool = False) -> Held:
        return Held(process, "chaos-0", at_ms * MS, given, lost)

    in_turn = [held("m1", 0, given=True), held("m1", 10, given=False), held("m2", 10, given=True)]
    assert overlaps(in_turn, {}) == []
    both = [held("m1", 0, given=True), held("m2", 10, given=True), held("m1", 30, given=False)]
    assert overlaps([*both, held("m2", 40, given=False)], {}) == [
        "m1 held chaos-0 for 20 ms after m2 was given it",
    ]
    assert overlaps(both[:2], {"m1": 5 * MS}) == [], "who was killed holds nothing"
    assert overlaps(both[:2], {"m1": 15 * MS}) == ["m1 held chaos-0 for 5 ms after m2 was given it"]
    zombie = [*both[:2], held("m1", 30, given=False, lost=True), held("m2", 40, given=False)]
    assert overlaps(zombie, {}) == [], "who was given up may believe what it likes"


def test_a_group_that_does_not_settle_or_shares_a_partition_fails_the_run() -> None:
    scenario = Scenario("x", "mine", members=MembersPart(count=2, killed_every=1.0))
    committed = Op("m1", "commit", "chaos-0", 1, 2, offset=1, group="chaos")
    assert judge(evidence(*GOOD, committed, scenario=scenario)).valid
    for changes in ({"group_settled_s": None}, {"group_settled_s": 20.0}, {"shared": ["m1 held chaos-0"]}):
        assert len(failing(judge(evidence(*GOOD, committed, scenario=scenario, **changes)))) == 1


# --- The command -------------------------------------------------------------------------------------------------


def test_a_leader_is_killed_under_load_and_the_verdict_is_good_and_kept(place: Home) -> None:
    done = place.barnabas(
        "chaos", "run", "kill-leader", "--seconds", "4", "--seed", "5", "--out", "run", "--json", timeout=110
    )
    verdict = json.loads(done.out)
    assert done.code == 0, verdict["claims"]
    assert verdict["acknowledged"] > 500
    assert (verdict["lost"], verdict["duplicated"], verdict["anomalies"]) == (0, 0, {})
    assert [blow["do"] for blow in verdict["blows"]] == ["kill", "kill"]
    kept = {path.name for path in (place.directory / "run").iterdir()}
    assert kept == {"history.jsonl", "faults.jsonl", "events.jsonl", "verdict.json"}
    judged = place.barnabas("simulate", "--history", "run/history.jsonl")
    assert judged.code == 0, judged.out


def test_a_scenario_that_is_made_to_lose_is_seen_to_lose_and_says_what(place: Home) -> None:
    done = place.barnabas(
        "chaos", "run", "acks1-kill-leader", "--seconds", "4", "--seed", "5", "--out", "run", "--json", timeout=110
    )
    verdict = json.loads(done.out)
    assert (done.code, verdict["valid"]) == (1, False)
    assert verdict["lost"] > 0
    assert "was acknowledged at" in verdict["examples"][0]
    claims = {claim["name"]: claim["holds"] for claim in verdict["claims"]}
    assert not claims["every acknowledged record is kept"]
    assert claims["the logs on disk are whole"]
    assert claims["everything was read to the end"]
    assert (place.directory / "run" / "data").exists(), "the nodes' directories are kept"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["kill", "everybody"], 1, "there is no cluster in"),
        (["heal"], 1, "there is no cluster in"),
        (["run", "nothing"], 1, "no scenario is called `nothing`"),
        (["run", "kill-leader", "--out", "."], 2, "exists already"),
        (["explode", "1"], 2, "'explode' is not one of kill, stop"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(place: Home, words: list[str], code: int, said: str) -> None:
    done = place.barnabas("chaos", *words)
    assert (done.code, said in done.err) == (code, True), done.err
    assert "Traceback" not in done.err


def test_single_blows_from_the_command_line_and_healing(place: Home) -> None:
    assert place.barnabas("up", "--detach").code == 0
    try:
        assert place.barnabas("topic", "create", "orders").code == 0
        done = place.barnabas("chaos", "kill", "leader:orders/0")
        assert done.out.startswith("node "), done.err
        victim = done.out.split()[1]
        assert place.barnabas("chaos", "stop", victim).code == 1
        assert place.barnabas("chaos", "isolate", victim).err.count('`links = "proxied"`') == 1
        assert place.barnabas("chaos", "kill", "nobody").code == 2
        assert place.barnabas("chaos", "heal").out == f"node {victim} was started again\n"
        assert place.barnabas("chaos", "heal").out == "there is nothing to heal\n"
    finally:
        place.barnabas("down")
