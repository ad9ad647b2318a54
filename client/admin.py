"""The blocking admin: topics and pictures of the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from ..actors.messages import Described, TopicId, TopicPicture
from .admin_core import AdminCore


class Admin(AdminCore):
    """Creates, deletes and describes. Safe to use from several threads; not after a fork.

    Timeouts are in seconds. Every method may raise NoBrokers, OperationTimeout, Closed and ForkedClient besides what it
    says; what changes something may raise UnknownOutcome too: then look whether it was changed.
    """

    def create_topic(
        self,
        name: str,
        partitions: int = -1,
        replication: int = -1,
        configs: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> TopicId:
        """Create a topic, and return once every partition has a leader. -1 takes the cluster's default.

        Raises TopicExists or InvalidTopic.
        """
        return self._create(name, partitions, replication, configs, timeout).wait()

    def delete_topic(self, name: str, timeout: float = 30.0) -> None:
        """Delete a topic and all its records. Raises UnknownTopic if there is none."""
        self._delete(name, timeout).wait()

    def delete_records(self, topic: str, offsets: Mapping[int, int | None], timeout: float = 30.0) -> dict[int, int]:
        """Delete the records below an offset of each partition (None: all there are), and say where each begins now.

        Returns once the deletion is on disk at every replica whose broker is up. Raises UnknownTopic; OffsetOutOfRange
        for an offset beyond what is committed; Refused (POLICY_VIOLATION) if the topic is compacted and nothing else.
        If it raises, some partitions may have been trimmed; asking again is harmless.
        """
        return self._delete_records(topic, offsets, timeout).wait()

    def list_topics(self, timeout: float = 30.0) -> list[str]:
        """The names of all topics, sorted."""
        return self._list(timeout).wait()

    def describe_topics(self, names: Sequence[str] | None = None, timeout: float = 30.0) -> list[TopicPicture]:
        """Topics as the metadata has them (None: all), in the order asked for. Raises UnknownTopic."""
        return self._describe(names, timeout).wait()

    def describe_cluster(self, timeout: float = 30.0) -> Described:
        """Brokers, the controller and all topics, as of one metadata offset."""
        return self._look(timeout).wait()

    def close(self) -> None:
        """Give up what is waited for, and end. A second call does nothing."""
        self._close_and_wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
