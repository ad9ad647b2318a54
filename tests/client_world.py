"""A small world for client actors: one node under test, and a fake cluster that keeps one true log per partition.

The fake has three brokers that share their logs, as if everything were replicated at once; what it is strict about is
what clients get wrong: leader epochs, sequences (judged by the brokers' own `ProducerStates`), and offsets. The network
between client and brokers loses, doubles and delays as told, in both directions. Time is virtual.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Actor, Address, Context, Incarnation, Message, Millis, Payload, Timer, node_of
from barnabas.actors.messages import (
    EARLIEST,
    LATEST,
    AdminDone,
    BrokerPlace,
    Consume,
    Consumed,
    ConsumedPartition,
    CreateTopic,
    DeleteTopic,
    Describe,
    Described,
    FetchLeadership,
    FindOffsets,
    FoundOffset,
    GiveProducerId,
    Leadership,
    LeadershipUpdate,
    OffsetsFound,
    Partition,
    PartitionLeader,
    Produce,
    Produced,
    ProducedBatch,
    ProducerIdGiven,
    TopicId,
    TopicName,
)
from barnabas.storage.producers import Check, ProducerStates
from barnabas.storage.records import Record, check_incoming, decode_batch, encode_batch, parse_header, patch

LOCAL = Address("local")
BROKERS = {1: "b1", 2: "b2", 3: "b3"}


class FakeContext(Context):
    """What the actor under test may ask for."""

    def __init__(self, world: ClientWorld) -> None:
        self.world = world

    me = Address("client/client")
    incarnation = Incarnation(7)

    @property
    def now(self) -> Millis:
        return Millis(self.world.time)

    @property
    def wall(self) -> Millis:
        return Millis(1_000_000 + self.world.time)

    @property
    def random(self) -> Random:
        return self.world.random

    def send(self, to: Address, message: Message, after: object = None) -> None:
        self.world.sent.append((to, message))
        self.world.carry(lambda: self.world.cluster_hears(to, message), to)

    def set_timer(self, timer: Timer, delay_ms: int) -> None:
        self.world.timers[timer] = self.world.at(delay_ms, lambda: self.world.fire(timer))

    def cancel_timer(self, timer: Timer) -> None:
        self.world.timers.pop(timer, None)


class Topic:
    """The truth about a topic."""

    def __init__(self, id: TopicId, partitions: int) -> None:  # noqa: A002
        self.id = id
        self.leaders = [1 + i % 3 for i in range(partitions)]
        self.epochs = [0] * partitions
        self.logs: list[list[bytes]] = [[] for _ in range(partitions)]
        self.ends = [0] * partitions
        self.starts = [0] * partitions
        self.states = [ProducerStates() for _ in range(partitions)]

    def records(self, index: int) -> list[Record]:
        return [record for batch in self.logs[index] for record in decode_batch(batch)]

    def values(self, index: int) -> list[bytes | None]:
        return [record.value for record in self.records(index)]


class ClientWorld:
    """Time, the network, the cluster, and the actor."""

    def __init__(
        self, *, seed: int = 0, loss: float = 0.0, double: float = 0.0, delay: tuple[int, int] = (1, 1)
    ) -> None:
        self.random = Random(seed)
        self.network = Random(seed + 1)
        self.loss, self.double, self.delay = loss, double, delay
        self.time = 0
        self.sent: list[tuple[Address, Message]] = []
        self.timers: dict[Timer, int] = {}
        self.down: set[str] = set()
        self.topics: dict[str, Topic] = {}
        self.offset = 10
        self.digest_offset = 10
        self.controller = 1
        self.controller_epoch = 1
        self.heartbeats = True
        self.refuse: Callable[[Message], Message | None] = lambda message: None
        self.created: dict[tuple[int, int], AdminDone] = {}
        self.next_producer_id = 1000
        self.actor: Actor = Actor()
        self.ctx = FakeContext(self)
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0

    def start(self, actor: Actor) -> None:
        self.actor = actor
        actor.on_start(self.ctx)
        self._beat()

    # --- Time ---

    def at(self, delay: int, action: Callable[[], None]) -> int:
        self._sequence += 1
        heapq.heappush(self._heap, (self.time + delay, self._sequence, action))
        self._firing = self._sequence
        return self._sequence

    def run(self, ms: int) -> None:
        end = self.time + ms
        while self._heap and self._heap[0][0] <= end:
            self.time, self._firing, action = heapq.heappop(self._heap)
            action()
        self.time = end

    def run_until(self, done: Callable[[], bool], limit: int = 120_000) -> None:
        end = self.time + limit
        while not done():
            assert self.time < end, f"not done after {limit} ms"
            self.run(5)

    def fire(self, timer: Timer) -> None:
        if self.timers.get(timer) == self._firing:
            del self.timers[timer]
            self.actor.on_timer(timer, self.ctx)

    def tell(self, message: Message) -> None:
        self.actor.on_message(LOCAL, message, self.ctx)

    # --- The network ---

    def carry(self, arrive: Callable[[], None], to: str = "") -> None:
        for _ in range(2 if self.network.random() < self.double else 1):
            if self.network.random() >= self.loss:
                self.at(self.network.randint(*self.delay), arrive)

    def reply(self, origin: Address, message: Message) -> None:
        self.carry(lambda: self.actor.on_message(origin, message, self.ctx))

    def publish(self, update: LeadershipUpdate) -> None:
        self.reply(Address("b1/controller"), update)

    def _beat(self) -> None:
        if self.heartbeats:
            self.publish(self._frame(self.digest_offset))
        self.at(250, self._beat)

    def _frame(self, previous: int, **more: Any) -> LeadershipUpdate:  # noqa: ANN401
        return LeadershipUpdate("c", self.controller, self.controller_epoch, previous, self.digest_offset, **more)

    # --- The cluster ---

    def create(self, name: str, partitions: int = 1) -> Topic:
        topic = self.topics[name] = Topic(TopicId(f"id-{name}-{self.offset}"), partitions)
        self._commit(
            topics=[TopicName(topic.id, name, partitions)],
            leaders=[PartitionLeader(Partition(topic.id, i), topic.leaders[i], 0) for i in range(partitions)],
        )
        return topic

    def grow(self, name: str, partitions: int) -> None:
        """Nobody is told."""
        before, after = self.topics[name], Topic(self.topics[name].id, partitions)
        for index, log in enumerate(before.logs):
            after.logs[index] = log
        self.topics[name] = after
        self._commit(tell=False)

    def delete(self, name: str) -> None:
        self._commit(deleted=[self.topics.pop(name).id])

    def lead(self, name: str, index: int, leader: int, *, tell: bool = True) -> None:
        topic = self.topics[name]
        topic.leaders[index] = leader
        topic.epochs[index] += 1
        self._commit(tell, leaders=[PartitionLeader(Partition(topic.id, index), leader, topic.epochs[index])])

    def _commit(self, tell: bool = True, **more: Any) -> None:  # noqa: ANN401
        self.offset += 3
        previous, self.digest_offset = self.digest_offset, self.offset
        if tell:
            self.publish(self._frame(previous, **more))

    def requests(self, kind: type[Message]) -> list[tuple[Address, Any]]:
        return [(to, message) for to, message in self.sent if isinstance(message, kind)]

    def topic_of(self, partition: Partition) -> Topic | None:
        return next((topic for topic in self.topics.values() if topic.id == partition.topic), None)

    def cluster_hears(self, to: Address, message: Message) -> None:
        node = node_of(to)
        if node in self.down or node not in BROKERS.values():
            return
        answer = self.refuse(message)
        if answer is not None:
            self.reply(to, answer)
            return
        broker = next(broker for broker, endpoint in BROKERS.items() if endpoint == node)
        match message:
            case FetchLeadership(id, topics):
                self.reply(to, self.digest(id, topics))
            case GiveProducerId(id):
                self.next_producer_id += 1
                self.reply(to, ProducerIdGiven(id, ErrorCode.NONE, self.next_producer_id, 0))
            case Produce(id, acks, _, batches):
                done = [self._produce(broker, b.partition, b.leader_epoch, b.batch) for b in batches]
                if acks != 0:
                    self.reply(to, Produced(id, done))
            case Consume():
                self._consume(broker, to, message, self.time + message.max_wait_ms)
            case FindOffsets(id, queries):
                self.reply(to, OffsetsFound(id, [self._find(broker, q.partition, q.timestamp) for q in queries]))
            case CreateTopic() | DeleteTopic():
                self.reply(to, self._administer(broker, message))
            case Describe(id):
                self.reply(to, Described(id, ErrorCode.NONE, "c", self.offset, self.controller, 1))
            case _:
                raise AssertionError(f"the fake does not know {message}")

    def digest(self, id: int, names: list[str] | None) -> Leadership:  # noqa: A002
        chosen = {name: topic for name, topic in self.topics.items() if names is None or name in names}
        places = [BrokerPlace(broker, endpoint) for broker, endpoint in BROKERS.items()]
        return Leadership(
            id,
            ErrorCode.NONE,
            "c",
            self.offset,
            places,
            [TopicName(topic.id, name, len(topic.logs)) for name, topic in chosen.items()],
            [
                PartitionLeader(Partition(topic.id, i), topic.leaders[i], topic.epochs[i])
                for topic in chosen.values()
                for i in range(len(topic.logs))
            ],
            places,
            self.controller,
            ["pub1", "pub2"],
        )

    def _wrong_leader(self, broker: int, partition: Partition, epoch: int) -> ErrorCode:
        topic = self.topic_of(partition)
        if topic is None:
            return ErrorCode.UNKNOWN_TOPIC_ID
        if topic.leaders[partition.index] != broker:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        if epoch not in (-1, topic.epochs[partition.index]):
            return ErrorCode.FENCED_LEADER_EPOCH
        return ErrorCode.NONE

    def _produce(self, broker: int, partition: Partition, epoch: int, payload: Payload) -> ProducedBatch:
        wrong = self._wrong_leader(broker, partition, epoch)
        if wrong is not ErrorCode.NONE:
            return ProducedBatch(partition, wrong)
        topic, index = self.topic_of(partition), partition.index
        assert topic is not None
        data = bytearray(payload.data)
        verdict = topic.states[index].check(check_incoming(data), topic.starts[index])
        if verdict.check is Check.DUPLICATE:
            return ProducedBatch(partition, ErrorCode.NONE, verdict.base_offset)
        if verdict.check is Check.OUT_OF_ORDER:
            return ProducedBatch(partition, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, reason=verdict.sentence)
        if verdict.check is Check.FENCED:
            return ProducedBatch(partition, ErrorCode.INVALID_PRODUCER_EPOCH, reason=verdict.sentence)
        patch(data, topic.ends[index], topic.epochs[index])
        header = parse_header(data)
        topic.states[index].apply(header)
        topic.logs[index].append(bytes(data))
        topic.ends[index] = header.next_offset
        return ProducedBatch(partition, ErrorCode.NONE, header.base_offset, topic.starts[index])

    def append(self, name: str, values: list[bytes], index: int = 0) -> None:
        """Records from nowhere, as one batch."""
        topic = self.topics[name]
        data = bytearray(encode_batch([Record(None, value, (), self.time) for value in values]))
        patch(data, topic.ends[index], topic.epochs[index])
        topic.logs[index].append(bytes(data))
        topic.ends[index] += len(values)

    def _consume(self, broker: int, to: Address, message: Consume, until: int) -> None:
        answers = []
        ready = False
        for wanted in message.partitions:
            topic, index = self.topic_of(wanted.partition), wanted.partition.index
            wrong = self._wrong_leader(broker, wanted.partition, wanted.leader_epoch)
            if topic is None or wrong is not ErrorCode.NONE:
                answers.append(ConsumedPartition(wanted.partition, wrong))
                ready = True
                continue
            start, end = topic.starts[index], topic.ends[index]
            if not start <= wanted.offset <= end:
                answers.append(ConsumedPartition(wanted.partition, ErrorCode.OFFSET_OUT_OF_RANGE, end, start))
                ready = True
                continue
            data, size = [], 0
            for batch in topic.logs[index]:
                if parse_header(batch).next_offset <= wanted.offset:
                    continue
                if data and size + len(batch) > wanted.max_bytes:
                    break
                data.append(batch)
                size += len(batch)
            ready = ready or bool(data)
            records = Payload(b"".join(data)) if data else None
            answers.append(ConsumedPartition(wanted.partition, ErrorCode.NONE, end, start, records))
        if ready or self.time >= until:
            self.reply(to, Consumed(message.id, answers))
        else:
            self.at(10, lambda: self._consume(broker, to, message, until))

    def _find(self, broker: int, partition: Partition, timestamp: int) -> FoundOffset:
        wrong = self._wrong_leader(broker, partition, -1)
        topic, index = self.topic_of(partition), partition.index
        if topic is None or wrong is not ErrorCode.NONE:
            return FoundOffset(partition, wrong)
        if timestamp == EARLIEST:
            return FoundOffset(partition, ErrorCode.NONE, topic.starts[index])
        if timestamp == LATEST:
            return FoundOffset(partition, ErrorCode.NONE, topic.ends[index])
        late = [record for record in topic.records(index) if record.timestamp >= timestamp]
        if not late:
            return FoundOffset(partition, ErrorCode.NONE)
        return FoundOffset(partition, ErrorCode.NONE, late[0].offset, late[0].timestamp)

    def _administer(self, broker: int, message: CreateTopic | DeleteTopic) -> AdminDone:
        if broker != self.controller:
            return AdminDone(message.id, ErrorCode.NOT_CONTROLLER, leader=self.controller)
        before = self.created.get((message.client, message.id))
        if before is not None:
            return before
        if isinstance(message, CreateTopic):
            if message.name in self.topics:
                return AdminDone(message.id, ErrorCode.TOPIC_ALREADY_EXISTS, f"{message.name} exists")
            topic = self.create(message.name, max(1, message.partitions))
            done = AdminDone(message.id, ErrorCode.NONE, "", topic.id)
        elif message.name not in self.topics:
            return AdminDone(message.id, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no {message.name}")
        else:
            self.delete(message.name)
            done = AdminDone(message.id, ErrorCode.NONE)
        self.created[message.client, message.id] = done
        return done
