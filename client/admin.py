"""The blocking admin: topics and pictures of the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from ..actors.admin_messages import ConfigEntry, PartitionOutcome, Reassignment
from ..actors.messages import Described, LogPicture, Partition, TopicId, TopicPicture
from .admin_core import AdminCore, broker_name, config_changes, in_parts
from .admin_groups import AdminGroups


class Admin(AdminCore, AdminGroups):
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

    def add_partitions(self, topic: str, total: int, timeout: float = 30.0) -> None:
        """Let a topic have `total` partitions, and return once every one has a leader. Keys go to other ones then.

        Raises UnknownTopic, or InvalidTopic if it has as many already.
        """
        self._add_partitions(topic, total, timeout).wait()

    def alter_configs(
        self,
        topic: str,
        configs: Mapping[str, str] | None = None,
        delete: Sequence[str] = (),
        append: Mapping[str, str] | None = None,
        subtract: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Set configs of a topic, all of them or none. Raises UnknownTopic or InvalidTopic, in words.

        `delete` takes back what was set; `append` and `subtract` are for lists.
        """
        changes = config_changes(configs, delete, append, subtract)
        self._alter_configs("topic", topic, changes, timeout).wait()

    def alter_broker_configs(
        self,
        broker: int | None = None,
        configs: Mapping[str, str] | None = None,
        delete: Sequence[str] = (),
        timeout: float = 30.0,
    ) -> None:
        """Set configs of one broker, or of all of them (None). Raises InvalidTopic or Refused, in words."""
        changes = config_changes(configs, delete, None, None)
        self._alter_configs("broker", broker_name(broker), changes, timeout).wait()

    def describe_configs(self, topic: str, timeout: float = 30.0) -> list[ConfigEntry]:
        """The configs of a topic, each with its default and where its value comes from. Raises UnknownTopic."""
        return self._describe_configs("topic", topic, timeout).wait()

    def describe_broker_configs(self, broker: int | None = None, timeout: float = 30.0) -> list[ConfigEntry]:
        """The configs of one broker, or what holds for all of them (None). Raises Refused if there is none."""
        return self._describe_configs("broker", broker_name(broker), timeout).wait()

    def reassign(
        self, targets: Mapping[tuple[str, int], Sequence[int] | None], timeout: float = 30.0
    ) -> list[PartitionOutcome]:
        """Move partitions to brokers, the preferred leader first; None cancels a move. Returns once they have begun.

        `reassignments` tells which are on their way. Returned are the partitions that were refused, with a sentence
        each; the others are not held up by that.
        """
        refused: list[PartitionOutcome] = []
        for part in in_parts(targets):
            refused += self._reassign(part, timeout).wait()
        return refused

    def reassignments(self, timeout: float = 30.0) -> list[Reassignment]:
        """The partitions that are moving."""
        return self._reassignments(timeout).wait()

    def elect_leaders(
        self, partitions: Sequence[tuple[str, int]] | None = None, timeout: float = 30.0
    ) -> list[PartitionOutcome]:
        """Let preferred leaders lead: of these partitions, or wherever they may (None). One outcome per partition."""
        return self._elect(partitions, None, timeout).wait()

    def elect_unclean(self, leaders: Mapping[tuple[str, int], int], timeout: float = 30.0) -> list[PartitionOutcome]:
        """Let these brokers lead partitions that nobody leads, although they may lack records: those are given up.

        Ask `describe_logs` first who has most. One outcome per partition.
        """
        return self._elect(None, leaders, timeout).wait()

    def decommission(self, broker: int, cancel: bool = False, timeout: float = 30.0) -> None:
        """Let a broker go: the controller moves what it has to others; `cancel`: it stays. Returns once that is known.

        It is drained when no partition has it as a replica. Raises Refused if too few brokers would be left.
        """
        self._drain(broker, cancel, timeout).wait()

    def remove_broker(self, broker: int, timeout: float = 30.0) -> None:
        """Forget a broker that keeps nothing and does not run. Raises Refused, in words, while it does either."""
        self._remove(broker, timeout).wait()

    def describe_logs(
        self, broker: int, partitions: Sequence[Partition] | None = None, timeout: float = 30.0
    ) -> list[LogPicture]:
        """What one broker has of these partitions (None: of all that it has), by topic id and index."""
        return self._logs(broker, partitions, timeout).wait()

    def close(self) -> None:
        """Give up what is waited for, and end. A second call does nothing."""
        self._close_and_wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
