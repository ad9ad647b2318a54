"""What a consumer does for its group, without the waiting: handling rebalances, committing.

The shells call `_come` first whenever the application comes for records, then handle each `_next_rebalance`: call or
await its callback, and say `_rebalanced`, whatever the callback did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from ..actors.client_commands import CommitPositions, LookUpCommitted, Polled, Release, Took
from .arrivals import Arrivals, ConsumerRecord, TopicPartition
from .core import ClientCore, Question
from .group_part import Change, GroupArrivals, GroupPart, Rebalance, RebalanceCallback

CLOSE_TIMEOUT = 5.0
"""Seconds that a consumer in a group takes for its last commit and for leaving, if nobody answers."""


class GroupSide(ClientCore):
    """The half of a consumer's core that is about its group. All of it does nothing without one."""

    _arrivals: Arrivals
    _group: GroupPart | None  # None: no group
    _ready: deque[ConsumerRecord]

    def _at(self, place: TopicPartition) -> int:
        raise NotImplementedError

    # --- Coming for records ---

    def _come(self) -> None:
        """The application comes for records: what it was given before, it has done."""
        group = self._group
        if group is None or group.handling:
            return
        if group.polled():
            self._runtime.tell(Polled())
        if group.commit_is_due():
            self._commit_silently()

    def _commit_silently(self) -> None:
        group = self._group
        assert group is not None, "who commits has a group"
        positions = {at: offset for at, offset in self._positions().items() if group.committed.get(at) != offset}
        if positions:
            group.committed.update(positions)
            self._runtime.tell(CommitPositions(None, _told(positions), int(CLOSE_TIMEOUT * 1000)))

    def _positions(self) -> dict[TopicPartition, int]:
        """Of all that is read: the offset of the next record that the application gets, where that is known."""
        with self._arrivals.changed:
            positions = {at: self._at(at) for at in sorted(self._arrivals.places)}
        return {at: offset for at, offset in positions.items() if offset >= 0}

    # --- Rebalances ---

    def _rebalancing(self) -> bool:
        """Whether a rebalance waits to be handled, so that no more records may be given."""
        arrivals = self._arrivals
        return isinstance(arrivals, GroupArrivals) and bool(arrivals.rebalances)

    def _suspended(self) -> bool:
        """Whether no records may be given until the coordinator has answered."""
        arrivals = self._arrivals
        return isinstance(arrivals, GroupArrivals) and arrivals.suspended

    def _next_rebalance(self) -> tuple[Rebalance, RebalanceCallback | None] | None:
        """What to handle now, and whom to call; then say `_rebalanced`. None: nothing, or it is being handled."""
        group, arrivals = self._group, self._arrivals
        if group is None or group.handling or not isinstance(arrivals, GroupArrivals) or not arrivals.rebalances:
            return None
        rebalance = arrivals.rebalances[0]
        if rebalance.change is Change.ASSIGNED:
            with arrivals.changed:
                arrivals.install(rebalance)
        elif rebalance.change is Change.LOST:
            self._drop(rebalance)
        group.handling = True
        return rebalance, group.callbacks[rebalance.change]

    def _rebalanced(self, rebalance: Rebalance) -> None:
        """The callback has ended."""
        group, arrivals = self._group, self._arrivals
        assert group is not None, "a rebalance is of a group"
        assert isinstance(arrivals, GroupArrivals), "a group has its own outlet"
        group.handling = False
        if rebalance.change is Change.REVOKED:
            positions = self._positions() if group.auto_commit else {}
            offsets: dict[tuple[str, int], int] = {at: positions[at] for at in rebalance.places if at in positions}
            self._drop(rebalance)
            self._runtime.tell(Release(list(rebalance.places), offsets))
        with arrivals.changed:
            arrivals.rebalances.popleft()
            arrivals.tell()

    def _drop(self, rebalance: Rebalance) -> None:
        """These partitions are not read here any more."""
        arrivals, group = self._arrivals, self._group
        assert group is not None, "a rebalance is of a group"
        places = set(rebalance.places)
        with arrivals.changed:
            if arrivals.at_hand in places:
                self._ready.clear()
                arrivals.at_hand = None
            old = [chunk for chunk in arrivals.chunks if (chunk.topic, chunk.partition) in places]
            for chunk in old:
                arrivals.chunks.remove(chunk)
            for at in rebalance.places:
                arrivals.places.pop(at, None)
                group.committed.pop(at, None)
        freed = sum(chunk.size for chunk in old)
        if freed:
            self._runtime.tell(Took(freed))

    # --- Commits ---

    def _commit(self, offsets: Mapping[tuple[str, int], int] | None, timeout: float) -> Question[None]:
        group = self._in_group()
        wanted = self._positions() if offsets is None else {TopicPartition(*at): o for at, o in offsets.items()}
        for at, offset in wanted.items():
            if offset < 0:
                raise ValueError(f"the offset of {at.topic}-{at.partition} is 0 or more, not {offset}")
        group.committed.update(wanted)
        told = _told(wanted)
        return self._ask(lambda reply: CommitPositions(reply, told, int(timeout * 1000)), timeout, _nothing)

    def _committed(
        self, partitions: Sequence[tuple[str, int]], timeout: float
    ) -> Question[dict[TopicPartition, int | None]]:
        self._in_group()
        return self._ask(lambda reply: LookUpCommitted(reply, list(partitions), int(timeout * 1000)), timeout, _offsets)

    def _in_group(self) -> GroupPart:
        self._guard.check()
        if self._group is None:
            raise ValueError("this consumer is in no group: give it one (group=...) to commit offsets")
        return self._group


def _told(positions: Mapping[TopicPartition, int]) -> dict[tuple[str, int], tuple[int, str]]:
    return {at: (offset, "") for at, offset in positions.items()}


def _nothing(answer: object) -> None:
    """There is nothing to tell but that it was done."""


def _offsets(answer: object) -> dict[TopicPartition, int | None]:
    assert isinstance(answer, dict), "who looks up gets offsets"
    return {TopicPartition(*at): offset if offset >= 0 else None for at, (offset, _) in answer.items()}
