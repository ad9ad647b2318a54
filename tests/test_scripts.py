"""Every golden script says what it said when it was recorded. `REWRITE=1` records anew: read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scripts import SCRIPTS, BadScript, play

FILES = sorted(SCRIPTS.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    text = path.read_text()
    played = play(text)
    if os.environ.get("REWRITE"):
        path.write_text(played)
        return
    assert played == text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_script_opens_with_what_it_shows(path: Path) -> None:
    assert path.read_text().startswith("# ")


def test_a_script_says_the_same_each_time() -> None:
    text = FILES[0].read_text()
    assert play(text) == play(text)


def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(BadScript, match="there is no command 'fetch'"):
        play("cluster\nfetch b2\n---\n")


def test_delivering_nothing_is_an_error_of_the_script() -> None:
    with pytest.raises(BadScript, match="nothing is on its way to c"):
        play("cluster\ndeliver c\n---\n")


def test_commands_without_a_line_below_them_are_an_error() -> None:
    with pytest.raises(BadScript, match="no `---`"):
        play("cluster\n")
