"""Who leads a partition, who is in sync, and who could lead after all: the arithmetic of KIP-966.

While the ISR has at least min.insync.replicas members, it alone is where committed records are. Below that the high
watermark stands still (D10), so whoever leaves the ISR then still holds every committed record: it is remembered as
an *eligible leader replica*. The ISR may become empty; then nobody leads, and the first eligible one that is back and
proves itself leads, without loss; those for whom only their disks vouch are weighed against each other (`claims`). ISR
and ELR together never fall below min.insync but by members who cannot prove their disks; those go to `last_known_elr`,
for people: no election here is ever unclean.

A partition may be made with fewer in sync than min.insync, if not all of its brokers are up. Until the others have
come nothing can be committed there, and it is *pristine*: if all who have a place lose their disks, any replica leads.
While one of them may come back it is waited for, since it may have records that were acknowledged to acks=1.

Each function takes an image and answers with the records of one decision; nothing changes. Several brokers that fall
at once leave one after the other, in the order given, folded into one record per partition: the outcome is that of
separate decisions (R14, KAFKA-13173). The leader epoch rises when the leader changes, when a replica is taken away, and
when the log of one is found damaged: what comes in its place must prove itself anew (KIP-966; a proposal of the leader
alone never raises it, D11).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from .bugs import bug
from .claims import choose_eligible, kept
from .messages import Partition, RecoveredReplica
from .metadata import MetadataImage
from .metadata_records import PartitionChanged
from .metadata_state import Claim, PartitionState
from .moves import arrived

Eligible = Callable[[int], bool]


class Restart(msgspec.Struct, frozen=True):
    """What a new incarnation of a broker can prove about its disk (D3)."""

    same_directory: bool  # the directory id of the last registration
    same_boot: bool  # the machine's page cache survived
    clean: bool  # the marker of a clean stop names the last broker epoch
    recovered: dict[Partition, RecoveredReplica]

    def proves(self, partition: Partition, durability: str) -> bool:
        """Whether the replica still holds all that was committed while it had a place.

        A partition that was not found on the disk counts as an empty one: with `fsync` nothing was committed there.
        """
        found = self.recovered.get(partition)
        if not self.same_directory or (found is not None and found.damaged):
            return bug("unproved-keeps-place")
        on_disk = durability == "fsync" and (found is None or found.durable)
        return on_disk or self.clean or self.same_boot or bug("unproved-keeps-place")

    def claim(self, broker: int, partition: Partition) -> Claim | None:
        """What the replica says if only its disk vouches for it; None if it proves itself."""
        found = self.recovered.get(partition)
        uncut = found is None or not found.cut or bug("corruption-is-a-torn-tail")
        if ((self.clean or self.same_boot) and uncut) or bug("unproved-keeps-place"):
            return None
        return Claim(broker, -1, 0) if found is None else Claim(broker, found.epoch, found.end)


def choose_leader(state: PartitionState, eligible: Eligible, min_insync: int) -> int:
    """The present leader if it may stay; else the first replica in sync; else one of the ELR (`claims`); else -1.

    In a pristine partition of which nobody is left with a place, the first replica.
    """
    if state.leader in state.isr and eligible(state.leader):
        return state.leader
    for replica in state.replicas:
        if replica in state.isr and eligible(replica):
            return replica
    if state.pristine and not state.isr and not state.elr:
        return next(filter(eligible, state.replicas), -1)
    return choose_eligible(state, eligible, min_insync)


def leave(state: PartitionState, broker: int, min_insync: int, *, proved: bool = True) -> PartitionState:
    """The broker leaves the ISR. If too few stay it goes to the ELR, or, unproved, out of both."""
    isr = _without(state.isr, broker)
    elr = _without(state.elr, broker)
    had_place = broker in state.isr or broker in state.elr
    if len(isr) >= min_insync:
        return replace(state, isr=isr, elr=(), last_known_elr=())
    if not had_place:
        return state
    last_known = _without(state.last_known_elr, broker)
    if proved:
        return replace(state, isr=isr, elr=_ordered(state, (*elr, broker)), last_known_elr=last_known)
    return replace(state, isr=isr, elr=elr, last_known_elr=(*last_known, broker)[-min_insync:])


def settle(
    before: PartitionState, after: PartitionState, eligible: Eligible, min_insync: int, *, anew: bool = False
) -> PartitionChanged | None:
    """Elect for the changed members, and say the change as a record; None if there is none.

    `anew`: the leader epoch rises in any case, so that everybody proves again what it has.
    """
    leader = choose_leader(after, eligible, min_insync)
    isr, elr, last_known = after.isr, after.elr, after.last_known_elr
    if leader != -1 and leader not in isr:
        isr, elr = _ordered(after, (*isr, leader)), _without(elr, leader)
        last_known = _without(last_known, leader)
    if len(isr) >= min_insync:
        elr, last_known = (), ()
    claims = kept(after.claims, elr)
    pristine = after.pristine and len(isr) < min_insync
    last_known = last_known[-min_insync:]
    settled = replace(
        after, leader=leader, isr=isr, elr=elr, last_known_elr=last_known, claims=claims, pristine=pristine
    )
    if settled == before and not anew:
        return None
    gone = any(replica not in after.replicas for replica in before.replicas)
    return PartitionChanged(
        partition=before.partition,
        leader=leader,
        leader_epoch=before.leader_epoch + (leader != before.leader or gone or anew),
        partition_epoch=before.partition_epoch + 1,
        isr=list(isr),
        elr=list(elr),
        last_known_elr=list(last_known),
        replicas=list(after.replicas) if after.replicas != before.replicas else [],
        target=list(after.target),
        adding=list(after.adding),
        claims=[claim for claim in claims if claim not in before.claims],
    )


def fence_changes(image: MetadataImage, brokers: Sequence[int]) -> list[PartitionChanged]:
    """These brokers are fenced, in this order: they leave every ISR and lead nothing."""
    fenced = set(brokers)
    changes = []
    for before in hosted(image, fenced):
        min_insync = image.min_insync(before)
        after = before
        for broker in brokers:
            if broker in after.isr:
                after = leave(after, broker, min_insync)
        out = set(brokers[:1]) if len(brokers) > 1 and bug("expire-one-by-one") else fenced
        changes.append(settle(before, after, _others(image, before, out), min_insync))
    return [change for change in changes if change is not None]


def registration_changes(image: MetadataImage, broker: int, restart: Restart) -> list[PartitionChanged]:
    """A new incarnation registers. It is fenced until its first heartbeat, so it leaves every ISR; where its disk
    proves nothing it leaves the ELR too. What it led gets another leader or none: a new leader epoch in any case.
    """
    changes = []
    for before in hosted(image, {broker}):
        min_insync = image.min_insync(before)
        proved = restart.proves(before.partition, image.configs(before.partition.topic).durability)
        after = before
        if broker in before.isr or not proved:
            after = leave(before, broker, min_insync, proved=proved)
        claim = restart.claim(broker, before.partition)
        if claim is not None:
            after = replace(after, claims=(*after.claims, claim))
        change = settle(before, after, _others(image, before, {broker}), min_insync)
        assert before.leader != broker or (change is not None and change.leader_epoch > before.leader_epoch)
        changes.append(change)
    return [change for change in changes if change is not None]


def damage_change(
    image: MetadataImage, broker: int, partition: Partition, leader_epoch: int
) -> PartitionChanged | None:
    """A broker found its log damaged: it has no place there until it has fetched it anew, and proves that anew.

    The leader epoch rises even if nothing else changes. What the leader knows of that broker is what its old log had:
    it would take the new one back for it before that has anything, and so might a proposal that is on its way. A
    report from before an epoch began is ignored: if it still matters, it comes again.
    """
    before = image.partitions.get(partition)
    if before is None or broker not in before.replicas or before.leader_epoch != leader_epoch:
        return None
    min_insync = image.min_insync(before)
    after = leave(before, broker, min_insync, proved=False)
    return settle(before, after, _others(image, before, {broker}), min_insync, anew=True)


def unfence_changes(image: MetadataImage, broker: int) -> list[PartitionChanged]:
    """A broker is back: it leads what nobody leads, if it is eligible there."""
    if image.brokers[broker].stopping:
        return []
    leaderless = [state for state in hosted(image, {broker}) if state.leader == -1]
    changes = [
        settle(before, before, lambda b: b == broker or image.may_lead(b), image.min_insync(before))
        for before in leaderless
    ]
    return [change for change in changes if change is not None]


def stop_changes(image: MetadataImage, broker: int) -> list[PartitionChanged]:
    """A broker wants to stop: it hands over what it leads and leaves every ISR (KIP-841).

    A leader without an heir waits while there is one to come: a replica that is up and catching up. Without that (one
    replica, or all others down or stopping too) waiting would not help: it goes to the ELR, nobody leads, and it leads
    again when it is back. So stopping never loses a record, and a rolling restart never loses a leader.
    """
    changes = []
    for before in hosted(image, {broker}):
        if broker not in before.isr:
            continue
        eligible = _others(image, before, {broker})
        heir = choose_leader(before, eligible, image.min_insync(before))
        if before.leader == broker and heir == -1 and any(eligible(replica) for replica in before.replicas):
            continue
        min_insync = image.min_insync(before)
        changes.append(settle(before, leave(before, broker, min_insync), eligible, min_insync))
    return [change for change in changes if change is not None]


def isr_change(image: MetadataImage, before: PartitionState, isr: Sequence[int]) -> PartitionChanged | None:
    """The leader's proposal, already checked: who leaves goes to the ELR if too few stay. It may end a move."""
    min_insync = image.min_insync(before)
    members = _ordered(before, isr)
    left = [replica for replica in before.isr if replica not in members]
    after = replace(
        before,
        isr=members,
        elr=_ordered(before, [b for b in (*before.elr, *left) if b not in members]),
        last_known_elr=tuple(b for b in before.last_known_elr if b not in members),
    )
    eligible = _others(image, before, set())
    moved = arrived(after)
    if moved.moving != after.moving and choose_leader(moved, eligible, image.min_insync(moved)) != -1:
        after, min_insync = moved, image.min_insync(moved)
    return settle(before, after, eligible, min_insync)


def _others(image: MetadataImage, state: PartitionState, gone: set[int]) -> Eligible:
    """Who may lead when these are gone. A leader that is stopping stays until its heir has come."""
    return lambda broker: broker not in gone and (broker == state.leader or image.may_lead(broker))


def hosted(image: MetadataImage, brokers: set[int]) -> list[PartitionState]:
    """The partitions that have a replica on one of these brokers, in order."""
    found = [state for state in image.partitions.values() if not brokers.isdisjoint(state.replicas)]
    return sorted(found, key=lambda state: state.partition)


def leads(image: MetadataImage, broker: int) -> int:
    """How many partitions a broker leads."""
    return sum(state.leader == broker for state in image.partitions.values())


def _without(members: Sequence[int], broker: int) -> tuple[int, ...]:
    return tuple(member for member in members if member != broker)


def _ordered(state: PartitionState, members: Sequence[int]) -> tuple[int, ...]:
    """In the order of the replicas, which is the order of preference."""
    return tuple(replica for replica in state.replicas if replica in members)
