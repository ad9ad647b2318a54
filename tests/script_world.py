"""The world of the golden scripts: real brokers, a controller that does as it is told, and a post that waits.

What brokers say to each other, and their proposals and reports to the controller, waits in a queue until a script has
it delivered or dropped. Everything else a broker needs to live (registration, heartbeats, metadata) is exchanged at
once and unseen, unless a script makes a broker deaf to metadata or mute to the controller. Every broker has a clock
and a disk of its own; nothing is durable before the script says `sync`.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from barnabas.actors.broker import Broker, BrokerConfig
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Address, Event, Incarnation, Message, Millis, Payload
from barnabas.actors.messages import (
    PROTOCOL_VERSION,
    AlteredPartition,
    AlterPartition,
    BrokerHeartbeat,
    Envelope,
    FetchMetadata,
    GiveProducerId,
    HeartbeatReply,
    MetadataRange,
    MetadataUpdate,
    Partition,
    PartitionsAltered,
    Register,
    Registered,
    ReportDamage,
    TopicId,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_codec import encode_records
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerUnfenced,
    LeaderChanged,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    TopicCreated,
)
from barnabas.actors.node import Node
from barnabas.storage.disk import StorageError
from barnabas.storage.memory import MemoryDisk
from barnabas.transport.codec import Codec

TOPIC = TopicId("T" * 21 + "Q")
CONTROLLER = "c"
WALL_MS = 1_700_000_000_000
UNSEEN = (Register, Registered, BrokerHeartbeat, HeartbeatReply, FetchMetadata, MetadataRange, GiveProducerId)


class Letter(NamedTuple):
    """Something said by `source` that has not arrived at `target` yet."""

    source: str
    target: str
    origin: str  # as the target sees the sender: an endpoint, or a route
    envelope: Envelope


class Controller:
    """A metadata log that scripts write. It grants every proposal that names the present partition epoch."""

    def __init__(self) -> None:
        self.image = MetadataImage()
        self.batches: list[tuple[int, bytes]] = []
        self.decide(LeaderChanged(1, 1, [1]))

    def decide(self, *records: MetadataRecord) -> None:
        base = self.image.end
        self.batches.append((base, encode_records(records, base_offset=base, leader_epoch=1)))
        self.image.apply(records, base)

    def since(self, offset: int) -> bytes:
        return b"".join(data for base, data in self.batches if base >= offset)

    def change(self, index: int, leader: int, epoch: int, isr: list[int], elr: list[int] | None = None) -> None:
        before = self.image.partitions[Partition(TOPIC, index)]
        self.decide(PartitionChanged(before.partition, leader, epoch, before.partition_epoch + 1, isr, elr or []))

    def registered(self, message: Register) -> Registered:
        broker = message.broker
        self.decide(BrokerRegistered(broker, message.incarnation, message.directory_id, message.endpoint, message.rack))
        for partition, state in sorted(self.image.partitions.items()):
            if state.leader == broker:  # a new life never leads in an epoch that was granted to an earlier one
                self.change(partition.index, broker, state.leader_epoch + 1, list(state.isr))
        epoch = self.image.brokers[broker].epoch
        self.decide(BrokerUnfenced(broker, epoch))
        return Registered(message.id, ErrorCode.NONE, epoch, 1)

    def altered(self, message: AlterPartition) -> PartitionsAltered:
        results = []
        for change in message.changes:
            state = self.image.partitions[change.partition]
            error = ErrorCode.NONE
            if change.leader_epoch != state.leader_epoch:
                error = ErrorCode.FENCED_LEADER_EPOCH
            elif change.partition_epoch != state.partition_epoch:
                error = ErrorCode.INVALID_UPDATE_VERSION
            elif any(self.image.brokers[broker].epoch != epoch for broker, epoch in change.isr):
                error = ErrorCode.INELIGIBLE_REPLICA
            else:
                self.change(
                    change.partition.index, state.leader, state.leader_epoch, [broker for broker, _ in change.isr]
                )
                state = self.image.partitions[change.partition]
            results.append(
                AlteredPartition(change.partition, error, state.leader_epoch, state.partition_epoch, list(state.isr))
            )
        return PartitionsAltered(message.id, ErrorCode.NONE, results, 1)

    def damaged(self, message: ReportDamage) -> None:
        state = self.image.partitions[message.partition]
        if state.leader_epoch == message.leader_epoch:
            isr = [broker for broker in state.isr if broker != message.broker]
            leads = state.leader == message.broker
            leader = (isr[0] if isr else -1) if leads else state.leader
            self.change(message.partition.index, leader, state.leader_epoch + 1, isr)


class Machine:
    """A broker's disk and clock, and its process while it lives."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.name = f"b{number}"
        self.disk = MemoryDisk(Random(number))
        self.now = Millis(1_000)
        self.life = 0
        self.node: Node | None = None
        self.deaf = False  # to metadata
        self.mute = False  # to the controller: its heartbeats are not answered

    @property
    def broker(self) -> Broker:
        assert self.node is not None, f"{self.name} is down"
        broker = self.node.actors["broker"]
        assert isinstance(broker, Broker)
        return broker


class ScriptWorld:
    """Machines, the controller and the queue. `told` collects what to print: letters sent, and events."""

    def __init__(self, brokers: int, roles_at_once: int = 10) -> None:
        self.roles_at_once = roles_at_once
        self.machines = {f"b{number}": Machine(number) for number in range(1, brokers + 1)}
        self.controller = Controller()
        self.queue: list[Letter] = []
        self.told: list[Letter | tuple[str, Event]] = []
        self._codec = Codec()

    # --- Machines ---

    def start(self, name: str) -> None:
        machine = self.machines[name]
        assert machine.node is None, f"{name} runs already"
        machine.life += 1
        incarnation = Incarnation(machine.number * 100 + machine.life)
        config = BrokerConfig(
            machine.number, "cluster", f"directory-{name}", {1: CONTROLLER}, roles_at_once=self.roles_at_once
        )
        machine.node = Node(name, incarnation, machine.disk, Random(machine.life), {"broker": Broker(config)})
        machine.node.start(machine.now, self._wall(machine))
        self.effects(machine)
        self.sync(name)  # the number of this life: the broker does not register before that is durable
        self.metadata(name)

    def crash(self, name: str, *, power: bool) -> None:
        """The process ends; what was on its connections is lost, and with the power what was not durable."""
        machine = self.machines[name]
        machine.node = None
        machine.disk.crash()
        if power:
            machine.disk.power_loss()
        self.queue = [letter for letter in self.queue if name not in (letter.source, letter.target)]
        broker = self.controller.image.brokers[machine.number]
        if not broker.fenced:
            self.controller.decide(BrokerFenced(machine.number, broker.epoch))
            self.broadcast()

    def tick(self, name: str, ms: int) -> None:
        """Time passes for one broker, and its timers fire when they are due."""
        machine = self.machines[name]
        end = machine.now + ms
        while machine.node is not None and (due := machine.node.deadline) is not None and due <= end:
            machine.now = Millis(max(machine.now, due))
            machine.node.advance(machine.now, self._wall(machine))
            self.effects(machine)
        machine.now = Millis(end)

    def pause(self, name: str, ms: int) -> None:
        """Time passes for one broker, and it does not notice: no timer fires before the next tick."""
        machine = self.machines[name]
        machine.now = Millis(machine.now + ms)

    def sync(self, name: str) -> None:
        """One flush: everything that this broker has written is durable, and it is told so."""
        machine = self.machines[name]
        assert machine.node is not None, f"{name} is down"
        flush = machine.disk.start_flush()
        flush.run()
        generation = machine.disk.finish_flush(flush)
        machine.node.synced(generation, machine.now, self._wall(machine))
        self.effects(machine)

    # --- Messages ---

    def ask(self, name: str, message: Message) -> None:
        """A client's request to one broker."""
        self.arrive(Letter("client", name, "@client#1", self._from_outside("client/client", message)))

    def arrive(self, letter: Letter) -> None:
        if letter.target == CONTROLLER:
            self._to_controller(letter)
            return
        machine = self.machines[letter.target]
        if machine.node is not None:
            machine.node.deliver(letter.envelope, letter.origin, machine.now, self._wall(machine))
            self.effects(machine)

    def broadcast(self) -> None:
        """Tell the committed metadata to every broker that listens."""
        for name, machine in self.machines.items():
            if machine.node is not None and not machine.deaf:
                self.metadata(name)

    def metadata(self, name: str) -> None:
        """Tell the committed metadata to one broker."""
        machine = self.machines[name]
        if machine.node is None:
            return
        end, known = self.controller.image.end, machine.broker.image.end
        update = MetadataUpdate("cluster", 1, 1, known, end, Payload(self.controller.since(known)))
        if end > known:
            envelope = self._from_outside("c/controller", update)
            machine.node.deliver(envelope, CONTROLLER, machine.now, self._wall(machine))
            self.effects(machine)

    def effects(self, machine: Machine) -> None:
        """Carry out what a node wants: jobs at once, letters into the queue or to the controller."""
        node = machine.node
        if node is None:
            return
        effects = node.flush()
        self.told += [(machine.name, event) for _, event in effects.events]
        for to, envelope in effects.outgoing:
            envelope = self._codec.decode([bytes(frame) for frame in self._codec.encode(envelope)])
            target, origin = (to, f"@{machine.name}#1") if not to.startswith("@") else (to[1:-2], machine.name)
            letter = Letter(machine.name, target, origin, envelope)
            if isinstance(envelope.body, UNSEEN):
                if not (machine.mute and target == CONTROLLER):
                    self.arrive(letter)
                continue
            self.told.append(letter)
            if target != "client":
                self.queue.append(letter)
        for job_id, job in effects.jobs:
            try:
                result, failure = job.run(machine.disk), None
            except StorageError as error:
                result, failure = None, str(error)
            node.job_done(job_id, result, failure, machine.now, self._wall(machine))
            self.effects(machine)

    def _to_controller(self, letter: Letter) -> None:
        machine = self.machines[letter.source]
        match letter.envelope.body:
            case Register() as message:
                self._answer(machine, self.controller.registered(message))
                self.broadcast()
            case BrokerHeartbeat() as message:
                fenced = self.controller.image.brokers[message.broker].fenced
                self._answer(machine, HeartbeatReply(message.sequence, ErrorCode.NONE, 1, fenced))
            case FetchMetadata() as message:
                if not machine.deaf:
                    end, records = self.controller.image.end, self.controller.since(message.offset)
                    payload = Payload(records) if records else None
                    self._answer(
                        machine, MetadataRange(message.id, ErrorCode.NONE, 1, 1, message.offset, end, end, payload)
                    )
            case AlterPartition() as message:
                answer = self.controller.altered(message)
                self.broadcast()
                letter = Letter(CONTROLLER, machine.name, CONTROLLER, self._from_outside("c/controller", answer))
                self.told.append(letter)
                self.queue.append(letter)
            case ReportDamage() as message:
                self.controller.damaged(message)
                self.broadcast()

    def _answer(self, machine: Machine, message: Message) -> None:
        assert machine.node is not None
        envelope = self._from_outside("c/controller", message)
        machine.node.deliver(envelope, CONTROLLER, machine.now, self._wall(machine))
        self.effects(machine)

    def _from_outside(self, sender: str, message: Message) -> Envelope:
        return Envelope(PROTOCOL_VERSION, Address(sender), Incarnation(999), "broker", Incarnation(0), message)

    def _wall(self, machine: Machine) -> Millis:
        return Millis(WALL_MS + machine.now)

    # --- The topic ---

    def create(
        self, replicas: list[int], isr: list[int], leader: int, partitions: int, configs: dict[str, str]
    ) -> None:
        parts = [PartitionCreated(Partition(TOPIC, index), replicas, isr, leader) for index in range(partitions)]
        self.controller.decide(TopicCreated(TOPIC, "orders", configs), *parts)
        self.broadcast()
