"""What is one thing that happened to many partitions is told in one sentence, and nothing is left out."""

from __future__ import annotations

from barnabas.cluster.event_file import Happened, iso
from barnabas.cluster.story import names, tell

REFUSED = "b2: its connection was refused"


def event(kind: str, ms: int, cause: str = REFUSED, sentence: str = "as it was", **fields: object) -> Happened:
    return Happened(iso(ms), ms, 1, "controller", kind, fields, sentence, cause)


def left(partition: str, ms: int = 0, elr: tuple[int, ...] = ()) -> Happened:
    return event("IsrChanged", ms, partition=partition, before=[1, 2, 3], isr=[1, 3], elr=list(elr))


def led(partition: str, ms: int = 0, leader: int = 3, before: int = 2) -> Happened:
    return event("PartitionLeaderChanged", ms, partition=partition, before=before, leader=leader, leader_epoch=1)


def test_leaders_and_isrs_that_change_in_turn_are_two_sentences() -> None:
    story = tell([led("orders-10"), left("orders-10"), led("orders-2"), left("orders-2"), left("pay-0")])
    assert [(passage.sentence, passage.which, passage.cause) for passage in story] == [
        ("b3 leads 2 partitions after b2", "orders-2,10", REFUSED),
        ("b2 left the ISR of 3 partitions", "orders-2,10 pay-0", REFUSED),
    ]
    assert [len(passage.events) for passage in story] == [2, 3]


def test_what_happened_once_is_told_as_the_node_told_it() -> None:
    [passage] = tell([left("orders-0")])
    assert (passage.sentence, passage.cause, passage.which) == ("as it was", REFUSED, "")


def test_another_cause_or_another_second_is_another_sentence() -> None:
    story = tell([led("a-0"), led("a-1", 900), led("a-2", 2000), event("PartitionLeaderChanged", 2000, "another")])
    assert [len(passage.events) for passage in story] == [2, 1, 1]


def test_that_nobody_leads_is_said() -> None:
    [passage] = tell([led("a-0", leader=-1), led("a-1", leader=-1)])
    assert passage.sentence == "2 partitions have no leader: b2 led them and nobody who is up may"


def test_joining_is_proposed_by_many_leaders_and_is_one_sentence() -> None:
    joins = [
        event("IsrChanged", 0, f"proposed by b{leader}, the leader", partition=f"a-{leader}", before=[1], isr=[1, 2])
        for leader in (1, 3)
    ]
    [passage] = tell(joins)
    assert (passage.sentence, passage.cause) == ("b2 joined the ISR of 2 partitions", "proposed by the leader")


def test_who_left_and_stays_eligible_is_told_apart_from_who_did_not() -> None:
    story = tell([left("a-0", elr=(2,)), left("a-1", elr=(2,)), left("a-2"), left("a-3")])
    assert [passage.sentence for passage in story] == [
        "b2 left the ISR of 2 partitions, eligible to lead all the same",
        "b2 left the ISR of 2 partitions",
    ]


def test_events_that_nobody_knows_are_told_as_they_are() -> None:
    assert len(tell([event("OfANewerVersion", 0), event("OfANewerVersion", 0)])) == 2


def test_many_partitions_are_named_in_few_letters() -> None:
    assert names([f"orders-{index}" for index in range(20)]) == "orders-0,1,2,3,4,5 and 14 more"
    assert names([f"orders-{index}" for index in range(7)]) == "orders-0,1,2,3,4,5,6"
