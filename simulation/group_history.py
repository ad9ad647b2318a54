"""What a group has committed for one partition, and what it was told: a register that only its members write.

    commit-regress    it was told less than had been committed before it asked, and nobody had committed less since
    commit-unknown    it was told what nobody has committed

A coordinator that was replaced and cannot know it yet may tell what was committed a lease ago. A commit whose outcome
is unknown may have happened or not, at any time after its call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .history import Op
from .partition_history import Found


def judge(ops: Sequence[Op], lease_us: int) -> tuple[Found, Counter[str]]:
    """All anomalies of a partition's groups, and how much there was to judge."""
    found: Found = []
    counts: Counter[str] = Counter()
    for group in sorted({op.group for op in ops if op.kind in ("commit", "committed")}):
        commits = [op for op in ops if op.kind == "commit" and op.group == group and op.outcome != "fail"]
        answers = [op for op in ops if op.kind == "committed" and op.group == group and op.outcome == "ok"]
        counts.update(commits=len(commits), committed=len(answers))
        for answer in answers:
            found += _told(group, answer, commits, lease_us)
    return found, counts


def _told(group: str, answer: Op, commits: Sequence[Op], lease_us: int) -> Found:
    """An answer is right if its commit may have been the newest at some moment between question and answer."""
    over = [op for op in commits if op.outcome == "ok" and op.done < answer.called - lease_us]
    newest = max((op.called for op in over), default=-1)
    what = f"{answer.process} was told {answer.offset} for group {group}"
    if answer.offset < 0:
        return [("commit-regress", f"{what}, {over[-1].offset} had been committed")] if over else []
    same = [op for op in commits if op.offset == answer.offset and op.called <= answer.done]
    if not same:
        return [("commit-unknown", f"{what}, which nobody had committed")]
    if all(op.outcome == "ok" and op.done < newest for op in same):  # each was over when another one began
        last = max(over, key=lambda op: op.called)
        return [("commit-regress", f"{what}, {last.offset} had been committed since")]
    return []
