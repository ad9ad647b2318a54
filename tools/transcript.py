"""Running commands as a person would, and writing down what was to be seen: the machinery of `cli_transcript`.

    with Home() as home:
        home.shell("barnabas up --detach")             # in a pipe: what a script sees
        home.terminal("barnabas ps")                   # on a terminal: what a person sees
        home.terminal("barnabas consume t", keys=[("Ctrl-C", "ready")])   # a key once something is to be seen

Each run starts in an empty home directory. What differs from run to run is exchanged for what does not: ports, process
ids, cluster ids, times and places. So another run of the same version gives (nearly) the same page, and a difference
is a change of the commands.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

COLUMNS, LINES = 110, 40
PATIENCE = 120.0
KEYS = {"Ctrl-C": b"\x03", "Ctrl-D": b"\x04", "Enter": b"\n", "q": b"q"}

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|\x1b\][^\x07]*\x07")

CUT = "/home/me/barnabas-data/node-1"


class Home:
    """A home directory, in which `barnabas` is this version."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="barnabas-cli-")).resolve()
        tools = self.path / ".tools"
        tools.mkdir()
        command = tools / "barnabas"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m barnabas "$@"\n')
        command.chmod(0o755)
        self._env = {
            "HOME": str(self.path),
            "LANG": "C.UTF-8",
            "PATH": f"{tools}:{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
            "LINES": str(LINES),
            "TMPDIR": str(self.path / ".tools"),
        }
        self._names: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for data in self.path.glob("*/cluster.json"):
            self._run(f"barnabas down --data {data.parent}")
        shutil.rmtree(self.path)

    # --- Running ---

    def shell(self, line: str) -> str:
        """One line of shell, with its output in a pipe, as the page has it."""
        done = self._run(line)
        return self._written(line, done.stdout, done.returncode)

    def quietly(self, line: str) -> None:
        """Something that the page does not show; it must succeed."""
        done = self._run(line)
        assert done.returncode == 0, f"{line}: {done.stdout}"

    def terminal(self, line: str, keys: Sequence[tuple[str, str]] = ()) -> str:
        """One line of shell on a terminal. Each key is pressed once its text has been seen since the last one."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.path)
            os.execvpe("bash", ["bash", "--norc", "-c", line], self._env)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        seen, since, waiting = "", 0, list(keys)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    data = os.read(terminal, 4096)
                except OSError:  # the last process has closed it
                    break
                if not data:
                    break
                seen += data.decode(errors="replace")
            if waiting and waiting[0][1] in seen[since:]:
                since = len(seen)
                os.write(terminal, KEYS.get(waiting[0][0], waiting[0][0].encode()))
                waiting.pop(0)
        else:
            os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"{line} did not end; seen so far:\n{seen}")
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
        return self._written(line, _screen(seen), os.waitstatus_to_exitcode(status))

    def _run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--norc", "-c", line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            cwd=self.path,
            env={**self._env, "PYTHONUNBUFFERED": "1"},
            timeout=PATIENCE,
            check=False,
        )

    # --- Writing down ---

    def _written(self, line: str, output: str, code: int) -> str:
        output = re.sub(r"^.* slow: .*\n", "", output, flags=re.MULTILINE)  # that another machine was busy is no news
        text = f"$ {line}\n{output.rstrip()}".rstrip()
        if code:
            text += f"\n(exit code {code})"
        return self._same_every_time(text)

    def _same_every_time(self, text: str) -> str:
        text = text.replace(str(self.path), "/home/me")
        text = re.sub(
            r"/tmp/barnabas-cli-[^ /]*…", lambda cut: f"{CUT[: len(cut[0]) - 1]}…", text
        )  # in a narrow column
        for pattern, name in _VOLATILE:
            text = re.sub(pattern, lambda match, name=name: self._name(name, match), text, flags=re.MULTILINE)
        return text

    def _name(self, name: str, match: re.Match[str]) -> str:
        """The same for the same, in the order in which they are met; in the middle of what surrounds it."""
        found = match["it"]
        if "#" in name:
            known = self._names.setdefault(name, {})
            made = known.setdefault(found, name.replace("#", f"{len(known) + 1:02d}"))
        else:
            made = name
        whole = match[0]
        at = match.start("it") - match.start()
        made = made.ljust(len(found)) if whole[at + len(found) :].startswith("  ") else made  # columns stay
        return whole[:at] + made + whole[at + len(found) :]


# What is exchanged: a pattern whose group `it` is volatile, and what takes its place (# counts). Order matters.
_VOLATILE: list[tuple[str, str]] = [
    (r"(?P<it>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z)", "2026-03-01T09:00:00.000Z"),
    (r"(?P<it>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+)", "2026-03-01 09:00:00.000"),
    (r"\"ms\":(?P<it>1[789]\d{11})", "1772355600000"),
    (r"-(?P<it>20\d{6}-\d{6})\b", "20260301-090000"),
    (r"\(seed (?P<it>\d+)\)", "7"),
    (r"\b(?P<it>0x[0-9a-f]{6,8})\b", "0x51a7c0de"),
    (r"\"timestamp\":(?P<it>1[789]\d{11})", "1772355600000"),
    (r"127\.0\.0\.1:(?P<it>[1-3]\d{4})", "100#"),
    (r"\b(?:process|PID|pid)[ =:]+(?P<it>\d+)", "40#"),
    (r"^\d +(?P<it>\d{3,7}) +(?:running|paused)", "40#"),
    (r"^│ \d +│ (?P<it>\d{3,7}) +│", "40#"),
    (r"\"pid\": (?P<it>\d+)", "40#"),
    (r"\b(?P<it>(?=[A-Za-z0-9_-]*[A-Z])(?=[A-Za-z0-9_-]*[a-z])[A-Za-z0-9_-]{22})\b", "id-number-#-of-this-page"),
    (r"\b(?P<it>\d+\.\d+) s\b", "0.7"),
    (r"\b(?P<it>\d+\.\d+) (?:ms|µs)\b", "1.2"),
]


def _screen(seen: str) -> str:
    """What is left on the screen: a line that was written again has its last text."""
    lines = []
    for line in _ANSI.sub("", seen.replace("\x1b[K", "\x00")).replace("\r\n", "\n").split("\n"):
        last = line.rsplit("\r", 1)[-1].rsplit("\x00", 1)[-1]
        lines.append(last.replace("^C", "").replace("^D\b\b", "").rstrip())
    return "\n".join(lines)
