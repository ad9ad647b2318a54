"""Configs are altered as a whole or not at all, and described with where each value comes from."""

from __future__ import annotations

import pytest
from administered import CLIENT, Administered

from barnabas.actors import broker_configs
from barnabas.actors.admin_messages import ConfigChange, ConfigEntry, ConfigResource, ConfigSource
from barnabas.actors.configs import describe_configs
from barnabas.actors.errors import ErrorCode
from barnabas.actors.messages import AdminDone, AlterConfigs, CreateTopic, DescribeConfigs
from barnabas.actors.topic_configs import validate


def changes(*texts: str) -> list[ConfigChange]:
    """`set name value`, `delete name`, `append name value`, `subtract name value`."""
    words = [text.split(" ") for text in texts]
    return [ConfigChange(name, operation, *value) for operation, name, *value in words]  # type: ignore[arg-type]


class Scene(Administered):
    def __init__(self) -> None:
        super().__init__()
        self.requests = 10
        self.done(CreateTopic(1, CLIENT, "orders"))

    def alter(
        self, *texts: str, topic: str = "orders", replace: bool = False, validate_only: bool = False
    ) -> AdminDone:
        self.requests += 1
        return self.done(AlterConfigs(self.requests, CLIENT, "topic", topic, changes(*texts), replace, validate_only))

    def alter_broker(self, name: str, *texts: str) -> AdminDone:
        self.requests += 1
        return self.done(AlterConfigs(self.requests, CLIENT, "broker", name, changes(*texts)))

    def entry(self, config: str, kind: str = "topic", name: str = "orders") -> ConfigEntry:
        resource = ConfigResource(kind, name, [config])  # type: ignore[arg-type]
        [picture] = describe_configs(self.image, DescribeConfigs(1, [resource])).resources
        [entry] = picture.entries
        return entry

    @property
    def own(self) -> dict[str, str]:
        topic = self.image.topic("orders")
        assert topic is not None
        return topic.configs


def test_a_config_is_set_and_taken_back() -> None:
    scene = Scene()
    assert scene.alter("set retention.ms 1000", "set segment.ms 5").error is ErrorCode.NONE
    assert scene.own == {"retention.ms": "1000", "segment.ms": "5"}
    scene.alter("delete retention.ms", "delete cleanup.policy")
    assert scene.own == {"segment.ms": "5"}


def test_lists_are_appended_to_and_subtracted_from() -> None:
    scene = Scene()
    scene.alter("append cleanup.policy compact,delete")
    assert scene.own == {"cleanup.policy": "delete,compact"}
    scene.alter("subtract cleanup.policy delete")
    assert scene.own == {"cleanup.policy": "compact"}


def test_the_older_way_replaces_all_that_was_set() -> None:
    scene = Scene()
    scene.alter("set retention.ms 1000", "set segment.ms 5")
    scene.alter("set segment.ms 6", replace=True)
    assert scene.own == {"segment.ms": "6"}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ("set retention.ms week", ErrorCode.INVALID_CONFIG, "whole number from -1"),
        ("set retention.hours 1", ErrorCode.INVALID_CONFIG, "no topic config 'retention.hours'"),
        ("set durability os", ErrorCode.INVALID_CONFIG, "cannot be altered"),
        ("append retention.ms 1", ErrorCode.INVALID_CONFIG, "is no list"),
        ("subtract cleanup.policy delete", ErrorCode.INVALID_CONFIG, "one or more of"),
        ("set min.insync.replicas 0", ErrorCode.INVALID_CONFIG, "whole number from 1"),
        ("set compression.type gzip", ErrorCode.INVALID_CONFIG, "must be producer"),
    ],
)
def test_it_is_refused_in_words_and_nothing_changes(change: str, error: ErrorCode, words: str) -> None:
    scene = Scene()
    done = scene.alter("set segment.ms 5", change)
    assert (done.error, scene.own) == (error, {})
    assert words in done.reason


def test_what_cannot_be_is_refused_in_words() -> None:
    scene = Scene()
    assert "no topic 'nothing'" in scene.alter("set segment.ms 5", topic="nothing").reason
    assert "named twice" in scene.alter("set segment.ms 5", "delete segment.ms").reason
    assert "no broker '9'; there are 1, 2, 3" in scene.alter_broker("9", "set x y").reason
    assert "no broker 'x'" in scene.alter_broker("x", "set x y").reason
    assert "for all brokers alike" in scene.alter_broker("1", "set log.retention.ms 5").reason
    assert "no broker config 'x'" in scene.alter_broker("1", "set x y").reason
    scene.internal("__consumer_offsets")
    assert "internal" in scene.alter("set cleanup.policy delete", topic="__consumer_offsets").reason
    assert scene.alter("set segment.bytes 2000000", topic="__consumer_offsets").error is ErrorCode.NONE


def test_a_change_may_be_tried_without_being_made() -> None:
    scene = Scene()
    assert scene.alter("set segment.ms 5", validate_only=True).error is ErrorCode.NONE
    assert scene.alter("set segment.ms x", validate_only=True).error is ErrorCode.INVALID_CONFIG
    assert scene.own == {}


def test_a_change_that_is_asked_for_again_is_not_made_again() -> None:
    scene = Scene()
    request = AlterConfigs(1000, CLIENT, "topic", "orders", changes("set segment.ms 5"))
    first = scene.done(request)
    scene.alter("delete segment.ms")
    assert scene.done(request) == first
    assert scene.own == {}


def test_the_strongest_source_holds_and_all_are_told() -> None:
    scene = Scene()
    assert scene.entry("retention.ms").source is ConfigSource.DEFAULT
    scene.alter_broker("", "set log.retention.ms 77")
    entry = scene.entry("retention.ms")
    assert (entry.value, entry.default, entry.source, entry.type) == ("77", "604800000", ConfigSource.CLUSTER, "long")
    scene.alter("set retention.ms 5")
    entry = scene.entry("retention.ms")
    assert (entry.value, entry.source) == ("5", ConfigSource.TOPIC)
    assert [(synonym.name, synonym.value) for synonym in entry.synonyms] == [
        ("retention.ms", "5"),
        ("log.retention.ms", "77"),
        ("log.retention.ms", "604800000"),
    ]
    topic = scene.image.topic("orders")
    assert topic is not None
    assert scene.image.configs(topic.id).retention_ms == 5


def test_a_brokers_own_value_comes_before_that_of_all() -> None:
    scene = Scene()
    name = broker_configs.MOVE_RATE
    scene.alter_broker("", f"set {name} 1000")
    scene.alter_broker("2", f"set {name} 2000")
    assert scene.entry(name, "broker", "1").value == "1000"
    assert (scene.entry(name, "broker", "2").value, scene.entry(name, "broker", "2").source) == (
        "2000",
        ConfigSource.BROKER,
    )


def test_what_a_broker_is_can_be_read_and_not_altered() -> None:
    scene = Scene()
    assert scene.entry("broker.id", "broker", "2").read_only
    assert scene.entry("num.partitions", "broker", "").value == "2"
    assert scene.entry("durability").read_only


def test_nobody_is_described_in_words() -> None:
    scene = Scene()
    resources = [ConfigResource("topic", "nothing"), ConfigResource("broker", "7")]
    pictures = describe_configs(scene.image, DescribeConfigs(1, resources)).resources
    assert [picture.error for picture in pictures] == [
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.INVALID_REQUEST,
    ]
    assert all(picture.reason and not picture.entries for picture in pictures)


def test_every_default_of_brokers_is_legal_and_every_config_is_described() -> None:
    scene = Scene()
    definitions = broker_configs.DEFINITIONS
    assert validate({name: one.default for name, one in definitions.items()}, definitions, "broker") == []
    [picture] = describe_configs(scene.image, DescribeConfigs(1, [ConfigResource("broker", "1")])).resources
    assert {*definitions} <= {entry.name for entry in picture.entries}
    assert all(entry.doc for entry in picture.entries)
    assert [entry.name for entry in picture.entries] == sorted(entry.name for entry in picture.entries)


@pytest.mark.parametrize("all_brokers", [True, False])
def test_with_a_lower_min_insync_the_isr_suffices_and_no_elr_is_kept(all_brokers: bool) -> None:
    scene = Scene()
    leader = scene.state("orders").leader
    for broker in (1, 2, 3):
        if broker != leader:
            scene.fence(broker)
    assert scene.state("orders").elr
    if all_brokers:
        scene.alter_broker("", "set min.insync.replicas 1")
    else:
        scene.alter("set min.insync.replicas 1")
    assert (scene.state("orders").isr, scene.state("orders").elr) == ((leader,), ())


def test_with_a_lower_min_insync_records_may_commit_where_none_could() -> None:
    scene = Scene()
    scene.fence(2)
    scene.fence(3)
    scene.done(CreateTopic(2, CLIENT, "young"))
    assert scene.state("young").pristine
    scene.alter_broker("", "set min.insync.replicas 1")
    assert not scene.state("young").pristine
    scene.alter_broker("", "set min.insync.replicas 2")
    assert not scene.state("young").pristine, "what was committed meanwhile stays so"
