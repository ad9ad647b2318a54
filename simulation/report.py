"""What a run came to, and what many came to together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from .history import Op
from .schedule import Schedule
from .swarm import Swarm


class Report(msgspec.Struct, kw_only=True):
    """One run. `violations` is empty if every promise was kept."""

    seed: int
    swarm: Swarm
    log: list[str]  # what the nemesis did, and what came of it
    faults: dict[str, int] = {}  # by kind
    network: dict[str, int] = {}  # messages by what became of them
    acknowledged: int = 0
    failures: dict[str, int] = {}
    counts: dict[str, int] = {}  # operations of clients, by kind
    happened: dict[str, int] = {}  # events that actors emitted, by kind
    events: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    trace: str = ""
    premises: dict[str, int] = {}
    violations: list[str] = []
    broken_at_us: int | None = None  # when the first was, if it ended the run at once
    history: list[Op] = []
    schedule: Schedule | None = None

    @property
    def ok(self) -> bool:
        return not self.violations

    @property
    def broken(self) -> str:
        """The first invariant or anomaly; empty if none."""
        return self.violations[0].partition(" ")[0].rstrip(":,") if self.violations else ""

    def sentence(self) -> str:
        """One line for people."""
        speed = self.simulated_s / self.cpu_s if self.cpu_s else 0.0
        verdict = "ok" if self.ok else f"FAIL {self.violations[0]}"
        return (
            f"seed {self.seed}: {self.acknowledged} writes acknowledged, {sum(self.faults.values())} faults,"
            f" {self.events} events in {self.simulated_s:.0f} s ({speed:.1f}x real time): {verdict}"
        )


def summary(reports: Sequence[Report]) -> dict[str, object]:
    """The figures of many seeds, in total and each."""
    premises, faults, network, happened = (Counter[str]() for _ in range(4))
    for report in reports:
        premises.update(report.premises)
        faults.update(report.faults)
        network.update(report.network)
        happened.update(report.happened)
    simulated, cpu = sum(report.simulated_s for report in reports), sum(report.cpu_s for report in reports)
    return {
        "seeds": len(reports),
        "failed": sum(not report.ok for report in reports),
        "violations": sum(len(report.violations) for report in reports),
        "faults": sum(faults.values()),
        "least_faults": min(sum(report.faults.values()) for report in reports),
        "acknowledged": sum(report.acknowledged for report in reports),
        "least_acknowledged": min(report.acknowledged for report in reports),
        "events": sum(report.events for report in reports),
        "simulated_s": round(simulated, 1),
        "cpu_s": round(cpu, 1),
        "wall_s": round(sum(report.wall_s for report in reports), 1),
        "times_real_time_per_core": round(simulated / cpu, 1) if cpu else None,
        "premises": dict(sorted(premises.items(), key=lambda item: _order(item[0]))),
        "faults_by_kind": dict(sorted(faults.items())),
        "messages": dict(sorted(network.items())),
        "happened": dict(sorted(happened.items())),
        "runs": [
            {
                "seed": report.seed,
                "ok": report.ok,
                "acknowledged": report.acknowledged,
                "faults": sum(report.faults.values()),
                "events": report.events,
                "simulated_s": round(report.simulated_s, 1),
                "wall_s": round(report.wall_s, 2),
                "cpu_s": round(report.cpu_s, 2),
                "trace": report.trace,
                "violations": report.violations,
            }
            for report in reports
        ],
    }


def _order(invariant: str) -> tuple[str, int, str]:
    """R2 before R10."""
    name = invariant.partition(" ")[0]
    return (name[0], int(name[1:]), invariant) if name[1:].isdecimal() else ("D", 0, invariant)
