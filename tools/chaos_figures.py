"""Writes the table of figures in `docs/chaos.md` from the verdicts of runs.

    barnabas chaos run NAME --seed 7 --json --out barnabas-chaos/NAME    # for every NAME of `barnabas chaos list`
    python tools/chaos_figures.py barnabas-chaos                         # all DIR/*/verdict.json below

Of several runs of one scenario the last one counts. Nothing is rounded in our favour: a worst case is the worst one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

import msgspec

from barnabas.cli.chaos.scenario import load, shipped
from barnabas.cli.chaos.verdict import Verdict

PAGE = Path(__file__).resolve().parent.parent / "docs" / "chaos.md"
BEGIN, END = "<!-- the table begins: tools/chaos_figures.py -->", "<!-- the table ends -->"
HEAD = (
    "scenario", "blows", "acknowledged of sent", "lost", "doubled", "otherwise wrong", "noticed, ms", "next ack, ms",
    "longest pause, ms", "in sync again, s", "load", "verdict",
)  # fmt: skip


def newest(below: Path) -> dict[str, Verdict]:
    """The last verdict on each scenario."""
    paths = sorted(below.glob("*/verdict.json"), key=lambda path: path.stat().st_mtime)
    verdicts = [msgspec.json.decode(path.read_bytes(), type=Verdict) for path in paths]
    return {verdict.scenario: verdict for verdict in verdicts}


def spread(values: list[float]) -> str:
    """The median and the worst one."""
    if not values:
        return "-"
    return f"{max(values):.0f}" if len(values) == 1 else f"{median(values):.0f}, {max(values):.0f}"


def line(verdict: Verdict) -> list[str]:
    expected = "good" if verdict.valid else "not good, as it must be" if load(verdict.scenario).loses else "NOT GOOD"
    return [
        verdict.scenario,
        str(len(verdict.blows)),
        f"{verdict.acknowledged} of {verdict.sent}",
        str(verdict.lost),
        str(verdict.duplicated),
        str(verdict.reordered),
        spread([blow.detected_ms for blow in verdict.blows if blow.detected_ms is not None]),
        spread([blow.next_ack_ms for blow in verdict.blows if blow.next_ack_ms is not None]),
        f"{verdict.longest_pause_ms:.0f}",
        f"{verdict.converge_s:.1f}" if verdict.converge_s >= 0 else "not in time",
        f"{verdict.load[0]:.1f} to {verdict.load[1]:.1f}",
        expected,
    ]


def table(verdicts: dict[str, Verdict]) -> str:
    rows = [HEAD, ("---",) * len(HEAD), *(line(verdicts[name]) for name in sorted(verdicts))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: list[str]) -> int:
    verdicts = newest(Path(arguments[0])) if len(arguments) == 1 else {}
    missing = sorted(set(shipped()) - set(verdicts))
    if missing:
        print(f"no verdict on {', '.join(missing)}: run them first, see above", file=sys.stderr)
        return 1
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{PAGE.name} has no table to replace"
    seeds = ", ".join(str(seed) for seed in sorted({verdict.seed for verdict in verdicts.values()}))
    cpus = ", ".join(str(count) for count in sorted({verdict.cpus for verdict in verdicts.values()}))
    PAGE.write_text(f"{before}{BEGIN}\n\nSeed {seeds}; {cpus} processors.\n\n{table(verdicts)}\n\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
