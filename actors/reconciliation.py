"""How one member of a group gets from what it has to what it shall have (KIP-848): revoke before give.

    STABLE ----a new target takes something away----> UNREVOKED --the member says that it has given it up--.
      ^  ^                                                                                                 |
      |  '---------all of the target is its own----------------- (the next epoch is reached) <-------------'
      |                                                               |
      '-----the last one is free------ UNRELEASED <----others still own some of it

A member reaches the epoch of a target once it owns nothing that the target gives to others. Until then it stays in its
member epoch, in which it may still commit what it gives up. What it shall get it gets when nobody owns it any more.

What a member says that it owns is exact: it can own more only by an answer to that same heartbeat or a later one, since
it takes no answer to an earlier one. So what it was assigned and does not list it has never had, or has given up.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from .bugs import bug
from .envelope import Partition
from .group_records import Member, MemberState


def reconcile(
    member: Member,
    target_epoch: int,
    owned: frozenset[Partition] | None,
    confirmed: int,
    free: Callable[[Partition], bool],
) -> Member:
    """The member after its heartbeat. `owned` None: as before, so it has given up nothing.

    `confirmed`: the member epoch that it said. `free` says whether nobody else owns a partition.
    """
    has = (member.assigned | member.revoking) if owned is None else owned
    if member.state is MemberState.UNREVOKED and has & member.revoking and not bug("give-before-revoke"):
        return member
    if member.state is MemberState.STABLE and member.epoch == target_epoch:
        return member
    kept = member.assigned & member.target
    revoking = (member.assigned | member.revoking) - member.target
    if revoking & has and not bug("give-before-revoke"):
        return replace(member, state=MemberState.UNREVOKED, assigned=kept, revoking=revoking & has)
    gained = frozenset(partition for partition in member.target - kept if free(partition))
    return replace(
        member,
        state=MemberState.STABLE if kept | gained == member.target else MemberState.UNRELEASED,
        assigned=kept | gained,
        revoking=frozenset(),
        epoch=target_epoch,
        previous=confirmed if member.epoch != target_epoch else member.previous,
    )
