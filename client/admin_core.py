"""The admin, without the waiting: each method is a question, and knows how to read its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..actors.admin import AdminActor
from ..actors.client_commands import DropTopic, Failure, Look, MakeTopic, RemoveRecords
from ..actors.messages import LATEST, Described, TopicId, TopicPicture
from .core import ClientCore, Question, Reply
from .errors import UnknownTopic, error_of
from .runtime import Guard, Runtime, endpoints


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


def _topic_id(answer: object) -> TopicId:
    assert isinstance(answer, str), "topics are known by a string"
    return TopicId(answer)


def _starts(answer: object) -> dict[int, int]:
    assert isinstance(answer, dict), "deletions are told by partition"
    return answer


def _picture(answer: object) -> Described:
    assert isinstance(answer, Described), "who looks gets a picture"
    return answer
