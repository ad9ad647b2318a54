"""Where the coordinator of a group is, as a client knows it.

Whoever leads the partition that keeps a group's state coordinates the group, so a client that follows the leadership
digest knows a new coordinator as soon as its election is committed. `FindCoordinator` is only for the first time in the
life of a cluster, when there is no such topic yet: being asked, a broker has it made.

The owner asks `route` before each request, and calls `lost` when there is none or the answer was NOT_COORDINATOR. It
passes on `CoordinatorsFound`, and looks at `concerns` when leaderships have moved.
"""

from __future__ import annotations

from collections.abc import Sequence

from .coordinator_messages import CoordinatorKind
from .errors import ErrorCode
from .internal_topics import GROUP_OFFSETS, internal_topic, partition_of
from .kernel import Address, Context, Millis, address, node_of
from .leadership import Leaderships, Route
from .messages import CoordinatorsFound, FindCoordinator, Partition

FIND_AGAIN_MS = 1_500
"""A question waits at the broker for a second at most; then another one is asked."""


class CoordinatorLink:
    """One group's coordinator. `leaderships` are the owner's, which starts and feeds them."""

    def __init__(self, group: str, leaderships: Leaderships) -> None:
        self.group = group
        self._leaderships = leaderships
        self._place: Route | None = None  # as told, while the topic is not known; None: not told
        self._asked = 0  # the id of the question that is out; 0: none
        self._asked_at = Millis(0)

    def start(self, ctx: Context) -> None:
        """Get to know the topic that groups are kept in."""
        self._leaderships.want(GROUP_OFFSETS, ctx)

    @property
    def partition(self) -> Partition | None:
        """The partition that keeps the group's state; None while that is not known."""
        known = self._leaderships.topics.get(GROUP_OFFSETS)
        return None if known is None else Partition(known.id, partition_of(self.group, known.partitions))

    def route(self) -> Route | None:
        """Where to send what is meant for the group, and the leader epoch to name; None while nobody is known."""
        partition = self.partition
        if partition is None:
            return self._place
        leader = self._leaderships.route(partition)
        return None if leader is None else Route(_coordinator_at(node_of(leader.to)), leader.epoch)

    def concerns(self, moved: Sequence[Partition]) -> bool:
        """Whether the coordinator may be another one now."""
        return self.partition in moved

    def lost(self, ctx: Context) -> None:
        """Nobody is known, or who was known is not it: find out. Ask `route` again soon."""
        if self.partition is not None:
            self._leaderships.refresh(ctx)
            return
        self._place = None
        if self._asked and ctx.now - self._asked_at < FIND_AGAIN_MS:
            return
        self._asked, self._asked_at = ctx.random.getrandbits(40) | 1, ctx.now
        ctx.send(self._leaderships.any_broker(), FindCoordinator(self._asked, CoordinatorKind.GROUP, [self.group]))

    def on_found(self, message: CoordinatorsFound, ctx: Context) -> bool:
        """An answer: whether there is a route now that was not there before."""
        if message.id != self._asked:
            return False
        self._asked = 0
        self._leaderships.want(GROUP_OFFSETS, ctx)  # it exists now: follow it
        place = message.places[0] if message.places else None
        if place is None or place.error is not ErrorCode.NONE:
            return False
        self._place = Route(_coordinator_at(place.endpoint), place.leader_epoch)
        return True


def _coordinator_at(node: str) -> Address:
    topic = internal_topic(GROUP_OFFSETS)
    assert topic is not None, "it is one of ours"
    return address(node, topic.actor)
