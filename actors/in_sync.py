"""Who is in sync with the partitions that this broker leads: proposed here, decided by the controller.

A leader proposes who joins and who leaves (`replica`), `isr_proposals` carries proposals to the controller one at a
time, and this is where verdicts and committed metadata come back. Committed metadata always wins; a refusal carries
the committed state too, since an earlier copy of the refused proposal may be part of it (KAFKA-12686, KAFKA-14144).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import ErrorCode
from .followers import Followers
from .isr_proposals import IsrProposals, ProposalTimer
from .kernel import Context
from .membership import Membership
from .messages import Partition, PartitionsAltered
from .metadata import MetadataImage
from .metadata_state import PartitionState
from .replica import PartitionLeading, Replica

PROPOSAL_PAUSE_MS = 50


class InSync:
    """The in-sync replicas of everything led here. `changed` is told of each replica whose members are news."""

    def __init__(
        self,
        replicas: dict[Partition, Replica],
        proposals: IsrProposals,
        followers: Followers,
        membership: Membership,
        image: Callable[[], MetadataImage],
        changed: Callable[[Replica, PartitionLeading, Context], None],
    ) -> None:
        self._replicas = replicas
        self._proposals = proposals
        self._followers = followers
        self._membership = membership
        self._image = image
        self._changed = changed
        self._eligible: dict[int, int] = {}  # brokers that may be in sync, with their epochs, when last looked at

    def propose(self, ctx: Context) -> None:
        """Send what is proposed, unless a request is out."""
        self._proposals.poll(self._membership.active, self._membership.broker_epoch, ctx)

    def on_timer(self, ctx: Context) -> None:
        """No verdict in time, or a pause is over."""
        self._proposals.on_timer(self._membership.active, self._membership.broker_epoch, ctx)

    def committed(self, replica: Replica, state: PartitionState, ctx: Context) -> bool:
        """Committed metadata of a term that goes on: whether the members changed."""
        leading = replica.leading
        if leading is None or not leading.commit(state.isr, state.partition_epoch, replica.min_insync):
            return False
        self._proposals.settle(replica.partition)
        self._changed(replica, leading, ctx)
        return True

    def on_altered(self, answer: PartitionsAltered, ctx: Context) -> None:
        """The controller's verdicts on the proposals that were out."""
        sent = self._proposals.answered(answer.id, ctx)
        if not sent:
            return
        if answer.error is not ErrorCode.NONE:
            if answer.leader >= 0:
                self._membership.active = answer.leader
            ctx.set_timer(ProposalTimer(), PROPOSAL_PAUSE_MS)
            return
        for result in answer.results:
            change = sent.get(result.partition)
            replica = self._replicas.get(result.partition)
            leading = None if replica is None else replica.leading
            if change is None or result.error is ErrorCode.NOT_CONTROLLER:
                continue  # no verdict of a controller that knows less than this broker
            self._proposals.decided(change)
            if replica is None or leading is None or leading.epoch != change.leader_epoch:
                continue
            if result.leader_epoch != leading.epoch:
                continue  # another term: the proposal may be committed, so it counts until the metadata end this one
            # A refusal tells the committed state too. An earlier copy of this proposal may be part of it.
            if leading.commit(result.isr, result.partition_epoch, leading.min_insync):
                self._changed(replica, leading, ctx)
            elif leading.proposal is change:
                leading.proposal = None
        if any(result.error is ErrorCode.NOT_CONTROLLER for result in answer.results):
            ctx.set_timer(ProposalTimer(), PROPOSAL_PAUSE_MS)
        else:
            self.propose(ctx)

    def consider(self, partitions: Sequence[Partition], ctx: Context) -> None:
        """The metadata have changed these, or who may be in sync at all: whoever has caught up may join now."""
        image = self._image()
        eligible = {broker: state.epoch for broker, state in image.brokers.items() if image.may_lead(broker)}
        if eligible != self._eligible:
            self._eligible = eligible
            partitions = list(self._replicas)
        for partition in partitions:
            replica = self._replicas.get(partition)
            if replica is not None and replica.leading is not None:
                self._followers.consider(replica, replica.leading, ctx)
        self.propose(ctx)

    def review(self, replica: Replica, leading: PartitionLeading, lag_ms: int, ctx: Context) -> None:
        """Once a second: propose to leave out who has not been caught up for so long, or to take in who is."""
        change = leading.propose_leave(ctx.now, lag_ms, self._followers.eligible)
        if change is not None:
            self._proposals.propose(change)
        elif len(leading.followers) >= len(leading.isr):
            self._followers.consider(replica, leading, ctx)
