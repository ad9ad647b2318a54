"""Requests that know more than this broker.

Leadership is pushed to clients too, so in a failover a client may name a leader epoch that has not arrived here yet.
Such a request waits up to 100 ms while the metadata is fetched, and is then served or answered UNKNOWN (D1).
"""

from __future__ import annotations

from .kernel import Address, Context, Timer
from .messages import Consume, DeleteRecords, FindEpochEnds, FindOffsets, Partition, Produce
from .metadata import MetadataImage

WAIT_MS = 100
MAX_WAITING = 1000
"""One more is answered UNKNOWN_LEADER_EPOCH at once."""

Request = Produce | Consume | FindOffsets | FindEpochEnds


class AheadTimer(Timer, frozen=True):
    """A request has waited long enough."""

    number: int


class Ahead:
    """The requests that wait, in the order of their arrival."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Address, Request]] = {}
        self._number = 0

    def park(self, sender: Address, request: Request, image: MetadataImage, ctx: Context) -> bool:
        """Whether the request is ahead of the metadata, and waits now."""
        if len(self._waiting) >= MAX_WAITING or not any(_newer(image, *asked) for asked in asked_for(request)):
            return False
        self._number += 1
        self._waiting[self._number] = (sender, request)
        ctx.set_timer(AheadTimer(self._number), WAIT_MS)
        return True

    def take(self, number: int | None, ctx: Context) -> list[tuple[Address, Request]]:
        """The request whose wait is over, or all of them once the metadata has moved."""
        numbers = list(self._waiting) if number is None else [number]
        taken = []
        for each in numbers:
            parked = self._waiting.pop(each, None)
            if parked is not None:
                ctx.cancel_timer(AheadTimer(each))
                taken.append(parked)
        return taken


def _newer(image: MetadataImage, partition: Partition, epoch: int) -> bool:
    state = image.partitions.get(partition)
    return epoch >= 0 and (state is None or epoch > state.leader_epoch)


def asked_for(request: Request | DeleteRecords) -> list[tuple[Partition, int]]:
    """The partitions that a request names, each with the leader epoch that it expects; -1 for any."""
    match request:
        case Produce():
            return [(batch.partition, batch.leader_epoch) for batch in request.batches]
        case Consume() | DeleteRecords():
            return [(part.partition, part.leader_epoch) for part in request.partitions]
        case FindOffsets() | FindEpochEnds():
            return [(query.partition, query.leader_epoch) for query in request.queries]
