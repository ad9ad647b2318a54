"""What an admin can do about groups: questions, and pictures for people.

A group is known by its offsets, which name topics by their ids; a picture puts names, ends and members together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..actors.admin import OffsetsLookedUp
from ..actors.client_commands import AskAllCoordinators, AskCoordinator, LookUp
from ..actors.errors import ErrorCode
from ..actors.group_admin_messages import GroupListing, GroupPicture, MemberPicture
from ..actors.messages import (
    CommitOffsets,
    DeleteGroup,
    DeleteOffsets,
    Described,
    DescribeGroup,
    FetchOffsets,
    GroupDescribed,
    GroupsListed,
    OffsetsCommitted,
    OffsetsDeleted,
    OffsetsFetched,
    Partition,
    TopicId,
)
from ..actors.offset_messages import NewOffset, OffsetOutcome
from .arrivals import TopicPartition
from .consumer_core import Where, start_at
from .core import ClientCore, Question
from .errors import Refused, UnknownTopic

ANY_TERM = -1


class GroupLag(NamedTuple):
    """How far a group is in one partition. `committed` None: nothing is; `lag` None: so it is not known.

    `end` is the offset after the last committed record. `member` "": nobody reads it.
    """

    topic: str
    partition: int
    committed: int | None
    end: int | None
    lag: int | None
    member: str
    client_id: str
    host: str
    metadata: str = ""


class GroupAdmin(ClientCore):
    """The half of an admin's core that is about groups."""

    def _groups(self, states: Sequence[str], kinds: Sequence[str], timeout: float) -> Question[list[GroupListing]]:
        def read(answer: object) -> list[GroupListing]:
            assert isinstance(answer, GroupsListed), "who lists gets a list"
            return answer.groups

        return self._ask(
            lambda reply: AskAllCoordinators(reply, list(states), list(kinds), int(timeout * 1000)), timeout, read
        )

    def _group(self, group: str, timeout: float) -> Question[GroupPicture]:
        def read(answer: object) -> GroupPicture:
            assert isinstance(answer, GroupDescribed), "who describes gets a picture"
            assert answer.picture is not None, "without an error there is one"
            return answer.picture

        request = DescribeGroup(0, group, ANY_TERM)
        return self._ask(lambda reply: AskCoordinator(reply, request, int(timeout * 1000)), timeout, read)

    def _committed_offsets(self, group: str, timeout: float) -> Question[dict[Partition, tuple[int, str]]]:
        def read(answer: object) -> dict[Partition, tuple[int, str]]:
            assert isinstance(answer, OffsetsFetched), "who fetches offsets gets them"
            return {Partition(*kept.partition): (kept.offset, kept.metadata) for kept in answer.offsets}

        request = FetchOffsets(0, group, ANY_TERM)
        return self._ask(lambda reply: AskCoordinator(reply, request, int(timeout * 1000)), timeout, read)

    def _set_offsets(
        self, group: str, offsets: Mapping[Partition, int], names: Mapping[TopicId, str], timeout: float
    ) -> Question[None]:
        def read(answer: object) -> None:
            assert isinstance(answer, OffsetsCommitted), "who commits gets a verdict"
            _check(answer.partitions, names)

        wanted = [NewOffset(partition, offset) for partition, offset in sorted(offsets.items())]
        request = CommitOffsets(0, group, ANY_TERM, "", -1, wanted)
        return self._ask(lambda reply: AskCoordinator(reply, request, int(timeout * 1000)), timeout, read)

    def _drop_offsets(
        self, group: str, partitions: Sequence[Partition], names: Mapping[TopicId, str], timeout: float
    ) -> Question[None]:
        def read(answer: object) -> None:
            assert isinstance(answer, OffsetsDeleted), "who deletes gets a verdict"
            _check(answer.partitions, names)

        request = DeleteOffsets(0, group, ANY_TERM, list(partitions))
        return self._ask(lambda reply: AskCoordinator(reply, request, int(timeout * 1000)), timeout, read)

    def _drop_group(self, group: str, timeout: float) -> Question[None]:
        request = DeleteGroup(0, group, ANY_TERM)
        return self._ask(
            lambda reply: AskCoordinator(reply, request, int(timeout * 1000)), timeout, lambda answer: None
        )

    def _log_offsets(
        self, queries: Mapping[tuple[str, int], int], timeout: float
    ) -> Question[dict[TopicPartition, int]]:
        def read(answer: object) -> dict[TopicPartition, int]:
            assert isinstance(answer, OffsetsLookedUp), "who looks up gets offsets"
            return {TopicPartition(*at): offset for at, (offset, _) in answer.found.items()}

        asked = [(topic, index, when) for (topic, index), when in queries.items()]
        return self._ask(lambda reply: LookUp(reply, asked, int(timeout * 1000)), timeout, read)


def names_of(picture: Described) -> dict[TopicId, str]:
    """The names of all topics, by id."""
    return {topic.id: topic.name for topic in picture.topics}


def ids_of(picture: Described, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], Partition]:
    """Partitions by id. Raises UnknownTopic."""
    topics = {topic.name: topic for topic in picture.topics}
    found: dict[tuple[str, int], Partition] = {}
    for name, index in places:
        topic = topics.get(name)
        if topic is None:
            raise UnknownTopic(f"there is no topic {name}: create it first, or check its name")
        if not 0 <= index < len(topic.partitions):
            raise UnknownTopic(f"{name} has {len(topic.partitions)} partitions, there is no partition {index}")
        found[name, index] = Partition(topic.id, index)
    return found


def of_interest(
    group: GroupPicture | None, committed: Mapping[Partition, object], picture: Described
) -> dict[TopicPartition, Partition]:
    """The partitions that a group reads or has read, of topics that are still there."""
    names = names_of(picture)
    partitions = [*committed]
    for member in group.members if group is not None else ():
        partitions += [Partition(of.topic, index) for of in member.assigned for index in of.partitions]
    return {TopicPartition(names[at.topic], at.index): at for at in sorted(set(partitions)) if at.topic in names}


def lags(
    group: GroupPicture | None,
    places: Mapping[TopicPartition, Partition],
    committed: Mapping[Partition, tuple[int, str]],
    ends: Mapping[TopicPartition, int],
) -> list[GroupLag]:
    """How far the group is in each of these."""
    readers: dict[Partition, MemberPicture] = {}
    for member in group.members if group is not None else ():
        readers.update((Partition(of.topic, index), member) for of in member.assigned for index in of.partitions)
    rows = []
    for at in sorted(places):
        partition = places[at]
        offset, metadata = committed.get(partition, (-1, ""))
        end, reader = ends.get(at), readers.get(partition)
        known = offset if offset >= 0 else None
        lag = max(0, end - offset) if end is not None and known is not None else None
        who = ("", "", "") if reader is None else (reader.member, reader.client_id, reader.host)
        rows.append(GroupLag(*at, known, end, lag, *who, metadata))
    return rows


def queries_at(places: Iterable[tuple[str, int]], at: Where) -> dict[tuple[str, int], int]:
    """What to look up for a place in time: "earliest", "latest", or a time. Raises ValueError for an offset."""
    start = start_at(at)
    if start.offset >= 0:
        raise ValueError(f"{start.offset} is an offset already: there is nothing to look up")
    return dict.fromkeys(places, start.timestamp if start.timestamp >= 0 else start.offset)


def partitions_of(picture: Described, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of these topics. Raises UnknownTopic."""
    known = {topic.name: len(topic.partitions) for topic in picture.topics}
    for name in topics:
        if name not in known:
            raise UnknownTopic(f"there is no topic {name}: create it first, or check its name")
    return [TopicPartition(name, index) for name in topics for index in range(known[name])]


def _check(outcomes: Sequence[OffsetOutcome], names: Mapping[TopicId, str]) -> None:
    """Raises Refused for the first partition that was refused."""
    for outcome in outcomes:
        if outcome.error is not ErrorCode.NONE:
            topic, index = outcome.partition
            sentence = outcome.reason or f"{names.get(topic, topic)}-{index}: {outcome.error.name}"
            raise Refused(sentence, outcome.error)
