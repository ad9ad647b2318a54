"""When batches leave: by leader, together, and few requests at a time. The network here takes 1 ms and answers in 1."""

from __future__ import annotations

from client_world import ClientWorld
from test_producer_actor import ready, send, silence

from barnabas.actors.client_commands import Flush, SendRecords
from barnabas.actors.departures import PACE, PATIENCE_MS
from barnabas.actors.kernel import Incarnation, Message
from barnabas.actors.messages import PeerGone, Produce, Produced
from barnabas.storage.records import Record, parse_header


def requests(world: ClientWorld) -> list[tuple[str, list[int]]]:
    """(leader, partitions) of every request so far."""
    return [(str(to), [batch.partition.index for batch in sent.batches]) for to, sent in world.requests(Produce)]


def counts(world: ClientWorld) -> list[int]:
    """How many records each batch so far has."""
    return [parse_header(batch.batch.data).count for _, sent in world.requests(Produce) for batch in sent.batches]


def prove(world: ClientWorld, partitions: int) -> None:
    """One record for each partition, acknowledged: from now on more than one batch may fly."""
    for index in range(partitions):
        send(world, -1 - index, partition=index)
    world.tell(Flush("proven"))
    world.run(50)
    world.sent.clear()


def test_what_is_not_due_yet_goes_along_with_what_is() -> None:
    world, _, _ = ready(6, linger_ms=10)
    prove(world, 6)
    send(world, 0, partition=0)
    world.run(8)
    send(world, 1, partition=3)  # the same leader
    send(world, 2, partition=1)  # another one
    world.run(4)
    assert requests(world) == [("b1/broker", [0, 3]), ("b2/broker", [1])]


def test_while_a_request_is_unanswered_what_is_due_takes_more_records() -> None:
    world, outcomes, _ = ready(1, linger_ms=5)
    prove(world, 1)
    world.refuse = silence
    for number in range(4):
        send(world, number)
        world.run(5)
    assert counts(world) == [1]
    world.refuse = lambda message: None
    world.run(4_000)  # the request is given up, and goes again
    assert max(counts(world)) == 3
    assert sorted(outcomes.acked) == [-1, *range(4)]


def test_an_answer_that_has_far_to_go_is_not_waited_for_longer_than_that() -> None:
    world, outcomes, _ = ready(1, linger_ms=5)
    prove(world, 1)
    world.delay = (150, 150)  # milliseconds each way
    for number in range(200):
        send(world, number)
        world.run(1)
    assert len(counts(world)) == 200 // PATIENCE_MS
    world.run(1_000)
    assert len(outcomes.acked) == 201


def over(world: ClientWorld, milliseconds: int, first: int = 0) -> int:
    """How many batches left in that time, with a record a millisecond, after as long a time to get used to it."""
    for number in range(2 * milliseconds):
        if number == milliseconds:
            world.sent.clear()
        send(world, first + number)
        world.run(1)
    return len(counts(world))


def test_what_always_has_far_to_go_is_not_taken_for_a_queue() -> None:
    world, _, _ = ready(1, linger_ms=5)
    world.delay = (100, 100)  # milliseconds each way, ever since anybody can tell
    prove(world, 1)
    world.run(1_000)
    assert over(world, 2_000) >= 2_000 // (PATIENCE_MS * 1.5)


def test_answers_that_have_come_to_take_longer_are_waited_for() -> None:
    world, outcomes, _ = ready(1, linger_ms=5)
    prove(world, 1)
    world.delay = (100, 100)  # milliseconds each way, where it was one: the leader has too much to do
    assert over(world, 3_000) <= 3_000 // 200
    world.run(2_000)
    assert len(outcomes.acked) == 6_001


def test_one_late_answer_among_quick_ones_makes_nobody_wait() -> None:
    world, _, _ = ready(1, linger_ms=5)
    prove(world, 1)
    quick = over(world, 500)
    for number in range(10):
        world.delay = (200, 200) if number % 3 == 0 else (1, 1)
        send(world, 10_000 + number)
        world.run(450)
    world.delay = (1, 1)
    assert over(world, 500, first=20_000) >= quick * 0.9


def test_a_leader_that_stood_still_is_not_avoided_for_long() -> None:
    world, _, _ = ready(1, linger_ms=5)
    prove(world, 1)
    world.delay = (1_000, 1_000)
    send(world, -9)
    world.run(3_000)
    world.delay = (1, 1)
    assert over(world, 500) >= 500 // 20


def test_departures_are_further_apart_than_answers_take() -> None:
    world, _, _ = ready(2, linger_ms=5)
    prove(world, 2)
    world.delay = (10, 10)  # milliseconds each way
    for number in range(1_000):
        send(world, number, partition=number % 2)
        world.run(1)
    ours = [to for to, _ in requests(world)]
    assert abs(ours.count("b1/broker") - ours.count("b2/broker")) <= 2
    assert 1_000 / (PACE * 20 + 5) <= ours.count("b1/broker") <= 1_000 / 20


def test_an_answer_lets_the_next_one_go_at_once() -> None:
    world, _, _ = ready(1, linger_ms=5)
    prove(world, 1)
    world.delay = (20, 20)  # milliseconds each way
    for number in range(10):
        send(world, number)
        world.run(6)
    world.run(100)
    assert sum(counts(world)) == 10
    assert max(counts(world)) > 1


def test_full_batches_do_not_wait_for_answers() -> None:
    world, _, _ = ready(1, linger_ms=10_000, batch_bytes=200)
    prove(world, 1)
    world.refuse = silence
    send(world, *range(5), size=100)
    assert counts(world) == [1, 1, 1, 1]


def test_a_flush_does_not_wait_for_answers() -> None:
    world, _, _ = ready(1, linger_ms=5)
    prove(world, 1)
    world.refuse = silence
    for number in range(2):
        send(world, number)
        world.run(6)
    assert len(counts(world)) == 1
    world.tell(Flush("now"))
    assert len(counts(world)) == 2


def test_other_leaders_are_not_held_up() -> None:
    world, _, _ = ready(2, linger_ms=5)
    prove(world, 2)

    def silent_about_0(message: Message) -> Message | None:
        lost = isinstance(message, Produce) and any(batch.partition.index == 0 for batch in message.batches)
        return Produced(-1, []) if lost else None

    world.refuse = silent_about_0
    for number in range(2):
        send(world, number, partition=0)
        world.run(6)
    send(world, 9, partition=1)
    world.run(6)
    assert requests(world)[-1] == ("b2/broker", [1])


def test_what_waited_for_answers_of_a_dead_leader_goes_to_the_new_one() -> None:
    world, outcomes, _ = ready(1, linger_ms=5)
    prove(world, 1)
    world.refuse = silence
    for number in range(5):
        send(world, number)
        world.run(6)
    world.refuse = lambda message: None
    world.lead("t", 0, 2)
    world.tell(PeerGone("b1", Incarnation(1)))
    world.run(100)
    assert sorted(outcomes.acked) == [-1, *range(5)]


def test_keyed_records_keep_their_order_in_each_partition_and_keyless_ones_among_them() -> None:
    world, outcomes, _ = ready(3, linger_ms=5)
    records = [Record(None if i % 7 == 0 else b"key-%d" % (i % 11), b"%d" % i) for i in range(500)]
    world.tell(SendRecords("t", records, list(range(500)), -1))
    world.run(100)
    assert len(outcomes.acked) == 500
    for index in range(3):
        numbers = [int(value or b"-1") for value in world.topics["t"].values(index)]
        assert numbers == sorted(numbers)
