"""The consumer's promise on a network that loses, doubles and reorders: every record once and in order."""

from __future__ import annotations

from random import Random

from client_world import ClientWorld
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.client_commands import AssignTopics, Failure, Start, Took
from barnabas.actors.consumer import ConsumerActor
from barnabas.actors.consumer_outlet import Chunk, ConsumerSettings
from barnabas.actors.messages import EARLIEST


class Shelf:
    """What the consumer said."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.values: dict[int, list[bytes | None]] = {}
        self.offsets_seen: dict[int, list[int]] = {}
        self.hw: dict[int, int] = {}
        self.position: dict[int, int] = {}
        self.failures: list[tuple[str, int, int, Failure]] = []
        self.answers: dict[object, dict[tuple[str, int], tuple[int, int]]] = {}
        self.lookup_failures: dict[object, Failure] = {}
        self.is_closed = False

    def fetched(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.hw[chunk.partition] = chunk.hw
        for record in chunk.records():
            self.values.setdefault(chunk.partition, []).append(record.value)
            self.offsets_seen.setdefault(chunk.partition, []).append(record.offset)

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        self.hw[partition] = hw
        self.position[partition] = position

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        self.failures.append((topic, partition, generation, failure))

    def offsets(self, token: object, found: dict[tuple[str, int], tuple[int, int]]) -> None:
        self.answers[token] = found

    def lookup_failed(self, token: object, failure: Failure) -> None:
        self.lookup_failures[token] = failure

    def closed(self) -> None:
        self.is_closed = True


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    loss=st.sampled_from([0.0, 0.1, 0.4]),
    double=st.sampled_from([0.0, 0.3]),
    slow=st.sampled_from([1, 30, 300]),
    budget=st.sampled_from([200, 8 << 20]),
)
def test_every_record_comes_once_and_in_order(seed: int, loss: float, double: float, slow: int, budget: int) -> None:
    chance = Random(seed)
    world = ClientWorld(seed=seed, loss=loss, double=double, delay=(1, slow))
    topic = world.create("t", 3)
    shelf = Shelf()
    consumer = ConsumerActor(
        ["b1", "b2", "b3"],
        shelf,
        ConsumerSettings(prefetch_bytes=budget, max_wait_ms=100, fetch_max_bytes=300, request_timeout_ms=200),
    )
    world.start(consumer)
    world.tell(AssignTopics(["t"], Start(EARLIEST)))
    taken = 0
    for i in range(40):
        world.append("t", [b"%d-%d" % (i, j) for j in range(chance.randint(1, 4))], chance.randrange(3))
        world.run(chance.randint(0, 80))
        if chance.random() < 0.15:
            world.lead("t", chance.randrange(3), chance.randint(1, 3), tell=chance.random() < 0.7)
        if chance.random() < 0.1:
            world.down = {chance.choice(["b1", "b2", "b3"])}
        elif chance.random() < 0.3:
            world.down = set()
        while taken < len(shelf.chunks) and chance.random() < 0.5:
            world.tell(Took(shelf.chunks[taken].size))
            taken += 1
    world.down = set()

    def all_read() -> bool:
        nonlocal taken
        while taken < len(shelf.chunks):
            world.tell(Took(shelf.chunks[taken].size))
            taken += 1
        return sum(map(len, shelf.values.values())) >= sum(topic.ends)

    world.run_until(all_read)
    world.run(2_000)
    for index in range(3):
        assert shelf.values.get(index, []) == topic.values(index)
        assert shelf.offsets_seen.get(index, []) == [*range(topic.ends[index])]
    assert not shelf.failures
