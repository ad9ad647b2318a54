"""Commands and clusters as real processes, and proof that none of them is left.

Everything that a `Home` starts carries a mark in its environment, which children inherit. At the end of a `home()`
no process with that mark may live and no temporary file may be left; what is found is ended, and the test fails.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

MARK = "BARNABAS_TEST"


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Home:
    """A directory to work in, with a temporary directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mark = uuid.uuid4().hex
        self.temporary = directory / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.env = {**os.environ, MARK: self.mark, "TMPDIR": str(self.temporary), "PYTHONUNBUFFERED": "1"}
        self.env.pop("BARNABAS_BOOTSTRAP", None)

    def barnabas(self, *words: object, given: str = "", timeout: float = 60.0) -> Result:
        """Run one command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "barnabas", *map(str, words)],
            input=given,
            capture_output=True,
            text=True,
            cwd=self.directory,
            env=self.env,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def python(self, code: str) -> "subprocess.Popen[str]":
        """Start a program; it may print."""
        return self.begin(["-c", code])

    def begin(self, words: list[str]) -> "subprocess.Popen[str]":
        """Start an interpreter and leave it running."""
        return subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.directory,
            env=self.env,
        )

    def left(self) -> "list[psutil.Process]":
        """Processes that carry the mark and live."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


@contextmanager
def home(directory: Path) -> Iterator[Home]:
    """See the module's essay."""
    made = Home(directory)
    try:
        yield made
        left = made.left()
        files = sorted(path.name for path in made.temporary.iterdir())
        assert not left, f"processes are left: {[process.cmdline() for process in left]}"
        assert not files, f"temporary files are left: {files}"
    finally:
        for process in made.left():
            os.kill(process.pid, signal.SIGKILL)


def eventually(condition: object, timeout: float = 10.0) -> bool:
    """Whether it comes true in time."""
    assert callable(condition)
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
