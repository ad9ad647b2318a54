"""A full screen as lines of styled text, and how little of it has to be painted again.

A line is a tuple of spans, a span a text and the name of a style; so two lines are the same if they are equal, and a
painter writes only those that are not. That, and not the drawing, is what keeps a screen that changes ten times a
second cheap. `Screen` is a rich renderable: rich writes the snapshots, and says what a style means to a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

Span = tuple[str, str]
Line = tuple[Span, ...]

STYLES = {
    "": Style.null(),
    "title": Style(bold=True),
    "head": Style(dim=True),
    "dim": Style(dim=True),
    "good": Style(color="green"),
    "bad": Style(color="red", bold=True),
    "warn": Style(color="yellow"),
    "new": Style(color="cyan", bold=True),
    "bars": Style(color="blue"),
    "chosen": Style(reverse=True),
    "bar": Style(reverse=True),
    "banner": Style(color="white", bgcolor="red", bold=True),
    "key": Style(bold=True, color="cyan"),
}


def length(line: Line) -> int:
    """How many columns it fills."""
    return sum(len(text) for text, _ in line)


def cut(line: Line, width: int) -> Line:
    """At most so many columns of it."""
    if length(line) <= width:
        return line
    kept: list[Span] = []
    left = width
    for text, style in line:
        if left <= 0:
            break
        kept.append((text[:left], style))
        left -= len(text)
    return tuple(kept)


class Screen:
    """`height` lines of `width` columns; what is too long is cut."""

    def __init__(self, width: int, height: int, lines: Sequence[Line]) -> None:
        self.width = width
        self.height = height
        empty: Line = ()
        shown = [cut(line, width) for line in lines[:height]]
        self.lines = shown + [empty] * (height - len(shown))

    @property
    def text(self) -> str:
        """Without styles, a line each, without blanks at their ends."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self.lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, line in enumerate(self.lines):
            for text, style in line:
                yield Segment(text, STYLES[style])
            if number < len(self.lines) - 1:
                yield Segment.line()


class Painter:
    """Writes screens to a terminal that shows the one before, and only what differs."""

    def __init__(self, colors: ColorSystem | None) -> None:
        self._colors = colors
        self._shown: list[Line] = []
        self._size = (0, 0)
        self._painted: dict[Span, str] = {}

    def paint(self, screen: Screen) -> str:
        """What to write so that the terminal shows this screen."""
        size = (screen.width, screen.height)
        whole = size != self._size
        parts = ["\x1b[2J"] if whole else []
        for number, line in enumerate(screen.lines):
            if whole or self._shown[number] != line:
                rest = "" if length(line) >= screen.width else "\x1b[K"
                parts.append(f"\x1b[{number + 1};1H{''.join(map(self._span, line))}{rest}")
        self._shown, self._size = screen.lines, size
        return "".join(parts)

    def forget(self) -> None:
        """The terminal shows something else."""
        self._size = (0, 0)

    def _span(self, span: Span) -> str:
        known = self._painted.get(span)
        if known is None:
            text, style = span
            if len(self._painted) > 4_000:
                self._painted.clear()
            known = self._painted[span] = STYLES[style].render(text, color_system=self._colors) if style else text
        return known
