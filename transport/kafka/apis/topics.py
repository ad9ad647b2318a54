"""CreateTopics and DeleteTopics, asked of the controllers by the gateway."""

from __future__ import annotations

from collections import Counter
from functools import partial

from ....actors.client_commands import Command, DropTopic, Failure, MakeTopic, Why
from ....actors.errors import ErrorCode
from ..exchange import Exchange, Outcome
from ..messages.create_topics import (
    CreatableTopic,
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
    outcomes = await exchange.commands([partial(_make, topic, request.timeout_ms) for topic in making])
    for topic, outcome in zip(making, outcomes, strict=True):
        results[topic.name] = _made(topic, outcome, exchange)
    return CreateTopicsResponse(topics=[result for result in results.values() if result is not None])


def _refused(topic: CreatableTopic, times: int) -> CreatableTopicResult | None:
    """What is refused here; None for what the controller is to decide."""
    if times > 1:
        return _no(topic.name, ErrorCode.INVALID_REQUEST, "The topic is named twice in the request.")
    return None


def _make(topic: CreatableTopic, timeout_ms: int, token: object) -> Command:
    configs = {config.name: config.value or "" for config in topic.configs}
    return MakeTopic(token, topic.name, topic.num_partitions, topic.replication_factor, configs, max(timeout_ms, 0))


def _made(topic: CreatableTopic, outcome: Outcome, exchange: Exchange) -> CreatableTopicResult:
    if outcome.failure is not None:
        error, sentence = said(outcome.failure)
        return _no(topic.name, error, sentence)
    result = CreatableTopicResult(topic.name, uuid_of(outcome.topic_id), error_message=None)
    made = exchange.view.topic(topic.name)
    if made is not None and made.partitions:
        result.num_partitions = made.partitions
        result.replication_factor = len(exchange.view.partitions(made)[0].replicas)
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
