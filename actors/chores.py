"""What an active controller does without being asked: it drains brokers that are to go, and puts leaders back.

Both are bounded, and made of ordinary decisions, one at a time like all others; nothing is remembered but when to look
next, so another controller goes on where this one stopped. Draining is looked after four times a second while there is
any. Leaders are looked after every so often (`leader.imbalance.check.interval.seconds`), a fifth more or less by
chance, so that controllers of many clusters that were started together do not all do it in the same second; what is
out of balance is put back some at a time, a second apart.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from . import broker_configs
from .decisions import Decision, Question
from .decommissions import drain_on, is_draining
from .kernel import Context, Millis, Timer
from .leader_elections import may_return, preferred
from .metadata import MetadataImage
from .metadata_records import MetadataRecord
from .metadata_state import PartitionState

LOOK_MS = 1_000
DRAIN_MS = 250
LEADERS_AT_ONCE = 100
"""Leaders that are put back in one decision: each of them makes some clients look elsewhere."""


class ChoreTimer(Timer, frozen=True):
    """Time to look."""


class Chores:
    """Of one controller, in one epoch."""

    def __init__(self, image: MetadataImage) -> None:
        self._image = image
        self._every_s = 0  # the interval that `_balance_at` was drawn for
        self._balance_at = Millis(0)

    def look(self, ctx: Context) -> list[Question]:
        """What there is to decide now. Sets the timer for the next look."""
        draining = is_draining(self._image)
        ctx.set_timer(ChoreTimer(), DRAIN_MS if draining else LOOK_MS)
        questions = [Question(lambda _: drain_on(self._image), key=("drain",))] if draining else []
        if self._balance_due(ctx):
            questions.append(Question(lambda _: balance(self._image), key=("balance",)))
        return questions

    def _balance_due(self, ctx: Context) -> bool:
        if self._image.broker_config(broker_configs.LEADER_BALANCE) != "true":
            return False
        every_s = int(self._image.broker_config(broker_configs.LEADER_BALANCE_EVERY))
        if every_s != self._every_s:
            self._every_s = every_s
            self._balance_at = _later(ctx.now, every_s, ctx.random)
        if ctx.now < self._balance_at:
            return False
        more = len(out_of_balance(self._image)) > LEADERS_AT_ONCE
        self._balance_at = ctx.now if more else _later(ctx.now, every_s, ctx.random)
        return True


def balance(image: MetadataImage) -> Decision:
    """Make preferred leaders lead where too many do not: some of them."""
    states = out_of_balance(image)[:LEADERS_AT_ONCE]
    records: list[MetadataRecord] = [preferred(image, state) for state in states]
    return Decision(records, "the preferred leader is back: leaders are balanced")


def out_of_balance(image: MetadataImage) -> list[PartitionState]:
    """Partitions of brokers that lead too little of what prefers them, where they could."""
    prefer: Counter[int] = Counter()
    missing: Counter[int] = Counter()
    for state in image.partitions.values():
        prefer[state.replicas[0]] += 1
        missing[state.replicas[0]] += state.leader != state.replicas[0]
    percent = int(image.broker_config(broker_configs.LEADER_IMBALANCE))
    poor = {broker for broker, count in missing.items() if count * 100 > prefer[broker] * percent}
    if not poor:
        return []
    states = (image.partitions[partition] for partition in sorted(image.partitions))
    return [state for state in states if state.replicas[0] in poor and may_return(image, state)]


def _later(now: Millis, every_s: int, random: Random) -> Millis:
    return Millis(now + every_s * random.randint(800, 1_200))
