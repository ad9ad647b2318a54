"""Golden scripts about groups say what they said when they were recorded. `REWRITE=1` records anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from group_scripts import SCRIPTS, GroupRun
from scripts import goes_another_way, play

from barnabas.actors import bugs

FILES = sorted(SCRIPTS.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    played = play(text, GroupRun)
    if os.environ.get("REWRITE"):
        path.write_text(played)
        return
    assert played == text


@pytest.mark.parametrize(
    ("bug", "script"),
    [
        ("expire-live-offsets", "expiry"),
        ("give-before-revoke", "revoke_before_give"),
        ("no-sync-timer", "classic_without_sync"),
        ("reply-before-commit", "failover"),
        ("unbounded-group", "room"),
        ("zombies-commit", "zombie"),
    ],
)
def test_a_historic_bug_that_is_put_back_changes_the_script_about_it(
    bug: str, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bugs, "ENABLED", {bug})
    text = (SCRIPTS / f"{script}.txt").read_text()
    assert goes_another_way(text, GroupRun)
