"""What a run has shown: every claim with what was found, figures, and one word at the end.

The heart is the history: what clients saw, judged by the checker that judges simulated runs too. To that come the logs
on disk, the processes, and how long things took. A claim that could not be checked has failed.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from ...cluster.event_file import Happened
from ...cluster.figures import DEAD, Figure
from ...simulation.analysis import Anomaly, analyse
from ...simulation.history import Op
from .scenario import Scenario
from .striking import Struck

LEASE_US = 3_000_000  # a leader that was cut off may tell an old end for so long: its lease, and some
LOST = ("lost-write", "unseen")
DOUBLED = ("duplicate",)
SHOWN = 20  # anomalies that are told in words
# What a node may have more, after all is healed. Its pools of threads fill up to 12 as they are first needed.
MORE_DESCRIPTORS, MORE_THREADS, MORE_BYTES = 60, 14, 120 << 20


class Claim(msgspec.Struct, frozen=True):
    """Something that must hold."""

    name: str
    holds: bool
    found: str


class BlowFigures(msgspec.Struct, frozen=True):
    """One blow and how the cluster took it. Milliseconds from the blow; None: it was not noticed, or nothing came."""

    do: str
    node: int
    target: str
    at_s: float  # of the impact
    detected_ms: int | None
    next_ack_ms: float | None
    noticed_as: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """`valid`: every claim holds."""

    scenario: str
    seed: int
    valid: bool
    claims: list[Claim]
    lost: int
    duplicated: int
    reordered: int
    anomalies: dict[str, int]
    examples: list[str]
    sent: int
    acknowledged: int
    failed: int
    unknown: int
    read: int
    blows: list[BlowFigures]
    next_ack_worst_ms: float | None
    longest_pause_ms: float
    converge_s: float
    p99_normal_ms: float
    p99_impact_ms: float
    complaints: dict[str, int]
    directory: str
    cpus: int  # of the machine
    load: tuple[float, float]  # its load average of a minute, before the run and at its end


class Evidence(msgspec.Struct):
    """All that a run has brought together."""

    scenario: Scenario
    seed: int
    directory: str
    ops: Sequence[Op]
    complaints: Mapping[str, int]
    struck: Sequence[Struck]
    refused: Sequence[str]
    events: Sequence[Happened]
    steady_us: tuple[int, int]
    impact_us: tuple[int, int]
    converge_s: float | None  # None: not within its time
    read_everything: bool
    group_settled_s: float | None  # None: it did not; 0 where there was none
    shared: Sequence[str]  # where two members held one partition at once
    findings: Sequence[str]  # of the logs on disk
    last_words: Sequence[str]  # of nodes: tracebacks, failed assertions, deaths
    before: Mapping[int, Figure]
    after: Mapping[int, Figure]
    finished: bool = True
    load: tuple[float, float] = (0.0, 0.0)


def judge(evidence: Evidence) -> Verdict:
    """The verdict on a run."""
    scenario, checks = evidence.scenario, evidence.scenario.checks
    judged = analyse(evidence.ops, LEASE_US)
    kinds = Counter(anomaly.kind for anomaly in judged.anomalies)
    gone = _gone(evidence)
    lost = max(len(gone), sum(kinds[kind] for kind in LOST))
    doubled = sum(kinds[kind] for kind in DOUBLED)
    sends = [op for op in evidence.ops if op.kind == "send"]
    outcomes = Counter(op.outcome for op in sends)
    blows = [_figures(struck, evidence) for struck in evidence.struck]
    acks = [figure.next_ack_ms for figure in blows]
    examples = [anomaly.sentence for anomaly in _worst_first(judged.anomalies)]
    claims = [
        _claim("something was acknowledged", outcomes["ok"] > 0, f"{outcomes['ok']} of {len(sends)} records"),
        _kept(lost, [*gone, *examples]),
        _claim("nothing is there twice", not doubled, f"{doubled} records"),
        _claim("nothing else that no log can explain", not _others(kinds), _counts(_others(kinds)) or "nothing"),
        _claim("everything was read to the end", evidence.read_everything, f"{judged.counts.get('read', 0)} records"),
        _claim(
            "every blow was struck and undone", not evidence.refused, "; ".join(evidence.refused) or f"{len(blows)}"
        ),
        _claim(
            f"acknowledgements go on within {checks.next_ack_s:g} s",
            all(ack is not None and ack <= checks.next_ack_s * 1000 for ack in acks),
            _worst(acks),
        ),
        _claim(
            f"all replicas are in sync again within {checks.converge_s:g} s",
            evidence.converge_s is not None,
            "not in time" if evidence.converge_s is None else f"{evidence.converge_s:.1f} s",
        ),
        _claim("the logs on disk are whole", not evidence.findings, _few(evidence.findings)),
        _claim("no process failed by itself", not evidence.last_words, _few(evidence.last_words)),
        _resources(evidence),
    ]
    if scenario.members.count:
        claims += _group(evidence)
    for kind in checks.events:
        times = sum(event.event == kind for event in evidence.events)
        claims.append(_claim(f"the nodes told of {kind}", times > 0, f"{times} times"))
    if checks.failed_sends is not None:
        failed = outcomes["fail"] + outcomes["info"]
        claims.append(_claim(f"at most {checks.failed_sends} sends fail", failed <= checks.failed_sends, f"{failed}"))
    return Verdict(
        scenario=scenario.name,
        seed=evidence.seed,
        valid=all(claim.holds for claim in claims),
        claims=claims,
        lost=lost,
        duplicated=doubled,
        reordered=sum(_others(kinds).values()),
        anomalies=dict(sorted(kinds.items())),
        examples=[*gone[: SHOWN // 2], *examples][:SHOWN],
        sent=len(sends),
        acknowledged=outcomes["ok"],
        failed=outcomes["fail"],
        unknown=outcomes["info"],
        read=judged.counts.get("read", 0),
        blows=blows,
        next_ack_worst_ms=max((ack for ack in acks if ack is not None), default=None),
        longest_pause_ms=_longest_pause(sends, evidence.impact_us),
        converge_s=-1.0 if evidence.converge_s is None else round(evidence.converge_s, 2),
        p99_normal_ms=_p99(sends, evidence.steady_us),
        p99_impact_ms=_p99(sends, evidence.impact_us),
        complaints=dict(evidence.complaints),
        directory=evidence.directory,
        cpus=os.cpu_count() or 1,
        load=(round(evidence.load[0], 1), round(evidence.load[1], 1)),
    )


def _claim(name: str, holds: bool, found: str) -> Claim:
    return Claim(name, holds, found)


def _gone(evidence: Evidence) -> list[str]:
    """The acknowledged records that whoever read everything at the end did not get, whoever had read them before."""
    if not evidence.read_everything:
        return []
    there: dict[str, dict[int, str]] = defaultdict(dict)
    for op in evidence.ops:
        if op.kind == "poll" and op.final:
            there[op.key].update(op.read)
    kept = {key: set(read.values()) for key, read in there.items()}
    return [
        f"{op.key}: {op.value} was acknowledged at {op.offset}, where in the end is "
        f"{there[op.key].get(op.offset, 'nothing')}"
        for op in evidence.ops
        if op.kind == "send" and op.outcome == "ok" and op.value not in kept.get(op.key, ())
    ]


def _kept(lost: int, sentences: Sequence[str]) -> Claim:
    found = f"{lost} lost, the first one: {sentences[0]}" if lost else "all are there"
    return _claim("every acknowledged record is kept", not lost, found)


def _worst_first(anomalies: Sequence[Anomaly]) -> list[Anomaly]:
    return sorted(anomalies, key=lambda anomaly: (anomaly.kind not in LOST, anomaly.kind not in DOUBLED))


def _others(kinds: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in kinds.items() if kind not in (*LOST, *DOUBLED)}


def _counts(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _few(sentences: Sequence[str]) -> str:
    rest = f" and {len(sentences) - 3} more" if len(sentences) > 3 else ""
    return "; ".join(sentences[:3]) + rest if sentences else "nothing is wrong"


def _worst(acks: Sequence[float | None]) -> str:
    if not acks:
        return "there was no blow"
    if any(ack is None for ack in acks):
        return f"after {sum(ack is None for ack in acks)} of {len(acks)} blows none came"
    return f"{max(ack for ack in acks if ack is not None):.0f} ms after a blow at worst"


def _group(evidence: Evidence) -> list[Claim]:
    within, took = evidence.scenario.members.settle_s, evidence.group_settled_s
    found = "it did not" if took is None else f"{took:.1f} s"
    return [
        _claim(f"the group is stable within {within:g} s", took is not None and took <= within, found),
        _claim("no partition was held by two members at once", not evidence.shared, _few(evidence.shared)),
        _claim("members read something", any(op.group for op in evidence.ops), "they have committed"),
    ]


def _resources(evidence: Evidence) -> Claim:
    """Descriptors, threads and memory of each node, after healing, against before the faults."""
    found = []
    for node, then in evidence.before.items():
        now = evidence.after.get(node)
        if now is None or now.state == DEAD:
            found.append(f"node {node} does not run")
            continue
        for what, before, after, more in (
            ("descriptors", then.descriptors, now.descriptors, MORE_DESCRIPTORS),
            ("threads", then.threads, now.threads, MORE_THREADS),
            ("bytes of memory", then.memory, now.memory, MORE_BYTES),
        ):
            if before is not None and after is not None and after > before + more:
                found.append(f"node {node} has {after} {what}, {before} before")
    return _claim("nothing leaks", not found, "; ".join(found) or "descriptors, threads and memory are as before")


# --- How long things took -------------------------------------------------------------------------------------------


def _figures(struck: Struck, evidence: Evidence) -> BlowFigures:
    noticed = next((event for event in evidence.events if event.ms >= struck.at_ms and _reaction(event, struck)), None)
    return BlowFigures(
        do=struck.blow.do,
        node=struck.blow.node,
        target=struck.target,
        at_s=round((struck.at_us - evidence.impact_us[0]) / 1e6, 2),
        detected_ms=None if noticed is None else noticed.ms - struck.at_ms,
        next_ack_ms=_next_ack(struck, evidence.ops),
        noticed_as="" if noticed is None else noticed.sentence,
    )


def _reaction(event: Happened, struck: Struck) -> bool:
    """Whether the cluster noticed by this that something is wrong with the node."""
    node, fields = struck.blow.node, event.fields
    if struck.undone_us >= 0 and event.ms > struck.at_ms + (struck.undone_us - struck.at_us) // 1000:
        return False
    match event.event:
        case "BrokerFencedEvent" | "BrokerStoppingEvent" | "LogDamaged":
            return fields.get("broker") == node
        case "PartitionLeaderChanged":
            return fields.get("before") == node
        case "QuorumLeaderResigned" | "ControllerResigned":
            return fields.get("controller") == node
        case "IsrChanged":
            before, isr = fields.get("before"), fields.get("isr")
            return isinstance(before, list) and isinstance(isr, list) and node in before and node not in isr
        case _:
            return False


def _next_ack(struck: Struck, ops: Sequence[Op]) -> float | None:
    """From the blow until a record sent after it was acknowledged, in the last of the partitions that it concerns."""
    first: dict[str, int] = {}
    keys = set(struck.leads)
    for op in ops:
        if op.kind == "send" and op.outcome == "ok" and op.called >= struck.counts_us and (not keys or op.key in keys):
            first[op.key] = min(first.get(op.key, op.done), op.done)
    if not first or (keys and len(first) < len(keys)):
        return None
    return round((max(first.values()) - struck.at_us) / 1000, 1)


def _longest_pause(sends: Sequence[Op], span: tuple[int, int]) -> float:
    """The longest time between two acknowledgements in one partition that overlaps the span; in milliseconds."""
    acks: dict[str, list[int]] = defaultdict(list)
    for op in sends:
        if op.outcome == "ok":
            acks[op.key].append(op.done)
    gaps = [
        later - earlier
        for times in acks.values()
        for earlier, later in pairwise(sorted(times))
        if later >= span[0] and earlier <= span[1]
    ]
    return round(max(gaps, default=0) / 1000, 1)


def _p99(sends: Sequence[Op], span: tuple[int, int]) -> float:
    """Of the times from call to acknowledgement of what was sent in the span; in milliseconds."""
    took = sorted(op.done - op.called for op in sends if op.outcome == "ok" and span[0] <= op.called <= span[1])
    return round(took[min(len(took) - 1, len(took) * 99 // 100)] / 1000, 1) if took else -1.0
