"""The demo, shortened: its account is whole, and it leaves nothing behind, however it ends."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import Home, home

from barnabas.cli.demo import FLIGHTS, flights


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def test_the_flights_are_the_ones_that_ship() -> None:
    rows = flights(10**6)
    assert len(rows) == FLIGHTS
    assert rows[0] == (b"N14228", b"2013,1,1,517,UA,1545,N14228,EWR,IAH,1400")
    assert all(key for key, _ in rows)


def test_the_demo_tells_its_story_in_plain_lines(place: Home) -> None:
    done = place.barnabas("demo", "--flights", 3000, "--rate", 1500, timeout=90)
    assert (done.code, done.err) == (0, ""), done
    lines = done.out.splitlines()
    assert lines[0] == "Barnabas: three brokers, real flights, and a kill -9."
    assert re.fullmatch(r"three brokers started in \d+\.\d\d s: node 1 is process \d+, .*", lines[1])
    assert re.fullmatch(r"kill -9 of node \d, the leader of flights-0, after \d+ flights", lines[3])
    account = dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines[lines.index("") + 1 :])
    assert list(account) == [
        "started in",
        "acknowledged",
        "longest time without an acknowledgement",
        "lost",
        "duplicated",
        "out of order per aircraft",
        "ISR whole again after",
    ]
    assert account["acknowledged"] == "3000 of 3000 flights"
    assert (account["lost"], account["duplicated"], account["out of order per aircraft"]) == ("0", "0", "0")


@pytest.mark.parametrize("line", [1, 4])
def test_the_demo_leaves_nothing_behind_on_ctrl_c(place: Home, line: int) -> None:
    with place.begin(["-m", "barnabas", "demo"]) as demo:
        assert demo.stdout is not None
        for _ in range(line):
            demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        _, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (130, "")
