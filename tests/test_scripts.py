"""Every golden script says what it said when it was recorded. `REWRITE=1` records anew: read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scripts import SCRIPTS, BadScript, goes_another_way, play

from barnabas.actors import bugs

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


@pytest.mark.parametrize(
    ("bug", "script"),
    [
        ("ack-before-replication", "hw_waits_for_slowest"),
        ("answers-of-other-epochs", "answer_of_an_old_epoch"),
        ("divergence-is-progress", "divergence_is_no_progress"),
        ("expire-beyond-hw", "retention_stops_at_hw"),
        ("fetch-without-epoch", "fetch_of_an_old_epoch"),
        ("forget-sequences", "duplicate_produce"),
        ("hw-before-truncation", "truncates_to_epoch_end"),
        ("hw-below-min-insync", "no_hw_below_min_insync"),
        ("hw-ignores-proposal", "proposal_in_flight"),
        ("ignore-divergence", "fast_elections"),
        ("join-below-epoch-start", "joins_past_epoch_start"),
        ("keep-cache-at-end", "empty_epoch_is_pruned"),
        ("no-lease", "paused_leader"),
        ("read-uncommitted", "no_hw_below_min_insync"),
    ],
)
def test_a_historic_bug_that_is_put_back_changes_the_script_about_it(
    bug: str, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bugs, "ENABLED", {bug})
    text = (SCRIPTS / f"{script}.txt").read_text()
    assert goes_another_way(text)


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
