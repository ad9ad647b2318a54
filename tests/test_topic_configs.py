"""The table of topic configs: what is refused, in words, and what holds when nothing is set."""

from __future__ import annotations

import pytest

from barnabas.actors.topic_configs import DEFINITIONS, TopicConfigs, validate


def test_every_default_is_itself_legal() -> None:
    assert validate({name: definition.default for name, definition in DEFINITIONS.items()}) == []


def test_an_unknown_config_is_refused_with_the_names_that_exist() -> None:
    [sentence] = validate({"retention.hours": "1"})
    assert "'retention.hours'" in sentence
    assert "retention.ms" in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.ms", "-2"),
        ("retention.ms", "a week"),
        ("retention.ms", ""),
        ("retention.ms", "٣"),
        ("retention.ms", "9" * 19),
        ("retention.ms", "9" * 5000),
        ("segment.bytes", "13"),
        ("min.insync.replicas", "0"),
        ("durability", "maybe"),
        ("cleanup.policy", "delete,delete"),
        ("cleanup.policy", ""),
    ],
)
def test_an_illegal_value_is_refused_with_what_was_expected(name: str, value: str) -> None:
    [sentence] = validate({name: value})
    assert sentence.startswith(f"{name} must be ")


@pytest.mark.parametrize(("name", "value"), [("retention.ms", "-1"), ("cleanup.policy", "compact,delete")])
def test_a_legal_value_is_accepted(name: str, value: str) -> None:
    assert validate({name: value}) == []


def test_a_topics_own_config_comes_before_the_clusters_and_that_before_the_table() -> None:
    configs = TopicConfigs({"segment.ms": "5"}, {"segment.ms": "6", "retention.ms": "7"})
    assert (configs.segment_ms, configs.retention_ms, configs.segment_bytes) == (5, 7, 1 << 30)


def test_min_insync_is_never_more_than_the_replicas_there_are() -> None:
    assert TopicConfigs({}).effective_min_insync(1) == 1
    assert TopicConfigs({}).effective_min_insync(3) == 2


def test_the_typed_access_reads_what_the_words_say() -> None:
    configs = TopicConfigs({"durability": "os", "cleanup.policy": "compact"})
    assert (configs.durability, configs.compacts, configs.deletes) == ("os", True, False)
    assert (configs.max_message_bytes, configs.retention_bytes, configs.min_insync_replicas) == (1_048_588, -1, 2)
    assert list(configs.all()) == sorted(DEFINITIONS)
