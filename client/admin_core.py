"""The admin, without the waiting: each method is a question, and knows how to read its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from ..actors.admin import AdminActor
from ..actors.admin_messages import (
    MAX_PER_REQUEST,
    AdminRequest,
    ConfigChange,
    ConfigEntry,
    ConfigKind,
    ConfigResource,
    PartitionOutcome,
    PartitionTarget,
    Reassignment,
)
from ..actors.client_commands import Change, DropTopic, Failure, Inquire, Look, MakeTopic, RemoveRecords
from ..actors.errors import ErrorCode
from ..actors.kernel import Incarnation, Message
from ..actors.messages import (
    LATEST,
    AlterConfigs,
    ConfigsDescribed,
    CreatePartitions,
    DescribeConfigs,
    Described,
    DescribeLogs,
    DrainBroker,
    ElectLeaders,
    ListReassignments,
    LogPicture,
    LogsDescribed,
    Partition,
    PartitionsDone,
    Reassign,
    ReassignmentsListed,
    RemoveBroker,
    TopicId,
    TopicPicture,
)
from .core import ClientCore, Question, Reply
from .errors import Refused, UnknownTopic, error_of
from .runtime import Guard, Runtime, endpoints

T = TypeVar("T")


class _Outlet:
    """From the I/O thread to whoever waits."""

    def __init__(self) -> None:
        self.end = Reply()

    def done(self, token: object, topic_id: TopicId) -> None:
        assert isinstance(token, Reply)
        token.set(topic_id)

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        assert isinstance(token, Reply)
        token.set(starts)

    def described(self, token: object, picture: Described) -> None:
        assert isinstance(token, Reply)
        token.set(picture)

    def answered(self, token: object, answer: Message) -> None:
        assert isinstance(token, Reply)
        token.set(answer)

    def failed(self, token: object, failure: Failure) -> None:
        assert isinstance(token, Reply)
        token.set(error=error_of(failure))

    def closed(self) -> None:
        self.end.set()


class AdminCore(ClientCore):
    """`bootstrap` are brokers to begin with: "host:port,host:port", or a sequence of these."""

    def __init__(self, bootstrap: str | Sequence[str], *, runtime: Runtime | None = None) -> None:
        places = endpoints(bootstrap)
        outlet = _Outlet()
        self._open(Guard("admin client"), runtime, outlet.end, lambda: AdminActor(places, outlet))

    def _create(
        self, name: str, partitions: int, replication: int, configs: Mapping[str, str] | None, timeout: float
    ) -> Question[TopicId]:
        given = dict(configs) if configs else None
        ms = int(timeout * 1000)
        return self._ask(lambda reply: MakeTopic(reply, name, partitions, replication, given, ms), timeout, _topic_id)

    def _delete(self, name: str, timeout: float) -> Question[TopicId]:
        return self._ask(lambda reply: DropTopic(reply, name, int(timeout * 1000)), timeout, _topic_id)

    def _delete_records(
        self, topic: str, offsets: Mapping[int, int | None], timeout: float
    ) -> Question[dict[int, int]]:
        if any(offset is not None and offset < 0 for offset in offsets.values()):
            raise ValueError("an offset is 0 or more; None means all records there are")
        wanted = {index: LATEST if offset is None else offset for index, offset in offsets.items()}
        return self._ask(lambda reply: RemoveRecords(reply, topic, wanted, int(timeout * 1000)), timeout, _starts)

    def _look(self, timeout: float) -> Question[Described]:
        return self._ask(lambda reply: Look(reply, None, int(timeout * 1000)), timeout, _picture)

    def _list(self, timeout: float) -> Question[list[str]]:
        def names(answer: object) -> list[str]:
            return sorted(topic.name for topic in _picture(answer).topics)

        return self._ask(lambda reply: Look(reply, None, int(timeout * 1000)), timeout, names)

    def _describe(self, names: Sequence[str] | None, timeout: float) -> Question[list[TopicPicture]]:
        asked = [names] if isinstance(names, str) else None if names is None else list(names)

        def topics(answer: object) -> list[TopicPicture]:
            found = {topic.name: topic for topic in _picture(answer).topics}
            if asked is None:
                return [found[name] for name in sorted(found)]
            for name in asked:
                if name not in found:
                    raise UnknownTopic(f"there is no topic {name}: create it first, or check its name")
            return [found[name] for name in asked]

        return self._ask(lambda reply: Look(reply, asked, int(timeout * 1000)), timeout, topics)

    # --- What changes topics and brokers

    def _change(
        self, of: str, request: Callable[[int, Incarnation], AdminRequest], timeout: float, partitions: int = 0
    ) -> Question[None]:
        def make(reply: Reply) -> Message:
            return Change(reply, of, request, int(timeout * 1000), partitions)

        return self._ask(make, timeout, lambda answer: None)

    def _add_partitions(self, topic: str, total: int, timeout: float) -> Question[None]:
        return self._change(topic, lambda n, me: CreatePartitions(n, me, topic, total), timeout, total)

    def _alter_configs(
        self, kind: ConfigKind, name: str, changes: Sequence[ConfigChange], timeout: float
    ) -> Question[None]:
        of = name if kind == "topic" else f"broker {name}" if name else "all brokers"
        return self._change(of, lambda n, me: AlterConfigs(n, me, kind, name, list(changes)), timeout)

    def _describe_configs(self, kind: ConfigKind, name: str, timeout: float) -> Question[list[ConfigEntry]]:
        def read(answer: object) -> list[ConfigEntry]:
            assert isinstance(answer, ConfigsDescribed)
            [picture] = answer.resources
            if picture.error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise UnknownTopic(picture.reason, picture.error)
            if picture.error is not ErrorCode.NONE:
                raise Refused(picture.reason, picture.error)
            return picture.entries

        return self._inquire(lambda n: DescribeConfigs(n, [ConfigResource(kind, name)]), timeout, read)

    def _drain(self, broker: int, cancel: bool, timeout: float) -> Question[None]:
        return self._change(f"broker {broker}", lambda n, me: DrainBroker(n, me, broker, cancel), timeout)

    def _remove(self, broker: int, timeout: float) -> Question[None]:
        return self._change(f"broker {broker}", lambda n, me: RemoveBroker(n, me, broker), timeout)

    # --- Where partitions are

    def _reassign(self, targets: Sequence[PartitionTarget], timeout: float) -> Question[list[PartitionOutcome]]:
        """Those that were refused."""
        return self._outcomes(lambda n, me: Reassign(n, me, list(targets)), timeout, refused_only=True)

    def _elect(
        self,
        partitions: Sequence[tuple[str, int]] | None,
        leaders: Mapping[tuple[str, int], int] | None,
        timeout: float,
    ) -> Question[list[PartitionOutcome]]:
        """`leaders`: an unclean election, of these."""
        if leaders is not None:
            named = [(topic, index, leader) for (topic, index), leader in sorted(leaders.items())]
            return self._outcomes(lambda n, me: ElectLeaders(n, me, sorted(leaders), True, named), timeout)
        asked = None if partitions is None else list(partitions)
        return self._outcomes(lambda n, me: ElectLeaders(n, me, asked), timeout)

    def _outcomes(
        self, request: Callable[[int, Incarnation], AdminRequest], timeout: float, *, refused_only: bool = False
    ) -> Question[list[PartitionOutcome]]:
        def read(answer: object) -> list[PartitionOutcome]:
            assert isinstance(answer, PartitionsDone)
            return [one for one in answer.outcomes if not refused_only or one.error is not ErrorCode.NONE]

        return self._ask(lambda reply: Change(reply, "the partitions", request, int(timeout * 1000)), timeout, read)

    def _reassignments(self, timeout: float) -> Question[list[Reassignment]]:
        def read(answer: object) -> list[Reassignment]:
            assert isinstance(answer, ReassignmentsListed)
            return answer.reassignments

        return self._inquire(ListReassignments, timeout, read)

    def _logs(self, broker: int, partitions: Sequence[Partition] | None, timeout: float) -> Question[list[LogPicture]]:
        def read(answer: object) -> list[LogPicture]:
            assert isinstance(answer, LogsDescribed)
            return answer.logs

        asked = None if partitions is None else list(partitions)
        return self._inquire(lambda n: DescribeLogs(n, asked), timeout, read, broker)

    def _inquire(
        self, question: Callable[[int], Message], timeout: float, read: Callable[[object], T], broker: int = -1
    ) -> Question[T]:
        return self._ask(lambda reply: Inquire(reply, question, int(timeout * 1000), broker), timeout, read)


def config_changes(
    configs: Mapping[str, str] | None,
    delete: Sequence[str],
    append: Mapping[str, str] | None,
    subtract: Mapping[str, str] | None,
) -> list[ConfigChange]:
    """What an application wants changed, as the cluster is asked for it."""
    changes = [ConfigChange(name, "set", value) for name, value in (configs or {}).items()]
    changes += [ConfigChange(name, "delete") for name in ([delete] if isinstance(delete, str) else delete)]
    changes += [ConfigChange(name, "append", value) for name, value in (append or {}).items()]
    changes += [ConfigChange(name, "subtract", value) for name, value in (subtract or {}).items()]
    return changes


def broker_name(broker: int | None) -> str:
    """As configs name a broker, or all of them."""
    return "" if broker is None else str(broker)


def in_parts(
    targets: Mapping[tuple[str, int], Sequence[int] | None],
) -> Iterator[list[PartitionTarget]]:
    """As many at a time as one request may move."""
    every = [
        PartitionTarget(topic, index, None if replicas is None else list(replicas))
        for (topic, index), replicas in targets.items()
    ]
    for first in range(0, len(every), MAX_PER_REQUEST):
        yield every[first : first + MAX_PER_REQUEST]


def _topic_id(answer: object) -> TopicId:
    assert isinstance(answer, str), "topics are known by a string"
    return TopicId(answer)


def _starts(answer: object) -> dict[int, int]:
    assert isinstance(answer, dict), "deletions are told by partition"
    return answer


def _picture(answer: object) -> Described:
    assert isinstance(answer, Described), "who looks gets a picture"
    return answer
