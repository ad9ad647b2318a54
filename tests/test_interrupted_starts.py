"""A broker that is stopped before it has registered: it has opened no log, and speaks for nobody.

What its next life says to the controllers must be what it would have said itself. Most of all the boot id: it says that
the page cache of the last life that was registered has survived, and a loss of power may lie between the two.
"""

from __future__ import annotations

import pytest
from cluster_world import MS, Cluster

from barnabas.actors.broker import Stop
from barnabas.actors.messages import Envelope, Register
from barnabas.cluster.world import World
from barnabas.storage.checkpoint import RECOVERY_POINTS


class Watched(Cluster):
    """Hears what brokers say of themselves."""

    said: Register | None = None

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        if isinstance(envelope.body, Register):
            self.said = envelope.body

    def stop(self, name: str) -> None:
        """SIGTERM, and wait for the end."""
        self.world.tell(name, "broker", Stop())
        self.until(lambda: self.world.hosts[name].node is None, 20_000)


def broken_off(*, clean: bool = False, power: bool, at_once: bool = False) -> tuple[Watched, str, int]:
    """A broker ends, is started where no controller can be reached, and is stopped again. Who, and its last epoch."""
    cluster = Watched(durability="os").begin()
    cluster.produced(20)
    cluster.run(2_000)
    victim = cluster.followers()[0]
    broker = cluster.broker(victim)
    assert broker is not None
    epoch = broker.broker_epoch
    if clean:
        cluster.stop(victim)
    elif power:
        cluster.world.power_loss(victim)
    else:
        cluster.world.crash(victim)
    if power:
        cluster.machines.reboot(victim)
    for name in {*cluster.machines.names} - {victim}:
        cluster.world.pause(name, 3_000 * MS)
    cluster.world.start(victim)
    if not at_once:
        cluster.run(200)
    cluster.stop(victim)
    cluster.said = None
    return cluster, victim, epoch


def starts_again(cluster: Watched, victim: str) -> Register:
    """What it says of itself when it is started for good."""
    cluster.world.start(victim)
    cluster.until(lambda: cluster.said is not None, 10_000)
    assert cluster.said is not None
    cluster.until(cluster.whole, 20_000)
    return cluster.said


@pytest.mark.parametrize("power", [True, False])
def test_a_life_that_was_never_registered_does_not_vouch_for_the_one_before_it(power: bool) -> None:
    """Seed 97: it had lost power, and its replica led without records that were acknowledged."""
    cluster, victim, _ = broken_off(power=power)
    said = starts_again(cluster, victim)
    assert said.same_boot == (not power)
    assert said.clean_epoch == -1


@pytest.mark.parametrize("power", [True, False])
def test_the_proof_of_a_clean_stop_outlasts_a_start_that_comes_to_nothing(power: bool) -> None:
    cluster, victim, epoch = broken_off(clean=True, power=power)
    said = starts_again(cluster, victim)
    assert (said.same_boot, said.clean_epoch) == (not power, epoch)


def test_who_is_stopped_while_it_reads_its_logs_forgets_no_recovery_point() -> None:
    """Below it damage is damage; without it what has rotted would pass for a torn tail."""
    cluster, victim, _ = broken_off(power=False, at_once=True)
    disk = cluster.disk(victim)
    points = disk.read(RECOVERY_POINTS, 0, disk.size(RECOVERY_POINTS) or 0)
    assert b"orders 0 " in points
    starts_again(cluster, victim)
