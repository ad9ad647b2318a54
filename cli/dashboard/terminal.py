"""The terminal: keys come one by one, the screen is one's own, and both are given back however the program ends.

with Terminal() as terminal:
    for key in terminal.keys(timeout): ...
    terminal.show(screen)
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

from rich.color import ColorSystem
from rich.console import Console

from ...cluster.formatting import ClusterRefused
from .screen import Painter, Screen

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[0m\x1b[?25h\x1b[?1049l"
SEQUENCES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[5~": "page up", "\x1b[6~": "page down",
    "\x1b[H": "home", "\x1b[1~": "home", "\x1bOA": "up", "\x1bOB": "down", "\x1bOH": "home",
}  # fmt: skip
KEYS = {"\r": "enter", "\n": "enter", "\t": "tab", "\x1b": "escape", "\x7f": "backspace", "\x08": "backspace",
        "\x03": "interrupt", "\x04": "end of input"}  # fmt: skip


def split(text: str) -> Iterator[str]:
    """The keys in what a terminal sent at once: names, or the letter itself."""
    while text:
        for sequence, name in SEQUENCES.items():
            if text.startswith(sequence):
                text = text[len(sequence) :]
                yield name
                break
        else:
            letter, text = text[0], text[1:]
            if letter == "\x1b" and text[:1] in ("[", "O"):  # a key that means nothing here
                while text and not (text[0].isalpha() and text[0] != "O") and text[0] != "~":
                    text = text[1:]
                text = text[1:]
                continue
            yield KEYS.get(letter, letter)


class Terminal:
    """See the module's essay. `wake` may be called from any thread, to end the waiting for keys early."""

    def __init__(self) -> None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise ClusterRefused(
                "the dashboard needs a terminal: use `--snapshot FILE` for a picture, or `barnabas events --follow`."
            )
        console = Console()
        name = console.color_system
        colors = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}
        self._painter = Painter(colors.get(name) if name is not None else None)
        self._input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._input)
        self._waking, self._waker = os.pipe()
        os.set_blocking(self._waking, False)
        os.set_blocking(self._waker, False)
        self._old_handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        self._take()
        self._handle(signal.SIGWINCH, lambda number, frame: self.wake())
        self._handle(signal.SIGCONT, lambda number, frame: self._resumed())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
        self._write(LEAVE)
        os.close(self._waking)
        os.close(self._waker)

    def _handle(self, number: signal.Signals, action: Callable[[int, FrameType | None], None]) -> None:
        self._old_handlers[number] = signal.signal(number, action)

    def _take(self) -> None:
        tty.setcbreak(self._input)
        self._write(ENTER)
        self._painter.forget()

    def _resumed(self) -> None:
        """Somebody stopped this process (Ctrl-Z) and let it go on: the shell has used the screen meanwhile."""
        self._take()
        self.wake()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = os.get_terminal_size(sys.stdout.fileno())
        return found.columns, found.lines

    def wake(self) -> None:
        """Let `keys` return."""
        with suppress(OSError):  # it is awake already, or has ended
            os.write(self._waker, b".")

    def keys(self, timeout: float) -> list[str]:
        """The keys that were pressed; waits for one up to so many seconds, or until it is woken."""
        ready, _, _ = select.select([self._input, self._waking], [], [], max(0.0, timeout))
        if self._waking in ready:
            os.read(self._waking, 4096)
        if self._input not in ready:
            return []
        data = os.read(self._input, 1024)
        return list(split(data.decode("utf-8", "replace"))) if data else ["end of input"]

    def show(self, screen: Screen) -> None:
        """Paint what differs from the screen before."""
        text = self._painter.paint(screen)
        if text:
            self._write(text)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
