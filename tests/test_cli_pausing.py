"""A command that waits for what may never come ends when nobody reads it any more."""

import os
import sys
import time
from pathlib import Path

import pytest

from barnabas.cli.pausing import pause


def test_a_pause_ends_when_the_reader_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        before = time.monotonic()
        with pytest.raises(BrokenPipeError):
            pause(60)
    assert time.monotonic() - before < 30


def test_a_pause_lasts_while_somebody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        before = time.monotonic()
        pause(0.05)
    assert time.monotonic() - before >= 0.05


def test_a_file_and_nothing_at_all_are_waited_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        pause(0.01)
    pause(0.01)  # it is closed now
