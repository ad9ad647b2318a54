"""How long a voter waits before it stands.

An election takes two flushes, one after the other, and two messages. Where that is longer than the time after which
somebody stands again, every candidate is overtaken by the next one, and nobody ever leads. So voters give each other
more time after each epoch that nobody won, until it is enough; and they go back to the short time when somebody leads.

When there is no doubt that somebody must stand and nobody is known to (the leader's connection is refused, or the
cluster is new), voters do not wait for a timeout: they ask for pre-votes one after the other, in the order of their
ids, so that votes are not split; and again, after longer and longer times, while they are refused, since the others may
hear of it a moment later. Pre-votes cost no epoch.
"""

from __future__ import annotations

from random import Random

from .raft_config import RaftConfig

STAGGER_MS = 60  # between the voters' turns when the leader's death is known, or the cluster is new
MAX_STEPS = 4  # doublings of the time between two rounds of pre-votes then: up to 0.5 to 1 s
MAX_DOUBLINGS = 2  # of the election timeout: up to 1.2 to 2.4 s


class ElectionPace:
    """One voter's patience. Times are milliseconds."""

    def __init__(self, config: RaftConfig) -> None:
        self._config = config
        self._rounds = 0  # of pre-votes since a leader was heard
        self._led_epoch = 0  # the newest epoch that is known to have had a leader, or the one of the start

    def led(self, epoch: int) -> None:
        """Somebody leads, or led when this voter started."""
        self._led_epoch, self._rounds = epoch, 0

    def asked(self) -> None:
        """A round of pre-votes begins."""
        self._rounds += 1

    def timeout(self, epoch: int, random: Random) -> int:
        """Silence after which to stand: longer the more epochs nobody has won."""
        lost = min(max(0, epoch - self._led_epoch - 1), MAX_DOUBLINGS)
        return random.randint(self._config.election_min_ms, self._config.election_max_ms) << lost

    def turn(self, place: int, random: Random) -> int:
        """When to ask for pre-votes, for the voter whose turn comes after `place` others; then for the next round."""
        if self._rounds == 0:
            return place * STAGGER_MS + random.randint(0, STAGGER_MS // 2)
        step = STAGGER_MS // 2 << min(self._rounds - 1, MAX_STEPS)
        return step + random.randint(0, step)
