"""Switching historic bugs on, to see that the simulator finds them.

The switches themselves are in `actors/bugs.py`: an actor asks `bug("name")` where it guards against a bug that others
shipped. Nothing but this file and tests ever switches one on. A checker that has never failed proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..actors import bugs


@contextmanager
def injected(*names: str) -> Iterator[None]:
    """These bugs are in the actors, until the end of the block."""
    before = sorted(bugs.ENABLED)
    bugs.ENABLED.update(names)
    try:
        yield
    finally:
        bugs.ENABLED.clear()
        bugs.ENABLED.update(before)
