"""Groups, for the blocking admin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..actors.group_admin_messages import GroupListing, GroupPicture
from ..actors.messages import Described
from .arrivals import TopicPartition
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


class AdminGroups(GroupAdmin):
    """The methods of an admin that are about groups. Timeouts are in seconds, for each question to the cluster.

    Besides what it says every method may raise NoBrokers, OperationTimeout, Closed and ForkedClient.
    """

    def list_groups(
        self, states: Sequence[str] = (), kinds: Sequence[str] = (), timeout: float = 30.0
    ) -> list[GroupListing]:
        """All groups by name, or those in these states ("Stable", "Empty", ...) and of these kinds ("consumer" of the
        heartbeat protocol, "classic").
        """
        return self._groups(states, kinds, timeout).wait()

    def describe_group(self, group: str, timeout: float = 30.0) -> GroupPicture:
        """A group and its members. Raises UnknownGroup."""
        return self._group(group, timeout).wait()

    def group_lags(self, group: str, timeout: float = 30.0) -> list[GroupLag]:
        """How far a group is in each partition that it reads or has committed. Raises UnknownGroup."""
        picture = self._group(group, timeout).wait()
        committed = self._committed_offsets(group, timeout).wait()
        places = of_interest(picture, committed, self._look(timeout).wait())
        ends = self._log_offsets(queries_at(places, "latest"), timeout).wait()
        return lags(picture, places, committed, ends)

    def group_offsets(self, group: str, timeout: float = 30.0) -> dict[TopicPartition, int]:
        """What a group has committed: per partition the offset of the next record to read."""
        committed = self._committed_offsets(group, timeout).wait()
        places = of_interest(None, committed, self._look(timeout).wait())
        return {at: committed[partition][0] for at, partition in places.items()}

    def set_group_offsets(
        self,
        group: str,
        offsets: Mapping[tuple[str, int], int] | Mapping[TopicPartition, int],
        timeout: float = 30.0,
    ) -> None:
        """Let a group without members go on from these offsets. A group that nobody knows comes into being.

        Raises GroupNotEmpty or NotAMember while it has members, UnknownTopic, and ValueError for a negative offset.
        """
        for (topic, index), offset in offsets.items():
            if offset < 0:
                raise ValueError(f"the offset of {topic}-{index} is 0 or more, not {offset}")
        picture = self._look(timeout).wait()
        ids = ids_of(picture, list(offsets))
        wanted = {ids[at]: offset for at, offset in offsets.items()}
        self._set_offsets(group, wanted, names_of(picture), timeout).wait()

    def plan_reset(
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
            partitions = list(self.group_offsets(group, timeout))
            if not partitions:
                raise UnknownGroup(f"group {group} has committed nothing: name the topics that it shall read")
        places = [TopicPartition(*at) for at in partitions]
        if isinstance(to, int):
            return dict.fromkeys(places, to)
        found = self._log_offsets(queries_at(places, to), timeout).wait()
        late = [at for at in places if found[at] < 0]  # no record is that late: go on with the next one
        ends = self._log_offsets(queries_at(late, "latest"), timeout).wait()
        return {**found, **ends}

    def reset_group(
        self, group: str, to: Where, topics: Sequence[str] | None = None, timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Let a group without members go on from "earliest", "latest", an offset, or a time; the offsets that it got.

        `topics` None: every partition that it has committed. Raises as `plan_reset` and `set_group_offsets`.
        """
        places = None
        if topics is not None:
            places = partitions_of(self._look(timeout).wait(), topics)
        offsets = self.plan_reset(group, to, places, timeout)
        self.set_group_offsets(group, offsets, timeout)
        return offsets

    def delete_group_offsets(self, group: str, partitions: Sequence[tuple[str, int]], timeout: float = 30.0) -> None:
        """Let a group forget these partitions. Raises GroupNotEmpty while a member reads their topic, UnknownGroup."""
        picture = self._look(timeout).wait()
        ids = ids_of(picture, partitions)
        self._drop_offsets(group, list(ids.values()), names_of(picture), timeout).wait()

    def delete_group(self, group: str, timeout: float = 30.0) -> None:
        """Forget a group without members, and its offsets. Raises GroupNotEmpty, UnknownGroup."""
        self._drop_group(group, timeout).wait()

    def list_offsets(
        self, partitions: Sequence[tuple[str, int]], at: Where = "latest", timeout: float = 30.0
    ) -> dict[TopicPartition, int]:
        """Of each partition the "earliest" offset, the "latest" (after the last committed record), or the first at or
        after a time (-1: none is that late). Raises UnknownTopic.
        """
        return self._log_offsets(queries_at(partitions, at), timeout).wait()

    def _look(self, timeout: float) -> Question[Described]:
        raise NotImplementedError
