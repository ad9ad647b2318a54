"""A cluster's image that is administered: each request is decided on it, applied at once, and its reply handed back."""

from __future__ import annotations

from msgspec.structs import replace
from recording import Recording

from barnabas.actors.admin_messages import AdminRequest
from barnabas.actors.administration import administer
from barnabas.actors.elections import fence_changes, unfence_changes
from barnabas.actors.errors import ErrorCode
from barnabas.actors.isr_changes import alter
from barnabas.actors.kernel import Incarnation, Message
from barnabas.actors.messages import (
    AdminDone,
    AlterPartition,
    CreateInternalTopic,
    InternalTopicCreated,
    IsrChange,
    Partition,
    PartitionsAltered,
    PartitionsDone,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import BrokerFenced, BrokerRegistered, BrokerUnfenced, ClusterDefaults
from barnabas.actors.metadata_state import PartitionState
from barnabas.actors.topics import create_internal

CLIENT = Incarnation(5)


class Administered:
    """Brokers 1 to `brokers`, the first `down` of them fenced. After each step the whole picture is well formed."""

    def __init__(self, brokers: int = 3, down: int = 0, *, replication: int = 3, racks: str = "") -> None:
        self.image = MetadataImage()
        self.image.apply([ClusterDefaults(2, replication, {})], 0)
        self.ctx = Recording()
        for broker in range(1, brokers + 1):
            self.join(broker, racks[broker - 1] if racks else "")
        for broker in range(1, down + 1):
            self.fence(broker)

    # --- brokers

    def join(self, broker: int, rack: str = "", life: int = 0) -> None:
        epoch = self.image.end
        registered = BrokerRegistered(broker, Incarnation(broker + 1_000 * life), "d", f"b{broker}", rack)
        self.image.apply([registered, BrokerUnfenced(broker, epoch)], epoch)

    def fence(self, broker: int) -> None:
        epoch = self.image.brokers[broker].epoch
        self.image.apply([BrokerFenced(broker, epoch), *fence_changes(self.image, [broker])], self.image.end)
        self.check()

    def unfence(self, broker: int) -> None:
        epoch = self.image.brokers[broker].epoch
        self.image.apply([BrokerUnfenced(broker, epoch), *unfence_changes(self.image, broker)], self.image.end)
        self.check()

    # --- requests

    def internal(self, name: str, broker: int = 1, broker_epoch: int | None = None) -> InternalTopicCreated:
        """A broker asks for one of the cluster's own topics."""
        epoch = self.image.brokers[broker].epoch if broker_epoch is None else broker_epoch
        decision = create_internal(self.image, CreateInternalTopic(7, broker, epoch, name), self.ctx)
        self.image.apply(decision.records, self.image.end)
        self.check()
        reply = decision.reply()
        assert isinstance(reply, InternalTopicCreated)
        return reply

    def ask(self, request: AdminRequest) -> Message:
        """The reply, without the offset that it was given at: that of an answer given again is a later one."""
        decision = administer(self.image, request, self.ctx)
        if decision.records:
            self.image.apply(decision.records, self.image.end)
            self.check()
        reply = decision.reply()
        assert isinstance(reply, AdminDone | PartitionsDone)
        assert reply.offset == self.image.end
        return replace(reply, offset=-1)

    def done(self, request: AdminRequest) -> AdminDone:
        reply = self.ask(request)
        assert isinstance(reply, AdminDone)
        return reply

    def outcomes(self, request: AdminRequest) -> list[tuple[ErrorCode, str]]:
        """What became of each partition: an error and a sentence."""
        reply = self.ask(request)
        assert isinstance(reply, PartitionsDone)
        assert reply.error is ErrorCode.NONE, reply.reason
        return [(outcome.error, outcome.reason) for outcome in reply.outcomes]

    # --- partitions

    def state(self, topic: str, index: int = 0) -> PartitionState:
        found = self.image.topic(topic)
        assert found is not None
        return self.image.partitions[Partition(found.id, index)]

    def in_sync(self, topic: str, *members: int, index: int = 0) -> ErrorCode:
        """The leader proposes these; what the controller says to it."""
        state = self.state(topic, index)
        epochs = [(member, self.image.brokers[member].epoch) for member in members]
        change = IsrChange(state.partition, state.leader_epoch, state.partition_epoch, epochs)
        leader = self.image.brokers[state.leader]
        decision = alter(self.image, AlterPartition(1, leader.id, leader.epoch, [change]))
        if decision.records:
            self.image.apply(decision.records, self.image.end)
            self.check()
        reply = decision.reply()
        assert isinstance(reply, PartitionsAltered)
        return reply.results[0].error

    def check(self) -> None:
        assert self.image.violations() == []
