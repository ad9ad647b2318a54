"""A follower that its leader cannot reach leaves the in-sync replicas once, and joins again when it is reached."""

from __future__ import annotations

import pytest
from cluster_world import NODES, Cluster, lost

from barnabas.actors.events import IsrChanged
from barnabas.simulation.network import HostileNetwork, NetworkRates


@pytest.mark.parametrize("seed", range(3))
def test_where_too_few_are_in_sync_a_follower_that_is_cut_off_does_not_join_and_leave_by_turns(seed: int) -> None:
    """The scenario partition-bridge: the high watermark stood still, so whoever had reached it was taken back in."""
    cluster = Cluster(seed, min_insync=3).begin()
    cluster.produced(3)
    if cluster.leader() == cluster.active():
        cluster.lead_from(next(name for name in NODES if name != cluster.active()))
    leader, active = cluster.leader(), cluster.active()
    [other] = [name for name in NODES if name not in (leader, active)]
    network = cluster.world.network = HostileNetwork(NetworkRates(stream=False), cluster.world)
    network.cut([(leader, other), (other, leader)], cluster.world.now + 60_000_000)
    cluster.produce(3)
    cluster.until(lambda: len(cluster.isr(leader)) == 2, 20_000)
    before = len(cluster.told(IsrChanged))
    cluster.run(15_000)
    assert (cluster.leader(), cluster.active()) == (leader, active)
    assert len(cluster.told(IsrChanged)) == before
    network.mend()
    cluster.until(cluster.whole, 20_000)
    cluster.produced(3)
    assert not lost(cluster)
