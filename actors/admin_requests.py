"""What all admin requests have in common: refusals are sentences, and answers are remembered.

The answer to a request that changed something is written in the same batch as its effect, so whoever asks again, of
this controller or the next one, within ten minutes, is told the same instead of being served twice. A refusal changed
nothing and is not remembered: asked again, it is judged again.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def remembered(image: MetadataImage, request: AdminRequest) -> Decision | None:
    """The answer that this request was given before; None if it was not."""
    done = image.requests.get((request.client, request.id))
    if done is None:
        return None
    return Decision(
        [],
        reply=lambda: _answer(image, request, ErrorCode(done.error), done.reason, done.topic_id, done.outcomes),
    )


def refusal(image: MetadataImage, request: AdminRequest, refused: Refused) -> Decision:
    """No, and why."""
    answer = _answer(image, request, refused.error, refused.reason, refused.topic_id, ())
    return Decision([], reply=lambda: answer)


def granted(
    image: MetadataImage,
    request: AdminRequest,
    records: Sequence[MetadataRecord],
    cause: str,
    ctx: Context,
    topic_id: TopicId = NO_TOPIC,
    outcomes: Sequence[PartitionOutcome] = (),
) -> Decision:
    """These records, and an answer that is remembered with them. Without records there is nothing to remember."""

    def reply() -> Message:
        return _answer(image, request, ErrorCode.NONE, "", topic_id, outcomes)

    if not records:
        return Decision([], reply=reply)
    done = RequestDone(request.client, request.id, ErrorCode.NONE, "", topic_id, ctx.wall, list(outcomes))
    return Decision([*records, done], cause, reply)


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
