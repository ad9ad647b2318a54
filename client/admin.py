"""The blocking admin: topics and pictures of the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from ..actors.admin import AdminActor
from ..actors.client_commands import Close, Command, DropTopic, Failure, Look, MakeTopic
from ..actors.messages import Described, TopicId, TopicPicture
from .errors import Closed, OperationTimeout, UnknownTopic, error_of
from .runtime import Guard, Reply, Runtime, endpoints, new_runtime

GRACE = 5.0  # seconds beyond a call's own timeout, for the I/O thread to say so


class _Outlet:
    """From the I/O thread to whoever waits."""

    def __init__(self) -> None:
        self.end = Reply()

    def done(self, token: object, topic_id: TopicId) -> None:
        assert isinstance(token, Reply)
        token.set(topic_id)

    def described(self, token: object, picture: Described) -> None:
        assert isinstance(token, Reply)
        token.set(picture)

    def failed(self, token: object, failure: Failure) -> None:
        assert isinstance(token, Reply)
        token.set(error=error_of(failure))

    def closed(self) -> None:
        self.end.set()


class Admin:
    """Creates, deletes and describes. Safe to use from several threads; not after a fork."""

    def __init__(self, bootstrap: str | Sequence[str], *, runtime: Runtime | None = None) -> None:
        places = endpoints(bootstrap)
        self._guard = Guard("admin client")
        self._outlet = outlet = _Outlet()
        self._runtime = runtime or new_runtime()
        self._runtime.start(lambda: AdminActor(places, outlet))

    def create_topic(
        self,
        name: str,
        partitions: int = -1,
        replication: int = -1,
        configs: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> TopicId:
        """Create a topic, and return once every partition has a leader. -1 takes the cluster's default.

        Raises TopicExists, InvalidTopic, NoBrokers, OperationTimeout or UnknownOutcome.
        """
        reply = Reply()
        given = dict(configs) if configs else None
        answer = self._ask(MakeTopic(reply, name, partitions, replication, given, int(timeout * 1000)), reply, timeout)
        assert isinstance(answer, str)
        return TopicId(answer)

    def delete_topic(self, name: str, timeout: float = 30.0) -> None:
        """Delete a topic and all its records. Raises UnknownTopic if there is none."""
        reply = Reply()
        self._ask(DropTopic(reply, name, int(timeout * 1000)), reply, timeout)

    def list_topics(self, timeout: float = 30.0) -> list[str]:
        """The names of all topics, sorted."""
        return sorted(topic.name for topic in self._look(None, timeout).topics)

    def describe_topics(self, names: Sequence[str] | None = None, timeout: float = 30.0) -> list[TopicPicture]:
        """Topics as the metadata has them (None: all), in the order asked for. Raises UnknownTopic."""
        picture = self._look(None if names is None else list(names), timeout)
        if names is None:
            return sorted(picture.topics, key=lambda topic: topic.name)
        found = {topic.name: topic for topic in picture.topics}
        for name in names:
            if name not in found:
                raise UnknownTopic(f"there is no topic {name}: create it first, or check its name")
        return [found[name] for name in names]

    def describe_cluster(self, timeout: float = 30.0) -> Described:
        """Brokers, the controller and all topics, as of one metadata offset."""
        return self._look(None, timeout)

    def close(self) -> None:
        """Give up what is waited for, and end. A second call does nothing."""
        if self._guard.closed or self._guard.forked:
            return
        self._guard.closed = True
        self._runtime.tell(Close())
        self._outlet.end.wait(GRACE)
        self._runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _look(self, names: list[str] | None, timeout: float) -> Described:
        reply = Reply()
        picture = self._ask(Look(reply, names, int(timeout * 1000)), reply, timeout)
        assert isinstance(picture, Described)
        return picture

    def _ask(self, command: Command, reply: Reply, timeout: float) -> object:
        self._guard.check()
        self._runtime.tell(command)
        if not reply.wait(timeout + GRACE):
            if self._guard.closed:
                raise Closed("the admin client was closed while this call waited")
            raise OperationTimeout(f"no answer within {timeout:g} s")
        return reply.result()
