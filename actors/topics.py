"""Topics come, grow and go: what is refused, in words, and what is written."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from .admin_requests import NO_TOPIC, Refused, Ruling, topic_called
from .decisions import Decision
from .errors import ErrorCode
from .internal_topics import INTERNAL_TOPICS, internal_topic
from .isr_changes import broker_error
from .kernel import Context, Message
from .messages import (
    CreateInternalTopic,
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    InternalTopicCreated,
    Partition,
    TopicId,
)
from .metadata import MetadataImage
from .metadata_records import PartitionCreated, TopicCreated, TopicDeleted
from .metadata_state import TopicState
from .placement import Candidate, place
from .reassignments import check_replicas
from .topic_configs import validate

MAX_NAME = 249
MAX_PARTITIONS = 1_000  # more would take the controller longer than a handler may
MAX_REPLICATION = 32_767
_NAME = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def create(image: MetadataImage, request: CreateTopic, ctx: Context) -> Ruling:
    """Create a topic with all its partitions. Raises Refused."""
    replication, partitions = _figures(image, request)
    topic_id = new_topic_id(image, ctx.random)
    if request.assignments:
        created = _assigned(image, topic_id, 0, request.assignments)
    else:
        created = _placed(image, topic_id, range(partitions), replication)
    records = [TopicCreated(topic_id, request.name, dict(sorted(request.configs.items()))), *created]
    return Ruling(records, "a client created it", topic_id, tried=request.validate_only)


def grow(image: MetadataImage, request: CreatePartitions) -> Ruling:
    """Give a topic more partitions. What is in the old ones stays there: keys move to other ones. Raises Refused."""
    topic = topic_called(image, request.name)
    _check_growth(topic, request)
    if request.assignments:
        created = _assigned(image, topic.id, topic.partitions, request.assignments)
    else:
        replication = len(image.partitions[Partition(topic.id, 0)].original)
        created = _placed(image, topic.id, range(topic.partitions, request.total), replication)
    return Ruling(created, "a client added partitions", topic.id, tried=request.validate_only)


def delete(image: MetadataImage, request: DeleteTopic) -> Ruling:
    """Delete a topic. Its id never comes back, so whoever still has its records knows what to do. Raises Refused."""
    topic = topic_called(image, request.name) if request.name else image.topics.get(request.topic_id)
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_ID, f"There is no topic with the id {request.topic_id!r}.")
    if topic.name in INTERNAL_TOPICS:
        reason = f"{topic.name} is an internal topic, which the cluster needs: it cannot be deleted."
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
    return Ruling([TopicDeleted(topic.id)], "a client deleted it", topic.id)


def create_internal(
    image: MetadataImage, message: CreateInternalTopic, ctx: Context, configs: Mapping[str, str] | None = None
) -> Decision:
    """Make one of the cluster's own topics, at the word of any live broker; it may be there already.

    `configs` are instead of what the table of internal topics says.
    """

    def answer(error: ErrorCode, topic_id: TopicId = NO_TOPIC, reason: str = "") -> Decision:
        return Decision([], reply=lambda: InternalTopicCreated(message.id, error, topic_id, image.controller, reason))

    error = broker_error(image, message.broker, message.broker_epoch)
    if error is not ErrorCode.NONE:
        return answer(error, reason=f"b{message.broker} is not registered in broker epoch {message.broker_epoch}.")
    wanted = internal_topic(message.name)
    if wanted is None:
        return answer(ErrorCode.INVALID_TOPIC_EXCEPTION, reason=f"{message.name!r} is not an internal topic.")
    existing = image.topic(message.name)
    if existing is not None:
        return answer(ErrorCode.NONE, existing.id)
    defaults = image.defaults
    assert defaults is not None, "the active controller fixes the defaults before anything else"
    topic_id = new_topic_id(image, ctx.random)
    try:
        created = _placed(image, topic_id, range(wanted.partitions), defaults.replication)
    except Refused as refused:
        return answer(refused.error, reason=refused.reason)
    records = [TopicCreated(topic_id, wanted.name, {**wanted.configs, **(configs or {})}), *created]

    def reply() -> Message:
        return InternalTopicCreated(message.id, ErrorCode.NONE, topic_id, image.controller)

    return Decision(records, f"b{message.broker} was asked for a coordinator", reply)


def name_problem(name: str) -> str | None:
    """Why this cannot be the name of a topic, in a sentence; None if it can. Kafka's rules."""
    if not name:
        return "A topic needs a name."
    if name in {".", ".."}:
        return f"A topic cannot be called {name!r}."
    if len(name) > MAX_NAME:
        return f"The name of a topic has at most {MAX_NAME} characters, this one has {len(name)}."
    if not _NAME.fullmatch(name):
        return f"The name of a topic has letters, digits, '.', '_' and '-' of ASCII only, not {name!r}."
    return None


def new_topic_id(image: MetadataImage, random: Random) -> TopicId:
    """A random UUID (version 4) as Kafka prints it; never one that begins with a dash, as in Kafka."""
    while True:
        raw = bytearray(random.randbytes(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        topic_id = TopicId(urlsafe_b64encode(raw).decode().rstrip("="))
        if not topic_id.startswith("-") and topic_id not in image.topics:
            return topic_id


def _figures(image: MetadataImage, request: CreateTopic) -> tuple[int, int]:
    """Replication and number of partitions, checked with all else in the request. Raises Refused."""
    problem = name_problem(request.name)
    if problem is None and request.name in INTERNAL_TOPICS:
        problem = f"{request.name} is a topic that the cluster makes itself, when it needs it."
    if problem is not None:
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
    existing = image.topic(request.name)
    if existing is not None:
        raise Refused(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic {request.name!r} exists already.", existing.id)
    if request.assignments and (request.partitions, request.replication) != (-1, -1):
        reason = "Replicas are given by hand, so neither partitions nor replication can be given too."
        raise Refused(ErrorCode.INVALID_REQUEST, reason)
    defaults = image.defaults
    assert defaults is not None, "the active controller fixes the defaults before anything else"
    partitions = defaults.partitions if request.partitions == -1 else request.partitions
    partitions = len(request.assignments) or partitions
    if not 1 <= partitions <= MAX_PARTITIONS:
        reason = f"A topic has 1 to {MAX_PARTITIONS} partitions, not {partitions}."
        raise Refused(ErrorCode.INVALID_PARTITIONS, reason)
    replication = defaults.replication if request.replication == -1 else request.replication
    if not 1 <= replication <= MAX_REPLICATION:
        raise Refused(ErrorCode.INVALID_REPLICATION_FACTOR, f"A partition has 1 replica or more, not {replication}.")
    problems = validate(request.configs)
    if problems:
        raise Refused(ErrorCode.INVALID_CONFIG, " ".join(problems))
    return replication, partitions


def _check_growth(topic: TopicState, request: CreatePartitions) -> None:
    if topic.name in INTERNAL_TOPICS:
        reason = f"{topic.name} is an internal topic: the number of its partitions is part of what is in them."
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, reason)
    if request.total <= topic.partitions:
        verb = "has" if request.total == topic.partitions else "cannot shrink: it has"
        count = "1 partition" if topic.partitions == 1 else f"{topic.partitions} partitions"
        reason = f"Topic {topic.name!r} {verb} {count} already: ask for more than that."
        raise Refused(ErrorCode.INVALID_PARTITIONS, reason)
    if request.total > MAX_PARTITIONS:
        reason = f"A topic has 1 to {MAX_PARTITIONS} partitions, not {request.total}."
        raise Refused(ErrorCode.INVALID_PARTITIONS, reason)
    added = request.total - topic.partitions
    if request.assignments and len(request.assignments) != added:
        reason = f"Replicas are given for {len(request.assignments)} partitions, and {added} are to be added."
        raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)


def _placed(image: MetadataImage, topic_id: TopicId, indexes: range, replication: int) -> list[PartitionCreated]:
    """New partitions where the ring says. Raises Refused."""
    led = Counter(state.replicas[0] for state in (image.partitions_of(topic_id) if topic_id in image.topics else ()))
    sets = place(topic_id, indexes, replication, _candidates(image, replication), led)
    return [_created(image, Partition(topic_id, index), sets[at]) for at, index in enumerate(indexes)]


def _assigned(
    image: MetadataImage, topic_id: TopicId, first: int, assignments: Sequence[Sequence[int]]
) -> list[PartitionCreated]:
    """New partitions where somebody says. Raises Refused."""
    created = []
    for index, replicas in enumerate(assignments, first):
        check_replicas(image, replicas)
        if len(replicas) != len(assignments[0]):
            reason = (
                f"Partitions of one topic have equally many replicas, not {len(assignments[0])} and {len(replicas)}."
            )
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
        created.append(_created(image, Partition(topic_id, index), replicas))
    return created


def _created(image: MetadataImage, partition: Partition, replicas: Sequence[int]) -> PartitionCreated:
    """In sync are those that are up. Raises Refused if none is."""
    isr = [replica for replica in replicas if image.may_lead(replica)]
    if not isr:
        reason = f"None of the brokers {list(replicas)} is up; try again when one is."
        raise Refused(ErrorCode.BROKER_NOT_AVAILABLE, reason)
    return PartitionCreated(partition, list(replicas), isr, isr[0])


def _candidates(image: MetadataImage, replication: int) -> list[Candidate]:
    """Brokers that are up; with too few of them also some that are down, so that a topic can be made meanwhile."""
    stay = [broker for broker in sorted(image.brokers) if not image.brokers[broker].draining]
    up = [broker for broker in stay if image.may_lead(broker)]
    down = [broker for broker in stay if broker not in up]
    if len(up) + len(down) < replication:
        brokers = len(up) + len(down)
        have = "one broker is" if brokers == 1 else f"{brokers} brokers are"
        going = len(image.brokers) - brokers
        but = f", beside {going} being decommissioned" if going else ""
        reason = f"{replication} replicas need as many brokers; {have} registered{but}."
        raise Refused(ErrorCode.INVALID_REPLICATION_FACTOR, reason)
    if not up:
        raise Refused(ErrorCode.BROKER_NOT_AVAILABLE, "No broker is up; try again when one is.")
    chosen = up + down[: max(0, replication - len(up))]
    replicas, leaders = dict.fromkeys(chosen, 0), dict.fromkeys(chosen, 0)
    for state in image.partitions.values():
        for replica in state.replicas:
            if replica in replicas:
                replicas[replica] += 1
        if state.replicas[0] in leaders:
            leaders[state.replicas[0]] += 1
    return [Candidate(broker, image.brokers[broker].rack, replicas[broker], leaders[broker]) for broker in chosen]
