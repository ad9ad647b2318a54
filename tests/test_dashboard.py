"""The dashboard as a person has it: in a terminal (a pty), on a real cluster, with keys.

The screen is put together from what the program writes: it says where each line goes, so a dictionary of lines is a
terminal that is good enough.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_clusters import Home, home

from barnabas.cli.dashboard import write
from barnabas.cli.dashboard.screen import Screen
from barnabas.cluster import Cluster

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


class Terminal:
    """A terminal with the dashboard in it."""

    def __init__(self, place: Home, *words: str, size: tuple[int, int] = (80, 24)) -> None:
        self._mine, theirs = pty.openpty()
        self.resize(*size, tell=False)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "barnabas", "dashboard", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            cwd=place.directory,
            env={**place.env, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(theirs)
        self.lines: dict[int, str] = {}
        self._rest = ""

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        fcntl.ioctl(self._mine, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def press(self, keys: str) -> None:
        os.write(self._mine, keys.encode())

    def until(self, seen: Callable[[str], bool], timeout: float = 20.0) -> str:
        """Wait until the screen satisfies this; the screen."""
        deadline = time.monotonic() + timeout
        while not seen(self.text):
            left = deadline - time.monotonic()
            assert left > 0, f"not within {timeout:g} s:\n{self.text}"
            if select.select([self._mine], [], [], left)[0]:
                self._read()
        return self.text

    def _read(self) -> None:
        try:
            data = os.read(self._mine, 65536).decode("utf-8", "replace")
        except OSError:  # the program has ended
            data = ""
        assert data, f"the dashboard has ended: {self.process.stderr and self.process.stderr.read()!r}"
        *whole, self._rest = re.split(r"(?=\x1b\[\d+;1H)", self._rest + data)
        for part in [*whole, self._rest]:
            found = re.match(r"\x1b\[(\d+);1H", part)
            if found is not None:
                self.lines[int(found[1])] = ESCAPES.sub("", part)
            if "\x1b[2J" in part:
                self.lines.clear()

    @property
    def text(self) -> str:
        return "\n".join(self.lines[number] for number in sorted(self.lines))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        os.close(self._mine)


@contextmanager
def terminal(place: Home, *words: str, size: tuple[int, int] = (80, 24)) -> Iterator[Terminal]:
    made = Terminal(place, *words, size=size)
    try:
        yield made
    finally:
        made.close()


def test_a_node_is_killed_by_a_key_and_the_screen_says_so_and_why_and_brings_it_back(place: Home) -> None:
    with Cluster(brokers=3, data=place.directory / "data") as cluster:
        cluster.create_topic("orders", partitions=3)
        with terminal(place, "--data", str(cluster.directory)) as screen:
            screen.until(lambda text: "3 partitions  all in sync" in text and text.count("serving") == 3)
            victim = cluster.leader("orders", 0)
            screen.press(f"{victim}k")
            text = screen.until(lambda text: f"b{victim} was fenced" in text)
            assert re.search(rf"^{victim} .*dead", text, re.MULTILINE)
            screen.until(lambda text: "3 not wholly in sync" in text and f"after b{victim}" in text)
            screen.resize(160, 50)
            screen.until(lambda text: "ADDRESS" in text and text.startswith("Barnabas "))
            screen.press("r")
            screen.until(lambda text: text.count("serving") == 3 and "all in sync" in text)
            screen.until(lambda text: f"Node {victim} runs as process" in text)
            for node in cluster.nodes:
                cluster.kill(node)
            text = screen.until(lambda text: text.startswith(" Not running: `barnabas up` starts the cluster"))
            assert len(re.findall(r"^\d [* ] +dead", text, re.MULTILINE)) == 3
            screen.press("r")
            screen.until(lambda text: text.count("dead") == 2 and "Not running" not in text)
            screen.press("q")
            assert screen.process.wait(10) == 0


def test_a_cluster_elsewhere_is_watched_and_left_alone(place: Home) -> None:
    with Cluster(brokers=1, isolation="thread") as cluster:
        cluster.create_topic("orders", partitions=2)
        with terminal(place, "--bootstrap", cluster.bootstrap) as screen:
            screen.until(lambda text: "2 partitions  all in sync" in text and "serving" in text)
            assert "kill" not in screen.text
            screen.press("1k")
            screen.until(lambda text: "This cluster runs elsewhere" in text)
            assert cluster.alive() == [1]
            cluster.kill(1)
            screen.until(lambda text: text.startswith(" Nobody has answered for"))


def test_what_is_on_the_screen_is_written_as_a_picture(place: Home) -> None:
    with Cluster(brokers=1, isolation="thread") as cluster:
        cluster.create_topic("orders", partitions=2)
        done = place.barnabas("dashboard", "--bootstrap", cluster.bootstrap, "--snapshot", "a.txt", "--size", "80x24")
        assert (done.code, done.out) == (0, "wrote a.txt\n"), done.err
        assert "orders-1                  1     0 1" in (place.directory / "a.txt").read_text()


@pytest.mark.parametrize(("suffix", "part"), [(".svg", "<svg"), (".html", "<html"), (".txt", "all well")])
def test_a_picture_has_the_kind_that_its_name_says(tmp_path: Path, suffix: str, part: str) -> None:
    path = tmp_path / f"now{suffix}"
    write(Screen(30, 2, [(("all", "good"), (" well", ""))]), path)
    text = path.read_text()
    assert part in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 1, "there is no cluster in"),
        (["--bootstrap", "127.0.0.1:1"], 1, "nobody answers at 127.0.0.1:1"),
        (["--snapshot", "now.png"], 2, "expected a name that ends in .svg, .txt, .html"),
        (["--size", "80x24"], 2, "--size, --view and --filter say what a --snapshot shows"),
        (["--snapshot", "a.svg", "--size", "large"], 2, "expected columns and lines such as 160x50"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_words(place: Home, words: list[str], code: int, said: str) -> None:
    done = place.barnabas("dashboard", *words)
    assert done.code == code
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_dashboard_needs_a_terminal(place: Home) -> None:
    with Cluster(brokers=1, isolation="thread") as cluster:
        done = place.barnabas("dashboard", "--bootstrap", cluster.bootstrap)
        assert done.code == 1
        assert "needs a terminal: use `--snapshot FILE`" in done.err
