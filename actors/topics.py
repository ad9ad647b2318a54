"""Topics come and go: what is refused, in words, and what is written.

The answer to a request that changed something is written in the same batch as its effect, so whoever asks again, of
this controller or the next one, within ten minutes, is told the same instead of being served twice.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from random import Random

from .decisions import Decision
from .errors import ErrorCode
from .kernel import Context, Incarnation, Message
from .messages import AdminDone, CreateTopic, DeleteTopic, Partition, TopicId
from .metadata import MetadataImage
from .metadata_records import MetadataRecord, PartitionCreated, RequestDone, TopicCreated, TopicDeleted
from .placement import Candidate, place
from .topic_configs import validate

MAX_NAME = 249
MAX_PARTITIONS = 1_000  # more would take the controller longer than a handler may
MAX_REPLICATION = 32_767
NO_TOPIC = TopicId("")
_NAME = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


class Refused(Exception):
    """A request that cannot be granted: a function of the request, so it becomes a reply."""

    def __init__(self, error: ErrorCode, reason: str, topic_id: TopicId = NO_TOPIC) -> None:
        super().__init__(reason)
        self.error, self.reason, self.topic_id = error, reason, topic_id


def create(image: MetadataImage, message: CreateTopic, ctx: Context) -> Decision:
    """Create a topic with all its partitions, or say why not."""
    remembered = _remembered(image, message.client, message.id)
    if remembered is not None:
        return remembered
    try:
        replication, partitions = _figures(image, message)
        topic_id = new_topic_id(image, ctx.random)
        created = _partitions(image, topic_id, partitions, replication)
    except Refused as refused:
        return _refusal(image, message.id, refused)
    records: list[MetadataRecord] = [TopicCreated(topic_id, message.name, dict(sorted(message.configs.items())))]
    records += created
    return _done(image, message.client, message.id, topic_id, records, "a client created it", ctx)


def delete(image: MetadataImage, message: DeleteTopic, ctx: Context) -> Decision:
    """Delete a topic, or say why not."""
    remembered = _remembered(image, message.client, message.id)
    if remembered is not None:
        return remembered
    topic = image.topic(message.name)
    if topic is None:
        refused = Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic {message.name!r}.")
        return _refusal(image, message.id, refused)
    return _done(image, message.client, message.id, topic.id, [TopicDeleted(topic.id)], "a client deleted it", ctx)


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


def _figures(image: MetadataImage, message: CreateTopic) -> tuple[int, int]:
    """Replication and number of partitions, checked with all else in the request. Raises Refused."""
    problem = name_problem(message.name)
    if problem is not None:
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
    existing = image.topic(message.name)
    if existing is not None:
        raise Refused(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic {message.name!r} exists already.", existing.id)
    defaults = image.defaults
    assert defaults is not None, "the active controller fixes the defaults before anything else"
    partitions = defaults.partitions if message.partitions == -1 else message.partitions
    if not 1 <= partitions <= MAX_PARTITIONS:
        reason = f"A topic has 1 to {MAX_PARTITIONS} partitions, not {partitions}."
        raise Refused(ErrorCode.INVALID_PARTITIONS, reason)
    replication = defaults.replication if message.replication == -1 else message.replication
    if not 1 <= replication <= MAX_REPLICATION:
        raise Refused(ErrorCode.INVALID_REPLICATION_FACTOR, f"A partition has 1 replica or more, not {replication}.")
    problems = validate(message.configs)
    if problems:
        raise Refused(ErrorCode.INVALID_CONFIG, " ".join(problems))
    return replication, partitions


def _partitions(image: MetadataImage, topic_id: TopicId, partitions: int, replication: int) -> list[PartitionCreated]:
    """Every partition on its replicas; in sync are those that are up. Raises Refused."""
    candidates = _candidates(image, replication)
    created = []
    for index, replicas in enumerate(place(topic_id, range(partitions), replication, candidates)):
        isr = [replica for replica in replicas if image.may_lead(replica)]
        assert isr, f"{replicas} are all down"
        created.append(PartitionCreated(Partition(topic_id, index), list(replicas), isr, isr[0]))
    return created


def _candidates(image: MetadataImage, replication: int) -> list[Candidate]:
    """Brokers that are up; with too few of them also some that are down, so that a topic can be made meanwhile."""
    up = [broker for broker in sorted(image.brokers) if image.may_lead(broker)]
    down = [broker for broker in sorted(image.brokers) if broker not in up]
    if len(up) + len(down) < replication:
        brokers = len(up) + len(down)
        have = "one broker is" if brokers == 1 else f"{brokers} brokers are"
        reason = f"{replication} replicas need as many brokers; {have} registered."
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


def _remembered(image: MetadataImage, client: Incarnation, request: int) -> Decision | None:
    done = image.requests.get((client, request))
    if done is None:
        return None
    answer = AdminDone(request, ErrorCode(done.error), done.reason, done.topic_id, image.controller)
    return Decision([], reply=lambda: answer)


def _refusal(image: MetadataImage, request: int, refused: Refused) -> Decision:
    answer = AdminDone(request, refused.error, refused.reason, refused.topic_id, image.controller)
    return Decision([], reply=lambda: answer)


def _done(
    image: MetadataImage,
    client: Incarnation,
    request: int,
    topic_id: TopicId,
    records: list[MetadataRecord],
    cause: str,
    ctx: Context,
) -> Decision:
    done = RequestDone(client, request, ErrorCode.NONE, "", topic_id, ctx.wall)

    def reply() -> Message:
        return AdminDone(request, ErrorCode.NONE, "", topic_id, image.controller)

    return Decision([*records, done], cause, reply)
