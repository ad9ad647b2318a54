"""The control room without a terminal: facts in, and what would be seen."""

from __future__ import annotations

import msgspec
import pytest
from rich.color import ColorSystem

from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_admin_messages import GroupPicture, MemberPicture
from barnabas.actors.internal_topics import partition_of
from barnabas.actors.kernel import Incarnation, Millis
from barnabas.actors.leadership import Leader
from barnabas.actors.messages import (
    BrokerPicture,
    Described,
    Measured,
    Partition,
    PartitionPicture,
    ReplicaMeasure,
    TopicId,
    TopicPicture,
)
from barnabas.actors.observer import Counted, Died, Known, Led, Pictured, Told
from barnabas.cli.dashboard.groups import view as view_of
from barnabas.cli.dashboard.keys import Action, Looking, press
from barnabas.cli.dashboard.model import Room, Seat
from barnabas.cli.dashboard.screen import Painter, Screen
from barnabas.cli.dashboard.terminal import split
from barnabas.cli.dashboard.view import render
from barnabas.cli.dashboard.words import amount, bars, fit, size, span
from barnabas.client.group_admin import GroupLag
from barnabas.cluster.event_file import Happened, iso
from barnabas.cluster.figures import DEAD, Figure

ORDERS = TopicId("O" * 21 + "Q")
P0, P1 = Partition(ORDERS, 0), Partition(ORDERS, 1)
PLACES = {broker: f"tcp://127.0.0.1:{9000 + broker}" for broker in (1, 2, 3)}
SEATS = [Seat(broker, endpoint, ("controller", "broker")) for broker, endpoint in PLACES.items()]
PLAIN = Looking()
BOTH = [(1, 0, [1, 2, 3]), (2, 0, [2, 3, 1])]  # leader, epoch, ISR of orders-0 and orders-1


def picture(
    offset: int, partitions: list[tuple[int, int, list[int]]] = BOTH, fenced: tuple[int, ...] = (), at: int = 0
) -> Pictured:
    told = [
        PartitionPicture(index, [1, 2, 3], isr, [], leader, epoch, 4)
        for index, (leader, epoch, isr) in enumerate(partitions)
    ]
    topic = TopicPicture(ORDERS, "orders", {"min.insync.replicas": "2"}, told)
    brokers = [BrokerPicture(broker, PLACES[broker], "", 1, broker in fenced, False) for broker in PLACES]
    return Pictured(Millis(at), Described(1, ErrorCode.NONE, "c1", offset, 1, 7, brokers, [topic]))


def replica(partition: Partition, end: int, *, leading: bool = True, out: int = 0) -> ReplicaMeasure:
    return ReplicaMeasure(partition, leading, 0, 0, end, end, end, end * 100, end * 100, out * 100, out)


def counted(broker: int, *replicas: ReplicaMeasure, at: int = 0, life: int = 1, state: str = "running") -> Counted:
    measured = Measured(1, broker, Incarnation(life), 1, state, False, 0, 20, 1, 7, 2, 5_000_000_000, list(replicas))
    return Counted(Millis(at), PLACES[broker], measured)


def told(kind: str, sentence: str, cause: str, ms: int = 1_772_366_400_123, **fields: object) -> bytes:
    return msgspec.json.encode(Happened(iso(ms), ms, 1, "controller", kind, fields, sentence, cause))


def room(*facts: object, seats: list[Seat] = SEATS) -> Room:
    made = Room(seats)
    for fact in (picture(20), counted(1), counted(2), counted(3), *facts):
        made.apply(fact)  # type: ignore[arg-type]
    return made


def lines(of: Room, looking: Looking = PLAIN, width: int = 80, height: int = 24) -> list[str]:
    return render(of, looking, width, height).screen.text.split("\n")


# --- What is known -----------------------------------------------------------------------------------------------


def test_a_leader_is_known_by_broadcast_before_any_picture_and_an_older_picture_does_not_take_it_back() -> None:
    made = room(Led(Millis(5), 1, 7, {P0: Leader(3, 1)}))
    assert (made.partitions[P0].leader, made.partitions[P0].leader_epoch) == (3, 1)
    made.apply(picture(21, [(1, 0, [2, 3]), (2, 0, [2, 3, 1])], at=6))
    view = made.partitions[P0]
    assert (view.leader, list(view.isr)) == (3, [2, 3])


def test_a_broker_that_the_picture_says_is_fenced_is_fenced_and_one_that_died_is_gone() -> None:
    made = room(picture(21, fenced=(2,)))
    assert [node.state for node in made.nodes.values()] == ["serving", "fenced", "serving"]
    made.apply(Died(Millis(10), PLACES[3]))
    assert made.nodes[3].state == "gone"
    made.apply(counted(3, at=20))
    assert made.nodes[3].state == "serving"


def test_a_broker_that_does_not_answer_for_a_while_is_silent() -> None:
    made = room()
    made.apply(counted(1, at=4_000))
    made.tick(4_000)
    assert [node.state for node in made.nodes.values()] == ["serving", "silent", "silent"]
    assert "silent 4.0 s" in "\n".join(lines(made))


@pytest.mark.parametrize(("state", "shown"), [("recovering", "recovering"), ("registering", "registering")])
def test_a_broker_that_starts_says_how_far_it_is(state: str, shown: str) -> None:
    assert room(counted(2, state=state)).nodes[2].state == shown


def test_what_the_operating_system_says_of_a_process_counts_more_than_what_was_heard() -> None:
    made = room()
    made.see({1: Figure(1, 11, "running", 0.25, 44_000_000), 2: Figure(2, 12, "paused"), 3: Figure(3, 13, DEAD)}, 5)
    assert [node.state for node in made.nodes.values()] == ["serving", "paused", "dead"]
    shown = lines(made)
    assert "25 %   44 MB" in shown[2]
    assert "2 of 3 nodes" not in shown[0]
    assert "1 of 3 nodes" in shown[0]


def test_rates_are_those_of_leaders_and_a_restart_is_no_rate() -> None:
    made = room(counted(1, replica(P0, 100)), counted(2, replica(P0, 100, leading=False)))
    made.tick(1_000)
    made.apply(counted(1, replica(P0, 300, out=50), at=1_500))
    made.apply(counted(2, replica(P0, 300, leading=False), at=1_500))
    made.tick(2_000)
    assert made.nodes[1].flow.rate.records_in == 200
    assert made.nodes[1].flow.rate.records_out == 50
    assert made.nodes[2].flow.rate.records_in == 0
    made.apply(counted(1, replica(P0, 900), at=2_500, life=2))
    made.tick(3_000)
    assert made.nodes[1].flow.rate.records_in == 0
    assert [rate.records_in for rate in made.partitions[P0].flow.history] == [200, 0]


def test_numbers_that_come_before_the_picture_are_kept_for_it() -> None:
    made = Room(SEATS)
    made.apply(counted(1, replica(P0, 42)))
    made.apply(picture(20))
    leading = made.partitions[P0].leading
    assert leading is not None
    assert leading.end == 42


def test_events_of_several_nodes_stand_in_the_order_of_time() -> None:
    made = room(
        Told(Millis(1), PLACES[1], [told("A", "first", "x", 1000), told("A", "third", "x", 3000)], 0),
        Told(Millis(2), PLACES[2], [told("A", "second", "x", 2000), b"of a newer version"], 2),
    )
    assert [event.sentence for event in made.events] == ["first", "second", "third"]
    assert made.missed == 2


def test_a_cluster_that_is_not_on_this_machine_tells_itself_who_belongs_to_it() -> None:
    made = Room()
    made.apply(Known(Millis(1), "c1", {1: PLACES[1], 2: PLACES[2]}, {1: PLACES[1], 9: "tcp://127.0.0.1:9009"}))
    assert {node.seat.id: node.seat.actors for node in made.nodes.values()} == {
        1: ("controller", "broker"),
        2: ("broker",),
        9: ("controller",),
    }


# --- What is seen ------------------------------------------------------------------------------------------------


def test_the_screen_of_a_small_terminal_has_everything_that_counts() -> None:
    made = room(
        counted(1, replica(P0, 1234)),
        counted(2, replica(P0, 1230, leading=False)),
        Told(Millis(1), PLACES[1], [told("BrokerFencedEvent", "b3 was fenced", "its connection was refused")], 0),
    )
    shown = lines(made)
    assert len(shown) == 24
    assert max(map(len, shown)) <= 80
    assert shown[0].startswith("Barnabas c1  3 of 3 nodes  controller 1 in epoch 7  metadata 20")
    assert shown[2].split()[:3] == ["1", "*", "serving"]
    assert [line[50:55].strip() for line in shown[1:5]] == ["LEADS", "1", "1", "0"]
    assert "2 partitions  all in sync" in shown[5]
    [row] = [line for line in shown if line.startswith("orders-0")]
    assert row.split() == ["orders-0", "1", "0", "1,2,3", "-", "1,234", "1,234"]
    assert shown[-1].startswith("1-9 node k kill")
    assert "12:00:00.123 b3 was fenced: its connection was refused" in shown


def test_a_large_terminal_has_more_columns_and_says_how_far_followers_are_behind() -> None:
    made = room(counted(1, replica(P0, 1234)), counted(2, replica(P0, 1230, leading=False)))
    shown = lines(made, width=160, height=50)
    [row] = [line for line in shown if line.startswith("orders-0")]
    assert "2:4" in row
    assert "ADDRESS" in shown[1]


def test_partitions_that_are_not_well_come_first_and_are_counted() -> None:
    made = room(picture(21, [(1, 0, [1, 2, 3]), (-1, 1, [])]))
    shown = lines(made)
    assert "2 partitions  1 without a leader  1 below min.insync  1 not wholly in sync" in shown[5]
    rows = [line.split()[0] for line in shown if line.startswith("orders-")]
    assert rows == ["orders-1", "orders-0"]


def test_by_broker_each_replica_has_a_line_and_leaders_come_first() -> None:
    made = room(counted(1, replica(P0, 10)), counted(3, replica(P0, 7, leading=False)))
    shown = lines(made, Looking(view="brokers"))
    rows = [line.split()[:5] for line in shown if " orders-" in line and "─" not in line]
    assert rows[0][:4] == ["1", "orders-0", "leads", "0"]
    assert rows[1][1:3] == ["orders-1", "in"]
    [behind] = [line for line in shown if line.split()[:2] == ["3", "orders-0"]]
    assert behind.split()[5:7] == ["7", "3"]


def test_a_group_has_a_line_and_each_member_one_below_it_with_what_it_reads_and_its_lag() -> None:
    made = room()
    assert "groups: waiting for an answer" in lines(made, Looking(view="groups"))[5]
    picture = GroupPicture(
        "billing", "consumer", "Stable", "", "uniform", 3, 3, "m1",
        [MemberPicture("m1", "", "ada", "here", 3, "stable"), MemberPicture("m2", "", "bob", "there", 3, "stable")],
    )  # fmt: skip
    lags = [
        GroupLag("orders", 0, 5, 8, 3, "m1", "ada", "here"),
        GroupLag("orders", 1, 5, 1_005, 1_000, "m2", "bob", "there"),
        GroupLag("orders", 2, None, 9, None, "", "", ""),
    ]
    made.grouped([view_of(picture, lags)])
    shown = [line.split() for line in lines(made, Looking(view="groups"))[5:11]]
    assert shown[0][:3] == ["──", "1", "group"]
    assert shown[2] == ["billing", "Stable", "-", "2", "3", "1,003"]
    assert shown[3:6] == [["ada", "stable", "1", "3"], ["bob", "stable", "1", "1,000"], ["nobody", "1", "-"]]


def test_the_broker_in_charge_of_a_group_is_the_leader_of_its_partition() -> None:
    offsets = TopicId("_" * 21 + "Q")
    logs = [PartitionPicture(index, [1, 2, 3], [1, 2, 3], [], 1 + index % 3, 0, 0) for index in range(12)]
    taken = picture(21)
    topics = [*taken.picture.topics, TopicPicture(offsets, "__consumer_offsets", {}, logs, internal=True)]
    made = room(Pictured(Millis(1), msgspec.structs.replace(taken.picture, topics=topics)))
    assert made.coordinator("billing") == 1 + partition_of("billing", 12) % 3
    assert [view.topic for view in made.by_health][:2] == ["orders", "orders"], "internal topics come last"
    assert room().coordinator("billing") == -1


def test_the_filter_is_shown_and_leaves_out_what_it_does_not_match() -> None:
    shown = lines(room(), Looking(filter="orders-1"))
    assert "1 partition  all in sync  filter: orders-1" in shown[5]
    assert [line.split()[0] for line in shown if line.startswith("orders-")] == ["orders-1"]


def test_a_list_is_scrolled_no_further_than_to_its_end() -> None:
    made = room(picture(21, [(1, 0, [1, 2, 3])] * 50))
    frame = render(made, Looking(scroll=1000), 80, 24)
    assert frame.scroll == 50 - frame.rows
    assert any(line.startswith("orders-49") for line in frame.screen.text.split("\n"))


def test_one_thing_that_happened_to_many_partitions_is_one_sentence() -> None:
    events = [
        told("IsrChanged", "...", "b2: its connection was refused", partition=f"orders-{index}", before=[1, 2], isr=[1])
        for index in range(9)
    ]
    shown = lines(room(Told(Millis(1), PLACES[1], events, 0)), width=120)
    assert (
        "12:00:00.123 1 b2 left the ISR of 9 partitions (orders-0,1,2,3,4,5 and 3 more): b2: its connection was refused"
        in shown
    )


def test_a_cluster_that_nobody_answers_for_says_so_and_keeps_its_last_picture() -> None:
    made = room()
    made.tick(9_000)
    shown = lines(made)
    assert shown[0].startswith(" Nobody has answered for 9.0 s: this is how it was.")
    assert any(line.startswith("orders-0") for line in shown)


def test_a_cluster_that_was_stopped_says_how_to_start_it_and_nobody_in_it_seems_to_live() -> None:
    made = room()
    made.see({broker: Figure(broker, 10 + broker, "running", 0.1, 44_000_000) for broker in PLACES}, 5)
    made.see({1: Figure(1, 11, DEAD)}, 9)  # `down` has removed the records of the others
    assert [node.state for node in made.nodes.values()] == ["dead"] * 3
    assert lines(made)[0].startswith(" Not running: `barnabas up` starts the cluster")


def test_a_line_of_trouble_names_the_worst_as_far_as_there_is_room() -> None:
    made = room(picture(21, [(-1, 0, [1])] * 18))
    assert lines(made, width=120)[5].startswith(
        "── 18 partitions  18 without a leader  18 below min.insync  18 not wholly in sync ─"
    )
    assert lines(made, width=80)[5].startswith("── 18 partitions  18 without a leader  18 below min.insync ─")


def test_a_cluster_that_has_never_answered_is_waited_for_in_words() -> None:
    made = Room(SEATS)
    made.tick(1_000_000)
    made.tick(1_003_000)
    assert "nobody has answered for 3.0 s" in lines(made)[0]


def test_a_terminal_that_is_too_small_is_told() -> None:
    assert lines(room(), width=40, height=10)[0] == "Too small: 60 by 15 characters needed"


@pytest.mark.parametrize("width", range(60, 200, 7))
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    for view in ("partitions", "brokers", "groups", "events"):
        shown = lines(room(), Looking(view=view, node=2, filter="o", typing=True), width=width, height=30)
        assert max(map(len, shown)) <= width


def test_only_what_differs_is_painted_again() -> None:
    painter = Painter(ColorSystem.STANDARD)
    first = Screen(20, 3, [(("one", "bad"),), (("two", ""),), (("three", ""),)])
    assert painter.paint(first).startswith("\x1b[2J")
    assert painter.paint(first) == ""
    second = Screen(20, 3, [(("one", "bad"),), (("2", ""),), (("three", ""),)])
    assert painter.paint(second) == "\x1b[2;1H2\x1b[K"
    assert painter.paint(Screen(30, 3, second.lines)).startswith("\x1b[2J"), "the terminal was resized"


# --- Keys --------------------------------------------------------------------------------------------------------


def pressed(keys: str, *, local: bool = True) -> tuple[Looking, list[Action]]:
    looking, actions = Looking(), []
    for key in split(keys):
        looking, action = press(looking, key, [1, 2, 3], local=local)
        actions += [action] if action is not None else []
    return looking, actions


def test_a_node_is_chosen_by_its_number_and_then_killed() -> None:
    looking, actions = pressed("2k")
    assert actions == [Action("kill", 2)]
    assert looking.node == 2


@pytest.mark.parametrize("key", ["k", "s", "c", "r"])
def test_nothing_is_done_to_a_node_that_was_not_chosen(key: str) -> None:
    looking, actions = pressed(key)
    assert actions == []
    assert looking.message.startswith("Which node?")


def test_nothing_can_be_done_to_a_cluster_elsewhere() -> None:
    looking, actions = pressed("2k", local=False)
    assert actions == []
    assert "elsewhere" in looking.message


def test_a_filter_takes_every_letter_until_enter() -> None:
    looking, actions = pressed("/kills\x7f\r")
    assert (looking.filter, looking.typing, actions) == ("kill", False, [])
    assert pressed("/x\x1b")[0].filter == ""


@pytest.mark.parametrize(
    ("keys", "view"), [("\t", "brokers"), ("\t\t", "groups"), ("\t\t\t\t", "partitions"), ("e", "events")]
)
def test_views_are_switched(keys: str, view: str) -> None:
    assert pressed(keys)[0].view == view


@pytest.mark.parametrize(
    ("keys", "scroll"), [("\x1b[B\x1b[B", 2), ("\x1b[B\x1b[A", 0), ("\x1b[6~", 10), ("\x1b[6~\x1b[H", 0)]
)
def test_arrows_scroll(keys: str, scroll: int) -> None:
    assert pressed(keys)[0].scroll == scroll


def test_a_key_that_means_nothing_does_nothing() -> None:
    assert pressed("\x1b[15~\x1b[1;5Cö")[0] == Looking()


@pytest.mark.parametrize("key", ["q", "\x03", "\x04"])
def test_there_are_ways_out(key: str) -> None:
    assert pressed(key)[0].over


# --- Words -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (7.4, "7"),
        (999, "999"),
        (999.6, "1.0k"),
        (1234, "1.2k"),
        (45_600, "46k"),
        (3_400_000, "3.4M"),
        (-12, "-12"),
    ],
)
def test_amounts_are_short(number: float, text: str) -> None:
    assert amount(number) == text


def test_sizes_spans_and_bars() -> None:
    assert [size(None), size(0), size(1234), size(45_000_000)] == ["-", "0 B", "1.2 KB", "45 MB"]
    assert [span(400), span(12_000), span(180_000), span(7_200_000)] == ["0.4 s", "12 s", "3 min", "2 h"]
    assert bars([0, 1, 4, 8], 6) == "  ▁▂▅█"
    assert fit("orders-0", 5) == "orde…"
