"""Historic bugs on a switch, for tests of the simulator only.

A checker that has never failed proves nothing. Where the actors guard against a bug that others shipped, the guard may
read `if bug("name")` to leave itself out; the simulator switches one on and must find it. The set is empty in every
process that serves anybody: nothing but `simulation/bugs.py` and tests may change it.

Ask last, where the guard is about to do something: a run in which nobody asked need not be made again with the bug.
"""

from __future__ import annotations

ENABLED: set[str] = set()


def bug(name: str) -> bool:
    """Whether the named bug is switched on."""
    return name in ENABLED
