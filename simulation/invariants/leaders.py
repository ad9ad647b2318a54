"""Partition leaders and who may become one: P4, P5, P6, P16, P17, P18, COUNTED and PRISTINE.

P4 a leader of the current epoch has everything committed. P5 so has whoever could be elected next: the earliest warning
that there is. P6 a leader's maximal ISR covers whatever the controller may have. P16 one process ever appends as leader
in an epoch. P17 a high watermark counts only what followers proved by a fetch in this epoch, in the life of theirs that
the leader knew of. P18 a follower joins the ISR only after it has reached the start of the leader's epoch in it.
COUNTED what the leader of the current epoch takes a member of its maximal ISR for, that member's present log has. Bytes
may go bad while a leader's term goes on, but a log may not be replaced then, nor be cut below what it proved: the
leader would count its predecessor's records for it. PRISTINE where nothing was ever committed, as the controller
says, so that anybody may be elected, nothing was.
"""

from __future__ import annotations

from ...actors.messages import Envelope, Fetch, Partition
from ...cluster.world import Host, World
from ..oracle import Checker
from ..views import LeadingView, PartitionStateView, ProposalView, broker_epoch_of, images_of, leading_of, replicas_of
from .copies import CopiesChecker, Copy
from .metadata import MetadataChecker


class LeadersChecker(Checker):
    """Looks at the copies that the last input changed, and at the decisions that it brought."""

    looks_at = frozenset(("controller", "broker"))
    hears = (Fetch,)

    def __init__(self, metadata: MetadataChecker, copies: CopiesChecker) -> None:
        self.metadata = metadata
        self.copies = copies
        self.writers: dict[tuple[Partition, int], tuple[str, int]] = {}  # epoch -> host, life
        self.starts: dict[tuple[Partition, int], int] = {}  # epoch -> offset where its leader began
        self.fetched: dict[tuple[Partition, int, int], int] = {}  # partition, epoch, follower -> offset asked for
        self._adopted: dict[tuple[str, Partition], LeadingView] = {}
        self._proposed: dict[tuple[str, Partition], ProposalView] = {}

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        body = envelope.body
        if isinstance(body, Fetch) and envelope.to == "broker" and _lives(world.hosts[target], body):
            for wanted in body.wanted:
                place = (wanted.partition, wanted.leader_epoch, body.replica)
                if wanted.offset > self.fetched.get(place, -1):
                    self.fetched[place] = wanted.offset

    def handled(self, world: World, host: Host) -> None:
        if not self.metadata.changed and not self.copies.changed:
            return
        for before, state in self.metadata.changed:
            self._joined(before, state)
        for copy in self.copies.changed:
            if copy.leading is not None:
                self._leader(world, host, copy, copy.leading)
            elif copy.fresh:
                self._replaced(world, host, copy.partition)
        for partition in self._touched():
            self._candidates(world, partition)

    def _touched(self) -> list[Partition]:
        """Partitions whose candidates, committed end or candidates' logs have just changed."""
        found = {copy.partition for copy in self.copies.changed if copy.fresh or copy.moved[1] > copy.moved[0]}
        found |= {state.partition for _, state in self.metadata.changed if hasattr(state, "partition")}
        return sorted(found)

    # --- Leaders ---

    def _leader(self, world: World, host: Host, copy: Copy, leading: LeadingView) -> None:
        partition = copy.partition
        if copy.added and any(line.epoch == leading.epoch for line in copy.added) and not copy.fresh:
            self.premise("P16")
            writer = self.writers.setdefault((partition, leading.epoch), (host.name, host.life))
            if writer != (host.name, host.life):
                self.violated(
                    "P16", f"{host.name} and {writer[0]} both write in epoch {leading.epoch} of {_name(copy)}"
                )
        state = self.metadata.partitions.get(partition)
        current = state is not None and state.leader_epoch == leading.epoch
        if self._adopted.get((host.name, partition)) is not leading:
            self._adopted[host.name, partition] = leading
            known = self.starts.setdefault((partition, leading.epoch), leading.start)
            if known != leading.start:
                self.violated("P16", f"epoch {leading.epoch} of {_name(copy)} began at {known} and at {leading.start}")
            if current:
                self._complete(copy, leading)
        if current and state is not None:
            self._superset(copy, leading, state)
            for member in leading.maximal_isr:
                self._counted(world, copy.partition, leading, member)
        if copy.moved[1] > copy.moved[0]:
            self._fenced(copy, leading)
        proposal = leading.proposal
        if proposal is not None and self._proposed.get((host.name, partition)) is not proposal:
            self._proposed[host.name, partition] = proposal
            self._may_join(host, copy, leading, proposal)

    def _complete(self, copy: Copy, leading: LeadingView) -> None:
        end, chain = self.copies.history(copy.partition).newest()
        self.premise("P4")
        if copy.mirror.chain_below(end) != chain:
            self.violated(
                "P4",
                f"{copy.host} leads epoch {leading.epoch} of {_name(copy)} without all that is committed: it ends at "
                f"{copy.mirror.end}, committed is {end}",
            )

    def _superset(self, copy: Copy, leading: LeadingView, state: PartitionStateView) -> None:
        if len(leading.isr) < leading.min_insync:
            return
        self.premise("P6")
        missing = {*state.isr, *state.elr} - {*leading.maximal_isr}
        if missing:
            self.violated(
                "P6", f"{copy.host} counts {leading.maximal_isr} for {_name(copy)}, but the controller has {state}"
            )

    def _counted(self, world: World, partition: Partition, leading: LeadingView, member: int) -> None:
        """Also of a member whose disk was spoilt: what rots stays as long as it was, until it is replaced."""
        broker, progress = self.metadata.brokers.get(member), leading.followers.get(member)
        if broker is None or progress is None:
            return
        host = world.hosts[broker.endpoint]
        replica = replicas_of(host).get(partition)
        present = progress.broker_epoch == broker_epoch_of(host)  # else this life has proven nothing yet
        if replica is None or not present or replica.leader_epoch != leading.epoch:
            return
        self.premise("COUNTED")
        if progress.end > replica.log.end:
            what = f"{progress.end} of {partition.topic[:6]}-{partition.index} are counted for {host.name}"
            self.violated("COUNTED", f"{what} in epoch {leading.epoch}, its log ends at {replica.log.end}")

    def _replaced(self, world: World, host: Host, partition: Partition) -> None:
        """A follower's log has just been opened, maybe in place of another one."""
        state = self.metadata.partitions.get(partition)
        leader = None if state is None else self.metadata.brokers.get(state.leader)
        if state is None or leader is None:
            return
        replica = replicas_of(world.hosts[leader.endpoint]).get(partition)
        leading = None if replica is None else leading_of(replica)
        number = next((n for n, broker in self.metadata.brokers.items() if broker.endpoint == host.name), -1)
        if leading is not None and leading.epoch == state.leader_epoch and number in leading.maximal_isr:
            self._counted(world, partition, leading, number)

    def _fenced(self, copy: Copy, leading: LeadingView) -> None:
        me = next((n for n, broker in self.metadata.brokers.items() if broker.endpoint == copy.host), -1)
        for member in leading.maximal_isr:
            if member == me:
                continue
            self.premise("P17")
            asked = self.fetched.get((copy.partition, leading.epoch, member), -1)
            progress = leading.followers.get(member)
            if asked < copy.moved[1] or progress is None or progress.end < copy.moved[1]:
                self.violated(
                    "P17",
                    f"{copy.host} moved the high watermark of {_name(copy)} to {copy.moved[1]} in epoch"
                    f" {leading.epoch}, but {member} asked only for {asked} in it",
                )

    def _may_join(self, host: Host, copy: Copy, leading: LeadingView, proposal: ProposalView) -> None:
        """Whom a leader proposes may join as far as it knows itself; the controller is there to know better."""
        image = next((image for actor, image in images_of(host) if actor == "broker"), None)
        if image is None:
            return
        for number, epoch in proposal.isr:
            if number in leading.isr:
                continue
            self.premise("P18")
            broker = image.brokers.get(number)
            if broker is None or broker.fenced or broker.stopping or broker.epoch != epoch:
                what = f"{host.name} proposes {number} of broker epoch {epoch} for {_name(copy)}"
                self.violated("P18", f"{what}, which it knows to be {broker}")

    # --- Candidates ---

    def _joined(self, before: PartitionStateView | None, state: PartitionStateView) -> None:
        if before is None or before.leader_epoch != state.leader_epoch or not hasattr(state, "partition"):
            return
        partition: Partition = state.partition
        start = self.starts.get((partition, state.leader_epoch))
        if start is None and not self.copies.seen(partition):
            return  # nobody could see where it begins
        for number in sorted({*state.isr} - {*before.isr}):
            self.premise("P18")
            asked = self.fetched.get((partition, state.leader_epoch, number), -1)
            if start is None or asked < start:
                self.violated("P18", f"{number} joined {state} with {asked}, the leader's epoch begins at {start}")
            broker = self.metadata.brokers.get(number)
            if broker is None or broker.fenced or broker.stopping:
                self.violated("P18", f"{number} joined {state}, but is fenced or stopping: {broker}")

    def _candidates(self, world: World, partition: Partition) -> None:
        state = self.metadata.partitions.get(partition)
        end, chain = self.copies.history(partition).newest()
        if state is not None and state.pristine:
            self.premise("PRISTINE")
            if end > 0:
                self.violated("PRISTINE", f"up to {end} is committed of {partition.index}, yet it is pristine: {state}")
        if state is None or end == 0:
            return
        for number in sorted({*state.isr, *state.elr}):
            copy = self.copies.member(number, partition)
            if copy is None:
                continue
            host = world.hosts[copy.host]
            open_here = partition in replicas_of(host) and copy.life == host.life
            if not open_here or not self.copies.judged(host, number):
                continue
            self.premise("P5")
            if copy.mirror.chain_below(end) != chain:
                self.violated(
                    "P5",
                    f"{copy.host} could be elected for {_name(copy)} ({state}) without all that is committed: it ends"
                    f" at {copy.mirror.end}, committed is {end}",
                )


def _name(copy: Copy) -> str:
    return f"{copy.partition.topic[:6]}-{copy.partition.index}"


def _lives(host: Host, fetch: Fetch) -> bool:
    """Whether it is from the life of that broker which the receiver knows to be registered (KIP-903)."""
    image = next((image for actor, image in images_of(host) if actor == "broker"), None)
    known = None if image is None else image.brokers.get(fetch.replica)
    return image is None or (known is not None and known.epoch == fetch.broker_epoch)
