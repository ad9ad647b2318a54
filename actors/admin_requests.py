"""What all admin requests have in common: refusals are sentences, and answers are remembered.

Whoever decides on a request answers with a `Ruling`, or raises `Refused`. The answer is written to the metadata log in
the same batch as its effect, so whoever asks again, of this controller or the next one, within ten minutes, is told
the same instead of being served twice. That goes for answers without effect too, refusals and "it is so already": the
network may deliver a request a second time long after the first, when it would have another effect. Only "come again
later" is not remembered, as the same request is meant to come again then, and what was only tried changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .admin_messages import AdminDone, AdminRequest, ElectLeaders, PartitionOutcome, PartitionsDone, Reassign
from .decisions import Decision
from .errors import ErrorCode
from .kernel import Context, Message
from .messages import TopicId
from .metadata import MetadataImage
from .metadata_records import MetadataRecord, RequestDone
from .metadata_state import TopicState

NO_TOPIC = TopicId("")


class Refused(Exception):
    """A request that cannot be granted: a function of the request, so it becomes a reply."""

    def __init__(self, error: ErrorCode, reason: str, topic_id: TopicId = NO_TOPIC) -> None:
        super().__init__(reason)
        self.error, self.reason, self.topic_id = error, reason, topic_id


class Ruling(NamedTuple):
    """What is granted: records, their cause, and what the answer says beside NONE."""

    records: Sequence[MetadataRecord]
    cause: str
    topic_id: TopicId = NO_TOPIC
    outcomes: Sequence[PartitionOutcome] = ()
    tried: bool = False  # nothing is to be changed: only say what would be


def ruled(image: MetadataImage, request: AdminRequest, rule: Callable[[], Ruling], ctx: Context) -> Decision:
    """The decision on a request: the answer that it was given before, or what `rule` says now."""
    known = image.requests.get((request.client, request.id))
    if known is not None:
        error = ErrorCode(known.error)
        return Decision([], reply=lambda: _answer(image, request, error, known.reason, known.topic_id, known.outcomes))
    error, reason = ErrorCode.NONE, ""
    try:
        ruling = rule()
    except Refused as refused:
        error, reason = refused.error, refused.reason
        ruling = Ruling((), "", refused.topic_id)
    _, cause, topic_id, outcomes, tried = ruling

    def reply() -> Message:
        return _answer(image, request, error, reason, topic_id, outcomes)

    if tried or (error.retriable and error not in FINAL):
        return Decision([], reply=reply)
    done = RequestDone(request.client, request.id, error, reason, topic_id, ctx.wall, list(outcomes))
    return Decision([*ruling.records, done], cause, reply)


FINAL = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID)
"""To a producer these mean that it may know more than a broker. The controller knows what there is."""


def topic_called(image: MetadataImage, name: str) -> TopicState:
    """The topic of that name. Raises Refused if there is none."""
    topic = image.topic(name)
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic {name!r}.")
    return topic


def _answer(
    image: MetadataImage,
    request: AdminRequest,
    error: ErrorCode,
    reason: str,
    topic_id: TopicId,
    outcomes: Sequence[PartitionOutcome],
) -> Message:
    if isinstance(request, Reassign | ElectLeaders):
        return PartitionsDone(request.id, error, reason, list(outcomes), image.controller, image.end)
    return AdminDone(request.id, error, reason, topic_id, image.controller, image.end)
