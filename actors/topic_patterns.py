"""Regular expressions over the names of topics: RE2's, which match in linear time whatever the expression.

Python's own `re` may take longer than the universe lasts for an expression that somebody sends, and a coordinator has
one thread. RE2 is also what Kafka's brokers use (KIP-848), so an expression means the same here and there. It must
match the whole name. Internal topics are never matched: who wants one names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from .internal_topics import INTERNAL_TOPICS

MAX_PATTERN = 1_024
"""Characters of an expression."""

_MAX_MEMORY = 1 << 20  # bytes of a compiled expression


class _Pattern(Protocol):
    def fullmatch(self, text: str) -> object: ...


def pattern_problem(pattern: str) -> str | None:
    """Why this is not a usable expression, in a sentence; None if it is one."""
    if len(pattern) > MAX_PATTERN:
        return f"An expression has at most {MAX_PATTERN} characters, this one has {len(pattern)}."
    compiled = _compiled(pattern)
    return f"{pattern!r} is not a regular expression (RE2): {compiled}." if isinstance(compiled, str) else None


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that the expression matches as a whole. One that is not usable matches nothing."""
    compiled = _compiled(pattern)
    if isinstance(compiled, str):
        return []
    return [name for name in names if name not in INTERNAL_TOPICS and compiled.fullmatch(name) is not None]


@lru_cache(1_000)
def _compiled(pattern: str) -> _Pattern | str:
    """The expression, or what is wrong with it."""
    import re2  # takes a while, and most groups have no expression

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        compiled: _Pattern = re2.compile(pattern, options=options)
    except re2.error as error:
        what = error.args[0]
        return what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
    return compiled
