"""docs/cli.md knows every command and option, and shows each command at work.

What the commands of its transcripts print is not compared (`tools/cli_transcript.py` writes it, by running them); that
they are commands, and that each one is shown, is.
"""

import re
import shlex
from pathlib import Path

import pytest
from test_command_lines import COMMANDS, commands

from barnabas.cli import main
from barnabas.cli.arguments import Commands, Parser

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
AGAIN = "run `python tools/cli_transcript.py`, or with `help` if only texts of help have changed"
# What a transcript cannot show: it takes over the whole screen, or minutes.
NOT_PLAYED = {
    "barnabas bench consume",
    "barnabas bench group",
    "barnabas bench idle",
    "barnabas bench kafka",
    "barnabas bench moves",
    "barnabas bench scale",
    "barnabas bench speed",
    "barnabas chaos clock",
    "barnabas chaos continue",
    "barnabas chaos corrupt",
    "barnabas chaos fail-disk",
    "barnabas chaos fill-disk",
    "barnabas chaos isolate",
    "barnabas chaos reset",
    "barnabas chaos restart",
    "barnabas chaos slow",
    "barnabas chaos slow-disk",
    "barnabas chaos wipe",
}


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


def every(parser: Parser) -> list[Parser]:
    inner = [child for action in parser._actions if isinstance(action, Commands) for child in action.choices.values()]
    return [parser, *(found for child in inner for found in every(child))]


def test_the_page_has_the_help_of_every_command_as_it_is(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    told = dict(re.findall(r"^### (barnabas[^\n]*)\n\n```text\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL))
    there = {parser.prog: parser.format_help().rstrip() for parser in every(main.parser())}
    assert sorted(told) == sorted(there), AGAIN
    assert [name for name in there if _bare(told[name]) != _bare(there[name])] == [], AGAIN


def _bare(text: str) -> str:
    """Versions of Python say some words of it otherwise, and break lines elsewhere."""
    return re.sub(r"\s+", "", text.replace("optional arguments:", "options:"))


def played(page: str) -> list[str]:
    """Every command of ours in the transcripts."""
    lines = re.findall(r"^\$ (.*)$", page, re.MULTILINE)
    return [found for line in lines for found in re.findall(r"barnabas (?:[^|<>&;']|'[^']*')+", line)]


def test_every_command_is_shown_at_work(page: str) -> None:
    shown = played(page)
    missing = {
        command.prog for command in COMMANDS if not any(line.startswith(f"{command.prog} ") for line in _spaced(shown))
    }
    assert missing == NOT_PLAYED, AGAIN


def _spaced(lines: list[str]) -> list[str]:
    return [f"{line.strip()} " for line in lines]


def test_what_is_shown_to_work_is_a_command_line(page: str) -> None:
    """And what is answered with exit code 2 by its parser is none."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    turns = [turn for block in blocks for turn in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    for turn in turns:
        line, _, answer = turn.partition("\n")
        wrong = "; see `barnabas" in answer and "(exit code 2)" in answer
        for found in played(f"$ {line}"):
            try:
                main.parser().parse_args(shlex.split(found)[1:])
            except SystemExit as error:
                ended = error.code
            else:
                ended = 0
            assert wrong or ended == 0, f"{found}: {AGAIN}"


def test_no_traceback_is_on_the_page_and_no_place_of_whoever_made_it(page: str) -> None:
    assert "Traceback" not in page
    assert "mistake in Barnabas" not in page
    assert str(Path.home()) not in page.replace("/home/me", "")
    assert "/tmp/barnabas-" not in page


def test_commands_are_found_by_walking_the_parser() -> None:
    assert {command.prog for command in commands(main.parser())} < {parser.prog for parser in every(main.parser())}
