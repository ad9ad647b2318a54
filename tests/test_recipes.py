"""Every program in docs/recipes.md runs, and prints what the page says it prints.

The programs run in the page's order against one cluster, in this process; the one that is a test file runs in pytest,
with a cluster of its own. Types are checked where mypy is installed.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import barnabas

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipes.md"
FENCED = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<prints>.*?)^```\n)?", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r"^## (.+)$", re.MULTILINE)


class Recipe(NamedTuple):
    """One program, where it stands, and what it prints (None: nothing is said of that)."""

    title: str
    line: int
    code: str
    prints: str | None

    @property
    def is_a_test(self) -> bool:
        return self.code.startswith("# test_")


def recipes() -> list[Recipe]:
    text = PAGE.read_text()
    found = []
    for block in FENCED.finditer(text):
        title = TITLE.findall(text, 0, block.start())[-1]
        line = text.count("\n", 0, block.start("code"))
        found.append(Recipe(title, line, block["code"], block["prints"]))
    return found


def run(recipe: Recipe) -> None:
    """In this process; a traceback names the page and its line."""
    code = compile("\n" * recipe.line + recipe.code, str(PAGE), "exec")
    exec(code, {"__name__": "__main__"})


PROGRAMS = [recipe for recipe in recipes() if not recipe.is_a_test]


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """A cluster for all of them."""
    with barnabas.Cluster(brokers=3) as cluster:
        yield cluster.bootstrap


@pytest.fixture(scope="module")
def topics(bootstrap: str) -> str:
    """The first program makes the topics that the others use: what it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BARNABAS_BOOTSTRAP", bootstrap)
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *words: printed.append(" ".join(map(str, words)) + "\n"))
        run(PROGRAMS[0])
    return "".join(printed)


def test_the_page_has_programs_and_says_what_they_print() -> None:
    assert len(PROGRAMS) >= 13
    assert [recipe.title for recipe in PROGRAMS if recipe.prints is None] == []


def test_links_within_the_page_lead_to_titles() -> None:
    text = PAGE.read_text()
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in TITLE.findall(text)}
    assert {*re.findall(r"\]\(#([^)]+)\)", text)} <= anchors


def test_the_topics_are_made(topics: str) -> None:
    assert topics == PROGRAMS[0].prints


@pytest.mark.parametrize("recipe", PROGRAMS[1:], ids=[recipe.title for recipe in PROGRAMS[1:]])
def test_a_program_prints_what_the_page_says(
    recipe: Recipe, topics: str, bootstrap: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert topics
    monkeypatch.setenv("BARNABAS_BOOTSTRAP", bootstrap)
    run(recipe)
    assert capsys.readouterr().out == recipe.prints


def test_a_recipe_for_tests_passes(tmp_path: Path) -> None:
    [recipe] = [recipe for recipe in recipes() if recipe.is_a_test]
    name = recipe.code.partition("\n")[0].removeprefix("# ")
    (tmp_path / name).write_text(recipe.code)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", name]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_the_programs_have_right_types(tmp_path: Path) -> None:
    for number, recipe in enumerate(recipes()):
        (tmp_path / f"recipe_{number}.py").write_text(recipe.code)
    words = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "."]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
