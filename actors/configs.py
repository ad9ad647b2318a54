"""Configs that change while the cluster runs, and where each value comes from.

A change is judged as a whole, against what is set now: either all of it is written or none. What is written is what is
set afterwards, not what was asked for, so applying it needs no judgement. A topic's configs are found in four places,
strongest first: its own, those of all brokers (`broker_configs`), the cluster file, the table.

Brokers act on a change as soon as they have applied it, since they ask the image. Two things cannot be altered: the
durability of a topic, because what was acknowledged under one promise cannot be counted under the other; and the
cleanup policy of internal topics, whose readers rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import eq

from . import broker_configs, topic_configs
from .admin_messages import (
    AlterConfigs,
    ConfigChange,
    ConfigEntry,
    ConfigPicture,
    ConfigResource,
    ConfigsDescribed,
    ConfigSource,
    ConfigSynonym,
    DescribeConfigs,
)
from .admin_requests import NO_TOPIC, Refused, Ruling, topic_called
from .broker_configs import ALL_BROKERS, FOR_ALL, TOPIC_NAMES
from .elections import settle
from .errors import ErrorCode
from .internal_topics import INTERNAL_TOPICS
from .metadata import MetadataImage
from .metadata_records import BrokersConfigured, MetadataRecord, PartitionChanged, TopicConfigured
from .topic_configs import ConfigDefinition, TopicConfigs

_BROKER_NAMES = {topic: broker for broker, topic in TOPIC_NAMES.items()}


# --- altering


def alter_configs(image: MetadataImage, request: AlterConfigs) -> Ruling:
    """Change the configs of one topic, one broker or all brokers. Raises Refused."""
    topic_id = NO_TOPIC
    record: MetadataRecord
    if request.kind == "topic":
        topic = topic_called(image, request.name)
        before, topic_id = topic.configs, topic.id
        after = _altered(before, request, topic_configs.DEFINITIONS)
        if topic.name in INTERNAL_TOPICS and after.get("cleanup.policy") != before.get("cleanup.policy"):
            reason = f"{topic.name} is an internal topic: its cleanup.policy cannot be altered."
            raise Refused(ErrorCode.INVALID_CONFIG, reason)
        record = TopicConfigured(topic.id, after)
        of = f"topic {topic.name}"
    else:
        broker = _broker(image, request.name)
        before = image.broker_configs.get(broker, {})
        after = _altered(before, request, broker_configs.DEFINITIONS)
        only_for_all = sorted(FOR_ALL & set(after)) if broker != ALL_BROKERS else []
        if only_for_all:
            reason = f"{only_for_all[0]} holds for all brokers alike: set it for all of them, not for b{broker}."
            raise Refused(ErrorCode.INVALID_CONFIG, reason)
        record = BrokersConfigured(broker, after)
        of = "all brokers" if broker == ALL_BROKERS else f"b{broker}"
    records = [] if after == before else [record, *_enough_now(image, record)]
    return Ruling(records, f"a client altered the configs of {of}", topic_id, tried=request.validate_only)


def _enough_now(image: MetadataImage, record: MetadataRecord) -> list[PartitionChanged]:
    """Where min.insync.replicas falls, the ISR may suffice from now on: then no ELR is kept, and records may commit."""
    changes = []
    for partition in sorted(image.partitions):
        state = image.partitions[partition]
        if not (state.elr or state.last_known_elr or state.pristine):
            continue
        own, defaults = image.topics[partition.topic].configs, image.topic_defaults
        if isinstance(record, TopicConfigured):
            own = record.configs if record.id == partition.topic else own
        elif isinstance(record, BrokersConfigured) and record.broker == ALL_BROKERS:
            defaults = image.topic_defaults_with(record.configs)
        min_insync = TopicConfigs(own, defaults).effective_min_insync(len(state.original))
        changes.append(settle(state, state, partial(eq, state.leader), min_insync))
    return [change for change in changes if change is not None]


def _broker(image: MetadataImage, name: str) -> int:
    if name == "":
        return ALL_BROKERS
    if not (name.isascii() and name.isdecimal() and int(name) in image.brokers):
        there_are = ", ".join(str(broker) for broker in sorted(image.brokers)) or "none"
        reason = f"There is no broker {name!r}; there are {there_are}."
        raise Refused(ErrorCode.INVALID_REQUEST, reason)
    return int(name)


def _altered(
    before: Mapping[str, str], request: AlterConfigs, definitions: Mapping[str, ConfigDefinition]
) -> dict[str, str]:
    """What is set after all changes, by name. Raises Refused."""
    named = [change.name for change in request.changes]
    for name in named:
        if named.count(name) > 1:
            reason = f"{name} is named twice: one change per config and request."
            raise Refused(ErrorCode.INVALID_REQUEST, reason)
    after = {} if request.replace else dict(before)
    for change in request.changes:
        definition = definitions.get(change.name)
        if definition is None:
            problems = topic_configs.validate({change.name: ""}, definitions, request.kind)
            raise Refused(ErrorCode.INVALID_CONFIG, problems[0])
        _change(after, change, definition)
    problems = topic_configs.validate(after, definitions, request.kind)
    if problems:
        raise Refused(ErrorCode.INVALID_CONFIG, " ".join(problems))
    for name, definition in definitions.items():
        if definition.fixed and after.get(name) != before.get(name):
            if request.replace and name not in named:
                after[name] = before[name]
                continue
            reason = f"{name} is chosen when a topic is created and cannot be altered: create another topic."
            raise Refused(ErrorCode.INVALID_CONFIG, reason)
    return dict(sorted(after.items()))


def _change(after: dict[str, str], change: ConfigChange, definition: ConfigDefinition) -> None:
    match change.operation:
        case "set":
            after[change.name] = change.value
        case "delete":
            after.pop(change.name, None)
        case "append" | "subtract":
            if not definition.many:
                reason = f"{change.name} is no list: it can be set or deleted, not appended to or subtracted from."
                raise Refused(ErrorCode.INVALID_CONFIG, reason)
            words = [word for word in after.get(change.name, definition.default).split(",") if word]
            given = change.value.split(",")
            if change.operation == "append":
                words += [word for word in given if word not in words]
            else:
                words = [word for word in words if word not in given]
            after[change.name] = ",".join(words)


# --- describing


def describe_configs(image: MetadataImage, request: DescribeConfigs) -> ConfigsDescribed:
    """The configs in force, as this image has them."""
    pictures = [_picture(image, resource) for resource in request.resources]
    return ConfigsDescribed(request.id, ErrorCode.NONE, image.end, pictures)


def _picture(image: MetadataImage, resource: ConfigResource) -> ConfigPicture:
    try:
        if resource.kind == "topic":
            own = topic_called(image, resource.name).configs
            entries = [_topic_entry(image, own, definition) for definition in topic_configs.DEFINITIONS.values()]
        else:
            broker = _broker(image, resource.name)
            entries = [_broker_entry(image, broker, d) for d in broker_configs.DEFINITIONS.values()]
            entries += _facts(image, broker)
    except Refused as refused:
        return ConfigPicture(resource.kind, resource.name, refused.error, refused.reason)
    wanted = None if resource.keys is None else set(resource.keys)
    found = [entry for entry in entries if wanted is None or entry.name in wanted]
    return ConfigPicture(resource.kind, resource.name, entries=sorted(found, key=lambda entry: entry.name))


def _topic_entry(image: MetadataImage, own: Mapping[str, str], definition: ConfigDefinition) -> ConfigEntry:
    name = definition.name
    called = _BROKER_NAMES.get(name, name)
    synonyms = []
    if name in own:
        synonyms.append(ConfigSynonym(name, own[name], ConfigSource.TOPIC))
    synonyms += _for_all(image, called)
    return _entry(definition, synonyms, called, read_only=definition.fixed)


def _broker_entry(image: MetadataImage, broker: int, definition: ConfigDefinition) -> ConfigEntry:
    name = definition.name
    synonyms = []
    value = image.broker_configs.get(broker, {}).get(name)
    if broker != ALL_BROKERS and value is not None:
        synonyms.append(ConfigSynonym(name, value, ConfigSource.BROKER))
    synonyms += _for_all(image, name)
    return _entry(definition, synonyms, name)


def _for_all(image: MetadataImage, name: str) -> list[ConfigSynonym]:
    """What all brokers and the cluster file say of a config, by the brokers' name for it."""
    synonyms = []
    value = image.broker_configs.get(ALL_BROKERS, {}).get(name)
    if value is not None:
        synonyms.append(ConfigSynonym(name, value, ConfigSource.CLUSTER))
    file = {} if image.defaults is None else image.defaults.configs
    config = TOPIC_NAMES.get(name, name)
    value = file.get(config)
    if value is not None and value != topic_configs.DEFINITIONS[config].default:  # a file says everything
        synonyms.append(ConfigSynonym(name, value, ConfigSource.FILE))
    return synonyms


def _entry(
    definition: ConfigDefinition, synonyms: list[ConfigSynonym], called: str, *, read_only: bool = False
) -> ConfigEntry:
    default = ConfigSynonym(called, definition.default, ConfigSource.DEFAULT)
    # The cluster file's defaults are written down whole: those that say nothing else than the table are not its words.
    said = [s for s in synonyms if (s.source, s.value) != (ConfigSource.FILE, definition.default)]
    all_of_them = [*said, default]
    strongest = all_of_them[0]
    return ConfigEntry(
        name=definition.name,
        value=strongest.value,
        default=definition.default,
        source=strongest.source,
        type=definition.type,
        doc=definition.doc,
        read_only=read_only,
        synonyms=all_of_them,
    )


def _facts(image: MetadataImage, broker: int) -> list[ConfigEntry]:
    """What a broker is, and how topics are made: to be read, not altered."""
    facts: list[tuple[str, str, str, str]] = []
    if image.defaults is not None:
        replication, partitions = str(image.defaults.replication), str(image.defaults.partitions)
        facts += [
            ("default.replication.factor", replication, "int", "Replicas of a topic whose creator does not say."),
            ("num.partitions", partitions, "int", "Partitions of a topic whose creator does not say."),
        ]
    if broker != ALL_BROKERS:
        state = image.brokers[broker]
        facts += [
            ("broker.id", str(broker), "int", "The number of this broker."),
            ("broker.rack", state.rack, "string", "Where this broker is; replicas are spread over racks."),
        ]
    return [
        ConfigEntry(
            name, value, value, ConfigSource.FILE, type_, doc, True, [ConfigSynonym(name, value, ConfigSource.FILE)]
        )
        for name, value, type_, doc in facts
    ]
