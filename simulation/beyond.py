"""Beyond the budget: more disks are spoilt than the cluster is entitled to survive. Then it must fail loudly.

What is left of the promises:

    SERVED     whatever a consumer reads was sent, to that partition, with exactly these bytes
    REPORTED   if something acknowledged is gone, somebody has said so: a partition has no leader, a log was found
               damaged, a disk was found to be another or an older one, somebody who may lack records was let lead, or
               a node died and said why
    LOUD       a node that cannot go on dies with a sentence (an assertion is one)

Disks that lied, or an older copy of a disk that nobody can tell from itself, cannot be reported: there is nothing to
see. Where there was such a disk it may be the one that has lost something, whatever else was spoilt. Everything else
that checkers know is not asked here, and no convergence is waited for.

What nobody may lead any more waits for a person. So a while after the healing somebody lets whoever is up lead, and
gives up the records that it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..actors.admin_events import UncleanElection
from ..actors.broker_events import BadRecords, LogDamaged, LogQuarantined
from ..actors.events import BrokerRegisteredEvent
from ..actors.kernel import Address, Event
from ..cluster.world import Host, World
from .history import Op
from .moves.spoilt_disks import BitRot, LostWrite, LyingDisk, OlderDisk, WipedDisk
from .oracle import Checker
from .views import images_of

if TYPE_CHECKING:
    from .run import Simulation

LOOK_S = 15.0
"""After the healing the clients go on for so long; then everything that can be read is read for as long again."""

TOLERATED = frozenset(
    (
        "lost-write", "unseen", "duplicate", "inconsistent-offsets", "aborted-read", "nonmonotonic-poll", "poll-skip",
        "int-nonmonotonic-poll", "int-poll-skip", "nonmonotonic-send", "stale-latest", "realtime-order",
        "commit-regress", "commit-unknown",
    )
)  # fmt: skip
"""Anomalies that such damage excuses: all but garbage."""

REPORTS = (BadRecords, LogDamaged, LogQuarantined, UncleanElection)


class BeyondChecker(Checker):
    """Counts what is reported."""

    def __init__(self) -> None:
        self.reports: list[str] = []
        self._known: set[int] = set()  # brokers that were registered before

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        strange = False
        if isinstance(event, BrokerRegisteredEvent):
            strange = event.broker in self._known and "data directory" in event.cause
            self._known.add(event.broker)
        if strange or isinstance(event, REPORTS):
            self.premise("REPORTED")
            self.reports.append(f"{host.name}: {event.sentence()}")


def settle(run: Simulation, checker: BeyondChecker) -> list[str]:
    """Heal, go on for a while, read what can be read, and judge. Returns what went wrong."""
    world = run.world
    run.nemesis.heal()
    for workload in run.workloads.values():
        workload.heal()
    world.run_until(world.now + int(LOOK_S * 1e6))
    if _somebody_leads(run):
        world.run_until(world.now + int(LOOK_S * 1e6))
    for workload in run.workloads.values():
        workload.finish()
    world.run_until(world.now + int(LOOK_S * 1e6))
    for workload in run.workloads.values():
        workload.give_up()
    run.workload.conclude()
    world.run_until(world.now + int(LOOK_S * 1e6))
    dead = [host for host in world.hosts.values() if host.node is None and host.life]  # and has ever been started
    wrong = [f"LOUD: {host.name} died without a word" for host in dead if not host.stopped]
    lost = missing(run.history)
    if lost and _can_be_seen(run):
        checker.premise("LOST")
        leaderless = any(state.leader < 0 for host in world.hosts.values() for _, image in images_of(host)
                         for state in image.partitions.values())  # fmt: skip
        if not (leaderless or dead or checker.reports):
            wrong.append(f"REPORTED: {len(lost)} acknowledged records are gone, as {lost[0]}, and nobody says so")
    return wrong


def _somebody_leads(run: Simulation) -> bool:
    """Ask for unclean elections, where nobody leads: whether that was anywhere."""
    images = [image for host in run.world.hosts.values() for _, image in images_of(host)]
    newest = max(images, key=lambda image: image.end, default=None)
    if newest is None:
        return False
    states = [newest.partitions[partition] for partition in sorted(newest.partitions)]
    led_by_nobody = [state.partition for state in states if state.leader < 0]
    names = [(newest.topics[partition.topic].name, partition.index) for partition in led_by_nobody]
    if names:
        run.workload.let_lead(names)
    return bool(names)


def missing(history: Sequence[Op]) -> list[str]:
    """Acknowledged values that the last reader, who reads everything, has passed and not read.

    That somebody else had read them before does not make them less lost.
    """
    seen = {value for op in history if op.kind == "poll" and op.final for _, value in op.read}
    passed = {
        op.key: max((offset for offset, _ in op.read), default=-1) for op in history if op.kind == "poll" and op.final
    }
    return sorted(
        op.value
        for op in history
        if op.kind == "send" and op.outcome == "ok" and op.safe and op.value not in seen
        and 0 <= op.offset <= passed.get(op.key, -1)
    )  # fmt: skip


def _can_be_seen(run: Simulation) -> bool:
    """Whether there is damage, and all of it is of a kind that leaves a trace."""
    actions = [step.action for step in run.steps]
    unseen = any(isinstance(action, LyingDisk | OlderDisk) for action in actions)
    return not unseen and any(isinstance(action, BitRot | LostWrite | WipedDisk) for action in actions)
