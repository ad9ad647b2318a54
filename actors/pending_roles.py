"""Roles that the metadata have given and a broker has not taken on yet.

One decision may change thousands of partitions: a broker dies and each of its partitions gets another leader, a topic
of a thousand partitions is made. To take on a role costs up to a millisecond (a directory is made, an epoch is
written), and while a broker does that it neither sends heartbeats nor answers anybody. So roles are taken on in
slices, and between two slices whoever has sent something is heard.

A partition whose turn has not come is where it would be if the metadata had come later, which every broker has to cope
with anyway. What is to go comes first, because another topic of that name may want its directory; then the cluster's
own topics, because whole groups wait for their coordinators, and these for their followers; then what is to be led
here, because its producers wait; then the rest. A request that comes for a partition that waits is not put off: its
role is taken on at once (`Broker._settle`), before anything is done for the request.

So within one input a partition has one role, the new one or the old one: what a broker has moved, acknowledged or told
as a leader it has not given up by the end of that input. Whoever has waited here since before (a parked read, which is
answered when something is committed; a coordinator in this node, which writes when it hears of that) is served in the
old role, and told of the new one in its turn.
"""

from __future__ import annotations

from collections.abc import Iterable

from .internal_topics import INTERNAL_TOPICS
from .kernel import Timer
from .messages import Partition
from .metadata import MetadataImage


class RolesTimer(Timer, frozen=True):
    """There are more roles to take on."""


class PendingRoles:
    """The partitions whose role may be another one than this broker has. In a certain order, each once."""

    def __init__(self, me: int, at_once: int) -> None:
        self._me = me
        self._at_once = at_once
        self._gone: dict[Partition, None] = {}
        self._own: dict[Partition, None] = {}  # of the cluster's own topics
        self._led: dict[Partition, None] = {}
        self._rest: dict[Partition, None] = {}
        self._turns = (self._gone, self._own, self._led, self._rest)

    def __bool__(self) -> bool:
        return any(self._turns)

    def add(self, partitions: Iterable[Partition], image: MetadataImage) -> None:
        """The metadata have changed these."""
        for partition in partitions:
            self.settle(partition)
            state = image.partitions.get(partition)
            if state is None or self._me not in state.replicas:
                self._gone[partition] = None
            elif image.topics[partition.topic].name in INTERNAL_TOPICS:
                self._own[partition] = None
            elif state.leader == self._me:
                self._led[partition] = None
            else:
                self._rest[partition] = None

    def settle(self, partition: Partition) -> bool:
        """Take this one out of its turn. Returns whether it waited."""
        for waiting in self._turns:
            if partition in waiting:
                del waiting[partition]
                return True
        return False

    def take(self) -> list[Partition]:
        """The next slice."""
        slice_: list[Partition] = []
        for waiting in self._turns:
            chosen = [partition for partition, _ in zip(waiting, range(self._at_once - len(slice_)), strict=False)]
            for partition in chosen:
                del waiting[partition]
            slice_ += chosen
        return slice_
