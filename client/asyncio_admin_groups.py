"""Groups, for the admin of applications that await."""

# A timeout is told to the cluster too, which `asyncio.timeout` around a call would not do.
# ruff: noqa: ASYNC109

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..actors.group_admin_messages import GroupListing, GroupPicture
from ..actors.messages import Described
from .arrivals import TopicPartition
from .asyncio_bridge import OnLoop
from .consumer_core import Where
from .core import Question
from .errors import UnknownGroup
from .group_admin import (
    GroupAdmin,
    GroupLag,
    ids_of,
    lags,
    names_of,
    of_interest,
    partitions_of,
    queries_at,
)


class AsyncAdminGroups(GroupAdmin, OnLoop):
    """The methods of an admin that are about groups. Timeouts are in seconds, for each question to the cluster.

    Besides what it says every method may raise NoBrokers, OperationTimeout, Closed and ForkedClient.
    """

    async def list_groups(
        self, states: Sequence[str] = (), kinds: Sequence[str] = (), timeout: float = 30.0
    ) -> list[GroupListing]:
        """All groups by name, or those in these states ("Stable", "Empty", ...) and of these kinds ("consumer" of the
        heartbeat protocol, "classic").
        """
        return await self._bridge.answer(self._groups(states, kinds, timeout))

    async def describe_group(self, group: str, timeout: float = 30.0) -> GroupPicture:
        """A group and its members. Raises UnknownGroup."""
        return await self._bridge.answer(self._group(group, timeout))

    async def group_lags(self, group: str, timeout: float = 30.0) -> list[GroupLag]:
        """How far a group is in each partition that it reads or has committed. Raises UnknownGroup."""
        picture = await self._bridge.answer(self._group(group, timeout))
        committed = await self._bridge.answer(self._committed_offsets(group, timeout))
        places = of_interest(picture, committed, await self._bridge.answer(self._look(timeout)))
        ends = await self._bridge.answer(self._log_offsets(queries_at(places, "latest"), timeout))
        return lags(picture, places, committed, ends)

    async def group_offsets(self, group: str, timeout: float = 30.0) -> dict[TopicPartition, int]:
        """What a group has committed: per partition the offset of the next record to read."""
        committed = await self._bridge.answer(self._committed_offsets(group, timeout))
        places = of_interest(None, committed, await self._bridge.answer(self._look(timeout)))
        return {at: committed[partition][0] for at, partition in places.items()}

    async def set_group_offsets(
        self, group: str, offsets: Mapping[tuple[str, int], int] | Mapping[TopicPartition, int], timeout: float = 30.0
    ) -> None:
        """Let a group without members go on from these offsets. A group that nobody knows comes into being.

        Raises GroupNotEmpty or NotAMember while it has members, UnknownTopic, and ValueError for a negative offset.
        """
        for (topic, index), offset in offsets.items():
            if offset < 0:
                raise ValueError(f"the offset of {topic}-{index} is 0 or more, not {offset}")
        picture = await self._bridge.answer(self._look(timeout))
        ids = ids_of(picture, list(offsets))
        wanted = {ids[at]: offset for at, offset in offsets.items()}
        await self._bridge.answer(self._set_offsets(group, wanted, names_of(picture), timeout))

    async def plan_reset(
        self,
        group: str,
        to: Where,
        partitions: Sequence[tuple[str, int]] | None = None,
        timeout: float = 30.0,
    ) -> dict[TopicPartition, int]:
        """Where a group would go on from "earliest", "latest", an offset, or a time; nothing is changed.

        `partitions` None: all that it has committed; raises UnknownGroup if there are none. Raises UnknownTopic.
        """
        if partitions is None:
            partitions = list(await self.group_offsets(group, timeout))
            if not partitions:
                raise UnknownGroup(f"group {group} has committed nothing: name the topics that it shall read")
        places = [TopicPartition(*at) for at in partitions]
        if isinstance(to, int):
            return dict.fromkeys(places, to)
        found = await self._bridge.answer(self._log_offsets(queries_at(places, to), timeout))
        late = [at for at in places if found[at] < 0]  # no record is that late: go on with the next one
        ends = await self._bridge.answer(self._log_offsets(queries_at(late, "latest"), timeout))
        return {**found, **ends}

    async def reset_group(
        self, group: str, to: Where, topics: Sequence[str] | None = None, timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Let a group without members go on from "earliest", "latest", an offset, or a time; the offsets that it got.

        `topics` None: every partition that it has committed. Raises as `plan_reset` and `set_group_offsets`.
        """
        places = None
        if topics is not None:
            places = partitions_of(await self._bridge.answer(self._look(timeout)), topics)
        offsets = await self.plan_reset(group, to, places, timeout)
        await self.set_group_offsets(group, offsets, timeout)
        return offsets

    async def delete_group_offsets(
        self, group: str, partitions: Sequence[tuple[str, int]], timeout: float = 30.0
    ) -> None:
        """Let a group forget these partitions. Raises GroupNotEmpty while a member reads their topic, UnknownGroup."""
        picture = await self._bridge.answer(self._look(timeout))
        ids = ids_of(picture, partitions)
        await self._bridge.answer(self._drop_offsets(group, list(ids.values()), names_of(picture), timeout))

    async def delete_group(self, group: str, timeout: float = 30.0) -> None:
        """Forget a group without members, and its offsets. Raises GroupNotEmpty, UnknownGroup."""
        await self._bridge.answer(self._drop_group(group, timeout))

    async def list_offsets(
        self, partitions: Sequence[tuple[str, int]], at: Where = "latest", timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Of each partition the "earliest" offset, the "latest" (after the last committed record), or the first at or
        after a time (-1: none is that late). Raises UnknownTopic.
        """
        return await self._bridge.answer(self._log_offsets(queries_at(partitions, at), timeout))

    def _look(self, timeout: float) -> Question[Described]:
        raise NotImplementedError
