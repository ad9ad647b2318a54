"""What happened is told once, in order, bounded, and as the catalogue says."""

import json
import os
import re
import signal
from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from real_clusters import Home, home

from barnabas.actors.events import BrokerFencedEvent
from barnabas.actors.kernel import address
from barnabas.cli.main import main
from barnabas.cli.moments import moment
from barnabas.cluster import catalogue
from barnabas.cluster.config import local
from barnabas.cluster.event_file import EventFile, Happened, Tails, iso
from barnabas.cluster.formatting import format_cluster

CONTROLLER = address("tcp://127.0.0.1:9092", "controller")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def fenced(broker: int) -> BrokerFencedEvent:
    return BrokerFencedEvent(broker=broker, broker_epoch=1, cause="its process is gone")


def brokers(found: list[Happened]) -> list[object]:
    return [event.fields["broker"] for event in found]


def test_a_line_says_when_where_what_and_why(tmp_path: Path) -> None:
    file = EventFile(tmp_path, 1)
    file.write(CONTROLLER, fenced(2))
    file.close()
    [line] = (tmp_path / "events.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert told.pop("time") == iso(told.pop("ms"))
    assert told == {
        "node": 1,
        "actor": "controller",
        "event": "BrokerFencedEvent",
        "fields": {"broker": 2, "broker_epoch": 1},
        "sentence": "b2 was fenced",
        "cause": "its process is gone",
    }


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert iso(1_772_366_400_007) == "2026-03-01T12:00:00.007Z"


def test_the_file_is_bounded_and_one_old_one_is_kept(tmp_path: Path) -> None:
    file = EventFile(tmp_path, 1, limit=2000)
    for broker in range(100):
        file.write(CONTROLLER, fenced(broker))
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.1.jsonl", "events.jsonl"]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    kept = brokers(Tails({1: tmp_path}).poll())
    assert kept == list(range(100 - len(kept), 100))


def test_a_reader_sees_every_event_once_also_across_a_rotation(tmp_path: Path) -> None:
    file, tails = EventFile(tmp_path, 1, limit=2000), Tails({1: tmp_path})
    seen = brokers(tails.poll())
    assert seen == []
    for broker in range(100):
        file.write(CONTROLLER, fenced(broker))
        if broker % 7 == 0:
            seen += brokers(tails.poll())
    file.close()
    assert seen + brokers(tails.poll()) == list(range(100))


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    file = EventFile(tmp_path, 1)
    file.write(CONTROLLER, fenced(1))
    file.close()
    path = tmp_path / "events.jsonl"
    os.truncate(path, path.stat().st_size - 1)
    with path.open("ab") as torn:
        torn.write(b'\n{"time": "2026')
    tails = Tails({1: tmp_path})
    assert brokers(tails.poll()) == [1]
    again = EventFile(tmp_path, 1)
    again.write(CONTROLLER, fenced(2))
    again.close()
    assert brokers(tails.poll()) == [2]


def test_an_event_that_finds_the_disk_full_is_not_kept(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    file = EventFile(tmp_path, 1)
    file.write(CONTROLLER, fenced(1))
    file.close()


def test_the_events_of_all_nodes_are_shown_in_the_order_of_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    format_cluster(local(2, data=str(tmp_path)))
    for node, moments in ((1, (1000, 4000)), (2, (2000, 3000))):
        lines = [
            Happened(iso(ms), ms, node, "controller", "BrokerFencedEvent", {"broker": ms}, f"at {ms}", "why")
            for ms in moments
        ]
        written = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        (tmp_path / f"node-{node}" / "events.jsonl").write_bytes(written)
    assert main(["events", "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "1970-01-01T00:00:01.000Z  node 1 controller  at 1000: why"
    assert [re.findall(r"at (\d+)", line) for line in shown] == [["1000"], ["2000"], ["3000"], ["4000"]]
    assert main(["events", "--json", "--node", "2", "--since", "1970-01-01T00:00:03", "--data", str(tmp_path)]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert msgspec.json.decode(line, type=Happened).ms == 3000
    assert main(["events", "--node", "9", "--data", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("barnabas: there is no node 9 in the cluster in ")


def test_a_time_is_a_span_or_a_date() -> None:
    assert moment("2026-03-01T12:00:00Z") == moment("2026-03-01T13:00:00+01:00") == 1_772_366_400_000
    assert moment("10m") - moment("2h") == pytest.approx(110 * 60_000, abs=5_000)
    with pytest.raises(
        ArgumentTypeError, match="'soon' is no time, expected 30s, 10m, 2h or 1d ago, or a date and time"
    ):
        moment("soon")


def test_events_are_followed_as_they_happen(place: Home) -> None:
    assert place.barnabas("up", "--detach", "--data", "data").code == 0
    try:
        with place.begin(["-m", "barnabas", "events", "--follow", "--json", "--data", "data"]) as follow:
            assert follow.stdout is not None
            told = (msgspec.json.decode(line, type=Happened) for line in iter(follow.stdout.readline, ""))
            served = {event.fields["broker"] for event in islice(unfenced(told), 3)}
            assert served == {1, 2, 3}
            assert place.barnabas("kill", 2, "--data", "data").code == 0
            fenced_now = next(event for event in told if event.event == "BrokerFencedEvent")
            assert fenced_now.sentence == "b2 was fenced"
            assert place.barnabas("restart", 2, "--data", "data").code == 0
            assert next(unfenced(told)).fields["broker"] == 2
            follow.send_signal(signal.SIGINT)
            _, err = follow.communicate(timeout=20)
        assert (err, follow.returncode) == ("", 130)
        assert place.barnabas("topic", "create", "orders", "--partitions", 3, "--data", "data").code == 0
        shown = place.barnabas("events", "--json", "--data", "data").out.splitlines()
        moments = [msgspec.json.decode(line, type=Happened) for line in shown]
        assert moments == sorted(moments, key=lambda event: event.ms)
        assert {event.node for event in moments} == {1, 2, 3}  # each leads a partition
    finally:
        place.barnabas("down", "--data", "data")


def unfenced(told: Iterable[Happened]) -> Iterator[Happened]:
    return (event for event in told if event.event == "BrokerUnfencedEvent")


def test_the_page_of_events_is_up_to_date() -> None:
    page = Path(__file__).parent.parent / "docs" / "events.md"
    assert page.read_text() == catalogue.page(), (
        "run `python -m barnabas.cluster.catalogue > docs/events.md`, and look at what it says of the new events"
    )


@pytest.mark.parametrize("kind", catalogue.events(), ids=lambda kind: str(kind.__name__))
def test_every_event_has_a_sentence_and_says_what_it_means(kind: type) -> None:
    shown = catalogue.example(kind)
    assert shown.sentence()
    assert not shown.sentence().endswith(".")
    assert kind.__doc__
    assert kind.__doc__.strip().endswith(".")
