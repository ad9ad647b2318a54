"""Whose word counts when nobody is left who has never stopped: elections after a loss of power.

A member of the ELR holds every committed record, if its disk does what disks promise. One that never stopped, stopped
cleanly, or died while its machine lived, proves it: the page cache is what it was. After a loss of power there is only
the disk's word, and a disk may have said that bytes are durable that were not, or have let one rot where nobody can
tell rot from a torn tail: then the log ends early, and looks whole. Such a member makes a *claim*: the epoch of its
last record and its end.

Fewer than min.insync.replicas may be wrong like that; what is committed was on that many. So claimants lead only where
enough of them are back, and then the one with the longest log, by epoch first (as Raft compares logs, §5.4.1): it holds
what any of them holds that was committed, and one of them is right. Whoever could not prove itself at all stands in
`last_known_elr` and is one of the wrong ones already. Whoever needs no claim leads at once.

A log whose records have all been deleted still says in which epoch it came to its end: its checkpoint of epochs knows.
Where even that is unknown (a copy that began anew and has got nothing yet) the end alone speaks: records are deleted
only once they are committed, so who ends below the beginning of such a log lacks what was committed.

The price: where as many as min.insync of the eligible are not coming back, the partition waits for a person. Writes
would be refused there anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .bugs import bug
from .metadata_state import Claim, PartitionState


def choose_eligible(state: PartitionState, eligible: Callable[[int], bool], min_insync: int) -> int:
    """The member of the ELR that may lead, -1 if none may yet."""
    claims = {claim.broker: claim for claim in state.claims}
    members = [replica for replica in state.replicas if replica in state.elr]
    for member in members:
        if member not in claims and eligible(member):
            return member
    able = [claims[member] for member in members if member in claims and eligible(member)]
    if not able:
        return -1
    begun = max((claims[member].end for member in members if member in claims and claims[member].epoch < 0), default=0)
    best = max(able, key=lambda claim: _log(claim, begun))
    most = _log(best, begun)
    witnesses = sum(_log(claims[member], begun) <= most for member in members if member in claims)
    enough = witnesses >= _needed(state, min_insync) or bug("first-back-leads")
    return best.broker if enough else -1


def _needed(state: PartitionState, min_insync: int) -> int:
    """So many claims that one of them is right."""
    return max(1, min(min_insync - len(state.last_known_elr), len(state.elr)))


def _log(claim: Claim, begun: int) -> tuple[int, int]:
    """How logs are compared, where an empty one begins, and ends, at `begun`."""
    return (claim.epoch if claim.end >= begun else -2), claim.end


def kept(claims: Sequence[Claim], elr: Sequence[int]) -> tuple[Claim, ...]:
    """Claims are of members of the ELR only, each one's newest."""
    newest = {claim.broker: claim for claim in claims if claim.broker in elr}
    return tuple(newest[broker] for broker in sorted(newest))
