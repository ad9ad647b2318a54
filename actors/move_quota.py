"""How much a broker fetches for partitions that are moving to it, so that a move leaves room for the cluster's work.

A bucket is filled at the rate of `follower.replication.throttled.rate` and emptied by what arrives for a replica that
is being added; who overdraws it rests until it is filled again. Replicas that are in sync are never slowed down, since
producers wait for those: a move ends at full speed. A rate below what is written to a partition never lets it catch up.
"""

from __future__ import annotations

from collections.abc import Callable

from .broker_configs import MOVE_RATE
from .kernel import Millis
from .messages import Partition
from .metadata import MetadataImage
from .topic_configs import LONG_MAX

BURST_MS = 1_000
"""What a bucket holds at most: a resting replica is looked at a few times a second only."""


class MoveQuota:
    """Of one broker."""

    def __init__(self, me: int, image: Callable[[], MetadataImage]) -> None:
        self._me = me
        self._image = image
        self._level = 0  # bytes, in thousandths
        self._filled_at = Millis(0)

    def rest_ms(self, partition: Partition, size: int, now: Millis) -> int:
        """So many bytes have arrived for a partition: how long it must rest."""
        state = self._image().partitions.get(partition)
        if state is None or self._me not in state.adding or self._me in state.isr:
            return 0
        rate = int(self._image().broker_config(MOVE_RATE, self._me))
        if rate == LONG_MAX:
            return 0
        passed = min(BURST_MS, now - self._filled_at)
        self._filled_at = now
        self._level = min(rate * BURST_MS, self._level + rate * passed) - size * 1_000
        return max(0, -self._level // rate)
