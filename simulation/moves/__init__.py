"""The moves of the nemesis, one file per part of the world that breaks. `fault` says how to write one.

Importing this package registers them all.
"""

from ..fault import MOVES, Fault
from . import clocks, disks, hunts, lapses, links, plots, processes, sieges, spoilt_disks

__all__ = [
    "FAULTS",
    "MOVES",
    "clocks",
    "disks",
    "hunts",
    "lapses",
    "links",
    "plots",
    "processes",
    "sieges",
    "spoilt_disks",
]


def _all(base: type[Fault]) -> list[type[Fault]]:
    below = [found for child in base.__subclasses__() for found in _all(child)]
    return [*([base] if "strike" in vars(base) and base is not Fault else []), *below]


FAULTS: tuple[type[Fault], ...] = tuple(sorted(_all(Fault), key=lambda fault: fault.__name__))
"""Every fault that a schedule may hold."""
