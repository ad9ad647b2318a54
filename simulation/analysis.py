"""Whether a log could have let clients see what they saw (Jepsen's Kafka workload, RELIABILITY 1.6).

Judged from outside, without a look into any broker, from a history alone:

    partition_history     each partition by itself: lost, doubled, invented, out of order, stale
    group_history         what groups have committed, and were told

Each anomaly has a name and a sentence. `barnabas simulate --history FILE` judges the history in a file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from . import group_history, partition_history
from .history import Op


class Anomaly(msgspec.Struct, frozen=True):
    """Something that no log can explain."""

    kind: str
    key: str
    sentence: str


class Verdict(msgspec.Struct, frozen=True):
    """`anomalies` is empty for a clean history. `counts`: how much there was to judge."""

    anomalies: list[Anomaly]
    counts: dict[str, int]


def analyse(ops: Sequence[Op], lease_us: int = 0) -> Verdict:
    """Judge a history. A leader that was replaced and cannot know it yet may tell an end that is `lease_us` old."""
    by_key: dict[str, list[Op]] = defaultdict(list)
    everywhere = [op for op in ops if not op.key]
    for op in ops:
        if op.key:
            by_key[op.key].append(op)
    anomalies: list[Anomaly] = []
    counts: Counter[str] = Counter()
    for key in sorted(by_key):
        of_key = [*by_key[key], *(op for op in everywhere if op.kind == "crash")]
        for judge in (partition_history.judge, group_history.judge):
            found, counted = judge(of_key, lease_us)
            anomalies += [Anomaly(kind, key, f"{key}: {sentence}") for kind, sentence in found]
            counts.update(counted)
    return Verdict(anomalies, dict(counts))
