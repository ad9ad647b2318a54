"""What the controllers have decided: R5 (one state at each offset), R10, R11, R15 and the shape of partitions, P19.

The newest committed image seen at any controller is the *truth* that the checkers of partitions compare with. It is
copied when it moves, since the images themselves are alive; the states inside are frozen.
"""

from __future__ import annotations

from ...actors.errors import ErrorCode
from ...actors.messages import (
    Envelope,
    Leadership,
    LeadershipUpdate,
    MetadataRange,
    MetadataUpdate,
    Partition,
    Registered,
    TopicId,
)
from ...cluster.world import Host, World
from ..oracle import Checker
from ..views import BrokerStateView, ImageView, PartitionStateView, images_of, raft_of
from .quorum import QuorumChecker


class MetadataChecker(Checker):
    """Also the keeper of the truth: `partitions` and `brokers` as of offset `end`."""

    looks_at = frozenset(("controller", "broker"))
    says = (MetadataUpdate, LeadershipUpdate, MetadataRange, Leadership, Registered)

    def __init__(self, quorum: QuorumChecker) -> None:
        self.quorum = quorum
        self.end = 0
        self.partitions: dict[Partition, PartitionStateView] = {}
        self.brokers: dict[int, BrokerStateView] = {}
        self.topics: dict[TopicId, str] = {}  # the names of all that there ever were
        self.changed: list[tuple[PartitionStateView | None, PartitionStateView]] = []  # by the newest move
        self.min_insync: dict[Partition, int] = {}
        self._hashes: dict[int, object] = {}
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}  # host, actor -> life, end of its image

    def passed(self) -> None:
        self.changed = []

    def handled(self, world: World, host: Host) -> None:
        self.changed = []
        for actor, image in images_of(host):
            place = (host.name, actor)
            seen = self._seen.get(place)
            if seen is not None and seen[0] == host.life and seen[1] == image.end:
                continue
            if seen is not None and seen[0] == host.life and image.end < seen[1]:
                self.violated("R5", f"{actor} of {host.name} went back from metadata {seen[1]} to {image.end}")
            self._seen[place] = (host.life, image.end)
            self._applied(host, actor, image)

    def _applied(self, host: Host, actor: str, image: ImageView) -> None:
        if image.end > self.quorum.true_hw:
            self.violated(
                "R10", f"{actor} of {host.name} applied metadata up to {image.end}, committed is {self.quorum.true_hw}"
            )
        if image.end:
            self.premise("R5")
            digest = image.state_hash()
            if self._hashes.setdefault(image.end, digest) != digest:
                self.violated("R5", f"{actor} of {host.name} has another state at metadata {image.end} than others")
        raft = raft_of(host)
        if actor == "controller" and raft is not None and getattr(_controller(host), "active", False):
            self.premise("R11")
            if image.end <= raft.epoch_start:
                self.violated("R11", f"{host.name} is active at {image.end}, its epoch begins at {raft.epoch_start}")
        if image.end > self.end:
            self._move(image)

    def _move(self, image: ImageView) -> None:
        for partition in sorted(image.partitions):
            state = image.partitions[partition]
            before = self.partitions.get(partition)
            if before is state:
                continue
            self.changed.append((before, state))
            min_insync = getattr(image, "min_insync", None)
            if min_insync is not None:
                self.min_insync[partition] = min_insync(state)
            if before is not None:
                self._step(partition, before, state)
        for number, broker in sorted(image.brokers.items()):
            known = self.brokers.get(number)
            if known is None or broker.epoch == known.epoch:
                continue
            self.premise("R15")
            if broker.epoch < known.epoch:
                self.violated("R15", f"broker {number} went back from epoch {known.epoch} to {broker.epoch}")
        self.end = image.end
        self.partitions, self.brokers = dict(image.partitions), dict(image.brokers)
        self.topics.update((topic, state.name) for topic, state in image.topics.items())
        for _, state in self.changed:
            self._shape(state)

    def _step(self, partition: Partition, before: PartitionStateView, state: PartitionStateView) -> None:
        self.premise("P19")
        if state.partition_epoch < before.partition_epoch or state.leader_epoch < before.leader_epoch:
            self.violated("P19", f"{partition.index}: epochs went back from {before} to {state}")
        if state.partition_epoch == before.partition_epoch and state != before:
            self.violated("P19", f"{partition.index}: changed within partition epoch {state.partition_epoch}")
        if state.leader != before.leader and state.leader_epoch == before.leader_epoch:
            self.violated("P19", f"{partition.index}: leader {before.leader} became {state.leader} in the same epoch")

    def _shape(self, state: PartitionStateView) -> None:
        self.premise("P19")
        isr, elr, replicas = set(state.isr), set(state.elr), set(state.replicas)
        if state.leader != -1 and state.leader not in isr:
            self.violated("P19", f"leader {state.leader} is not in sync: {state}")
        if not isr | elr <= replicas or isr & elr:
            self.violated("P19", f"ISR and ELR must be apart, among the replicas: {state}")
        min_insync = self.min_insync.get(getattr(state, "partition", None) or Partition("", -1))  # type: ignore[arg-type]
        if min_insync is not None and len(isr) >= min_insync and elr:
            self.violated("P19", f"ISR suffices, yet an ELR is kept: {state}")
        out = [number for number in sorted(isr) if number in self.brokers and self.brokers[number].fenced]
        if out:
            self.violated("P19", f"fenced brokers {out} are in sync: {state}")

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        body = envelope.body
        end = -1
        if isinstance(body, MetadataUpdate | LeadershipUpdate):
            end = body.offset
        elif isinstance(body, MetadataRange):
            end = body.end if body.error is ErrorCode.NONE else -1
        elif isinstance(body, Leadership):
            end = body.offset
        elif isinstance(body, Registered):
            end = body.broker_epoch + 1 if body.error is ErrorCode.NONE else -1
        if end > 0:
            self.premise("R10")
            if end > self.quorum.true_hw:
                what = f"{source} shows metadata up to {end} in {type(body).__name__}"
                self.violated("R10", f"{what}, committed is {self.quorum.true_hw}")


def _controller(host: Host) -> object:
    return host.node.actors.get("controller") if host.node is not None else None
