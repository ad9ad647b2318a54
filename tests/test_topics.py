"""Creating and deleting topics: every refusal is a sentence."""

from __future__ import annotations

from random import Random

import pytest
from recording import Recording

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import AdminDone, CreateTopic, DeleteTopic
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import BrokerFenced, BrokerRegistered, BrokerUnfenced, ClusterDefaults
from barnabas.actors.topics import create, delete, name_problem, new_topic_id

CLIENT = Incarnation(5)


def cluster(brokers: int = 3, down: int = 0) -> MetadataImage:
    image = MetadataImage()
    image.apply([ClusterDefaults(2, 3, {})], 0)
    for broker in range(1, brokers + 1):
        epoch = image.end
        image.apply(
            [BrokerRegistered(broker, Incarnation(broker), "d", f"b{broker}", ""), BrokerUnfenced(broker, epoch)], epoch
        )
    for broker in range(1, down + 1):
        image.apply([BrokerFenced(broker, image.brokers[broker].epoch)], image.end)
    return image


def make(image: MetadataImage, request: CreateTopic | DeleteTopic, ctx: Recording | None = None) -> AdminDone:
    ctx = ctx or Recording()
    decision = create(image, request, ctx) if isinstance(request, CreateTopic) else delete(image, request, ctx)
    if decision.records:
        image.apply(decision.records, image.end)
        assert image.violations() == []
    reply = decision.reply()
    assert isinstance(reply, AdminDone)
    return reply


def test_a_topic_without_figures_takes_the_defaults() -> None:
    image = cluster()
    done = make(image, CreateTopic(1, CLIENT, "orders"))
    assert done.error is ErrorCode.NONE
    assert [len(state.replicas) for state in image.partitions_of(done.topic_id)] == [3, 3]


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
        (DeleteTopic(1, CLIENT, "t"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no topic 't'"),
    ],
)
def test_it_is_refused_in_words(request_: CreateTopic | DeleteTopic, error: ErrorCode, words: str) -> None:
    image = cluster()
    done = make(image, request_)
    assert done.error is error
    assert words in done.reason
    assert image.topics == {}


def test_a_name_may_have_249_characters() -> None:
    assert name_problem("x" * 249) is None
    assert name_problem("Az0._-") is None


def test_a_topic_that_exists_is_refused_with_its_id() -> None:
    image = cluster()
    first = make(image, CreateTopic(1, CLIENT, "orders"))
    again = make(image, CreateTopic(2, CLIENT, "orders"))
    assert (again.error, again.topic_id) == (ErrorCode.TOPIC_ALREADY_EXISTS, first.topic_id)


def test_a_request_that_was_granted_is_answered_the_same_for_ever_after() -> None:
    image = cluster()
    first = make(image, CreateTopic(1, CLIENT, "orders"))
    deleted = make(image, DeleteTopic(2, CLIENT, "orders"))
    assert make(image, CreateTopic(1, CLIENT, "orders")) == first
    assert make(image, DeleteTopic(2, CLIENT, "orders")) == deleted
    assert image.topics == {}


def test_a_topic_made_again_is_another_topic() -> None:
    image, ctx = cluster(), Recording()
    first = make(image, CreateTopic(1, CLIENT, "orders"), ctx)
    make(image, DeleteTopic(2, CLIENT, "orders"), ctx)
    assert make(image, CreateTopic(3, CLIENT, "orders"), ctx).topic_id != first.topic_id


def test_brokers_that_are_down_get_replicas_only_if_there_are_too_few_others() -> None:
    image = cluster(brokers=4, down=1)
    done = make(image, CreateTopic(1, CLIENT, "orders", 8))
    assert all(1 not in state.replicas for state in image.partitions_of(done.topic_id))
    image = cluster(brokers=3, down=1)
    done = make(image, CreateTopic(1, CLIENT, "orders", 8))
    for state in image.partitions_of(done.topic_id):
        assert sorted(state.replicas) == [1, 2, 3]
        assert sorted(state.isr) == [2, 3]
        assert state.leader in state.isr


def test_without_a_broker_that_is_up_there_is_no_topic_yet() -> None:
    done = make(cluster(brokers=3, down=3), CreateTopic(1, CLIENT, "orders"))
    assert (done.error, done.error.retriable) == (ErrorCode.BROKER_NOT_AVAILABLE, True)


def test_a_topic_id_is_a_random_uuid_as_kafka_prints_it() -> None:
    random = Random(1)
    for _ in range(200):
        topic_id = new_topic_id(MetadataImage(), random)
        assert len(topic_id) == 22
        assert not topic_id.startswith("-")
