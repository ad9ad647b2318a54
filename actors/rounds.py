"""What is done to every replica of a broker in its turn: so many in a second, from the first partition to the last.

What once a second looks at every partition keeps everything else waiting for as long as it takes, and a broker of
thousands of partitions is expected to be idle when they are. With no more partitions than `at_once` a round is a
second, and nothing is different; with more, each gets its turn later.
"""

from __future__ import annotations

from collections.abc import Mapping

from .messages import Partition
from .replica import Replica


class Round:
    """Takes turns. Whoever comes while a round is under way has a turn in the next one, whoever goes has none."""

    def __init__(self, replicas: Mapping[Partition, Replica], at_once: int) -> None:
        self._replicas = replicas
        self._at_once = at_once
        self._left: list[Partition] = []  # in this round, the next one last

    def next(self) -> tuple[list[Replica], bool]:
        """Those whose turn it is, and whether they are the last ones of the round."""
        if not self._left:
            self._left = sorted(self._replicas, reverse=True)
        chosen = self._left[: -self._at_once - 1 : -1]
        del self._left[-self._at_once :]
        return [self._replicas[partition] for partition in chosen if partition in self._replicas], not self._left
