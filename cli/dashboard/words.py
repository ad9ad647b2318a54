"""Numbers and times in few letters, and rates as bars."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
_LETTERS = ("", "k", "M", "G", "T", "P")


def amount(number: float) -> str:
    """At most five letters: 0, 7, 950, 1.2k, 45k, 3.4M."""
    size = abs(number)
    for letter in _LETTERS:
        if size < 999.5:
            text = f"{size:.1f}" if letter and size < 9.95 else f"{size:.0f}"
            return f"{'-' if number < 0 else ''}{text}{letter}"
        size /= 1000
    return f"{number:.0e}"


def size(count: int | None) -> str:
    """Bytes, at most six letters: 0 B, 950 B, 1.2 KB, 45 MB. Nothing is known: -."""
    if count is None:
        return "-"
    text = amount(count)
    letter = text[-1].upper() if text[-1].isalpha() else ""
    return f"{text.rstrip('kMGTP')} {letter}B"


def share(part: float | None) -> str:
    """Of one core, in percent."""
    return "-" if part is None else f"{part * 100:.0f} %"


def grouped(number: int) -> str:
    """1,234,567."""
    return f"{number:,}"


def ids(numbers: Sequence[int]) -> str:
    """Several broker ids in one cell."""
    return ",".join(map(str, numbers)) or "-"


def bars(values: Sequence[float], width: int) -> str:
    """The newest values as bars, the largest of those shown at full height; blank where nothing was watched yet."""
    shown = list(values)[-width:] if width > 0 else []
    most = max(shown, default=0.0)
    drawn = "".join(_bar(value, most) for value in shown)
    return drawn.rjust(width)


def _bar(value: float, most: float) -> str:
    if value <= 0 or most <= 0:
        return BARS[0] if value == 0 else " "
    return BARS[min(len(BARS) - 1, 1 + int((len(BARS) - 2) * value / most))]


def span(ms: int) -> str:
    """A length of time in two words: 0.4 s, 12 s, 3 min, 5 h."""
    seconds = ms / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly so many letters; what does not fit ends in an ellipsis."""
    if len(text) > width:
        return text[: max(0, width - 1)] + "…" if width > 0 else ""
    return text.rjust(width) if right else text.ljust(width)
