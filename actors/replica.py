"""One broker's copy of one partition, and the leader's rules for who is in sync.

A replica follows (`Copying`), leads (`PartitionLeading`), or waits for the controller to name a leader. Its leader
epoch only ever comes from committed metadata.

The rules of a leader (RELIABILITY D9-D11):

* The high watermark is the smallest counted end over the *maximal* in-sync set: the committed members and those of a
  proposal that is not answered yet, since either may be what the controller has. It never goes back, and stands still
  while fewer than min.insync members are in sync (KAFKA-15583).
* A member counts only with what it has proven in this leader epoch, in its present life (KIP-320).
* A follower joins once it has reached both the high watermark and the start of this leader epoch (KAFKA-7128), and
  leaves when it has not been caught up for the replica lag time. Who would have to leave at once does not join: where
  too few are in sync the high watermark stands still, so it is no sign of life to have reached it.
* One proposal at a time, as a compare-and-set on the partition epoch; committed metadata with a higher partition epoch
  ends it (KAFKA-12686).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..storage.disk import Generation
from ..storage.log import Log
from .bugs import bug
from .copying import Copying
from .kernel import Millis
from .leading import Leading
from .messages import IsrChange, Partition
from .metadata_state import PartitionState


class PartitionLeading(Leading):
    """A leader's term in one partition."""

    def __init__(self, me: int, log: Log, state: PartitionState, min_insync: int, now: Millis) -> None:
        super().__init__(log, state.leader_epoch, now)
        self.me = me
        self.partition = state.partition
        self.min_insync = min_insync
        self.isr: tuple[int, ...] = state.isr
        self.partition_epoch = state.partition_epoch
        self.proposal: IsrChange | None = None  # in flight, or waiting to be sent
        self.held = False  # what was committed could not be told when it was: too few in sync, or no lease

    @property
    def maximal_isr(self) -> tuple[int, ...]:
        """Everybody who may be in sync as far as the controller is concerned."""
        if self.proposal is None or bug("hw-ignores-proposal"):
            return self.isr
        return tuple(sorted({*self.isr, *(member for member, _ in self.proposal.isr)}))

    @property
    def enough(self) -> bool:
        """Whether as many are in sync as acks=all demands."""
        return len(self.isr) >= self.min_insync

    def own_end(self) -> int:
        """What this leader itself counts for."""
        return self.log.durable_end

    def high_watermark(self, present: int) -> int:
        """The high watermark after what is known now; never below `present`."""
        if len(self.isr) < self.min_insync and not bug("hw-below-min-insync"):
            return present
        low = -1
        members = self.isr if self.proposal is None else self.maximal_isr
        for member in {*members, *self.followers} if bug("hw-waits-for-all") else members:
            end = self.own_end() if member == self.me else self.counted(member)
            if end <= present:
                return present
            low = end if low < 0 else min(low, end)
        return max(present, low)

    def commit(self, isr: Sequence[int], partition_epoch: int, min_insync: int) -> bool:
        """Committed metadata says who is in sync. Returns whether that is news."""
        self.min_insync = min_insync
        if partition_epoch <= self.partition_epoch:
            return False
        self.isr, self.partition_epoch = tuple(isr), partition_epoch
        self.proposal = None
        return True

    def propose_join(
        self, replica: int, hw: int, epochs: Callable[[int], int | None], now: Millis, lag_ms: int
    ) -> IsrChange | None:
        """Propose to take in a follower that has caught up. `epochs` tells the broker epoch of an eligible broker."""
        if self.proposal is not None or replica in self.isr:
            return None
        progress = self.followers.get(replica)
        if progress is None or progress.broker_epoch != epochs(replica):
            return None
        position = self.counted(replica)
        if position < hw or (position < self.start and not bug("join-below-epoch-start")):
            return None
        if self._behind_ms(replica, now) > lag_ms:
            return None
        return self._propose((*self.isr, replica), epochs)

    def propose_leave(self, now: Millis, lag_ms: int, epochs: Callable[[int], int | None]) -> IsrChange | None:
        """Propose to leave out the members that have not been caught up for `lag_ms`."""
        if self.proposal is not None:
            return None
        slow = [
            member
            for member in self.isr
            if member != self.me and (member in self.suspects or self._behind_ms(member, now) > lag_ms)
        ]
        self.suspects.difference_update(slow)
        if not slow:
            return None
        return self._propose(tuple(member for member in self.isr if member not in slow), epochs)

    def _behind_ms(self, member: int, now: Millis) -> int:
        progress = self.followers.get(member)
        if progress is None:
            return now - self.since
        if self.counted(member) >= self.log.end:
            return 0
        return now - max(progress.caught_up_at, self.since)

    def _propose(self, members: Sequence[int], epochs: Callable[[int], int | None]) -> IsrChange | None:
        isr = []
        for member in sorted(members):
            progress = self.followers.get(member)
            epoch = progress.broker_epoch if progress is not None else epochs(member)
            if member == self.me or epoch is None:
                epoch = epochs(member)
            isr.append((member, -1 if epoch is None else epoch))
        self.proposal = IsrChange(self.partition, self.epoch, self.partition_epoch, isr)
        return self.proposal


class Replica:
    """A copy of a partition. `log` is there from the moment it is opened until it is deleted or quarantined."""

    def __init__(self, partition: Partition, topic: str, log: Log, hw: int, min_insync: int, max_bytes: int) -> None:
        self.partition = partition
        self.topic = topic
        self.log = log
        self._hw = min(max(hw, log.start), log.end)
        self.min_insync = min_insync
        self.max_message_bytes = max_bytes
        self.leader = -1
        self.leader_epoch = -1
        self.leading: PartitionLeading | None = None  # the term, if this broker leads
        self.copying: Copying | None = None  # the copy, if it follows
        self.damaged = ""  # why this replica must not be used any more, or empty
        self.bytes_out = 0  # given to consumers by this life
        self.records_out = 0  # the same in offsets

    @property
    def hw(self) -> int:
        """The high watermark as this broker knows it."""
        return self._hw if self.copying is None else self.copying.hw

    @hw.setter
    def hw(self, value: int) -> None:
        self._hw = value

    @property
    def role(self) -> PartitionLeading | Copying | None:
        """What it does; None while nobody is known to lead."""
        return self.leading or self.copying

    @property
    def readable_hw(self) -> int:
        """The high watermark as consumers may learn it; -1 until a new leader knows one in its own epoch (KIP-207)."""
        leading = self.leading
        if leading is None or self._hw < leading.start:
            return -1
        return self._hw

    def lead(self, me: int, state: PartitionState, now: Millis) -> None:
        """Begin a term: its epoch is in the cache before anything is served (KAFKA-7415), the high watermark stays."""
        self._leave()
        self.leader, self.leader_epoch = state.leader, state.leader_epoch
        if not bug("no-epoch-start-entry"):
            self.log.assign_epoch(state.leader_epoch)
        self.leading = PartitionLeading(me, self.log, state, self.min_insync, now)

    def follow(self, state: PartitionState, lower: Callable[[int], Generation | None]) -> Copying:
        """Follow the leader of a new epoch. Returns the copy; it may have to wait for a cut first."""
        waiting = None if self.copying is None else self.copying.cutting
        idle = self.copying is not None and self.copying.idle
        self._leave()
        self.leader, self.leader_epoch = state.leader, state.leader_epoch
        copying = Copying(self.partition, self.log, state.leader_epoch, self._hw, lower)
        copying.idle = idle
        copying.cutting = waiting  # the recovery point is on its way down; the cut is still right to make
        self.copying = copying
        return copying

    def wait(self, state: PartitionState) -> None:
        """Nobody leads."""
        self._leave()
        self.leader, self.leader_epoch = state.leader, state.leader_epoch

    def _leave(self) -> None:
        self._hw = self.hw
        self.leading = self.copying = None
