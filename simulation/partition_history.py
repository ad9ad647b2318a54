"""The history of one partition, against what one log could have shown.

    inconsistent-offsets  one offset has two values
    duplicate             one value is at two offsets
    lost-write            acknowledged, passed by readers, and seen by none
    unseen                acknowledged, and not seen although everything was read to the end
    garbage               read, and never sent
    aborted-read          read, although its send had failed for good
    nonmonotonic-poll     a consumer went back           poll-skip   a consumer left something out
    int-...               the same, within one poll
    nonmonotonic-send     a producer's records changed places
    stale-latest          the end that was told lies before a record acknowledged earlier
    realtime-order        acknowledged before the other was sent, and behind it in the log

The order of a partition's records is that of their offsets, in whatever poll or acknowledgement they were seen. Holes
are allowed (transaction markers occupy offsets). A send with an unknown outcome (`info`) counts as written once it is
seen. Sends that are not `safe` may be lost, doubled or change places, and nothing else; those that are not `once` may
be doubled or change places.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence

from .history import Op

Found = list[tuple[str, str]]
"""Anomalies: kind and sentence."""


def judge(ops: Sequence[Op], lease_us: int) -> tuple[Found, Counter[str]]:
    """All anomalies of a partition, in a fixed order, and how much there was to judge."""
    history = _Partition(ops, lease_us)
    return history.judge(), history.counts


class _Partition:
    """What is known of one partition."""

    def __init__(self, ops: Sequence[Op], lease_us: int) -> None:
        self.lease_us = lease_us
        self.sends = [op for op in ops if op.kind == "send"]
        self.reads = [op for op in ops if op.kind in ("poll", "assign", "crash")]
        self.ends = [op for op in ops if op.kind == "latest" and op.outcome == "ok"]
        self.writer = {op.value: op for op in self.sends}
        self.offsets: dict[str, set[int]] = defaultdict(set)  # of each value, wherever it was seen
        self.values: dict[int, set[str]] = defaultdict(set)
        self.seen: set[str] = set()
        for op in self.reads:
            for offset, value in op.read:
                self.offsets[value].add(offset)
                self.values[offset].add(value)
                self.seen.add(value)
        for op in self.sends:
            if op.outcome == "ok" and op.offset >= 0 and op.safe:
                self.offsets[op.value].add(op.offset)
                self.values[op.offset].add(op.value)
        self.order = sorted(self.values)  # offsets that are known to hold something
        self.counts = Counter(
            sends=len(self.sends),
            acknowledged=sum(op.outcome == "ok" and op.safe for op in self.sends),
            polls=sum(op.kind == "poll" for op in self.reads),
            read=len(self.seen),
            latest=len(self.ends),
        )
        self.found: Found = []

    def judge(self) -> Found:
        """All anomalies, in a fixed order."""
        self._places()
        self._lost()
        self._strangers()
        self._polls()
        self._send_order()
        self._real_time()
        return self.found

    def _say(self, kind: str, sentence: str) -> None:
        self.found.append((kind, sentence))

    def _places(self) -> None:
        for offset in self.order:
            if len(self.values[offset]) > 1:
                self._say("inconsistent-offsets", f"offset {offset} has {sorted(self.values[offset])}")
        for value in sorted(self.offsets):
            writer = self.writer.get(value)
            if len(self.offsets[value]) > 1 and (writer is None or (writer.safe and writer.once)):
                self._say("duplicate", f"{value} is at {sorted(self.offsets[value])}")

    def _lost(self) -> None:
        passed = max((offset for op in self.reads for offset, _ in op.read), default=-1)
        finished = any(op.final for op in self.reads)
        for op in self.sends:
            if op.outcome != "ok" or not op.safe or op.value in self.seen:
                continue
            if 0 <= op.offset <= passed:
                self._say("lost-write", f"{op.value} was acknowledged at {op.offset}, readers passed it at {passed}")
            elif finished:
                self._say("unseen", f"{op.value} was acknowledged at {op.offset}, the final reads ended at {passed}")

    def _strangers(self) -> None:
        for value in sorted(self.seen):
            op = self.writer.get(value)
            if op is None:
                self._say("garbage", f"{value} was read at {sorted(self.offsets[value])}, nobody has sent it")
            elif op.outcome == "fail" and op.safe:
                self._say("aborted-read", f"{value} was read at {sorted(self.offsets[value])}, its send had failed")

    def _polls(self) -> None:
        last: dict[str, int] = {}  # process -> index of what it read last
        for op in sorted(self.reads, key=lambda op: (op.done, op.called)):
            if op.kind != "poll":
                last.pop(op.process, None)
                continue
            for place, (offset, value) in enumerate(op.read):
                index = bisect_left(self.order, offset)
                before = last.get(op.process)
                within = "int-" if place else ""
                if before is not None and index <= before:
                    where = f"{value} at {offset} after {self.order[before]}"
                    self._say(f"{within}nonmonotonic-poll", f"{op.process} read {where}")
                elif before is not None and index > before + 1:
                    where = f"{offset} after {self.order[before]}, not {self.order[before + 1 : index][:5]}"
                    self._say(f"{within}poll-skip", f"{op.process} read {where}")
                last[op.process] = index

    def _placed(self, op: Op) -> int:
        """Where a safe send ended up, as far as is known."""
        if op.offset >= 0 and op.outcome == "ok":
            return op.offset
        return min(self.offsets.get(op.value, {-1}))

    def _send_order(self) -> None:
        last: dict[str, tuple[int, str]] = {}
        for op in sorted(self.sends, key=lambda op: op.called):
            place = self._placed(op)
            if not (op.safe and op.once) or place < 0 or op.outcome == "fail":
                continue
            before, value = last.get(op.process, (-1, ""))
            if place <= before:
                self._say("nonmonotonic-send", f"{op.process} sent {op.value} after {value}: {place} after {before}")
            else:
                last[op.process] = (place, op.value)

    def _real_time(self) -> None:
        """What was acknowledged before something began lies before it: one sweep over calls and outcomes."""
        moments: list[tuple[int, int, int]] = []  # time, 0 call or 1 outcome, number: calls first, so ties are free
        things = [op for op in self.sends if op.outcome == "ok" and op.safe and op.offset >= 0] + self.ends
        for number, op in enumerate(things):
            called = op.called - (self.lease_us if op.kind == "latest" else 0)
            moments += [(called, 0, number), (op.done, 1, number)]
        highest = -1
        before: dict[int, int] = {}
        for _, outcome, number in sorted(moments):
            op = things[number]
            if not outcome:
                before[number] = highest
            elif op.offset <= before[number]:
                if op.kind == "latest":
                    what = f"{op.process} was told {op.offset} as the end"
                    self._say("stale-latest", f"{what}, {before[number]} had been acknowledged before")
                else:
                    what = f"{op.value} was sent after {before[number]} was acknowledged"
                    self._say("realtime-order", f"{what}, and is at {op.offset}")
            if outcome and op.kind == "send":
                highest = max(highest, op.offset)
