"""A quorum on slow disks and slow links elects a leader all the same, and not in hundreds of epochs.

An election takes two flushes, one after the other, and two messages. When the death of a leader was known, voters used
to ask again after 30 to 90 ms whatever became of the election at hand: where one took longer than that, each candidate
overtook the one before, and nobody led for as long as the machines stayed slow. A run of `chaos` on a busy machine
found it: 342 epochs in 31 s.
"""

from __future__ import annotations

import pytest
from raft_world import RaftWorld

from barnabas.cluster.world import Perfect
from barnabas.simulation.views import raft_of

MS = 1000


class Slow(Perfect):
    """Every message takes so long."""

    def __init__(self, us: int) -> None:
        self._us = us

    def delays(self, source: str, target: str, size: int, now: int) -> tuple[int, ...]:
        return (self._us,)


def slow_quorum(seed: int, flush_ms: int, message_ms: int) -> tuple[RaftWorld, str]:
    """Three voters, some records committed, and who leads."""
    quorum = RaftWorld(seed, 3)
    quorum.world.network = Slow(message_ms * MS)
    quorum.world.flush_time = lambda host: flush_ms * MS
    quorum.start()
    assert quorum.world.run_while(lambda: quorum.quorum.true_hw < 20, 20_000 * MS)
    [leader] = [name for name in quorum.names if (raft := raft_of(quorum.world.hosts[name])) and raft.leading]
    return quorum, leader


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("flush_ms", "message_ms"), [(1, 1), (60, 10), (100, 20), (200, 40), (400, 50)])
def test_a_leader_that_died_is_replaced_in_a_few_epochs(seed: int, flush_ms: int, message_ms: int) -> None:
    quorum, leader = slow_quorum(seed, flush_ms, message_ms)
    before = max(quorum.quorum.leaders)
    quorum.world.crash(leader)
    began, goal = quorum.world.now, quorum.quorum.true_hw + 5
    assert quorum.world.run_while(lambda: quorum.quorum.true_hw < goal, 20_000 * MS), "nobody leads"
    assert (quorum.world.now - began) // MS <= 600 + 20 * (flush_ms + message_ms)
    assert max(quorum.quorum.leaders) - before <= 6


def test_a_quorum_whose_elections_were_lost_for_long_does_not_wait_for_long() -> None:
    quorum, leader = slow_quorum(1, 1, 1)
    [other, third] = [name for name in quorum.names if name != leader]
    quorum.world.crash(third)
    quorum.world.crash(leader)
    quorum.world.run_until(quorum.world.now + 60_000 * MS)
    quorum.world.start(third)
    began, goal = quorum.world.now, quorum.quorum.true_hw + 5
    assert quorum.world.run_while(lambda: quorum.quorum.true_hw < goal, 20_000 * MS)
    assert (quorum.world.now - began) // MS <= 1_300, f"{other} waited too long"
