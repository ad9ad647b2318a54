"""The commands `produce` and `consume`: shapes of input and output, places, times, and what is said meanwhile.

They run in this process, against one cluster of threads; standard input is a file or, where it matters, a pipe or a
terminal.
"""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from barnabas import Cluster
from barnabas.cli.json_events import decode
from barnabas.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=1, isolation="thread") as running:
        yield running


@pytest.fixture
def topic(cluster: Cluster, names: Iterator[int] = count()) -> str:  # noqa: B008  one row of names for all
    name = f"topic-{next(names)}"
    cluster.create_topic(name, partitions=2, configs={"retention.ms": "-1"})  # times may be long ago
    return name


@pytest.fixture
def run(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Run one command: its code, what it printed, and what it said."""
    monkeypatch.setenv("BARNABAS_BOOTSTRAP", cluster.bootstrap)

    def one(*words: object, given: bytes = b"") -> tuple[int, str, str]:
        path = tmp_path / "input"
        path.write_bytes(given)
        with path.open() as source:
            monkeypatch.setattr(sys, "stdin", source)
            code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return code, out.decode(errors="backslashreplace"), err.decode()

    return one


def rows(printed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines()]


# --- Shapes ---


def test_lines_with_keys_headers_and_nothing(run: Run, topic: str) -> None:
    code, out, said = run(
        *("produce", topic, "--key-separator", ":", "--header", "a=1", "--header", "b=", "--null", "", "--places"),
        given=b"ada:ink\r\nada:\nada:x:y",
    )
    assert (code, said) == (0, f"3 events written to {topic}\n")
    assert [row["offset"] for row in rows(out)] == [0, 1, 2]
    _, out, _ = run("consume", topic, "--from-beginning", "--to-end", "--json")
    assert [(row["key"], row["value"], row["headers"]) for row in rows(out)] == [
        ("ada", "ink", {"a": "1", "b": ""}),
        ("ada", None, {"a": "1", "b": ""}),
        ("ada", "x:y", {"a": "1", "b": ""}),
    ]


def test_the_whole_input_is_one_event_and_comes_back_byte_for_byte(run: Run, topic: str) -> None:
    data = bytes(range(256)) * 10
    assert run("produce", topic, "--whole", "--key", "bytes", given=data)[0] == 0
    _, out, _ = run("consume", topic, "--from-beginning", "--to-end", "--json")
    [row] = rows(out)
    assert "value" not in row
    assert run("produce", topic, "--json", given=out.encode())[0] == 0
    _, out, _ = run("consume", topic, "--from-beginning", "--to-end", "--json")
    first, second = rows(out)
    assert first["value_base64"] == second["value_base64"]
    assert decode(json.dumps(first).encode()).value == data


def test_json_lines_travel_from_topic_to_topic(run: Run, topic: str, cluster: Cluster) -> None:
    lines = [
        {"key": "a", "value": "text", "headers": {"h": "1"}, "timestamp": 1_767_603_600_000, "partition": 1},
        {"key": "b", "value": {"amount": 3}, "headers": [["h", "1"], ["h", None]], "partition": 0},
        {"value": None, "partition": 1},
    ]
    given = "\n".join(map(json.dumps, lines)).encode()
    assert run("produce", topic, "--json", "--keep-partitions", given=given)[0] == 0
    copy = f"{topic}-copy"
    cluster.create_topic(copy, partitions=2)
    _, out, _ = run("consume", topic, "--from-beginning", "--to-end", "--json")
    assert run("produce", copy, "--json", "--keep-partitions", given=out.encode())[0] == 0
    _, copied, _ = run("consume", copy, "--from-beginning", "--to-end", "--json")
    before = sorted(out.replace(topic, copy).splitlines())
    assert sorted(copied.splitlines()) == before
    found = {row["key"]: row for row in rows(copied)}
    assert (found["a"]["partition"], found["a"]["timestamp"]) == (1, 1_767_603_600_000)
    assert found["b"]["value"] == '{"amount":3}'
    assert found["b"]["headers"] == [["h", "1"], ["h", None]]
    assert found[None]["value"] is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"{", "line 2 is no JSON: Input data was truncated."),
        (b"[1]", 'line 2 is no JSON object such as {"key": "ada", "value": "ink"}.'),
        (
            b'{"ky": "a"}',
            "line 2 has `ky`, expected some of: headers, key, key_base64, offset, partition, timestamp, topic, value, "
            "value_base64.",
        ),
        (b'{"value_base64": "*"}', "line 2 has a `value_base64` that is no base64."),
        (b'{"value": "a", "value_base64": "YQ=="}', "line 2 has both `value` and `value_base64`."),
        (b'{"timestamp": "now"}', "line 2 has a `timestamp` that is no whole number."),
        (b'{"headers": 3}', "line 2 has `headers` that are neither an object nor a list of [name, value]."),
    ],
)
def test_a_line_that_is_no_event_is_named_and_those_before_it_are_written(
    line: bytes, sentence: str, run: Run, topic: str
) -> None:
    code, _, said = run("produce", topic, "--json", given=b'{"value": "fine"}\n' + line + b"\n")
    assert (code, said.splitlines()[0]) == (1, f"barnabas: {sentence}")


def test_a_line_without_end_is_refused_before_memory_is_full(run: Run, topic: str) -> None:
    code, _, said = run("produce", topic, given=b"x" * (33 << 20))
    assert (code, said) == (1, "barnabas: an event of more than 33554432 bytes is larger than any topic takes.\n")


def test_events_are_printed_as_a_format_says(run: Run, topic: str) -> None:
    run(
        "produce",
        topic,
        "--key",
        "k",
        "--header",
        "h=1",
        "--time",
        "2026-01-05T09:00:00.007Z",
        "--partition",
        1,
        given=b"v\n",
    )
    form = r"{topic} {partition} {offset} {timestamp} {time} {key}\t{value} {headers} {{}} \\"
    _, out, _ = run("consume", topic, "--from-beginning", "--to-end", "--format", form)
    assert out == f"{topic} 1 0 1767603600007 2026-01-05T09:00:00.007Z k\tv h=1 {{}} \\\n"
    assert run("consume", topic, "--from-beginning", "--to-end", "--key-separator", "=")[1] == "k=v\n"


# --- Places and times ---


def test_offsets_partitions_and_ends(run: Run, topic: str) -> None:
    for partition in (0, 1):
        lines = b"".join(b"%d-%d\n" % (partition, i) for i in range(10))
        run("produce", topic, "--partition", partition, given=lines)

    def read(*words: object) -> list[str]:
        code, out, said = run("consume", topic, *words)
        assert (code, said) == (0, ""), said
        return sorted(out.splitlines())

    assert len(read("--from-beginning", "--to-end")) == 20
    assert read("--offset", "-2", "--to-end") == ["0-8", "0-9", "1-8", "1-9"]
    assert read("--offset", "-99", "--to-end", "--partition", 1) == sorted(f"1-{i}" for i in range(10))
    assert read("--offset", 7, "--partition", 0, "--to-end") == ["0-7", "0-8", "0-9"]
    assert read("--offset", "latest", "--to-end") == []
    assert len(read("--partition", 0, "--partition", 1, "--from-beginning", "--to-end")) == 20
    assert len(read("--from-beginning", "-n", 3)) == 3
    assert read("--timeout", 0.2) == []


def test_times_choose_what_is_read(run: Run, topic: str) -> None:
    for hour in range(4):
        at = f"2026-01-05T0{hour}:00:00Z"
        run("produce", topic, "--partition", 0, "--time", at, given=b"%d\n" % hour)

    def read(*words: object) -> list[str]:
        return run("consume", topic, *words)[1].splitlines()

    assert read("--since", "2026-01-05T01:00:00Z", "--until", "2026-01-05T03:00:00Z") == ["1", "2"]
    assert read("--since", "2026-01-05T02:30:00+01:00", "--to-end") == ["2", "3"]
    assert read("--from-beginning", "--until", "1d") == ["0", "1", "2", "3"]
    assert read("--since", "1h", "--until", "30m") == []


def test_a_topic_or_partition_that_is_not_there(run: Run, topic: str) -> None:
    assert run("consume", "nothing", "--to-end")[2] == (
        "barnabas: there is no topic nothing: create it first, or check its name.\n"
    )
    sentence = f"barnabas: {topic} has 2 partitions, there is no partition 7.\n"
    assert run("consume", topic, "--partition", 7, "--to-end") == (1, "", sentence)
    assert run("produce", topic, "--partition", 7, given=b"x\n") == (1, "", sentence)


# --- People, and programs that go on ---


def barnabas(cluster: Cluster, *words: str) -> list[str]:
    return [sys.executable, "-m", "barnabas", *words, "--bootstrap", cluster.bootstrap]


def test_a_line_is_written_when_it_is_typed_and_its_place_is_told_at_once(cluster: Cluster, topic: str) -> None:
    with subprocess.Popen(
        barnabas(cluster, "produce", topic, "--places"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as produce:  # fmt: skip
        assert produce.stdin is not None
        assert produce.stdout is not None
        for number in range(2):
            produce.stdin.write(f"{number}\n")
            produce.stdin.flush()
            assert json.loads(produce.stdout.readline())["topic"] == topic
        produce.stdin.close()
        assert produce.wait(30) == 0


def test_a_failure_is_told_while_nothing_is_typed(cluster: Cluster) -> None:
    with subprocess.Popen(
        barnabas(cluster, "produce", "no-such-topic"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as produce:  # fmt: skip
        assert produce.stdin is not None
        produce.stdin.write("hello\n")
        produce.stdin.flush()  # and no more
        assert produce.wait(30) == 1
        assert produce.stderr is not None
        assert (
            produce.stderr.read() == "barnabas: there is no topic no-such-topic: create it first, or check its name.\n"
        )


def test_on_a_terminal_progress_is_shown_and_taken_away(cluster: Cluster, topic: str, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a line\n" * 300_000)
    seen = on_terminal(
        f"{' '.join(barnabas(cluster, 'produce', topic))} < {tmp_path / 'lines'}; "
        f"{' '.join(barnabas(cluster, 'consume', topic, '--from-beginning', '--to-end'))} > {tmp_path / 'read'}"
    )
    assert re.search(r"\r\x1b\[Ksent [\d,]+ events, [\d.]+ MB, [\d,]+/s, [\d.]+ MB/s", seen), seen
    assert re.search(r"\r\x1b\[Kread [\d,]+ events", seen), seen
    assert f"300000 events written to {topic}" in seen
    assert (tmp_path / "read").read_text() == (tmp_path / "lines").read_text()


def test_without_a_terminal_nothing_but_words_is_written(run: Run, topic: str) -> None:
    code, out, said = run("produce", topic, given=b"a line\n" * 100_000)
    assert (code, out, said) == (0, "", f"100000 events written to {topic}\n")
    assert "\x1b" not in run("consume", topic, "--from-beginning", "--to-end")[1]


def on_terminal(line: str) -> str:
    """Run a line of shell on a terminal of its own; what could be seen there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "--norc", "-c", line])
    seen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline and select.select([terminal], [], [], 60)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # it has ended
            break
        if not data:
            break
        seen += data
    os.close(terminal)
    os.waitpid(pid, 0)
    return seen.decode(errors="replace")
