"""What people type and what they read: whole sentences, exit codes, and no traceback ever.

One cluster of three brokers serves the tests that only talk to one; those that break something start their own.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import Home, Result, home

from barnabas.cli.main import main
from barnabas.cluster.processes import kill, living


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running cluster in `barnabas-data`, where commands look for it."""
    with home(tmp_path_factory.mktemp("cluster")) as made:
        assert made.barnabas("up", "--detach").code == 0
        try:
            yield made
        finally:
            made.barnabas("down")


def refusal(result: Result) -> str:
    """The one sentence of a refusal."""
    assert (result.code, result.out) == (1, ""), result
    assert result.err.startswith("barnabas: ")
    assert result.err.count("\n") == 1
    return result.err.removeprefix("barnabas: ").rstrip("\n")


def usage(result: Result) -> str:
    """What is said of wrong usage."""
    assert (result.code, result.out) == (2, ""), result
    assert result.err.count("\n") == 1
    return result.err.rstrip("\n")


# --- Words ---


@pytest.mark.parametrize("words", [["--help"], ["up", "--help"], ["topic", "create", "--help"], ["bench", "--help"]])
def test_help_is_printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("usage: barnabas")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "barnabas: the following arguments are required: COMMAND; see `barnabas --help`."),
        (
            ["topic", "create"],
            "barnabas topic create: the following arguments are required: TOPIC; see `barnabas topic create --help`.",
        ),
        (
            ["topic", "create", "t", "--partitions", "0"],
            "barnabas topic create: argument --partitions: 0 is not a number above zero; see `barnabas topic create "
            "--help`.",
        ),
        (
            ["produce", "t", "--acks", "2"],
            "barnabas produce: argument --acks: '2' is not one of all, 1, 0; see `barnabas produce --help`.",
        ),
        (
            ["topc"],
            "barnabas: argument COMMAND: 'topc' is not one of WORDS; did you mean topic?; see `barnabas --help`.",
        ),
        (
            ["topic", "list", "--jsn"],
            "barnabas topic list: unrecognized arguments: --jsn; did you mean --json?; see `barnabas topic list "
            "--help`.",
        ),
        (
            ["consume", "t", "--since", "soon"],
            "barnabas consume: argument --since: 'soon' is no time, expected 30s, 10m, 2h or 1d ago, or a date and "
            "time such as 2026-03-01T12:00:00Z; see `barnabas consume --help`.",
        ),
        (
            ["simulate", "--seconds", "soon"],
            "barnabas simulate: argument --seconds: 'soon' is not a number of seconds; see `barnabas simulate --help`.",
        ),
    ],
)
def test_wrong_usage_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    if "WORDS" in sentence:
        sentence = sentence.replace("WORDS", said[said.index("one of ") + 7 : said.index("; did")])
    assert said == sentence + "\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["topic", "list", "--bootstrap", "here"],
            "`here` is not an address, expected HOST:PORT, or several with commas between.",
        ),
        (["consume", "t", "--from-beginning", "--offset", "3"], "give one of --from-beginning, --offset and --since."),
        (["consume", "t", "--offset", "x3"], "--offset takes a number, -N, earliest or latest, not `x3`."),
        (
            ["consume", "t", "--format", "{what}"],
            "--format knows no {what}, expected some of {topic}, {partition}, {offset}, {timestamp}, {time}, {key}, "
            "{value}, {headers}.",
        ),
        (
            ["consume", "t", "--format", "{"],
            "--format '{' cannot be read: single '{' encountered in format string; a brace itself is written twice.",
        ),
        (["produce", "t", "--keep-partitions"], "--keep-partitions needs --json: other lines name no partition."),
        (["produce", "t", "--header", "x"], "--header takes NAME=VALUE, not `x`."),
        (
            ["consume", "t", "--offset", "3"],
            "--offset with a number needs --partition, because each partition counts for itself.",
        ),
        (
            ["topic", "create", "t", "--config", "durability", "--bootstrap", "127.0.0.1:1"],
            "--config takes NAME=VALUE, not `durability`.",
        ),
    ],
)
def test_options_that_mean_nothing_together(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == f"barnabas: {sentence}\n"


# --- Configurations ---


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '[cluster]\nnam = "x"\n[[node]]\nid = 1\n',
            "c.toml, line 2: unknown key `nam` in [cluster], did you mean `name`?",
        ),
        (
            "[[node]]\nid = 1\n[[node]]\nid = 1\n",
            "c.toml, line 4: `id` in [[node]] is 1 as on line 2, expected an id of its own for each node.",
        ),
    ],
)
def test_a_bad_configuration_is_refused(place: Home, text: str, sentence: str) -> None:
    (place.directory / "c.toml").write_text(text)
    assert refusal(place.barnabas("up", "c.toml")) == sentence
    assert not (place.directory / "barnabas-data").exists()


def test_a_configuration_that_is_not_there_is_refused(place: Home) -> None:
    said = refusal(place.barnabas("up", "c.toml"))
    assert said == "c.toml: no such file or directory, expected a cluster file in TOML."


def test_a_foreign_data_directory_is_refused(place: Home) -> None:
    node = place.directory / "barnabas-data" / "node-1"
    node.mkdir(parents=True)
    (node / "letter").write_text("dear")
    assert refusal(place.barnabas("up")) == (
        f"the data directory of node 1, {node}, is not empty and was not made by Barnabas (it has letter): choose an "
        "empty directory, or one that does not exist."
    )


# --- Finding a cluster ---


def test_nobody_at_the_address(place: Home) -> None:
    began = time.monotonic()
    assert refusal(place.barnabas("topic", "list", "--bootstrap", "127.0.0.1:1")) == (
        "nobody answers at 127.0.0.1:1: start the cluster with `barnabas up`, or correct --bootstrap or "
        "BARNABAS_BOOTSTRAP."
    )
    assert time.monotonic() - began < 10


def test_no_cluster_in_the_directory(place: Home) -> None:
    for words in (["ps"], ["down"], ["topic", "list"], ["produce", "t"]):
        assert refusal(place.barnabas(*words)) == (
            f"there is no cluster in {place.directory}/barnabas-data: start one with `barnabas up`, or say where it is "
            "with --data or --bootstrap."
        )


def test_the_environment_says_where_to_begin(cluster: Home, place: Home) -> None:
    [row, *_] = json.loads(cluster.barnabas("ps", "--json").out)
    place.env["BARNABAS_BOOTSTRAP"] = row["address"]
    assert place.barnabas("topic", "list").code == 0


# --- Topics, and what is in them ---


def test_ps_lists_the_processes(cluster: Home) -> None:
    rows = json.loads(cluster.barnabas("ps", "--json").out)
    assert [(row["node"], row["state"], row["actors"]) for row in rows] == [
        (node, "running", ["controller", "broker"]) for node in (1, 2, 3)
    ]
    lines = cluster.barnabas("ps").out.splitlines()
    assert lines[0].split() == ["NODE", "PID", "STATE", "ACTORS", "ADDRESS", "KAFKA", "DATA"]
    assert [line.split()[1] for line in lines[1:]] == [str(row["pid"]) for row in rows]


def test_the_cluster_describes_itself(cluster: Home) -> None:
    picture = json.loads(cluster.barnabas("cluster", "describe", "--json").out)
    assert picture["controller"] in (1, 2, 3)
    assert [(broker["broker"], broker["fenced"]) for broker in picture["brokers"]] == [(n, False) for n in (1, 2, 3)]
    assert cluster.barnabas("cluster", "describe").out.startswith(f"cluster {picture['cluster_id']}: controller ")


def test_the_life_of_a_topic(cluster: Home) -> None:
    created = cluster.barnabas("topic", "create", "life", "--partitions", 2, "--config", "durability=os")
    assert created == Result(0, "created topic life\n", "")
    [picture] = json.loads(cluster.barnabas("topic", "describe", "life", "--json").out)
    assert picture["configs"]["durability"] == "os"
    assert [len(partition["isr"]) for partition in picture["partitions"]] == [3, 3]
    assert "acknowledged means in the page cache" in cluster.barnabas("topic", "describe", "life").out
    assert "life" in json.loads(cluster.barnabas("topic", "list", "--json").out)
    assert cluster.barnabas("topic", "delete", "life") == Result(0, "deleted topic life\n", "")
    assert "life" not in cluster.barnabas("topic", "list").out.splitlines()


def test_what_is_produced_is_consumed(cluster: Home) -> None:
    cluster.barnabas("topic", "create", "lines", "--partitions", 3)
    written = cluster.barnabas("produce", "lines", "--key-separator", ":", given="a:1\nb:2\na:3\nc:\n")
    assert written == Result(0, "", "4 events written to lines\n")
    read = cluster.barnabas("consume", "lines", "--from-beginning", "--max-messages", 4, "--key-separator", "=")
    assert (sorted(read.out.splitlines()), read.code) == (["a=1", "a=3", "b=2", "c="], 0)
    rows = [
        json.loads(line)
        for line in cluster.barnabas(
            "consume", "lines", "--offset", "earliest", "--timeout", 1, "--json"
        ).out.splitlines()
    ]
    assert [row["value"] for row in rows if row["key"] == "a"] == ["1", "3"]
    place = next(row for row in rows if row["value"] == "3")
    one = cluster.barnabas(
        "consume", "lines", "--partition", place["partition"], "--offset", place["offset"], "--max-messages", 1
    )
    assert one.out == "3\n"


def test_consuming_ends_quietly_when_its_reader_has_seen_enough(cluster: Home) -> None:
    cluster.barnabas("topic", "create", "many")
    cluster.barnabas("produce", "many", given="a line that is rather long\n" * 20_000)
    command = f"{sys.executable} -m barnabas consume many --from-beginning | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True, text=True, cwd=cluster.directory, env=cluster.env, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("a line that is rather long\n", "", 141)


def test_ctrl_c_is_quiet(cluster: Home) -> None:
    cluster.barnabas("topic", "create", "quiet")
    with cluster.begin(["-m", "barnabas", "consume", "quiet", "--from-beginning"]) as consume:
        assert consume.stdout is not None
        cluster.barnabas("produce", "quiet", given="first\n")
        assert consume.stdout.readline() == "first\n"
        consume.send_signal(signal.SIGINT)
        out, err = consume.communicate(timeout=30)
    assert (out, err, consume.returncode) == ("", "", 130)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["topic", "create", "../x"],
            "the name of a topic has letters, digits, '.', '_' and '-' of ASCII only, not '../x'.",
        ),
        (["topic", "create", "r", "--replication", "4"], "4 replicas need as many brokers; 3 brokers are registered."),
        (["topic", "delete", "nope"], "there is no topic 'nope'."),
        (["topic", "describe", "nope"], "there is no topic nope: create it first, or check its name."),
        (["produce", "nope"], "there is no topic nope: create it first, or check its name."),
        (["consume", "nope", "--timeout", "1"], "there is no topic nope: create it first, or check its name."),
    ],
)
def test_refusals_of_the_cluster(cluster: Home, words: list[str], sentence: str) -> None:
    assert refusal(cluster.barnabas(*words, given="x\n")) == sentence


def test_a_topic_that_exists_already(cluster: Home) -> None:
    cluster.barnabas("topic", "create", "twice")
    assert refusal(cluster.barnabas("topic", "create", "twice")) == "topic 'twice' exists already."


def test_a_record_above_the_limit(cluster: Home) -> None:
    cluster.barnabas("topic", "create", "large")
    said = cluster.barnabas("produce", "large", given="x" * 2_000_000 + "\n")
    assert refusal(said) == "a record of about 2000024 bytes is larger than the 1048576 bytes that a batch may have."


def test_a_line_without_a_key(cluster: Home) -> None:
    cluster.barnabas("topic", "create", "keys")
    said = cluster.barnabas("produce", "keys", "--key-separator", "::", given="x\n")
    assert refusal(said) == "line 1 has no key separator `::`."


def test_a_running_cluster_is_not_verified(cluster: Home) -> None:
    assert refusal(cluster.barnabas("verify", "barnabas-data")).endswith(
        "and its logs change while they are read: stop it with `barnabas down --data barnabas-data` first."
    )


# --- What breaks ---


def test_too_few_replicas_a_full_buffer_and_what_is_left_on_disk(place: Home) -> None:
    assert place.barnabas("up", "--detach").code == 0
    data = place.directory / "barnabas-data"
    try:
        place.barnabas("topic", "create", "strict", "--config", "min.insync.replicas=3")
        assert place.barnabas("produce", "strict", given="kept\n").code == 0
        controller = json.loads(place.barnabas("cluster", "describe", "--json").out)["controller"]
        victims = [process for process in living(data) if process.node != controller]
        kill(victims[:1])
        few = refusal(place.barnabas("produce", "strict", "--timeout", 4, given="too few\n"))
        assert "2 replicas are in sync, acks=all needs 3" in few
        kill(victims[1:])
        full = place.barnabas("produce", "strict", "--timeout", 2, "--buffer-bytes", 1000, given=("y" * 400 + "\n") * 9)
        said = refusal(full)  # it depends on how far they got before the leader stopped serving
        known = (
            "had no leader that took the records in time",
            "no answer for a batch",
            "acks=all needs 3",
            "buffer_bytes",
            "nobody answers at",
        )
        assert any(words in said for words in known), said
    finally:
        down = place.barnabas("down")
    assert down.out == f"stopped 1 node in {data}\n"
    checked = place.barnabas("verify", "barnabas-data", "--json")
    assert (checked.code, json.loads(checked.out)["findings"]) == (0, [])
    [log] = sorted(data.glob("node-*/strict-0/*0.log"))[:1]
    damaged = bytearray(log.read_bytes())
    damaged[-1] ^= 1
    log.write_bytes(damaged)
    checked = place.barnabas("verify", "barnabas-data")
    assert checked.code == 1
    assert log.name in checked.out


def test_a_seed_is_simulated_and_replays(place: Home) -> None:
    first, second = (place.barnabas("simulate", "--seed", 3, "--seconds", 2, "--json") for _ in range(2))
    [run], [again] = json.loads(first.out)["runs"], json.loads(second.out)["runs"]
    assert (run["seed"], run["trace"]) == (3, again["trace"])
    assert first.code == (0 if run["ok"] else 1)
