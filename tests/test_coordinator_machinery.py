"""How a coordinator's topic comes to be, how it is found, and what a broker tells the coordinators in its node."""

from __future__ import annotations

from random import Random

import pytest
from administered import CLIENT, Administered

from barnabas.actors.coordinator_log_messages import (
    AppendRecords,
    Committed,
    LeaseRenewed,
    RecordsAppended,
    TermBegan,
    TermEnded,
    TopicsMoved,
)
from barnabas.actors.coordinator_lookup import MAX_KEYS
from barnabas.actors.coordinator_messages import CoordinatorKind, CoordinatorPlace
from barnabas.actors.decisions import refusal
from barnabas.actors.envelope import RouteGone
from barnabas.actors.errors import ErrorCode
from barnabas.actors.internal_topics import GROUP_OFFSETS, INTERNAL_TOPICS, java_hash, partition_of
from barnabas.actors.kernel import Actor, Address, Context, Incarnation, Message, Millis, Payload, address
from barnabas.actors.messages import (
    CoordinatorsFound,
    CreateInternalTopic,
    CreateTopic,
    DeleteTopic,
    Describe,
    FindCoordinator,
    InternalTopicCreated,
    Partition,
    Produce,
    ProduceBatch,
    Produced,
    TopicId,
)
from barnabas.actors.metadata_service import describe
from barnabas.actors.node import Node
from barnabas.cluster.world import World
from barnabas.simulation.machines import Machines
from barnabas.simulation.swarm import Shape
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, encode_batch

# --- Names and numbers ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("my-group", 2388469534),
        ("polygenelubricants", 0x80000000),
        ("𝒳", 1772318),
    ],
)
def test_names_are_hashed_as_java_does(text: str, value: int) -> None:
    assert java_hash(text) == value


def test_a_hash_that_java_takes_for_negative_is_made_positive_as_kafka_does() -> None:
    assert partition_of("polygenelubricants", 12) == 0
    assert all(0 <= partition_of(f"group-{n}", 12) < 12 for n in range(100))


# --- Making the topic ---


def test_a_broker_has_an_internal_topic_made_with_the_default_replication() -> None:
    scene = Administered()
    made = scene.internal(GROUP_OFFSETS)
    topic = scene.image.topic(GROUP_OFFSETS)
    assert topic is not None and topic.partitions == 12
    assert {len(state.replicas) for state in scene.image.partitions_of(topic.id)} == {3}
    assert scene.image.configs(topic.id).compacts and not scene.image.configs(topic.id).deletes
    again = scene.internal(GROUP_OFFSETS)
    assert made == again == InternalTopicCreated(7, ErrorCode.NONE, topic.id, scene.image.controller)


@pytest.mark.parametrize(
    ("name", "broker_epoch", "error"),
    [
        (GROUP_OFFSETS, 0, ErrorCode.STALE_BROKER_EPOCH),
        (GROUP_OFFSETS, 99, ErrorCode.NOT_CONTROLLER),
        ("orders", None, ErrorCode.INVALID_TOPIC_EXCEPTION),
    ],
)
def test_only_a_living_broker_has_them_made_and_no_other_topic(
    name: str, broker_epoch: int | None, error: ErrorCode
) -> None:
    scene = Administered()
    reply = scene.internal(name, 1, broker_epoch)
    assert reply.error is error and reply.reason
    assert scene.image.topics == {}


@pytest.mark.parametrize("name", sorted(INTERNAL_TOPICS))
def test_clients_neither_make_nor_delete_internal_topics(name: str) -> None:
    scene = Administered()
    made = scene.done(CreateTopic(1, CLIENT, name))
    assert made.error is ErrorCode.INVALID_TOPIC_EXCEPTION and name in made.reason
    scene.internal(name)
    gone = scene.done(DeleteTopic(3, CLIENT, name))
    assert gone.error is ErrorCode.INVALID_TOPIC_EXCEPTION and name in gone.reason


def test_pictures_say_which_topics_are_internal() -> None:
    scene = Administered()
    scene.done(CreateTopic(1, CLIENT, "orders", 1))
    scene.internal(GROUP_OFFSETS)
    pictures = describe(scene.image, Describe(1), "c").topics
    assert [(topic.name, topic.internal) for topic in pictures] == [(GROUP_OFFSETS, True), ("orders", False)]


# --- The whole of it, in a world ---


class Coordinator(Actor):
    """Writes down what its broker says, and forwards what a test wants said."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if isinstance(message, AppendRecords):
            ctx.send(address("b1" if ctx.me.startswith("b1") else ctx.me.rpartition("/")[0], "broker"), message)
            return
        self.heard.append(message)

    def said(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.heard if isinstance(message, kind)]


class Asker(Actor):
    """A client that says what it is told to say, to the broker it is told."""

    def __init__(self) -> None:
        self.answers: list[Message] = []
        self.to = "b1"

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if sender == "local":
            ctx.send(address(self.to, "broker"), message)
        else:
            self.answers.append(message)


class Cluster:
    """Three nodes with brokers and coordinators that only listen."""

    def __init__(self) -> None:
        self.world = World(3)
        self.coordinators: dict[str, Coordinator] = {}
        machines = Machines(self.world, Shape())
        plain = machines.actors

        def actors(boot: object) -> dict[str, Actor]:
            name = boot.name  # type: ignore[attr-defined]
            self.coordinators[name] = Coordinator()
            return {**plain(boot), "groups": self.coordinators[name]}  # type: ignore[arg-type]

        machines.actors = actors  # type: ignore[method-assign, assignment]
        self.asker = Asker()
        self.world.add("c", lambda boot: {"asker": self.asker}, MemoryDisk(Random(1)))
        machines.start()
        self.world.start("c")
        self.world.run_until(3_000_000)

    def ask(self, message: Message, ms: int = 2_000, to: str = "b1") -> Message:
        self.asker.to = to
        self.asker.answers.clear()
        self.world.tell("c", "asker", message)
        assert self.world.run_while(lambda: not self.asker.answers, ms * 1000)
        return self.asker.answers[0]

    def terms(self) -> list[Message]:
        """Those that coordinators have been told of."""
        return [term for each in self.coordinators.values() for term in each.said(TermBegan)]

    def place(self, group: str) -> CoordinatorPlace:
        found = self.ask(FindCoordinator(1, CoordinatorKind.GROUP, [group]))
        assert isinstance(found, CoordinatorsFound)
        return found.places[0]


@pytest.fixture
def made() -> Cluster:
    cluster = Cluster()
    place = cluster.place("g")
    assert place.error is ErrorCode.NONE, place
    # A client may be answered before every broker has been told what it leads, and has taken it on slice by slice.
    assert cluster.world.run_while(lambda: len(cluster.terms()) < 12, 1_000_000)
    return cluster


def test_the_first_question_for_a_coordinator_has_the_topic_made_and_is_answered_then(made: Cluster) -> None:
    places = {made.place(f"g{n}").endpoint for n in range(40)}
    assert places == {"b1", "b2", "b3"}
    other = made.ask(FindCoordinator(1, CoordinatorKind.GROUP, ["g"]), to="b3")
    assert isinstance(other, CoordinatorsFound) and other.places[0].endpoint == made.place("g").endpoint


def test_too_many_keys_are_refused_in_words(made: Cluster) -> None:
    found = made.ask(FindCoordinator(1, CoordinatorKind.GROUP, ["g"] * (MAX_KEYS + 1)))
    assert isinstance(found, CoordinatorsFound)
    assert found.places[0].error is ErrorCode.INVALID_REQUEST and "1000" in found.places[0].reason


def test_coordinators_are_told_of_terms_topics_and_the_lease(made: Cluster) -> None:
    assert sorted(term.partition.index for term in made.terms()) == list(range(12))  # type: ignore[attr-defined]
    for coordinator in made.coordinators.values():
        assert coordinator.said(LeaseRenewed)
        moved = coordinator.said(TopicsMoved)
        assert moved[0].whole  # type: ignore[attr-defined]
        assert [name.name for each in moved for name in each.topics] == [GROUP_OFFSETS]  # type: ignore[attr-defined]


def test_records_of_a_coordinator_are_written_at_once_and_committed_later(made: Cluster) -> None:
    host = made.place("g").endpoint
    coordinator = made.coordinators[host]
    term = coordinator.said(TermBegan)[0]
    assert isinstance(term, TermBegan)
    batch = encode_batch([Record(b"k", b"v"), Record(b"l", b"w")], timestamp=1)
    made.world.tell(host, "groups", AppendRecords(5, term.partition, term.leader_epoch, Payload(batch)))
    [appended] = coordinator.said(RecordsAppended)
    assert appended == RecordsAppended(5, term.partition, term.leader_epoch, ErrorCode.NONE, 0, 2)
    assert Committed(term.partition, term.leader_epoch, 2) not in coordinator.heard
    made.world.run_until(made.world.now + 500_000)
    assert Committed(term.partition, term.leader_epoch, 2) in coordinator.heard
    for epoch, error in ((term.leader_epoch - 1, "UNKNOWN"), (term.leader_epoch + 1, ErrorCode.UNKNOWN_LEADER_EPOCH)):
        if epoch >= 0:
            made.world.tell(host, "groups", AppendRecords(6, term.partition, epoch, Payload(batch)))
            refused = coordinator.said(RecordsAppended)[-1]
            assert refused.error is error and refused.base == -1  # type: ignore[attr-defined]


def test_clients_do_not_write_to_internal_topics(made: Cluster) -> None:
    host = made.place("g").endpoint
    term = made.coordinators[host].said(TermBegan)[0]
    assert isinstance(term, TermBegan)
    batch = encode_batch([Record(b"k", b"v")], timestamp=1)
    answer = made.ask(Produce(1, 1, 1000, [ProduceBatch(term.partition, -1, Payload(batch))]), to=host)
    assert isinstance(answer, Produced)
    assert answer.batches[0].error is ErrorCode.INVALID_TOPIC_EXCEPTION and GROUP_OFFSETS in answer.batches[0].reason


def test_a_term_ends_when_the_broker_is_no_longer_the_leader(made: Cluster) -> None:
    host = made.place("g").endpoint
    mine = {term.partition for term in made.coordinators[host].said(TermBegan)}  # type: ignore[attr-defined]
    made.world.pause(host, 8_000_000)
    made.world.run_until(made.world.now + 12_000_000)
    ended = {term.partition for term in made.coordinators[host].said(TermEnded)}  # type: ignore[attr-defined]
    assert ended == mine
    others = {
        term.partition
        for name, coordinator in made.coordinators.items()
        if name != host
        for term in coordinator.said(TermBegan)
    }  # type: ignore[attr-defined]
    assert others == {Partition(next(iter(mine)).topic, index) for index in range(12)}


# --- The end of a connection ---


class Listener(Actor):
    def __init__(self) -> None:
        self.heard: list[Message] = []

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        self.heard.append(message)


def test_the_end_of_a_connection_is_told_to_all_actors_of_a_node() -> None:
    actors = {"a": Listener(), "b": Listener()}
    node = Node("n", Incarnation(1), MemoryDisk(Random(1)), Random(1), {**actors})
    node.start(Millis(0), Millis(0))
    node.route_gone("@x", Millis(5), Millis(5))
    assert [actor.heard for actor in actors.values()] == [[RouteGone("@x")], [RouteGone("@x")]]


def test_a_client_that_dies_is_noticed_where_it_was_connected(made: Cluster) -> None:
    made.world.crash("c")
    made.world.run_until(made.world.now + 100_000)
    gone = made.coordinators["b1"].said(RouteGone)
    assert [message.route[:3] for message in gone] == ["@c#"]  # type: ignore[attr-defined]


def test_a_controller_that_is_not_active_says_who_is() -> None:
    request = CreateInternalTopic(3, 1, 1, GROUP_OFFSETS)
    assert refusal(request, ErrorCode.NOT_CONTROLLER, 2, "no") == InternalTopicCreated(
        3, ErrorCode.NOT_CONTROLLER, TopicId(""), 2, "no"
    )
