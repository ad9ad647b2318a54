"""What a client believes about who leads, told in every order."""

from __future__ import annotations

from client_world import ClientWorld
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.kernel import Actor, Address, Context, Message, Timer
from barnabas.actors.leadership import SUCCESSION_JITTER_MS, Leaderships
from barnabas.actors.messages import (
    BrokerPlace,
    FetchLeadership,
    Leadership,
    LeadershipUpdate,
    Partition,
    PartitionLeader,
)


class Listener(Actor):
    """Nothing but the cache."""

    def __init__(self) -> None:
        self.known = Leaderships(["b1", "b2", "b3"])
        self.moved: list[Partition] = []

    def on_start(self, ctx: Context) -> None:
        self.known.start(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if isinstance(message, Leadership | LeadershipUpdate):
            self.moved += self.known.on_message(message, ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        assert self.known.on_timer(timer, ctx)


def listening(**network: float) -> tuple[ClientWorld, Listener, Partition]:
    world = ClientWorld(**network)  # type: ignore[arg-type]
    topic = world.create("t", 2)
    listener = Listener()
    world.start(listener)
    listener.known.want("t", world.ctx)
    world.run(200)
    return world, listener, Partition(topic.id, 0)


def frame(world: ClientWorld, partition: Partition, leader: int, epoch: int, **chain: int) -> LeadershipUpdate:
    controller_epoch = chain.get("controller_epoch", world.controller_epoch)
    previous = chain.get("previous", world.digest_offset)
    offset = chain.get("offset", world.digest_offset + 1)
    leaders = [PartitionLeader(partition, leader, epoch)]
    return LeadershipUpdate("c", 1, controller_epoch, previous, offset, leaders=leaders)


def test_the_first_digest_tells_where_broadcasts_come_from() -> None:
    _, listener, partition = listening()
    assert listener.known.broadcasts == ["pub1", "pub2"]
    route = listener.known.route(partition)
    assert route is not None
    assert route == ("b1/broker", 0)


def test_brokers_are_asked_in_turn_until_one_answers() -> None:
    world = ClientWorld()
    world.down = {"b1", "b2"}
    listener = Listener()
    world.start(listener)
    world.run(1_000)
    assert listener.known.answered
    assert {to for to, _ in world.requests(FetchLeadership)} >= {"b3/broker"}


def test_brokers_that_answer_late_are_not_asked_for_ever() -> None:
    """Otherwise many clients keep a slow cluster slow: each asks again before its answer can come."""
    world = ClientWorld(delay=(700, 700))
    world.create("t", 2)
    listener = Listener()
    world.start(listener)
    listener.known.want("t", world.ctx)
    world.run(1_400)
    assert listener.known.led("t")
    asked = len(world.requests(FetchLeadership))
    assert asked < 10
    world.run(700)  # until the first broadcast
    assert len(world.requests(FetchLeadership)) <= asked + 1


def test_nobody_is_asked_often_while_nobody_answers_and_at_once_when_there_is_a_word() -> None:
    world, listener, _ = listening()
    world.down, world.heartbeats = {"b1", "b2", "b3"}, False
    world.run(10_000)
    asked = len(world.requests(FetchLeadership))
    world.run(20_000)
    assert len(world.requests(FetchLeadership)) <= asked + 20
    world.down = set()
    world.lead("t", 0, 2)
    world.run(100)
    assert listener.known.offset >= world.digest_offset


def test_another_controller_that_leaves_no_gap_is_no_hurry() -> None:
    world, listener, partition = listening()
    world.run(300)  # the first controller has spoken
    asked = len(world.requests(FetchLeadership))
    world.controller_epoch += 1
    listener.on_message(Address("x/controller"), frame(world, partition, 3, 2), world.ctx)
    assert listener.known.leaders[partition] == (3, 2)
    world.run(SUCCESSION_JITTER_MS + 50)
    assert len(world.requests(FetchLeadership)) == asked + 1


def test_a_frame_of_an_older_controller_is_ignored() -> None:
    world, listener, partition = listening()
    world.controller_epoch = 5
    world.lead("t", 0, 2)
    world.run(100)
    listener.on_message(Address("x/controller"), frame(world, partition, 3, 9, controller_epoch=4), world.ctx)
    assert listener.known.leaders[partition] == (2, 1)


def test_a_leader_epoch_never_goes_back() -> None:
    world, listener, partition = listening()
    assert listener.known.hint(partition, 3, 4)
    assert not listener.known.hint(partition, 2, 4)
    assert not listener.known.hint(partition, 1, 3)
    listener.on_message(Address("x/controller"), frame(world, partition, 2, 2), world.ctx)
    assert listener.known.leaders[partition] == (3, 4)


def test_a_frame_behind_a_gap_is_news_but_does_not_move_the_chain() -> None:
    world, listener, partition = listening()
    before = listener.known.offset
    late = frame(world, partition, 3, 2, previous=world.digest_offset + 5, offset=world.digest_offset + 6)
    listener.on_message(Address("x/controller"), late, world.ctx)
    assert listener.known.leaders[partition] == (3, 2)
    assert listener.known.offset == before


def test_a_gap_is_fetched_once_however_many_frames_show_it() -> None:
    world, listener, partition = listening()
    asked = len(world.requests(FetchLeadership))
    world.lead("t", 0, 2, tell=False)
    world.lead("t", 0, 3)
    world.publish(frame(world, partition, 3, 2, previous=world.digest_offset))
    world.run(60)
    assert len(world.requests(FetchLeadership)) <= asked + 2
    assert listener.known.offset >= world.digest_offset


def test_a_broker_that_moved_house_moves_its_partitions() -> None:
    world, listener, partition = listening()
    listener.moved.clear()
    update = LeadershipUpdate(
        "c", 1, 1, world.digest_offset, world.digest_offset + 1, brokers=[BrokerPlace(1, "elsewhere")]
    )
    listener.on_message(Address("x/controller"), update, world.ctx)
    assert partition in listener.moved
    assert listener.known.route(partition) == ("elsewhere/broker", 0)


def test_another_cluster_is_not_listened_to() -> None:
    world, listener, partition = listening()
    foreign = LeadershipUpdate("other", 1, 9, 0, 10_000, leaders=[PartitionLeader(partition, 2, 99)])
    listener.on_message(Address("x/controller"), foreign, world.ctx)
    assert listener.known.leaders[partition] == (1, 0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    loss=st.sampled_from([0.0, 0.3, 0.6]),
    double=st.sampled_from([0.0, 0.5]),
    slow=st.sampled_from([1, 100, 700]),
)
def test_whatever_is_lost_the_truth_is_known_in_the_end(seed: int, loss: float, double: float, slow: int) -> None:
    world, listener, _ = listening(seed=seed, loss=loss, double=double, delay=(1, slow))  # type: ignore[arg-type]
    topic = world.topics["t"]
    highest = [-1, -1]
    for _ in range(20):
        world.lead("t", world.random.randrange(2), world.random.randint(1, 3), tell=world.random.random() < 0.8)
        world.run(world.random.randint(0, 100))
        for index in range(2):
            known = listener.known.leaders.get(Partition(topic.id, index))
            epoch = -1 if known is None else known.epoch
            assert epoch >= highest[index]
            highest[index] = epoch
    world.loss = 0.0
    world.run(5_000)
    for index in range(2):
        known = listener.known.leaders[Partition(topic.id, index)]
        assert known == (topic.leaders[index], topic.epochs[index])
