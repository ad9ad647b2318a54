"""The producer's promise on a network that loses, doubles and reorders: nothing lost, nothing doubled, in order.

Every draw moves leaders at random times, with and without telling, over a network as mean as drawn. Expiry is drawn
too: with a short delivery timeout batches end with an unknown outcome, and still the log may not lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from client_world import ClientWorld
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.client_commands import Close, Failure, SendRecords, Why
from barnabas.actors.kernel import Millis
from barnabas.actors.producer import ProducerActor
from barnabas.actors.producer_outlet import ProducerSettings
from barnabas.storage.records import Record


class Outcomes:
    """Every token's one outcome."""

    def __init__(self) -> None:
        self.acked: dict[object, tuple[int, int]] = {}
        self.failures: dict[object, Failure] = {}
        self.flushes: list[object] = []
        self.is_closed = False

    def acknowledged(
        self, tokens: Sequence[object], topic: str, partition: int, base_offset: int, timestamp: Millis
    ) -> None:
        for i, token in enumerate(tokens):
            assert token not in self.acked
            assert token not in self.failures
            self.acked[token] = (partition, base_offset + i if base_offset >= 0 else -1)

    def failed(self, tokens: Sequence[object], failure: Failure) -> None:
        for token in tokens:
            assert token not in self.acked
            assert token not in self.failures
            self.failures[token] = failure

    def flushed(self, token: object) -> None:
        self.flushes.append(token)

    def closed(self) -> None:
        self.is_closed = True


def run(seed: int, loss: float, double: float, slow: int, delivery_timeout_ms: int, acks: int = -1) -> None:
    chance = Random(seed)
    world = ClientWorld(seed=seed, loss=loss, double=double, delay=(1, slow))
    topic = world.create("t", 2)
    topic.starts = [5 * chance.randrange(2)] * 2  # a log that was trimmed lets producers begin anywhere
    topic.ends = [*topic.starts]
    outcomes = Outcomes()
    producer = ProducerActor(
        ["b1", "b2", "b3"],
        outcomes,
        ProducerSettings(acks=acks, batch_bytes=200, delivery_timeout_ms=delivery_timeout_ms, request_timeout_ms=300),
    )
    world.start(producer)
    count = 0
    for _ in range(30):
        burst = chance.randint(1, 12)
        tokens = list(range(count, count + burst))
        world.tell(
            SendRecords("t", [Record(None, str(i).encode()) for i in tokens], tokens, partition=chance.randrange(2))
        )
        count += burst
        world.run(chance.randint(0, 60))
        if chance.random() < 0.2:
            world.lead("t", chance.randrange(2), chance.randint(1, 3), tell=chance.random() < 0.7)
        if chance.random() < 0.1:
            world.down = {chance.choice(["b1", "b2", "b3"])}
        elif chance.random() < 0.3:
            world.down = set()
    world.down = set()
    world.tell(Close(600_000))
    world.run_until(lambda: outcomes.is_closed, 600_000)
    world.run(5_000)
    assert len(outcomes.acked) + len(outcomes.failures) == count
    for index in range(2):
        written = [int(value or b"") for value in topic.values(index)]
        assert written == sorted(set(written)), f"doubled or reordered: {written}"
        for place, token in enumerate(written):
            assert outcomes.acked.get(token, (index, -1))[1] in (-1, topic.starts[index] + place)
    everything = {int(value or b"") for index in range(2) for value in topic.values(index)}
    assert set(outcomes.acked) <= everything, "an acknowledged record is lost"
    for token in everything - set(outcomes.acked):
        failure = outcomes.failures[token]
        assert failure.why is Why.UNKNOWN_OUTCOME, (
            f"{token} is written, and was said to have failed for sure: {failure}"
        )
    if delivery_timeout_ms > 60_000:
        assert not outcomes.failures, outcomes.failures


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    double=st.sampled_from([0.0, 0.3]),
    slow=st.sampled_from([1, 30, 200]),
)
def test_nothing_is_lost_doubled_or_reordered(seed: int, loss: float, double: float, slow: int) -> None:
    run(seed, loss, double, slow, 3_600_000)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    loss=st.sampled_from([0.1, 0.4, 0.7]),
    double=st.sampled_from([0.0, 0.3]),
    slow=st.sampled_from([1, 30, 400]),
    timeout=st.sampled_from([100, 400, 1_000]),
)
def test_records_that_expire_never_make_the_log_lie(
    seed: int, loss: float, double: float, slow: int, timeout: int
) -> None:
    run(seed, loss, double, slow, timeout)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_sends_the_same_messages(seed: int) -> None:
    def trace() -> list[object]:
        world = ClientWorld(seed=seed, loss=0.2, double=0.2, delay=(1, 50))
        world.create("t", 3)
        world.start(ProducerActor(["b1", "b2", "b3"], Outcomes()))
        for i in range(20):
            world.tell(SendRecords("t", [Record(None, b"%d" % i)], [i]))
            world.run(7)
        return [*world.sent]

    assert trace() == trace()
