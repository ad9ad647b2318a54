"""The admin of applications that await: `Admin`, on the loop."""

# A timeout is told to the cluster too, which `asyncio.timeout` around a call would not do.
# ruff: noqa: ASYNC109

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from ..actors.admin_messages import ConfigEntry, PartitionOutcome, Reassignment
from ..actors.messages import Described, LogPicture, Partition, TopicId, TopicPicture
from .admin_core import AdminCore, broker_name, config_changes, in_parts
from .asyncio_admin_groups import AsyncAdminGroups


class AsyncAdmin(AdminCore, AsyncAdminGroups):
    """Creates, deletes and describes, as `Admin` does: the same arguments, answers and errors.

    Belongs to the loop that first used it; not after a fork. Cancelling a call does not undo what it asked for.
    """

    async def create_topic(
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
        return await self._bridge.answer(self._create(name, partitions, replication, configs, timeout))

    async def delete_topic(self, name: str, timeout: float = 30.0) -> None:
        """Delete a topic and all its records. Raises UnknownTopic if there is none."""
        await self._bridge.answer(self._delete(name, timeout))

    async def delete_records(
        self, topic: str, offsets: Mapping[int, int | None], timeout: float = 30.0
    ) -> dict[int, int]:
        """Delete the records below an offset of each partition (None: all there are), and say where each begins now.

        Returns once the deletion is on disk at every replica whose broker is up. Raises UnknownTopic; OffsetOutOfRange
        for an offset beyond what is committed; Refused (POLICY_VIOLATION) if the topic is compacted and nothing else.
        If it raises, some partitions may have been trimmed; asking again is harmless.
        """
        return await self._bridge.answer(self._delete_records(topic, offsets, timeout))

    async def list_topics(self, timeout: float = 30.0) -> list[str]:
        """The names of all topics, sorted."""
        return await self._bridge.answer(self._list(timeout))

    async def describe_topics(self, names: Sequence[str] | None = None, timeout: float = 30.0) -> list[TopicPicture]:
        """Topics as the metadata has them (None: all), in the order asked for. Raises UnknownTopic."""
        return await self._bridge.answer(self._describe(names, timeout))

    async def describe_cluster(self, timeout: float = 30.0) -> Described:
        """Brokers, the controller and all topics, as of one metadata offset."""
        return await self._bridge.answer(self._look(timeout))

    async def add_partitions(self, topic: str, total: int, timeout: float = 30.0) -> None:
        """Let a topic have `total` partitions, and return once every one has a leader. Keys go to other ones then.

        Raises UnknownTopic, or InvalidTopic if it has as many already.
        """
        await self._bridge.answer(self._add_partitions(topic, total, timeout))

    async def alter_configs(
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
        await self._bridge.answer(self._alter_configs("topic", topic, changes, timeout))

    async def alter_broker_configs(
        self,
        broker: int | None = None,
        configs: Mapping[str, str] | None = None,
        delete: Sequence[str] = (),
        timeout: float = 30.0,
    ) -> None:
        """Set configs of one broker, or of all of them (None). Raises InvalidTopic or Refused, in words."""
        changes = config_changes(configs, delete, None, None)
        await self._bridge.answer(self._alter_configs("broker", broker_name(broker), changes, timeout))

    async def describe_configs(self, topic: str, timeout: float = 30.0) -> list[ConfigEntry]:
        """The configs of a topic, each with its default and where its value comes from. Raises UnknownTopic."""
        return await self._bridge.answer(self._describe_configs("topic", topic, timeout))

    async def describe_broker_configs(self, broker: int | None = None, timeout: float = 30.0) -> list[ConfigEntry]:
        """The configs of one broker, or what holds for all of them (None). Raises Refused if there is none."""
        return await self._bridge.answer(self._describe_configs("broker", broker_name(broker), timeout))

    async def reassign(
        self, targets: Mapping[tuple[str, int], Sequence[int] | None], timeout: float = 30.0
    ) -> list[PartitionOutcome]:
        """Move partitions to brokers, the preferred leader first; None cancels a move. Returns once they have begun.

        `reassignments` tells which are on their way. Returned are the partitions that were refused, with a sentence
        each; the others are not held up by that.
        """
        refused: list[PartitionOutcome] = []
        for part in in_parts(targets):
            found = await self._bridge.answer(self._reassign(part, timeout))
            refused += found
        return refused

    async def reassignments(self, timeout: float = 30.0) -> list[Reassignment]:
        """The partitions that are moving."""
        return await self._bridge.answer(self._reassignments(timeout))

    async def elect_leaders(
        self, partitions: Sequence[tuple[str, int]] | None = None, timeout: float = 30.0
    ) -> list[PartitionOutcome]:
        """Let preferred leaders lead: of these partitions, or wherever they may (None). One outcome per partition."""
        return await self._bridge.answer(self._elect(partitions, None, timeout))

    async def elect_unclean(
        self, leaders: Mapping[tuple[str, int], int], timeout: float = 30.0
    ) -> list[PartitionOutcome]:
        """Let these brokers lead partitions that nobody leads, although they may lack records: those are given up.

        Ask `describe_logs` first who has most. One outcome per partition.
        """
        return await self._bridge.answer(self._elect(None, leaders, timeout))

    async def decommission(self, broker: int, cancel: bool = False, timeout: float = 30.0) -> None:
        """Let a broker go: the controller moves what it has to others; `cancel`: it stays. Returns once that is known.

        It is drained when no partition has it as a replica. Raises Refused if too few brokers would be left.
        """
        await self._bridge.answer(self._drain(broker, cancel, timeout))

    async def remove_broker(self, broker: int, timeout: float = 30.0) -> None:
        """Forget a broker that keeps nothing and does not run. Raises Refused, in words, while it does either."""
        await self._bridge.answer(self._remove(broker, timeout))

    async def describe_logs(
        self, broker: int, partitions: Sequence[Partition] | None = None, timeout: float = 30.0
    ) -> list[LogPicture]:
        """What one broker has of these partitions (None: of all that it has), by topic id and index."""
        return await self._bridge.answer(self._logs(broker, partitions, timeout))

    async def close(self) -> None:
        """Give up what is waited for, and end. A second call does nothing."""
        await self._close_and_await()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
