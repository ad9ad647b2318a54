"""What a run is made of, beside the cluster: the one list to add to.

    a workload       a class below `workloads/` (`workload` says how), here in WORKLOADS
    an invariant     a Checker below `invariants/` (`oracle` says how), here in `families`
    a fault          a move below `moves/` (`fault` says how), imported there

Every seed draws workloads and faults from streams of their own, so one more of them leaves the others' draws alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .invariants.groups import GroupsChecker
from .invariants.lives import LivesChecker
from .invariants.reassignments import ReassignmentsChecker
from .invariants.snapshots import SnapshotsChecker
from .oracle import Checker
from .workload import Command, Workload
from .workloads.changes import ChangesWorkload
from .workloads.expiring import ExpiringWorkload
from .workloads.groups import GroupsWorkload
from .workloads.log import LogWorkload
from .workloads.table import TableWorkload

if TYPE_CHECKING:
    from .run import Simulation

_ALL: tuple[type[Workload], ...] = (LogWorkload, ChangesWorkload, GroupsWorkload, ExpiringWorkload, TableWorkload)
WORKLOADS = {workload.name: workload for workload in _ALL}
"""By name. The first always runs, the others if their `draw` says so."""


def families(run: Simulation) -> list[Checker]:
    """Checkers of what only some workloads do. They are asked after the run's own: `quorum`, `metadata`, `copies`,
    `leaders` and `judge`, which they may look at.
    """
    return [ReassignmentsChecker(run.metadata), SnapshotsChecker(), GroupsChecker(run), LivesChecker(run)]


def commands() -> tuple[type[Command], ...]:
    """Every command that a schedule may hold."""
    waiting, found = [Command], []
    while waiting:
        below = waiting.pop().__subclasses__()
        found += [command for command in below if hasattr(command, "of")]
        waiting += below
    return tuple(sorted(found, key=lambda command: command.__name__))
