"""The admin of applications that await: `Admin`, on the loop."""

# A timeout is told to the cluster too, which `asyncio.timeout` around a call would not do.
# ruff: noqa: ASYNC109

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from ..actors.messages import Described, TopicId, TopicPicture
from .admin_core import AdminCore
from .asyncio_bridge import OnLoop


class AsyncAdmin(AdminCore, OnLoop):
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

    async def close(self) -> None:
        """Give up what is waited for, and end. A second call does nothing."""
        await self._close_and_await()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()
