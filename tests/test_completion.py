"""The TAB key: in each shell that is here, what is offered where.

The scripts are run by the real shells, without any of their own configuration. `barnabas` is a script of ours that the
shells find first.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from barnabas.cli import main
from barnabas.cli.completion import SHELLS, places


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which `barnabas` is this one."""
    command = tmp_path / "bin" / "barnabas"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m barnabas "$@"\n')
    command.chmod(0o755)
    return {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "TERM": "xterm",
    }


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


def run(words: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(words, env=env, cwd=env["HOME"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_every_place_in_a_line_is_known() -> None:
    found = {place.path: place for place in places(main.parser())}
    assert {"barnabas", "barnabas topic", "barnabas topic create", "barnabas completion"} <= found.keys()
    assert found["barnabas completion"].value.words == tuple(SHELLS)
    assert found["barnabas topic delete"].value.command.startswith("barnabas topic list")
    [acks] = [option for option in found["barnabas produce"].options if "--acks" in option.names]
    assert acks.value is not None
    assert acks.value.words == ("all", "1", "0")


@needs("bash")
def test_bash_completes_commands_options_and_values(env: dict[str, str]) -> None:
    script = """
        eval "$(barnabas completion bash)"
        try() { COMP_WORDS=("$@") COMP_CWORD=$(( $# - 1 )); COMPREPLY=(); _barnabas; echo "${COMPREPLY[*]}"; }
        try barnabas pro
        try barnabas topic cr
        try barnabas topic create t --part
        try barnabas produce t --acks ""
        try barnabas produce t --acks all --comp
        try barnabas ps --data b
        try barnabas topic delete ""
    """
    said = run(["bash", "--norc", "-c", script], env).splitlines()
    assert said == ["produce", "create", "--partitions", "all 1 0", "--compression", "bin", ""]


@needs("fish")
def test_fish_completes_commands_options_and_values(env: dict[str, str]) -> None:
    asked = ["barnabas pro", "barnabas topic cr", "barnabas topic create t --part", "barnabas produce t --acks "]
    script = "barnabas completion fish | source; " + "; ".join(f'complete -C "{line}"; echo =====' for line in asked)
    said = run(["fish", "-N", "-c", script], env)
    offered = [re.findall(r"^\S+", part, re.MULTILINE) for part in said.split("=====\n")[:-1]]
    assert [*offered[:2], sorted(offered[3])] == [["produce"], ["create"], ["0", "1", "all"]]
    assert "--partitions" in said


@needs("zsh")
def test_zsh_completes_commands_options_and_values(env: dict[str, str]) -> None:
    terminal = Zsh(env)
    try:
        terminal.say("PS1='ready> '; autoload -U compinit; compinit -u -D; unsetopt beep\n")
        terminal.say('eval "$(barnabas completion zsh)"; echo load""ed\n')
        terminal.await_text("loaded")
        terminal.say("barnabas pro\t")
        terminal.await_text("barnabas produce ")
        terminal.say("t --ac\t")
        terminal.await_text("--acks ")
        terminal.say("al\t")
        terminal.await_text("all ")
    finally:
        terminal.close()


class Zsh:
    """An interactive zsh on a terminal of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(env["HOME"])
            os.execvpe("zsh", ["zsh", "-f", "-i"], env)
        self._seen = ""

    def say(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def await_text(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self._seen:
            left = deadline - time.monotonic()
            assert left > 0, self._seen
            assert select.select([self._terminal], [], [], left)[0], self._seen
            data = os.read(self._terminal, 4096).decode(errors="replace")
            self._seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data)  # colours and cursors

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self._pid, 0)
