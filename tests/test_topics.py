"""Topics are created, grow and are deleted: every refusal is a sentence."""

from __future__ import annotations

from random import Random

import pytest
from administered import CLIENT, Administered

from barnabas.actors.admin_messages import AdminRequest
from barnabas.actors.errors import ErrorCode
from barnabas.actors.messages import CreatePartitions, CreateTopic, DeleteTopic, TopicId
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.topics import name_problem, new_topic_id


def test_a_topic_without_figures_takes_the_defaults() -> None:
    scene = Administered()
    done = scene.done(CreateTopic(1, CLIENT, "orders"))
    assert done.error is ErrorCode.NONE
    assert [len(state.replicas) for state in scene.image.partitions_of(done.topic_id)] == [3, 3]


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (CreateTopic(1, CLIENT, ""), ErrorCode.INVALID_TOPIC_EXCEPTION, "needs a name"),
        (CreateTopic(1, CLIENT, ".."), ErrorCode.INVALID_TOPIC_EXCEPTION, "'..'"),
        (CreateTopic(1, CLIENT, "a/b"), ErrorCode.INVALID_TOPIC_EXCEPTION, "letters, digits"),
        (CreateTopic(1, CLIENT, "a\n"), ErrorCode.INVALID_TOPIC_EXCEPTION, "letters, digits"),
        (CreateTopic(1, CLIENT, "é"), ErrorCode.INVALID_TOPIC_EXCEPTION, "ASCII"),
        (CreateTopic(1, CLIENT, "x" * 250), ErrorCode.INVALID_TOPIC_EXCEPTION, "at most 249"),
        (CreateTopic(1, CLIENT, "t", 0), ErrorCode.INVALID_PARTITIONS, "not 0"),
        (CreateTopic(1, CLIENT, "t", 1_001), ErrorCode.INVALID_PARTITIONS, "1000"),
        (CreateTopic(1, CLIENT, "t", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR, "not 0"),
        (CreateTopic(1, CLIENT, "t", 1, 4), ErrorCode.INVALID_REPLICATION_FACTOR, "3 brokers are registered"),
        (CreateTopic(1, CLIENT, "t", 1, 1, {"a": "b"}), ErrorCode.INVALID_CONFIG, "no topic config 'a'"),
        (CreateTopic(1, CLIENT, "t", 1, assignments=[[1]]), ErrorCode.INVALID_REQUEST, "by hand"),
        (CreateTopic(1, CLIENT, "t", assignments=[[1], []]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "at least one"),
        (CreateTopic(1, CLIENT, "t", assignments=[[1, 1]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "twice"),
        (
            CreateTopic(1, CLIENT, "t", assignments=[[1, 7]]),
            ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            "b7 is not registered",
        ),
        (CreateTopic(1, CLIENT, "t", assignments=[[1, 2], [3]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT, "equally many"),
        (DeleteTopic(1, CLIENT, "t"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no topic 't'"),
        (DeleteTopic(1, CLIENT, "", TopicId("x")), ErrorCode.UNKNOWN_TOPIC_ID, "no topic with the id 'x'"),
        (CreatePartitions(1, CLIENT, "t", 5), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no topic 't'"),
    ],
)
def test_it_is_refused_in_words(request_: AdminRequest, error: ErrorCode, words: str) -> None:
    scene = Administered()
    done = scene.done(request_)
    assert done.error is error
    assert words in done.reason
    assert scene.image.topics == {}


def test_a_name_may_have_249_characters() -> None:
    assert name_problem("x" * 249) is None
    assert name_problem("Az0._-") is None


def test_a_topic_that_exists_is_refused_with_its_id() -> None:
    scene = Administered()
    first = scene.done(CreateTopic(1, CLIENT, "orders"))
    again = scene.done(CreateTopic(2, CLIENT, "orders"))
    assert (again.error, again.topic_id) == (ErrorCode.TOPIC_ALREADY_EXISTS, first.topic_id)


def test_a_request_that_was_granted_is_answered_the_same_for_ever_after() -> None:
    scene = Administered()
    first = scene.done(CreateTopic(1, CLIENT, "orders"))
    deleted = scene.done(DeleteTopic(2, CLIENT, "orders"))
    assert scene.done(CreateTopic(1, CLIENT, "orders")) == first
    assert scene.done(DeleteTopic(2, CLIENT, "orders")) == deleted
    assert scene.image.topics == {}


def test_a_request_that_was_refused_is_refused_for_ever_after() -> None:
    scene = Administered()
    scene.done(CreateTopic(1, CLIENT, "orders"))
    refused = scene.done(CreateTopic(2, CLIENT, "orders"))
    scene.done(DeleteTopic(3, CLIENT, "orders"))
    assert scene.done(CreateTopic(2, CLIENT, "orders")) == refused
    assert scene.image.topics == {}


def test_a_request_that_is_to_come_again_later_is_judged_anew_then() -> None:
    scene = Administered(down=3)
    assert scene.done(CreateTopic(1, CLIENT, "orders")).error is ErrorCode.BROKER_NOT_AVAILABLE
    scene.unfence(1)
    assert scene.done(CreateTopic(1, CLIENT, "orders")).error is ErrorCode.NONE


def test_a_topic_made_again_is_another_topic() -> None:
    scene = Administered()
    first = scene.done(CreateTopic(1, CLIENT, "orders"))
    scene.done(DeleteTopic(2, CLIENT, "orders"))
    assert scene.done(CreateTopic(3, CLIENT, "orders")).topic_id != first.topic_id


def test_brokers_that_are_down_get_replicas_only_if_there_are_too_few_others() -> None:
    scene = Administered(brokers=4, down=1)
    done = scene.done(CreateTopic(1, CLIENT, "orders", 8))
    assert all(1 not in state.replicas for state in scene.image.partitions_of(done.topic_id))
    scene = Administered(brokers=3, down=1)
    done = scene.done(CreateTopic(1, CLIENT, "orders", 8))
    for state in scene.image.partitions_of(done.topic_id):
        assert sorted(state.replicas) == [1, 2, 3]
        assert sorted(state.isr) == [2, 3]
        assert state.leader in state.isr


def test_without_a_broker_that_is_up_there_is_no_topic_yet() -> None:
    done = Administered(brokers=3, down=3).done(CreateTopic(1, CLIENT, "orders"))
    assert (done.error, done.error.retriable) == (ErrorCode.BROKER_NOT_AVAILABLE, True)


def test_a_topic_id_is_a_random_uuid_as_kafka_prints_it() -> None:
    random = Random(1)
    for _ in range(200):
        topic_id = new_topic_id(MetadataImage(), random)
        assert len(topic_id) == 22
        assert not topic_id.startswith("-")


def test_replicas_may_be_given_by_hand_and_a_request_may_be_tried() -> None:
    scene = Administered()
    assert scene.done(CreateTopic(1, CLIENT, "orders", 2, validate_only=True)).error is ErrorCode.NONE
    assert scene.image.topics == {}
    scene.done(CreateTopic(2, CLIENT, "orders", assignments=[[2, 1], [3, 2]]))
    assert [scene.state("orders", index).replicas for index in (0, 1)] == [(2, 1), (3, 2)]


def test_a_topic_grows_and_its_old_partitions_stay_as_they_are() -> None:
    scene = Administered()
    scene.done(CreateTopic(1, CLIENT, "orders", 3))
    before = [scene.state("orders", index) for index in range(3)]
    assert scene.done(CreatePartitions(2, CLIENT, "orders", 6, validate_only=True)).error is ErrorCode.NONE
    assert len(scene.image.partitions) == 3
    scene.done(CreatePartitions(3, CLIENT, "orders", 6))
    assert [scene.state("orders", index) for index in range(3)] == before
    leaders = [scene.state("orders", index).leader for index in range(6)]
    assert sorted(leaders) == [1, 1, 2, 2, 3, 3]
    assert {len(scene.state("orders", index).replicas) for index in range(6)} == {3}


def test_growth_is_refused_in_words() -> None:
    scene = Administered()
    scene.done(CreateTopic(1, CLIENT, "orders", 3))
    scene.internal("__consumer_offsets")
    for request, words in (
        (CreatePartitions(3, CLIENT, "orders", 3), "has 3 partitions already"),
        (CreatePartitions(4, CLIENT, "orders", 2), "cannot shrink"),
        (CreatePartitions(5, CLIENT, "orders", 1_001), "1 to 1000"),
        (CreatePartitions(6, CLIENT, "orders", 5, [[1, 2, 3]]), "given for 1 partitions, and 2"),
        (CreatePartitions(7, CLIENT, "__consumer_offsets", 5), "internal topic"),
    ):
        done = scene.done(request)
        assert done.error is not ErrorCode.NONE
        assert words in done.reason


def test_an_internal_topic_cannot_be_deleted() -> None:
    scene = Administered()
    scene.internal("__consumer_offsets")
    done = scene.done(DeleteTopic(2, CLIENT, "__consumer_offsets"))
    assert (done.error, len(scene.image.topics)) == (ErrorCode.INVALID_TOPIC_EXCEPTION, 1)
    assert "the cluster needs" in done.reason


def test_a_topic_may_be_deleted_by_its_id() -> None:
    scene = Administered()
    topic_id = scene.done(CreateTopic(1, CLIENT, "orders")).topic_id
    assert scene.done(DeleteTopic(2, CLIENT, "", topic_id)).error is ErrorCode.NONE
    assert scene.image.topics == {}
