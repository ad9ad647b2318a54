"""CreateTopics and DeleteTopics, asked of the controllers by the gateway."""

from __future__ import annotations

from collections import Counter
from functools import partial

from ....actors.admin_messages import ConfigResource, CreateTopic, DescribeConfigs
from ....actors.client_commands import Change, Command, DropTopic, Failure, Why
from ....actors.configs import describe_configs
from ....actors.errors import ErrorCode
from ..exchange import Exchange, Outcome
from ..messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from ..messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse
from ..view import uuid_of
from ..wire import NO_UUID

DEFAULTS_FROM = 4
"""The first version in which -1 stands for the cluster's defaults (KIP-464)."""

SEEN_MS = 1_000
"""How long an answer waits until this broker has heard of the change too: whoever asks it next shall see it."""

_UNKNOWN = (Why.TIMED_OUT, Why.UNKNOWN_OUTCOME, Why.NO_BROKERS)


async def create_topics(request: CreateTopicsRequest, exchange: Exchange) -> CreateTopicsResponse:
    times = Counter(topic.name for topic in request.topics)
    results = {topic.name: _refused(topic, times[topic.name]) for topic in request.topics}
    making = [topic for topic in request.topics if results[topic.name] is None]
    outcomes = await exchange.commands([partial(_make, topic, request) for topic in making])
    for topic, outcome in zip(making, outcomes, strict=True):
        results[topic.name] = _made(topic, outcome, exchange, request.validate_only)
    return CreateTopicsResponse(topics=[result for result in results.values() if result is not None])


def _refused(topic: CreatableTopic, times: int) -> CreatableTopicResult | None:
    """What is refused here; None for what the controller is to decide."""
    if times > 1:
        return _no(topic.name, ErrorCode.INVALID_REQUEST, "The topic is named twice in the request.")
    nameless = next((config.name for config in topic.configs if config.value is None), None)
    if nameless is not None:
        return _no(topic.name, ErrorCode.INVALID_CONFIG, f"{nameless} has no value.")
    if not topic.assignments:
        return None
    if topic.num_partitions != -1 or topic.replication_factor != -1:
        reason = "Replicas are assigned by hand, so partitions and replication factor must both be -1."
        return _no(topic.name, ErrorCode.INVALID_REQUEST, reason)
    if sorted(given.partition_index for given in topic.assignments) != [*range(len(topic.assignments))]:
        reason = "Replicas that are assigned by hand are those of partitions 0, 1 and so on, each of them once."
        return _no(topic.name, ErrorCode.INVALID_REPLICA_ASSIGNMENT, reason)
    return None


def _make(topic: CreatableTopic, request: CreateTopicsRequest, token: object) -> Command:
    by_hand = sorted((given.partition_index, given.broker_ids) for given in topic.assignments)
    wanted = partial(
        CreateTopic,
        name=topic.name,
        partitions=topic.num_partitions,
        replication=topic.replication_factor,
        configs={config.name: config.value or "" for config in topic.configs},
        assignments=[brokers for _, brokers in by_hand],
        validate_only=request.validate_only,
    )
    led = 0 if request.validate_only else 1  # wait for leaders: then whoever made the topic can use it
    return Change(token, topic.name, wanted, max(request.timeout_ms, 0), led)


def _made(topic: CreatableTopic, outcome: Outcome, exchange: Exchange, validated: bool) -> CreatableTopicResult:
    if outcome.failure is not None:
        error, sentence = said(outcome.failure)
        return _no(topic.name, error, sentence)
    result = CreatableTopicResult(topic.name, error_message=None)
    made = exchange.view.topic(topic.name)
    if validated or made is None:
        return result
    result.topic_id = uuid_of(made.id)
    result.num_partitions = made.partitions
    result.replication_factor = len(exchange.view.partitions(made)[0].replicas)
    [picture] = describe_configs(
        exchange.view.image, DescribeConfigs(0, [ConfigResource("topic", topic.name)])
    ).resources
    result.configs = [
        CreatableTopicConfigs(entry.name, entry.value, entry.read_only, entry.source) for entry in picture.entries
    ]
    return result


def _no(name: str, error: ErrorCode, sentence: str) -> CreatableTopicResult:
    return CreatableTopicResult(name, error_code=error, error_message=sentence)


async def delete_topics(request: DeleteTopicsRequest, exchange: Exchange) -> DeleteTopicsResponse:
    """By name up to version 5; by name or id in version 6, which repeats what it was asked by."""
    view = exchange.view
    results: list[DeletableTopicResult] = []
    dropping: list[tuple[DeletableTopicResult, str]] = []
    wanted = [(name, NO_UUID) for name in request.topic_names]
    wanted += [(topic.name or "", topic.topic_id) for topic in request.topics]
    for name, uuid in wanted:
        known = view.topic_by_uuid(uuid) if uuid != NO_UUID else view.topic(name)
        result = DeletableTopicResult(name if known is None else known.name, uuid)
        results.append(result)
        if uuid != NO_UUID and name:
            result.error_code = ErrorCode.INVALID_REQUEST
            result.error_message = "A topic is named by its name or by its id, not by both."
        elif known is None and uuid != NO_UUID:
            result.name, result.error_code = None, ErrorCode.UNKNOWN_TOPIC_ID
        else:
            dropping.append((result, name if known is None else known.name))
    outcomes = await exchange.commands([partial(_drop, name, request.timeout_ms) for _, name in dropping])
    for (result, _), outcome in zip(dropping, outcomes, strict=True):
        if outcome.failure is not None:
            result.error_code, result.error_message = said(outcome.failure)
        elif exchange.version >= 6:
            result.topic_id = uuid_of(outcome.topic_id)
    gone = {outcome.topic_id for outcome in outcomes if outcome.failure is None}
    await exchange.until(lambda: gone.isdisjoint(view.image.topics), SEEN_MS)
    return DeleteTopicsResponse(responses=results)


def _drop(name: str, timeout_ms: int, token: object) -> Command:
    return DropTopic(token, name, max(timeout_ms, 0))


def said(failure: Failure) -> tuple[ErrorCode, str]:
    """Kafka's error for a command that failed, and the sentence."""
    if failure.error is not ErrorCode.NONE:
        return failure.error, failure.sentence
    return (ErrorCode.REQUEST_TIMED_OUT if failure.why in _UNKNOWN else ErrorCode.INVALID_REQUEST), failure.sentence
