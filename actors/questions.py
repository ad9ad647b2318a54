"""What anybody may ask a broker about the cluster, or about its own logs: answered at once, from what is here.

A broker that does not serve yet says so instead: what it knows may be older than what the asker knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .administration import inform
from .errors import ErrorCode
from .kernel import Address, Context, Message
from .messages import (
    ConfigsDescribed,
    Describe,
    DescribeConfigs,
    Described,
    DescribeLogs,
    FetchLeadership,
    Leadership,
    ListReassignments,
    LogPicture,
    LogsDescribed,
    Partition,
    ReassignmentsListed,
)
from .metadata import MetadataImage
from .metadata_service import describe, leadership
from .replica import Replica

Question = FetchLeadership | Describe | DescribeConfigs | ListReassignments | DescribeLogs


class Questions:
    """Answers for one broker. `controllers`: id to endpoint."""

    def __init__(
        self,
        me: int,
        cluster_id: str,
        controllers: Mapping[int, str],
        broadcasts: Sequence[str],
        image: Callable[[], MetadataImage],
        replicas: Mapping[Partition, Replica],
    ) -> None:
        self._me = me
        self._cluster_id = cluster_id
        self._controllers = controllers
        self._broadcasts = broadcasts
        self._image = image
        self._replicas = replicas

    def answer(self, sender: Address, question: Question, serving: bool, ctx: Context) -> None:
        """Say what is known, or that it is too early."""
        ctx.send(sender, self._known(question) if serving else _too_early(question))

    def _known(self, question: Question) -> Message:
        image = self._image()
        match question:
            case FetchLeadership():
                return leadership(image, question, self._cluster_id, self._controllers, self._broadcasts)
            case Describe():
                return describe(image, question, self._cluster_id)
            case DescribeConfigs() | ListReassignments():
                return inform(image, question)
            case DescribeLogs():
                return self._logs(question)

    def _logs(self, question: DescribeLogs) -> LogsDescribed:
        wanted = sorted(self._replicas) if question.partitions is None else question.partitions
        found = [self._replicas[partition] for partition in wanted if partition in self._replicas]
        return LogsDescribed(question.id, ErrorCode.NONE, self._me, [_log(replica) for replica in found])


def _log(replica: Replica) -> LogPicture:
    log = replica.log
    return LogPicture(
        replica.partition,
        log.start,
        log.end,
        log.durable_end,
        replica.hw,
        log.last_epoch,
        replica.leader_epoch,
        log.size_bytes,
    )


def _too_early(question: Question) -> Message:
    error = ErrorCode.BROKER_NOT_AVAILABLE
    match question:
        case FetchLeadership():
            return Leadership(question.id, error)
        case Describe():
            return Described(question.id, error)
        case DescribeConfigs():
            return ConfigsDescribed(question.id, error)
        case ListReassignments():
            return ReassignmentsListed(question.id, error)
        case DescribeLogs():
            return LogsDescribed(question.id, error)
