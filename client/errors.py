"""What can go wrong for an application: one exception per thing that it may want to do something about.

The text says what was expected, what was found, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..actors.client_commands import Failure, Why
from ..actors.errors import ErrorCode


class BarnabasError(Exception):
    """Base of all that this package raises on purpose. `code` is Kafka's, NONE where Kafka has none."""

    def __init__(self, sentence: str, code: ErrorCode = ErrorCode.NONE) -> None:
        super().__init__(sentence)
        self.code = code


class DeliveryTimeout(BarnabasError):
    """The record could not be sent in time, and was not written."""


class UnknownOutcome(BarnabasError):
    """It was sent and not answered: it may have been done, or not."""


class OperationTimeout(BarnabasError, TimeoutError):
    """The cluster, or this call, took longer than it was given."""


class BufferFull(BarnabasError):
    """More records are waiting to be sent than `buffer_bytes` allows.

    From `send_many`: `handed` are the futures of the records that had room; these are being delivered all the same.
    """

    handed: Sequence[object] = ()


class RecordTooLarge(BarnabasError):
    """A record, or its batch, is larger than the topic takes."""


class NotEnoughReplicas(BarnabasError):
    """Fewer replicas are in sync than the topic wants for acks=all."""


class TopicExists(BarnabasError):
    """There is a topic of that name."""


class UnknownTopic(BarnabasError):
    """There is no such topic or partition, or it was deleted."""


class InvalidTopic(BarnabasError):
    """A name, a number of partitions or replicas, or an option that the cluster does not take."""


class NoBrokers(BarnabasError):
    """Nobody answers at the bootstrap addresses."""


class OffsetOutOfRange(BarnabasError):
    """The position is not in the log any more, or not yet."""


class CorruptRecord(BarnabasError):
    """What was read is not what a producer wrote."""


class NotAMember(BarnabasError):
    """The group does not count on this consumer any more, or not for these partitions: somebody else may read them."""


class UnknownGroup(BarnabasError):
    """There is no such group."""


class GroupNotEmpty(BarnabasError):
    """The group has members: what was asked for needs them to leave first."""


class Refused(BarnabasError):
    """The cluster said no; `code` says why."""


class Closed(BarnabasError):
    """This client was closed."""


class ForkedClient(BarnabasError):
    """This client was made in another process: its connections did not come along. Make one after the fork."""


_BY_WHY: dict[Why, type[BarnabasError]] = {
    Why.TIMED_OUT: OperationTimeout,
    Why.UNKNOWN_OUTCOME: UnknownOutcome,
    Why.REFUSED: Refused,
    Why.BUFFER_FULL: BufferFull,
    Why.UNKNOWN_TOPIC: UnknownTopic,
    Why.NO_BROKERS: NoBrokers,
    Why.TOO_LARGE: RecordTooLarge,
    Why.CLOSED: Closed,
    Why.OUT_OF_RANGE: OffsetOutOfRange,
    Why.CORRUPT: CorruptRecord,
}

_BY_CODE: dict[ErrorCode, type[BarnabasError]] = {
    ErrorCode.TOPIC_ALREADY_EXISTS: TopicExists,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: UnknownTopic,
    ErrorCode.UNKNOWN_TOPIC_ID: UnknownTopic,
    ErrorCode.OFFSET_OUT_OF_RANGE: OffsetOutOfRange,
    ErrorCode.MESSAGE_TOO_LARGE: RecordTooLarge,
    ErrorCode.RECORD_LIST_TOO_LARGE: RecordTooLarge,
    ErrorCode.NOT_ENOUGH_REPLICAS: NotEnoughReplicas,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: NotEnoughReplicas,
    ErrorCode.INVALID_TOPIC_EXCEPTION: InvalidTopic,
    ErrorCode.INVALID_PARTITIONS: InvalidTopic,
    ErrorCode.INVALID_REPLICATION_FACTOR: InvalidTopic,
    ErrorCode.INVALID_CONFIG: InvalidTopic,
    ErrorCode.STALE_MEMBER_EPOCH: NotAMember,
    ErrorCode.FENCED_MEMBER_EPOCH: NotAMember,
    ErrorCode.ILLEGAL_GENERATION: NotAMember,
    ErrorCode.UNKNOWN_MEMBER_ID: NotAMember,
    ErrorCode.FENCED_INSTANCE_ID: NotAMember,
    ErrorCode.UNRELEASED_INSTANCE_ID: NotAMember,
    ErrorCode.GROUP_ID_NOT_FOUND: UnknownGroup,
    ErrorCode.NON_EMPTY_GROUP: GroupNotEmpty,
    ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC: GroupNotEmpty,
}


def error_of(failure: Failure) -> BarnabasError:
    """The exception for a failure that an actor reported. What nobody knows stays unknown, whatever the code."""
    kind = _BY_WHY[failure.why]
    if failure.why is Why.REFUSED:
        kind = _BY_CODE.get(failure.error, kind)
    return kind(failure.sentence, failure.error)


def delivery_error(failure: Failure) -> BarnabasError:
    """The same for a record that was to be delivered."""
    if failure.why is not Why.TIMED_OUT:
        return error_of(failure)
    kind = _BY_CODE.get(failure.error, DeliveryTimeout)
    return kind(failure.sentence, failure.error)
