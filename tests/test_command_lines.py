"""Every command there is: its help, its examples, what it loads before it says anything, and how it may end.

New commands are found by walking the parser, so none is forgotten.
"""

import argparse
import errno
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_clusters import Home, home

from barnabas.cli import events, main
from barnabas.cli.arguments import Commands, Parser

# What takes long to load, or to come to life. None of it is needed to say that something is wrong.
HEAVY = {"zmq", "rich", "asyncio", "cramjam", "concurrent.futures.process", "barnabas.actors.broker"}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    with home(tmp_path) as made:
        yield made


def commands(parser: Parser) -> Iterator[Parser]:
    """Those that do something, not the words before them."""
    inner = [action for action in parser._actions if isinstance(action, Commands)]
    for action in inner:
        for child in action.choices.values():
            yield from commands(child)
    if not inner:
        yield parser


COMMANDS = list(commands(main.parser()))


@pytest.mark.parametrize("command", COMMANDS, ids=[command.prog for command in COMMANDS])
def test_every_command_says_what_it_does_with_examples_that_are_right(command: Parser) -> None:
    assert command.description, command.prog
    assert command.description.endswith("."), command.description
    for action in command._actions:
        assert action.help, f"{command.prog} {action.option_strings or action.dest}"
    lines = [line for example in command.examples for line in command_lines(example)]
    assert any(line.startswith(command.prog) for line in lines), command.examples
    for line in lines:
        main.parser().parse_args(shlex.split(line)[1:])


def command_lines(example: str) -> list[str]:
    """The commands of ours in a line of examples: up to a pipe, a redirection, a bracket or the explanation."""
    return [found.strip() for found in re.findall(r"barnabas(?: (?! )[^|<>)]+?)+(?= {2,}|[|<>)]|$)", example)]


def test_examples_are_cut_out_of_their_lines() -> None:
    assert command_lines('eval "$(barnabas completion bash)"    in ~/.bashrc') == ["barnabas completion bash"]
    assert command_lines("barnabas consume a --json | barnabas produce b --json < x") == [
        "barnabas consume a --json",
        "barnabas produce b --json",
    ]
    assert command_lines("barnabas consume a --format '{time} {key}'     see") == [
        "barnabas consume a --format '{time} {key}'"
    ]


def test_commands_are_known_by_their_whole_options_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["topic", "create", "t", "--part", "3"]) == 2
    assert "unrecognized arguments: --part 3; did you mean --partitions?" in capsys.readouterr().err


def test_nothing_heavy_is_loaded_before_the_first_output(place: Home) -> None:
    """Modules are watched rather than the clock, which other work on the machine would move."""
    refused = [
        ["ps"], ["down"], ["cluster", "describe"], ["kill", "1"], ["restart", "1"], ["topic", "list"],
        ["topic", "create", "t"], ["topic", "describe"], ["topic", "delete", "t"], ["produce", "t"], ["consume", "t"],
        ["events"], ["verify", "nothing"], ["up", "nothing.toml"], ["node", "nothing.toml", "--id", "1"],
        ["topic", "list", "--bootstrap", "127.0.0.1:1"], ["--help"], ["completion", "bash"],
    ]  # fmt: skip
    code = f"""
import sys
from barnabas.cli.main import main
loaded = {{}}
for words in {refused!r}:
    code = main(words)
    loaded[" ".join(words)] = sorted({HEAVY!r} & sys.modules.keys())
    assert code == (0 if words[0] in ("--help", "completion") else 1), (words, code)
import json
print(json.dumps(loaded), file=sys.__stderr__)
"""
    with place.python(code) as program:
        _, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    loaded = json.loads(err.splitlines()[-1])
    assert {words: found for words, found in loaded.items() if found} == {}


# --- What goes wrong at the end of a command ---


def broken(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(events, "run_events", run)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/x"),
            1,
            "data/x: no space left on device; free some space, or choose another place.",
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "data/x"),
            1,
            "data/x: permission denied; ask whoever owns it, or choose another place.",
        ),
        (MemoryError(), 1, "there is not enough memory; end something else first."),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(
    error: Exception, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(monkeypatch, error)
    assert main.main(["events"]) == code
    assert capsys.readouterr().err == f"barnabas: {sentence}\n"


def test_a_mistake_of_ours_says_so_and_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(monkeypatch, KeyError("x"))
    assert main.main(["events"]) == 70
    said = capsys.readouterr().err
    assert said.startswith("barnabas: this is a mistake in Barnabas and not in what you typed: KeyError: 'x' (test_")
    assert said.count("\n") == 1
    monkeypatch.setenv("BARNABAS_TRACEBACK", "1")
    assert main.main(["events"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import signal

    before = signal.getsignal(signal.SIGINT)
    broken(monkeypatch, KeyboardInterrupt())
    try:
        assert main.main(["events"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_without_room_is_a_refusal(place: Home) -> None:
    done = shell(place, "barnabas completion bash > /dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "barnabas: no space left on device; free some space, or choose another place.\n",
    )


def test_an_output_that_is_closed_is_no_error(place: Home) -> None:
    done = shell(place, "barnabas completion bash >&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_seen_enough_is_no_error(place: Home) -> None:
    done = shell(place, "set -o pipefail; barnabas completion bash | (exec 0<&-; sleep 1)")
    assert (done.returncode, done.stderr) == (141, "")


def shell(place: Home, line: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", f'barnabas() {{ {shlex.quote(sys.executable)} -m barnabas "$@"; }}; {line}'],
        capture_output=True,
        text=True,
        cwd=place.directory,
        env=place.env,
        timeout=60,
        check=False,
    )
