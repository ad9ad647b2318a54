"""What to do about what `verify` found: one piece of advice for each partition of a node that has findings.

A node looks after its own logs: when it meets damage it sets the log aside, leaves the in-sync replicas, and fetches it
again from the leader. But it meets damage when it reads, and a follower's old records are read by nobody; so where
another node has the log whole, `set_aside` lets the next start meet it: the damaged file is renamed, and the log ends
below its recovery point, which cannot be unless something was lost. Where that is not known nothing is touched: a log
that is merely shorter would pass for one that never had more.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..storage.checkpoint import RECOVERY_POINTS, read_offsets
from ..storage.files import FileReader
from ..storage.verify import Finding

ASIDE = ".damaged"
_SEGMENT = re.compile(r"(?P<base>\d{20})\.log")
_DERIVED = (".index", ".timeindex", ".snapshot")
METADATA = "metadata/__cluster_metadata-0"


class Repair(NamedTuple):
    """Advice about one partition's directory at one node; `directory` is empty for the node as a whole."""

    node: str
    directory: str
    sentence: str
    file: str = ""  # of the damaged log, if it may be set aside


def repairs(
    found: Iterable[tuple[str, Finding]], copies: Mapping[str, Collection[str]], data: str | None
) -> list[Repair]:
    """What to do, by partition and node. `copies`: which nodes have each partition; findings without node compare.

    `data` is the cluster's data directory; None: one node was looked at, by itself.
    """
    by_place: dict[tuple[str, str], list[Finding]] = {}
    differ: dict[str, list[Finding]] = {}
    for node, finding in found:
        if node:
            by_place.setdefault((finding.directory, node), []).append(finding)
        else:
            differ.setdefault(finding.directory, []).append(finding)
    damaged = {place for place, findings in by_place.items() if not all(map(_derived, findings))}
    advice: list[Repair] = []
    for directory, node in sorted(by_place):
        whole = sorted(name for name in copies.get(directory, ()) if (directory, name) not in damaged)
        others = [name for name in whole if name != node]
        hurt = (directory, node) in damaged
        sentence = _sentence(node, directory, others, data, hurt=hurt)
        advice.append(Repair(node, directory, sentence, _log_file(by_place[directory, node]) if others else ""))
    unexplained = [
        directory
        for directory in sorted(differ)
        if all((directory, name) not in damaged for name in copies.get(directory, ()))
    ]
    return advice + [Repair("", directory, _different(directory)) for directory in unexplained]


def set_aside(repair: Repair, data: Path) -> str | None:
    """Rename the damaged file of a log below this node's directory; what it is called now. None: it may not be."""
    match = _SEGMENT.fullmatch(repair.file)
    topic, _, partition = repair.directory.rpartition("-")
    if match is None:
        return None
    recovered = (read_offsets(FileReader(data), RECOVERY_POINTS).offsets or {}).get((topic, int(partition)), 0)
    if recovered <= int(match["base"]):
        return None  # the next start would take what is missing for a tail that was never finished
    path = data / repair.directory / repair.file
    path.rename(path.with_name(f"{repair.file}{ASIDE}"))
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return f"{repair.file}{ASIDE}"


def _log_file(findings: Iterable[Finding]) -> str:
    return next((finding.file for finding in findings if _SEGMENT.fullmatch(finding.file)), "")


def _derived(finding: Finding) -> bool:
    return finding.file.endswith(_DERIVED)


def _sentence(node: str, directory: str, others: list[str], data: str | None, *, hurt: bool) -> str:
    if directory == "":
        return f"restore the file from a copy of {node}; without its identity the node is not let in"
    if not hurt:
        return "nothing: it is made again when it is needed"
    if directory == METADATA:
        return (
            f"keep {node} down until its directory is restored from a copy: what it had voted is not known any more; "
            "the cluster goes on as long as most of its controllers are up"
        )
    topic, _, partition = directory.rpartition("-")
    if others:
        return (
            f"{' and '.join(others)} {'has' if len(others) == 1 else 'have'} it whole: `barnabas verify {data} "
            f"--set-aside`, then start the cluster, and {node} fetches it again"
        )
    if data is None:
        return "verify the data directory of the cluster, to see whether another node has it whole"
    return (
        f"it is whole nowhere: copy {data}/{node}/{directory} to a safe place first; if the partition has no leader "
        f"once the cluster runs, `barnabas elect-leaders {topic}:{partition} --unclean` tells what it costs to go on"
    )


def _different(directory: str) -> str:
    topic = directory.rpartition("-")[0]
    return (
        "each copy is whole by itself, which should not happen: keep copies of all of them and report it; clients read "
        f"what the leader has, which `barnabas topic describe {topic}` names"
    )
